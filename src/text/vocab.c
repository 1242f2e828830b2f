/* vocab.c - see vocab.h: the vocabulary is plain data, filled by format/. */
#include "text/vocab.h"

#include <string.h>

void td_vocab_clear(td_vocab *vocab) {
    td_arena_clear(&vocab->arena);
    *vocab = (td_vocab){0};
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

int td_vocab_byte_of(const char *text, size_t n) {
    if (n != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const int high = digit_of(text[3]), low = digit_of(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}
