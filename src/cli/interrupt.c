/* interrupt.c - see interrupt.h.  The state is static because a signal handler gets no argument. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

enum { EXIT_BY_INTERRUPT = 130 };

static _Atomic(td_engine *) attached; /* written by the main thread, read by the handler */
static atomic_int n_seen;             /* raised by the handler, cleared by the main thread */

static void on_interrupt(int signal_number) {
    (void)signal_number;
    td_engine *engine = atomic_load(&attached);
    const int n = atomic_fetch_add(&n_seen, 1) + 1;
    if (n > (engine ? 2 : 1)) _exit(EXIT_BY_INTERRUPT);
    if (engine) td_engine_cancel(engine);
}

static void install(int flags) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void td_interrupt_install(void) { install(SA_RESTART); }

void td_interrupt_attach(td_engine *engine) {
    atomic_store(&n_seen, 0);
    atomic_store(&attached, engine);
}

bool td_interrupt_seen(void) { return atomic_load(&n_seen) > 0; }

void td_interrupt_reset(void) { atomic_store(&n_seen, 0); }

void td_interrupt_break_reads(bool on) { install(on ? 0 : SA_RESTART); }
