/* fuzz_imatrix.c - any bytes as an importance matrix: refused by a sentence, or safe to use. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/quantize_imatrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    td_imatrix *m;
    td_err err;
    if (td_imatrix_parse(&m, data, size, "fuzz", &err) != TD_OK) {
        if (m || err.msg[0] == 0 || strnlen(err.msg, sizeof err.msg) == sizeof err.msg) abort();
        return 0;
    }
    size_t n;
    const float *values = td_imatrix_find(m, "x", &n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]) || values[i] < 0) abort();
    const char *const parts[1] = {"x"};
    td_imatrix_filter(m, parts, 1, 0);
    if (td_imatrix_find(m, "x", &n) || td_imatrix_n_chunk(m) < 0) abort();
    td_imatrix_free(m);
    return 0;
}
