/* outfile.c - see outfile.h. */
#include "base/outfile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/strbuf.h"

static void release(td_outfile *f) {
    td_free(f->path);
    td_free(f->written);
    *f = (td_outfile){0};
}

static td_status take_names(td_outfile *f, const char *path, td_err *err) {
    struct stat st;
    f->in_place = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    if (f->in_place && S_ISDIR(st.st_mode))
        return td_fail(err, TD_ERR_IO, "'%s' is a directory, wanted a file", path);
    f->path = td_strdup(path);
    td_strbuf name = {0};
    td_strbuf_adds(&name, path);
    if (!f->in_place) td_strbuf_addf(&name, ".%ld.tmp", (long)getpid());
    if (name.failed == TD_OK && f->path) {
        f->written = td_strbuf_take(&name);
        return TD_OK;
    }
    td_strbuf_clear(&name);
    return td_fail_nomem(err, "a file name", strlen(path) + 32);
}

td_status td_outfile_open(td_outfile *f, const char *path, td_err *err) {
    *f = (td_outfile){0};
    td_status status = take_names(f, path, err);
    if (status == TD_OK) {
        f->stream = fopen(f->written, "wbe");
        if (!f->stream) status = td_fail_errno(err, errno, "cannot create '%s'", f->written);
    }
    if (status != TD_OK) release(f);
    return status;
}

td_status td_outfile_write(td_outfile *f, const void *data, size_t n, td_err *err) {
    if (n > 0 && fwrite(data, 1, n, f->stream) != n)
        return td_fail_errno(err, errno, "cannot write '%s'", f->path);
    return TD_OK;
}

td_status td_outfile_write_hole(td_outfile *f, uint64_t n, td_err *err) {
    static const uint8_t zeros[4096];
    if (!f->in_place) {
        const off_t at = ftello(f->stream);
        if (at < 0 || n > (uint64_t)(INT64_MAX - at))
            return td_fail(err, TD_ERR_LIMIT, "'%s' would be too long", f->path);
        /* A hole at the end is one only once the file is that long. */
        if (fseeko(f->stream, (off_t)n, SEEK_CUR) != 0 ||
            ftruncate(fileno(f->stream), at + (off_t)n) != 0)
            return td_fail_errno(err, errno, "cannot write '%s'", f->path);
        return TD_OK;
    }
    while (n > 0) {
        const size_t part = n < sizeof zeros ? (size_t)n : sizeof zeros;
        TD_TRY(td_outfile_write(f, zeros, part, err));
        n -= part;
    }
    return TD_OK;
}

td_status td_outfile_commit(td_outfile *f, td_err *err) {
    td_status status = TD_OK;
    /* A stream remembers an error but not which: a full disk is by far the likeliest. */
    if (ferror(f->stream))
        status = td_fail_errno(err, ENOSPC, "cannot write '%s'", f->path);
    else if (fflush(f->stream) != 0 || (!f->in_place && fsync(fileno(f->stream)) != 0))
        status = td_fail_errno(err, errno, "cannot write '%s'", f->path);
    if (fclose(f->stream) != 0 && status == TD_OK)
        status = td_fail_errno(err, errno, "cannot write '%s'", f->path);
    f->stream = NULL;
    if (status == TD_OK && !f->in_place && rename(f->written, f->path) != 0)
        status = td_fail_errno(err, errno, "cannot write '%s'", f->path);
    if (status != TD_OK && !f->in_place) unlink(f->written);
    release(f);
    return status;
}

void td_outfile_abort(td_outfile *f) {
    if (!f->stream) return;
    fclose(f->stream);
    if (!f->in_place) unlink(f->written);
    release(f);
}
