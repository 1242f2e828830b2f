/* synth_fill.c - random bytes that are valid weights.
 *
 * Quantizing billions of random numbers would take hours.  So a pool of blocks is made once of each
 * type and size, and a row of a weight is a piece of the pool from a random place: as good as new,
 * at the speed of memcpy. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "tensor/quantize.h"

#include "synth_int.h"

enum {
    POOL_ELEMS = 1 << 18, /* over ten times the longest row */
    BUFFER_BYTES = 1 << 20,
    ROW_ELEMS = 1 << 15, /* of rows that are drawn anew */
    N_E4M3 = 127         /* codes of numbers that are not negative */
};

/* Codes are spread over most of their range, as if each block's largest weight were this many
 * deviations large. */
static const double FP8_PEAK = 4, INT4_PEAK = 3;

struct synth_pool {
    synth_what what;
    td_dtype dtype;
    int64_t fan_in;
    size_t unit_elems, unit_bytes; /* a block */
    uint8_t *units;                /* owned; [POOL_ELEMS / unit_elems] */
};

/* ---- numbers ---- */

/* About normal, of variance 1 and never beyond 3.5: a sum of four even ones. */
static float draw(td_random *r) {
    const uint64_t bits = td_random_next(r);
    int64_t sum = 0;
    for (int i = 0; i < 4; i++) sum += (int64_t)(bits >> (16 * i) & 0xffff);
    return (float)((double)(sum - 2 * 65535) / 65536 * 1.7320508075688772);
}

/* The code of the E4M3 number nearest to x. */
static uint8_t to_e4m3(float x) {
    int low = 0, high = N_E4M3 - 1;
    const float size = fabsf(x);
    while (low < high) {
        const int middle = (low + high) / 2;
        const float border =
            (td_e4m3_to_f32((uint8_t)middle) + td_e4m3_to_f32((uint8_t)(middle + 1))) / 2;
        if (size <= border)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint8_t)(low | (x < 0 ? 0x80 : 0));
}

/* Four bits that stand for q - 8. */
static uint32_t to_int4(float x) {
    const long q = lrintf(x * (float)(7 / INT4_PEAK)) + 8;
    return (uint32_t)(q < 0 ? 0 : q > 15 ? 15 : q);
}

/* ---- pools ---- */

static td_status fill_pool(synth_pool *p, td_random *r, td_err *err) {
    if (p->what == SYNTH_CODES_FP8) {
        for (size_t i = 0; i < POOL_ELEMS; i++)
            p->units[i] = to_e4m3(draw(r) * (float)(td_e4m3_to_f32(N_E4M3 - 1) / FP8_PEAK));
        return TD_OK;
    }
    if (p->what == SYNTH_CODES_INT4) {
        for (size_t i = 0; i < POOL_ELEMS / 2; i++) {
            const uint32_t low = to_int4(draw(r)), high = to_int4(draw(r));
            p->units[i] = (uint8_t)(low | high << 4);
        }
        return TD_OK;
    }
    float *x = td_malloc(POOL_ELEMS * sizeof *x);
    if (!x) return td_fail_nomem(err, "random weights", POOL_ELEMS * sizeof *x);
    const float deviation = (float)(1 / sqrt((double)p->fan_in));
    for (size_t i = 0; i < POOL_ELEMS; i++) x[i] = draw(r) * deviation;
    const td_status status = td_quantize_row(p->dtype, x, p->units, POOL_ELEMS, err);
    td_free(x);
    return status;
}

/* Holes are zeros: they must stand for weights of zero. */
static td_status check_zero(const synth_pool *p, td_err *err) {
    uint8_t block[512] = {0};
    float x[256];
    if (p->what != SYNTH_WEIGHT) return TD_OK;
    TD_ASSERT(p->unit_bytes <= sizeof block && p->unit_elems <= 256);
    td_dequantize_row(p->dtype, block, x, p->unit_elems);
    for (size_t i = 0; i < p->unit_elems; i++)
        if (x[i] != 0)
            return td_fail(err, TD_ERR_UNSUPPORTED, "zeros are no zero in %s: it cannot be sparse",
                           td_dtype_name((int)p->dtype));
    return TD_OK;
}

static td_status make_pool(synth_filler *f, synth_pool *p, td_err *err) {
    const td_dtype_info *info = td_dtype_get_info((int)p->dtype);
    p->unit_elems = p->what == SYNTH_CODES_FP8    ? 1
                    : p->what == SYNTH_CODES_INT4 ? 8
                                                  : (size_t)info->block_elems;
    p->unit_bytes = p->what == SYNTH_CODES_FP8    ? 1
                    : p->what == SYNTH_CODES_INT4 ? 4
                                                  : (size_t)info->block_bytes;
    if (f->sparse) TD_TRY(check_zero(p, err));
    const size_t bytes = POOL_ELEMS / p->unit_elems * p->unit_bytes;
    p->units = td_malloc(bytes);
    if (!p->units) return td_fail_nomem(err, "random blocks", bytes);
    td_random r;
    td_random_seed(&r, f->seed ^ (uint64_t)p->fan_in << 16 ^ (uint64_t)p->dtype << 8 ^
                           (uint64_t)p->what);
    return fill_pool(p, &r, err);
}

/* Codes do not depend on the size: their scales do. */
static td_status find_pool(synth_filler *f, const synth_array *a, const synth_pool **out,
                           td_err *err) {
    const int64_t fan_in = a->what == SYNTH_WEIGHT ? a->fan_in : 0;
    for (size_t i = 0; i < f->n_pool; i++) {
        *out = &f->pools[i];
        if ((*out)->what == a->what && (*out)->dtype == a->dtype && (*out)->fan_in == fan_in)
            return TD_OK;
    }
    TD_TRY(td_grow((void **)&f->pools, &f->cap_pool, f->n_pool + 1, sizeof *f->pools,
                   "the list of pools", err));
    synth_pool *p = &f->pools[f->n_pool++];
    *p = (synth_pool){.what = a->what, .dtype = a->dtype, .fan_in = fan_in};
    *out = p;
    return make_pool(f, p, err);
}

/* ---- arrays ---- */

td_status synth_filler_init(synth_filler *f, uint64_t seed, bool sparse, td_err *err) {
    *f = (synth_filler){.seed = seed, .sparse = sparse};
    f->buffer = td_malloc(BUFFER_BYTES);
    return f->buffer ? TD_OK : td_fail_nomem(err, "the buffer", BUFFER_BYTES);
}

void synth_filler_clear(synth_filler *f) {
    for (size_t i = 0; i < f->n_pool; i++) td_free(f->pools[i].units);
    td_free(f->pools);
    td_free(f->buffer);
    *f = (synth_filler){0};
}

static td_status fill_pooled(synth_filler *f, const synth_array *a, int64_t n_row,
                             const synth_sink *sink, td_err *err) {
    const synth_pool *p;
    TD_TRY(find_pool(f, a, &p, err));
    const size_t n_unit = (size_t)a->ne[0] / p->unit_elems, row_bytes = n_unit * p->unit_bytes;
    const size_t n_pool = POOL_ELEMS / p->unit_elems;
    TD_ASSERT(n_unit < n_pool && row_bytes <= BUFFER_BYTES);
    size_t n = 0;
    for (int64_t row = 0; row < n_row; row++) {
        if (n + row_bytes > BUFFER_BYTES) {
            TD_TRY(sink->write(sink->user, f->buffer, n, err));
            n = 0;
        }
        const size_t from = (size_t)(td_random_next(&f->random) % (n_pool - n_unit));
        memcpy(f->buffer + n, p->units + from * p->unit_bytes, row_bytes);
        n += row_bytes;
    }
    return sink->write(sink->user, f->buffer, n, err);
}

/* The mean of an array's numbers and how far they lie from it. */
static void range_of(const synth_array *a, float *mean, float *deviation) {
    const double weight = a->fan_in > 0 ? 1 / sqrt((double)a->fan_in) : 0;
    double m = 0, d = weight;
    if (a->what == SYNTH_NORM) {
        m = 1;
        d = 0.1;
    } else if (a->what == SYNTH_BIAS) {
        d = 0.02;
    } else if (a->what == SYNTH_SCALE_FP8) {
        m = weight * FP8_PEAK / td_e4m3_to_f32(N_E4M3 - 1);
        d = m / 20;
    } else if (a->what == SYNTH_SCALE_INT4) {
        m = weight * INT4_PEAK / 7;
        d = m / 20;
    }
    *mean = (float)m;
    *deviation = (float)d;
}

static td_status fill_drawn(synth_filler *f, const synth_array *a, const synth_sink *sink,
                            td_err *err) {
    float mean, deviation;
    size_t row_bytes;
    TD_TRY(td_dtype_row_bytes(&row_bytes, a->dtype, (size_t)a->ne[0], err));
    TD_ASSERT(a->ne[0] <= ROW_ELEMS && row_bytes <= BUFFER_BYTES);
    float *x = td_malloc((size_t)a->ne[0] * sizeof *x);
    if (!x) return td_fail_nomem(err, a->name, (size_t)a->ne[0] * sizeof *x);
    range_of(a, &mean, &deviation);
    td_status status = TD_OK;
    for (int64_t row = 0; row < a->ne[1] && status == TD_OK; row++) {
        for (int64_t i = 0; i < a->ne[0]; i++) x[i] = mean + deviation * draw(&f->random);
        status = td_quantize_row(a->dtype, x, f->buffer, (size_t)a->ne[0], err);
        if (status == TD_OK) status = sink->write(sink->user, f->buffer, row_bytes, err);
    }
    td_free(x);
    return status;
}

td_status synth_fill(synth_filler *f, const synth_array *a, size_t i, const synth_sink *sink,
                     td_err *err) {
    size_t n_bytes;
    TD_TRY(synth_array_bytes(&n_bytes, a, err));
    uint64_t state = f->seed + i;
    td_random_seed(&f->random, td_random_splitmix(&state));
    if (a->what == SYNTH_SHAPE)
        return sink->write(sink->user, (int64_t[]){a->ne[1], a->ne[0]}, n_bytes, err);
    if (f->sparse && a->expert > 0) return sink->hole(sink->user, n_bytes, err);
    const bool pooled =
        a->what == SYNTH_WEIGHT || a->what == SYNTH_CODES_FP8 || a->what == SYNTH_CODES_INT4;
    if (!pooled) return fill_drawn(f, a, sink, err);
    const bool cut = f->sparse && a->stacked;
    TD_TRY(fill_pooled(f, a, cut ? a->ne[1] : a->ne[1] * a->ne[2], sink, err));
    if (!cut) return TD_OK;
    const size_t one = n_bytes / (size_t)a->ne[2];
    return sink->hole(sink->user, n_bytes - one, err);
}
