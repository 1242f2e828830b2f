/* input.h - texts that the user hands in: files, standard input, escapes. */
#ifndef TD_CLI_INPUT_H
#define TD_CLI_INPUT_H

#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

/* Reads a whole file ("-": standard input) into the arena, NUL-terminated beyond *n.  TD_ERR_LIMIT
 * beyond 1 GiB. */
td_status td_input_read(const char *path, td_arena *arena, const char **text, size_t *n,
                        td_err *err);

/* A copy of `text` in the arena with \n \t \r \0 \" \' \\ and \xNN replaced by what they stand for;
 * any other backslash stays.  *n is its length. */
td_status td_input_unescape(const char *text, td_arena *arena, const char **out, size_t *n,
                            td_err *err);

#endif
