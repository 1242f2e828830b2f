/* log.c - see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

/* Written by td_log_set before the first engine is created. */
static struct {
    td_log_fn *fn;
    void *user;
    td_log_level max_level;
} sink;

void td_log_set(td_log_fn *fn, void *user, td_log_level max_level) {
    sink.fn = fn;
    sink.user = user;
    sink.max_level = max_level;
}

void td_log(td_log_level level, const char *fmt, ...) {
    if (!sink.fn || level > sink.max_level) return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    sink.fn(sink.user, level, line);
}
