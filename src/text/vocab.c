/* vocab.c - see vocab.h: the vocabulary is plain data, filled by format/. */
#include "text/vocab.h"

#include <string.h>

void td_vocab_clear(td_vocab *vocab) {
    td_arena_clear(&vocab->arena);
    *vocab = (td_vocab){0};
}

int32_t td_vocab_find(const td_vocab *vocab, const char *text, size_t n) {
    for (int32_t i = 0; i < vocab->n_token; i++)
        if (vocab->tokens[i].n == n && memcmp(vocab->tokens[i].text, text, n) == 0) return i;
    return -1;
}

/* Tokens that end a turn, for files without eot_token_id; an earlier name wins.  gpt-oss has both
 * "<|return|>" and "<|end|>", and there the latter only ends a channel. */
static const char *const eot_names[] = {
    "<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<turn|>",
    "<|return|>", "<|end|>",    "[e~[",          "<｜end▁of▁sentence｜>",
};

void td_vocab_name_ends(td_vocab *vocab) {
    for (size_t i = 0; i < sizeof eot_names / sizeof eot_names[0] && vocab->eot < 0; i++)
        vocab->eot = td_vocab_find(vocab, eot_names[i], strlen(eot_names[i]));
    if (vocab->eom < 0) vocab->eom = td_vocab_find(vocab, "<|eom_id|>", strlen("<|eom_id|>"));
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
