/* test_chat_template.c - the variables that a chat template sees, and who overrides whom. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "text/chat_template.h"

/* Prints every variable, so that a case is one string. */
static const char source[] = "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"
                             "{{ tools is none }} {{ tools }} {{ documents is none }} "
                             "{{ add_generation_prompt }} [{{ bos_token }}|{{ eos_token }}|"
                             "{{ pad_token }}] {{ x }}";

static td_vocab_token tokens[] = {
    {.text = "<s>junk", .n = 3},
    {.text = "</s>",    .n = 4}
};
static const td_vocab vocab = {
    .tokens = tokens, .n_token = 2, .bos = 0, .eos = 1, .eot = -1, .unk = 7, .pad = -1};

static td_status parse(const char *json, td_arena *arena, td_value **out, td_err *err) {
    *out = NULL;
    return json ? td_value_from_json(out, arena, json, strlen(json), "json", err) : TD_OK;
}

typedef struct sample {
    const char *messages, *tools, *vars;
    const td_vocab *vocab;
    bool no_generation_prompt;
    const char *wanted;
} sample;

static td_status render(const sample *s, char **out, td_err *err) {
    *out = NULL;
    td_arena arena;
    td_arena_init(&arena, 4096);
    td_chat_template_input in = {
        .source = source, .vocab = s->vocab, .no_generation_prompt = s->no_generation_prompt};
    td_status status = parse(s->messages, &arena, &in.messages, err);
    if (status == TD_OK) status = parse(s->tools, &arena, &in.tools, err);
    if (status == TD_OK) status = parse(s->vars, &arena, &in.vars, err);
    if (status == TD_OK) status = td_chat_template_render(&in, &arena, out, err);
    td_arena_clear(&arena);
    return status;
}

static void test_variables(void **state) {
    (void)state;
    const sample samples[] = {
        {"[]",                                          NULL,     NULL,                                                                   NULL,   false, "True None True True [||] "    },
        {"[{\"role\": \"user\", \"content\": \"hi\"}]", NULL,     NULL,                                                                   &vocab, true,
         "user=hi;True None True False [<s>|</s>|] "                                                                                                                                    },
        {"[]",                                          "[1, 2]", "{\"x\": 5}",                                                           NULL,   false, "False [1, 2] True True [||] 5"},
        {"[]",                                          "[1]",    "{\"tools\": [3], \"bos_token\": \"B\", \"add_generation_prompt\": 0}",
         &vocab,                                                                                                                                  false, "False [3] True 0 [B|</s>|] "  },
        {"[]",                                          NULL,     "{\"messages\": [{\"role\": \"x\", \"content\": \"y\"}]}",              NULL,   false,
         "True None True True [||] "                                                                                                                                                    },
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char *out;
        td_err err;
        assert_int_equal(render(&samples[i], &out, &err), TD_OK);
        assert_string_equal(out, samples[i].wanted);
        td_free(out);
    }
}

static void test_wrong_types(void **state) {
    (void)state;
    const sample samples[] = {
        {"{}", NULL, NULL, NULL, false, "messages are no list"},
        {"[]", "{}", NULL, NULL, false, "tools are no list"   },
        {"[]", NULL, "[]", NULL, false, "no mapping"          },
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char *out;
        td_err err;
        assert_int_equal(render(&samples[i], &out, &err), TD_ERR_ARGUMENT);
        assert_null(out);
        assert_non_null(strstr(err.msg, samples[i].wanted));
    }
}

#ifdef TD_FAULTS
static void test_out_of_memory(void **state) {
    (void)state;
    const sample s = {
        "[{\"role\": \"user\", \"content\": \"hi\"}]", "[1]", "{\"x\": 5}", &vocab, false, NULL};
    td_status status = TD_ERR_NOMEM;
    for (int64_t n = 1; status != TD_OK; n++) {
        char *out;
        td_err err;
        td_alloc_fault_set(n);
        status = render(&s, &out, &err);
        td_alloc_fault_set(0);
        if (status != TD_OK) assert_int_equal(status, TD_ERR_NOMEM);
        td_free(out);
        assert_true(n < 5000);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_wrong_types),
#ifdef TD_FAULTS
        cmocka_unit_test(test_out_of_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
