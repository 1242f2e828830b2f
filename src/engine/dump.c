/* dump.c - intermediate results as .npy files, for td-diff. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/npy.h"
#include "engine/engine_int.h"

td_status td_dump_init(td_dump *dump, const char *pattern, const char *dir, td_err *err) {
    *dump = (td_dump){0};
    if (!pattern) return TD_OK;
    if (!dir) return td_fail(err, TD_ERR_ARGUMENT, "a dump pattern without a directory");
    dump->pattern = td_strdup(pattern);
    dump->dir = td_strdup(dir);
    if (!dump->pattern || !dump->dir) return td_fail_nomem(err, "the dump options", strlen(dir));
    return TD_OK;
}

void td_dump_clear(td_dump *dump) {
    td_free(dump->pattern);
    td_free(dump->dir);
}

void td_dump_write(void *user, const char *name, const float *x, int m, int n) {
    td_dump *dump = user;
    const int i_result = dump->i_result++;
    if (dump->failed != TD_OK || fnmatch(dump->pattern, name, 0) != 0) return;
    td_strbuf path = {0};
    td_strbuf_addf(&path, "%s/%05d-%04d-%s.npy", dump->dir, dump->i_step, i_result, name);
    dump->failed = td_strbuf_check(&path, "the dump's path", &dump->err);
    const int64_t shape[2] = {m, n};
    if (dump->failed == TD_OK) dump->failed = td_npy_save(path.text, x, shape, 2, &dump->err);
    td_strbuf_clear(&path);
}
