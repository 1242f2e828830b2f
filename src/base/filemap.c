/* filemap.c - mapping and whole-file reads. */
#include "base/filemap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

td_status td_filemap_open(td_filemap *map, const char *path, td_err *err) {
    *map = (td_filemap){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return td_fail_errno(err, errno, "cannot open '%s'", path);
    struct stat st;
    td_status status = TD_OK;
    if (fstat(fd, &st) != 0) {
        status = td_fail_errno(err, errno, "cannot stat '%s'", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = td_fail(err, TD_ERR_IO, "'%s' is %s, wanted a regular file", path,
                         S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
    } else if (st.st_size == 0) {
        status = td_fail(err, TD_ERR_FORMAT, "'%s' is empty", path);
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = td_fail_errno(err, errno, "cannot map '%s' (%lld bytes)", path,
                                   (long long)st.st_size);
        else
            *map = (td_filemap){.data = p, .n = (size_t)st.st_size};
    }
    close(fd);
    return status;
}

void td_filemap_close(td_filemap *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->n);
    *map = (td_filemap){0};
}

/* Hints act on whole pages: will_need rounds outwards, dont_need inwards (a neighbour may still be
 * in use). */
static void advise(const td_filemap *map, size_t from, size_t to, int advice) {
    if (to > map->n) to = map->n;
    if (from < to) (void)madvise((void *)(uintptr_t)(map->data + from), to - from, advice);
}

void td_filemap_will_need(const td_filemap *map, size_t offset, size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    advise(map, offset / page * page, offset + n, MADV_WILLNEED);
}

void td_filemap_dont_need(const td_filemap *map, size_t offset, size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    advise(map, (offset + page - 1) / page * page, (offset + n) / page * page, MADV_DONTNEED);
}

td_status td_file_read(const char *path, size_t max, char **data, size_t *n, td_err *err) {
    *data = NULL;
    *n = 0;
    const int from_stdin = strcmp(path, "-") == 0;
    const int fd = from_stdin ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return td_fail_errno(err, errno, "cannot open '%s'", path);
    char *buf = NULL;
    size_t cap = 0, got = 0;
    td_status status = TD_OK;
    for (;;) {
        status = td_grow((void **)&buf, &cap, got + 65536, 1, path, err);
        if (status != TD_OK) break;
        const ssize_t r = read(fd, buf + got, cap - got - 1);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) status = td_fail_errno(err, errno, "cannot read '%s'", path);
        if (r <= 0) break;
        got += (size_t)r;
        if (got > max) {
            status = td_fail(err, TD_ERR_LIMIT, "'%s' is larger than %zu bytes", path, max);
            break;
        }
    }
    if (!from_stdin) close(fd);
    if (status != TD_OK) {
        td_free(buf);
        return status;
    }
    buf[got] = 0;
    *data = buf;
    *n = got;
    return TD_OK;
}
