/* cursor.h - reading little-endian values from a byte range that is not trusted.
 *
 * Every read is checked against the end; a message names the offset and what was being read. */
#ifndef TD_BASE_CURSOR_H
#define TD_BASE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct td_cursor {
    const uint8_t *data; /* borrowed */
    size_t n;            /* bytes */
    size_t at;           /* offset of the next read; at <= n */
    const char *name;    /* borrowed; the file, for messages */
} td_cursor;

static inline size_t td_cursor_left(const td_cursor *c) { return c->n - c->at; }

/* `what` names the thing read: "tensor count". */
td_status td_cursor_u8(td_cursor *c, uint8_t *out, const char *what, td_err *err);
td_status td_cursor_u16(td_cursor *c, uint16_t *out, const char *what, td_err *err);
td_status td_cursor_u32(td_cursor *c, uint32_t *out, const char *what, td_err *err);
td_status td_cursor_u64(td_cursor *c, uint64_t *out, const char *what, td_err *err);
/* Borrows n bytes. */
td_status td_cursor_bytes(td_cursor *c, const uint8_t **out, size_t n, const char *what,
                          td_err *err);

#endif
