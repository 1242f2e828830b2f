/* hf_find.c - see hf_find.h. */
#include "format/hf_find.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "format/hf_json.h"

#define SINGLE        "model.safetensors"
#define INDEX_SUFFIX  ".safetensors.index.json"
#define DEFAULT_INDEX "model" INDEX_SUFFIX

static bool has(const td_hf_found *f, const char *name) {
    return td_name_list_find(&f->names, name) >= 0;
}

static bool is_weights(const char *name) { return td_name_ends_with(name, ".safetensors"); }

static bool is_pickle(const char *name) {
    return (td_name_starts_with(name, "pytorch_model") && td_name_ends_with(name, ".bin")) ||
           td_name_ends_with(name, ".pt") || td_name_ends_with(name, ".pth");
}

static td_status fail_pickle(const char *path, const char *name, td_err *err) {
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "%s: %s is a pickle, which can run code: wanted safetensors", path, name);
}

/* ---- a folder ---- */

static td_status list_folder(td_hf_found *f, td_err *err) {
    DIR *dir = opendir(f->folder);
    if (!dir) return td_fail_errno(err, errno, "cannot open '%s'", f->folder);
    td_status status = TD_OK;
    for (struct dirent *entry; status == TD_OK && (entry = readdir(dir));)
        status = td_name_list_add(&f->names, entry->d_name, err);
    closedir(dir);
    td_name_list_sort(&f->names);
    return status;
}

/* One entry of the index: the file must lie in the folder itself. */
static td_status add_shard(td_hf_found *f, const char *tensor, const json_t *file, td_err *err) {
    const char *name = json_string_value(file);
    const size_t n = name ? strlen(name) : 0;
    if (!name || !is_weights(name) || !td_name_is_printable(name, n) || strchr(name, '/'))
        return td_fail(err, TD_ERR_FORMAT,
                       "%s: the file of tensor '%.200s' is not the name of a .safetensors file",
                       f->index_path, td_name_is_printable(tensor, strlen(tensor)) ? tensor : "");
    if (f->weights.n > 0 && strcmp(f->weights.names[f->weights.n - 1], name) == 0) return TD_OK;
    return td_name_list_add(&f->weights, name, err);
}

static td_status read_index(td_hf_found *f, const char *name, td_err *err) {
    json_t *json, *file;
    const char *tensor;
    f->index_path = td_name_join(f->folder, name);
    if (!f->index_path) return td_fail_nomem(err, "a path", strlen(f->folder));
    TD_TRY(td_hf_json_read(&json, f->index_path, err));
    f->weight_map = json_incref(json_object_get(json, "weight_map"));
    json_decref(json);
    if (json_object_size(f->weight_map) == 0)
        return td_fail(err, TD_ERR_FORMAT, "%s: weight_map is missing, empty or no object",
                       f->index_path);
    json_object_foreach(f->weight_map, tensor, file) TD_TRY(add_shard(f, tensor, file, err));
    return TD_OK;
}

static void drop_weights(td_hf_found *f) {
    td_name_list_clear(&f->weights);
    td_free(f->index_path);
    json_decref(f->weight_map);
    f->index_path = NULL;
    f->weight_map = NULL;
}

/* `named` is the file in the folder that was asked for, or NULL. */
static td_status choose_weights(td_hf_found *f, const char *named, td_err *err) {
    if (named && td_name_ends_with(named, INDEX_SUFFIX)) {
        TD_TRY(read_index(f, named, err));
    } else if (has(f, SINGLE)) {
        TD_TRY(td_name_list_add(&f->weights, SINGLE, err));
    } else if (has(f, DEFAULT_INDEX)) {
        TD_TRY(read_index(f, DEFAULT_INDEX, err));
    } else {
        for (size_t i = 0; i < f->names.n; i++)
            if (is_weights(f->names.names[i]))
                TD_TRY(td_name_list_add(&f->weights, f->names.names[i], err));
    }
    td_name_list_sort(&f->weights);
    if (!named || !is_weights(named) || td_name_list_find(&f->weights, named) >= 0) return TD_OK;
    drop_weights(f);
    return td_name_list_add(&f->weights, named, err);
}

/* ---- a folder of something else ---- */

/* The bytes before "-00001-of-00003.gguf" and the 3; 0 and 0 for a name of another form. */
static size_t split_prefix(const char *name, unsigned *n_part) {
    const size_t n = strlen(name);
    unsigned i_part;
    char end;
    *n_part = 0;
    if (n <= 20 || sscanf(name + n - 20, "-%5u-of-%5u.ggu%c", &i_part, n_part, &end) != 3) return 0;
    return n - 20;
}

/* True if the two are parts of one split model. */
static bool same_split(const char *a, const char *b) {
    unsigned n_a, n_b;
    const size_t prefix = split_prefix(a, &n_a);
    return prefix > 0 && prefix == split_prefix(b, &n_b) && n_a == n_b && memcmp(a, b, prefix) == 0;
}

/* Projectors of vision models lie beside the model they belong to. */
static bool is_gguf_model(const char *name) {
    const char *slash = strrchr(name, '/');
    return td_name_ends_with(name, ".gguf") &&
           !td_name_starts_with(slash ? slash + 1 : name, "mmproj");
}

/* The only model among the GGUF files of these names, if there are any. */
static td_status choose_gguf(td_hf_found *f, const td_name_list *names, td_err *err) {
    const char *first = NULL;
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->names[i];
        if (!is_gguf_model(name) || (first && same_split(first, name))) continue;
        if (first)
            return td_fail(err, TD_ERR_ARGUMENT,
                           "%s: a folder with several GGUF models, '%s' and '%s' among them: "
                           "wanted the path of one",
                           f->folder, first, name);
        first = name;
    }
    if (!first) return TD_OK;
    f->gguf = td_name_join(f->folder, first);
    return f->gguf ? TD_OK : td_fail_nomem(err, "a path", strlen(f->folder));
}

/* Adds the GGUF files of one folder below as "NAME/FILE"; what is no folder has none. */
static td_status list_below(const td_hf_found *f, const char *name, td_name_list *below,
                            td_err *err) {
    char *path = td_name_join(f->folder, name);
    if (!path) return td_fail_nomem(err, "a path", strlen(f->folder) + strlen(name));
    DIR *dir = opendir(path);
    td_free(path);
    td_status status = TD_OK;
    for (struct dirent *entry; dir && status == TD_OK && (entry = readdir(dir));) {
        if (!is_gguf_model(entry->d_name)) continue;
        path = td_name_join(name, entry->d_name);
        status = path ? td_name_list_add(below, path, err)
                      : td_fail_nomem(err, "a path", strlen(name) + strlen(entry->d_name));
        td_free(path);
    }
    if (dir) closedir(dir);
    return status;
}

/* Repositories of GGUF files have a folder for each quantization, of which one was fetched. */
static td_status choose_gguf_below(td_hf_found *f, td_err *err) {
    td_name_list below = {0};
    td_status status = TD_OK;
    for (size_t i = 0; i < f->names.n && status == TD_OK; i++)
        if (f->names.names[i][0] != '.') status = list_below(f, f->names.names[i], &below, err);
    td_name_list_sort(&below);
    if (status == TD_OK) status = choose_gguf(f, &below, err);
    td_name_list_clear(&below);
    return status;
}

/* No safetensors file was found. */
static td_status choose_other(td_hf_found *f, td_err *err) {
    TD_TRY(choose_gguf(f, &f->names, err));
    if (f->gguf) return TD_OK;
    for (size_t i = 0; i < f->names.n; i++)
        if (is_pickle(f->names.names[i])) return fail_pickle(f->folder, f->names.names[i], err);
    if (has(f, TD_HF_CONFIG)) return TD_OK;
    TD_TRY(choose_gguf_below(f, err));
    if (f->gguf) return TD_OK;
    return td_fail(err, TD_ERR_IO,
                   "%s: a folder without " TD_HF_CONFIG ", .safetensors or .gguf: wanted a model",
                   f->folder);
}

/* ---- a path ---- */

/* The folder that a file lies in. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return td_strdup(".");
    return td_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* KTransformers takes the safetensors files of such a folder without a word, and so do we, with
 * one.
 */
static void say_which(const td_hf_found *f) {
    for (size_t i = 0; i < f->names.n; i++) {
        if (!is_gguf_model(f->names.names[i])) continue;
        td_log(TD_LOG_WARN,
               "%s has safetensors and GGUF files: the safetensors files are taken; for the other "
               "give the path of '%s'",
               f->folder, f->names.names[i]);
        return;
    }
}

static td_status find_in_folder(td_hf_found *f, const char *path, const char *named, td_err *err) {
    f->folder = named ? folder_of(path) : td_strdup(path);
    if (!f->folder) return td_fail_nomem(err, "a path", strlen(path) + 1);
    TD_TRY(list_folder(f, err));
    if (named && !has(f, named)) return td_fail_errno(err, ENOENT, "cannot open '%s'", path);
    TD_TRY(choose_weights(f, named, err));
    if (!named && f->weights.n > 0) say_which(f);
    return named || f->weights.n > 0 ? TD_OK : choose_other(f, err);
}

static td_status find(td_hf_found *f, const char *path, td_err *err) {
    struct stat st;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return find_in_folder(f, path, NULL, err);
    if (is_pickle(name)) return fail_pickle(path, name, err);
    if (is_weights(name) || td_name_ends_with(name, INDEX_SUFFIX) ||
        strcmp(name, TD_HF_CONFIG) == 0)
        return find_in_folder(f, path, name, err);
    f->gguf = td_strdup(path);
    return f->gguf ? TD_OK : td_fail_nomem(err, "a path", strlen(path) + 1);
}

td_status td_hf_find(td_hf_found *found, const char *path, td_err *err) {
    *found = (td_hf_found){0};
    const td_status status = find(found, path, err);
    if (status != TD_OK) td_hf_found_clear(found);
    return status;
}

static td_status find_config(td_hf_found *f, const char *path, td_err *err) {
    struct stat st;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const bool is_config = strcmp(name, TD_HF_CONFIG) == 0;
    if (stat(path, &st) != 0) return td_fail_errno(err, errno, "cannot open '%s'", path);
    if (!S_ISDIR(st.st_mode) && !is_config)
        return td_fail(
            err, TD_ERR_ARGUMENT,
            "%s: a file: with weights in another place, wanted the folder of " TD_HF_CONFIG
            " and the tokenizer",
            path);
    f->folder = S_ISDIR(st.st_mode) ? td_strdup(path) : folder_of(path);
    if (!f->folder) return td_fail_nomem(err, "a path", strlen(path) + 1);
    TD_TRY(list_folder(f, err));
    if (has(f, TD_HF_CONFIG)) return TD_OK;
    return td_fail(err, TD_ERR_IO,
                   "%s: a folder without " TD_HF_CONFIG ": wanted the one of the configuration and "
                   "the tokenizer",
                   f->folder);
}

td_status td_hf_find_config(td_hf_found *found, const char *path, td_err *err) {
    *found = (td_hf_found){0};
    const td_status status = find_config(found, path, err);
    if (status != TD_OK) td_hf_found_clear(found);
    return status;
}

void td_hf_found_clear(td_hf_found *found) {
    drop_weights(found);
    td_name_list_clear(&found->names);
    td_free(found->gguf);
    td_free(found->folder);
    *found = (td_hf_found){0};
}
