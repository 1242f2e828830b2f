/* pool.h - the worker threads: one pool per engine, the caller's thread being one of its workers.
 *
 * td_pool_run() splits items over the threads and returns when all are done, so that everything
 * written by the items before it returns is visible to the caller and to the next run.  Workers
 * spin for a short while between runs and then sleep.  Only one thread may call td_pool_run() at a
 * time. */
#ifndef TD_RUNTIME_POOL_H
#define TD_RUNTIME_POOL_H

#include "base/status.h"

typedef struct td_pool td_pool;

td_status td_pool_create(td_pool **out, int n_thread, td_err *err);
void td_pool_free(td_pool *pool); /* NULL is fine */

int td_pool_n_thread(const td_pool *pool);

/* Does items [begin, end); i_thread in [0, n_thread) names the worker, for scratch of its own. */
typedef void td_pool_fn(void *context, int begin, int end, int i_thread);

/* Calls fn over [0, n_item) in pieces of `grain` items (the last may be shorter); which thread
 * takes which piece is not determined, so items must write to places of their own.  grain < 1
 * counts as 1. */
void td_pool_run(td_pool *pool, int n_item, int grain, td_pool_fn *fn, void *context);

#endif
