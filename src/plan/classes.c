/* classes.c - names, aliases and bases of classes; see tree.h. */
#include <string.h>

#include "plan/tree.h"

/* Other names of one class. */
static const char *const aliases[][2] = {
    {"torch.nn.Linear",     "torch.nn.modules.linear.Linear"       },
    {"torch.nn.Embedding",  "torch.nn.modules.sparse.Embedding"    },
    {"torch.nn.ModuleList", "torch.nn.modules.container.ModuleList"},
    {"torch.nn.Module",     "torch.nn.modules.module.Module"       },
    {"torch.nn.SiLU",       "torch.nn.modules.activation.SiLU"     },
};

#define V3 "ktransformers.models.modeling_deepseek_v3."
#define V2 "ktransformers.models.modeling_deepseek."

/* A class and its base. */
static const char *const bases[][2] = {
    {V3 "DeepseekV3YarnRotaryEmbedding",              V3 "DeepseekV3RotaryEmbedding"},
    {V3 "DeepseekV3LinearScalingRotaryEmbedding",     V3 "DeepseekV3RotaryEmbedding"},
    {V3 "DeepseekV3DynamicNTKScalingRotaryEmbedding", V3 "DeepseekV3RotaryEmbedding"},
    {V3 "DeepseekV3FlashAttention2",                  V3 "DeepseekV3Attention"      },
    {V2 "DeepseekV2YarnRotaryEmbedding",              V2 "DeepseekV2RotaryEmbedding"},
    {V2 "DeepseekV2FlashAttention2",                  V2 "DeepseekV2Attention"      },
};

static const char *defining_name(const char *class_name) {
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(aliases[i][0], class_name) == 0) return aliases[i][1];
    return class_name;
}

bool td_class_is_a(const char *node_class, const char *class_name) {
    const char *a = defining_name(node_class), *b = defining_name(class_name);
    if (strcmp(a, b) == 0 || strcmp(b, "torch.nn.modules.module.Module") == 0) return true;
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        if (strcmp(bases[i][0], a) == 0 && strcmp(bases[i][1], b) == 0) return true;
    return false;
}

bool td_class_is_known(const char *class_name) {
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(aliases[i][0], class_name) == 0 || strcmp(aliases[i][1], class_name) == 0)
            return true;
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        if (strcmp(bases[i][0], class_name) == 0 || strcmp(bases[i][1], class_name) == 0)
            return true;
    return false;
}
