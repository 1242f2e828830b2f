/* grammar.h - grammars that a generation must obey: GBNF or JSON Schema in, token masks out.
 *
 * A td_grammar is compiled once and immutable.  A td_token_trie is the tokens of one tokenizer as a
 * tree of bytes, immutable too; many matchers share both.  A td_matcher is where one generation
 * stands in its grammar.  It works on bytes, so tokens may split characters. */
#ifndef TD_TEXT_GRAMMAR_H
#define TD_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/tokenizer.h"

typedef struct td_grammar td_grammar;
typedef struct td_token_trie td_token_trie;
typedef struct td_matcher td_matcher;

/* GBNF as llama.cpp reads it; the output must match the rule `root`.  Errors name line and column
 * ("grammar: line 2, column 7: ..."), `name` standing in front.  tok resolves tokens written as
 * <text>; NULL: they are refused.  Left recursion is TD_ERR_UNSUPPORTED naming the rule. */
td_status td_grammar_from_gbnf(td_grammar **out, const char *text, size_t n, const char *name,
                               const td_tokenizer *tok, td_err *err);

/* A JSON Schema, as JSON text; docs/OPTIONS.md, "Constrained output", says what it may hold and
 * how the output is written.  What cannot be enforced is TD_ERR_UNSUPPORTED naming the keyword and
 * where it stands ("#/properties/a"). */
td_status td_grammar_from_schema(td_grammar **out, const char *text, size_t n, const char *name,
                                 td_err *err);
void td_grammar_free(td_grammar *g); /* NULL is fine */

/* Takes the bytes it needs from the tokenizer; borrows it for what ends a turn. */
td_status td_token_trie_create(td_token_trie **out, const td_tokenizer *tok, td_err *err);
void td_token_trie_free(td_token_trie *trie); /* NULL is fine */
int td_token_trie_n_token(const td_token_trie *trie);

/* Borrows both, which must outlive it.  Takes all its memory here; what follows allocates nothing.
 * A trie without tokens of its own is fine for td_matcher_accept_bytes alone: pass NULL. */
td_status td_matcher_create(td_matcher **out, const td_grammar *g, const td_token_trie *trie,
                            td_err *err);
void td_matcher_free(td_matcher *m); /* NULL is fine */

/* Back to the beginning of the grammar. */
td_status td_matcher_reset(td_matcher *m, td_err *err);

/* Bit t % 32 of words[t / 32] is set if token t may come next; words has (n_token + 31) / 32
 * elements and is borrowed until the next call on m.  Tokens that end the turn are set exactly when
 * the text so far is whole.  TD_ERR_LIMIT when the grammar is too ambiguous to follow. */
td_status td_matcher_mask(td_matcher *m, const uint32_t **words, td_err *err);

/* Goes on by one token.  TD_ERR_ARGUMENT, with m unchanged, if the mask does not allow it. */
td_status td_matcher_accept(td_matcher *m, int32_t token, td_err *err);

/* Goes on by bytes; *ok is false, and nothing may follow before a reset, if the grammar does not
 * allow them. */
td_status td_matcher_accept_bytes(td_matcher *m, const char *bytes, size_t n, bool *ok,
                                  td_err *err);

/* The text so far is whole. */
bool td_matcher_can_end(const td_matcher *m);
/* More may follow. */
bool td_matcher_can_continue(const td_matcher *m);

#endif
