/* clock.h - wall time. */
#ifndef TD_BASE_CLOCK_H
#define TD_BASE_CLOCK_H

#include <stdint.h>

/* Seconds of a clock that never goes back; only differences mean anything. */
double td_clock_seconds(void);

#endif
