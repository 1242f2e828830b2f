/* fixture.c - reading the JSON fixtures of tests/golden, with jansson. */
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *detail) {
    fprintf(stderr, "fixture: %s: %s\n", what, detail);
    exit(1);
}

static void *alloc(size_t n, size_t size) {
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL) die("allocation", "out of memory");
    return p;
}

json_t *fixture_open(const char *name) {
    char path[1024];
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/golden/%s.json", TD_SOURCE_DIR, name);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL) die(path, error.text);
    return root;
}

double fixture_number(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v)) die("no such number", key);
    return json_number_value(v);
}

int fixture_int(const json_t *object, const char *key) { return (int)fixture_number(object, key); }

const char *fixture_string(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    if (s == NULL) die("no such string", key);
    return s;
}

int32_t *fixture_ints(const json_t *object, const char *key, int *n) {
    const json_t *array = json_object_get(object, key);
    if (!json_is_array(array)) die("no such array", key);
    *n = (int)json_array_size(array);
    int32_t *values = alloc((size_t)*n, sizeof *values);
    for (int i = 0; i < *n; i++)
        values[i] = (int32_t)json_integer_value(json_array_get(array, (size_t)i));
    return values;
}

static unsigned base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (unsigned)(at - digits) : 0; /* padding counts as zero bits */
}

static void *words_base64(const json_t *object, const char *key, size_t n) {
    const char *text = fixture_string(object, key);
    size_t n_byte = 4 * n;
    if (strlen(text) != (n_byte + 2) / 3 * 4) die("base64 of another length than wanted", key);
    uint8_t *bytes = alloc(n_byte, 1);
    for (size_t i = 0; i < n_byte; i += 3) {
        unsigned bits = 0;
        for (size_t j = 0; j < 4; j++) bits = bits << 6 | base64_digit(text[i / 3 * 4 + j]);
        for (size_t j = 0; j < 3 && i + j < n_byte; j++)
            bytes[i + j] = (uint8_t)(bits >> (16 - 8 * j));
    }
    return bytes;
}

float *fixture_floats_base64(const json_t *object, const char *key, size_t n) {
    return words_base64(object, key, n);
}

int32_t *fixture_ints_base64(const json_t *object, const char *key, size_t n) {
    return words_base64(object, key, n);
}
