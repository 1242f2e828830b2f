/* cursor.c - see cursor.h. */
#include "base/cursor.h"

#include <inttypes.h>
#include <string.h>

td_status td_cursor_bytes(td_cursor *c, const uint8_t **out, size_t n, const char *what,
                          td_err *err) {
    if (n > td_cursor_left(c))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: truncated at byte %zu: %s wants %zu bytes, %zu are left", c->name,
                       c->at, what, n, td_cursor_left(c));
    *out = c->data + c->at;
    c->at += n;
    return TD_OK;
}

td_status td_cursor_u8(td_cursor *c, uint8_t *out, const char *what, td_err *err) {
    const uint8_t *p = NULL; /* gcc cannot see that td_fail never gives TD_OK */
    TD_TRY(td_cursor_bytes(c, &p, 1, what, err));
    *out = p[0];
    return TD_OK;
}

td_status td_cursor_u16(td_cursor *c, uint16_t *out, const char *what, td_err *err) {
    const uint8_t *p = NULL; /* gcc cannot see that td_fail never gives TD_OK */
    TD_TRY(td_cursor_bytes(c, &p, 2, what, err));
    *out = (uint16_t)(p[0] | p[1] << 8);
    return TD_OK;
}

td_status td_cursor_u32(td_cursor *c, uint32_t *out, const char *what, td_err *err) {
    const uint8_t *p = NULL; /* gcc cannot see that td_fail never gives TD_OK */
    TD_TRY(td_cursor_bytes(c, &p, 4, what, err));
    *out = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return TD_OK;
}

td_status td_cursor_u64(td_cursor *c, uint64_t *out, const char *what, td_err *err) {
    uint32_t lo, hi;
    TD_TRY(td_cursor_u32(c, &lo, what, err));
    TD_TRY(td_cursor_u32(c, &hi, what, err));
    *out = lo | (uint64_t)hi << 32;
    return TD_OK;
}
