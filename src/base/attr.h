/* attr.h - the GNU attributes we use, by name. */
#ifndef TD_BASE_ATTR_H
#define TD_BASE_ATTR_H

#define TD_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define TD_MUST_USE           __attribute__((warn_unused_result))
#define TD_UNUSED             __attribute__((unused))
#define TD_LIKELY(x)          __builtin_expect(!!(x), 1)
#define TD_UNLIKELY(x)        __builtin_expect(!!(x), 0)
#define TD_CACHE_LINE         64 /* bytes; alignment of arenas and of what threads write apart */
#define TD_ALIGNED(n)         __attribute__((aligned(n)))

#endif
