/* input.c - see input.h. */
#include "cli/input.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"

static const size_t max_input_bytes = (size_t)1 << 30;

td_status td_input_read(const char *path, td_arena *arena, const char **text, size_t *n,
                        td_err *err) {
    char *data;
    TD_TRY(td_file_read(path, max_input_bytes, &data, n, err));
    char *copy = td_arena_alloc(arena, *n + 1);
    if (copy) memcpy(copy, data, *n + 1);
    td_free(data);
    *text = copy;
    return copy ? TD_OK : td_fail_nomem(err, path, *n + 1);
}

/* Reads the escape after the backslash at s[0]; *c is the byte it stands for.  Its length without
 * the backslash, 0 if it is none. */
static size_t read_escape(const char *s, char *c) {
    static const char letters[] = "ntr0\"'\\", bytes[] = "\n\t\r\0\"'\\";
    const char *letter = s[0] ? strchr(letters, s[0]) : NULL;
    if (letter) {
        *c = bytes[letter - letters];
        return 1;
    }
    if (s[0] != 'x' || !isxdigit((unsigned char)s[1]) || !isxdigit((unsigned char)s[2])) return 0;
    const char digits[3] = {s[1], s[2], 0};
    *c = (char)strtol(digits, NULL, 16);
    return 3;
}

td_status td_input_unescape(const char *text, td_arena *arena, const char **out, size_t *n,
                            td_err *err) {
    char *copy = td_arena_alloc(arena, strlen(text) + 1);
    if (!copy) return td_fail_nomem(err, "a text", strlen(text) + 1);
    *n = 0;
    while (*text) {
        char c = *text++;
        if (c == '\\') text += read_escape(text, &c);
        copy[(*n)++] = c;
    }
    copy[*n] = 0;
    *out = copy;
    return TD_OK;
}
