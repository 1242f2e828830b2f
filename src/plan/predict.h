/* predict.h - how long a token takes, from the bytes it reads, the operations it takes, and what a
 * device can do.
 *
 * A decoded token is one row: each matrix that it passes is read once, at the device's bandwidth,
 * or unpacked at what its type allows, whichever takes longer.  A prompt comes in batches: each
 * matrix is read once per batch, experts included, for a batch soon wants them all, and its
 * products take their operations at the device's peak.  Parts add up, on one device and over
 * several: layers wait for each other.  The shares of bandwidth and peak that kernels reach are
 * constants of predict.c, with where they come from. */
#ifndef TD_PLAN_PREDICT_H
#define TD_PLAN_PREDICT_H

#include <stdbool.h>

#include "plan/hardware.h"

/* What a device can do; per second. */
typedef struct td_predict_device {
    double bandwidth;
    double int_peak;   /* of products of quantized weights: int8, on a GPU f16 */
    double float_peak; /* of products of floats: float32, on a GPU f16 */
    int n_worker;      /* threads that wait for each other; a GPU: 0 */
    int n_socket;      /* a GPU: 1 */
} td_predict_device;

td_predict_device td_predict_cpu(const td_cpu *cpu);
td_predict_device td_predict_gpu(const td_gpu *gpu);

/* False: a rate is not known, and nothing can be said. */
bool td_predict_is_known(const td_predict_device *d);

/* Matrices of one type. */
typedef struct td_predict_part {
    int dtype;
    double decode_bytes; /* that one token reads: of experts, those chosen */
    double batch_bytes;  /* that a batch reads: all of them */
    double decode_ops;   /* multiplications and additions of one token */
    double prompt_ops;   /* the same of a prompt token: without the output matrix */
    double cost;         /* times slower on this device (td_capability.cost); 0 is 1 */
} td_predict_part;

/* Layers, apart from their matrices. */
typedef struct td_predict_layers {
    int n_layer;
    double kv_bytes; /* that one token reads of the cache, at the context it is predicted for */
    double attention_ops; /* of a prompt token, at the middle of the prompt, in float32 */
    int n_vocab;          /* of tokens to choose from; 0: not on this device */
} td_predict_layers;

/* Seconds of a token; `n_batch` rows per pass.  The device's rates must be known. */
double td_predict_part_decode(const td_predict_device *d, const td_predict_part *part);
double td_predict_part_prompt(const td_predict_device *d, const td_predict_part *part, int n_batch);
double td_predict_layers_decode(const td_predict_device *d, const td_predict_layers *layers);
double td_predict_layers_prompt(const td_predict_device *d, const td_predict_layers *layers);

/* All of a model on one device.  Lifetime: the caller's; `parts` by type of weight. */
enum { TD_PREDICT_MAX_PART = 64 };
typedef struct td_predict_work {
    td_predict_part parts[TD_PREDICT_MAX_PART];
    int n_part;
    td_predict_layers layers;
} td_predict_work;

/* predict_model.c: the work of a model whose tokens see n_ctx positions of an f16 cache when they
 * are decoded, and n_prompt / 2 in a prompt. */
struct td_model;
void td_predict_of_model(td_predict_work *out, const struct td_model *model, int n_ctx,
                         int n_prompt);

/* Seconds of a token. */
double td_predict_decode(const td_predict_device *d, const td_predict_work *work);
double td_predict_prompt(const td_predict_device *d, const td_predict_work *work, int n_batch);

/* Seconds that a layer on two devices adds to a decoded token, and to a prompt token of rows of
 * row_bytes that go there and back over `link` bytes per second. */
double td_predict_handover_decode(void);
double td_predict_handover_prompt(double row_bytes, double link, int n_batch);

#endif
