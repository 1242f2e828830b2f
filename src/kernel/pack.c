/* pack.c - interleaving rows into panels and back; see pack.h for the layout. */
#include "kernel/pack.h"

#include <string.h>

size_t td_pack_panel_bytes(td_dtype dtype, size_t k) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    return k / (size_t)info->block_elems * (size_t)info->block_bytes * TD_PANEL;
}

/* One block of one row: each word moves from `at` to its slot among the 16 rows' words. */
static void pack_block(const td_dtype_info *info, const uint8_t *src, int row, uint8_t *dst) {
    for (int f = 0; f < TD_MAX_BLOCK_FIELDS && info->fields[f].n_word; f++) {
        const size_t word = info->fields[f].word_bytes;
        for (int w = 0; w < info->fields[f].n_word; w++) {
            memcpy(dst + (size_t)row * word, src, word);
            src += word;
            dst += TD_PANEL * word;
        }
    }
}

void td_pack_panel(td_dtype dtype, const uint8_t *src, size_t row_bytes, int n_row, size_t k,
                   uint8_t *dst) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    const size_t block = (size_t)info->block_bytes, n_block = k / (size_t)info->block_elems;
    if (n_row < TD_PANEL) memset(dst, 0, n_block * block * TD_PANEL);
    for (size_t b = 0; b < n_block; b++)
        for (int row = 0; row < n_row; row++)
            pack_block(info, src + (size_t)row * row_bytes + b * block, row,
                       dst + b * block * TD_PANEL);
}

void td_unpack_block(td_dtype dtype, const uint8_t *panel_block, int row, uint8_t *dst) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    for (int f = 0; f < TD_MAX_BLOCK_FIELDS && info->fields[f].n_word; f++) {
        const size_t word = info->fields[f].word_bytes;
        for (int w = 0; w < info->fields[f].n_word; w++) {
            memcpy(dst, panel_block + (size_t)row * word, word);
            dst += word;
            panel_block += TD_PANEL * word;
        }
    }
}
