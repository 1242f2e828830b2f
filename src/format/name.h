/* name.h - names out of files and folders: internal to format/. */
#ifndef TD_FORMAT_NAME_H
#define TD_FORMAT_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Names go into messages, terminals and C strings: no control bytes, no broken UTF-8. */
bool td_name_is_printable(const char *text, size_t n);

bool td_name_starts_with(const char *name, const char *prefix);
bool td_name_ends_with(const char *name, const char *suffix);

/* "folder/name", td_free()d by the caller; NULL: out of memory. */
char *td_name_join(const char *folder, const char *name);

/* A growing list of names; zeroed is empty. */
typedef struct td_name_list {
    char **names; /* owned, each too; [n] */
    size_t n, cap;
} td_name_list;

td_status td_name_list_add(td_name_list *list, const char *name, td_err *err);
void td_name_list_sort(td_name_list *list); /* and keeps one of each name */
/* Place in a sorted list, -1 if it is not there. */
int td_name_list_find(const td_name_list *list, const char *name);
void td_name_list_clear(td_name_list *list);

#endif
