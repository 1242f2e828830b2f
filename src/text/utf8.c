/* utf8.c - see utf8.h. */
#include "text/utf8.h"

#include <string.h>

#include "base/attr.h"

/* The range of the second byte carries all of UTF-8's special cases (Unicode 15, table 3-7). */
typedef struct lead {
    int n_byte; /* 0: no character begins with this byte */
    uint8_t second_min, second_max;
} lead;

static lead lead_of(uint8_t c) {
    if (c < 0x80) return (lead){1, 0, 0};
    if (c < 0xC2) return (lead){0, 0, 0};
    if (c < 0xE0) return (lead){2, 0x80, 0xBF};
    if (c == 0xE0) return (lead){3, 0xA0, 0xBF};
    if (c == 0xED) return (lead){3, 0x80, 0x9F};
    if (c < 0xF0) return (lead){3, 0x80, 0xBF};
    if (c == 0xF0) return (lead){4, 0x90, 0xBF};
    if (c < 0xF4) return (lead){4, 0x80, 0xBF};
    if (c == 0xF4) return (lead){4, 0x80, 0x8F};
    return (lead){0, 0, 0};
}

int td_utf8_decode(const char *s, size_t n, uint32_t *cp) {
    const uint8_t *u = (const uint8_t *)s;
    const lead l = lead_of(u[0]);
    if (l.n_byte == 0) return -1;
    if (l.n_byte == 1) {
        if (cp) *cp = u[0];
        return 1;
    }
    uint32_t value = u[0] & (0x7Fu >> l.n_byte);
    for (int i = 1; i < l.n_byte; i++) {
        if ((size_t)i >= n) return 0;
        const uint8_t min = i == 1 ? l.second_min : 0x80, max = i == 1 ? l.second_max : 0xBF;
        if (u[i] < min || u[i] > max) return -i;
        value = value << 6 | (u[i] & 0x3Fu);
    }
    if (cp) *cp = value;
    return l.n_byte;
}

size_t td_utf8_valid_prefix(const char *s, size_t n) {
    size_t at = 0;
    while (at < n) {
        /* Most text is ASCII: eight bytes at a time while no top bit is set. */
        uint64_t word;
        if (n - at >= sizeof word) {
            memcpy(&word, s + at, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                at += sizeof word;
                continue;
            }
        }
        const int k = td_utf8_decode(s + at, n - at, NULL);
        if (k <= 0) break;
        at += (size_t)k;
    }
    return at;
}

int td_utf8_encode(uint32_t cp, char out[4]) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    const int n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)((0xF00u >> n & 0xFFu) | cp);
    return n;
}
