/* config.h - the hyperparameters of a decoder, whatever file they came from. */
#ifndef TD_MODEL_CONFIG_H
#define TD_MODEL_CONFIG_H

#include <string.h>

#include "base/status.h"
#include "format/checkpoint.h"
#include "ops/delta_net.h"
#include "ops/elementwise.h"
#include "ops/mla.h"
#include "ops/rope.h"
#include "ops/router.h"

enum { TD_MAX_LAYERS = 1024 };

/* What layers of one model differ in. */
enum {
    TD_LAYER_LOCAL = 1,   /* attends within the sliding window */
    TD_LAYER_NO_ROPE = 2, /* attends without positions */
    TD_LAYER_EXPERTS = 4, /* its MLP is a mixture of experts */
    TD_LAYER_DELTA = 8    /* attends linearly */
};

/* Plain data; the names are those of papers and GGUF. */
typedef struct td_config {
    int n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab;
    int n_ctx_train;
    float norm_eps;
    td_activation activation;
    int n_rot; /* rotated dimensions of a head; 0: positions are learned */
    td_rope_config rope;
    td_rope_config rope_local;     /* of TD_LAYER_LOCAL; theta 0: as the others */
    int n_rot_local;               /* its rotated dimensions; 0: n_rot */
    int window;                    /* sliding window, the query included; 0: none */
    bool chunked;                  /* it does not slide: it begins at multiples of its width */
    uint8_t layers[TD_MAX_LAYERS]; /* [n_layer] of TD_LAYER_* */
    bool qk_norm_late;             /* norms of q and k come after rotation, not before */
    float qkv_clip;                /* what q, k and v are limited to before rotation; 0: nothing */
    float attention_scale;         /* of q k */
    float attention_softcap;       /* 0: none */
    td_temperature temperature;    /* of layers without positions */
    float embedding_scale;
    float residual_scale;    /* of what a block adds */
    float logit_scale;       /* multiplies the logits */
    float logit_softcap;     /* 0: none */
    bool parallel;           /* attention and MLP both read the layer's input */
    td_router_config router; /* n_expert 0: no layer has experts */
    bool router_early;       /* it reads the layer's input, before attention and any norm */
    bool per_modality; /* config.json may count experts for each modality: text's are the first */
    int n_ff_expert;   /* width of an expert */
    td_glu_bounds expert_bounds;
    int n_ctx_dense;   /* tokens beyond which attention is sparse, which no build here does; 0: none
                        */
    td_mla_config mla; /* n_rank_kv 0: attention is the usual one */
    td_delta_config delta; /* of TD_LAYER_DELTA */
    int n_ff_shared;       /* width of the MLP that all tokens take beside the experts; 0: none */
} td_config;

/* One setting, named in both formats; NULL: the format has no such setting.  gguf stands behind
 * "<architecture>."; hf may give several names, separated by '|', the first one there counting, and
 * is also looked for in "text_config". */
typedef struct td_setting {
    const char *gguf, *hf;
} td_setting;

/* Semantics of td_checkpoint_get_*: absent keeps *out. */
td_status td_config_get_int(const td_checkpoint *ckpt, td_setting s, bool required, int min,
                            int max, int *out, td_err *err);
td_status td_config_get_float(const td_checkpoint *ckpt, td_setting s, double *out, td_err *err);
/* A float above 0. */
td_status td_config_get_scale(const td_checkpoint *ckpt, td_setting s, float *out, td_err *err);
td_status td_config_get_bool(const td_checkpoint *ckpt, td_setting s, bool *out, td_err *err);
td_status td_config_get_string(const td_checkpoint *ckpt, td_setting s, td_string *out,
                               td_err *err);
/* A number, or a list of the same one for each layer. */
td_status td_config_get_uniform(const td_checkpoint *ckpt, td_setting s, int n_layer, int min,
                                int max, int *out, td_err *err);
/* The entry itself, NULL if absent. */
const td_meta *td_config_find(const td_checkpoint *ckpt, td_setting s);
/* The checkpoint's own name of the setting, for messages. */
const char *td_config_name(const td_checkpoint *ckpt, td_setting s);

static inline bool td_string_is(td_string s, const char *text) {
    return s.n == strlen(text) && memcmp(s.text, text, s.n) == 0;
}

/* What an architecture's files leave unsaid; zero: the common default in brackets. */
typedef struct td_config_defaults {
    double rope_theta;        /* [10000] */
    double norm_eps;          /* [the file must say] */
    int head_dim;             /* Hugging Face's class default [n_embd / n_head] */
    double rotary_factor;     /* part of a head that rotates [1] */
    int n_ctx_train;          /* [2048] */
    int n_head_kv;            /* [n_head] */
    td_activation activation; /* [silu]; what the file says wins */
    bool ff_is_4_embd;        /* the MLP's width may be absent */
    bool mla;                 /* heads are described as MLA's are: td_config_read fills mla */
    bool experts;             /* a mixture of experts is not refused: td_config_read_experts */
} td_config_defaults;

/* Reads what all dense decoders share and checks ranges and that the sizes fit together.  n_vocab
 * comes from the embedding table `embed`, which the model has found.  Windows, scales and the rest
 * are the architecture's to set: they come back neutral. */
td_status td_config_read(td_config *config, const td_checkpoint *ckpt,
                         const td_config_defaults *defaults, td_err *err);

/* config_rope.c: fills config->rope (n_rot must be set). */
td_status td_config_read_rope(td_config *config, const td_checkpoint *ckpt,
                              const td_config_defaults *defaults, td_err *err);

/* config_experts.c: the number of experts, under all its names. */
extern const td_setting td_set_n_expert;

/* config_experts.c: fills router, n_ff_expert and n_ff_shared, and marks the layers with experts.
 * What the file leaves unsaid stays as the caller has set it; n_ff_expert 0: the MLP's width. */
td_status td_config_read_experts(td_config *config, const td_checkpoint *ckpt, td_err *err);

/* config_mla.c: fills mla and n_rot, head_dim (of queries) and attention_scale but for YaRN's part
 * of it, which needs the rope's settings: td_config_read_mla_scale. */
td_status td_config_read_mla(td_config *config, const td_checkpoint *ckpt, td_err *err);
td_status td_config_read_mla_scale(td_config *config, const td_checkpoint *ckpt, td_err *err);

/* config_delta.c: fills delta and marks its layers: by a list, or all but every n-th. */
td_status td_config_read_delta(td_config *config, const td_checkpoint *ckpt, td_err *err);

/* config_window.c: fills config->window, 0 if the file has none. */
td_status td_config_read_window(td_config *config, const td_checkpoint *ckpt, td_err *err);

/* Reads the window and marks the layers with it: those of the list layer_types, or where there is
 * none all from max_window_layers [first] on. */
td_status td_config_read_last_windows(td_config *config, const td_checkpoint *ckpt, int first,
                                      td_err *err);

/* Qwen's way: the same, but only if use_sliding_window. */
td_status td_config_read_qwen_window(td_config *config, const td_checkpoint *ckpt, td_err *err);

/* What Gemma 2 and 3 share: the window, scaled embeddings, and the scale of attention.  GGUF files
 * do not have the latter: it is a head's width but in the 27B model, known by its number of layers,
 * where it is the width of a head had the heads shared n_embd (models.md, 2.4). */
td_status td_config_read_gemma(td_config *config, const td_checkpoint *ckpt, int n_layer_27b,
                               td_err *err);

/* Marks the layers with a window: by the list layer_types or GGUF's per-layer pattern if the file
 * has one, else all but every period-th layer (period 1: none, 0: all).  Without a window nothing
 * is marked. */
td_status td_config_mark_windows(td_config *config, const td_checkpoint *ckpt, int period,
                                 td_err *err);

#endif
