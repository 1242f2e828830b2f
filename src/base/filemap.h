/* filemap.h - a file mapped read-only. */
#ifndef TD_BASE_FILEMAP_H
#define TD_BASE_FILEMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct td_filemap {
    const uint8_t *data; /* page-aligned; dies with td_filemap_close */
    size_t n;            /* bytes */
} td_filemap;

/* Directories, empty files and devices are refused by name. */
td_status td_filemap_open(td_filemap *map, const char *path, td_err *err);
void td_filemap_close(td_filemap *map); /* zeroed is fine */

/* Tells the kernel that a range will be read soon, or is not needed any more.  Hints only. */
void td_filemap_will_need(const td_filemap *map, size_t offset, size_t n);
void td_filemap_dont_need(const td_filemap *map, size_t offset, size_t n);

/* Reads a whole small file (at most max bytes; TD_ERR_LIMIT beyond). path "-" is standard input.
 * *data is NUL-terminated beyond n and td_free()d by the caller. */
td_status td_file_read(const char *path, size_t max, char **data, size_t *n, td_err *err);

#endif
