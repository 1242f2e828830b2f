/* capability.c - the table of operators, and what becomes of each on a device. */
#include "plan/capability.h"

#include <stdio.h>
#include <string.h>

/* In order of the documentation's page.  `capability` is what an operator wants to run as written;
 * `below` is what happens under it, down to TD_CAPABILITY_LEAST. */
/* clang-format off */
static const td_operator operators[] = {
    {.name = "KLinearMarlin", .does = "quantized weights, products on tensor cores", .family = "linear-int",
     .cuda = true, .capability = 80,
     .below = "the weights stay quantized and take the int8 and f16 tensor cores of Turing, without asynchronous copies",
     .below_cost = 1.3},
    {.name = "VLinearMarlin", .does = "the same, sized for batches", .family = "linear-int",
     .cuda = true, .capability = 80,
     .below = "the weights stay quantized and take the int8 and f16 tensor cores of Turing, without asynchronous copies",
     .below_cost = 1.3},
    {.name = "KLinearTorch", .does = "the exact product with dequantized values, weights kept quantized", .family = "linear-exact",
     .cpu = true, .cuda = true},
    {.name = "KLinearQ8", .does = "8-bit weights", .family = "linear-int", .cpu = true, .cuda = true},
    {.name = "KLinearFP8", .does = "FP8 weights in blocks of 128 x 128", .family = "linear-fp8",
     .cpu = true, .cuda = true, .capability = 89,
     .below = "FP8 is expanded to f16 in the kernel, in registers: no FP8 hardware below 8.9",
     .below_cost = 1.5},
    {.name = "KLinearCPUInfer", .does = "the file's own blocks on the CPU", .family = "linear-int", .cpu = true},
    {.name = "KExpertsCPU", .does = "routed experts on the CPU, in the file's own blocks", .family = "experts", .cpu = true},
    {.name = "KSFTExpertsCPU", .does = "the same, of a training run", .family = "experts", .cpu = true, .instead = "KExpertsCPU"},
    {.name = "KExpertsCPUW8A8", .does = "experts of an Ascend host", .family = "experts", .cpu = true, .instead = "KExpertsCPU"},
    {.name = "KExpertsMarlin", .does = "routed experts on the GPU, quantized", .family = "experts",
     .cuda = true, .capability = 80,
     .below = "the experts stay quantized and take the int8 and f16 tensor cores of Turing",
     .below_cost = 1.3},
    {.name = "KExpertsTorch", .does = "routed experts on the GPU, exact products", .family = "experts",
     .cuda = true},
    {.name = "KLinearIPEXLLM", .does = "Intel GPUs", .family = "linear-int", .instead = "KLinearMarlin"},
    {.name = "KLinearTorchW8A8A2", .does = "Ascend NPUs", .family = "linear-int", .instead = "KLinearMarlin"},
    {.name = "attention", .does = "attention and its KV cache", .family = "attention",
     .cpu = true, .cuda = true, .capability = 80,
     .below = "f16 with float32 sums, copied through registers", .below_cost = 1.2},
    {.name = "default", .does = "norms, rotations, embeddings, routers", .family = "elementwise", .cpu = true, .cuda = true},
};
/* clang-format on */

enum { N_OPERATOR = sizeof operators / sizeof operators[0] };

const td_operator *td_operator_at(int i) { return i >= 0 && i < N_OPERATOR ? &operators[i] : NULL; }

const td_operator *td_operator_find(const char *name) {
    for (int i = 0; i < N_OPERATOR; i++)
        if (strcmp(operators[i].name, name) == 0) return &operators[i];
    return NULL;
}

const char *td_gpu_excluded(const td_gpu *gpu, char text[256]) {
    if (gpu->capability >= TD_CAPABILITY_LEAST) return NULL;
    snprintf(text, 256,
             "%s has compute capability %d.%d, Tandem's GPU kernels want 7.5 (T4, RTX 20) or more, "
             "and CUDA 13 no longer compiles for it: leave it out, the CPU runs the model",
             gpu->name, gpu->capability / 10, gpu->capability % 10);
    return text;
}

static void refuse(td_capability *c, const char *op) {
    c->verdict = TD_VERDICT_REFUSED;
    snprintf(c->reason, sizeof c->reason, "no operator is called '%s'", op);
}

/* Number formats that a GPU computes by other means. */
static void note_dtype(td_capability *c, int dtype, const td_gpu *gpu) {
    const char *how = NULL;
    double cost = 1;
    if (dtype == TD_DTYPE_F8_E4M3 && gpu->capability < 89)
        how = "FP8 weights are expanded to f16 in registers: no FP8 hardware below 8.9", cost = 1.5;
    else if (dtype == TD_DTYPE_BF16 && gpu->capability < 80)
        how =
            "bf16 weights are computed as f16 with float32 sums, each scaled into its range: no bf16 "
            "hardware below 8.0",
        cost = 1.2;
    if (!how || c->verdict != TD_VERDICT_AS_WRITTEN) return;
    c->verdict = TD_VERDICT_REPLACED;
    c->cost = cost;
    snprintf(c->reason, sizeof c->reason, "%s (about %.1f times slower)", how, cost);
}

/* Where its device lacks it, or has no kernels in this build. */
static void on_gpu(td_capability *c, const td_gpu *gpu) {
    const td_operator *op = c->op;
    char excluded[256];
    c->kind = TD_DEVICE_CUDA;
    if (td_gpu_excluded(gpu, excluded)) {
        c->verdict = TD_VERDICT_REFUSED;
        snprintf(c->reason, sizeof c->reason, "%.*s", (int)sizeof c->reason - 1, excluded);
        return;
    }
    if (!op->cuda) {
        c->verdict = TD_VERDICT_REPLACED;
        c->kind = TD_DEVICE_CPU;
        snprintf(c->reason, sizeof c->reason, "%s runs on the CPU only", op->name);
        return;
    }
    if (op->capability > gpu->capability) {
        c->verdict = TD_VERDICT_REPLACED;
        c->cost = op->below_cost;
        snprintf(c->reason, sizeof c->reason,
                 "%s wants %d.%d, this is %d.%d: %s (about %.1f times slower)", op->name,
                 op->capability / 10, op->capability % 10, gpu->capability / 10,
                 gpu->capability % 10, op->below, op->below_cost);
    }
}

void td_capability_check(td_capability *c, const char *name, int dtype, const td_gpu *gpu) {
    *c = (td_capability){.cost = 1, .op = td_operator_find(name)};
    if (!c->op) {
        refuse(c, name);
        return;
    }
    const char *instead = c->op->instead;
    if (instead) {
        c->verdict = TD_VERDICT_REPLACED;
        snprintf(c->reason, sizeof c->reason, "%s (%s) is replaced by %s", name, c->op->does,
                 instead);
        c->op = td_operator_find(instead);
    }
    if (gpu) {
        on_gpu(c, gpu);
        if (c->kind == TD_DEVICE_CUDA) note_dtype(c, dtype, gpu);
    } else if (!c->op->cpu) {
        c->verdict = TD_VERDICT_REPLACED;
        snprintf(c->reason, sizeof c->reason,
                 "%s on the CPU: the file's own blocks, by the CPU's kernels", c->op->name);
    }
}
