/* repair.h - a well-formed copy of a text, with U+FFFD for each ill-formed sequence, and the way
 * back from places in the copy to those in the text. */
#ifndef TD_TEXT_REPAIR_H
#define TD_TEXT_REPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"

typedef struct td_repair_place {
    uint32_t end;   /* offset in the copy behind the U+FFFD */
    uint32_t grown; /* bytes the copy is longer than the text up to there */
} td_repair_place;

/* Zeroed is empty. */
typedef struct td_repair {
    td_strbuf text;          /* the copy */
    td_repair_place *places; /* owned; in order */
    size_t n, cap;
} td_repair;

/* n_text is at most 2^30. */
td_status td_repair_text(td_repair *r, const char *text, size_t n_text, td_err *err);
void td_repair_clear(td_repair *r);

#endif
