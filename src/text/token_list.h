/* token_list.h - a growing list of token ids, the output of every encoder. */
#ifndef TD_TEXT_TOKEN_LIST_H
#define TD_TEXT_TOKEN_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"

typedef struct td_token_list {
    int32_t *tokens; /* owned; td_free()d by whoever holds the list */
    size_t n, cap;
} td_token_list;

/* Makes room for n_more tokens, so that td_token_list_push() cannot fail for as many.  TD_ERR_LIMIT
 * if the count would not fit an int, in which callers receive it. */
static inline td_status td_token_list_reserve(td_token_list *list, size_t n_more, td_err *err) {
    if (n_more <= list->cap - list->n) return TD_OK;
    if (n_more > INT32_MAX - list->n)
        return td_fail(err, TD_ERR_LIMIT, "the text becomes more than %d tokens", INT32_MAX);
    return td_grow((void **)&list->tokens, &list->cap, list->n + n_more, sizeof *list->tokens,
                   "the list of tokens", err);
}

static inline void td_token_list_push(td_token_list *list, int32_t token) {
    list->tokens[list->n++] = token;
}

#endif
