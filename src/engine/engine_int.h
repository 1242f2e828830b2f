/* engine_int.h - the structures behind td_engine and td_sequence, for engine/ alone. */
#ifndef TD_ENGINE_ENGINE_INT_H
#define TD_ENGINE_ENGINE_INT_H

#include <stdatomic.h>

#include "base/strbuf.h"
#include "engine/engine.h"
#include "engine/sampler.h"
#include "model/model.h"
#include "text/grammar.h"

/* Writes matching intermediate results to <dir>/<step>-<order>-<name>.npy, order counting all
 * results of a step whether they match or not: sorted by name, the files stand in the order of the
 * computation. */
typedef struct td_dump {
    char *pattern, *dir; /* owned; NULL: off */
    int i_step, i_result;
    td_status failed; /* of the first file that could not be written */
    td_err err;
} td_dump;

/* One conversation.  Lifetime: from td_sequence_create to free.  Written by the engine's thread
 * only.
 *
 * tokens[0 .. n_eval) are in the KV cache, tokens[n_eval .. n_token) are queued.
 *
 *     idle --td_sequence_generate--> armed --finish (td_engine_step) or td_sequence_stop--> idle
 *
 * While armed, each step evaluates queued tokens; when none is left, a token is sampled and queued.
 */
struct td_sequence {
    td_engine *engine;  /* borrowed */
    int slot;           /* in the KV cache and in engine->slots */
    td_token *tokens;   /* owned; [n_ctx] */
    uint8_t *is_prompt; /* owned; [n_ctx] whether a token came in, and was not sampled here */
    int n_token, n_eval;
    bool is_long; /* what is in the KV cache was computed as of a sequence past the model's rope
                     switch */
    int n_first;  /* tokens of the first append: what a context shift keeps by default */
    bool armed;
    int n_left;          /* tokens still to generate; -1: no limit */
    int i_logits;        /* row of engine->logits of the last step, -1: none */
    td_sampler *sampler; /* owned */
    td_grammar *grammar; /* owned; NULL: none */
    td_matcher *matcher; /* owned; where the generation stands in the grammar; NULL: none */
    char **stops;        /* owned */
    int n_stop;
    size_t longest_stop;
    td_on_full on_full;
    int n_keep;
    bool show_special, ignore_end;
    td_detokenizer detokenizer;
    td_strbuf held; /* text that may still become a stop string */
    td_strbuf out;  /* text of the event of this step */
};

struct td_engine {
    td_checkpoint *ckpt; /* owned, like all that follows */
    td_vocab vocab;
    td_tokenizer *tokenizer;
    td_token_trie *trie; /* made for the first grammar; NULL: none yet */
    td_model *model;
    td_pool *pool;
    td_kv_cache *kv;
    td_arena packed;  /* packed weights; model lifetime */
    td_arena scratch; /* session lifetime: workspace, batch, logits */
    td_step step;
    td_workspace ws;
    td_mode mode;
    int n_ctx, n_batch, n_seq, n_out_max;
    int32_t *batch_token, *batch_position, *batch_sequence,
        *batch_length;        /* [n_batch], in scratch */
    uint8_t *batch_is_prompt; /* [n_batch], in scratch */
    float *out_h;             /* [n_out_max][n_embd], in scratch: rows whose logits are wanted */
    float *logits;            /* [n_out_max][n_vocab], in scratch */
    int *out_rows;            /* [n_out_max], in scratch */
    td_sequence **slots;      /* [n_seq]; NULL: free */
    int next_slot;            /* where the next step begins to look: they take turns */
    atomic_int cancel;        /* set by td_engine_cancel, cleared by the step that obeyed */
    td_dump dump;
    uint64_t *expert_counts; /* owned; [n_layer][n_expert]; NULL: not wanted */
    size_t longest_token;    /* bytes of the longest token text */
    char *name;              /* general.name or the file's name */
    uint64_t kv_bytes, scratch_bytes;
    double load_seconds;
    td_engine_stats stats;
};

/* engine.c: what the KV cache is to be like, of n_ctx positions; shapes: [TD_MAX_LAYERS]. */
td_kv_spec td_engine_kv_spec(const td_engine *engine, const td_engine_options *options,
                             td_kv_shape *shapes, int n_ctx);

/* placement.c: makes the plan of the options' rule file and does what it says of the CPU; the
 * caller opens the model anew if *materialize says so and it was opened otherwise. */
td_status td_engine_apply_rules(td_engine *engine, const td_engine_options *options,
                                bool *materialize, td_err *err);

/* load.c: packs the linears that fit into memory, has the others use the file's map; the progress
 * function may cancel. */
td_status td_engine_load_weights(td_engine *engine, const td_engine_options *options, td_err *err);

/* dump.c */
td_status td_dump_init(td_dump *dump, const char *pattern, const char *dir, td_err *err);
void td_dump_clear(td_dump *dump);
td_dump_fn td_dump_write; /* user: the td_dump */

/* forward.c: evaluates the first n entries of the batch arrays. */
td_status td_engine_forward(td_engine *engine, int n, td_err *err);
/* forward.c: logits of n rows of ws.h, given by index, into engine->logits; n <= n_out_max. */
void td_engine_logits(td_engine *engine, const int *rows, int n);

/* sequence.c: samples from logits row seq->i_logits and queues the token, or finishes.  Fills the
 * event; *has_event tells if there is one. */
td_status td_sequence_advance(td_sequence *seq, td_event *event, bool *has_event, td_err *err);

#endif
