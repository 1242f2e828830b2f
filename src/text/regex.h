/* regex.h - regular expressions over well-formed UTF-8, through PCRE2.
 *
 * Patterns come from model files and are matched under limits of steps and memory.  Immutable after
 * creation; what matching needs besides is in a scratch of the caller's. */
#ifndef TD_TEXT_REGEX_H
#define TD_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/strbuf.h"

typedef enum td_regex_dialect {
    TD_REGEX_PCRE,     /* PCRE2's own, but for \s and \S, which are exactly White_Space */
    TD_REGEX_ONIGURUMA /* Ruby's, which Hugging Face's tokenizers use */
} td_regex_dialect;

typedef struct td_regex td_regex;

/* `name` is for messages ("pre-tokenizer 'smollm'") and is copied.  TD_ERR_UNSUPPORTED names what
 * cannot be translated or compiled. */
td_status td_regex_create(td_regex **out, const char *pattern, size_t n, td_regex_dialect dialect,
                          const char *name, td_err *err);
void td_regex_free(td_regex *re); /* NULL is fine */

/* Memory of one thread's matching; created by the first match. */
typedef struct td_regex_scratch td_regex_scratch;
void td_regex_scratch_free(td_regex_scratch *scratch); /* NULL is fine */

typedef struct td_regex_range {
    bool found;
    size_t begin, end; /* bytes of the text; equal: an empty match */
} td_regex_range;

/* The first match that begins at or after `from`, the start of a character or n; text[0..n) is
 * well-formed.  TD_ERR_LIMIT if it takes too many steps. */
td_status td_regex_find(const td_regex *re, td_regex_scratch **scratch, const char *text, size_t n,
                        size_t from, td_regex_range *range, td_err *err);

/* Appends an Oniguruma pattern in PCRE2's words (regex_translate.c). TD_ERR_UNSUPPORTED names the
 * construct that has no translation. */
td_status td_regex_translate(const char *pattern, size_t n, const char *name, td_strbuf *out,
                             td_err *err);

#endif
