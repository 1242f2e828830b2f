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

/* One block of one row, or the first n_byte bytes of it: each word moves from `at` to its slot
 * among the 16 rows' words. */
static void pack_block(const td_dtype_info *info, const uint8_t *src, size_t n_byte, int row,
                       uint8_t *dst) {
    const uint8_t *end = src + n_byte;
    for (int f = 0; f < TD_MAX_BLOCK_FIELDS && info->fields[f].n_word; f++) {
        const size_t word = info->fields[f].word_bytes;
        for (int w = 0; w < info->fields[f].n_word && src < end; w++) {
            memcpy(dst + (size_t)row * word, src, word);
            src += word;
            dst += TD_PANEL * word;
        }
    }
}

void td_pack_panel(td_dtype dtype, const uint8_t *src, size_t row_bytes, int n_row, size_t k,
                   uint8_t *dst) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const size_t block = (size_t)info->block_bytes, n_byte = row_bytes_of(info, k);
    if (n_row < TD_PANEL) memset(dst, 0, n_byte * TD_PANEL);
    for (size_t at = 0; at < n_byte; at += block)
        for (int row = 0; row < n_row; row++)
            pack_block(info, src + (size_t)row * row_bytes + at, min_size(block, n_byte - at), row,
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
