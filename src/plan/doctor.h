/* doctor.h - what stands in the way of a model on this machine, and what to do about it. */
#ifndef TD_PLAN_DOCTOR_H
#define TD_PLAN_DOCTOR_H

#include "plan/driver.h"
#include "plan/hardware.h"
#include "plan/machine.h"

/* What is known of the machine.  Lifetime: the caller's. */
typedef struct td_doctor_facts {
    td_machine machine;
    td_driver driver;
    td_hardware hardware;      /* with the driver's GPUs, and rates if they were measured */
    const char *level;         /* the CPU level in use */
    const char *best_level;    /* the highest that this machine has */
    double disk;               /* bytes per second; 0: not known */
    uint64_t model_bytes;      /* weights of the model that was asked about; 0: none was */
    const char *model_trouble; /* why it cannot run whatever the machine; NULL */
} td_doctor_facts;

typedef enum td_finding_kind {
    TD_FINDING_NOTE,     /* as it is, things work; it is good to know */
    TD_FINDING_ATTENTION /* something cannot be used, or much of the speed is lost */
} td_finding_kind;

typedef struct td_finding {
    td_finding_kind kind;
    char what[320];   /* a sentence without its full stop */
    char remedy[256]; /* the same; "": nothing to do */
} td_finding;

enum { TD_MAX_FINDINGS = 64 };

/* Fills out[TD_MAX_FINDINGS], what needs attention first; returns how many. */
int td_doctor_examine(const td_doctor_facts *facts, td_finding *out);

/* Is there one that needs attention? */
bool td_doctor_needs_attention(const td_finding *findings, int n);

#endif
