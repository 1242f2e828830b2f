/* synth_int.h - the parts of synth-model: shapes give a list of arrays, a filler gives their bytes,
 * and a file format lays both out. */
#ifndef TD_TOOLS_SYNTH_INT_H
#define TD_TOOLS_SYNTH_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "engine/random.h"
#include "format/checkpoint.h"
#include "jobs/quantize_mix.h"
#include "tensor/dtype.h"

/* ---- shapes ---- */

typedef enum synth_family { SYNTH_LLAMA, SYNTH_QWEN3, SYNTH_MINIMAX, SYNTH_DEEPSEEK } synth_family;

/* How the hub has the weights: all in BF16; linears in FP8 with a scale for 128 x 128; experts in
 * INT4 with a scale for 32. */
typedef enum synth_native { SYNTH_BF16, SYNTH_FP8, SYNTH_INT4 } synth_native;

typedef struct synth_shape {
    const char *name;
    synth_family family;
    synth_native native;
    const char *arch;                                  /* general.architecture */
    const char *pre;                                   /* tokenizer.ggml.pre */
    const char *hub_class, *hub_type;                  /* of config.json */
    int64_t n_layer, n_dense;                          /* dense ones come first */
    int64_t n_embd, n_ff, n_ff_exp;                    /* widths; n_ff is of dense layers */
    int64_t n_expert, n_expert_used, n_expert_shared;  /* 0: none */
    int64_t n_group, n_group_used;                     /* 0: the configuration has no such keys */
    int64_t n_head, n_head_kv, head_dim, n_rot, v_dim; /* head_dim: of queries, n_rot included */
    int64_t q_lora, kv_lora;                           /* latent attention; q_lora 0: none */
    int64_t n_vocab, bos, eos, n_ctx;
    double eps, theta;
    double yarn, beta_fast, beta_slow, mscale; /* yarn: its factor over 4096 positions; 0: none */
    double weights_scale;                      /* of expert weights; 0: no such key */
    bool sigmoid, normalized;                  /* the router */
    bool add_bos;
} synth_shape;

/* What the command line may change of a shape; 0: nothing. */
typedef struct synth_cut {
    int64_t n_layer, n_expert, n_vocab, shrink;
} synth_cut;

/* All of them. */
const synth_shape *synth_shapes(int *n);

/* TD_ERR_ARGUMENT for a name or a cut that cannot be. */
td_status synth_shape_find(synth_shape *out, const char *name, const synth_cut *cut, td_err *err);

static inline bool synth_is_latent(const synth_shape *s) { return s->kv_lora > 0; }
static inline bool synth_has_experts(const synth_shape *s, int64_t i_layer) {
    return s->n_expert > 0 && i_layer >= s->n_dense;
}

/* ---- arrays ---- */

typedef enum synth_what {
    SYNTH_WEIGHT,     /* rows of blocks of `dtype` */
    SYNTH_ROUTER,     /* the same, each row drawn anew so that no two experts ever tie */
    SYNTH_NORM,       /* near 1 */
    SYNTH_BIAS,       /* small; for the selection of experts */
    SYNTH_CODES_FP8,  /* bytes */
    SYNTH_CODES_INT4, /* words of eight */
    SYNTH_SCALE_FP8,
    SYNTH_SCALE_INT4,
    SYNTH_SHAPE /* two integers: the shape of packed codes */
} synth_what;

enum { SYNTH_MAX_NAME = 80 };

typedef struct synth_array {
    char name[SYNTH_MAX_NAME];
    synth_what what;
    td_dtype dtype; /* of all but codes and shapes */
    int n_dims;
    int64_t ne[3];  /* ne[0] varies fastest; unused ones are 1.  Codes: counted in weights. */
    int64_t fan_in; /* a weight's variance is its inverse */
    int64_t expert; /* which one's it is; -1: no routed expert's alone */
    bool stacked;   /* all experts', along ne[2] */
} synth_array;

typedef struct synth_list {
    synth_array *at; /* owned */
    size_t n, cap;
    int64_t n_weight; /* elements of weights and routers, not of scales and shapes */
} synth_list;

void synth_list_clear(synth_list *list);

/* All arrays as a GGUF file has them, weights being F32 until synth_choose_types(). */
td_status synth_list_gguf(synth_list *list, const synth_shape *s, td_err *err);
/* As a folder has them; native or all BF16. */
td_status synth_list_folder(synth_list *list, const synth_shape *s, bool native, td_err *err);

/* The types that the mix gives. */
td_status synth_choose_types(synth_list *list, const synth_shape *s, const td_mix *mix,
                             td_err *err);

td_status synth_array_bytes(size_t *out, const synth_array *a, td_err *err);

/* ---- bytes ---- */

/* Where bytes go. */
typedef struct synth_sink {
    void *user;
    td_status (*write)(void *user, const void *data, size_t n, td_err *err);
    td_status (*hole)(void *user, uint64_t n, td_err *err);
} synth_sink;

typedef struct synth_pool synth_pool; /* private: random blocks of one type and size */

/* Lifetime: one file or folder. */
typedef struct synth_filler {
    uint64_t seed;
    bool sparse;       /* experts but the first are holes */
    synth_pool *pools; /* owned */
    size_t n_pool, cap_pool;
    uint8_t *buffer;  /* owned */
    td_random random; /* of the array being written */
} synth_filler;

td_status synth_filler_init(synth_filler *f, uint64_t seed, bool sparse, td_err *err);
void synth_filler_clear(synth_filler *f);

/* The bytes of array number `i`; they are a function of seed, i and the array. */
td_status synth_fill(synth_filler *f, const synth_array *a, size_t i, const synth_sink *sink,
                     td_err *err);

/* ---- vocabulary: the bytes, one merge of two spaces, numbered words, and bos and eos ---- */

typedef struct synth_vocab {
    td_arena arena;
    td_string *tokens; /* [n] */
    int32_t *types;    /* [n], GGUF's */
    int64_t n;
    char merge[8]; /* of two spaces */
} synth_vocab;

td_status synth_vocab_init(synth_vocab *v, const synth_shape *s, td_err *err);
void synth_vocab_clear(synth_vocab *v);

extern const char synth_template[]; /* the chat template: the messages' texts, one on a line */

/* ---- formats ---- */

td_status synth_write_gguf(const char *path, const synth_shape *s, const td_mix *mix,
                           const synth_list *list, synth_filler *f, td_err *err);
td_status synth_write_folder(const char *path, const synth_shape *s, bool native,
                             const synth_list *list, synth_filler *f, td_err *err);

/* The text of config.json. */
void synth_config(td_strbuf *out, const synth_shape *s, bool native);

#endif
