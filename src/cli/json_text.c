/* json_text.c - see json_text.h. */
#include "cli/json_text.h"

#include <math.h>
#include <stdbool.h>

/* Bytes of the well-formed UTF-8 character at s[n], 0 if there is none (Unicode, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t n) {
    const unsigned char c = s[0];
    const size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len == 0 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    const bool overlong = (c == 0xe0 && s[1] < 0xa0) || (c == 0xf0 && s[1] < 0x90);
    const bool beyond = (c == 0xed && s[1] >= 0xa0) || (c == 0xf4 && s[1] >= 0x90);
    return overlong || beyond ? 0 : len;
}

static void add_escaped(unsigned char c, td_strbuf *out) {
    switch (c) {
    case '"': td_strbuf_adds(out, "\\\""); break;
    case '\\': td_strbuf_adds(out, "\\\\"); break;
    case '\n': td_strbuf_adds(out, "\\n"); break;
    case '\r': td_strbuf_adds(out, "\\r"); break;
    case '\t': td_strbuf_adds(out, "\\t"); break;
    default: td_strbuf_addf(out, "\\u%04x", c);
    }
}

void td_json_string(const char *text, size_t n, td_strbuf *out) {
    const unsigned char *s = (const unsigned char *)text;
    td_strbuf_addc(out, '"');
    for (size_t i = 0; i < n;) {
        const size_t len = utf8_length(s + i, n - i);
        if (len == 0)
            td_strbuf_adds(out, "\xef\xbf\xbd");
        else if (len == 1 && (s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f))
            add_escaped(s[i], out);
        else
            td_strbuf_add(out, text + i, len);
        i += len ? len : 1;
    }
    td_strbuf_addc(out, '"');
}

void td_json_number(double value, td_strbuf *out) {
    if (isfinite(value))
        td_strbuf_addf(out, "%.9g", value);
    else
        td_strbuf_adds(out, "null");
}
