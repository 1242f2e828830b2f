#include "text/grammar_int.h"
td_status td_grammar_from_schema(td_grammar **out, const char *text, size_t n, const char *name,
                                 td_err *err) {
    (void)out;
    (void)text;
    (void)n;
    (void)name;
    (void)err;
    return TD_ERR_UNSUPPORTED;
}
