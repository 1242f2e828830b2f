/* fuzz_session.c - any bytes as a session file: refused with a message or loaded, and what loads
 * can be gone on from.  Each input is tried as it is and with size and checksum made to fit, so
 * that what lies behind them is reached too. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/session.h"
#include "support/tiny_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static td_engine *engine;
static td_sequence *sequence;

static void make_engine(void) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/td-fuzz-session-%ld.gguf", (long)getpid());
    tiny_model tiny;
    tiny_model_load(&tiny, "gemma3_period6");
    tiny_model_write(&tiny, TD_DTYPE_F16, false, path);
    const td_engine_options o = {.model_path = path, .n_thread = 1, .n_ctx = 100, .n_batch = 8};
    const td_sequence_options so = {.ignore_end = true};
    if (td_engine_create(&engine, &o, NULL) != TD_OK ||
        td_sequence_create(&sequence, engine, &so, NULL) != TD_OK)
        abort();
    unlink(path); /* it stays mapped */
    tiny_model_clear(&tiny);
}

static void put_u64(uint8_t *p, uint64_t x) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static void try_bytes(const uint8_t *data, size_t size) {
    td_err err;
    const td_status status = td_session_read(sequence, data, size, "fuzz", &err);
    if (status != TD_OK) {
        if (err.msg[0] == 0 || strnlen(err.msg, sizeof err.msg) == sizeof err.msg) abort();
        return;
    }
    if (td_sequence_generate(sequence, 1, &err) != TD_OK) return; /* no token at all */
    while (td_sequence_is_active(sequence)) {
        td_event event;
        int n;
        if (td_engine_step(engine, &event, 1, &n, &err) == TD_OK) continue;
        /* Keys and values may be any bits, and so may give NaN. */
        if (!strstr(err.msg, "not finite")) abort();
        td_sequence_stop(sequence);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!engine) make_engine();
    try_bytes(data, size);
    uint64_t model;
    if (size < 40 || td_session_model_id(engine, &model, NULL) != TD_OK) return 0;
    uint8_t *copy = malloc(size);
    if (!copy) abort();
    memcpy(copy, data, size);
    put_u64(copy + 16, size);
    put_u64(copy + 24, model);
    td_hash hash;
    td_hash_init(&hash);
    td_hash_add(&hash, copy, size - 8);
    put_u64(copy + size - 8, td_hash_result(&hash));
    try_bytes(copy, size);
    free(copy);
    return 0;
}
