/* normalize.c - see normalize.h. */
#include "text/normalize.h"

#include <string.h>

#include "base/alloc.h"
#include "text/bpe.h"
#include "text/charsmap.h"
#include "text/spm.h"
#include "text/unicode.h"
#include "text/utf8.h"

/* The longest text a step may make: offsets into it have 32 bits. */
#define MAX_NORMALIZED ((size_t)UINT32_MAX / 4)

typedef struct stage {
    td_norm_step step;
    td_regex *regex; /* owned; REPLACE */
    td_charsmap map; /* CHARSMAP, SENTENCEPIECE */
} stage;

struct td_normalizer {
    stage *stages; /* owned */
    int n_stage;
    const td_special *symbols; /* borrowed */
};

static td_status compile(stage *s, td_err *err) {
    if (s->step.type == TD_NORM_REPLACE && (s->step.flags & TD_NORM_REGEX))
        return td_regex_create(&s->regex, s->step.pattern.text, s->step.pattern.n,
                               TD_REGEX_ONIGURUMA, "normalizer 'Replace'", err);
    if (s->step.type == TD_NORM_CHARSMAP || s->step.type == TD_NORM_SENTENCEPIECE)
        return td_charsmap_init(&s->map, s->step.content, "the normalizer", err);
    return TD_OK;
}

td_status td_normalizer_create(td_normalizer **out, const td_norm_step *steps, int n_step,
                               const td_special *symbols, td_err *err) {
    *out = NULL;
    td_normalizer *norm = td_calloc(1, sizeof *norm);
    if (norm) norm->stages = td_calloc((size_t)n_step, sizeof *norm->stages);
    if (!norm || !norm->stages) {
        td_normalizer_free(norm);
        return td_fail_nomem(err, "the normalizer", (size_t)n_step * sizeof *norm->stages);
    }
    norm->symbols = symbols;
    td_status st = TD_OK;
    for (int i = 0; i < n_step && st == TD_OK; i++) {
        norm->stages[norm->n_stage].step = steps[i];
        st = compile(&norm->stages[norm->n_stage++], err);
    }
    if (st != TD_OK) {
        td_normalizer_free(norm);
        return st;
    }
    *out = norm;
    return TD_OK;
}

void td_normalizer_free(td_normalizer *norm) {
    if (!norm) return;
    for (int i = 0; i < norm->n_stage; i++) td_regex_free(norm->stages[i].regex);
    td_free(norm->stages);
    td_free(norm);
}

void td_norm_scratch_clear(td_norm_scratch *scratch) {
    td_strbuf_clear(&scratch->buffers[0]);
    td_strbuf_clear(&scratch->buffers[1]);
    td_regex_scratch_free(scratch->regex);
    *scratch = (td_norm_scratch){0};
}

/* ---- steps that look at one character at a time ---- */

static bool is_chinese(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void clean(td_strbuf *out, uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r')
        td_strbuf_addc(out, ' ');
    else if (c == 0xFFFD || td_unicode_is_control(c))
        return;
    else if (td_unicode_is_white_space(c))
        td_strbuf_addc(out, ' ');
    else
        td_unicode_add(out, c);
}

static void normalize_nmt(td_strbuf *out, uint32_t c) {
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
        c == 0x9F)
        return;
    const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    td_unicode_add(out, space ? ' ' : c);
}

static void lower(td_strbuf *out, uint32_t c) {
    uint32_t cps[2];
    const int n = td_unicode_lower(c, cps);
    for (int i = 0; i < n; i++) td_unicode_add(out, cps[i]);
}

static void map_character(const td_norm_step *step, uint32_t c, td_strbuf *out) {
    switch (step->type) {
    case TD_NORM_LOWERCASE: lower(out, c); return;
    case TD_NORM_STRIP_ACCENTS:
        if (step->flags & TD_NORM_NONSPACING ? td_unicode_is_nonspacing(c) : td_unicode_is_mark(c))
            return;
        break;
    case TD_NORM_BERT_CLEAN: clean(out, c); return;
    case TD_NORM_BERT_CHINESE:
        if (!is_chinese(c)) break;
        td_strbuf_addc(out, ' ');
        td_unicode_add(out, c);
        td_strbuf_addc(out, ' ');
        return;
    case TD_NORM_NMT: normalize_nmt(out, c); return;
    default: break;
    }
    td_unicode_add(out, c);
}

static void map_characters(const td_norm_step *step, const char *text, size_t n, td_strbuf *out) {
    for (size_t at = 0; at < n;) {
        uint32_t c = 0;
        at += (size_t)td_utf8_decode(text + at, n - at, &c);
        map_character(step, c, out);
    }
}

/* ---- the others ---- */

static void strip(const td_norm_step *step, const char *text, size_t n, td_strbuf *out) {
    size_t begin = 0, end = 0;
    bool started = !(step->flags & TD_NORM_LEFT);
    for (size_t at = 0; at < n;) {
        uint32_t c = 0;
        const size_t k = (size_t)td_utf8_decode(text + at, n - at, &c);
        const bool space = td_unicode_is_white_space(c);
        if (!started && !space) {
            started = true;
            begin = at;
        }
        at += k;
        if (!space || !(step->flags & TD_NORM_RIGHT)) end = at;
    }
    if (started && end > begin) td_strbuf_add(out, text + begin, end - begin);
}

static td_status replace_regex(const stage *g, td_norm_scratch *scratch, const char *text, size_t n,
                               td_strbuf *out, td_err *err) {
    size_t done = 0;
    for (size_t at = 0; at <= n;) {
        td_regex_range r;
        TD_TRY(td_regex_find(g->regex, &scratch->regex, text, n, at, &r, err));
        if (!r.found) break;
        at = r.end;
        if (r.end == r.begin) {
            at += r.end < n ? (size_t)td_utf8_decode(text + r.end, n - r.end, NULL) : 1;
            if (r.begin == done && done > 0) continue;
        }
        td_strbuf_add(out, text + done, r.begin - done);
        td_strbuf_add(out, g->step.content.text, g->step.content.n);
        done = r.end;
    }
    td_strbuf_add(out, text + done, n - done);
    return TD_OK;
}

static void replace_string(const td_norm_step *step, const char *text, size_t n, td_strbuf *out) {
    const td_text what = step->pattern;
    for (const char *end = text + n; text < end;) {
        const char *p = what.n ? memmem(text, (size_t)(end - text), what.text, what.n) : NULL;
        td_strbuf_add(out, text, (size_t)((p ? p : end) - text));
        if (!p) return;
        td_strbuf_add(out, step->content.text, step->content.n);
        text = p + what.n;
    }
}

/* A grapheme of less than six bytes that begins with an entry is replaced whole; of longer ones
 * each character is.  This is what Hugging Face's tokenizers do, and models were made with. */
static void map_grapheme(const td_charsmap *map, const char *text, size_t n, td_strbuf *out) {
    size_t n_taken;
    const char *to = n < 6 ? td_charsmap_find(map, text, n, false, &n_taken) : NULL;
    if (to) {
        td_strbuf_adds(out, to);
        return;
    }
    for (size_t at = 0; at < n;) {
        const size_t k = (size_t)td_utf8_decode(text + at, n - at, NULL);
        to = td_charsmap_find(map, text + at, k, false, &n_taken);
        if (to)
            td_strbuf_adds(out, to);
        else
            td_strbuf_add(out, text + at, k);
        at += k;
    }
}

static void map_graphemes(const td_charsmap *map, const char *text, size_t n, td_strbuf *out) {
    int32_t state = 0;
    uint32_t before = 0;
    size_t begin = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c = 0;
        const size_t k = (size_t)td_utf8_decode(text + at, n - at, &c);
        if (at > 0 && !td_unicode_is_joined(before, c, &state)) {
            map_grapheme(map, text + begin, at - begin, out);
            begin = at;
        }
        before = c;
        at += k;
    }
    map_grapheme(map, text + begin, n - begin, out);
}

/* What SentencePiece makes of the front of the text: *n_taken bytes of it. */
static td_text sentencepiece_prefix(const td_normalizer *norm, const stage *g, const char *text,
                                    size_t n, size_t *n_taken) {
    *n_taken = td_special_prefix(norm->symbols, text, n);
    if (*n_taken) return (td_text){text, (uint32_t)*n_taken};
    const char *to = td_charsmap_find(&g->map, text, n, true, n_taken);
    if (to) return (td_text){to, (uint32_t)strlen(to)};
    *n_taken = (size_t)td_utf8_decode(text, n, NULL);
    return (td_text){text, (uint32_t)*n_taken};
}

static bool ends_with(const td_strbuf *b, td_text what) {
    return b->n >= what.n && memcmp(b->text + b->n - what.n, what.text, what.n) == 0;
}

static void run_sentencepiece(const td_normalizer *norm, const stage *g, const char *text, size_t n,
                              td_strbuf *out) {
    const unsigned flags = g->step.flags;
    const bool extra = flags & TD_NORM_REMOVE_EXTRA, suffix = flags & TD_NORM_AS_SUFFIX;
    const td_text space =
        flags & TD_NORM_ESCAPE ? (td_text){TD_SPM_SPACE, TD_SPM_N_SPACE} : (td_text){" ", 1};
    size_t at = 0, k;
    while (extra && at < n) {
        const td_text p = sentencepiece_prefix(norm, g, text + at, n - at, &k);
        if (p.n != 1 || *p.text != ' ') break;
        at += k;
    }
    if (at == n) return;
    if ((flags & TD_NORM_DUMMY_PREFIX) && !suffix) td_strbuf_add(out, space.text, space.n);
    bool after_space = extra;
    for (; at < n; at += k) {
        td_text p = sentencepiece_prefix(norm, g, text + at, n - at, &k);
        for (; after_space && p.n > 0 && *p.text == ' '; p.n--) p.text++;
        for (uint32_t i = 0; i < p.n; i++)
            if (p.text[i] == ' ')
                td_strbuf_add(out, space.text, space.n);
            else
                td_strbuf_addc(out, p.text[i]);
        if (p.n > 0) after_space = extra && p.text[p.n - 1] == ' ';
    }
    while (extra && ends_with(out, space)) out->n -= space.n;
    if ((flags & TD_NORM_DUMMY_PREFIX) && suffix) td_strbuf_add(out, space.text, space.n);
}

static td_status llama_bert(const char *text, size_t n, td_strbuf *out, td_err *err) {
    td_strbuf nfd = {0};
    const td_status st = td_unicode_normalize(&nfd, text, n, TD_UNICODE_NFD, err);
    for (size_t at = 0; at < nfd.n && st == TD_OK;) {
        uint32_t c = 0;
        at += (size_t)td_utf8_decode(nfd.text + at, nfd.n - at, &c);
        if (c == 0xFFFD || c == 0 || td_unicode_is_mark(c)) continue;
        if (td_unicode_is_white_space(c))
            td_strbuf_addc(out, ' ');
        else if (!td_unicode_is_control(c))
            lower(out, c);
    }
    td_strbuf_clear(&nfd);
    return st;
}

static td_status run_stage(const td_normalizer *norm, const stage *g, td_norm_scratch *scratch,
                           const char *text, size_t n, td_strbuf *out, td_err *err) {
    switch (g->step.type) {
    case TD_NORM_NFC: return td_unicode_normalize(out, text, n, TD_UNICODE_NFC, err);
    case TD_NORM_NFD: return td_unicode_normalize(out, text, n, TD_UNICODE_NFD, err);
    case TD_NORM_NFKC: return td_unicode_normalize(out, text, n, TD_UNICODE_NFKC, err);
    case TD_NORM_NFKD: return td_unicode_normalize(out, text, n, TD_UNICODE_NFKD, err);
    case TD_NORM_STRIP: strip(&g->step, text, n, out); break;
    case TD_NORM_REPLACE:
        if (g->regex) return replace_regex(g, scratch, text, n, out, err);
        replace_string(&g->step, text, n, out);
        break;
    case TD_NORM_PREPEND:
        td_strbuf_add(out, g->step.content.text, g->step.content.n);
        td_strbuf_add(out, text, n);
        break;
    case TD_NORM_CHARSMAP: map_graphemes(&g->map, text, n, out); break;
    case TD_NORM_BYTE_LEVEL: td_bpe_encode_text(text, n, out); break;
    case TD_NORM_SENTENCEPIECE: run_sentencepiece(norm, g, text, n, out); break;
    case TD_NORM_LLAMA_BERT: return llama_bert(text, n, out, err);
    default: map_characters(&g->step, text, n, out); break;
    }
    return TD_OK;
}

td_status td_normalizer_run(const td_normalizer *norm, td_norm_scratch *scratch, const char *text,
                            size_t n, const char **out, size_t *n_out, td_err *err) {
    for (int i = 0; i < norm->n_stage && n > 0; i++) {
        td_strbuf *to = &scratch->buffers[text == scratch->buffers[0].text];
        td_strbuf_clear_text(to);
        to->max = MAX_NORMALIZED;
        TD_TRY(run_stage(norm, &norm->stages[i], scratch, text, n, to, err));
        TD_TRY(td_strbuf_check(to, "the normalized text", err));
        text = to->text ? to->text : "";
        n = to->n;
    }
    *out = text;
    *n_out = n;
    return TD_OK;
}
