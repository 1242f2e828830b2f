/* vocab_sentencepiece.c - SentencePiece's tokenizer.model: a protocol-buffers message, of which the
 * pieces and the fields of the trainer and the normalizer that encoding depends on are read. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "format/vocab_hf_int.h"
#include "text/spm.h"

/* ---- the wire ---- */

typedef struct message {
    const uint8_t *p, *end;
} message;

typedef struct field {
    uint32_t number;
    uint64_t value; /* of a varint; the bits of a fixed one */
    message bytes;  /* of a string or message */
    uint8_t wire;
} field;

static bool take_varint(message *m, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
        const uint8_t byte = *m->p++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

/* False at the end and where the message is broken; then m->p is not m->end. */
static bool take_field(message *m, field *f) {
    const uint8_t *begin = m->p;
    uint64_t key, n = 0;
    if (m->p == m->end) return false;
    *f = (field){0};
    bool good = take_varint(m, &key) && key >> 3 <= UINT32_MAX;
    f->number = good ? (uint32_t)(key >> 3) : 0;
    f->wire = good ? key & 7 : 7;
    switch (f->wire) {
    case 0: good = take_varint(m, &f->value); break;
    case 1: n = 8; break;
    case 2: good = take_varint(m, &n); break;
    case 5: n = 4; break;
    default: good = false;
    }
    good = good && n <= (uint64_t)(m->end - m->p);
    if (!good) {
        m->p = begin;
        return false;
    }
    f->bytes = (message){m->p, m->p + n};
    if (f->wire == 1 || f->wire == 5)
        for (uint64_t i = 0; i < n; i++) f->value |= (uint64_t)m->p[i] << 8 * i;
    m->p += n;
    return true;
}

/* ---- the model ---- */

typedef struct piece {
    message text;
    float score;
    uint64_t type;
} piece;

typedef struct spec {
    int64_t n_piece, n_byte;
    uint64_t model_type; /* 1 Unigram, 2 BPE, 3 words, 4 characters */
    bool byte_fallback, as_suffix;
    message charsmap;
    bool dummy_prefix, remove_extra, escape;
    int32_t unk, bos, eos, pad;
} spec;

static td_status broken(const td_hf *hf, const char *what, td_err *err) {
    return td_fail(err, TD_ERR_FORMAT, "%s: %s is malformed: no SentencePiece model", hf->name,
                   what);
}

static td_status read_piece(const td_hf *hf, message m, piece *out, td_err *err) {
    *out = (piece){.type = TD_TOKEN_NORMAL};
    for (field f; take_field(&m, &f);) {
        if (f.number == 1 && f.wire == 2) out->text = f.bytes;
        if (f.number == 2 && f.wire == 5) {
            const uint32_t bits = (uint32_t)f.value;
            memcpy(&out->score, &bits, sizeof bits);
        }
        if (f.number == 3 && f.wire == 0) out->type = f.value;
    }
    if (m.p != m.end || !isfinite(out->score) || out->type < TD_TOKEN_NORMAL ||
        out->type > TD_TOKEN_BYTE)
        return broken(hf, "a piece", err);
    return TD_OK;
}

static td_status read_trainer(const td_hf *hf, message m, spec *s, td_err *err) {
    for (field f; take_field(&m, &f);) {
        const int32_t id = (int32_t)(uint32_t)f.value;
        switch (f.wire == 0 ? f.number : 0) {
        case 3: s->model_type = f.value; break;
        case 24: s->as_suffix = f.value; break;
        case 35: s->byte_fallback = f.value; break;
        case 40: s->unk = id; break;
        case 41: s->bos = id; break;
        case 42: s->eos = id; break;
        case 43: s->pad = id; break;
        default: break;
        }
    }
    return m.p == m.end ? TD_OK : broken(hf, "the trainer's specification", err);
}

static td_status read_normalizer(const td_hf *hf, message m, spec *s, td_err *err) {
    for (field f; take_field(&m, &f);) {
        if (f.number == 2 && f.wire == 2) s->charsmap = f.bytes;
        if (f.number == 3 && f.wire == 0) s->dummy_prefix = f.value;
        if (f.number == 4 && f.wire == 0) s->remove_extra = f.value;
        if (f.number == 5 && f.wire == 0) s->escape = f.value;
    }
    return m.p == m.end ? TD_OK : broken(hf, "the normalizer's specification", err);
}

/* Counts the pieces and reads all else. */
static td_status read_spec(const td_hf *hf, message m, spec *s, td_err *err) {
    *s = (spec){.model_type = 1,
                .dummy_prefix = true,
                .remove_extra = true,
                .escape = true,
                .bos = 1,
                .eos = 2,
                .pad = -1};
    for (field f; take_field(&m, &f);) {
        if (f.wire != 2) continue;
        piece p;
        if (f.number == 1) {
            TD_TRY(read_piece(hf, f.bytes, &p, err));
            s->n_byte += p.text.end - p.text.p;
            s->n_piece++;
        }
        if (f.number == 2) TD_TRY(read_trainer(hf, f.bytes, s, err));
        if (f.number == 3) TD_TRY(read_normalizer(hf, f.bytes, s, err));
    }
    return m.p == m.end ? TD_OK : broken(hf, "the file", err);
}

static td_status read_pieces(td_hf *hf, message m, const spec *s, td_err *err) {
    td_vocab *v = hf->vocab;
    char *at = td_arena_alloc(&v->arena, (size_t)s->n_byte);
    td_added_token *added = td_arena_calloc(&v->arena, (size_t)s->n_piece, sizeof *added);
    if (!at || !added) return td_fail_nomem(err, "the vocabulary", (size_t)s->n_byte);
    int32_t i = 0, n_added = 0;
    for (field f; take_field(&m, &f);) {
        piece p;
        if (f.number != 1 || f.wire != 2) continue;
        TD_TRY(read_piece(hf, f.bytes, &p, err));
        const size_t n = (size_t)(p.text.end - p.text.p);
        if (n > 0) memcpy(at, p.text.p, n);
        td_vocab_token *t = &v->tokens[i];
        *t = (td_vocab_token){
            .text = at, .n = (uint32_t)n, .score = (double)p.score, .type = (uint8_t)p.type};
        at += n;
        if (t->type == TD_TOKEN_BYTE && td_vocab_byte_of(t->text, t->n) < 0)
            return broken(hf, "a byte piece", err);
        if (t->type == TD_TOKEN_CONTROL || t->type == TD_TOKEN_UNKNOWN)
            added[n_added++] = (td_added_token){.id = i};
        if (t->type == TD_TOKEN_USER_DEFINED)
            added[n_added++] = (td_added_token){.id = i, .normalized = true};
        if (t->type == TD_TOKEN_UNKNOWN) v->unk = i;
        i++;
    }
    hf->pipeline->added = added;
    hf->pipeline->n_added = n_added;
    return TD_OK;
}

/* Tokens that other files of the folder add behind the pieces, or whose kind they change. */
static td_status add_extra(td_hf *hf, td_err *err) {
    const td_added_token *own = hf->pipeline->added;
    const int n_own = hf->pipeline->n_added;
    hf->pipeline->added = hf->added;
    hf->pipeline->n_added = 0;
    TD_TRY(td_hf_add_extra(hf, err));
    const int n_extra = hf->pipeline->n_added;
    const size_t n_all = (size_t)n_own + (size_t)n_extra;
    td_added_token *all = td_arena_calloc(&hf->vocab->arena, n_all, sizeof *all);
    if (!all) return td_fail_nomem(err, "the added tokens", n_all * sizeof *all);
    if (n_extra > 0) memcpy(all, hf->added, (size_t)n_extra * sizeof *all);
    int n = n_extra;
    for (int i = 0; i < n_own; i++) {
        bool again = false;
        for (int j = 0; j < n_extra && !again; j++) again = all[j].id == own[i].id;
        if (!again) all[n++] = own[i];
    }
    hf->pipeline->added = all;
    hf->pipeline->n_added = n;
    return TD_OK;
}

static td_status describe(td_hf *hf, const spec *s, td_err *err) {
    td_pipeline *p = hf->pipeline;
    td_vocab *v = hf->vocab;
    td_norm_step norm = {.type = TD_NORM_SENTENCEPIECE};
    norm.flags = (s->dummy_prefix ? TD_NORM_DUMMY_PREFIX : 0u) |
                 (s->remove_extra ? TD_NORM_REMOVE_EXTRA : 0u) | (s->escape ? TD_NORM_ESCAPE : 0u) |
                 (s->as_suffix ? TD_NORM_AS_SUFFIX : 0u);
    const size_t n_map = (size_t)(s->charsmap.end - s->charsmap.p);
    if (n_map > 0) TD_TRY(td_hf_copy(hf, (const char *)s->charsmap.p, n_map, &norm.content, err));
    TD_TRY(td_hf_add_norm(hf, norm, err));
    TD_TRY(td_hf_add_decode(hf, (td_decode_step){.type = TD_DECODE_BYTE_FALLBACK}, err));
    TD_TRY(td_hf_add_decode(hf,
                            (td_decode_step){
                                .type = TD_DECODE_REPLACE,
                                .pattern = {TD_SPM_SPACE, TD_SPM_N_SPACE},
                                .content = {" ",          1             }
    },
                            err));
    if ((s->dummy_prefix || s->remove_extra) && !s->as_suffix)
        TD_TRY(td_hf_add_decode(hf, (td_decode_step){.type = TD_DECODE_STRIP_TEXT}, err));
    p->byte_fallback = s->byte_fallback;
    p->fuse_unk = p->single_precision = true;
    p->model_unk = v->unk;
    v->bos = s->bos >= 0 && s->bos < s->n_piece ? s->bos : -1;
    v->eos = s->eos >= 0 && s->eos < s->n_piece ? s->eos : -1;
    v->pad = s->pad >= 0 && s->pad < s->n_piece ? s->pad : -1;
    /* Where tokenizer_config.json does not say: as for the GGUF files made from such models. */
    v->add_bos = v->model == TD_VOCAB_SPM;
    v->add_eos = v->model == TD_VOCAB_UNIGRAM;
    v->add_space_prefix = s->dummy_prefix && !s->as_suffix;
    return TD_OK;
}

td_status td_hf_read_sentencepiece(td_hf *hf, const char *data, size_t n, td_vocab *vocab,
                                   const char *name, td_err *err) {
    const message m = {(const uint8_t *)data, (const uint8_t *)data + n};
    spec s;
    hf->name = name;
    TD_TRY(read_spec(hf, m, &s, err));
    if (s.model_type != 1 && s.model_type != 2)
        return td_fail(err, TD_ERR_UNSUPPORTED,
                       "%s: SentencePiece model type %" PRIu64 ", wanted 1 (Unigram) or 2 (BPE)",
                       name, s.model_type);
    TD_TRY(td_hf_init(hf, vocab, s.model_type == 1 ? TD_VOCAB_UNIGRAM : TD_VOCAB_SPM, name, err));
    TD_TRY(td_hf_set_tokens_with_extra(hf, s.n_piece, err));
    TD_TRY(read_pieces(hf, m, &s, err));
    TD_TRY(add_extra(hf, err));
    return describe(hf, &s, err);
}
