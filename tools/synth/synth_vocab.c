/* synth_vocab.c - a byte-level vocabulary of any size. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "synth_int.h"

enum { NORMAL = 1, CONTROL = 3, MAX_TOKEN = 40 };

const char synth_template[] = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}";

/* How byte-level vocabularies write a byte: as itself where that is a visible character of Latin-1,
 * else as one of the characters from U+0100 on, in order. */
static size_t put_byte(char *at, int byte) {
    int c = 0x100;
    const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    for (int b = 0; b < byte; b++) c += !((b >= 33 && b <= 126) || (b >= 161 && b != 173));
    if (itself) c = byte;
    if (c < 0x80) {
        at[0] = (char)c;
        return 1;
    }
    at[0] = (char)(0xc0 | c >> 6);
    at[1] = (char)(0x80 | (c & 63));
    return 2;
}

/* The token that is the nth of those that are not special: the bytes, two spaces, words named by
 * id.
 */
static size_t name_token(char out[MAX_TOKEN], int64_t nth, int64_t id) {
    if (nth < 256) return put_byte(out, (int)nth);
    size_t n = put_byte(out, ' ');
    if (nth == 256) return n + put_byte(out + n, ' ');
    return n + (size_t)snprintf(out + n, MAX_TOKEN - n, "w%lld", (long long)id);
}

static td_status name_all(synth_vocab *v, const synth_shape *s, td_err *err) {
    int64_t nth = 0;
    char text[MAX_TOKEN];
    for (int64_t id = 0; id < v->n; id++) {
        const bool special = id == s->bos || id == s->eos;
        size_t n;
        if (special)
            n = (size_t)snprintf(text, sizeof text, "<|%s|>", id == s->bos ? "bos" : "eos");
        else
            n = name_token(text, nth++, id);
        v->types[id] = special ? CONTROL : NORMAL;
        v->tokens[id] = (td_string){td_arena_strndup(&v->arena, text, n), n};
        if (!v->tokens[id].text) return td_fail_nomem(err, "the vocabulary", n);
    }
    return TD_OK;
}

td_status synth_vocab_init(synth_vocab *v, const synth_shape *s, td_err *err) {
    *v = (synth_vocab){.n = s->n_vocab};
    td_arena_init(&v->arena, 1 << 20);
    v->tokens = td_arena_calloc(&v->arena, (size_t)v->n, sizeof *v->tokens);
    v->types = td_arena_calloc(&v->arena, (size_t)v->n, sizeof *v->types);
    const size_t n_space = put_byte(v->merge, ' ');
    v->merge[n_space] = ' ';
    put_byte(v->merge + n_space + 1, ' ');
    td_status status = v->tokens && v->types
                           ? TD_OK
                           : td_fail_nomem(err, "the vocabulary", (size_t)v->n * sizeof *v->tokens);
    if (status == TD_OK) status = name_all(v, s, err);
    if (status != TD_OK) synth_vocab_clear(v);
    return status;
}

void synth_vocab_clear(synth_vocab *v) {
    td_arena_clear(&v->arena);
    *v = (synth_vocab){0};
}
