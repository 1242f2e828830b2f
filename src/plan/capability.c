/* capability.c - the table of operators and classes, and what becomes of each on a device. */
#include "plan/capability.h"

#include <stdio.h>
#include <string.h>

enum {
    FLOATS = 1 << TD_CLASS_F32 | 1 << TD_CLASS_F16 | 1 << TD_CLASS_BF16,
    QUANTIZED = (1 << TD_N_CLASS) - 1 - FLOATS - (1 << TD_CLASS_FP8),
    KV_CLASSES = 1 << TD_CLASS_F32 | 1 << TD_CLASS_F16 | 1 << TD_CLASS_INT8 | 1 << TD_CLASS_INT4
};

/* What Marlin does below 8.0 is the same for all that are named after it. */
#define TURING                                                                                     \
    "the weights stay quantized and take the int8 and f16 tensor cores of Turing, copied through " \
    "registers"

/* In the order of docs/GPUS.md. */
/* clang-format off */
static const td_operator operators[] = {
    {.name = "KLinearMarlin", .does = "quantized weights on tensor cores", .family = "linear",
     .cuda = true, .capability = 80, .below = TURING, .below_cost = 1.3, .wants = QUANTIZED},
    {.name = "VLinearMarlin", .does = "the same for batches of several requests", .family = "linear",
     .cuda = true, .capability = 80, .below = TURING, .below_cost = 1.3, .wants = QUANTIZED},
    {.name = "KLinearTorch", .does = "products of the dequantized values; the weights stay as they are",
     .family = "linear", .cpu = true, .cuda = true},
    {.name = "KLinearQ8", .does = "8-bit weights", .family = "linear",
     .cpu = true, .cuda = true, .wants = 1 << TD_CLASS_INT8},
    {.name = "KLinearFP8", .does = "FP8 weights with a scale for 128 x 128", .family = "linear",
     .cpu = true, .cuda = true, .wants = 1 << TD_CLASS_FP8},
    {.name = "KLinearCPUInfer", .does = "the file's own blocks on the CPU", .family = "linear", .cpu = true},
    {.name = "KExpertsCPU", .does = "routed experts on the CPU, in the file's own blocks",
     .family = "experts", .cpu = true},
    {.name = "KExpertsMarlin", .does = "routed experts on the GPU, quantized", .family = "experts",
     .cuda = true, .capability = 80, .below = TURING, .below_cost = 1.3, .wants = QUANTIZED},
    {.name = "KExpertsTorch", .does = "routed experts on the GPU, products of the dequantized values",
     .family = "experts", .cpu = true, .cuda = true},
    {.name = "attention", .does = "attention over the KV cache", .family = "attention",
     .cpu = true, .cuda = true, .capability = 80,
     .below = "f16 tensor cores with float32 sums, copied through registers", .below_cost = 1.2},
    {.name = "mla", .does = "latent attention (DeepSeek, Kimi), absorbed or expanded", .family = "attention",
     .cpu = true, .cuda = true, .capability = 80,
     .below = "f16 tensor cores with float32 sums, copied through registers", .below_cost = 1.2},
    {.name = "delta-net", .does = "linear attention with a state", .family = "attention",
     .cpu = true, .cuda = true},
    {.name = "kv-cache", .does = "keys and values as f32, f16, q8_0 or q4_0", .family = "attention",
     .cpu = true, .cuda = true, .wants = KV_CLASSES},
    {.name = "router", .does = "the choice of experts, in float32", .family = "elementwise",
     .cpu = true, .cuda = true},
    {.name = "norm", .does = "RMSNorm and LayerNorm, in float32", .family = "elementwise",
     .cpu = true, .cuda = true},
    {.name = "rope", .does = "rotation of positions", .family = "elementwise", .cpu = true, .cuda = true},
    {.name = "embedding", .does = "rows of the token table", .family = "elementwise",
     .cpu = true, .cuda = true},
    {.name = "lm_head", .does = "the product with the output matrix", .family = "linear",
     .cpu = true, .cuda = true},
    {.name = "default", .does = "whatever the model's module is", .family = "elementwise",
     .cpu = true, .cuda = true},
    {.name = "KSFTExpertsCPU", .does = "experts of a training run", .instead = "KExpertsCPU"},
    {.name = "KExpertsCPUW8A8", .does = "experts beside an Ascend NPU", .instead = "KExpertsCPU"},
    {.name = "KLinearIPEXLLM", .does = "linears of an Intel GPU", .instead = "KLinearMarlin"},
    {.name = "KLinearTorchW8A8A2", .does = "linears of an Ascend NPU", .instead = "KLinearMarlin"},
};

static const td_class_need needs[TD_N_CLASS] = {
    [TD_CLASS_F32] = {"F32", "F32", 75, NULL, 1, "AVX2, AVX-512"},
    [TD_CLASS_F16] = {"F16", "F16", 75, NULL, 1, "AVX2, AVX-512"},
    [TD_CLASS_BF16] = {"BF16", "BF16", 80,
                       "bf16 weights are computed as f16 with float32 sums, each row scaled into f16's range", 1.2,
                       "AVX2, AVX-512"},
    [TD_CLASS_FP8] = {"FP8", "F8_E4M3", 89,
                      "FP8 weights are expanded to f16 in registers and take half the memory all the same", 1.5,
                      "AVX2, AVX-512"},
    [TD_CLASS_INT8] = {"INT8", "Q8_0", 75, NULL, 1, "AVX2, AVX-512, VNNI"},
    [TD_CLASS_INT4] = {"INT4", "Q4_0 Q4_1 Q5_0 Q5_1, and INT4 of GPTQ, AWQ, compressed-tensors", 75, NULL, 1,
                       "AVX2, AVX-512, VNNI"},
    [TD_CLASS_K] = {"K-quants", "Q2_K to Q6_K", 75, NULL, 1, "AVX2, AVX-512, VNNI"},
    [TD_CLASS_IQ] = {"IQ, ternary", "IQ1_S to IQ4_XS, IQ4_NL, TQ1_0, TQ2_0", 75, NULL, 1, "AVX2, AVX-512, VNNI"},
    [TD_CLASS_MXFP4] = {"MXFP4", "MXFP4", 75, NULL, 1, "AVX2, AVX-512, VNNI"},
    [TD_CLASS_NVFP4] = {"NVFP4", "NVFP4", 75, NULL, 1, "AVX2, AVX-512, VNNI"},
};
/* clang-format on */

enum { N_OPERATOR = sizeof operators / sizeof operators[0] };

const td_operator *td_operator_at(int i) { return i >= 0 && i < N_OPERATOR ? &operators[i] : NULL; }

const td_operator *td_operator_find(const char *name) {
    for (int i = 0; i < N_OPERATOR; i++)
        if (strcmp(operators[i].name, name) == 0) return &operators[i];
    return NULL;
}

const td_class_need *td_class_need_of(td_dtype_class c) {
    return (unsigned)c < TD_N_CLASS ? &needs[c] : NULL;
}

td_dtype_class td_dtype_class_of(int dtype) {
    switch (dtype) {
    case TD_DTYPE_F16: return TD_CLASS_F16;
    case TD_DTYPE_BF16: return TD_CLASS_BF16;
    case TD_DTYPE_F8_E4M3: return TD_CLASS_FP8;
    case TD_DTYPE_Q8_0: return TD_CLASS_INT8;
    case TD_DTYPE_MXFP4: return TD_CLASS_MXFP4;
    case TD_DTYPE_NVFP4: return TD_CLASS_NVFP4;
    case TD_DTYPE_Q4_0:
    case TD_DTYPE_Q4_1:
    case TD_DTYPE_Q5_0:
    case TD_DTYPE_Q5_1:
    case TD_DTYPE_INT4:
    case TD_DTYPE_INT4_Z32:
    case TD_DTYPE_INT4_Z128: return TD_CLASS_INT4;
    case TD_DTYPE_Q2_K:
    case TD_DTYPE_Q3_K:
    case TD_DTYPE_Q4_K:
    case TD_DTYPE_Q5_K:
    case TD_DTYPE_Q6_K: return TD_CLASS_K;
    default:
        return dtype >= TD_DTYPE_IQ2_XXS && dtype <= TD_DTYPE_TQ2_0 ? TD_CLASS_IQ : TD_CLASS_F32;
    }
}

const char *td_gpu_excluded(const td_gpu *gpu, char text[256]) {
    if (gpu->capability >= TD_CAPABILITY_LEAST) return NULL;
    snprintf(
        text, 256,
        "%.40s has compute capability %d.%d, Tandem's GPU kernels want 7.5 (T4, RTX 20) or "
        "more, and CUDA 13 cannot compile for less: leave this GPU out, the CPU runs the model",
        gpu->name, gpu->capability / 10, gpu->capability % 10);
    return text;
}

/* ---- what becomes of an operator ---- */

/* Of several replacements the costliest is told. */
static void replace(td_capability *c, double cost, const char *reason) {
    if (c->verdict == TD_VERDICT_REPLACED && c->reason[0] && cost <= c->cost) return;
    c->verdict = TD_VERDICT_REPLACED;
    if (cost > c->cost) c->cost = cost;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
}

static void replace_below(td_capability *c, const char *who, int wanted, const td_gpu *gpu,
                          const td_class_need *n) {
    char text[256];
    snprintf(text, sizeof text, "%s wants %d.%d, this is %d.%d: %s (about %.1f times slower)", who,
             wanted / 10, wanted % 10, gpu->capability / 10, gpu->capability % 10, n->below,
             n->below_cost);
    replace(c, n->below_cost, text);
}

static void on_gpu(td_capability *c, int dtype, const td_gpu *gpu) {
    const td_operator *op = c->op;
    char text[256];
    c->kind = TD_DEVICE_CUDA;
    if (td_gpu_excluded(gpu, text)) {
        c->verdict = TD_VERDICT_REFUSED;
        snprintf(c->reason, sizeof c->reason, "%s", text);
        return;
    }
    if (!op->cuda) {
        c->kind = TD_DEVICE_CPU;
        snprintf(text, sizeof text, "%s runs on the CPU only", op->name);
        replace(c, 1, text);
        return;
    }
    if (op->capability > gpu->capability)
        replace_below(c, op->name, op->capability, gpu,
                      &(td_class_need){.below = op->below, .below_cost = op->below_cost});
    const td_class_need *need = dtype >= 0 ? &needs[td_dtype_class_of(dtype)] : NULL;
    if (need && need->capability > gpu->capability)
        replace_below(c, need->name, need->capability, gpu, need);
}

/* Weights of another type than the operator makes of them: KTransformers would quantize them again
 * on loading, or stop. */
static void note_type(td_capability *c, int dtype) {
    char text[256];
    if (dtype < 0 || !c->op->wants) return;
    if (c->op->wants & 1u << td_dtype_class_of(dtype)) return;
    snprintf(text, sizeof text, "the weights stay %s as in the file: %s makes no others of them",
             td_dtype_name(dtype), c->op->name);
    replace(c, 1, text);
}

void td_capability_check(td_capability *c, const char *name, int dtype, const td_gpu *gpu) {
    char text[256];
    *c = (td_capability){.cost = 1, .op = td_operator_find(name)};
    if (!c->op) {
        c->verdict = TD_VERDICT_REFUSED;
        snprintf(c->reason, sizeof c->reason, "no operator is called '%.64s'", name);
        return;
    }
    if (c->op->instead) {
        snprintf(text, sizeof text, "%s (%s) is replaced by %s", name, c->op->does, c->op->instead);
        replace(c, 1, text);
        c->op = td_operator_find(c->op->instead);
    }
    note_type(c, dtype);
    if (gpu) {
        on_gpu(c, dtype, gpu);
    } else if (!c->op->cpu) {
        snprintf(text, sizeof text, "%s on the CPU: the file's own blocks, by the CPU's kernels",
                 c->op->name);
        replace(c, 1, text);
    }
}
