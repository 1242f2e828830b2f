/* test_outfile.c - files that appear complete or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
        cmocka_unit_test_setup_teardown(test_no_such_folder, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
