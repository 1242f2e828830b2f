/* capability.h - which operators exist on which device, from what compute capability on, and what
 * stands in for them below: one table, which the plan, the doctor, docs/GPUS.md and the launcher
 * read. */
#ifndef TD_PLAN_CAPABILITY_H
#define TD_PLAN_CAPABILITY_H

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

/* One operator name of rule files, and what it is here. */
typedef struct td_operator {
    const char *name;    /* "KLinearMarlin" */
    const char *does;    /* "quantized weights, tensor cores": a phrase */
    const char *family;  /* the kernels that run it: "linear-int", "experts", ... */
    bool cpu, cuda;      /* devices it exists on */
    int capability;      /* least compute capability times ten; 0: any */
    const char *below;   /* what stands in below that, as a sentence; NULL: nothing */
    double below_cost;   /* times slower then */
    const char *instead; /* an operator of another vendor: the name that stands in; NULL */
    bool in_build;       /* its GPU kernels are in this build */
} td_operator;

/* NULL if unknown.  Old names (plan/rules.h) must have been translated. */
const td_operator *td_operator_find(const char *name);
const td_operator *td_operator_at(int i); /* NULL at the end */

typedef struct td_capability {
    td_verdict verdict;
    const td_operator *op; /* what runs */
    td_device_kind kind;   /* where it runs today */
    double cost;           /* times slower than on a device that has all it wants; 1: none */
    char reason[256];      /* a sentence; "" as written */
} td_capability;

/* What becomes of an operator on a device: gpu NULL is the CPU.  A dtype below 0 is not known. */
void td_capability_check(td_capability *out, const char *op, int dtype, const td_gpu *gpu);

/* Why a GPU is excluded, or NULL. */
const char *td_gpu_excluded(const td_gpu *gpu, char text[256]);

#endif
