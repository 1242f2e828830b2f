/* fill_x86.c - which level overrides which slot.  Levels in rising order of preference; a later
 * line wins. */
#include "kernel/kernels.h"

void td_kernels_x86(td_kernels *t, unsigned flags) {
    (void)t;
    (void)flags;
}
