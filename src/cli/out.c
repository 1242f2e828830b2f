/* out.c - see out.h.
 *
 * write(2) rather than stdio: a stream that has failed does not tell with which error, and one that
 * a signal interrupted has failed. */
#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "cli/cmd.h"
#include "cli/json_text.h"

/* Used by the main thread alone. */
static struct {
    char buf[16384];
    size_t n;
    int failed; /* errno of the first failed write; 0: none */
} out;

static void write_all(const char *text, size_t n) {
    while (n > 0 && out.failed == 0) {
        const ssize_t w = write(STDOUT_FILENO, text, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) {
            out.failed = errno;
            return;
        }
        text += w;
        n -= (size_t)w;
    }
}

void td_out_write(const char *text, size_t n) {
    if (n > sizeof out.buf - out.n) (void)td_out_flush();
    if (n > sizeof out.buf) {
        write_all(text, n);
        return;
    }
    if (n > 0) memcpy(out.buf + out.n, text, n);
    out.n += n;
}

void td_out_text(const char *text) { td_out_write(text, strlen(text)); }

/* Writes a buffer and frees it; memory that ran out counts as a failed write. */
static void write_strbuf(td_strbuf *b) {
    if (b->failed != TD_OK) {
        if (out.failed == 0) out.failed = ENOMEM;
    } else {
        td_out_write(b->text, b->n);
    }
    td_strbuf_clear(b);
}

void td_out_printf(const char *fmt, ...) {
    char text[4096];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n > 0) td_out_write(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void td_out_plain(const char *text, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++)
        td_out_write((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? "?" : text + i, 1);
    for (size_t i = n; i < width; i++) td_out_write(" ", 1);
}

void td_out_json(const char *text, size_t n) {
    td_strbuf b = {0};
    td_json_string(text, n, &b);
    write_strbuf(&b);
}

bool td_out_flush(void) {
    write_all(out.buf, out.n);
    out.n = 0;
    return out.failed == 0;
}

bool td_out_finish(void) {
    if (td_out_flush()) return true;
    if (out.failed != EPIPE)
        td_cmd_say("cannot write to standard output: %s", strerror(out.failed));
    return false;
}
