/* quantize_pattern.h - the regular expressions of --tensor-type. */
#ifndef TD_JOBS_QUANTIZE_PATTERN_H
#define TD_JOBS_QUANTIZE_PATTERN_H

#include "jobs/quantize_mix.h"

typedef struct td_pattern_set td_pattern_set;

/* The patterns of overrides[n]; one that is no regular expression is TD_ERR_ARGUMENT. */
td_status td_pattern_set_create(td_pattern_set **out, const td_mix_override *overrides, int n,
                                td_err *err);
void td_pattern_set_free(td_pattern_set *set); /* NULL is fine */

/* The index of the first pattern that matches a part of the name, or -1.  One that takes too many
 * steps to tell is an error. */
td_status td_pattern_find(const td_pattern_set *set, const char *name, int *i_pattern, td_err *err);

#endif
