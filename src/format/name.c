/* name.c - see name.h. */
#include "format/name.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/utf8.h"

bool td_name_is_printable(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f) return false;
    return td_utf8_valid_prefix(text, n) == n;
}

bool td_name_starts_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool td_name_ends_with(const char *name, const char *suffix) {
    const size_t n = strlen(name), n_suffix = strlen(suffix);
    return n >= n_suffix && memcmp(name + n - n_suffix, suffix, n_suffix) == 0;
}

char *td_name_join(const char *folder, const char *name) {
    const size_t n_folder = strlen(folder), n_name = strlen(name);
    const size_t slash = n_folder > 0 && folder[n_folder - 1] != '/';
    char *path = td_malloc(n_folder + slash + n_name + 1);
    if (!path) return NULL;
    memcpy(path, folder, n_folder);
    if (slash) path[n_folder] = '/';
    memcpy(path + n_folder + slash, name, n_name + 1);
    return path;
}

/* ---- lists ---- */

td_status td_name_list_add(td_name_list *list, const char *name, td_err *err) {
    if (list->n >= INT_MAX) return td_fail(err, TD_ERR_LIMIT, "too many names");
    TD_TRY(td_grow((void **)&list->names, &list->cap, list->n + 1, sizeof *list->names,
                   "a list of names", err));
    list->names[list->n] = td_strdup(name);
    if (!list->names[list->n]) return td_fail_nomem(err, "a name", strlen(name) + 1);
    list->n++;
    return TD_OK;
}

static int by_text(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

void td_name_list_sort(td_name_list *list) {
    size_t n = 0;
    if (list->n == 0) return;
    qsort(list->names, list->n, sizeof *list->names, by_text);
    for (size_t i = 0; i < list->n; i++) {
        if (n > 0 && strcmp(list->names[i], list->names[n - 1]) == 0)
            td_free(list->names[i]);
        else
            list->names[n++] = list->names[i];
    }
    list->n = n;
}

int td_name_list_find(const td_name_list *list, const char *name) {
    char **found =
        list->n == 0 ? NULL : bsearch(&name, list->names, list->n, sizeof *list->names, by_text);
    return found ? (int)(found - list->names) : -1;
}

void td_name_list_clear(td_name_list *list) {
    for (size_t i = 0; i < list->n; i++) td_free(list->names[i]);
    td_free(list->names);
    *list = (td_name_list){0};
}
