/* strbuf.c - see strbuf.h. */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static int reserve(td_strbuf *b, size_t n_more) {
    if (b->failed) return 0;
    if (n_more > SIZE_MAX / 2 - b->n || (b->max && b->n + n_more > b->max)) {
        b->failed = TD_ERR_LIMIT;
        return 0;
    }
    if (td_grow((void **)&b->text, &b->cap, b->n + n_more + 1, 1, "text", NULL) != TD_OK) {
        b->failed = TD_ERR_NOMEM;
        return 0;
    }
    return 1;
}

void td_strbuf_clear(td_strbuf *b) {
    td_free(b->text);
    *b = (td_strbuf){.max = b->max};
}

void td_strbuf_clear_text(td_strbuf *b) {
    b->n = 0;
    b->failed = TD_OK;
    if (b->text) b->text[0] = 0;
}

void td_strbuf_drop_front(td_strbuf *b, size_t n) {
    if (n == 0) return;
    memmove(b->text, b->text + n, b->n - n + 1);
    b->n -= n;
}

void td_strbuf_reserve(td_strbuf *b, size_t n) {
    if (n > b->n) reserve(b, n - b->n);
}

void td_strbuf_add(td_strbuf *b, const char *text, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->text + b->n, text, n);
    b->n += n;
    b->text[b->n] = 0;
}

void td_strbuf_adds(td_strbuf *b, const char *text) { td_strbuf_add(b, text, strlen(text)); }

void td_strbuf_addc(td_strbuf *b, char c) { td_strbuf_add(b, &c, 1); }

void td_strbuf_addf(td_strbuf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->text + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

td_status td_strbuf_check(const td_strbuf *b, const char *what, td_err *err) {
    if (b->failed == TD_ERR_NOMEM) return td_fail(err, TD_ERR_NOMEM, "%s: out of memory", what);
    if (b->failed) return td_fail(err, TD_ERR_LIMIT, "%s: longer than %zu bytes", what, b->max);
    return TD_OK;
}

char *td_strbuf_take(td_strbuf *b) {
    td_strbuf_add(b, "", 0);
    char *text = b->failed ? NULL : b->text;
    if (!text) td_free(b->text);
    *b = (td_strbuf){.max = b->max};
    return text;
}
