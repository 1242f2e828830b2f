/* pool.c - fork and join over spinning workers.
 *
 * A run is one epoch.  The caller writes the job, resets the counters and then raises `epoch`; a
 * worker that sees the new epoch takes pieces from `next` until none is left and then counts itself
 * out of `n_busy`.  The caller takes pieces too and waits for n_busy to reach 0, so no worker is
 * inside a job when the next is written (invariant 1).
 *
 * Sleeping: a worker that has spun long enough waits on `epoch` with a futex; `n_sleeping` tells
 * the caller whether a wake-up call is needed at all. */
#include "runtime/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/topology.h"

enum {
    N_SPIN = 20000,    /* pauses before sleeping: about half a millisecond */
    N_SPIN_CROWDED = 1 /* with more threads than CPUs, whoever spins keeps another from working */
};

typedef struct worker {
    td_pool *pool; /* borrowed */
    pthread_t thread;
    int i_thread;
} worker;

struct td_pool {
    /* the job: written by the caller before it raises epoch (release), read by workers after
     * (acquire) */
    td_pool_fn *fn;
    void *context;
    int n_item, grain;
    bool quit;
    int n_thread;
    int n_spin;                                       /* N_SPIN or N_SPIN_CROWDED */
    int n_started;                                    /* workers with a running thread */
    worker *workers;                                  /* owned; [n_thread - 1] */
    _Atomic uint32_t epoch TD_ALIGNED(TD_CACHE_LINE); /* pairs with the job's fields */
    _Atomic int n_sleeping TD_ALIGNED(TD_CACHE_LINE); /* pairs with epoch: see wait_epoch */
    _Atomic int next TD_ALIGNED(TD_CACHE_LINE);       /* first item not yet taken */
    _Atomic int n_busy TD_ALIGNED(TD_CACHE_LINE);     /* workers still inside this epoch */
};

static void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_pieces(td_pool *pool, int i_thread) {
    for (;;) {
        const int begin = atomic_fetch_add_explicit(&pool->next, pool->grain, memory_order_relaxed);
        if (begin >= pool->n_item) return;
        const int left = pool->n_item - begin;
        pool->fn(pool->context, begin, begin + (left < pool->grain ? left : pool->grain), i_thread);
    }
}

/* Returns once epoch differs from `seen`.  A sleeper announces itself before it looks at epoch a
 * last time (inside the futex call); the caller raises epoch before it looks for sleepers: both
 * sequentially consistent, so one of them sees the other. */
static uint32_t wait_epoch(td_pool *pool, uint32_t seen) {
    for (int i = 0; i < pool->n_spin; i++) {
        const uint32_t now = atomic_load_explicit(&pool->epoch, memory_order_acquire);
        if (now != seen) return now;
        cpu_relax();
    }
    atomic_fetch_add(&pool->n_sleeping, 1);
    uint32_t now;
    while ((now = atomic_load(&pool->epoch)) == seen)
        syscall(SYS_futex, &pool->epoch, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    return now;
}

static void *worker_main(void *arg) {
    const worker *w = arg;
    td_pool *pool = w->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_epoch(pool, seen);
        if (pool->quit) return NULL;
        take_pieces(pool, w->i_thread);
        atomic_fetch_sub_explicit(&pool->n_busy, 1, memory_order_release);
    }
}

static void raise_epoch(td_pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->n_sleeping) > 0)
        syscall(SYS_futex, &pool->epoch, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

td_status td_pool_create(td_pool **out, int n_thread, td_err *err) {
    *out = NULL;
    if (n_thread < 1 || n_thread > 4096)
        return td_fail(err, TD_ERR_ARGUMENT, "%d threads, wanted 1 to 4096", n_thread);
    td_pool *pool = td_malloc_aligned(sizeof *pool);
    if (!pool) return td_fail_nomem(err, "the thread pool", sizeof *pool);
    const bool crowded = n_thread > td_topology_n_cpu();
    *pool = (td_pool){.n_thread = n_thread, .n_spin = crowded ? N_SPIN_CROWDED : N_SPIN};
    pool->workers = td_calloc((size_t)n_thread, sizeof *pool->workers);
    if (!pool->workers) {
        td_pool_free(pool);
        return td_fail_nomem(err, "the thread pool", (size_t)n_thread * sizeof *pool->workers);
    }
    for (int i = 1; i < n_thread; i++) {
        worker *w = &pool->workers[i - 1];
        *w = (worker){.pool = pool, .i_thread = i};
        const int e = pthread_create(&w->thread, NULL, worker_main, w);
        if (e != 0) {
            td_pool_free(pool);
            return td_fail_errno(err, e, "cannot start thread %d of %d", i + 1, n_thread);
        }
        pool->n_started++;
    }
    *out = pool;
    return TD_OK;
}

void td_pool_free(td_pool *pool) {
    if (!pool) return;
    pool->quit = true;
    raise_epoch(pool);
    for (int i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i].thread, NULL);
    td_free(pool->workers);
    td_free_aligned(pool);
}

int td_pool_n_thread(const td_pool *pool) { return pool->n_thread; }

void td_pool_run(td_pool *pool, int n_item, int grain, td_pool_fn *fn, void *context) {
    if (n_item <= 0) return;
    if (grain < 1) grain = 1;
    if (pool->n_started == 0 || n_item <= grain) {
        fn(context, 0, n_item, 0);
        return;
    }
    pool->fn = fn;
    pool->context = context;
    pool->n_item = n_item;
    pool->grain = grain;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->n_busy, pool->n_started, memory_order_relaxed);
    raise_epoch(pool);
    take_pieces(pool, 0);
    /* A worker that is not running needs this CPU. */
    for (int i = 1; atomic_load_explicit(&pool->n_busy, memory_order_acquire) > 0; i++) {
        if (i % pool->n_spin == 0) sched_yield();
        cpu_relax();
    }
}
