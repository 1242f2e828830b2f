/* capability.h - which operators exist on which device, from what compute capability on, and what
 * stands in for them below: one table, which the plan, the doctor, docs/GPUS.md and the launcher
 * read. */
#ifndef TD_PLAN_CAPABILITY_H
#define TD_PLAN_CAPABILITY_H

#include "base/strbuf.h"
#include "plan/hardware.h"
#include "tensor/dtype.h"

enum { TD_CAPABILITY_LEAST = 75 }; /* below it a GPU is an excluded device */

typedef enum td_device_kind { TD_DEVICE_CPU, TD_DEVICE_CUDA } td_device_kind;

typedef enum td_verdict {
    TD_VERDICT_AS_WRITTEN,
    TD_VERDICT_REPLACED, /* by another operator or device: the reason says which and what it costs
                          */
    TD_VERDICT_REFUSED   /* nothing stands in */
} td_verdict;

/* Dtypes that kernels treat alike; bit 1 << class in sets. */
typedef enum td_dtype_class {
    TD_CLASS_F32,
    TD_CLASS_F16,
    TD_CLASS_BF16,
    TD_CLASS_FP8,
    TD_CLASS_INT8,  /* Q8_0 */
    TD_CLASS_INT4,  /* blocks of 32 with 4 or 5 bits; GPTQ, AWQ, compressed-tensors */
    TD_CLASS_K,     /* Q2_K to Q6_K */
    TD_CLASS_IQ,    /* IQ1 to IQ4 and ternary types */
    TD_CLASS_MXFP4, /* blocks of 4-bit floats */
    TD_CLASS_NVFP4,
    TD_N_CLASS
} td_dtype_class;

td_dtype_class td_dtype_class_of(int dtype);

/* What a class of weights wants of a GPU to be computed as written, and of a CPU. */
typedef struct td_class_need {
    const char *name;       /* "BF16" */
    const char *types;      /* the dtypes, for people */
    int capability;         /* least compute capability times ten */
    const char *below;      /* what stands in below that, a clause; NULL: nothing has to */
    double below_cost;      /* times slower then */
    const char *cpu_levels; /* with kernels of their own; the scalar ones run everywhere */
} td_class_need;

const td_class_need *td_class_need_of(td_dtype_class c);

/* One operator name of rule files, and what it is here. */
typedef struct td_operator {
    const char *name;    /* "KLinearMarlin" */
    const char *does;    /* "quantized weights, tensor cores": a phrase */
    const char *family;  /* the kernels that run it: "linear", "experts", ... */
    bool cpu, cuda;      /* devices it exists on */
    int capability;      /* least compute capability times ten; 0: any that is not excluded */
    const char *below;   /* what stands in below that, a clause; NULL: nothing */
    double below_cost;   /* times slower then */
    unsigned wants;      /* set of classes it is written for; 0: all */
    const char *instead; /* an operator of another vendor: the name that stands in; NULL */
    bool in_build;       /* its GPU kernels are in this build */
} td_operator;

/* NULL if unknown.  Old names (plan/rules.h) must have been translated.  Besides the names of rule
 * files there are "attention", "mla", "delta-net", "norm", "rope", "router", "embedding",
 * "lm_head", "kv-cache" (its dtype is the cache's), and "default", which is any of them. */
const td_operator *td_operator_find(const char *name);
const td_operator *td_operator_at(int i); /* NULL at the end */

typedef struct td_capability {
    td_verdict verdict;
    const td_operator *op; /* what runs; NULL: refused for its name */
    td_device_kind kind;   /* where it runs, once there are kernels */
    double cost;           /* times slower than on a device that has all it wants; 1: none */
    char reason[256];      /* a sentence without its full stop; "" as written */
} td_capability;

/* What becomes of an operator on a device: gpu NULL is the CPU.  A dtype below 0 is not known. */
void td_capability_check(td_capability *out, const char *op, int dtype, const td_gpu *gpu);

/* Why a GPU is excluded and what to do, as a sentence without its full stop; or NULL. */
const char *td_gpu_excluded(const td_gpu *gpu, char text[256]);

/* The table as the page docs/GPUS.md: capability_page.c. */
void td_capability_page(td_strbuf *out);

#endif
