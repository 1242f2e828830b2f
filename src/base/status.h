/* status.h - how functions fail: td_status for the program, a sentence in td_err for the person.
 *
 * The place that detects an error writes the message with td_fail(); those between pass it on with
 * TD_TRY() or put context in front with td_fail_in().  The types are public and live in tandem.h.
 */
#ifndef TD_BASE_STATUS_H
#define TD_BASE_STATUS_H

#include "tandem.h"

#include "base/attr.h"

/* Writes the message and returns `code`.  err may be NULL. */
td_status td_fail(td_err *err, td_status code, const char *fmt, ...) TD_PRINTF(3, 4);

/* Puts "context: " in front of the message already there and returns `status`. */
td_status td_fail_in(td_err *err, td_status status, const char *fmt, ...) TD_PRINTF(3, 4);

/* td_fail with strerror(errno_value) at the end: "cannot open 'x': No such file or directory". */
td_status td_fail_errno(td_err *err, int errno_value, const char *fmt, ...) TD_PRINTF(3, 4);

/* The one message for a failed allocation: `what` is a noun such as "the tensor table". */
td_status td_fail_nomem(td_err *err, const char *what, size_t bytes);

#define TD_TRY(call)                                                                               \
    do {                                                                                           \
        td_status td_try_status_ = (call);                                                         \
        if (TD_UNLIKELY(td_try_status_ != TD_OK)) return td_try_status_;                           \
    } while (0)

/* For bugs of ours, never for input; no side effects. */
#ifdef NDEBUG
#define TD_ASSERT(cond) ((void)0)
#else
#include <assert.h>
#define TD_ASSERT(cond) assert(cond)
#endif

#endif
