/* fuzz_gguf.c - any bytes as a GGUF file: opening must refuse or succeed, and what opens must be
 * safe to use in full: metadata, tensors, vocabulary. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/gguf_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_err err;
    /* A message is a C string with text in it whenever the file is refused. */
    if (gguf_walk_image(data, size, &err) != TD_OK &&
        (err.msg[0] == 0 || strnlen(err.msg, sizeof err.msg) == sizeof err.msg))
        abort();
    return 0;
}
