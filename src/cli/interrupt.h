/* interrupt.h - what Ctrl-C does.
 *
 *   nothing attached   the first is remembered (td_interrupt_seen), a second one not yet taken note
 *                      of ends the program
 *   engine attached    td_engine_cancel(); the third during one answer ends the program */
#ifndef TD_CLI_INTERRUPT_H
#define TD_CLI_INTERRUPT_H

#include <stdbool.h>

#include "tandem.h"

void td_interrupt_install(void);

/* From now on Ctrl-C cancels the engine's step (NULL: of none), and none has been seen. */
void td_interrupt_attach(td_engine *engine);

/* True if Ctrl-C came since the last td_interrupt_attach() or td_interrupt_reset(). */
bool td_interrupt_seen(void);
void td_interrupt_reset(void);

/* While on, Ctrl-C makes a read() under way fail with EINTR instead of being resumed. */
void td_interrupt_break_reads(bool on);

#endif
