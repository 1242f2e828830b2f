/* out.h - standard output, with every write checked.
 *
 * After the first failed write nothing more is written, and td_out_finish() says why: once, and not
 * at all if the reader went away (EPIPE), which is what `| head` does. */
#ifndef TD_CLI_OUT_H
#define TD_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>

/* Buffered until td_out_flush(). */
void td_out_write(const char *text, size_t n);
void td_out_text(const char *text);
/* At most 4095 bytes, what is longer is cut: for figures, not for texts of unknown length. */
void td_out_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Text of a file, with control codes, which could play tricks on a terminal, shown as '?'; padded
 * with blanks to `width` bytes. */
void td_out_plain(const char *text, size_t n, size_t width);
/* A JSON string with its quotes.  Bytes that are no UTF-8 come out as U+FFFD. */
void td_out_json(const char *text, size_t n);

/* False if a write has failed: the caller may stop early. */
bool td_out_flush(void);

/* Flushes; true if all was written, else a message has been said. */
bool td_out_finish(void);

#endif
