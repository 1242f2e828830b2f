/* hf_folder.c - opening a Hugging Face folder: its configuration and its safetensors files. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/hf_arrays.h"
#include "format/hf_find.h"

/* ---- arrays of all files ---- */

static int by_name(const void *a, const void *b) {
    const td_array *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

td_array *td_hf_arrays_find(const td_hf_arrays *arrays, const char *name) {
    const td_array key = {.name = name}, *p = &key;
    td_array **found = bsearch(&p, arrays->by_name, arrays->n, sizeof *arrays->by_name, by_name);
    return found ? *found : NULL;
}

static td_status arrays_collect(td_hf_arrays *arrays, td_checkpoint *ckpt, td_err *err) {
    size_t n = 0;
    for (int i = 0; i < ckpt->n_file; i++) n += ckpt->files[i].safetensors.n_array;
    arrays->all = td_calloc(n, sizeof *arrays->all);
    arrays->by_name = td_calloc(n, sizeof *arrays->by_name);
    if (!arrays->all || !arrays->by_name)
        return td_fail_nomem(err, "the tensor table", n * sizeof *arrays->all);
    for (int i = 0; i < ckpt->n_file; i++) {
        td_safetensors *st = &ckpt->files[i].safetensors;
        for (size_t j = 0; j < st->n_array; j++) {
            st->arrays[j].i_file = i;
            arrays->all[arrays->n] = &st->arrays[j];
            arrays->by_name[arrays->n++] = &st->arrays[j];
        }
    }
    qsort(arrays->by_name, n, sizeof *arrays->by_name, by_name);
    for (size_t i = 1; i < n; i++) {
        const td_array *a = arrays->by_name[i - 1], *b = arrays->by_name[i];
        if (strcmp(a->name, b->name) == 0)
            return td_fail(err, TD_ERR_FORMAT, "tensor '%s' appears twice, in %s and in %s",
                           a->name, ckpt->files[a->i_file].path, ckpt->files[b->i_file].path);
    }
    return TD_OK;
}

static void arrays_clear(td_hf_arrays *arrays) {
    td_free(arrays->all);
    td_free(arrays->by_name);
}

/* What the index promises must be in the files. */
static td_status check_index(const td_hf_arrays *arrays, const td_hf_found *found, td_err *err) {
    const char *tensor;
    json_t *file;
    json_object_foreach(found->weight_map, tensor, file) {
        const td_array *a = td_hf_arrays_find(arrays, tensor);
        const int i_file = td_name_list_find(&found->weights, json_string_value(file));
        if (!a || a->i_file != i_file)
            return td_fail(err, TD_ERR_FORMAT, "%s: tensor '%.200s' is not in '%s'",
                           found->index_path,
                           td_name_is_printable(tensor, strlen(tensor)) ? tensor : "",
                           json_string_value(file));
    }
    return TD_OK;
}

static td_status make_tensors(td_checkpoint *ckpt, const td_hf_found *found, td_err *err) {
    td_hf_arrays arrays = {0};
    td_status status = arrays_collect(&arrays, ckpt, err);
    if (status == TD_OK && found && found->weight_map) status = check_index(&arrays, found, err);
    if (status == TD_OK) status = td_hf_make_tensors(ckpt, &arrays, err);
    arrays_clear(&arrays);
    return status;
}

/* ---- files ---- */

static td_status read_config(td_checkpoint *ckpt, const td_hf_found *found, td_err *err) {
    td_hf *hf = &ckpt->hf;
    const td_checkpoint *beside = ckpt->beside;
    const char *name = td_checkpoint_meta_file(ckpt);
    const bool has_config = td_name_list_find(&found->names, TD_HF_CONFIG) >= 0;
    if (!has_config && beside) {
        ckpt->metas = beside->metas;
        ckpt->metas_by_key = beside->metas_by_key;
        ckpt->n_meta = beside->n_meta;
        return TD_OK;
    }
    if (has_config) {
        hf->config_path = td_name_join(hf->folder, TD_HF_CONFIG);
        if (!hf->config_path) return td_fail_nomem(err, "a path", strlen(hf->folder));
        name = hf->config_path;
        TD_TRY(td_hf_config_read(&hf->config, name, "", err));
    }
    if (td_name_list_find(&found->names, "generation_config.json") >= 0) {
        char *path = td_name_join(hf->folder, "generation_config.json");
        if (!path) return td_fail_nomem(err, "a path", strlen(hf->folder));
        const td_status status = td_hf_config_read(&hf->config, path, "generation_config.", err);
        td_free(path);
        TD_TRY(status);
    }
    TD_TRY(td_hf_config_finish(&hf->config, name, err));
    ckpt->metas = hf->config.metas;
    ckpt->metas_by_key = hf->config.metas_by_key;
    ckpt->n_meta = hf->config.n_meta;
    return TD_OK;
}

static td_status open_weights(td_checkpoint *ckpt, const td_hf_found *found, int i, td_err *err) {
    td_format_file *f = &ckpt->files[i];
    char *path = td_name_join(ckpt->hf.folder, found->weights.names[i]);
    if (!path) return td_fail_nomem(err, "a path", strlen(ckpt->hf.folder));
    td_status status = td_format_file_map(f, path, err);
    td_free(path);
    if (status != TD_OK && found->index_path)
        return td_fail_in(err, status, "a file that '%s' names", found->index_path);
    TD_TRY(status);
    return td_safetensors_parse(&f->safetensors, f->map.data, f->map.n, f->path, err);
}

/* config.json stands for the files of a folder without weights. */
static td_status open_files(td_checkpoint *ckpt, const td_hf_found *found, td_err *err) {
    const size_t n = found->weights.n;
    ckpt->files = td_calloc(n > 0 ? n : 1, sizeof *ckpt->files);
    if (!ckpt->files) return td_fail_nomem(err, "the file table", n * sizeof *ckpt->files);
    ckpt->n_file = n > 0 ? (int)n : 1;
    if (n == 0) return td_format_file_map(&ckpt->files[0], ckpt->hf.config_path, err);
    for (int i = 0; i < ckpt->n_file; i++) TD_TRY(open_weights(ckpt, found, i, err));
    return TD_OK;
}

static td_status open_found(td_checkpoint *ckpt, td_hf_found *found, td_err *err) {
    ckpt->kind = TD_CHECKPOINT_HF;
    ckpt->hf.folder = found->folder;
    found->folder = NULL;
    TD_TRY(read_config(ckpt, found, err));
    TD_TRY(open_files(ckpt, found, err));
    return make_tensors(ckpt, found, err);
}

td_status td_hf_folder_open(td_checkpoint *ckpt, char **gguf_path, td_err *err) {
    td_hf_found found;
    td_status status = TD_OK;
    *gguf_path = NULL;
    TD_TRY(td_hf_find(&found, ckpt->path, err));
    if (found.gguf) {
        *gguf_path = found.gguf;
        found.gguf = NULL;
    } else {
        status = open_found(ckpt, &found, err);
    }
    td_hf_found_clear(&found);
    return status;
}

td_status td_hf_config_open(td_checkpoint *ckpt, td_err *err) {
    td_hf_found found;
    TD_TRY(td_hf_find_config(&found, ckpt->path, err));
    const td_status status = open_found(ckpt, &found, err);
    td_hf_found_clear(&found);
    return status;
}

td_status td_hf_image_open(td_checkpoint *ckpt, const void *image, size_t n, td_err *err) {
    ckpt->kind = TD_CHECKPOINT_HF;
    ckpt->files = td_calloc(1, sizeof *ckpt->files);
    if (!ckpt->files) return td_fail_nomem(err, "the file table", sizeof *ckpt->files);
    ckpt->n_file = 1;
    td_format_file *f = &ckpt->files[0];
    f->n = n;
    f->path = td_strdup(ckpt->path);
    if (!f->path) return td_fail_nomem(err, "a path", strlen(ckpt->path) + 1);
    TD_TRY(td_safetensors_parse(&f->safetensors, image, n, f->path, err));
    return make_tensors(ckpt, NULL, err);
}
