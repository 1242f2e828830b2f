/* pack.c - interleaving rows into panels and back; see pack.h for the layout. */
#include "kernel/pack.h"

#include <string.h>

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* Bytes of a row of k columns. */
static size_t row_bytes_of(const td_dtype_info *info, size_t k) {
    const size_t elems = (size_t)info->block_elems, block = (size_t)info->block_bytes;
    const size_t tail = k % elems;
    return k / elems * block + (tail ? block - elems + tail : 0);
}

size_t td_pack_panel_bytes(td_dtype dtype, size_t k) {
    return row_bytes_of(td_dtype_get_info((int)dtype), k) * TD_PANEL;
}

/* One word of n_row rows.  Written out per size, so that a word is one load and one store. */
#define PACK_WORD(type, src, row_bytes, n_row, dst)                                                \
    for (int row = 0; row < (n_row); row++)                                                        \
    memcpy((dst) + (size_t)row * sizeof(type), (src) + (size_t)row * (row_bytes), sizeof(type))

/* A run of words.  A full panel is the rule, and the compiler unrolls it. */
#define PACK_WORDS(name, type)                                                                     \
    static void name(const uint8_t *src, size_t row_bytes, int n_row, int n_word, uint8_t *dst) {  \
        for (int w = 0; w < n_word; w++, src += sizeof(type), dst += TD_PANEL * sizeof(type)) {    \
            if (n_row == TD_PANEL)                                                                 \
                PACK_WORD(type, src, row_bytes, TD_PANEL, dst);                                    \
            else                                                                                   \
                PACK_WORD(type, src, row_bytes, n_row, dst);                                       \
        }                                                                                          \
    }
PACK_WORDS(pack_words_1, uint8_t)
PACK_WORDS(pack_words_2, uint16_t)
PACK_WORDS(pack_words_4, uint32_t)

static void pack_words(size_t word_bytes, const uint8_t *src, size_t row_bytes, int n_row,
                       size_t n_word, uint8_t *dst) {
    if (word_bytes == 4)
        pack_words_4(src, row_bytes, n_row, (int)n_word, dst);
    else if (word_bytes == 2)
        pack_words_2(src, row_bytes, n_row, (int)n_word, dst);
    else
        pack_words_1(src, row_bytes, n_row, (int)n_word, dst);
}

/* One block of all rows, or its first n_byte bytes. */
static void pack_block(const td_dtype_info *info, const uint8_t *src, size_t row_bytes, int n_row,
                       size_t n_byte, uint8_t *dst) {
    for (int f = 0; f < TD_MAX_BLOCK_FIELDS && info->fields[f].n_word && n_byte > 0; f++) {
        const size_t word = info->fields[f].word_bytes;
        const size_t n_word = min_size(info->fields[f].n_word, n_byte / word), n = n_word * word;
        pack_words(word, src, row_bytes, n_row, n_word, dst);
        src += n;
        dst += n * TD_PANEL;
        n_byte -= n;
    }
}

void td_pack_panel(td_dtype dtype, const uint8_t *src, size_t row_bytes, int n_row, size_t k,
                   uint8_t *dst) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const size_t block = (size_t)info->block_bytes, n_byte = row_bytes_of(info, k);
    if (n_row < TD_PANEL) memset(dst, 0, n_byte * TD_PANEL);
    if (info->block_elems == 1) { /* one run, whatever the length */
        pack_words(block, src, row_bytes, n_row, k, dst);
        return;
    }
    for (size_t at = 0; at < n_byte; at += block)
        pack_block(info, src + at, row_bytes, n_row, min_size(block, n_byte - at),
                   dst + at * TD_PANEL);
}

void td_unpack_block(td_dtype dtype, const uint8_t *panel_block, int row, size_t n_byte,
                     uint8_t *dst) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const uint8_t *end = dst + n_byte;
    for (int f = 0; f < TD_MAX_BLOCK_FIELDS && info->fields[f].n_word; f++) {
        const size_t word = info->fields[f].word_bytes;
        for (int w = 0; w < info->fields[f].n_word && dst < end; w++) {
            memcpy(dst, panel_block + (size_t)row * word, word);
            dst += word;
            panel_block += TD_PANEL * word;
        }
    }
}
