/* strbuf.h - a growing byte string, always NUL-terminated, that remembers if it ever failed.
 *
 * Append freely and look at the status once, at the end: after a failure nothing more is appended.
 */
#ifndef TD_BASE_STRBUF_H
#define TD_BASE_STRBUF_H

#include <stddef.h>

#include "base/status.h"

typedef struct td_strbuf {
    char *text; /* owned; NULL until the first append */
    size_t n;   /* bytes, without the NUL */
    size_t cap;
    size_t max;       /* 0: no limit; else TD_ERR_LIMIT beyond */
    td_status failed; /* TD_OK, TD_ERR_NOMEM or TD_ERR_LIMIT */
} td_strbuf;

void td_strbuf_clear(td_strbuf *b);      /* frees; b is empty and usable again */
void td_strbuf_clear_text(td_strbuf *b); /* empties but keeps the memory; forgets a failure */
void td_strbuf_drop_front(td_strbuf *b, size_t n); /* removes the first n bytes; n <= b->n */
/* Makes room for n bytes in all, so that appends up to there allocate nothing. */
void td_strbuf_reserve(td_strbuf *b, size_t n);
void td_strbuf_add(td_strbuf *b, const char *text, size_t n);
void td_strbuf_adds(td_strbuf *b, const char *text);
void td_strbuf_addc(td_strbuf *b, char c);
void td_strbuf_addf(td_strbuf *b, const char *fmt, ...) TD_PRINTF(2, 3);
/* The status with a message: "what: out of memory" or "what: longer than N bytes". */
td_status td_strbuf_check(const td_strbuf *b, const char *what, td_err *err);
/* Hands the text to the caller, who td_free()s it; never NULL unless the buffer failed. */
char *td_strbuf_take(td_strbuf *b);

#endif
