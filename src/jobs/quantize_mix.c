/* quantize_mix.c - see quantize_mix.h.
 *
 * The facts stand in tables: the mixes, the rules by which a mix departs from its main type, the
 * kinds of tensors that are left alone, and what takes the place of a type that a shape does not
 * allow. */
#include "jobs/quantize_mix.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/options.h"
#include "jobs/quantize_pattern.h"

/* ---- the mixes ---- */

/* The numbers of general.file_type. */
enum file_type {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q8_0 = 7,
    Q5_0 = 8,
    Q5_1 = 9,
    Q2_K = 10,
    Q3_K_S = 11,
    Q3_K_M = 12,
    Q3_K_L = 13,
    Q4_K_S = 14,
    Q4_K_M = 15,
    Q5_K_S = 16,
    Q5_K_M = 17,
    Q6_K = 18,
    IQ2_XXS = 19,
    IQ2_XS = 20,
    Q2_K_S = 21,
    IQ3_XS = 22,
    IQ3_XXS = 23,
    IQ1_S = 24,
    IQ4_NL = 25,
    IQ3_S = 26,
    IQ3_M = 27,
    IQ2_S = 28,
    IQ2_M = 29,
    IQ4_XS = 30,
    IQ1_M = 31,
    BF16 = 32,
    TQ1_0 = 36,
    TQ2_0 = 37,
    MXFP4_MOE = 38,
    Q1_0 = 40,
    Q2_0 = 41
};

static const td_mix mixes[] = {
    {"F32",       F32,       TD_DTYPE_F32,     "32 bit floats"                              },
    {"F16",       F16,       TD_DTYPE_F16,     "16 bit floats, range 6e-8 to 65504"         },
    {"BF16",      BF16,      TD_DTYPE_BF16,    "16 bit floats, range of 32 bit ones"        },
    {"Q8_0",      Q8_0,      TD_DTYPE_Q8_0,    "8.5 bits: hard to tell from the original"   },
    {"Q6_K",      Q6_K,      TD_DTYPE_Q6_K,    "6.56 bits"                                  },
    {"Q5_K_M",    Q5_K_M,    TD_DTYPE_Q5_K,    "5.5 bits, 6.56 where it matters"            },
    {"Q5_K_S",    Q5_K_S,    TD_DTYPE_Q5_K,    "5.5 bits"                                   },
    {"Q5_K",      Q5_K_M,    TD_DTYPE_Q5_K,    NULL                                         },
    {"Q5_1",      Q5_1,      TD_DTYPE_Q5_1,    "6 bits, old"                                },
    {"Q5_0",      Q5_0,      TD_DTYPE_Q5_0,    "5.5 bits, old"                              },
    {"Q4_K_M",    Q4_K_M,    TD_DTYPE_Q4_K,    "4.5 bits, 6.56 where it matters: a good one"},
    {"Q4_K_S",    Q4_K_S,    TD_DTYPE_Q4_K,    "4.5 bits, a few tensors 5.5"                },
    {"Q4_K",      Q4_K_M,    TD_DTYPE_Q4_K,    NULL                                         },
    {"Q4_1",      Q4_1,      TD_DTYPE_Q4_1,    "5 bits, old"                                },
    {"Q4_0",      Q4_0,      TD_DTYPE_Q4_0,    "4.5 bits, old and fast"                     },
    {"IQ4_NL",    IQ4_NL,    TD_DTYPE_IQ4_NL,  "4.5 bits, values not evenly spaced"         },
    {"IQ4_XS",    IQ4_XS,    TD_DTYPE_IQ4_XS,  "4.25 bits, values not evenly spaced"        },
    {"MXFP4_MOE", MXFP4_MOE, TD_DTYPE_MXFP4,   "4.25 bit floats for experts, Q8_0 else"     },
    {"Q3_K_L",    Q3_K_L,    TD_DTYPE_Q3_K,    "3.44 bits, 5.5 where it matters"            },
    {"Q3_K_M",    Q3_K_M,    TD_DTYPE_Q3_K,    "3.44 bits, 4.5 where it matters"            },
    {"Q3_K_S",    Q3_K_S,    TD_DTYPE_Q3_K,    "3.44 bits"                                  },
    {"Q3_K",      Q3_K_M,    TD_DTYPE_Q3_K,    NULL                                         },
    {"IQ3_M",     IQ3_M,     TD_DTYPE_IQ3_S,   "3.44 bits by codebook, 4.5 where it matters"},
    {"IQ3_S",     IQ3_S,     TD_DTYPE_IQ3_S,   "3.44 bits by codebook"                      },
    {"IQ3_XS",    IQ3_XS,    TD_DTYPE_IQ3_S,   "3.44 and 3.06 bits by codebook"             },
    {"IQ3_XXS",   IQ3_XXS,   TD_DTYPE_IQ3_XXS, "3.06 bits by codebook"                      },
    {"Q2_K",      Q2_K,      TD_DTYPE_Q2_K,    "2.63 bits, 3.44 where it matters"           },
    {"Q2_K_S",    Q2_K_S,    TD_DTYPE_Q2_K,    "2.63 bits; wants an importance matrix"      },
    {"IQ2_M",     IQ2_M,     TD_DTYPE_IQ2_S,   "2.56 bits by codebook"                      },
    {"IQ2_S",     IQ2_S,     TD_DTYPE_IQ2_XS,  "2.31 bits by codebook, a few tensors 3.44"  },
    {"IQ2_XS",    IQ2_XS,    TD_DTYPE_IQ2_XS,  "2.31 bits by codebook"                      },
    {"IQ2_XXS",   IQ2_XXS,   TD_DTYPE_IQ2_XXS, "2.06 bits by codebook"                      },
    {"IQ1_M",     IQ1_M,     TD_DTYPE_IQ1_M,   "1.75 bits by codebook"                      },
    {"IQ1_S",     IQ1_S,     TD_DTYPE_IQ1_S,   "1.56 bits by codebook"                      },
    {"TQ2_0",     TQ2_0,     TD_DTYPE_TQ2_0,   "2.06 bits, for models trained ternary"      },
    {"TQ1_0",     TQ1_0,     TD_DTYPE_TQ1_0,   "1.69 bits, for models trained ternary"      },
};
enum { N_MIX = sizeof mixes / sizeof mixes[0] };

const td_mix *td_mixes(int *n) {
    *n = N_MIX;
    return mixes;
}

/* The file type a text of digits stands for, or -1. */
static int to_file_type(const char *name) {
    char *end;
    const long n = strtol(name, &end, 10);
    return isdigit((unsigned char)name[0]) && *end == 0 && n < 1024 ? (int)n : -1;
}

td_status td_mix_find(const td_mix **out, const char *name, td_err *err) {
    const char *names[N_MIX];
    const int file_type = to_file_type(name);
    for (int i = 0; i < N_MIX; i++) {
        names[i] = mixes[i].name;
        *out = &mixes[i];
        if (strcasecmp(name, names[i]) == 0 || file_type == mixes[i].file_type) return TD_OK;
    }
    *out = NULL;
    if (strcasecmp(name, "Q1_0") == 0 || strcasecmp(name, "Q2_0") == 0 || file_type == Q1_0 ||
        file_type == Q2_0)
        return td_fail(err, TD_ERR_UNSUPPORTED, "the mix %s cannot be made by this build", name);
    char upper[16] = "";
    for (size_t i = 0; name[i] && i < sizeof upper - 1; i++)
        upper[i] = (char)toupper((unsigned char)name[i]);
    const char *near = td_option_nearest(upper, names, N_MIX);
    return td_fail(err, TD_ERR_ARGUMENT, "unknown type '%s'%s%s%s", name,
                   near ? ", did you mean '" : "; --help lists them", near ? near : "",
                   near ? "'?" : "");
}

/* ---- kinds of tensors ---- */

typedef enum tensor_kind {
    EMBD,
    OUTPUT,
    ATTN_Q,
    ATTN_K,
    ATTN_V,
    ATTN_OUT,
    GATE,
    UP,
    DOWN,
    OTHER
} tensor_kind;

static tensor_kind kind_of(const char *name) {
    /* By a part of the name; the first found.  Fused and latent ones count as values. */
    static const struct {
        const char *part;
        tensor_kind kind;
    } parts[] = {
        {"attn_qkv.weight",    ATTN_V  },
        {"attn_kv_b.weight",   ATTN_V  },
        {"attn_v.weight",      ATTN_V  },
        {"attn_k.weight",      ATTN_K  },
        {"attn_q.weight",      ATTN_Q  },
        {"attn_output.weight", ATTN_OUT},
        {"ffn_up",             UP      },
        {"ffn_gate",           GATE    },
        {"ffn_down",           DOWN    },
    };
    if (strcmp(name, "output.weight") == 0) return OUTPUT;
    if (strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0)
        return EMBD;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i].part)) return parts[i].kind;
    return OTHER;
}

static bool has_part(const char *name, const char *const *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}
#define HAS_PART(name, parts) has_part(name, parts, sizeof(parts) / sizeof *(parts))

/* Small or delicate: norms, routers, positions, convolutions, the mixing of recurrent models. */
static const char *const kept_parts[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};
static const char *const glm5_next_kept_parts[] = {
    "hc_",
    "indexer.attn_q_b",
    "indexer.attn_k",
    "indexer.proj",
    "indexer_compressor_gate",
    "indexer_compressor_ape",
    "ssm_f_a.weight",
    "ssm_f_b.weight",
    "ssm_g_a.weight",
    "ssm_g_b.weight",
    "ssm_beta.weight",
    "attn_kv_a_mqa.weight",
    "attn_k_b.weight",
    "attn_v_b.weight",
};
static const char *const glm5_next_fine_parts[] = {"attn_q_a", "attn_q_b", "nextn.eh_proj"};

static bool is_kept(const td_mix_options *o, const td_tensor *t) {
    const size_t n = strlen(t->name);
    if (o->only_copy || td_tensor_rows(t) == 1) return true;
    if (n < 6 || strcmp(t->name + n - 6, "weight") != 0) return true;
    if (o->leave_output && strcmp(t->name, "output.weight") == 0) return true;
    if (strcmp(t->name, "position_embd.weight") == 0) return true;
    if (strcmp(t->name, "token_types.weight") == 0) return true;
    if (strcmp(o->model.arch, "glm5-next") == 0 && HAS_PART(t->name, glm5_next_kept_parts))
        return true;
    return HAS_PART(t->name, kept_parts);
}

/* ---- the rules ---- */

/* Conditions of a rule; all of its must hold. */
enum {
    GQA_4 = 1,              /* at least four heads to a key */
    GQA_4_OR_EXPERTS_4 = 2, /* or at least four experts */
    EXPERTS_8 = 4,          /* exactly */
    NOT_EXPERTS_8 = 8,
    IMATRIX = 16, /* there is an importance matrix */
    NO_IMATRIX = 32,
    FALCON = 64, /* the architecture */
    NOT_FALCON = 128,
    FIRST_2 = 256, /* layers */
    FIRST_4 = 512,
    FIRST_16TH = 1024,
    FIRST_8TH = 2048,
    MIDDLE = 4096,   /* neither of the first nor of the last eighth */
    MORE_BITS = 8192 /* of the first or last eighth, or every third between */
};

#define M(mix) (1ull << (mix))
/* The mixes of about two bits, which have rules of their own. */
static const uint64_t low_mixes =
    M(IQ2_XXS) | M(IQ2_XS) | M(IQ2_S) | M(IQ2_M) | M(IQ1_S) | M(IQ1_M);
static const uint64_t all_mixes = ~0ull;

typedef struct rule {
    tensor_kind kind;
    uint64_t mixes;
    unsigned when;
    td_dtype dtype;
} rule;

/* The first that holds gives the type. */
static const rule low_rules[] = {
    {ATTN_V,   all_mixes,           GQA_4_OR_EXPERTS_4, TD_DTYPE_Q4_K   },
    {ATTN_V,   M(IQ2_S) | M(IQ2_M), 0,                  TD_DTYPE_IQ3_S  },
    {ATTN_V,   all_mixes,           0,                  TD_DTYPE_Q2_K   },
    {ATTN_K,   all_mixes,           EXPERTS_8,          TD_DTYPE_Q4_K   },
    {DOWN,     M(IQ2_S) | M(IQ2_M), FIRST_8TH,          TD_DTYPE_IQ3_S  },
    {DOWN,     all_mixes,           FIRST_8TH,          TD_DTYPE_Q2_K   },
    {ATTN_OUT, all_mixes,           EXPERTS_8,          TD_DTYPE_Q5_K   },
    {ATTN_OUT, M(IQ1_S) | M(IQ1_M), 0,                  TD_DTYPE_IQ2_XXS},
    {ATTN_OUT, M(IQ2_S) | M(IQ2_M), 0,                  TD_DTYPE_IQ3_S  },
};

static const rule rules[] = {
    {EMBD,     M(IQ2_XXS) | M(IQ2_XS) | M(IQ1_S) | M(IQ1_M),            0,                          TD_DTYPE_Q2_K   },
    {EMBD,     M(IQ2_S) | M(IQ2_M) | M(IQ3_XXS),                        0,                          TD_DTYPE_IQ3_S  },
    {EMBD,     M(TQ1_0) | M(TQ2_0),                                     0,                          TD_DTYPE_Q4_K   },

    {ATTN_V,   M(Q2_K) | M(Q2_K_S) | M(IQ3_XXS) | M(IQ3_XS) | M(IQ3_S), GQA_4,                      TD_DTYPE_Q4_K   },
    {ATTN_V,   M(Q2_K),                                                 0,                          TD_DTYPE_Q3_K   },
    {ATTN_V,   M(IQ3_XXS),                                              NO_IMATRIX,                 TD_DTYPE_IQ3_S  },
    {ATTN_V,   M(IQ3_M),                                                0,                          TD_DTYPE_Q4_K   },
    {ATTN_V,   M(Q3_K_M),                                               FIRST_2,                    TD_DTYPE_Q5_K   },
    {ATTN_V,   M(Q3_K_M),                                               0,                          TD_DTYPE_Q4_K   },
    {ATTN_V,   M(Q3_K_L),                                               0,                          TD_DTYPE_Q5_K   },
    {ATTN_V,   M(IQ4_NL) | M(IQ4_XS),                                   GQA_4,                      TD_DTYPE_Q5_K   },
    {ATTN_V,   M(Q4_K_M) | M(Q5_K_M),                                   MORE_BITS,                  TD_DTYPE_Q6_K   },
    {ATTN_V,   M(Q4_K_S),                                               FIRST_4,                    TD_DTYPE_Q5_K   },

    {ATTN_K,   all_mixes,                                               EXPERTS_8,                  TD_DTYPE_Q8_0   },
    {ATTN_K,   M(IQ3_XS),                                               0,                          TD_DTYPE_IQ3_XXS},
    {ATTN_K,   M(IQ3_XXS),                                              0,                          TD_DTYPE_IQ2_S  },
    {ATTN_Q,   M(IQ3_XS),                                               0,                          TD_DTYPE_IQ3_XXS},
    {ATTN_Q,   M(IQ3_XXS),                                              0,                          TD_DTYPE_IQ2_S  },

    {DOWN,     M(Q2_K),                                                 0,                          TD_DTYPE_Q3_K   },
    {DOWN,     M(Q2_K_S),                                               FIRST_8TH,                  TD_DTYPE_Q4_K   },
    {DOWN,     M(IQ3_XXS),                                              NO_IMATRIX | FIRST_8TH,     TD_DTYPE_Q4_K   },
    {DOWN,     M(IQ3_XXS),                                              NO_IMATRIX,                 TD_DTYPE_Q3_K   },
    {DOWN,     M(Q3_K_M),                                               FIRST_16TH,                 TD_DTYPE_Q5_K   },
    {DOWN,     M(Q3_K_M),                                               NOT_FALCON,                 TD_DTYPE_Q4_K   },
    {DOWN,     M(Q3_K_M),                                               MORE_BITS,                  TD_DTYPE_Q4_K   },
    {DOWN,     M(IQ3_M),                                                FIRST_8TH,                  TD_DTYPE_Q4_K   },
    {DOWN,     M(IQ3_M),                                                EXPERTS_8 | MORE_BITS,      TD_DTYPE_Q4_K   },
    {DOWN,     M(Q3_K_L),                                               FALCON,                     TD_DTYPE_Q4_K   },
    {DOWN,     M(Q3_K_L),                                               0,                          TD_DTYPE_Q5_K   },
    {DOWN,     M(Q4_K_M),                                               FALCON | FIRST_16TH,        TD_DTYPE_Q6_K   },
    {DOWN,     M(Q4_K_M),                                               FALCON | MORE_BITS,         TD_DTYPE_Q5_K   },
    {DOWN,     M(Q4_K_M),                                               NOT_FALCON | MORE_BITS,     TD_DTYPE_Q6_K   },
    {DOWN,     M(IQ4_NL) | M(IQ4_XS),                                   NO_IMATRIX | FIRST_8TH,     TD_DTYPE_Q5_K   },
    {DOWN,     M(Q5_K_M),                                               MORE_BITS,                  TD_DTYPE_Q6_K   },
    {DOWN,     M(Q4_K_S),                                               NOT_FALCON | FIRST_8TH,     TD_DTYPE_Q5_K   },
    {DOWN,     M(Q4_0),                                                 IMATRIX | FIRST_8TH,        TD_DTYPE_Q4_1   },
    {DOWN,     M(Q5_0),                                                 IMATRIX | FIRST_8TH,        TD_DTYPE_Q5_1   },

    {ATTN_OUT,
     M(Q2_K) | M(IQ3_XS) | M(IQ3_XXS) | M(Q3_K_S) | M(Q3_K_M) | M(IQ4_NL) | M(Q4_K_S) | M(Q4_K_M) |
         M(IQ3_S) | M(IQ3_M) | M(IQ4_XS),
     NOT_FALCON | EXPERTS_8,                                                                        TD_DTYPE_Q5_K   },
    {ATTN_OUT, M(Q2_K),                                                 NOT_FALCON | NOT_EXPERTS_8, TD_DTYPE_Q3_K   },
    {ATTN_OUT, M(IQ3_XXS),                                              NOT_FALCON | NOT_EXPERTS_8, TD_DTYPE_IQ3_S  },
    {ATTN_OUT, M(Q3_K_M) | M(IQ3_M),                                    NOT_FALCON | NOT_EXPERTS_8, TD_DTYPE_Q4_K   },
    {ATTN_OUT, M(Q3_K_L),                                               NOT_FALCON | NOT_EXPERTS_8, TD_DTYPE_Q5_K   },
    {ATTN_OUT, M(Q3_K_L),                                               FALCON,                     TD_DTYPE_Q4_K   },

    {GATE,     M(IQ3_XS),                                               MIDDLE,                     TD_DTYPE_IQ3_XXS},
    {UP,       M(IQ3_XS),                                               MIDDLE,                     TD_DTYPE_IQ3_XXS},
};

/* ---- choosing ---- */

/* Lifetime: one td_mix_choose(). */
typedef struct chooser {
    const td_mix_options *o;
    td_pattern_set *patterns; /* owned */
    bool tied;                /* there is no output.weight: the embeddings serve as output */
    int64_t n_value;          /* tensors of kind ATTN_V */
    int64_t n_seen[OTHER];    /* by kind, of those that rules were applied to */
} chooser;

/* "blk.12.": 12; else -1. */
static int64_t layer_in_name(const char *name) {
    char *end;
    if (strncmp(name, "blk.", 4) != 0 || !isdigit((unsigned char)name[4])) return -1;
    const long i = strtol(name + 4, &end, 10);
    return *end == '.' && i <= INT32_MAX ? i : -1;
}

/* Which of how many layers a tensor belongs to.  With experts the order of tensors says nothing, so
 * that their names are asked. */
static td_status find_layer(const chooser *c, tensor_kind kind, const char *name, int64_t *i,
                            int64_t *n, td_err *err) {
    const td_mix_model *model = &c->o->model;
    *i = kind == OTHER ? 0 : c->n_seen[kind];
    *n = kind == ATTN_V ? c->n_value : model->n_layer;
    const bool by_name = kind == DOWN || kind == GATE || kind == UP;
    if (!by_name || model->n_expert <= 1 || M(c->o->mix->file_type) & low_mixes) return TD_OK;
    *i = layer_in_name(name);
    if (*i < 0 || *i >= *n)
        return td_fail(err, TD_ERR_FORMAT,
                       "tensor '%s': its name gives no layer of the model's %lld, wanted 'blk.N.'",
                       name, (long long)*n);
    return TD_OK;
}

static unsigned conditions(const chooser *c, int64_t i, int64_t n) {
    const td_mix_model *m = &c->o->model;
    const bool gqa_4 = m->n_head_kv > 0 && m->n_head / m->n_head_kv >= 4;
    unsigned met = c->o->has_imatrix ? IMATRIX : NO_IMATRIX;
    if (gqa_4) met |= GQA_4;
    if (gqa_4 || m->n_expert >= 4) met |= GQA_4_OR_EXPERTS_4;
    met |= m->n_expert == 8 ? EXPERTS_8 : NOT_EXPERTS_8;
    met |= strcmp(m->arch, "falcon") == 0 ? FALCON : NOT_FALCON;
    if (i < 2) met |= FIRST_2;
    if (i < 4) met |= FIRST_4;
    if (i < n / 16) met |= FIRST_16TH;
    if (i < n / 8) met |= FIRST_8TH;
    if (i >= n / 8 && i < 7 * n / 8) met |= MIDDLE;
    if (i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2) met |= MORE_BITS;
    return met;
}

static td_dtype apply_rules(const rule *list, size_t n, tensor_kind kind, int file_type,
                            unsigned met, td_dtype dtype) {
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == kind && list[i].mixes & M(file_type) && (list[i].when & ~met) == 0)
            return list[i].dtype;
    return dtype;
}

/* Models of the 70B kind share values among many heads, so that finer ones cost little. */
static bool is_70b(const td_mix_model *m) {
    static const struct {
        const char *arch;
        int n_layer;
    } models[] = {
        {"qwen2", 80},
        {"deci",  80},
        {"olmo",  80},
        {"jais2", 68}
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (m->n_layer == models[i].n_layer && strcmp(m->arch, models[i].arch) == 0) return true;
    const bool is_llama = strcmp(m->arch, "llama") == 0 || strcmp(m->arch, "llama-embed") == 0;
    return is_llama && m->n_layer == 80 && m->n_expert != 8 && m->n_head != m->n_head_kv;
}

static td_dtype refine_values(const td_mix_model *m, td_dtype dtype) {
    if (m->n_expert == 8) return TD_DTYPE_Q8_0;
    if (is_70b(m) && (dtype == TD_DTYPE_Q3_K || dtype == TD_DTYPE_Q4_K)) return TD_DTYPE_Q5_K;
    return dtype;
}

static td_dtype output_type(const chooser *c, const td_tensor *t) {
    const int file_type = c->o->mix->file_type;
    const td_dtype dtype = c->o->mix->dtype;
    if (c->o->output_dtype >= 0) return (td_dtype)c->o->output_dtype;
    if (file_type == MXFP4_MOE || strcmp(c->o->model.arch, "falcon") == 0) return TD_DTYPE_Q8_0;
    if (t->ne[0] % td_dtype_get_info((int)dtype)->block_elems != 0) return TD_DTYPE_Q8_0;
    if (M(file_type) & (low_mixes | M(IQ3_XXS))) return TD_DTYPE_Q5_K;
    return dtype == TD_DTYPE_Q8_0 ? TD_DTYPE_Q8_0 : TD_DTYPE_Q6_K;
}

/* Experts only, which are stacked; latent attention's projections are stacked too. */
static td_dtype mxfp4_type(const chooser *c, const td_tensor *t, tensor_kind kind) {
    const bool is_expert =
        strcmp(c->o->model.arch, "bailingmoe3") != 0 || kind == UP || kind == GATE || kind == DOWN;
    return t->ne[2] > 1 && is_expert ? TD_DTYPE_MXFP4 : TD_DTYPE_Q8_0;
}

/* The type that the mix gives a tensor, whatever its shape. */
static td_status mixed_type(chooser *c, const td_tensor *t, tensor_kind kind, td_dtype *out,
                            td_err *err) {
    const td_mix *mix = c->o->mix;
    const bool is_glm = strcmp(c->o->model.arch, "glm5-next") == 0;
    *out = TD_DTYPE_Q8_0;
    if (is_glm && HAS_PART(t->name, glm5_next_fine_parts)) return TD_OK;
    if (kind == OUTPUT || (kind == EMBD && c->tied)) {
        *out = output_type(c, t);
        return TD_OK;
    }
    if (mix->file_type == MXFP4_MOE) {
        *out = mxfp4_type(c, t, kind);
        return TD_OK;
    }
    int64_t i_layer, n_layer;
    TD_TRY(find_layer(c, kind, t->name, &i_layer, &n_layer, err));
    const unsigned met = conditions(c, i_layer, n_layer);
    const bool low = kind != EMBD && M(mix->file_type) & low_mixes;
    if (low)
        *out = apply_rules(low_rules, sizeof low_rules / sizeof *low_rules, kind, mix->file_type,
                           met, mix->dtype);
    else
        *out =
            apply_rules(rules, sizeof rules / sizeof *rules, kind, mix->file_type, met, mix->dtype);
    if (kind == ATTN_V && !low) *out = refine_values(&c->o->model, *out);
    if (kind != OTHER) c->n_seen[kind]++;
    return TD_OK;
}

/* What a type becomes where rows are no whole blocks of it: one of blocks of 32, else F16. */
static td_dtype fall_back(td_dtype dtype, int64_t k) {
    static const struct {
        td_dtype from, to;
    } table[] = {
        {TD_DTYPE_IQ1_S,   TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ1_M,   TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ2_XXS, TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ2_XS,  TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ2_S,   TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ3_XXS, TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ3_S,   TD_DTYPE_IQ4_NL},
        {TD_DTYPE_IQ4_XS,  TD_DTYPE_IQ4_NL},
        {TD_DTYPE_Q2_K,    TD_DTYPE_Q4_0  },
        {TD_DTYPE_Q3_K,    TD_DTYPE_Q4_0  },
        {TD_DTYPE_TQ1_0,   TD_DTYPE_Q4_0  },
        {TD_DTYPE_TQ2_0,   TD_DTYPE_Q4_0  },
        {TD_DTYPE_NVFP4,   TD_DTYPE_Q4_0  },
        {TD_DTYPE_Q4_K,    TD_DTYPE_Q5_0  },
        {TD_DTYPE_Q5_K,    TD_DTYPE_Q5_1  },
        {TD_DTYPE_Q6_K,    TD_DTYPE_Q8_0  },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].from == dtype && k % 32 == 0) return table[i].to;
    return TD_DTYPE_F16;
}

static bool fits(td_dtype dtype, const td_tensor *t) {
    return t->ne[0] % td_dtype_get_info((int)dtype)->block_elems == 0;
}

/* What the options say of a tensor by name, which goes before the mix; *out -1: nothing. */
static td_status named_type(const chooser *c, const td_tensor *t, tensor_kind kind, int *out,
                            td_err *err) {
    const td_mix_options *o = c->o;
    int i_override;
    TD_TRY(td_pattern_find(c->patterns, t->name, &i_override, err));
    const bool second_embd = strcmp(t->name, "per_layer_token_embd.weight") == 0;
    *out = -1;
    if (kind == EMBD && o->token_embd_dtype >= 0 && !(second_embd && i_override >= 0))
        *out = o->token_embd_dtype;
    else if (kind == OUTPUT && o->output_dtype >= 0)
        *out = o->output_dtype;
    return TD_OK;
}

static bool is_float(td_dtype dtype) { return td_dtype_get_info((int)dtype)->block_elems == 1; }

static td_status choose(chooser *c, const td_tensor *t, td_mix_choice *choice, td_err *err) {
    const td_mix_options *o = c->o;
    *choice = (td_mix_choice){.dtype = t->dtype};
    choice->kept = is_kept(o, t);
    if (choice->kept) return TD_OK;
    const tensor_kind kind = kind_of(t->name);
    int named, i_override;
    TD_TRY(named_type(c, t, kind, &named, err));
    TD_TRY(td_pattern_find(c->patterns, t->name, &i_override, err));
    choice->dtype = o->mix->dtype;
    if (named >= 0) {
        choice->dtype = (td_dtype)named;
        if (fits(choice->dtype, t)) return TD_OK;
        return td_fail(err, TD_ERR_ARGUMENT,
                       "tensor '%s': rows of %lld are no whole blocks of the type %s asked for",
                       t->name, (long long)t->ne[0], td_dtype_name(named));
    }
    if (is_float(o->mix->dtype)) return TD_OK;
    if (i_override >= 0)
        choice->dtype = o->overrides[i_override].dtype;
    else if (!o->pure)
        TD_TRY(mixed_type(c, t, kind, &choice->dtype, err));
    choice->fell_back = !fits(choice->dtype, t);
    if (choice->fell_back) choice->dtype = fall_back(choice->dtype, t->ne[0]);
    return TD_OK;
}

/* Of so few bits that an error must go where it does least. */
static bool needs_imatrix(const td_mix *mix, const char *name, td_dtype dtype) {
    if (strcmp(name, "output.weight") == 0 || kind_of(name) == EMBD) return false;
    switch ((int)dtype) {
    case TD_DTYPE_IQ3_XXS:
    case TD_DTYPE_IQ2_XXS:
    case TD_DTYPE_IQ2_XS:
    case TD_DTYPE_IQ2_S:
    case TD_DTYPE_IQ1_M:
    case TD_DTYPE_IQ1_S: return true;
    case TD_DTYPE_Q2_K: return mix->file_type == Q2_K_S;
    default: return false;
    }
}

int td_mix_compare_names(const char *a, const char *b) {
    const int64_t i = layer_in_name(a), j = layer_in_name(b);
    return i != j ? (i > j) - (i < j) : strcmp(a, b);
}

static int by_name(const void *a, const void *b) {
    const td_tensor *const *const *x = a, *const *const *y = b;
    return td_mix_compare_names((**x)->name, (**y)->name);
}

td_status td_mix_choose(const td_mix_options *o, const td_tensor *const *tensors, size_t n_tensor,
                        td_mix_choice *choices, td_err *err) {
    chooser c = {.o = o, .tied = true};
    size_t bytes;
    TD_TRY(td_mul_size(&bytes, n_tensor, sizeof(td_tensor *const *), "the tensor table", err));
    const td_tensor *const **order = td_malloc(bytes); /* places of `tensors`, sorted */
    if (!order) return td_fail_nomem(err, "the tensor table", bytes);
    for (size_t i = 0; i < n_tensor; i++) {
        const tensor_kind kind = kind_of(tensors[i]->name);
        order[i] = &tensors[i];
        c.n_value += kind == ATTN_V;
        if (kind == OUTPUT) c.tied = false;
    }
    if (n_tensor > 0) qsort(order, n_tensor, sizeof *order, by_name);
    td_status status = td_pattern_set_create(&c.patterns, o->overrides, o->n_override, err);
    for (size_t i = 0; i < n_tensor && status == TD_OK; i++) {
        td_mix_choice *choice = &choices[order[i] - tensors];
        status = choose(&c, *order[i], choice, err);
        choice->needs_imatrix =
            !choice->kept && needs_imatrix(o->mix, (*order[i])->name, choice->dtype);
    }
    td_pattern_set_free(c.patterns);
    td_free(order);
    return status;
}
