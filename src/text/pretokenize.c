/* pretokenize.c - see pretokenize.h. */
#include "text/pretokenize.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "text/utf8.h"

/* Our patterns need a few steps a byte, at most one for each byte of a run of spaces; these limits
 * only stop what nobody foresaw. */
#define MATCH_LIMIT    (1u << 31)
#define HEAP_LIMIT_KIB (256u * 1024u)

typedef struct stage {
    pcre2_code *code; /* owned */
    bool jit;         /* compiled to machine code; else the interpreter matches, only slower */
} stage;

struct td_pretokenizer {
    const td_pretokenizer_def *def;
    pcre2_general_context *general; /* owned; allocates through base/alloc.h */
    pcre2_match_context *limits;    /* owned; only read while matching, so threads may share it */
    stage stages[TD_PRETOKENIZE_MAX_STAGE];
    int n_stage;
};

static void *pcre_malloc(size_t bytes, void *user) {
    (void)user;
    return td_malloc(bytes);
}

static void pcre_free(void *p, void *user) {
    (void)user;
    td_free(p);
}

/* ---- compiling ---- */

/* PCRE2's \s has U+180E, which is no White_Space since Unicode 6.3; spelled out, it is exact.  `in`
 * is inside a character class, where only the members are wanted. */
static void translate(const char *pattern, td_strbuf *out) {
    static const char white_space[] = "\\p{Z}\\t-\\r\\x{85}";
    bool in = false;
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            if (*p == 's')
                td_strbuf_addf(out, in ? "%s" : "[%s]", white_space);
            else if (*p == 'S' && !in)
                td_strbuf_addf(out, "[^%s]", white_space);
            else
                td_strbuf_addf(out, "\\%c", *p);
            continue;
        }
        if (*p == '[') in = true;
        if (*p == ']') in = false;
        td_strbuf_addc(out, *p);
    }
}

static td_status compile_stage(td_pretokenizer *pre, const char *pattern,
                               pcre2_compile_context *context, td_err *err) {
    td_strbuf translated = {0};
    translate(pattern, &translated);
    const td_status st = td_strbuf_check(&translated, "a pre-tokenizer's pattern", err);
    if (st != TD_OK) {
        td_strbuf_clear(&translated);
        return st;
    }
    int code = 0;
    PCRE2_SIZE at = 0;
    stage *s = &pre->stages[pre->n_stage];
    const uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK;
    s->code =
        pcre2_compile((PCRE2_SPTR)translated.text, translated.n, options, &code, &at, context);
    td_strbuf_clear(&translated);
    if (!s->code && code == PCRE2_ERROR_HEAP_FAILED)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for a pre-tokenizer's pattern");
    if (!s->code) {
        PCRE2_UCHAR why[128] = {0};
        pcre2_get_error_message(code, why, sizeof why);
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "pre-tokenizer '%s': pattern %d does not compile at offset %zu: %s",
                       pre->def->name, pre->n_stage + 1, (size_t)at, (const char *)why);
    }
    pre->n_stage++;
    /* Refused where a process may not make memory executable, which is no error. */
    s->jit = pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE) == 0;
    return TD_OK;
}

static td_status compile_all(td_pretokenizer *pre, td_err *err) {
    pre->general = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    if (pre->general) pre->limits = pcre2_match_context_create(pre->general);
    pcre2_compile_context *context =
        pre->limits ? pcre2_compile_context_create(pre->general) : NULL;
    if (!context) return td_fail(err, TD_ERR_NOMEM, "out of memory for the pre-tokenizer");
    pcre2_set_match_limit(pre->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(pre->limits, HEAP_LIMIT_KIB);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    td_status st = TD_OK;
    for (int i = 0; i < TD_PRETOKENIZE_MAX_STAGE && pre->def->stages[i] && st == TD_OK; i++)
        st = compile_stage(pre, pre->def->stages[i], context, err);
    pcre2_compile_context_free(context);
    return st;
}

const td_pretokenizer_def *td_pretokenizer_find(const char *name) {
    size_t low = 0, high;
    const td_pretokenizer_def *all = td_pretokenizer_all(&high);
    if (!*name) name = "default";
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(name, all[mid].name);
        if (order == 0) return &all[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

td_status td_pretokenizer_create(td_pretokenizer **out, const char *name, td_err *err) {
    *out = NULL;
    const td_pretokenizer_def *def = td_pretokenizer_find(name);
    if (!def)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "pre-tokenizer '%s' (tokenizer.ggml.pre) is not known; wanted one such as "
                       "'smollm', 'llama-bpe' or 'qwen2': convert the model again with a converter "
                       "that knows it, or use a newer version of this program",
                       name);
    td_pretokenizer *pre = td_calloc(1, sizeof *pre);
    if (!pre) return td_fail_nomem(err, "the pre-tokenizer", sizeof *pre);
    pre->def = def;
    const td_status st = compile_all(pre, err);
    if (st != TD_OK) {
        td_pretokenizer_free(pre);
        return st;
    }
    *out = pre;
    return TD_OK;
}

void td_pretokenizer_free(td_pretokenizer *pre) {
    if (!pre) return;
    for (int i = 0; i < pre->n_stage; i++) pcre2_code_free(pre->stages[i].code);
    pcre2_match_context_free(pre->limits);
    pcre2_general_context_free(pre->general);
    td_free(pre);
}

const td_pretokenizer_def *td_pretokenizer_definition(const td_pretokenizer *pre) {
    return pre->def;
}

/* ---- splitting ---- */

void td_pieces_clear(td_pieces *pieces) {
    td_free(pieces->ends);
    *pieces = (td_pieces){0};
}

static td_status add_piece(td_pieces *pieces, size_t end, td_err *err) {
    if (end == (pieces->n ? pieces->ends[pieces->n - 1] : 0)) return TD_OK;
    if (pieces->n == pieces->cap)
        TD_TRY(td_grow((void **)&pieces->ends, &pieces->cap, pieces->n + 1, sizeof *pieces->ends,
                       "the pieces of a text", err));
    pieces->ends[pieces->n++] = (uint32_t)end;
    return TD_OK;
}

/* Finds the next match in well-formed text; *found is false if there is none. */
static td_status match(const td_pretokenizer *pre, const stage *s, const char *text, size_t n_text,
                       size_t from, pcre2_match_data *data, bool *found, td_err *err) {
    const PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (s->jit) rc = pcre2_jit_match(s->code, subject, n_text, from, 0, data, pre->limits);
    /* The interpreter keeps its stack on the heap and gets further than machine code. */
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(s->code, subject, n_text, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data,
                         pre->limits);
    *found = rc >= 0;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return TD_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return td_fail(err, TD_ERR_NOMEM, "out of memory for splitting the text");
    return td_fail(err, TD_ERR_LIMIT,
                   "pre-tokenizer '%s' cannot split the text: too many steps (PCRE2 error %d)",
                   pre->def->name, rc);
}

/* Splits the bytes from `begin` to `end`, a piece of the stage before. */
static td_status split_piece(const td_pretokenizer *pre, const stage *s, const char *text,
                             size_t begin, size_t end, pcre2_match_data *data, td_pieces *out,
                             td_err *err) {
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(data);
    for (size_t at = begin; at < end;) {
        bool found;
        TD_TRY(match(pre, s, text + begin, end - begin, at - begin, data, &found, err));
        if (!found || range[1] == range[0]) break;
        TD_TRY(add_piece(out, begin + range[0], err)); /* what lies before the match */
        TD_TRY(add_piece(out, begin + range[1], err));
        at = begin + range[1];
    }
    return add_piece(out, end, err);
}

static td_status split_stages(const td_pretokenizer *pre, const char *text, size_t n_text,
                              pcre2_match_data *data, td_pieces *pieces, td_pieces *spare,
                              td_err *err) {
    pieces->n = 0;
    TD_TRY(add_piece(pieces, n_text, err));
    for (int i = 0; i < pre->n_stage; i++) {
        const td_pieces from = *pieces;
        *pieces = *spare;
        *spare = from;
        pieces->n = 0;
        uint32_t begin = 0;
        for (size_t j = 0; j < from.n; j++) {
            const uint32_t end = from.ends[j];
            TD_TRY(split_piece(pre, &pre->stages[i], text, begin, end, data, pieces, err));
            begin = end;
        }
    }
    return TD_OK;
}

static td_status split_valid(const td_pretokenizer *pre, const char *text, size_t n_text,
                             td_pieces *pieces, td_err *err) {
    pcre2_match_data *data = pcre2_match_data_create(1, pre->general);
    if (!data) return td_fail(err, TD_ERR_NOMEM, "out of memory for splitting the text");
    td_pieces spare = {0};
    const td_status st = split_stages(pre, text, n_text, data, pieces, &spare, err);
    td_pieces_clear(&spare);
    pcre2_match_data_free(data);
    return st;
}

/* ---- ill-formed text ---- */

/* A copy of a text in which U+FFFD stands for each ill-formed sequence. */
typedef struct repair {
    uint32_t end;   /* offset in the copy behind the U+FFFD */
    uint32_t grown; /* bytes the copy is longer than the text up to there */
} repair;

typedef struct repaired {
    td_strbuf text;
    repair *repairs; /* owned; in order of place */
    size_t n, cap;
} repaired;

static td_status repair_text(repaired *r, const char *text, size_t n_text, td_err *err) {
    uint32_t grown = 0;
    for (size_t at = 0; at < n_text;) {
        const size_t n_valid = td_utf8_valid_prefix(text + at, n_text - at);
        td_strbuf_add(&r->text, text + at, n_valid);
        at += n_valid;
        if (at == n_text) break;
        const int k = td_utf8_decode(text + at, n_text - at, NULL);
        const size_t n_bad = k < 0 ? (size_t)-k : n_text - at;
        td_strbuf_add(&r->text, TD_UTF8_REPLACEMENT, TD_UTF8_N_REPLACEMENT);
        at += n_bad;
        grown += (uint32_t)(TD_UTF8_N_REPLACEMENT - n_bad);
        TD_TRY(td_grow((void **)&r->repairs, &r->cap, r->n + 1, sizeof *r->repairs,
                       "the repairs of a text", err));
        r->repairs[r->n++] = (repair){(uint32_t)r->text.n, grown};
    }
    return td_strbuf_check(&r->text, "the text to tokenize", err);
}

/* Pieces of the copy become those of the text; no piece ends inside a U+FFFD. */
static void map_back(const repaired *r, td_pieces *pieces) {
    size_t i_repair = 0;
    uint32_t grown = 0;
    for (size_t i = 0; i < pieces->n; i++) {
        while (i_repair < r->n && r->repairs[i_repair].end <= pieces->ends[i])
            grown = r->repairs[i_repair++].grown;
        pieces->ends[i] -= grown;
    }
}

td_status td_pretokenizer_split(const td_pretokenizer *pre, const char *text, size_t n_text,
                                td_pieces *pieces, td_err *err) {
    pieces->n = 0;
    if (n_text == 0) return TD_OK;
    if (n_text > TD_PRETOKENIZE_MAX_TEXT)
        return td_fail(err, TD_ERR_LIMIT, "the text has %zu bytes, wanted at most %zu", n_text,
                       TD_PRETOKENIZE_MAX_TEXT);
    if (td_utf8_valid_prefix(text, n_text) == n_text)
        return split_valid(pre, text, n_text, pieces, err);
    repaired r = {0};
    td_status st = repair_text(&r, text, n_text, err);
    if (st == TD_OK) st = split_valid(pre, r.text.text, r.text.n, pieces, err);
    if (st == TD_OK) map_back(&r, pieces);
    td_strbuf_clear(&r.text);
    td_free(r.repairs);
    return st;
}
