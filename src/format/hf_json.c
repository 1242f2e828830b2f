/* hf_json.c - see hf_json.h. */
#include "format/hf_json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/filemap.h"

/* A copy of text[n] in which integers of more than 18 digits end in ".0": what is not an integer
 * for int64 is then a real.  NULL when memory is out. */
static char *with_reals(const char *text, size_t n, size_t *n_out) {
    enum { DIGITS = 18, ADDED = 2 };
    char *out = td_malloc(n + (n / DIGITS + 1) * ADDED);
    if (!out) return NULL;
    size_t k = 0, digits = 0;
    bool in_string = false, plain = false; /* of the number: only digits so far */
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        const bool digit = !in_string && c >= '0' && c <= '9';
        const bool part = !in_string && (c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-');
        if (!digit && !part) {
            if (plain && digits > DIGITS) memcpy(out + k, ".0", ADDED), k += ADDED;
            digits = 0;
        }
        plain = digit ? digits == 0 || plain : false;
        digits += digit;
        if (in_string && c == '\\' && i + 1 < n)
            out[k++] = text[i++];
        else if (c == '"')
            in_string = !in_string;
        out[k++] = text[i];
    }
    *n_out = k;
    return out;
}

static json_t *load(const char *text, size_t n, size_t flags, json_error_t *problem) {
    json_t *json = json_loadb(text, n, flags, problem);
    if (json || json_error_code(problem) != json_error_numeric_overflow) return json;
    size_t n_copy;
    char *copy = with_reals(text, n, &n_copy);
    if (copy) json = json_loadb(copy, n_copy, flags, problem);
    td_free(copy);
    return json;
}

td_status td_hf_json_load(json_t **out, const char *text, size_t n, size_t flags, const char *name,
                          td_err *err) {
    json_error_t problem;
    *out = load(text, n, flags, &problem);
    if (*out) return TD_OK;
    if (json_error_code(&problem) == json_error_out_of_memory) return td_fail_nomem(err, name, n);
    return td_fail(err, TD_ERR_FORMAT, "%s: line %d, column %d: %s", name, problem.line,
                   problem.column, problem.text);
}

td_status td_hf_json_parse(json_t **out, const char *text, size_t n, const char *name,
                           td_err *err) {
    TD_TRY(td_hf_json_load(out, text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, name, err));
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
