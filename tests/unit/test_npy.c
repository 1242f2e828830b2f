/* test_npy.c - .npy files: the bytes of the header, shapes known late, and files that never appear.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/npy.h"

static char folder[64], path[96];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tandem-npy-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.npy", folder);
    return 0;
}

static int n_file(void) {
    DIR *d = opendir(folder);
    int n = 0;
    while (d && readdir(d)) n++;
    closedir(d);
    return n - 2; /* "." and ".." */
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    const int left = n_file();
    rmdir(folder);
    return left; /* a temporary left behind fails the test */
}

/* Reads the file and checks it against a shape text and the numbers 0, 1, 2 ... */
static void expect_file(const char *shape, size_t n) {
    char bytes[4096], wanted[128];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t got = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00", 8);
    const size_t n_header = 10 + (size_t)(unsigned char)bytes[8] + 256 * (size_t)bytes[9];
    assert_int_equal(n_header % 64, 0);
    assert_int_equal(got, n_header + n * sizeof(float));
    assert_int_equal(bytes[n_header - 1], '\n');
    snprintf(wanted, sizeof wanted, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }",
             shape);
    assert_memory_equal(bytes + 10, wanted, strlen(wanted));
    for (size_t i = 10 + strlen(wanted); i + 1 < n_header; i++) assert_int_equal(bytes[i], ' ');
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, bytes + n_header + i * sizeof x, sizeof x);
        assert_true(x == (float)i);
    }
}

static const float numbers[] = {0, 1, 2, 3, 4, 5, 6, 7};

static void test_save(void **state) {
    (void)state;
    const struct {
        int64_t shape[4];
        int n_dims;
        const char *text;
        size_t n;
    } cases[] = {
        {{6},       1, "6,",       6},
        {{2, 3},    2, "2, 3,",    6},
        {{0, 3},    2, "0, 3,",    0},
        {{1, 2, 2}, 3, "1, 2, 2,", 4},
        {{0},       0, "",         1},
        {{3, 0},    2, "3, 0,",    0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_err err;
        assert_int_equal(td_npy_save(path, numbers, cases[i].shape, cases[i].n_dims, &err), TD_OK);
        expect_file(cases[i].text, cases[i].n);
    }
}

static void test_rows_as_they_come(void **state) {
    (void)state;
    const int64_t shape[] = {-1, 2};
    td_npy npy;
    td_err err;
    assert_int_equal(td_npy_open(&npy, path, shape, 2, &err), TD_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(td_npy_write(&npy, numbers + 2 * i, 2, &err), TD_OK);
    assert_int_equal(access(path, F_OK), -1); /* nothing is there before it is complete */
    assert_int_equal(td_npy_close(&npy, &err), TD_OK);
    expect_file("4, 2,", 8);
    /* No row at all. */
    assert_int_equal(td_npy_open(&npy, path, shape, 2, &err), TD_OK);
    assert_int_equal(td_npy_close(&npy, &err), TD_OK);
    expect_file("0, 2,", 0);
}

static void test_wrong_count(void **state) {
    (void)state;
    const int64_t shapes[][2] = {
        {3,  2},
        {-1, 2},
        {-1, 0}
    };
    for (size_t i = 0; i < 3; i++) {
        td_npy npy;
        td_err err;
        assert_int_equal(td_npy_open(&npy, path, shapes[i], 2, &err), TD_OK);
        assert_int_equal(td_npy_write(&npy, numbers, 5, &err), TD_OK);
        assert_int_equal(td_npy_close(&npy, &err), TD_ERR_ARGUMENT);
        assert_non_null(strstr(err.msg, "5 elements"));
        assert_int_equal(n_file(), 0);
    }
}

static void test_bad_shapes(void **state) {
    (void)state;
    const int64_t negative[] = {-2}, inner[] = {2, -1}, huge[] = {-1, INT64_MAX, 4};
    const int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    td_npy npy;
    td_err err;
    assert_int_equal(td_npy_open(&npy, path, negative, 1, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_npy_open(&npy, path, inner, 2, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_npy_open(&npy, path, nine, 9, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_npy_save(path, numbers, huge, 3, &err), TD_ERR_ARGUMENT);
    assert_int_equal(td_npy_open(&npy, path, huge, 3, &err), TD_OK);
    assert_int_equal(td_npy_close(&npy, &err), TD_ERR_ARGUMENT);
    assert_int_equal(n_file(), 0);
}

static void test_abort(void **state) {
    (void)state;
    const int64_t shape[] = {2};
    td_npy npy = {0};
    td_err err;
    td_npy_abort(&npy);
    assert_int_equal(td_npy_open(&npy, path, shape, 1, &err), TD_OK);
    assert_int_equal(n_file(), 1);
    td_npy_abort(&npy);
    assert_int_equal(n_file(), 0);
}

static void test_unwritable(void **state) {
    (void)state;
    const int64_t shape[] = {4};
    td_err err;
    assert_int_equal(td_npy_save(folder, numbers, shape, 1, &err), TD_ERR_IO);
    assert_non_null(strstr(err.msg, "directory"));
    assert_int_equal(td_npy_save("/nowhere/at/all.npy", numbers, shape, 1, &err), TD_ERR_IO);
    assert_non_null(strstr(err.msg, "/nowhere/at/all.npy"));
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(td_npy_save("/dev/full", numbers, shape, 1, &err), TD_ERR_IO);
        assert_int_equal(access("/dev/full", F_OK), 0); /* written in place, never removed */
    }
}

#ifdef TD_FAULTS
static void test_out_of_memory(void **state) {
    (void)state;
    const int64_t shape[] = {4};
    td_status status = TD_ERR_NOMEM;
    for (int64_t n = 1; status != TD_OK; n++) {
        td_err err;
        td_alloc_fault_set(n);
        status = td_npy_save(path, numbers, shape, 1, &err);
        td_alloc_fault_set(0);
        if (status != TD_OK) assert_int_equal(status, TD_ERR_NOMEM);
        if (status != TD_OK) assert_int_equal(n_file(), 0);
        assert_true(n < 100);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_save, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_rows_as_they_come, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_wrong_count, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_bad_shapes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_abort, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_unwritable, make_folder, remove_folder),
#ifdef TD_FAULTS
        cmocka_unit_test_setup_teardown(test_out_of_memory, make_folder, remove_folder),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
