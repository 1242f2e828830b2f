/* dtype.c - the table of block types, by GGUF id.
 *
 * A readable type also lists the words of its block, in file order: kernel/pack.h moves words,
 * never bits, so a word must not straddle two fields.  d and m are f16 scale and offset, qs the low
 * bits of the weights, qh their high bits, scales the packed sub-block scales. */
#include "tensor/dtype.h"

#include <strings.h>

#include "base/alloc.h"

/* clang-format off */
static const td_dtype_info infos[TD_N_DTYPE] = {
    /*                 name  elems  bytes        fields */
    [TD_DTYPE_F32]  = {"f32",    1,   4, true, false, {{4, 1}}},
    [TD_DTYPE_F16]  = {"f16",    1,   2, true, false, {{2, 1}}},
    [TD_DTYPE_BF16] = {"bf16",   1,   2, true, false, {{2, 1}}},
    /* d qs */
    [TD_DTYPE_Q4_0] = {"q4_0",  32,  18, true, false, {{2, 1}, {4, 4}}},
    /* d m qs */
    [TD_DTYPE_Q4_1] = {"q4_1",  32,  20, true, false, {{2, 1}, {2, 1}, {4, 4}}},
    /* d qh qs */
    [TD_DTYPE_Q5_0] = {"q5_0",  32,  22, true, false, {{2, 1}, {4, 1}, {4, 4}}},
    /* d m qh qs */
    [TD_DTYPE_Q5_1] = {"q5_1",  32,  24, true, false, {{2, 1}, {2, 1}, {4, 1}, {4, 4}}},
    /* d qs */
    [TD_DTYPE_Q8_0] = {"q8_0",  32,  34, true, false, {{2, 1}, {4, 8}}},
    /* d dmin scales qs */
    [TD_DTYPE_Q4_K] = {"q4_k", 256, 144, true, false, {{2, 1}, {2, 1}, {4, 3}, {4, 32}}},
    /* d dmin scales qh qs */
    [TD_DTYPE_Q5_K] = {"q5_k", 256, 176, true, false, {{2, 1}, {2, 1}, {4, 3}, {4, 8}, {4, 32}}},
    /* ql qh scales d */
    [TD_DTYPE_Q6_K] = {"q6_k", 256, 210, true, false, {{4, 32}, {4, 16}, {4, 4}, {2, 1}}},
    /* scales qs d dmin */
    [TD_DTYPE_Q2_K] = {"q2_k", 256,  84, true, false, {{4, 4}, {4, 16}, {2, 1}, {2, 1}}},
    /* hmask qs scales d */
    [TD_DTYPE_Q3_K] = {"q3_k", 256, 110, true, false, {{4, 8}, {4, 16}, {4, 3}, {2, 1}}},

    /* d qs */
    [TD_DTYPE_IQ2_XXS] = {"iq2_xxs", 256,  66, true, false, {{2, 1}, {4, 16}}},
    /* d qs scales */
    [TD_DTYPE_IQ2_XS]  = {"iq2_xs",  256,  74, true, false, {{2, 1}, {4, 16}, {4, 2}}},
    /* d qs signs qh scales */
    [TD_DTYPE_IQ2_S]   = {"iq2_s",   256,  82, true, false, {{2, 1}, {4, 8}, {4, 8}, {4, 2}, {4, 2}}},
    /* d qs scales-and-signs */
    [TD_DTYPE_IQ3_XXS] = {"iq3_xxs", 256,  98, true, false, {{2, 1}, {4, 16}, {4, 8}}},
    /* d qs qh signs scales */
    [TD_DTYPE_IQ3_S]   = {"iq3_s",   256, 110, true, false, {{2, 1}, {4, 16}, {4, 2}, {4, 8}, {4, 1}}},
    /* d qs qh */
    [TD_DTYPE_IQ1_S]   = {"iq1_s",   256,  50, true, false, {{2, 1}, {4, 8}, {4, 4}}},
    /* qs qh scales, with d in their high nibbles */
    [TD_DTYPE_IQ1_M]   = {"iq1_m",   256,  56, true, false, {{4, 8}, {4, 4}, {4, 2}}},
    /* d qs */
    [TD_DTYPE_IQ4_NL]  = {"iq4_nl",   32,  18, true, false, {{2, 1}, {4, 4}}},
    /* d scales_h scales_l qs */
    [TD_DTYPE_IQ4_XS]  = {"iq4_xs",  256, 136, true, false, {{2, 1}, {2, 1}, {4, 1}, {4, 32}}},
    /* qs qh d */
    [TD_DTYPE_TQ1_0]   = {"tq1_0",   256,  54, true, false, {{4, 12}, {4, 1}, {2, 1}}},
    /* qs d */
    [TD_DTYPE_TQ2_0]   = {"tq2_0",   256,  66, true, false, {{4, 16}, {2, 1}}},
    /* e qs */
    [TD_DTYPE_MXFP4]   = {"mxfp4",    32,  17, true, false, {{1, 1}, {4, 4}}},
    /* scales qs */
    [TD_DTYPE_NVFP4]   = {"nvfp4",    64,  36, true, false, {{4, 1}, {4, 8}}},

    /* Of safetensors files.  d qs */
    [TD_DTYPE_F8_E4M3]   = {"f8_e4m3",    128, 132, true, true,  {{4, 1}, {1, 128}}},
    /* d qs */
    [TD_DTYPE_INT4]      = {"int4",        32,  18, true, false, {{2, 1}, {4, 4}}},
    /* d z qs */
    [TD_DTYPE_INT4_Z32]  = {"int4_z32",    32,  19, true, false, {{2, 1}, {1, 1}, {4, 4}}},
    /* d z qs */
    [TD_DTYPE_INT4_Z128] = {"int4_z128",  128,  67, true, false, {{2, 1}, {1, 1}, {4, 16}}},

    /* Known by size only. */
    [9]  = {"q8_1",  32,  36, false, false, {{0, 0}}},
    [15] = {"q8_k", 256, 292, false, false, {{0, 0}}},
    [24] = {"i8",     1,   1, false, false, {{0, 0}}},
    [25] = {"i16",    1,   2, false, false, {{0, 0}}},
    [26] = {"i32",    1,   4, false, false, {{0, 0}}},
    [27] = {"i64",    1,   8, false, false, {{0, 0}}},
    [28] = {"f64",    1,   8, false, false, {{0, 0}}},
    [41] = {"q1_0", 128,  18, false, false, {{0, 0}}},
    [42] = {"q2_0",  64,  18, false, false, {{0, 0}}},
};
/* clang-format on */

/* Ids without a size: those GGUF removed, and ik_llama.cpp's own, whose rows may carry a header. */
static const struct {
    int id;
    const char *name;
} names[] = {
    {4,   "q4_2"      },
    {5,   "q4_3"      },
    {31,  "q4_0_4_4"  },
    {32,  "q4_0_4_8"  },
    {33,  "q4_0_8_8"  },
    {36,  "iq4_nl_4_4"},
    {37,  "iq4_nl_4_8"},
    {38,  "iq4_nl_8_8"},
    {97,  "q8_0_x4"   },
    {98,  "q8_1_x4"   },
    {99,  "q8_2_x4"   },
    {133, "q6_0"      },
    {134, "iq1_bn"    },
    {135, "iq2_bn"    },
    {137, "iq2_k"     },
    {138, "iq3_k"     },
    {139, "iq4_k"     },
    {140, "iq5_k"     },
    {141, "iq6_k"     },
    {144, "iq4_ks"    },
    {145, "iq2_ks"    },
    {146, "iq4_kss"   },
    {151, "q8_kv"     },
    {152, "iq5_ks"    },
    {153, "iq2_kt"    },
    {154, "iq3_kt"    },
    {155, "iq4_kt"    },
    {156, "iq3_ks"    },
    {157, "iq2_kl"    },
    {158, "iq1_kt"    },
};

const td_dtype_info *td_dtype_get_info(int id) {
    if (id < 0 || id >= TD_N_DTYPE || infos[id].block_bytes == 0) return NULL;
    return &infos[id];
}

const char *td_dtype_name(int id) {
    const td_dtype_info *info = td_dtype_get_info(id);
    if (info) return info->name;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].id == id) return names[i].name;
    /* ik_llama.cpp numbers its repacked types as the plain id plus 200. */
    if ((id >= 202 && id <= 240) || (id >= 335 && id <= 399)) return "rows-interleaved";
    return "unknown";
}

int td_dtype_from_name(const char *name) {
    for (int id = 0; id < TD_N_DTYPE; id++)
        if (infos[id].name && strcasecmp(infos[id].name, name) == 0) return id;
    return -1;
}

td_status td_dtype_row_bytes(size_t *out, td_dtype dtype, size_t k, td_err *err) {
    const td_dtype_info *info = td_dtype_get_info((int)dtype);
    if (!info)
        return td_fail(err, TD_ERR_UNSUPPORTED, "type %d (%s) has no known block size", (int)dtype,
                       td_dtype_name((int)dtype));
    const size_t elems = (size_t)info->block_elems, tail = k % elems;
    if (tail != 0 && !info->short_tail)
        return td_fail(err, TD_ERR_FORMAT, "a row of %zu %s weights, wanted a multiple of %zu", k,
                       info->name, elems);
    if (__builtin_mul_overflow(k / elems, (size_t)info->block_bytes, out))
        return td_fail(err, TD_ERR_LIMIT, "a row of %zu %s weights is too long", k, info->name);
    if (tail == 0) return TD_OK;
    return td_add_size(out, *out, (size_t)info->block_bytes - elems + tail, "a row of weights",
                       err);
}
