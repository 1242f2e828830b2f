/* predict.c - the shares of bandwidth and peak that kernels reach, and the sums. */
#include "plan/predict.h"

#include <math.h>

#include "tensor/dtype.h"

/* What the kernels of a type reach.  Measured on a Zen 4 at avx512vnni, one thread, in the CPU's
 * own time so that a shared machine does not disturb: `tools/predict-check --cpu-time`, and for the
 * types that no mix has, m = 1 and m = 512 of docs/PERF.md relative to Q4_K.  Other levels have
 * other peaks, which are measured at their level, and much the same shares. */
typedef struct kernel_share {
    int dtype;
    double prompt; /* of the peak, in large batches: int8 of quantized types, float32 of floats */
    double decode; /* of the same peak with one row: what unpacking allows; 0: bandwidth decides */
} kernel_share;

static const kernel_share shares[] = {
    {TD_DTYPE_F32,       0.85, 0    },
    {TD_DTYPE_F16,       0.80, 0    },
    {TD_DTYPE_BF16,      0.80, 0    },
    {TD_DTYPE_F8_E4M3,   0.75, 0.2  },
    {TD_DTYPE_Q4_0,      0.68, 0    },
    {TD_DTYPE_Q4_1,      0.63, 0    },
    {TD_DTYPE_Q5_0,      0.65, 0    },
    {TD_DTYPE_Q5_1,      0.58, 0    },
    {TD_DTYPE_Q8_0,      0.68, 0    },
    {TD_DTYPE_Q2_K,      0.53, 0.22 },
    {TD_DTYPE_Q3_K,      0.48, 0.15 },
    {TD_DTYPE_Q4_K,      0.66, 0.18 },
    {TD_DTYPE_Q5_K,      0.62, 0    },
    {TD_DTYPE_Q6_K,      0.53, 0    },
    {TD_DTYPE_IQ4_XS,    0.60, 0.17 },
    {TD_DTYPE_IQ3_S,     0.38, 0.040},
    {TD_DTYPE_IQ3_XXS,   0.38, 0.040},
    {TD_DTYPE_IQ2_S,     0.39, 0.060},
    {TD_DTYPE_IQ2_XS,    0.41, 0.062},
    {TD_DTYPE_IQ2_XXS,   0.46, 0.064},
    {TD_DTYPE_IQ1_S,     0.46, 0.066},
    {TD_DTYPE_IQ1_M,     0.39, 0.055},
    {TD_DTYPE_TQ2_0,     0.62, 0.25 },
    {TD_DTYPE_TQ1_0,     0.51, 0.10 },
    {TD_DTYPE_IQ4_NL,    0.66, 0    },
    {TD_DTYPE_MXFP4,     0.64, 0    },
    {TD_DTYPE_NVFP4,     0.50, 0    },
    {TD_DTYPE_INT4,      0.67, 0    },
    {TD_DTYPE_INT4_Z32,  0.60, 0    },
    {TD_DTYPE_INT4_Z128, 0.59, 0    },
};

/* Of the read bandwidth, matrices: kernels look further ahead than the probe's plain loop, so that
 * one or two threads read faster than it, floats most; many threads ask for all there is, and get
 * less of it than a loop that does nothing else. */
static const double few_k = 1.0, few_blocks = 1.15, few_floats = 1.3, many = 0.9;
enum { FEW = 2 };
/* A cache that is read in pages per head. */
static const double cpu_cache = 0.5;
/* Of the float32 peak: attention's scores and sums. */
static const double cpu_attention = 0.4;
/* A second socket's memory is half as near; threads do not care yet whose it is. */
static const double per_socket = 0.65;
/* Runs of the pool per layer, and what the barrier of each costs: PERF.md has 240 runs and about
 * 0.9 ms of them in SmolLM2's token with 2 threads.  More threads take longer to meet. */
static const double runs_per_layer = 8, barrier = 3.5e-6;
/* Choosing a token reads and compares each logit a few times: Gemma 3's 262144 in the same run. */
static const double per_logit = 4e-9;

/* GPUs: guesses until kernels have run.  A T4 at 70 W keeps 25 to 40 of its 65 TFLOP/s. */
static const double gpu_weights = 0.75, gpu_prompt = 0.45, gpu_attention = 0.3;
static const double gpu_launches_per_layer = 10, launch = 2e-6; /* in a captured graph */
static const double two_devices = 60e-6; /* to wake the CPU's threads, and a copy each way */

static const kernel_share *share_of(int dtype) {
    static const kernel_share other = {.prompt = 0.5};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        if (shares[i].dtype == dtype) return &shares[i];
    return &other;
}

static bool is_float(int dtype) {
    return dtype == TD_DTYPE_F32 || dtype == TD_DTYPE_F16 || dtype == TD_DTYPE_BF16 ||
           dtype == TD_DTYPE_F8_E4M3;
}

td_predict_device td_predict_cpu(const td_cpu *cpu) {
    return (td_predict_device){.bandwidth = cpu->bandwidth,
                               .int_peak = cpu->int8,
                               .float_peak = cpu->f32,
                               .n_worker = cpu->n_core,
                               .n_socket = cpu->n_socket};
}

td_predict_device td_predict_gpu(const td_gpu *gpu) {
    return (td_predict_device){
        .bandwidth = gpu->bandwidth, .int_peak = gpu->f16, .float_peak = gpu->f16, .n_socket = 1};
}

bool td_predict_is_known(const td_predict_device *d) {
    return d->bandwidth > 0 && d->int_peak > 0 && d->float_peak > 0;
}

static bool is_gpu(const td_predict_device *d) { return d->n_worker == 0; }

/* ---- seconds ---- */

static double read_share(const td_predict_device *d, int dtype) {
    if (is_gpu(d)) return gpu_weights;
    if (d->n_worker > FEW) return many;
    if (is_float(dtype)) return few_floats;
    return dtype >= TD_DTYPE_Q2_K && dtype <= TD_DTYPE_Q6_K ? few_k : few_blocks;
}

static double read_rate(const td_predict_device *d, int dtype) {
    return read_share(d, dtype) * d->bandwidth * (d->n_socket > 1 ? per_socket : 1);
}

static double peak(const td_predict_device *d, int dtype) {
    return is_float(dtype) ? d->float_peak : d->int_peak;
}

static double times(const td_predict_part *p) { return p->cost > 0 ? p->cost : 1; }

double td_predict_part_decode(const td_predict_device *d, const td_predict_part *p) {
    const double reading = p->decode_bytes / read_rate(d, p->dtype);
    const double share = is_gpu(d) ? 0 : share_of(p->dtype)->decode;
    const double unpacking = share > 0 ? p->decode_ops / (share * peak(d, p->dtype)) : 0;
    return times(p) * fmax(reading, unpacking);
}

double td_predict_part_prompt(const td_predict_device *d, const td_predict_part *p, int n_batch) {
    const double share = is_gpu(d) ? gpu_prompt : share_of(p->dtype)->prompt;
    const double reading = p->batch_bytes / (read_rate(d, p->dtype) * n_batch);
    return times(p) * (p->prompt_ops / (share * peak(d, p->dtype)) + reading);
}

/* Seconds between the pieces of one layer's work. */
static double between(const td_predict_device *d) {
    if (is_gpu(d)) return gpu_launches_per_layer * launch;
    return d->n_worker > 1 ? runs_per_layer * barrier * log2(d->n_worker) : 0;
}

double td_predict_layers_decode(const td_predict_device *d, const td_predict_layers *l) {
    const double cache = is_gpu(d) ? gpu_weights : cpu_cache;
    return l->kv_bytes / (cache * d->bandwidth) + l->n_layer * between(d) + l->n_vocab * per_logit;
}

/* A pass over a batch has the same pieces; divided by its rows they are nothing. */
double td_predict_layers_prompt(const td_predict_device *d, const td_predict_layers *l) {
    const double share = is_gpu(d) ? gpu_attention : cpu_attention;
    return l->attention_ops / (share * d->float_peak);
}

double td_predict_decode(const td_predict_device *d, const td_predict_work *w) {
    double seconds = td_predict_layers_decode(d, &w->layers);
    for (int i = 0; i < w->n_part; i++) seconds += td_predict_part_decode(d, &w->parts[i]);
    return seconds;
}

double td_predict_prompt(const td_predict_device *d, const td_predict_work *w, int n_batch) {
    double seconds = td_predict_layers_prompt(d, &w->layers);
    for (int i = 0; i < w->n_part; i++) seconds += td_predict_part_prompt(d, &w->parts[i], n_batch);
    return seconds;
}

double td_predict_handover_decode(void) { return two_devices; }

double td_predict_handover_prompt(double row_bytes, double link, int n_batch) {
    const double copies = link > 0 ? 2 * row_bytes / link : 0;
    return copies + two_devices / n_batch;
}
