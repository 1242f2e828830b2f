/* progress.h - one line on a terminal that says how far something long has come.
 *
 * It shows only what takes over a second, redraws ten times a second, and wipes itself out. */
#ifndef TD_BASE_PROGRESS_H
#define TD_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/strbuf.h"

/* Memory the caller owns. */
typedef struct td_progress {
    FILE *out;      /* borrowed; stderr; NULL: nothing is ever drawn */
    double t_start; /* td_clock_seconds() at the first update; 0: none yet */
    double t_drawn; /* at the last drawing */
    bool drawn;     /* a line stands there and must be wiped out */
} td_progress;

/* Draws on `out` if is_terminal, and neither NO_COLOR is set nor TERM is "dumb". */
void td_progress_init(td_progress *p, FILE *out, bool is_terminal);

/* `total` 0: unknown.  Cheap enough to call for every tensor. */
void td_progress_update(td_progress *p, const char *stage, uint64_t done, uint64_t total);

/* Wipes the line out, if there is one; the next update starts anew. */
void td_progress_finish(td_progress *p);

/* The line without control codes: "packing weights  [=====     ]  50 %". */
void td_progress_render(const char *stage, uint64_t done, uint64_t total, td_strbuf *line);

#endif
