/* fuzz_json_schema.c - any JSON Schema, and a text that it allows. */
#include <stdint.h>
#include <stdlib.h>

#include "support/grammar_grow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    td_err err = {0};
    td_grammar *g;
    td_matcher *m;
    const td_status status = td_grammar_from_schema(&g, (const char *)data, n, "schema", &err);
    if ((status == TD_OK) != (g != NULL)) abort();
    if (status != TD_OK) {
        if (err.msg[0] == 0) abort();
        return 0;
    }
    if (td_matcher_create(&m, g, NULL, &err) == TD_OK) {
        uint32_t dice = 1;
        for (size_t i = 0; i < n; i++) dice = dice * 31 + data[i];
        grammar_grow(m, dice);
        td_matcher_free(m);
    }
    td_grammar_free(g);
    return 0;
}
