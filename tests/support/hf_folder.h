/* hf_folder.h - a temporary Hugging Face folder for tests.
 *
 *     hf_folder f;
 *     hf_make(&f);
 *     hf_put(&f, "config.json", "{}");
 *     st_write(&builder, hf_path(&f, "model.safetensors"));
 *     ...
 *     hf_remove(&f);   // with all files in it */
#ifndef TD_SUPPORT_HF_FOLDER_H
#define TD_SUPPORT_HF_FOLDER_H

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/safetensors_builder.h"

typedef struct hf_folder {
    char path[32];
    char file[320]; /* of the last hf_path() */
} hf_folder;

static inline void hf_make(hf_folder *f) {
    strcpy(f->path, "/tmp/td_hf_XXXXXX");
    if (!mkdtemp(f->path)) abort();
}

/* Valid until the next call. */
static inline const char *hf_path(hf_folder *f, const char *name) {
    snprintf(f->file, sizeof f->file, "%s/%s", f->path, name);
    return f->file;
}

static inline void hf_put(hf_folder *f, const char *name, const char *text) {
    if (st_write_bytes(hf_path(f, name), text, strlen(text)) != 0) abort();
}

static inline void hf_empty(hf_folder *f) {
    DIR *dir = opendir(f->path);
    if (!dir) abort();
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') unlink(hf_path(f, entry->d_name));
    closedir(dir);
}

static inline void hf_remove(hf_folder *f) {
    hf_empty(f);
    rmdir(f->path);
}

#endif
