/* test_outfile.c - files that appear complete or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/outfile.h"

static char folder[64], path[96];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tandem-outfile-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/out", folder);
    return 0;
}

/* Fails if anything but `path` is left. */
static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void expect_content(const char *wanted) {
    char text[64] = "";
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    assert_string_equal(text, wanted);
}

static void write_file(const char *text) {
    td_outfile f;
    td_err err;
    assert_int_equal(td_outfile_open(&f, path, &err), TD_OK);
    assert_int_equal(td_outfile_write(&f, text, strlen(text), &err), TD_OK);
    assert_int_equal(td_outfile_commit(&f, &err), TD_OK);
    assert_null(f.stream);
}

static void test_commit(void **state) {
    (void)state;
    write_file("first");
    expect_content("first");
    write_file("");
    expect_content("");
    write_file("third");
    expect_content("third");
}

static void test_abort_keeps_the_old_file(void **state) {
    (void)state;
    write_file("old");
    td_outfile f;
    td_err err;
    assert_int_equal(td_outfile_open(&f, path, &err), TD_OK);
    assert_int_equal(td_outfile_write(&f, "new", 3, &err), TD_OK);
    expect_content("old");
    td_outfile_abort(&f);
    expect_content("old");
    td_outfile_abort(&f);
}

static void test_full_disk(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    td_outfile f;
    td_err err;
    assert_int_equal(td_outfile_open(&f, "/dev/full", &err), TD_OK);
    assert_true(f.in_place);
    (void)td_outfile_write(&f, "x", 1, &err);
    assert_int_equal(td_outfile_commit(&f, &err), TD_ERR_IO);
    assert_non_null(strstr(err.msg, "No space left"));
}

static void test_holes(void **state) {
    (void)state;
    td_outfile f;
    td_err err;
    struct stat st;
    const uint64_t n = 1 << 20;
    assert_int_equal(td_outfile_open(&f, path, &err), TD_OK);
    assert_int_equal(td_outfile_write(&f, "ab", 2, &err), TD_OK);
    assert_int_equal(td_outfile_write_hole(&f, n, &err), TD_OK);
    assert_int_equal(td_outfile_write(&f, "cd", 2, &err), TD_OK);
    assert_int_equal(td_outfile_write_hole(&f, 0, &err), TD_OK);
    assert_int_equal(td_outfile_write_hole(&f, n, &err), TD_OK);
    assert_int_equal(td_outfile_write_hole(&f, UINT64_MAX, &err), TD_ERR_LIMIT);
    assert_int_equal(td_outfile_commit(&f, &err), TD_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 2 * n + 4);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    for (uint64_t i = 0; i < 2 * n + 4; i++) {
        const char *wanted = "abcd";
        const int c = fgetc(in);
        assert_int_equal(c, i < 2 ? wanted[i] : i >= n + 2 && i < n + 4 ? wanted[i - n] : 0);
    }
    fclose(in);
}

static void test_hole_in_place(void **state) {
    (void)state;
    td_outfile f;
    td_err err;
    assert_int_equal(td_outfile_open(&f, "/dev/null", &err), TD_OK);
    assert_true(f.in_place);
    assert_int_equal(td_outfile_write_hole(&f, 10000, &err), TD_OK);
    assert_int_equal(td_outfile_commit(&f, &err), TD_OK);
}

static void test_no_such_folder(void **state) {
    (void)state;
    td_outfile f;
    td_err err;
    assert_int_equal(td_outfile_open(&f, "/nowhere/at/all", &err), TD_ERR_IO);
    assert_null(f.stream);
    assert_int_equal(td_outfile_open(&f, folder, &err), TD_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_abort_keeps_the_old_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_full_disk, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_holes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_hole_in_place, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_such_folder, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
