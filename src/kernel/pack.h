/* pack.h - the packed layout of weights: one for every type and level, and exactly as large as the
 * file's.
 *
 * TD_PANEL rows (outputs) form a panel.  Inside a panel, block after block along k; inside a block,
 * field after field of the dtype (tensor/dtype.h), word after word, the words of the 16 rows side
 * by side:
 *
 *     panel[block][field][word][row 0..15]
 *
 * so one vector load gives the same word of 16 outputs.  Rows beyond the last output are zero
 * bytes. */
#ifndef TD_KERNEL_PACK_H
#define TD_KERNEL_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

enum { TD_PANEL = 16 };

/* Bytes of one panel of k columns; k is a multiple of the block, unless the type's rows may end
 * with a short block (td_dtype_info.short_tail). */
size_t td_pack_panel_bytes(td_dtype dtype, size_t k);

/* Packs rows [0, n_row) of a row-major matrix (n_row <= TD_PANEL) into one panel. */
void td_pack_panel(td_dtype dtype, const uint8_t *src, size_t row_bytes, int n_row, size_t k,
                   uint8_t *dst);

/* Gathers one block of one row (0..15) of a panel block back into the file's layout: its first
 * n_byte bytes, all but in a short block.  panel_block points at the block inside the panel: block
 * i is at panel + i * TD_PANEL * block_bytes. */
void td_unpack_block(td_dtype dtype, const uint8_t *panel_block, int row, size_t n_byte,
                     uint8_t *dst);

#endif
