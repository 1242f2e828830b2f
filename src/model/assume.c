/* assume.c - see assume.h. */
#include "model/assume.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "text/regex.h"

enum {
    MAX_PARTS = 1 << 18, /* experts, or heads of latent attention, in all layers */
    MAX_KEY = 128,
    PATTERN_NAME = 64
};

/* How the weights of a folder are quantized. */
typedef struct scheme {
    td_dtype dtype;     /* of the weights concerned */
    bool experts_only;  /* others stay what they are */
    int64_t rows, cols; /* that share a scale; cols 0: all */
    int scale_bytes;    /* of one; 0: no weight is quantized */
    int zero_bits;      /* beside each scale */
} scheme;

/* A weight that stays what it is: "lm_head", "model.layers.*.self_attn", or "re:" and a regular
 * expression. */
typedef struct exclusion {
    td_string text;
    td_regex *regex; /* owned; NULL: text is a path, '*' in it standing for anything */
} exclusion;

typedef struct assumed {
    td_tensor tensor;
    int i_layer;
    struct assumed *before;
} assumed;

struct td_assumption {
    scheme scheme;
    td_dtype plain;        /* of what is not quantized */
    exclusion *exclusions; /* owned; [n_exclusion] */
    size_t n_exclusion;
    td_regex_scratch *scratch; /* owned */
    assumed *last;             /* in the model's arena */
    size_t n_bytes;
    const float *zeros; /* in the model's arena; [n_zero] */
    int n_zero;
};

/* ---- quantization_config ---- */

static const td_meta *quant_meta(const td_checkpoint *ckpt, const char *key) {
    static const char *const places[] = {"quantization_config", "text_config.quantization_config",
                                         "compression_config"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char name[MAX_KEY];
        snprintf(name, sizeof name, "%s.%s", places[i], key);
        const td_meta *m = td_checkpoint_meta(ckpt, name);
        if (m) return m;
    }
    return NULL;
}

static td_string quant_text(const td_checkpoint *ckpt, const char *key) {
    const td_meta *m = quant_meta(ckpt, key);
    return m && m->type == TD_META_STRING ? td_meta_string(m, 0) : (td_string){NULL, 0};
}

static td_status quant_int(const td_checkpoint *ckpt, const char *key, int64_t *out, td_err *err) {
    const td_meta *m = quant_meta(ckpt, key);
    return m ? td_checkpoint_get_int(ckpt, m->key, true, -1, INT32_MAX, out, err) : TD_OK;
}

static td_status read_fp8(const td_checkpoint *ckpt, scheme *s, td_err *err) {
    const td_meta *block = quant_meta(ckpt, "weight_block_size");
    if (!block) block = quant_meta(ckpt, "config_groups.group_0.weights.block_structure");
    *s = (scheme){.dtype = TD_DTYPE_F8_E4M3, .rows = 1, .scale_bytes = 4};
    if (!block) return TD_OK;
    if (block->type != TD_META_ARRAY || block->elem_type != TD_META_INT || block->n_elem != 2 ||
        td_meta_int(block, 0) < 1 || td_meta_int(block, 1) < 1)
        return td_fail(err, TD_ERR_FORMAT, "key '%s' is not two integers from 1 on", block->key);
    s->rows = td_meta_int(block, 0);
    s->cols = td_meta_int(block, 1);
    return TD_OK;
}

static td_status unknown_bits(const char *key, int64_t bits, const char *wanted, td_err *err) {
    return td_fail(err, TD_ERR_UNSUPPORTED, "quantization_config.%s is %" PRId64 ", wanted %s", key,
                   bits, wanted);
}

static td_status read_compressed(const td_checkpoint *ckpt, scheme *s, td_err *err) {
    static const char bits_key[] = "config_groups.group_0.weights.num_bits";
    const td_string format = quant_text(ckpt, "format");
    int64_t bits = 0, group = 32;
    TD_TRY(quant_int(ckpt, bits_key, &bits, err));
    TD_TRY(quant_int(ckpt, "config_groups.group_0.weights.group_size", &group, err));
    if (bits == 8 && td_string_is(quant_text(ckpt, "config_groups.group_0.weights.type"), "float"))
        return read_fp8(ckpt, s, err);
    if (bits != 4) return unknown_bits(bits_key, bits, "4, or 8 of type 'float'", err);
    if (td_string_is(format, "mxfp4-pack-quantized")) {
        *s = (scheme){.dtype = TD_DTYPE_MXFP4, .rows = 1, .cols = 32, .scale_bytes = 1};
        return TD_OK;
    }
    if (group < 32 || group % 32 != 0)
        return unknown_bits("config_groups.group_0.weights.group_size", group, "a multiple of 32",
                            err);
    *s = (scheme){.dtype = TD_DTYPE_INT4, .rows = 1, .cols = group, .scale_bytes = 2};
    return TD_OK;
}

static td_status read_gptq(const td_checkpoint *ckpt, scheme *s, td_err *err) {
    int64_t bits = 4, group = 128;
    TD_TRY(quant_int(ckpt, "bits", &bits, err));
    TD_TRY(quant_int(ckpt, "group_size", &group, err));
    if (bits != 4) return unknown_bits("bits", bits, "4", err);
    if (group < 32 || group % 32 != 0)
        return unknown_bits("group_size", group, "a multiple of 32", err);
    *s = (scheme){.dtype = group % 128 == 0 ? TD_DTYPE_INT4_Z128 : TD_DTYPE_INT4_Z32,
                  .rows = 1,
                  .cols = group,
                  .scale_bytes = 2,
                  .zero_bits = 4};
    return TD_OK;
}

static td_status read_scheme(const td_checkpoint *ckpt, scheme *s, td_err *err) {
    const td_string method = quant_text(ckpt, "quant_method");
    *s = (scheme){0};
    if (!method.text) return TD_OK;
    if (td_string_is(method, "fp8") || td_string_is(method, "fbgemm_fp8"))
        return read_fp8(ckpt, s, err);
    if (td_string_is(method, "compressed-tensors")) return read_compressed(ckpt, s, err);
    if (td_string_is(method, "gptq") || td_string_is(method, "awq")) return read_gptq(ckpt, s, err);
    if (td_string_is(method, "mxfp4")) {
        *s = (scheme){
            .dtype = TD_DTYPE_MXFP4, .experts_only = true, .rows = 1, .cols = 32, .scale_bytes = 1};
        return TD_OK;
    }
    const char *why = td_checkpoint_unsupported(ckpt);
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s",
                   why ? why
                       : "quantization_config.quant_method is one that this build cannot read");
}

static td_status read_exclusions(td_assumption *a, const td_checkpoint *ckpt, td_err *err) {
    const td_meta *list = quant_meta(ckpt, "modules_to_not_convert");
    if (!list) list = quant_meta(ckpt, "ignore");
    if (!list || list->type != TD_META_ARRAY || list->elem_type != TD_META_STRING) return TD_OK;
    a->exclusions = td_calloc((size_t)list->n_elem, sizeof *a->exclusions);
    if (!a->exclusions) return td_fail_nomem(err, "a list of modules", (size_t)list->n_elem);
    for (uint64_t i = 0; i < list->n_elem; i++) {
        exclusion *e = &a->exclusions[a->n_exclusion++];
        e->text = td_meta_string(list, i);
        if (e->text.n < 3 || memcmp(e->text.text, "re:", 3) != 0) continue;
        TD_TRY(td_regex_create(&e->regex, e->text.text + 3, e->text.n - 3, TD_REGEX_PCRE, list->key,
                               err));
    }
    return TD_OK;
}

/* Does the path with its wildcards, which stand for a part between dots or less, match the
 * beginning of `name`, up to a dot or its end? */
static bool path_begins(td_string path, const char *name) {
    size_t i = 0, after_star = 0; /* 0: no star yet */
    const char *from = NULL;      /* what the last star ends before */
    for (;;) {
        if (i < path.n && path.text[i] == '*') {
            after_star = ++i;
            from = name;
        } else if (i == path.n ? *name == 0 || *name == '.' : path.text[i] == *name && *name) {
            if (i == path.n) return true;
            i++;
            name++;
        } else {
            if (after_star == 0 || *from == 0 || *from == '.') return false;
            name = ++from;
            i = after_star;
        }
    }
}

/* Anywhere in the name, from the beginning of a part on. */
static bool path_is_in(td_string path, const char *name) {
    while (name) {
        if (path_begins(path, name)) return true;
        name = strchr(name, '.');
        if (name) name++;
    }
    return false;
}

static td_status is_excluded(td_assumption *a, const char *name, bool *out, td_err *err) {
    *out = false;
    for (size_t i = 0; i < a->n_exclusion && !*out; i++) {
        const exclusion *e = &a->exclusions[i];
        td_regex_range range = {0};
        if (e->regex) {
            TD_TRY(td_regex_find(e->regex, &a->scratch, name, strlen(name), 0, &range, err));
            *out = range.found && range.begin == 0;
        } else {
            *out = e->text.n > 0 && path_is_in(e->text, name);
        }
    }
    return TD_OK;
}

/* ---- the assumption ---- */

static td_status read_plain(const td_checkpoint *ckpt, td_dtype *out, td_err *err) {
    static const td_setting set = {NULL, "dtype|torch_dtype"};
    td_string name;
    *out = TD_DTYPE_BF16;
    TD_TRY(td_config_get_string(ckpt, set, &name, err));
    if (td_string_is(name, "float16")) *out = TD_DTYPE_F16;
    if (td_string_is(name, "float32")) *out = TD_DTYPE_F32;
    return TD_OK;
}

/* Each is an object here, which no tensor of a file vouches for. */
static td_status check_parts(const td_model *m, int n, const char *what, td_err *err) {
    if ((int64_t)m->config.n_layer * n <= MAX_PARTS) return TD_OK;
    return td_fail(err, TD_ERR_LIMIT,
                   "%d layers of %d %s: wanted at most %d in a configuration without weights",
                   m->config.n_layer, n, what, MAX_PARTS);
}

td_status td_assume_init(td_model *m, td_err *err) {
    TD_TRY(check_parts(m, m->config.router.n_expert, "experts", err));
    if (m->config.mla.n_rank_kv > 0) TD_TRY(check_parts(m, m->config.n_head, "heads", err));
    td_assumption *a = m->assumption = td_calloc(1, sizeof *a);
    if (!a) return td_fail_nomem(err, "the model's tensors", sizeof *a);
    TD_TRY(read_plain(m->ckpt, &a->plain, err));
    TD_TRY(read_scheme(m->ckpt, &a->scheme, err));
    return read_exclusions(a, m->ckpt, err);
}

void td_assume_clear(td_assumption *a) {
    if (!a) return;
    for (size_t i = 0; i < a->n_exclusion; i++) td_regex_free(a->exclusions[i].regex);
    td_regex_scratch_free(a->scratch);
    td_free(a->exclusions);
    td_free(a);
}

/* Layers are built one after the other, so the search ends where the layer begins. */
const td_tensor *td_assume_find(const td_assumption *a, const char *name, int i_layer) {
    for (const assumed *t = a->last; t && t->i_layer == i_layer; t = t->before)
        if (strcmp(t->tensor.name, name) == 0) return &t->tensor;
    return NULL;
}

/* ---- types and sizes ---- */

/* Bytes of `rows` rows of k elements in a folder quantized by s, the scales included. */
static td_status quantized_bytes(const scheme *s, int64_t k, int64_t n, int64_t n_matrix,
                                 size_t *out, td_err *err) {
    const int64_t cols = s->cols ? s->cols : k;
    const size_t n_scale = (size_t)((n - 1) / s->rows + 1) * (size_t)((k - 1) / cols + 1);
    const int bits = s->dtype == TD_DTYPE_F8_E4M3 ? 8 : 4;
    size_t one; /* n and k are below 2^31: this cannot overflow */
    one = (size_t)n * (size_t)k / 8 * (size_t)bits + n_scale * (size_t)s->scale_bytes +
          n_scale * (size_t)s->zero_bits / 8;
    return td_mul_size(out, one, (size_t)n_matrix, "a tensor", err);
}

static td_status set_type(td_model *m, const td_assume_want *want, td_tensor *t, td_err *err) {
    td_assumption *a = m->assumption;
    const scheme *s = &a->scheme;
    bool excluded = false;
    t->dtype = a->plain;
    const bool quantized =
        s->scale_bytes > 0 &&
        (want->kind == TD_ASSUME_EXPERTS || (want->kind == TD_ASSUME_LINEAR && !s->experts_only));
    if (quantized) TD_TRY(is_excluded(a, t->name, &excluded, err));
    if (quantized && !excluded) t->dtype = s->dtype;
    const td_dtype native = t->dtype;
    if (m->options.assume_type && want->gguf)
        t->dtype = m->options.assume_type(m->options.assume_user, want->gguf, t, want->i_layer);
    if (t->dtype == native && quantized && !excluded)
        return quantized_bytes(s, t->ne[0], t->ne[1], t->ne[2], &t->n_bytes, err);
    TD_TRY(td_dtype_row_bytes(&t->n_bytes, t->dtype, (size_t)t->ne[0], err));
    return td_mul_size(&t->n_bytes, t->n_bytes, (size_t)td_tensor_rows(t), "a tensor", err);
}

td_status td_assume_make(td_model *m, const td_assume_want *want, const td_tensor **out,
                         td_err *err) {
    td_assumption *a = m->assumption;
    *out = td_assume_find(a, want->name, want->i_layer);
    if (*out) return TD_OK;
    assumed *made = td_arena_calloc(&m->arena, 1, sizeof *made);
    char *name = td_arena_strndup(&m->arena, want->name, strlen(want->name));
    if (!made || !name) return td_fail_nomem(err, "the model's tensors", sizeof *made);
    td_tensor *t = &made->tensor;
    t->name = name;
    size_t n_elem = 1;
    for (int i = 0; i < TD_MAX_DIMS; i++) {
        t->ne[i] = want->ne[i] > 0 ? want->ne[i] : 1;
        t->n_dims += want->ne[i] > 0;
        TD_TRY(td_mul_size(&n_elem, n_elem, (size_t)t->ne[i] * (i == 0 ? 16 : 1), "a tensor", err));
    }
    TD_TRY(set_type(m, want, t, err));
    TD_TRY(td_add_size(&a->n_bytes, a->n_bytes, t->n_bytes, "the model's tensors", err));
    made->i_layer = want->i_layer;
    made->before = a->last;
    a->last = made;
    *out = t;
    return TD_OK;
}

td_status td_assume_zeros(td_model *m, int n, const float **out, td_err *err) {
    td_assumption *a = m->assumption;
    if (n > a->n_zero) {
        a->zeros = td_arena_calloc(&m->arena, (size_t)n, sizeof *a->zeros);
        a->n_zero = a->zeros ? n : 0;
        if (!a->zeros) return td_fail_nomem(err, "the model's floats", (size_t)n);
    }
    *out = a->zeros;
    return TD_OK;
}
