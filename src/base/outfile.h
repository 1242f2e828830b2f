/* outfile.h - a file written piece by piece that appears complete or not at all.
 *
 * The bytes go to a temporary beside it, which td_outfile_commit() renames and td_outfile_abort()
 * removes.  Devices and pipes ("/dev/stdout") have nothing to be renamed over: they are written in
 * place. */
#ifndef TD_BASE_OUTFILE_H
#define TD_BASE_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* Memory the caller owns; zeroed is a file not open. */
typedef struct td_outfile {
    FILE *stream;  /* owned; write errors are found at commit at the latest */
    char *path;    /* owned */
    char *written; /* owned; the temporary, or equal to path when written in place */
    bool in_place;
} td_outfile;

td_status td_outfile_open(td_outfile *f, const char *path, td_err *err);

td_status td_outfile_write(td_outfile *f, const void *data, size_t n, td_err *err);

/* n zeros that take no room on the disk where the file system has holes. */
td_status td_outfile_write_hole(td_outfile *f, uint64_t n, td_err *err);

/* Flushes, syncs and renames.  On failure the temporary is gone.  f is zeroed in any case. */
td_status td_outfile_commit(td_outfile *f, td_err *err);

/* Leaves nothing behind; a file not open is fine. */
void td_outfile_abort(td_outfile *f);

#endif
