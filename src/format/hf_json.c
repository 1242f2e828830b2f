/* hf_json.c - see hf_json.h. */
#include "format/hf_json.h"

#include "base/alloc.h"
#include "base/filemap.h"

td_status td_hf_json_parse(json_t **out, const char *text, size_t n, const char *name,
                           td_err *err) {
    json_error_t problem;
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (!*out && json_error_code(&problem) == json_error_out_of_memory)
        return td_fail_nomem(err, name, n);
    if (!*out)
        return td_fail(err, TD_ERR_FORMAT, "%s: line %d, column %d: %s", name, problem.line,
                       problem.column, problem.text);
    if (json_is_object(*out)) return TD_OK;
    json_decref(*out);
    *out = NULL;
    return td_fail(err, TD_ERR_FORMAT, "%s: no JSON object, wanted one", name);
}

td_status td_hf_json_read(json_t **out, const char *path, td_err *err) {
    char *text;
    size_t n;
    *out = NULL;
    TD_TRY(td_file_read(path, TD_HF_MAX_JSON, &text, &n, err));
    const td_status status = td_hf_json_parse(out, text, n, path, err);
    td_free(text);
    return status;
}
