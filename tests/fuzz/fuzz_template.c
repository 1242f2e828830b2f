/* fuzz_template.c - any template, any variables: parsing and rendering must do no harm.
 *
 * Input: a template; behind a byte 0, if there is one, the variables as JSON.  The limits are
 * small, so that every input is quick. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char default_vars[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\","
    " \"content\": \"H\\u00e9llo\"}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\":"
    " [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1.5}}}]}], \"tools\": null,"
    " \"add_generation_prompt\": true, \"n\": 3, \"s\": \"a, b\", \"l\": [3, 1, 2],"
    " \"d\": {\"b\": 1, \"a\": [true]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const td_template_limits limits = {
        .max_steps = 20000, .max_depth = 30, .max_output = 1 << 16};
    const char *source = (const char *)data, *vars_text = default_vars;
    size_t n_vars = sizeof default_vars - 1;
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    if (zero) {
        vars_text = (const char *)zero + 1;
        n_vars = n - (size_t)(zero - data) - 1;
        n -= n_vars + 1;
    }
    td_arena arena;
    td_value *vars;
    td_template *t = NULL;
    td_err err = {0};
    char *out = NULL;
    size_t n_out;
    td_arena_init(&arena, 0);
    if (td_value_from_json(&vars, &arena, vars_text, n_vars, "vars", &err) == TD_OK &&
        td_template_create(&t, "template", source, n, &err) == TD_OK) {
        const td_status status = td_template_render(t, vars, &limits, &out, &n_out, &err);
        if ((status == TD_OK) != (out != NULL)) abort();
        if (out && (n_out > limits.max_output || out[n_out] != 0)) abort();
    }
    if (err.code != TD_OK && err.msg[0] == 0) abort();
    td_free(out);
    td_template_free(t);
    td_arena_clear(&arena);
    return 0;
}
