/* repair.c - see repair.h. */
#include "text/repair.h"

#include "base/alloc.h"
#include "text/utf8.h"

void td_repair_clear(td_repair *r) {
    td_strbuf_clear(&r->text);
    td_free(r->places);
    *r = (td_repair){0};
}

td_status td_repair_text(td_repair *r, const char *text, size_t n_text, td_err *err) {
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
        TD_TRY(td_grow((void **)&r->places, &r->cap, r->n + 1, sizeof *r->places,
                       "the repairs of a text", err));
        r->places[r->n++] = (td_repair_place){(uint32_t)r->text.n, grown};
    }
    return td_strbuf_check(&r->text, "the text to tokenize", err);
}
