/* probe.c - measures memory bandwidth and arithmetic peaks with the loops of the kernel table. */
#include "jobs/probe.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "kernel/kernels.h"

enum { MAX_THREADS = 256, N_TRY = 5 };

static const size_t buffer_bytes = (size_t)512 << 20;

/* One thread's share of one try.  Lifetime: call.  Written by its thread, read after it ended. */
typedef struct worker {
    pthread_t thread;
    const td_kernels *kernels;
    const uint8_t *part; /* [bytes]; or NULL, and then: */
    size_t bytes;
    td_probe_peak_fn *peak;
    int n_round;
    double amount; /* out: bytes or operations */
    uint64_t mix;  /* out: of what was read, so that reading counts as used */
} worker;

static void *work(void *arg) {
    worker *w = arg;
    if (w->part) {
        w->mix = w->kernels->probe_read(w->part, w->bytes);
        w->amount = (double)w->bytes;
    } else {
        w->amount = w->peak(w->n_round);
    }
    return NULL;
}

/* Amount per second of one try; the calling thread is worker 0.  Starting threads takes some tens
 * of microseconds of a try's many milliseconds, and is simpler than a barrier that must not wait
 * for a thread which could not be started.  0 if one could not. */
static double try_once(worker *workers, int n_thread) {
    int n_started = 1;
    const double start = td_clock_seconds();
    while (n_started < n_thread &&
           pthread_create(&workers[n_started].thread, NULL, work, &workers[n_started]) == 0)
        n_started++;
    work(&workers[0]);
    double amount = workers[0].amount;
    for (int i = 1; i < n_started; i++) {
        pthread_join(workers[i].thread, NULL);
        amount += workers[i].amount;
    }
    const double seconds = td_clock_seconds() - start;
    return n_started == n_thread && seconds > 0 ? amount / seconds : 0;
}

/* The best of several tries, in units of 1e9 per second. */
static double measure(const worker *model, int n_thread) {
    worker workers[MAX_THREADS];
    if (n_thread < 1) n_thread = 1;
    if (n_thread > MAX_THREADS) n_thread = MAX_THREADS;
    const size_t part = model->bytes / (size_t)n_thread / 64 * 64;
    for (int i = 0; i < n_thread; i++) {
        workers[i] = *model;
        workers[i].bytes = part;
        if (model->part) workers[i].part += part * (size_t)i;
    }
    double best = 0;
    for (int i = 0; i < N_TRY; i++) {
        const double rate = try_once(workers, n_thread);
        if (rate > best) best = rate;
    }
    return best / 1e9;
}

double td_probe_bandwidth(int n_thread) {
    const td_kernels *kernels;
    if (td_kernels_get(&kernels, NULL) != TD_OK) return 0;
    uint8_t *buffer = td_malloc_aligned(buffer_bytes);
    if (!buffer) return 0;
    /* Huge pages where the system grants them: page walks would be measured else. */
    (void)madvise(buffer, buffer_bytes, MADV_HUGEPAGE);
    memset(buffer, 1, buffer_bytes);
    const worker model = {.kernels = kernels, .part = buffer, .bytes = buffer_bytes};
    const double best = measure(&model, n_thread);
    td_free_aligned(buffer);
    return best;
}

/* `n_round` lasts some milliseconds at any level. */
static double peak_of(td_probe_peak_fn *peak, int n_round, int n_thread) {
    const worker model = {.peak = peak, .n_round = n_round};
    return measure(&model, n_thread);
}

double td_probe_int8_peak(int n_thread) {
    const td_kernels *kernels;
    if (td_kernels_get(&kernels, NULL) != TD_OK) return 0;
    return peak_of(kernels->probe_int8, 1 << 22, n_thread);
}

double td_probe_f32_peak(int n_thread) {
    const td_kernels *kernels;
    if (td_kernels_get(&kernels, NULL) != TD_OK) return 0;
    return peak_of(kernels->probe_f32, 1 << 22, n_thread);
}

void td_probe_hardware(td_hardware *h) {
    if (!h->is_real_cpu) return;
    const int n = h->cpu.n_core;
    td_hardware_set_rates(h, 1e9 * td_probe_bandwidth(n), 1e9 * td_probe_int8_peak(n),
                          1e9 * td_probe_f32_peak(n));
}
