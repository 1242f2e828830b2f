/* detokenizer.c - the streaming half of tokenizer.h: whole characters only.
 *
 * Bytes wait in `pending` until they are a character or can no longer become one.  Between calls
 * pending holds the beginning of one character, at most three bytes. */
#include "text/tokenizer.h"

#include <string.h>

#include "text/tokenizer_int.h"
#include "text/utf8.h"

void td_detokenizer_init(td_detokenizer *d, const td_tokenizer *tok, bool at_start,
                         bool with_special) {
    *d = (td_detokenizer){.tok = tok, .at_start = at_start, .with_special = with_special};
}

/* Takes what pending has decided out of it. */
static void settle(td_detokenizer *d, td_strbuf *out) {
    while (d->n_pending > 0) {
        const int k = td_utf8_decode((const char *)d->pending, (size_t)d->n_pending, NULL);
        if (k == 0) return;
        if (k > 0)
            td_strbuf_add(out, (const char *)d->pending, (size_t)k);
        else
            td_strbuf_add(out, TD_UTF8_REPLACEMENT, TD_UTF8_N_REPLACEMENT);
        const int n_done = k > 0 ? k : -k;
        d->n_pending -= n_done;
        memmove(d->pending, d->pending + n_done, (size_t)d->n_pending);
    }
}

void td_detokenizer_add(td_detokenizer *d, int32_t token, td_strbuf *out) {
    size_t n;
    const char *text = td_tokenizer_text_of(d->tok, token, d->with_special, &d->at_start, &n);
    for (size_t i = 0; i < n;) {
        const size_t n_valid = d->n_pending ? 0 : td_utf8_valid_prefix(text + i, n - i);
        td_strbuf_add(out, text + i, n_valid);
        i += n_valid;
        if (i == n) break;
        d->pending[d->n_pending++] = (uint8_t)text[i++];
        settle(d, out);
    }
}

void td_detokenizer_finish(td_detokenizer *d, td_strbuf *out) {
    if (d->n_pending) td_strbuf_add(out, TD_UTF8_REPLACEMENT, TD_UTF8_N_REPLACEMENT);
    d->n_pending = 0;
}
