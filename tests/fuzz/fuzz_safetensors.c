/* fuzz_safetensors.c - any bytes as a safetensors file, or, when they begin with '{', as a folder
 * of two: config.json up to the first NUL byte, and model.safetensors behind it.  Opening must
 * refuse or succeed, and what opens must be safe to use in full. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/gguf_walk.h"
#include "support/safetensors_builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static td_status walk_folder(const char *folder, td_err *err) {
    td_checkpoint *ckpt;
    TD_TRY(td_checkpoint_open(&ckpt, folder, err));
    gguf_walk(ckpt);
    td_checkpoint_close(ckpt);
    return TD_OK;
}

static td_status open_as_folder(const uint8_t *data, size_t size, td_err *err) {
    char folder[] = "/tmp/td_fuzz_safetensors_XXXXXX", config[64], weights[64];
    const uint8_t *nul = (const uint8_t *)memchr(data, 0, size);
    const size_t n_config = nul ? (size_t)(nul - data) : size;
    const uint8_t *image = nul ? nul + 1 : data + size;
    if (!mkdtemp(folder)) abort();
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    if (st_write_bytes(config, data, n_config) != 0) abort();
    if (st_write_bytes(weights, image, (size_t)(data + size - image)) != 0) abort();
    const td_status status = walk_folder(folder, err);
    unlink(config);
    unlink(weights);
    rmdir(folder);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_err err;
    const td_status status = size > 0 && data[0] == '{'
                                 ? open_as_folder(data, size, &err)
                                 : gguf_walk_image_named(data, size, "x.safetensors", &err);
    /* A message is a C string with text in it whenever the file is refused. */
    if (status != TD_OK && (err.msg[0] == 0 || strnlen(err.msg, sizeof err.msg) == sizeof err.msg))
        abort();
    return 0;
}
