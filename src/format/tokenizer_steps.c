/* tokenizer_steps.c - the normalizer, pre-tokenizer, post-processor and decoder of a
 * tokenizer.json, as the steps of a pipeline. */
#include <string.h>

#include "base/alloc.h"
#include "format/vocab_hf_int.h"
#include "text/utf8.h"

enum { MAX_DEPTH = 8 }; /* sequences in sequences */

static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                           "|\\s+(?!\\S)|\\s+";

/* ---- fields ---- */

static const char *type_of(json_t *o) {
    const char *type = json_string_value(json_object_get(o, "type"));
    return type ? type : "";
}

static bool is(json_t *o, const char *type) { return strcmp(type_of(o), type) == 0; }

static td_status refuse(const td_hf *hf, const char *what, json_t *o, td_err *err) {
    return td_fail(err, TD_ERR_UNSUPPORTED, "%s: %s '%.60s' is not supported", hf->name, what,
                   type_of(o));
}

static td_status malformed(const td_hf *hf, json_t *o, const char *field, td_err *err) {
    return td_fail(err, TD_ERR_FORMAT, "%s: '%.60s' has a missing or malformed '%s'", hf->name,
                   type_of(o), field);
}

static bool get_bool(json_t *o, const char *field, bool otherwise) {
    json_t *v = json_object_get(o, field);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static td_status get_text(td_hf *hf, json_t *o, const char *field, td_text *out, td_err *err) {
    json_t *v = json_object_get(o, field);
    if (!json_is_string(v)) return malformed(hf, o, field, err);
    return td_hf_copy(hf, json_string_value(v), json_string_length(v), out, err);
}

/* {"String": "x"} or {"Regex": "x"}. */
static td_status get_pattern(td_hf *hf, json_t *o, td_text *out, bool *is_regex, td_err *err) {
    json_t *pattern = json_object_get(o, "pattern");
    json_t *regex = json_object_get(pattern, "Regex"), *string = json_object_get(pattern, "String");
    *is_regex = json_is_string(regex);
    json_t *v = *is_regex ? regex : string;
    if (!json_is_string(v)) return malformed(hf, o, "pattern", err);
    return td_hf_copy(hf, json_string_value(v), json_string_length(v), out, err);
}

/* The members of a "Sequence", NULL if it is something else. */
static json_t *sequence_of(json_t *o, const char *field) {
    json_t *list = is(o, "Sequence") ? json_object_get(o, field) : NULL;
    return json_is_array(list) ? list : NULL;
}

typedef td_status read_fn(td_hf *hf, json_t *o, int depth, td_err *err);

static td_status read_sequence(td_hf *hf, json_t *list, int depth, read_fn *read, td_err *err) {
    if (depth == MAX_DEPTH)
        return td_fail(err, TD_ERR_LIMIT, "%s: sequences are nested deeper than %d", hf->name,
                       MAX_DEPTH);
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o) TD_TRY(read(hf, o, depth + 1, err));
    return TD_OK;
}

/* ---- normalizers ---- */

static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place; base64 of the compiled map. */
static td_status read_charsmap(td_hf *hf, json_t *o, td_err *err) {
    td_norm_step step = {.type = TD_NORM_CHARSMAP};
    if (json_is_null(json_object_get(o, "precompiled_charsmap"))) return TD_OK;
    TD_TRY(get_text(hf, o, "precompiled_charsmap", &step.content, err));
    char *out = td_arena_alloc(&hf->vocab->arena, step.content.n);
    if (!out) return td_fail_nomem(err, "the map of characters", step.content.n);
    uint32_t bits = 0, n = 0;
    int n_bit = 0;
    for (uint32_t i = 0; i < step.content.n && step.content.text[i] != '='; i++) {
        const int digit = digit_of(step.content.text[i]);
        if (digit < 0) return malformed(hf, o, "precompiled_charsmap", err);
        bits = (bits << 6 | (uint32_t)digit) & 0xFFFFFF;
        n_bit += 6;
        if (n_bit < 8) continue;
        n_bit -= 8;
        out[n++] = (char)(bits >> n_bit);
    }
    step.content = (td_text){out, n};
    return td_hf_add_norm(hf, step, err);
}

static td_status add_plain_norm(td_hf *hf, td_norm_type type, td_err *err) {
    return td_hf_add_norm(hf, (td_norm_step){.type = type}, err);
}

static td_status read_bert(td_hf *hf, json_t *o, td_err *err) {
    const bool lower = get_bool(o, "lowercase", true);
    if (get_bool(o, "clean_text", true)) TD_TRY(add_plain_norm(hf, TD_NORM_BERT_CLEAN, err));
    if (get_bool(o, "handle_chinese_chars", true))
        TD_TRY(add_plain_norm(hf, TD_NORM_BERT_CHINESE, err));
    if (get_bool(o, "strip_accents", lower)) {
        TD_TRY(add_plain_norm(hf, TD_NORM_NFD, err));
        TD_TRY(td_hf_add_norm(
            hf, (td_norm_step){.type = TD_NORM_STRIP_ACCENTS, .flags = TD_NORM_NONSPACING}, err));
    }
    return lower ? add_plain_norm(hf, TD_NORM_LOWERCASE, err) : TD_OK;
}

td_status td_hf_read_normalizer(td_hf *hf, json_t *o, int depth, td_err *err) {
    static const struct {
        const char *type;
        td_norm_type norm;
    } plain[] = {
        {"NFC",          TD_NORM_NFC          },
        {"NFD",          TD_NORM_NFD          },
        {"NFKC",         TD_NORM_NFKC         },
        {"NFKD",         TD_NORM_NFKD         },
        {"Lowercase",    TD_NORM_LOWERCASE    },
        {"StripAccents", TD_NORM_STRIP_ACCENTS},
        {"Nmt",          TD_NORM_NMT          },
        {"ByteLevel",    TD_NORM_BYTE_LEVEL   },
    };
    if (!o || json_is_null(o)) return TD_OK;
    json_t *list = sequence_of(o, "normalizers");
    if (list) return read_sequence(hf, list, depth, td_hf_read_normalizer, err);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is(o, plain[i].type)) return add_plain_norm(hf, plain[i].norm, err);
    td_norm_step step = {0};
    if (is(o, "Strip") || is(o, "StripNormalizer")) {
        step.type = TD_NORM_STRIP;
        step.flags = (get_bool(o, "strip_left", true) ? TD_NORM_LEFT : 0u) |
                     (get_bool(o, "strip_right", true) ? TD_NORM_RIGHT : 0u);
        return td_hf_add_norm(hf, step, err);
    }
    if (is(o, "Replace")) {
        bool regex;
        step.type = TD_NORM_REPLACE;
        TD_TRY(get_pattern(hf, o, &step.pattern, &regex, err));
        TD_TRY(get_text(hf, o, "content", &step.content, err));
        step.flags = regex ? TD_NORM_REGEX : 0;
        return td_hf_add_norm(hf, step, err);
    }
    if (is(o, "Prepend")) {
        step.type = TD_NORM_PREPEND;
        TD_TRY(get_text(hf, o, "prepend", &step.content, err));
        return td_hf_add_norm(hf, step, err);
    }
    if (is(o, "Precompiled")) return read_charsmap(hf, o, err);
    if (is(o, "BertNormalizer")) return read_bert(hf, o, err);
    return refuse(hf, "normalizer", o, err);
}

/* ---- pre-tokenizers ---- */

static td_status add_split(td_hf *hf, td_pre_match match, td_pre_behavior behavior, td_err *err) {
    return td_hf_add_pre(
        hf, (td_pre_step){.type = TD_PRE_SPLIT, .match = match, .behavior = behavior}, err);
}

static td_status read_behavior(const td_hf *hf, json_t *o, td_pre_behavior *out, td_err *err) {
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    const char *name = json_string_value(json_object_get(o, "behavior"));
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (td_pre_behavior)i;
            return TD_OK;
        }
    return malformed(hf, o, "behavior", err);
}

static td_status read_split(td_hf *hf, json_t *o, td_err *err) {
    bool regex;
    td_pre_step step = {.type = TD_PRE_SPLIT, .invert = get_bool(o, "invert", false)};
    TD_TRY(get_pattern(hf, o, &step.text, &regex, err));
    TD_TRY(read_behavior(hf, o, &step.behavior, err));
    step.match = regex ? TD_MATCH_REGEX : TD_MATCH_STRING;
    return td_hf_add_pre(hf, step, err);
}

static td_status read_byte_level(td_hf *hf, json_t *o, td_err *err) {
    if (get_bool(o, "add_prefix_space", true))
        TD_TRY(td_hf_add_pre(hf,
                             (td_pre_step){
                                 .type = TD_PRE_PREFIX, .text = {" ", 1}
        },
                             err));
    if (get_bool(o, "use_regex", true))
        TD_TRY(td_hf_add_pre(
            hf,
            (td_pre_step){
                .type = TD_PRE_SPLIT, .match = TD_MATCH_REGEX, .text = {gpt2, sizeof gpt2 - 1}
        },
            err));
    return td_hf_add_pre(hf, (td_pre_step){.type = TD_PRE_ALPHABET}, err);
}

/* What Metaspace puts in front: older files say add_prefix_space in place of prepend_scheme. */
static const char *scheme_of(json_t *o) {
    const char *scheme = json_string_value(json_object_get(o, "prepend_scheme"));
    return scheme ? scheme : get_bool(o, "add_prefix_space", true) ? "always" : "never";
}

static td_status read_metaspace(td_hf *hf, json_t *o, td_err *err) {
    td_text mark;
    const char *scheme = scheme_of(o);
    TD_TRY(get_text(hf, o, "replacement", &mark, err));
    if (mark.n == 0) return malformed(hf, o, "replacement", err);
    TD_TRY(td_hf_add_pre(hf, (td_pre_step){.type = TD_PRE_REPLACE_SPACE, .text = mark}, err));
    if (strcmp(scheme, "never") != 0)
        TD_TRY(td_hf_add_pre(hf,
                             (td_pre_step){.type = TD_PRE_PREFIX,
                                           .text = mark,
                                           .first_only = strcmp(scheme, "first") == 0},
                             err));
    if (!get_bool(o, "split", true)) return TD_OK;
    return td_hf_add_pre(hf,
                         (td_pre_step){.type = TD_PRE_SPLIT,
                                       .match = TD_MATCH_STRING,
                                       .behavior = TD_PRE_MERGED_WITH_NEXT,
                                       .text = mark},
                         err);
}

static td_status read_delimiter(td_hf *hf, json_t *o, td_err *err) {
    td_pre_step step = {.type = TD_PRE_SPLIT, .match = TD_MATCH_STRING, .behavior = TD_PRE_REMOVED};
    TD_TRY(get_text(hf, o, "delimiter", &step.text, err));
    return td_hf_add_pre(hf, step, err);
}

static td_status read_fixed_length(td_hf *hf, json_t *o, td_err *err) {
    json_t *length = json_object_get(o, "length");
    const json_int_t n = json_is_integer(length) ? json_integer_value(length) : 0;
    if (n < 1 || n > INT32_MAX) return malformed(hf, o, "length", err);
    return td_hf_add_pre(hf, (td_pre_step){.type = TD_PRE_CHUNK, .length = (uint32_t)n}, err);
}

td_status td_hf_read_pre_tokenizer(td_hf *hf, json_t *o, int depth, td_err *err) {
    /* The \w of another library than the one other patterns are for. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"
    static const char words[] = "[" WORD "]+|[^" WORD "\\s]+";
#undef WORD
    if (!o || json_is_null(o)) return TD_OK;
    json_t *list = sequence_of(o, "pretokenizers");
    if (list) return read_sequence(hf, list, depth, td_hf_read_pre_tokenizer, err);
    if (is(o, "Split")) return read_split(hf, o, err);
    if (is(o, "ByteLevel")) return read_byte_level(hf, o, err);
    if (is(o, "Metaspace")) return read_metaspace(hf, o, err);
    if (is(o, "Digits"))
        return add_split(
            hf, TD_MATCH_NUMERIC,
            get_bool(o, "individual_digits", false) ? TD_PRE_ISOLATED : TD_PRE_CONTIGUOUS, err);
    if (is(o, "Punctuation")) {
        td_pre_behavior behavior = TD_PRE_ISOLATED;
        if (json_object_get(o, "behavior")) TD_TRY(read_behavior(hf, o, &behavior, err));
        return add_split(hf, TD_MATCH_PUNCTUATION, behavior, err);
    }
    if (is(o, "Whitespace"))
        return td_hf_add_pre(hf,
                             (td_pre_step){
                                 .type = TD_PRE_SPLIT,
                                 .match = TD_MATCH_REGEX,
                                 .behavior = TD_PRE_REMOVED,
                                 .invert = true,
                                 .text = {words, sizeof words - 1}
        },
                             err);
    if (is(o, "WhitespaceSplit")) return add_split(hf, TD_MATCH_WHITE_SPACE, TD_PRE_REMOVED, err);
    if (is(o, "BertPreTokenizer")) {
        TD_TRY(add_split(hf, TD_MATCH_WHITE_SPACE, TD_PRE_REMOVED, err));
        return add_split(hf, TD_MATCH_PUNCTUATION, TD_PRE_ISOLATED, err);
    }
    if (is(o, "CharDelimiterSplit")) return read_delimiter(hf, o, err);
    if (is(o, "FixedLength")) return read_fixed_length(hf, o, err);
    return refuse(hf, "pre-tokenizer", o, err);
}

/* ---- post-processors ---- */

static td_status take_id(const td_hf *hf, json_t *o, json_t *id, int32_t *out, td_err *err) {
    const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (n < 0 || n >= hf->vocab->n_token) return malformed(hf, o, "id", err);
    *out = (int32_t)n;
    return TD_OK;
}

/* The ids of a template before its text (in front of those there) and after it. */
static td_status read_template(td_hf *hf, json_t *o, td_err *err) {
    json_t *single = json_object_get(o, "single"), *item;
    size_t i;
    bool seen = false;
    int32_t before[TD_HF_MAX_STEPS];
    int n_before = 0;
    if (!json_is_array(single)) return malformed(hf, o, "single", err);
    json_array_foreach(single, i, item) {
        json_t *special = json_object_get(item, "SpecialToken"), *id;
        seen |= json_object_get(item, "Sequence") != NULL;
        if (!special) continue;
        const char *name = json_string_value(json_object_get(special, "id"));
        json_t *known = json_object_get(json_object_get(o, "special_tokens"), name ? name : "");
        json_t *ids = json_object_get(known, "ids");
        if (!json_is_array(ids)) return malformed(hf, o, "special_tokens", err);
        size_t j;
        json_array_foreach(ids, j, id) {
            int32_t token = -1;
            TD_TRY(take_id(hf, o, id, &token, err));
            if (seen)
                TD_TRY(td_hf_add_suffix(hf, token, err));
            else if (n_before < TD_HF_MAX_STEPS)
                before[n_before++] = token;
        }
    }
    while (n_before > 0) TD_TRY(td_hf_add_prefix(hf, before[--n_before], err));
    return TD_OK;
}

td_status td_hf_read_post_processor(td_hf *hf, json_t *o, int depth, td_err *err) {
    if (!o || json_is_null(o) || is(o, "ByteLevel")) return TD_OK;
    json_t *list = sequence_of(o, "processors");
    if (list) return read_sequence(hf, list, depth, td_hf_read_post_processor, err);
    if (is(o, "TemplateProcessing")) return read_template(hf, o, err);
    if (!is(o, "BertProcessing") && !is(o, "RobertaProcessing"))
        return refuse(hf, "post-processor", o, err);
    int32_t cls = -1, sep = -1;
    TD_TRY(take_id(hf, o, json_array_get(json_object_get(o, "cls"), 1), &cls, err));
    TD_TRY(take_id(hf, o, json_array_get(json_object_get(o, "sep"), 1), &sep, err));
    TD_TRY(td_hf_add_prefix(hf, cls, err));
    return td_hf_add_suffix(hf, sep, err);
}

/* ---- decoders ---- */

static td_status get_count(const td_hf *hf, json_t *o, const char *field, uint32_t *out,
                           td_err *err) {
    json_t *v = json_object_get(o, field);
    const json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    if (n < 0 || n > 1000) return malformed(hf, o, field, err);
    *out = (uint32_t)n;
    return TD_OK;
}

/* Behind "Fuse" there is one text, of which only the front can be changed as it comes. */
static td_status read_strip(td_hf *hf, json_t *o, td_err *err) {
    td_decode_step step = {.type = TD_DECODE_STRIP};
    TD_TRY(get_text(hf, o, "content", &step.content, err));
    TD_TRY(get_count(hf, o, "start", &step.start, err));
    TD_TRY(get_count(hf, o, "stop", &step.stop, err));
    if (hf->fused) {
        const bool space = step.content.n == 1 && *step.content.text == ' ';
        if (step.stop > 0 || step.start > 1 || !space)
            return td_fail(err, TD_ERR_UNSUPPORTED,
                           "%s: decoder 'Strip' behind 'Fuse' takes more than one space from the "
                           "front, which is not supported",
                           hf->name);
        if (step.start == 0) return TD_OK;
        step.type = TD_DECODE_STRIP_TEXT;
    }
    return td_hf_add_decode(hf, step, err);
}

static td_status read_replace(td_hf *hf, json_t *o, td_err *err) {
    td_decode_step step = {.type = TD_DECODE_REPLACE};
    bool regex;
    TD_TRY(get_pattern(hf, o, &step.pattern, &regex, err));
    TD_TRY(get_text(hf, o, "content", &step.content, err));
    if (regex)
        return td_fail(err, TD_ERR_UNSUPPORTED, "%s: decoder 'Replace' with a regular expression",
                       hf->name);
    return td_hf_add_decode(hf, step, err);
}

static td_status read_metaspace_decoder(td_hf *hf, json_t *o, td_err *err) {
    td_decode_step step = {.type = TD_DECODE_METASPACE,
                           .drop_first = strcmp(scheme_of(o), "never") != 0};
    TD_TRY(get_text(hf, o, "replacement", &step.pattern, err));
    return td_hf_add_decode(hf, step, err);
}

td_status td_hf_read_decoder(td_hf *hf, json_t *o, int depth, td_err *err) {
    td_decode_step step = {0};
    json_t *list = sequence_of(o, "decoders");
    if (list) return read_sequence(hf, list, depth, td_hf_read_decoder, err);
    if (is(o, "Fuse")) {
        hf->fused = true;
        return TD_OK;
    }
    if (is(o, "Strip")) return read_strip(hf, o, err);
    if (is(o, "Replace")) return read_replace(hf, o, err);
    if (is(o, "Metaspace")) return read_metaspace_decoder(hf, o, err);
    if (is(o, "ByteLevel")) {
        step.type = TD_DECODE_BYTE_LEVEL;
    } else if (is(o, "ByteFallback")) {
        step.type = TD_DECODE_BYTE_FALLBACK;
    } else if (is(o, "WordPiece")) {
        step.type = TD_DECODE_WORDPIECE;
        step.cleanup = get_bool(o, "cleanup", true);
        TD_TRY(get_text(hf, o, "prefix", &step.pattern, err));
    } else if (is(o, "BPEDecoder")) {
        step.type = TD_DECODE_BPE;
        TD_TRY(get_text(hf, o, "suffix", &step.pattern, err));
    } else {
        return refuse(hf, "decoder", o, err);
    }
    return td_hf_add_decode(hf, step, err);
}
