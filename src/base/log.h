/* log.h - the one log sink (td_log_set in tandem.h).  The library never prints on its own. */
#ifndef TD_BASE_LOG_H
#define TD_BASE_LOG_H

#include "base/status.h"

/* One line, without a newline at the end; longer than 1 KiB is cut. */
void td_log(td_log_level level, const char *fmt, ...) TD_PRINTF(2, 3);

#endif
