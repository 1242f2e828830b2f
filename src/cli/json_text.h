/* json_text.h - pieces of JSON text. */
#ifndef TD_CLI_JSON_TEXT_H
#define TD_CLI_JSON_TEXT_H

#include <stddef.h>

#include "base/strbuf.h"

/* Appends a JSON string with its quotes.  Bytes that are no UTF-8 come out as U+FFFD. */
void td_json_string(const char *text, size_t n, td_strbuf *out);

/* Appends a number with 9 digits, null if it is not finite, for JSON has no infinity. */
void td_json_number(double value, td_strbuf *out);

#endif
