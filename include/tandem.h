/* tandem.h - the whole public interface of libtandem.
 *
 * The model of use.  An engine is one loaded model with its workers and its KV cache.  A sequence
 * is one conversation in that engine: its tokens, its place in the KV cache, its sampler.  Tokens
 * are queued with td_sequence_append(), generation is asked for with td_sequence_generate(), and
 * every call of td_engine_step() does one forward pass over what all sequences have waiting and
 * reports what came out as events.  One conversation is the case of one sequence; nothing else
 * changes for several.
 *
 *     td_engine *e;  td_sequence *s;  td_event ev[4];  int n;
 *     td_engine_create(&e, &(td_engine_options){.model_path = "m.gguf"}, &err);
 *     td_sequence_create(&s, e, &(td_sequence_options){0}, &err);
 *     td_sequence_append_text(s, "The capital of France is", TD_TOKENIZE_ADD_SPECIAL, &err);
 *     td_sequence_generate(s, 16, &err);
 *     while (td_sequence_is_active(s) && td_engine_step(e, ev, 4, &n, &err) == TD_OK)
 *         for (int i = 0; i < n; i++) fwrite(ev[i].text, 1, ev[i].n_text, stdout);
 *
 * Errors.  What can fail returns td_status and takes `td_err *err` last (NULL allowed); the message
 * names what was wrong, where, and what was wanted.  After a failure the objects stay valid unless
 * said otherwise.
 *
 * Threads.  An engine and its sequences belong to one thread at a time.  td_engine_cancel() alone
 * may be called from any thread and from a signal handler.
 *
 * Ownership.  Strings passed in are copied if kept.  Strings handed out as `const` are borrowed and
 * say for how long; those handed out as `char *` are freed with td_string_free(). */
#ifndef TANDEM_H
#define TANDEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TD_API __attribute__((visibility("default")))
#else
#define TD_API
#endif

/* ---- status and errors --------------------------------------------------------------------------
 */

/* name, text */
#define TD_STATUS_LIST(X)                                                                          \
    X(TD_OK, "ok")                                                                                 \
    X(TD_ERR_NOMEM, "out of memory")                                                               \
    X(TD_ERR_IO, "input or output failed")                                                         \
    X(TD_ERR_FORMAT, "malformed input")                                                            \
    X(TD_ERR_UNSUPPORTED, "not supported")                                                         \
    X(TD_ERR_ARGUMENT, "invalid argument")                                                         \
    X(TD_ERR_LIMIT, "limit exceeded")                                                              \
    X(TD_ERR_CANCELLED, "cancelled")

#define TD_STATUS_ENUM(name, text) name,
typedef enum td_status { TD_STATUS_LIST(TD_STATUS_ENUM) TD_N_STATUS } td_status;
#undef TD_STATUS_ENUM

typedef struct td_err {
    td_status code;
    char msg[1024]; /* a sentence for a person; cut in the middle when too long */
} td_err;

/* A short text for a status, never NULL. */
TD_API const char *td_status_text(td_status status);

/* ---- library ------------------------------------------------------------------------------------
 */

/* "0.1.0" */
TD_API const char *td_version(void);

/* The CPU level in use ("avx512vnni"), after what TD_CPU lowered. */
TD_API const char *td_cpu_level(void);

/* All compiled-in levels, in rising order, separated by spaces. */
TD_API const char *td_cpu_levels(void);

typedef enum td_log_level { TD_LOG_ERROR, TD_LOG_WARN, TD_LOG_INFO, TD_LOG_DEBUG } td_log_level;
typedef void td_log_fn(void *user, td_log_level level, const char *line);

/* Where the library's log lines go (NULL: nowhere, the default).  Call before the first engine is
 * created. */
TD_API void td_log_set(td_log_fn *fn, void *user, td_log_level max_level);

/* Frees what this library handed out as `char *`; NULL is fine. */
TD_API void td_string_free(char *s);

/* ---- engine -------------------------------------------------------------------------------------
 */

typedef struct td_engine td_engine;
typedef struct td_sequence td_sequence;
typedef int32_t td_token;

/* How numbers are computed: DESIGN, "Numbers on the CPU". */
typedef enum td_mode {
    TD_MODE_NATIVE, /* integer dot products in the weights' own block types */
    TD_MODE_EXACT   /* weights dequantized, float32 everywhere, KV in f32 */
} td_mode;

/* Number formats of the KV cache. */
typedef enum td_kv_type {
    TD_KV_DEFAULT /* f16; f32 in exact mode */,
    TD_KV_F16,
    TD_KV_F32,
    TD_KV_Q8_0, /* blocks of 32 as GGUF's type: heads must be a multiple of 32 wide */
    TD_KV_Q4_0
} td_kv_type;

/* Called while loading with the stage and the bytes done and to do; return false to cancel. */
typedef bool td_progress_fn(void *user, const char *stage, uint64_t done, uint64_t total);

enum { TD_N_CTX_LARGEST = -1 }; /* as many positions as the model has and memory is left for */

/* Zero means the default. */
typedef struct td_engine_options {
    const char *model_path;   /* a GGUF file, or the first of several, or a Hugging Face folder */
    const char *weights_path; /* the same for weights that lie elsewhere: model_path is then the
                                 folder of configuration and tokenizer; NULL: they lie there */
    const char *rules_path;   /* a rule file of KTransformers'; NULL: none */
    bool strict_rules;        /* what the rules say and cannot be done is an error */
    int n_thread;             /* default: the CPUs this process may use */
    int n_ctx;                /* positions per sequence; default: the model's, at most 4096; or
                                 TD_N_CTX_LARGEST */
    int n_seq;                /* sequences at a time; default 1 */
    int n_batch;              /* tokens per forward pass; default 512 */
    td_mode mode;
    td_kv_type kv_type;       /* of keys, and of values unless: */
    td_kv_type kv_value_type; /* default: as kv_type */
    bool experts_on_disk;     /* experts stay in the file, also if they would fit into memory */
    bool materialize_prompt;  /* multi-head latent attention: prompt tokens take the materialized
                                 form, not the absorbed one (DESIGN, "Numbers on the CPU") */
    bool count_experts;       /* for td_engine_expert_counts() */
    const char *dump_pattern; /* glob over tensor names ("layers.3.*"); NULL: no dump */
    const char *dump_dir;     /* where the .npy files go; must exist */
    td_progress_fn *progress; /* may be NULL */
    void *progress_user;
} td_engine_options;

/* On failure *out is NULL and nothing is left behind. */
TD_API td_status td_engine_create(td_engine **out, const td_engine_options *options, td_err *err);
TD_API void td_engine_free(td_engine *engine); /* NULL is fine; frees its sequences too */

typedef struct td_engine_info {
    const char *architecture; /* "llama"; strings are borrowed from the engine */
    const char *model_name;   /* from the file, or the file's name */
    int n_ctx, n_ctx_train, n_vocab, n_layer, n_thread, n_batch;
    td_token bos, eos; /* -1: none */
    bool has_chat_template;
    uint64_t n_parameter;
    uint64_t weight_bytes; /* of the tensors in the file */
    uint64_t kv_bytes;     /* reserved for the KV cache */
    double load_seconds;
} td_engine_info;

TD_API void td_engine_get_info(const td_engine *engine, td_engine_info *info);

/* How often each expert of a layer was chosen since the engine was made: *n_expert counts, borrowed
 * from the engine; NULL and 0 for a layer without experts, or if count_experts was not set. */
TD_API const uint64_t *td_engine_expert_counts(const td_engine *engine, int i_layer, int *n_expert);

/* Stops the step under way (it returns TD_ERR_CANCELLED at the next layer) or else the next one.
 * Async-signal-safe. */
TD_API void td_engine_cancel(td_engine *engine);

/* ---- text and tokens ----------------------------------------------------------------------------
 */

enum {
    TD_TOKENIZE_ADD_SPECIAL =
        1, /* add BOS and EOS where the model wants them, never a second BOS */
    TD_TOKENIZE_PARSE_SPECIAL = 2 /* "<|im_end|>" in the text becomes the control token */
};

/* *tokens is malloc'd: free it with td_tokens_free(). Text need not be NUL-terminated nor valid
 * UTF-8. */
TD_API td_status td_engine_tokenize(const td_engine *engine, const char *text, size_t n_text,
                                    int flags, td_token **tokens, int *n_token, td_err *err);
TD_API void td_tokens_free(td_token *tokens);

/* The bytes of one token, borrowed from the engine; control tokens give "" unless with_special. */
TD_API const char *td_engine_token_text(const td_engine *engine, td_token token, bool with_special,
                                        size_t *n_text);

/* True if the model ends its turn with this token. */
TD_API bool td_engine_token_is_end(const td_engine *engine, td_token token);

typedef struct td_message {
    const char *role;    /* "system", "user", "assistant", "tool" ... */
    const char *content; /* NUL-terminated UTF-8 */
} td_message;

/* Zero means the default. */
typedef struct td_template_options {
    bool no_generation_prompt;
    const char *vars_json;  /* an object whose members become template variables; NULL: none */
    const char *tools_json; /* an array of tools; NULL: none */
    const char *source;     /* a template to use in place of the model's; NULL: the model's */
} td_template_options;

/* The prompt text for a conversation.  A model without a template gives TD_ERR_UNSUPPORTED.
 * Tokenize it with TD_TOKENIZE_PARSE_SPECIAL | TD_TOKENIZE_ADD_SPECIAL. */
TD_API td_status td_engine_apply_template(const td_engine *engine, const td_message *messages,
                                          int n_message, const td_template_options *options,
                                          char **out, td_err *err);

/* ---- sequences ----------------------------------------------------------------------------------
 */

/* Zero means off or neutral unless said otherwise, so that {0} is greedy decoding.  The order in
 * which these act, and the random generator, are described in docs/OPTIONS.md, "Sampling". */
typedef struct td_sampler_options {
    float temperature; /* 0: greedy */
    int top_k;         /* 0: off */
    float top_p;       /* 0 or 1: off */
    float min_p;       /* 0: off */
    float typical_p;   /* 0 or 1: off */
    float xtc_probability, xtc_threshold;
    float repeat_penalty; /* 0 or 1: off */
    float presence_penalty, frequency_penalty;
    int penalty_last_n; /* window of the three penalties; 0: 64; -1: the whole context */
    float dry_multiplier, dry_base;  /* base 0: 1.75 */
    int dry_allowed_length;          /* 0: 2 */
    int dry_last_n;                  /* 0: the whole context */
    const char *const *dry_breakers; /* NULL: "\n" ":" "\"" "*" */
    int n_dry_breaker;
    const td_token *bias_tokens; /* logit bias: tokens and what is added to their logits */
    const float *bias_values;
    int n_bias;
    uint64_t seed; /* the same seed gives the same text */
} td_sampler_options;

typedef enum td_on_full {
    TD_ON_FULL_STOP,  /* finish with TD_FINISH_CONTEXT */
    TD_ON_FULL_SHIFT, /* drop the oldest half after the first n_keep tokens and prefill again */
    TD_ON_FULL_ERROR  /* td_engine_step() fails with TD_ERR_LIMIT */
} td_on_full;

typedef struct td_sequence_options {
    td_sampler_options sampler;
    const char *const *stops; /* stop strings; they are not part of the text that comes out */
    int n_stop;
    td_on_full on_full;
    int n_keep; /* for TD_ON_FULL_SHIFT: tokens at the start that stay; 0: those of the first append
                 */
    bool show_special; /* control tokens appear in event texts */
    bool ignore_end;   /* end-of-turn tokens do not end the generation */
    /* What each generation must obey, from its first token on: a grammar in llama.cpp's GBNF, or a
     * JSON Schema; at most one of them, and not with ignore_end.  Before the sampler sees the
     * logits, tokens that are not allowed go; those that end the turn are allowed when the text is
     * whole.  A generation whose text is whole and cannot go on finishes with TD_FINISH_END without
     * such a token.  When no token is left, td_engine_step() fails with TD_ERR_ARGUMENT.  What a
     * schema may hold stands in docs/OPTIONS.md, "Constrained output". */
    const char *grammar;     /* NULL: none */
    const char *json_schema; /* JSON text; NULL: none */
} td_sequence_options;

/* Fails with TD_ERR_LIMIT when the engine's n_seq are in use. */
TD_API td_status td_sequence_create(td_sequence **out, td_engine *engine,
                                    const td_sequence_options *options, td_err *err);
TD_API void td_sequence_free(td_sequence *seq); /* NULL is fine */

/* Replaces sampler, stops and the rest for the tokens to come.  Ends a generation under way,
 * keeping its tokens; on failure nothing changes. */
TD_API td_status td_sequence_set_options(td_sequence *seq, const td_sequence_options *options,
                                         td_err *err);

/* Queues tokens.  Fails with TD_ERR_LIMIT, queueing none, if they do not fit into the context. */
TD_API td_status td_sequence_append(td_sequence *seq, const td_token *tokens, int n_token,
                                    td_err *err);
/* Tokenizes (flags as in td_engine_tokenize) and queues.  ADD_SPECIAL acts only on an empty
 * sequence. */
TD_API td_status td_sequence_append_text(td_sequence *seq, const char *text, int flags,
                                         td_err *err);

/* All tokens so far, evaluated or queued, generated ones included; borrowed until the next call on
 * seq. */
TD_API const td_token *td_sequence_tokens(const td_sequence *seq, int *n_token);

/* Keeps the first n_token tokens.  May drop more and queue them for evaluation again, where the KV
 * cache cannot rewind: the caller sees only the time. */
TD_API td_status td_sequence_truncate(td_sequence *seq, int n_token, td_err *err);

/* Asks for up to n_max tokens after what is queued (-1: until something else ends it).  n_max 0
 * evaluates only. */
TD_API td_status td_sequence_generate(td_sequence *seq, int n_max, td_err *err);

/* True while a generation that was asked for has not finished. */
TD_API bool td_sequence_is_active(const td_sequence *seq);

/* Ends the generation under way without an event; what was generated stays. */
TD_API void td_sequence_stop(td_sequence *seq);

/* The raw logits [n_vocab] after the last evaluated token, before any sampler; borrowed until the
 * next step.  NULL if there are none. */
TD_API const float *td_sequence_logits(const td_sequence *seq);

/* Writes the sequence to a file: tokens, KV cache and the state of the sampler's generator, but no
 * options.  The file appears whole or not at all.  A generation under way may be saved between two
 * steps; text held back for a stop string is not. */
TD_API td_status td_sequence_save(const td_sequence *seq, const char *path, td_err *err);

/* Makes seq the sequence that was saved, in place of what it held; its options stay.  Going on
 * gives the tokens that the saved one would have given, on any CPU level, with any threads, batch
 * and context.  A file of another model, mode or KV type, of a newer version, damaged, or longer
 * than the context is refused, and seq is as before. */
TD_API td_status td_sequence_load(td_sequence *seq, const char *path, td_err *err);

typedef enum td_finish {
    TD_FINISH_NONE,
    TD_FINISH_END,    /* the model ended its turn, or a grammar's text is whole */
    TD_FINISH_STOP,   /* a stop string */
    TD_FINISH_LENGTH, /* n_max reached */
    TD_FINISH_CONTEXT /* the context is full */
} td_finish;

typedef struct td_event {
    td_sequence *seq;
    td_token token;   /* the token just sampled; -1 in an event that only ends */
    const char *text; /* new text, whole UTF-8 characters only; borrowed until the next step */
    size_t n_text;
    td_finish finish; /* not NONE: the last event of this generation */
} td_event;

/* One forward pass over what the active sequences have waiting.  *n_event (at most max_event, which
 * must be at least the engine's n_seq) events are written.  With nothing to do it returns TD_OK and
 * no event. */
TD_API td_status td_engine_step(td_engine *engine, td_event *events, int max_event, int *n_event,
                                td_err *err);

/* Counted since the engine was created. */
typedef struct td_engine_stats {
    uint64_t n_prefill, n_decode;           /* tokens evaluated as prompt, and one at a time */
    double prefill_seconds, decode_seconds; /* wall time of the steps that evaluated them */
    uint64_t peak_memory_bytes;             /* of the process, as the kernel counts it */
} td_engine_stats;

TD_API void td_engine_get_stats(const td_engine *engine, td_engine_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
