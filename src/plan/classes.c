/* classes.c - the classes of modules: KTransformers' and transformers' names of one class, and the
 * class each derives from.
 *
 * One table row is one modelling file, or the two of KTransformers and transformers that define the
 * same family.  A class is written without the stem that all of a file share ("MLP" for
 * "Qwen2MoeMLP"); where it has no stem, '=' stands before it; names that mean the same class are
 * separated by '|'; ':' stands before its base.  Classes for other tasks than generating text are
 * left out: no tree of ours has them. */
#include <string.h>

#include "plan/tree.h"

#define KT       "ktransformers.models."
#define HF       "transformers.models."
#define OPERATOR "ktransformers.operators."

/* ---- torch, and what transformers' families have in common ---- */

typedef struct plain_class {
    const char *name, *other; /* public, and where it is defined; other NULL: the same */
} plain_class;

/* clang-format off */
static const plain_class plain[] = {
    {"torch.nn.Module", "torch.nn.modules.module.Module"},
    {"torch.nn.Linear", "torch.nn.modules.linear.Linear"},
    {"torch.nn.Embedding", "torch.nn.modules.sparse.Embedding"},
    {"torch.nn.ModuleList", "torch.nn.modules.container.ModuleList"},
    {"torch.nn.LayerNorm", "torch.nn.modules.normalization.LayerNorm"},
    {"torch.nn.RMSNorm", "torch.nn.modules.normalization.RMSNorm"},
    {"torch.nn.Conv1d", "torch.nn.modules.conv.Conv1d"},
    {"torch.nn.SiLU", "torch.nn.modules.activation.SiLU"},
    {"torch.nn.ReLU", "torch.nn.modules.activation.ReLU"},
    {"torch.nn.GELU", "torch.nn.modules.activation.GELU"},
    {"torch.nn.Dropout", "torch.nn.modules.dropout.Dropout"},
    {"torch.nn.Identity", "torch.nn.modules.linear.Identity"},
    {"transformers.activations.GELUActivation", NULL},
    {"transformers.activations.NewGELUActivation", NULL},
    {"transformers.activations.GELUTanh", NULL},
    {"transformers.activations.SiLUActivation", NULL},
    {"transformers.pytorch_utils.Conv1D", NULL},
    {"transformers.modeling_utils.PreTrainedModel", "transformers.PreTrainedModel"},
    {"transformers.modeling_layers.GradientCheckpointingLayer", NULL},
    /* Rule files match this operator, too: it is there only after they have been applied. */
    {OPERATOR "experts.KExpertsCPU", NULL},
};
/* clang-format on */

/* What a base may be besides a class of the same row. */
static const struct {
    const char *mark, *name;
} outer_bases[] = {
    {"$", "transformers.modeling_utils.PreTrainedModel"            },
    {"%", "transformers.modeling_layers.GradientCheckpointingLayer"},
    {"L", "torch.nn.Linear"                                        },
    {"E", "torch.nn.Embedding"                                     },
};

/* ---- families ---- */

typedef struct family {
    const char *kt, *kt_stem; /* behind KT; NULL: KTransformers has no such file */
    const char *hf, *hf_stem; /* behind HF; NULL: transformers has none */
    const char *classes;
} family;

#define MODELS " PreTrainedModel:$ Model:PreTrainedModel ForCausalLM:PreTrainedModel "
#define TEXT_MODELS                                                                                \
    " PreTrainedModel:$ TextModel:PreTrainedModel Model:PreTrainedModel "                          \
    "ForCausalLM:PreTrainedModel ForConditionalGeneration:PreTrainedModel "
#define DENSE "RMSNorm RotaryEmbedding MLP Attention DecoderLayer:%" MODELS
#define FLASH " FlashAttention2:Attention SdpaAttention:Attention "
#define ROPES                                                                                      \
    " LinearScalingRotaryEmbedding:RotaryEmbedding "                                               \
    "DynamicNTKScalingRotaryEmbedding:RotaryEmbedding YarnRotaryEmbedding:RotaryEmbedding "
#define SAME(name, stem) NULL, NULL, name ".modeling_" name, stem
#define BOTH(name, stem) "modeling_" name, stem, name ".modeling_" name, stem

/* clang-format off */
static const family families[] = {
    {"modeling_deepseek", "DeepseekV2", "deepseek_v2.modeling_deepseek_v2", "DeepseekV2",
     DENSE FLASH ROPES "=MoEGate|TopkRouter MoE|Moe Experts"},
    {BOTH("deepseek_v3", "DeepseekV3"), DENSE FLASH ROPES "=MoEGate|TopkRouter MoE Experts"},
    {BOTH("qwen2_moe", "Qwen2Moe"), DENSE FLASH "SparseMoeBlock TopKRouter Experts"},
    {BOTH("qwen3_moe", "Qwen3Moe"), DENSE "SparseMoeBlock TopKRouter Experts"},
    {BOTH("qwen3_next", "Qwen3Next"),
     DENSE "SparseMoeBlock TopKRouter Experts GatedDeltaNet RMSNormGated"},
    {BOTH("mixtral", "Mixtral"),
     DENSE FLASH "SparseMoeBlock BlockSparseTop2MLP TopKRouter Experts"},
    {BOTH("llama", "Llama"), DENSE FLASH ROPES},
    {BOTH("glm4_moe", "Glm4Moe"), DENSE "MoE TopkRouter Experts"},
    {BOTH("llama4", "Llama4"),
     "TextRMSNorm TextRotaryEmbedding TextMLP TextMoe TextExperts TextAttention "
     "TextDecoderLayer:% TextL2Norm Router:L" TEXT_MODELS},
    {"modeling_smallthinker", "Smallthinker", NULL, NULL,
     DENSE "MoeBlock DenseMlpBlock HierarchicalMLP =SmallThinkerForCausalLM:PreTrainedModel"},
    {"modeling_hunyuan", "HunYuan", "hunyuan_v1_moe.modeling_hunyuan_v1_moe", "HunYuanMoEV1",
     DENSE FLASH "DynamicNTKAlphaRotaryEmbedding:RotaryEmbedding MoE|Moe Gate|TopKGate Experts"},
    {SAME("cohere", "Cohere"), DENSE "LayerNorm"},
    {SAME("cohere2", "Cohere2"), DENSE "LayerNorm"},
    {SAME("deepseek_v32", "DeepseekV32"), DENSE "MoE TopkRouter Experts Indexer"},
    {SAME("dots1", "Dots1"), DENSE "MoE TopkRouter Experts"},
    {SAME("ernie4_5", "Ernie4_5"), DENSE},
    {SAME("ernie4_5_moe", "Ernie4_5_Moe"), DENSE "Statics Experts TopKRouter SparseMoeBlock"},
    {SAME("ernie4_5_vl_moe", "Ernie4_5_VLMoe"),
     "RMSNorm TextRotaryEmbedding TextAttention MLP MoeStatics MoeTopKRouter MoeExperts "
     "SparseMoeBlock MoeBlock DecoderLayer:%" TEXT_MODELS},
    {SAME("falcon", "Falcon"),
     "Linear:L RotaryEmbedding Attention FlashAttention2:Attention MLP DecoderLayer:%" MODELS},
    {SAME("gemma", "Gemma"), DENSE "TextScaledWordEmbedding:E"},
    {SAME("gemma2", "Gemma2"), DENSE "TextScaledWordEmbedding:E"},
    {SAME("gemma3", "Gemma3"),
     "TextScaledWordEmbedding:E MLP RMSNorm RotaryEmbedding Attention DecoderLayer:%" TEXT_MODELS},
    {SAME("glm4", "Glm4"), DENSE},
    {SAME("glm4_moe_lite", "Glm4MoeLite"), DENSE "MoE TopkRouter Experts"},
    {SAME("glm_moe_dsa", "GlmMoeDsa"), DENSE "MoE TopkRouter Experts Indexer"},
    {SAME("gpt2", "GPT2"),
     "Attention MLP Block:% PreTrainedModel:$ Model:PreTrainedModel LMHeadModel:PreTrainedModel"},
    {SAME("gpt_neox", "GPTNeoX"), "MLP RotaryEmbedding Attention Layer:%" MODELS},
    {SAME("gpt_oss", "GptOss"), DENSE "Experts TopKRouter"},
    {SAME("granite", "Granite"), DENSE},
    {SAME("granitemoe", "GraniteMoe"), DENSE "TopKRouter Experts MoE"},
    {SAME("granitemoeshared", "GraniteMoeShared"), DENSE "TopKRouter Experts MoE"},
    {SAME("minimax_m2", "MiniMaxM2"), DENSE "TopKRouter Experts SparseMoeBlock"},
    {SAME("mistral", "Mistral"), DENSE},
    {SAME("olmo2", "Olmo2"), DENSE},
    {SAME("olmoe", "Olmoe"), DENSE "TopKRouter Experts SparseMoeBlock"},
    {SAME("phi3", "Phi3"), DENSE},
    {SAME("qwen2", "Qwen2"), DENSE},
    {SAME("qwen3", "Qwen3"), DENSE},
    {SAME("qwen3_5", "Qwen3_5"),
     "TextRotaryEmbedding RMSNormGated GatedDeltaNet Attention MLP RMSNorm DecoderLayer:%"
     TEXT_MODELS},
    {SAME("qwen3_5_moe", "Qwen3_5Moe"),
     "TextRotaryEmbedding RMSNormGated GatedDeltaNet Attention MLP RMSNorm DecoderLayer:% "
     "SparseMoeBlock TopKRouter Experts" TEXT_MODELS},
    {SAME("smollm3", "SmolLM3"), DENSE},
    {SAME("starcoder2", "Starcoder2"), "MLP Attention RotaryEmbedding DecoderLayer:%" MODELS},
};
/* clang-format on */

/* ---- looking up ---- */

/* A class of the tables: its place there is what it is. */
typedef struct class_id {
    const family *family; /* NULL: one of plain */
    const void *at;       /* in family->classes, or a plain_class; NULL: unknown */
} class_id;

typedef struct text {
    const char *at;
    size_t n;
} text;

static bool text_is(text t, const char *s) { return strlen(s) == t.n && memcmp(s, t.at, t.n) == 0; }

/* Cuts the text before the first `separator` off *rest, which goes on behind it. */
static text cut(text *rest, char separator) {
    const char *end = rest->n ? memchr(rest->at, separator, rest->n) : NULL;
    const text head = {rest->at, end ? (size_t)(end - rest->at) : rest->n};
    rest->at += head.n + (end != NULL);
    rest->n -= head.n + (end != NULL);
    return head;
}

static class_id find_plain(text name) {
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (text_is(name, plain[i].name) || (plain[i].other && text_is(name, plain[i].other)))
            return (class_id){NULL, &plain[i]};
    return (class_id){NULL, NULL};
}

/* Is the entry "MoE|Moe" called `name`, with or without the stem? */
static bool entry_has(text entry, text name, const char *stem) {
    const size_t n_stem = strlen(stem);
    while (entry.n > 0) {
        const text one = cut(&entry, '|');
        if (one.at[0] == '=') {
            if (one.n - 1 == name.n && memcmp(one.at + 1, name.at, name.n) == 0) return true;
        } else if (one.n + n_stem == name.n && memcmp(name.at, stem, n_stem) == 0 &&
                   memcmp(name.at + n_stem, one.at, one.n) == 0) {
            return true;
        }
    }
    return false;
}

static class_id find_in(const family *f, text name, const char *stem) {
    text rest = {f->classes, strlen(f->classes)};
    while (rest.n > 0) {
        text entry = cut(&rest, ' ');
        const char *at = entry.at;
        const text names = cut(&entry, ':');
        if (names.n > 0 && entry_has(names, name, stem)) return (class_id){f, at};
    }
    return (class_id){f, NULL};
}

static bool starts_with(text t, const char *s) {
    return t.n >= strlen(s) && memcmp(t.at, s, strlen(s)) == 0;
}

static class_id find_class(const char *name) {
    const char *dot = strrchr(name, '.');
    const text whole = {name, strlen(name)};
    if (!dot) return (class_id){NULL, NULL};
    const bool is_kt = starts_with(whole, KT);
    const size_t n_top = is_kt ? strlen(KT) : strlen(HF);
    if (!is_kt && !starts_with(whole, HF)) return find_plain(whole);
    const text class_name = {dot + 1, whole.n - (size_t)(dot + 1 - name)};
    if ((size_t)(dot - name) < n_top) return (class_id){NULL, NULL};
    const text file = {name + n_top, (size_t)(dot - name) - n_top};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const family *f = &families[i];
        const char *own = is_kt ? f->kt : f->hf;
        if (own && text_is(file, own))
            return find_in(f, class_name, is_kt ? f->kt_stem : f->hf_stem);
    }
    return (class_id){NULL, NULL};
}

/* Unknown: torch.nn.Module. */
static class_id base_of(class_id id) {
    if (!id.family) return (class_id){NULL, NULL};
    text rest = {id.at, strlen(id.at)};
    text entry = cut(&rest, ' ');
    (void)cut(&entry, ':');
    if (entry.n == 0) return (class_id){NULL, NULL};
    for (size_t i = 0; i < sizeof outer_bases / sizeof outer_bases[0]; i++)
        if (text_is(entry, outer_bases[i].mark)) return find_class(outer_bases[i].name);
    return find_in(id.family, entry, "");
}

bool td_class_is_a(const char *node_class, const char *class_name) {
    if (strcmp(node_class, class_name) == 0) return true;
    const class_id wanted = find_class(class_name);
    if (!wanted.at) return false;
    if (wanted.at == &plain[0]) return true;
    for (class_id id = find_class(node_class); id.at; id = base_of(id))
        if (id.at == wanted.at) return true;
    return false;
}

/* Code that comes with a model may define any. */
bool td_class_is_known(const char *class_name) {
    return strncmp(class_name, "transformers_modules.", 21) == 0 ||
           find_class(class_name).at != NULL;
}
