/* status.c - formatting of error messages. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *td_status_text(td_status status) {
#define TD_STATUS_TEXT(name, text) text,
    static const char *const texts[] = {TD_STATUS_LIST(TD_STATUS_TEXT)};
#undef TD_STATUS_TEXT
    if ((unsigned)status >= TD_N_STATUS) return "unknown status";
    return texts[status];
}

/* Copies `text` into msg; what does not fit is cut out of the middle, for both ends carry meaning.
 */
static void set_message(td_err *err, const char *text) {
    const size_t cap = sizeof err->msg;
    size_t n = strlen(text);
    if (n < cap) {
        memcpy(err->msg, text, n + 1);
        return;
    }
    const size_t head = cap / 2 - 4, tail = cap - head - 6;
    memcpy(err->msg, text, head);
    memcpy(err->msg + head, " ... ", 5);
    memcpy(err->msg + head + 5, text + n - tail, tail + 1);
}

/* "fmt" or "fmt: after" */
static void format_message(td_err *err, const char *fmt, va_list args, const char *after) {
    char text[3 * sizeof err->msg];
    const int w = vsnprintf(text, sizeof text, fmt, args);
    size_t n = w < 0 ? 0 : (size_t)w;
    if (n > sizeof text - 1) n = sizeof text - 1;
    if (after) snprintf(text + n, sizeof text - n, ": %s", after);
    set_message(err, text);
}

td_status td_fail(td_err *err, td_status code, const char *fmt, ...) {
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    format_message(err, fmt, args, NULL);
    va_end(args);
    err->code = code;
    return code;
}

td_status td_fail_in(td_err *err, td_status status, const char *fmt, ...) {
    if (!err) return status;
    char cause[sizeof err->msg];
    memcpy(cause, err->msg, sizeof cause);
    va_list args;
    va_start(args, fmt);
    format_message(err, fmt, args, cause);
    va_end(args);
    err->code = status;
    return status;
}

td_status td_fail_errno(td_err *err, int errno_value, const char *fmt, ...) {
    const td_status code = errno_value == ENOMEM ? TD_ERR_NOMEM : TD_ERR_IO;
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    format_message(err, fmt, args, strerror(errno_value));
    va_end(args);
    err->code = code;
    return code;
}

td_status td_fail_nomem(td_err *err, const char *what, size_t bytes) {
    return td_fail(err, TD_ERR_NOMEM, "out of memory: %zu bytes for %s", bytes, what);
}
