/* pipeline.h - what a tokenizer.json says besides its vocabulary, as plain data: how text is
 * normalized, split and put together again.
 *
 * The steps are smaller than the file's: format/ takes composite ones apart ("Metaspace" is
 * replace, prefix and split).  Everything lies in the arena of the vocabulary that holds it.  What
 * the steps do is defined by Hugging Face's tokenizers. */
#ifndef TD_TEXT_PIPELINE_H
#define TD_TEXT_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes with their length, NUL-terminated too; zeroed is empty. */
typedef struct td_text {
    const char *text;
    uint32_t n;
} td_text;

/* ---- normalizers: text to text ---- */

typedef enum td_norm_type {
    TD_NORM_NFC,
    TD_NORM_NFD,
    TD_NORM_NFKC,
    TD_NORM_NFKD,
    TD_NORM_LOWERCASE,
    TD_NORM_STRIP,         /* flags: LEFT, RIGHT */
    TD_NORM_STRIP_ACCENTS, /* all marks; flags: NONSPACING: only those */
    TD_NORM_REPLACE,       /* pattern (flags: REGEX) by content */
    TD_NORM_PREPEND,       /* content in front of text that is not empty */
    TD_NORM_CHARSMAP,      /* content: SentencePiece's compiled map, applied by grapheme */
    TD_NORM_BERT_CLEAN,    /* drops controls, all white space becomes a space */
    TD_NORM_BERT_CHINESE,  /* spaces around Chinese characters */
    TD_NORM_NMT,
    TD_NORM_BYTE_LEVEL,    /* bytes become GPT-2's printable alphabet */
    TD_NORM_SENTENCEPIECE, /* content: the compiled map; flags: of SentencePiece's own normalizer */
    TD_NORM_LLAMA_BERT     /* what llama.cpp does before WordPiece: NFD, no accents, lower case */
} td_norm_type;

enum {
    TD_NORM_LEFT = 1,
    TD_NORM_RIGHT = 2,
    TD_NORM_NONSPACING = 1,
    TD_NORM_REGEX = 1,
    TD_NORM_DUMMY_PREFIX = 1, /* SentencePiece: a space in front of the text */
    TD_NORM_REMOVE_EXTRA = 2, /* SentencePiece: no space at the ends, none after another */
    TD_NORM_ESCAPE = 4,       /* SentencePiece: U+2581 for spaces */
    TD_NORM_AS_SUFFIX = 8     /* SentencePiece: the dummy prefix goes behind */
};

typedef struct td_norm_step {
    td_norm_type type;
    unsigned flags;
    td_text pattern, content;
} td_norm_step;

/* ---- pre-tokenizers: text to pieces ---- */

typedef enum td_pre_type {
    TD_PRE_SPLIT,         /* at what `match` finds, by `behavior` */
    TD_PRE_PREFIX,        /* text in front of a piece that does not begin with it */
    TD_PRE_REPLACE_SPACE, /* text for each space */
    TD_PRE_ALPHABET,      /* bytes become GPT-2's printable alphabet */
    TD_PRE_CHUNK          /* pieces of `length` characters */
} td_pre_type;

typedef enum td_pre_match {
    TD_MATCH_REGEX,  /* text: an Oniguruma pattern */
    TD_MATCH_PCRE,   /* text: a PCRE2 pattern, in which \s is exactly White_Space */
    TD_MATCH_STRING, /* text */
    TD_MATCH_NUMERIC,
    TD_MATCH_PUNCTUATION, /* Unicode's and ASCII's */
    TD_MATCH_WHITE_SPACE
} td_pre_match;

typedef enum td_pre_behavior {
    TD_PRE_ISOLATED,
    TD_PRE_REMOVED,
    TD_PRE_MERGED_WITH_PREVIOUS,
    TD_PRE_MERGED_WITH_NEXT,
    TD_PRE_CONTIGUOUS
} td_pre_behavior;

typedef struct td_pre_step {
    td_pre_type type;
    td_pre_match match;
    td_pre_behavior behavior;
    bool invert;     /* SPLIT: what was found and what lies between change places */
    bool first_only; /* PREFIX: only at the start of the text */
    uint32_t length; /* CHUNK; above 0 */
    td_text text;
} td_pre_step;

/* ---- decoders: tokens to text ---- */

typedef enum td_decode_type {
    TD_DECODE_BYTE_LEVEL,
    TD_DECODE_BYTE_FALLBACK, /* "<0x0A>" is a byte */
    TD_DECODE_REPLACE,       /* pattern by content, in each token */
    TD_DECODE_STRIP,      /* up to start times content from the front of each token, stop behind */
    TD_DECODE_STRIP_TEXT, /* up to start times content from the front of the text */
    TD_DECODE_METASPACE,  /* pattern is a space, none in the first token if drop_first */
    TD_DECODE_WORDPIECE,  /* a space between tokens, but before those that begin with pattern */
    TD_DECODE_BPE         /* pattern at a token's end is a space, none at the text's end */
} td_decode_type;

typedef struct td_decode_step {
    td_decode_type type;
    td_text pattern, content;
    uint32_t start, stop;
    bool drop_first;
    bool spelled_only; /* not for added tokens */
    bool cleanup;      /* WORDPIECE: no space before punctuation and contractions */
} td_decode_step;

/* ---- the whole ---- */

/* A token that is cut out of the text before all else. */
typedef struct td_added_token {
    int32_t id;
    bool single_word;    /* only where no word character is beside it */
    bool lstrip, rstrip; /* takes white space on that side with it */
    bool normalized;     /* looked for in normalized text, in its own normalized form */
} td_added_token;

typedef struct td_pipeline {
    const td_norm_step *norms;
    const td_pre_step *pres;
    const td_decode_step *decodes;
    const td_added_token *added;
    const int32_t *prefix, *suffix; /* ids that ADD_SPECIAL puts around a text */
    int n_norm, n_pre, n_decode, n_added, n_prefix, n_suffix;
    int32_t model_unk; /* what the model gives for what it does not know; -1: nothing */
    /* BPE */
    bool byte_level;       /* the vocabulary is in GPT-2's alphabet, pieces are bytes */
    bool raw_bytes;        /* the same, but the vocabulary is bytes as they are */
    bool byte_fallback;    /* also UNIGRAM: unknown characters become their byte tokens */
    bool fuse_unk;         /* unknown neighbours are one unknown token */
    bool rank_by_token;    /* tiktoken: a pair merges if it is a token, lowest id first */
    bool single_precision; /* UNIGRAM: scores are added as floats, as SentencePiece does */
    td_text continuing;    /* also WORDPIECE: in front of what does not begin a word */
    td_text end_of_word;   /* behind what ends one */
    uint32_t max_word;     /* WORDPIECE: longer words (in characters) are unknown */
    bool whole_words;      /* WORDPIECE of GGUF: "\u2581" begins a word, nothing continues one */
} td_pipeline;

#endif
