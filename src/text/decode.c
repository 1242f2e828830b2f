/* decode.c - see decode.h. */
#include "text/decode.h"

#include <string.h>

#include "text/bpe.h"

bool td_decode_first_differs(const td_pipeline *p) {
    for (int i = 0; i < p->n_decode; i++) {
        const td_decode_step *d = &p->decodes[i];
        if (d->type == TD_DECODE_WORDPIECE || (d->type == TD_DECODE_METASPACE && d->drop_first))
            return true;
    }
    return false;
}

static bool begins_with(td_text text, td_text what) {
    return what.n > 0 && text.n >= what.n && memcmp(text.text, what.text, what.n) == 0;
}

static void replace(td_text text, td_text what, td_text by, td_strbuf *out) {
    while (text.n > 0) {
        const char *p = what.n ? memmem(text.text, text.n, what.text, what.n) : NULL;
        const uint32_t n = p ? (uint32_t)(p - text.text) : text.n;
        td_strbuf_add(out, text.text, n);
        if (!p) return;
        td_strbuf_add(out, by.text, by.n);
        text.text += n + what.n;
        text.n -= n + what.n;
    }
}

static void strip(const td_decode_step *d, td_text text, td_strbuf *out) {
    for (uint32_t i = 0; i < d->start && begins_with(text, d->content); i++) {
        text.text += d->content.n;
        text.n -= d->content.n;
    }
    for (uint32_t i = 0;
         i < d->stop && d->content.n > 0 && text.n >= d->content.n &&
         memcmp(text.text + text.n - d->content.n, d->content.text, d->content.n) == 0;
         i++)
        text.n -= d->content.n;
    td_strbuf_add(out, text.text, text.n);
}

/* The spaces that WordPiece puts where written English has none. */
static const struct {
    td_text from, to;
} cleanups[] = {
    {{" .", 2},      {".", 1}     },
    {{" ?", 2},      {"?", 1}     },
    {{" !", 2},      {"!", 1}     },
    {{" ,", 2},      {",", 1}     },
    {{" ' ", 3},     {"'", 1}     },
    {{" n't", 4},    {"n't", 3}   },
    {{" 'm", 3},     {"'m", 2}    },
    {{" do not", 7}, {" don't", 6}},
    {{" 's", 3},     {"'s", 2}    },
    {{" 've", 4},    {"'ve", 3}   },
    {{" 're", 4},    {"'re", 3}   },
};

static void wordpiece(const td_decode_step *d, td_text text, bool first, td_strbuf *out) {
    if (!first && begins_with(text, d->pattern)) {
        text.text += d->pattern.n;
        text.n -= d->pattern.n;
    } else if (!first) {
        td_strbuf_addc(out, ' ');
    }
    td_strbuf_add(out, text.text, text.n);
    for (size_t i = 0; d->cleanup && !out->failed && i < sizeof cleanups / sizeof *cleanups; i++) {
        const td_text from = cleanups[i].from, now = {out->text, (uint32_t)out->n};
        if (now.n < from.n || !memmem(now.text, now.n, from.text, from.n)) continue;
        td_strbuf cleaned = {0};
        replace(now, from, cleanups[i].to, &cleaned);
        td_strbuf_clear(out);
        *out = cleaned;
    }
}

static void byte_level(td_text text, td_strbuf *out) {
    bool as_is;
    if (text.n == 0) return;
    td_strbuf_reserve(out, out->n + text.n);
    if (out->failed) return;
    out->n += td_bpe_decode_text(text.text, text.n, out->text + out->n, &as_is);
}

/* One step; `out` is empty. */
static void run_step(const td_decode_step *d, td_text text, bool first, td_strbuf *out) {
    switch (d->type) {
    case TD_DECODE_BYTE_LEVEL: byte_level(text, out); return;
    case TD_DECODE_REPLACE: replace(text, d->pattern, d->content, out); return;
    case TD_DECODE_STRIP: strip(d, text, out); return;
    case TD_DECODE_METASPACE:
        replace(text, d->pattern, (td_text){" ", first && d->drop_first ? 0 : 1}, out);
        return;
    case TD_DECODE_WORDPIECE: wordpiece(d, text, first, out); return;
    case TD_DECODE_BPE: replace(text, d->pattern, (td_text){" ", 1}, out); return;
    case TD_DECODE_BYTE_FALLBACK:
    case TD_DECODE_STRIP_TEXT: td_strbuf_add(out, text.text, text.n); return;
    }
}

void td_decode_token(const td_pipeline *p, const td_vocab_token *t, bool first, td_strbuf *spare,
                     td_strbuf *out) {
    const bool spelled = t->type == TD_TOKEN_NORMAL || t->type == TD_TOKEN_BYTE;
    td_strbuf now = {0};
    td_strbuf_add(&now, t->text, t->n);
    for (int i = 0; i < p->n_decode; i++) {
        const td_decode_step *d = &p->decodes[i];
        const int byte = d->type == TD_DECODE_BYTE_FALLBACK && t->type == TD_TOKEN_BYTE
                             ? td_vocab_byte_of(t->text, t->n)
                             : -1;
        if (byte >= 0) {
            td_strbuf_clear_text(&now);
            td_strbuf_addc(&now, (char)byte);
            break;
        }
        if (!spelled && (d->spelled_only || d->type == TD_DECODE_BYTE_LEVEL)) continue;
        td_strbuf_clear_text(spare);
        run_step(d, (td_text){now.text ? now.text : "", (uint32_t)now.n}, first, spare);
        const td_strbuf done = *spare;
        *spare = now;
        now = done;
    }
    td_strbuf_add(out, now.text ? now.text : "", now.n);
    if (now.failed && !out->failed) out->failed = now.failed;
    td_strbuf_clear(&now);
}
