/* test_pool.c - every item runs exactly once, whatever the number of threads and the grain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/pool.h"
#include "runtime/topology.h"

enum { N_ITEM = 1000 };

typedef struct tally {
    atomic_int count[N_ITEM];
    atomic_int bad_thread;
    int n_thread;
} tally;

static void count_items(void *context, int begin, int end, int i_thread) {
    tally *t = context;
    if (i_thread < 0 || i_thread >= t->n_thread) atomic_store(&t->bad_thread, 1);
    for (int i = begin; i < end; i++) atomic_fetch_add(&t->count[i], 1);
}

static void test_every_item_once(void **state) {
    (void)state;
    static tally t;
    for (int n_thread = 1; n_thread <= 5; n_thread++) {
        td_pool *pool;
        assert_int_equal(td_pool_create(&pool, n_thread, NULL), TD_OK);
        assert_int_equal(td_pool_n_thread(pool), n_thread);
        const int grains[] = {-1, 0, 1, 3, 7, 999, 1000, 5000};
        for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
            for (int n_item = 0; n_item <= N_ITEM; n_item = n_item * 3 + 1) {
                memset(&t, 0, sizeof t);
                t.n_thread = n_thread;
                td_pool_run(pool, n_item, grains[g], count_items, &t);
                for (int i = 0; i < N_ITEM; i++) assert_int_equal(t.count[i], i < n_item);
                assert_int_equal(t.bad_thread, 0);
            }
        }
        td_pool_free(pool);
    }
}

/* Each run reads what the one before wrote: a run's writes are visible to the next without locks.
 */
static void increment(void *context, int begin, int end, int i_thread) {
    (void)i_thread;
    int *values = context;
    for (int i = begin; i < end; i++) values[i]++;
}

static void test_runs_see_each_other(void **state) {
    (void)state;
    static int values[N_ITEM];
    td_pool *pool;
    assert_int_equal(td_pool_create(&pool, 3, NULL), TD_OK);
    for (int run = 0; run < 2000; run++) td_pool_run(pool, N_ITEM, 17, increment, values);
    for (int i = 0; i < N_ITEM; i++) assert_int_equal(values[i], 2000);
    td_pool_free(pool);
}

/* Workers that went to sleep wake up again. */
static void test_wakes_sleepers(void **state) {
    (void)state;
    static int values[N_ITEM];
    td_pool *pool;
    assert_int_equal(td_pool_create(&pool, 4, NULL), TD_OK);
    for (int run = 0; run < 5; run++) {
        usleep(20000);
        td_pool_run(pool, N_ITEM, 1, increment, values);
    }
    for (int i = 0; i < N_ITEM; i++) assert_int_equal(values[i], 5);
    usleep(20000);
    td_pool_free(pool);
}

static void test_bad_counts(void **state) {
    (void)state;
    td_pool *pool;
    td_err err;
    assert_int_equal(td_pool_create(&pool, 0, &err), TD_ERR_ARGUMENT);
    assert_null(pool);
    assert_string_equal(err.msg, "0 threads, wanted 1 to 4096");
    td_pool_free(NULL);
}

static void test_out_of_memory(void **state) {
    (void)state;
    td_pool *pool;
    for (int64_t n = 1;; n++) {
        td_alloc_fault_set(n);
        const td_status status = td_pool_create(&pool, 2, NULL);
        const bool reached = td_alloc_fault_count() >= n;
        td_alloc_fault_set(0);
        if (status == TD_OK) {
            td_pool_free(pool);
            assert_false(reached);
            break;
        }
        assert_int_equal(status, TD_ERR_NOMEM);
        assert_null(pool);
    }
}

static void test_topology(void **state) {
    (void)state;
    assert_in_range(td_topology_n_cpu(), 1, 65536);
    assert_true(td_topology_peak_memory() > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once), cmocka_unit_test(test_runs_see_each_other),
        cmocka_unit_test(test_wakes_sleepers),  cmocka_unit_test(test_bad_counts),
        cmocka_unit_test(test_out_of_memory),   cmocka_unit_test(test_topology),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
