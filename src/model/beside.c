/* beside.c - weights and a configuration that come from two places: are they of one model? */
#include <limits.h>

#include "model/model.h"

/* A size that both state. */
typedef struct pair {
    const char *what;
    int of_weights, of_folder;
    bool skip; /* it says nothing here */
} pair;

static td_status fail_pair(const td_checkpoint *ckpt, const pair *p, td_err *err) {
    return td_fail(err, TD_ERR_FORMAT,
                   "%s: %d %s, but %d in the configuration of '%s': wanted weights and "
                   "configuration of one model",
                   td_checkpoint_path(ckpt), p->of_weights, p->what, p->of_folder,
                   td_checkpoint_path(td_checkpoint_beside(ckpt)));
}

/* The embedding table may have fewer rows than the configuration says, for converters leave out
 * what pads it; that each token has a row is td_model_check_vocab's to see. */
static td_status check_vocab(const td_checkpoint *ckpt, int n_vocab, td_err *err) {
    static const td_setting setting = {NULL, "vocab_size"};
    int n = n_vocab;
    TD_TRY(td_config_get_int(td_checkpoint_beside(ckpt), setting, false, 1, INT_MAX, &n, err));
    const pair p = {"rows of embeddings", n_vocab, n, false};
    return n_vocab <= n ? TD_OK : fail_pair(ckpt, &p, err);
}

td_status td_model_check_beside(const td_model *m, const td_config *f, td_err *err) {
    const td_config *w = &m->config;
    const bool is_mla = w->mla.n_rank_kv > 0 && f->mla.n_rank_kv > 0;
    const bool has_experts = w->router.n_expert > 0 && f->router.n_expert > 0;
    /* Files of the absorbed form count one head of keys; a mixture without dense layers need not
     * say how wide its MLP would be. */
    const pair pairs[] = {
        {"layers",                   w->n_layer,         f->n_layer,         false       },
        {"numbers per token",        w->n_embd,          f->n_embd,          false       },
        {"attention heads",          w->n_head,          f->n_head,          false       },
        {"heads of keys and values", w->n_head_kv,       f->n_head_kv,       is_mla      },
        {"numbers per head",         w->head_dim,        f->head_dim,        is_mla      },
        {"numbers per latent",       w->mla.n_rank_kv,   f->mla.n_rank_kv,   false       },
        {"experts",                  w->router.n_expert, f->router.n_expert, false       },
        {"experts per token",        w->router.n_used,   f->router.n_used,   false       },
        {"numbers inside an expert", w->n_ff_expert,     f->n_ff_expert,     !has_experts},
        {"numbers inside the MLP",   w->n_ff,            f->n_ff,            has_experts },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (!pairs[i].skip && pairs[i].of_weights != pairs[i].of_folder)
            return fail_pair(m->ckpt, &pairs[i], err);
    return check_vocab(m->ckpt, m->config.n_vocab, err);
}
