/* saved_tensor.c - rows of a fixture's table read, elements computed. */
#include "support/saved_tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/hashed.h"
#include "tensor/quantize.h"

enum { MAX_RANK = 4 };

static void die(const char *what, const char *detail) {
    fprintf(stderr, "saved_tensor: %s: %s\n", what, detail);
    exit(1);
}

static size_t size_of(const char *dtype) {
    static const struct {
        const char *name;
        size_t size;
    } dtypes[] = {
        {"F32",     4},
        {"BF16",    2},
        {"F16",     2},
        {"I32",     4},
        {"I64",     8},
        {"U8",      1},
        {"F8_E4M3", 1},
    };
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, dtype) == 0) return dtypes[i].size;
    die("a dtype that is not known here", dtype);
    return 0;
}

saved_tensor saved_tensor_read(const json_t *row) {
    const json_t *third = json_array_get(row, 2);
    saved_tensor t = {.name = json_string_value(json_array_get(row, 0)),
                      .shape = json_array_get(row, 1),
                      .dtype = "F32",
                      .n = 1};
    if (json_is_object(third)) {
        t.how = third;
        t.dtype = json_string_value(json_object_get(third, "dtype"));
        t.amplitude = (float)json_number_value(json_object_get(third, "amplitude"));
        t.offset = (float)json_number_value(json_object_get(third, "offset"));
    } else {
        t.amplitude = (float)json_number_value(third);
        t.offset = (float)json_number_value(json_array_get(row, 3));
    }
    if (t.name == NULL || t.dtype == NULL || json_array_size(t.shape) > MAX_RANK)
        die("a row of tensors", "malformed");
    t.size = size_of(t.dtype);
    for (size_t i = 0; i < json_array_size(t.shape); i++)
        t.n *= (size_t)json_integer_value(json_array_get(t.shape, i));
    return t;
}

uint16_t saved_tensor_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static uint64_t float_element(const saved_tensor *t, uint64_t key, size_t i) {
    volatile float scaled = hashed_uniform(key, i) * t->amplitude; /* rounded before the sum */
    float value = t->offset + scaled;
    uint32_t bits;
    if (strcmp(t->dtype, "BF16") == 0) return saved_tensor_bf16(value);
    if (strcmp(t->dtype, "F16") == 0) return td_f32_to_f16(value);
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t random_element(const saved_tensor *t, uint64_t key, size_t i) {
    uint64_t mask = (uint64_t)json_integer_value(json_object_get(t->how, "and"));
    uint64_t add = (uint64_t)json_integer_value(json_object_get(t->how, "add"));
    uint64_t bits = (hashed_bits(key, i) >> (64 - 8 * t->size) & mask) + add;
    if (strcmp(t->dtype, "F8_E4M3") == 0 && (bits & 0x7F) == 0x7F) bits ^= 1;
    return bits;
}

static uint64_t element(const saved_tensor *t, uint64_t key, size_t i) {
    const json_t *group = json_object_get(t->how, "group");
    const json_t *values = json_object_get(t->how, "values");
    if (values != NULL) return (uint64_t)json_integer_value(json_array_get(values, i));
    if (group != NULL) return i / (size_t)json_integer_value(group);
    if (json_object_get(t->how, "and") != NULL) return random_element(t, key, i);
    return float_element(t, key, i);
}

void *saved_tensor_make(const saved_tensor *t, uint64_t seed, uint64_t *fingerprint) {
    uint8_t *bytes = calloc(t->n > 0 ? t->n : 1, t->size);
    uint64_t key = hashed_key(seed, t->name);
    if (bytes == NULL) die("allocation", "out of memory");
    for (size_t i = 0; i < t->n; i++) {
        uint64_t bits = element(t, key, i);
        for (size_t b = 0; b < t->size; b++) bytes[i * t->size + b] = (uint8_t)(bits >> 8 * b);
        *fingerprint += hashed_fingerprint_bits(key, i, (uint32_t)bits);
    }
    return bytes;
}
