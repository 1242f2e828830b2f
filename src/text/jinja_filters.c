/* jinja_filters.c - where the filters are looked up.  Not there on purpose, since no chat template
 * has a use for them: filesizeformat, pprint, random, striptags, urlize, wordwrap, xmlattr. */
#include <string.h>

#include "text/jinja_int.h"

const td_jfunction *td_jinja_filter(const char *name) {
    const td_jfunction *const tables[] = {td_jinja_text_filters, td_jinja_seq_filters,
                                          td_jinja_pick_filters};
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const td_jfunction *f = td_jinja_table_find(tables[i], name, n);
        if (f) return f;
    }
    return NULL;
}
