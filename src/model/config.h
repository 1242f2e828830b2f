/* config.h - the hyperparameters of a decoder, whatever file they came from. */
#ifndef TD_MODEL_CONFIG_H
#define TD_MODEL_CONFIG_H

#include "base/status.h"
#include "format/checkpoint.h"

enum { TD_MAX_LAYERS = 1024 };

/* Plain data; the names are those of papers and GGUF. */
typedef struct td_config {
    int n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab;
    int n_ctx_train;
    float norm_eps;
    double rope_theta;       /* base of the rotary frequencies */
    double rope_theta_local; /* of layers with a window, where a model has two (Gemma 3) */
    double rope_factor;      /* linear scaling; 1: none */
    int n_rot;               /* rotated dimensions of a head */
    int window;              /* sliding window, the query included; 0: none */
    int window_period;       /* every window_period-th layer is full, the others have the window */
    float attention_scale;   /* of q k */
    float embedding_scale;
} td_config;

/* Reads the keys all dense decoders share, "<arch>.block_count" and so on, with the defaults of
 * models.md 3.1, and checks their ranges and that they fit together.  n_vocab comes from the
 * embedding table. */
td_status td_config_read_gguf(td_config *config, const td_checkpoint *ckpt, td_err *err);

/* Looks up "<arch>.<key>" where <arch> is general.architecture; semantics of td_checkpoint_get_*.
 */
td_status td_config_get_int(const td_checkpoint *ckpt, const char *key, bool required, int min,
                            int max, int *out, td_err *err);
td_status td_config_get_float(const td_checkpoint *ckpt, const char *key, double *out, td_err *err);

#endif
