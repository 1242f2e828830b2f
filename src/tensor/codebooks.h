/* codebooks.h - the constants that index types stand for: grids of the IQ types, values of 4-bit
 * codes.
 *
 * An entry of a grid is one word whose byte j (from the low end) is the element j of a run of 8
 * (uint64_t) or 4 (uint32_t) weights, before scale and sign. */
#ifndef TD_TENSOR_CODEBOOKS_H
#define TD_TENSOR_CODEBOOKS_H

#include <stdint.h>

extern const uint64_t td_iq2_xxs_grid[256]; /* elements 8, 25, 43 */
extern const uint64_t td_iq2_xs_grid[512];  /* the same */
extern const uint64_t td_iq2_s_grid[1024];  /* the same */
extern const uint32_t td_iq3_xxs_grid[256]; /* elements 4, 12, 20, 28, 36, 44, 52, 62 */
extern const uint32_t td_iq3_s_grid[512];   /* odd elements 1 to 15 */
extern const uint64_t td_iq1_grid[2048];    /* IQ1_S and IQ1_M; signed elements -1, 0, 1 */

extern const int8_t td_iq4_values[16]; /* IQ4_NL and IQ4_XS */
extern const int8_t td_fp4_values[16]; /* E2M1 times 2: MXFP4 and NVFP4 */

#endif
