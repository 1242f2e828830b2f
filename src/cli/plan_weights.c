/* plan_weights.c - asks the model for its tensors once, chooses types for all, and opens it again
 * with them. */
#include "cli/plan_weights.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "jobs/quantize_mix.h"

typedef struct listing {
    td_tensor *tensors; /* owned; [n], names in the arena */
    size_t n, cap, at;
    td_mix_choice *choices; /* owned; [n]; NULL: the first time */
    td_arena arena;
    bool failed;
} listing;

/* The first time: keeps the tensor.  The second time, in the same order: its type. */
static td_dtype list_or_choose(void *user, const char *gguf, const td_tensor *t, int i_layer) {
    listing *l = user;
    (void)i_layer;
    if (l->choices) return l->at < l->n ? l->choices[l->at++].dtype : t->dtype;
    char *name = td_arena_strndup(&l->arena, gguf, strlen(gguf));
    if (!name || td_grow((void **)&l->tensors, &l->cap, l->n + 1, sizeof *l->tensors, "tensors",
                         NULL) != TD_OK) {
        l->failed = true;
        return t->dtype;
    }
    l->tensors[l->n] = *t;
    l->tensors[l->n++].name = name;
    return t->dtype;
}

static td_status choose(listing *l, const td_model *m, const char *mix, td_err *err) {
    const td_config *c = &m->config;
    td_mix_options o = {
        .model = {.arch = m->arch->name,
                  .n_layer = c->n_layer,
                  .n_head = c->n_head,
                  .n_head_kv = c->n_head_kv,
                  .n_expert = c->router.n_expert},
        .has_imatrix = true,
        .output_dtype = -1,
        .token_embd_dtype = -1
    };
    TD_TRY(td_mix_find(&o.mix, mix, err));
    td_mix_choice *choices = td_calloc(l->n + 1, sizeof *choices);
    const td_tensor **tensors = td_calloc(l->n + 1, sizeof *tensors);
    td_status status = choices && tensors ? TD_OK : td_fail_nomem(err, "the tensors", l->n);
    for (size_t i = 0; i < l->n && status == TD_OK; i++) tensors[i] = &l->tensors[i];
    if (status == TD_OK) status = td_mix_choose(&o, tensors, l->n, choices, err);
    td_free(tensors);
    l->choices = choices;
    return status;
}

static td_status open_as_mix(td_model **out, const td_checkpoint *ckpt, const char *mix, listing *l,
                             td_err *err) {
    const td_model_options options = {
        .assume = true, .assume_type = list_or_choose, .assume_user = l};
    td_model *first;
    TD_TRY(td_model_open(&first, ckpt, &options, err));
    td_status status = l->failed ? td_fail_nomem(err, "the tensors", l->n) : TD_OK;
    if (status == TD_OK) status = choose(l, first, mix, err);
    td_model_close(first);
    return status == TD_OK ? td_model_open(out, ckpt, &options, err) : status;
}

td_status td_plan_open_assumed(td_model **out, const td_checkpoint *ckpt, const char *type,
                               const char **taken, td_err *err) {
    const bool quantized = td_checkpoint_meta(ckpt, "quantization_config.quant_method") != NULL;
    const td_model_options native = {.assume = true};
    *taken = type ? type : quantized ? "native" : "Q4_K_M";
    if (strcasecmp(*taken, "native") == 0) return td_model_open(out, ckpt, &native, err);
    listing l = {0};
    td_arena_init(&l.arena, 1 << 16);
    const td_status status = open_as_mix(out, ckpt, *taken, &l, err);
    td_free(l.tensors);
    td_free(l.choices);
    td_arena_clear(&l.arena);
    return status;
}
