/* saved_tensor.h - the tensors of a golden folder: floats or, of quantized weights, integers, each
 * element a pure function of (seed, tensor name, element index).
 *
 * A row of a fixture's table is [name, shape, amplitude, offset] for F32, or [name, shape, how]
 * where `how` is one of
 *
 *     {"dtype": "BF16", "amplitude": a, "offset": o}   or F16, F32: o + a * [-1, 1), rounded
 *     {"dtype": "I32", "and": mask, "add": bits}       random bits; also U8 and F8_E4M3, which gets
 *                                                      its neighbour for what would be no number
 *     {"dtype": "I32", "group": g}                     element i is i / g
 *     {"dtype": "I64", "values": [...]}                literally
 *
 * For tests: what goes wrong ends the program with a message. */
#ifndef TD_SUPPORT_SAVED_TENSOR_H
#define TD_SUPPORT_SAVED_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

typedef struct saved_tensor {
    const char *name;    /* borrowed from the fixture, as all here */
    const json_t *shape; /* outermost first */
    const char *dtype;   /* as safetensors spells it */
    size_t n, size;      /* elements; bytes of one */
    float amplitude, offset;
    const json_t *how; /* NULL for the short form */
} saved_tensor;

saved_tensor saved_tensor_read(const json_t *row);

/* n * size bytes, which the caller frees; each element is added to *fingerprint. */
void *saved_tensor_make(const saved_tensor *t, uint64_t seed, uint64_t *fingerprint);

/* To nearest, ties to even; f is finite. */
uint16_t saved_tensor_bf16(float f);

#endif
