/* fixture.h - reading the JSON fixtures of tests/golden.
 *
 * Arrays of numbers are base64 of their little-endian bytes.  For tests: what is missing or
 * malformed ends the program with a message. */
#ifndef TD_SUPPORT_FIXTURE_H
#define TD_SUPPORT_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* The file tests/golden/NAME.json; freed with json_decref(). */
json_t *fixture_open(const char *name);

double fixture_number(const json_t *object, const char *key);
int fixture_int(const json_t *object, const char *key);
const char *fixture_string(const json_t *object, const char *key); /* borrowed */

/* A JSON array of integers; the caller frees it. */
int32_t *fixture_ints(const json_t *object, const char *key, int *n);

/* A base64 string that holds exactly n values of 4 bytes; the caller frees it. */
float *fixture_floats_base64(const json_t *object, const char *key, size_t n);
int32_t *fixture_ints_base64(const json_t *object, const char *key, size_t n);

#endif
