/* module_list.h - a tree of modules from a text: one "name class" a line. */
#ifndef TD_PLAN_MODULE_LIST_H
#define TD_PLAN_MODULE_LIST_H

#include "plan/tree.h"

/* Fills an initialized tree.  A line is a name ("." for the root), blanks, a class and anything
 * else;
 * '#' begins a comment.  Parents that no line names are torch.nn.Module; a name that comes again
 * changes its class alone.  Errors begin with "path:line: ". */
td_status td_module_list_parse(td_tree *tree, const char *text, size_t n, const char *path,
                               td_err *err);
td_status td_module_list_load(td_tree *tree, const char *path, td_err *err);

#endif
