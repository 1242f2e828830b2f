/* grammar_int.h - the inside of grammars, for grammar*.c alone.
 *
 *   grammar_gbnf.c     GBNF text      -> nodes
 *   grammar_schema*.c  JSON Schema    -> nodes
 *   grammar_node.c     making nodes
 *   grammar_check.c    nodes: what can be empty, what can never match, left recursion
 *   grammar_class.c    sets of characters as automata over UTF-8 bytes
 *   grammar_compile.c  nodes          -> positions (td_grammar)
 *   grammar_trie.c     the tokens as a tree of bytes
 *   grammar_local.c    matching inside one rule: sets of positions, made deterministic as needed
 *   grammar_match.c    matching across rules: stacks, and sets of (set of positions, stack)
 *   grammar_mask.c     which tokens may come next */
#ifndef TD_TEXT_GRAMMAR_INT_H
#define TD_TEXT_GRAMMAR_INT_H

#include "base/arena.h"
#include "text/grammar.h"

#define TD_GRAMMAR_INF UINT32_MAX /* as the most of a repetition: no limit */

enum {
    TD_GRAMMAR_MAX_NODES = 400000, /* of all rules together */
    TD_GRAMMAR_MAX_RULES = 50000,
    TD_GRAMMAR_MAX_DEPTH = 400, /* of nodes in nodes */
    TD_GRAMMAR_MAX_COUNT = INT32_MAX
};

/* ---- nodes (grammar_node.c) ---- */

typedef struct td_char_range {
    uint32_t lo, hi; /* code points, both included */
} td_char_range;

typedef enum td_gnode_kind {
    TD_GNODE_EMPTY,  /* matches "" */
    TD_GNODE_NEVER,  /* matches nothing */
    TD_GNODE_TEXT,   /* these bytes */
    TD_GNODE_CHARS,  /* one character of the ranges, which are sorted and apart */
    TD_GNODE_SEQ,    /* the children, one after the other */
    TD_GNODE_ALT,    /* any of the children */
    TD_GNODE_REPEAT, /* children[0], min to max times */
    TD_GNODE_RULE,   /* the rule of that number */
    TD_GNODE_TOKEN   /* one whole token: of that number, or any but that */
} td_gnode_kind;

typedef struct td_gnode {
    td_gnode_kind kind;
    bool negated;   /* TOKEN */
    bool nullable;  /* filled in by td_gcheck_run */
    uint16_t depth; /* of the tree below, itself included */
    uint32_t n;     /* bytes, ranges or children */
    uint32_t min, max;
    uint32_t number; /* of the rule or token */
    union {
        const char *text;
        const td_char_range *ranges;
        struct td_gnode **children;
    } u;
} td_gnode;

typedef struct td_grule {
    const char *name;   /* for messages */
    td_gnode *node;     /* NULL: not defined yet */
    int line, column;   /* of the first mention; 0: made by us */
    bool nullable;      /* these four by td_gcheck_run */
    bool productive;    /* matches some text */
    bool inlined;       /* small: takes the place of its mentions */
    uint32_t n_inlined; /* nodes then */
} td_grule;

/* Where a front end collects its rules.  Lifetime: compilation.  The first failure is kept and
 * makes every later constructor give NULL, so that they nest without checks. */
typedef struct td_gbuilder {
    td_arena arena;
    td_grule *rules; /* owned */
    size_t n_rule, cap_rule;
    size_t n_node;
    td_status failed;
    const char *name; /* for messages: "grammar" */
} td_gbuilder;

typedef struct td_glist { /* grows in the builder's arena */
    td_gnode **items;
    size_t n, cap;
} td_glist;

void td_gbuilder_init(td_gbuilder *b, const char *name);
void td_gbuilder_clear(td_gbuilder *b);
/* The failure as a sentence; TD_OK if there was none. */
td_status td_gbuilder_check(const td_gbuilder *b, td_err *err);
/* UINT32_MAX on failure. name is copied. */
uint32_t td_gbuilder_add_rule(td_gbuilder *b, const char *name, size_t n_name);

void td_glist_add(td_gbuilder *b, td_glist *list, td_gnode *node);
td_gnode *td_gnode_empty(td_gbuilder *b);
td_gnode *td_gnode_never(td_gbuilder *b);
td_gnode *td_gnode_text(td_gbuilder *b, const char *text, size_t n);
td_gnode *td_gnode_string(td_gbuilder *b, const char *text);
/* The ranges in any order, overlapping or not; surrogates are left out, they are no characters. */
td_gnode *td_gnode_chars(td_gbuilder *b, const td_char_range *ranges, size_t n, bool negated);
td_gnode *td_gnode_seq(td_gbuilder *b, const td_glist *list);
td_gnode *td_gnode_alt(td_gbuilder *b, const td_glist *list);
td_gnode *td_gnode_seq2(td_gbuilder *b, td_gnode *first, td_gnode *second);
td_gnode *td_gnode_seq3(td_gbuilder *b, td_gnode *first, td_gnode *second, td_gnode *third);
td_gnode *td_gnode_alt2(td_gbuilder *b, td_gnode *first, td_gnode *second);
td_gnode *td_gnode_repeat(td_gbuilder *b, td_gnode *child, uint32_t min, uint32_t max);
td_gnode *td_gnode_rule(td_gbuilder *b, uint32_t rule);
td_gnode *td_gnode_token(td_gbuilder *b, uint32_t token, bool negated);

/* Sorts and joins ranges in place, dropping surrogates and what is above 0x10FFFF; room for 2 more
 * is needed.  Returns how many are left. */
size_t td_char_ranges_normalize(td_char_range *r, size_t n);
/* The complement of normalized ranges; out has room for n + 2. */
size_t td_char_ranges_negate(const td_char_range *r, size_t n, td_char_range *out);

/* ---- checks (grammar_check.c) ---- */

/* Fills in what is nullable, productive and inlined, takes out what can never match, and refuses
 * left recursion, and a root that matches nothing. */
td_status td_gcheck_run(td_gbuilder *b, uint32_t root, td_err *err);

/* ---- character classes (grammar_class.c) ---- */

/* Entries of a class's table: what a byte leads to. */
enum { TD_CLASS_DEAD = 0, TD_CLASS_DONE = 0xFFFF }; /* between them: a row, counted from 1 */

/* All classes of a grammar; rows of 256 entries.  A class is the number of its first row. */
typedef struct td_gclasses {
    uint16_t (*rows)[256]; /* owned */
    size_t n_row, cap_row;
} td_gclasses;

/* Adds the automaton of normalized ranges; *row is where it begins. */
td_status td_gclasses_add(td_gclasses *c, const td_char_range *ranges, size_t n, uint32_t *row,
                          td_err *err);

/* "Plain" characters: from U+0020 on, but not U+0022, U+005C and U+007F.  What strings and free
 * text are made of; states that take any number of them share their masks. */
bool td_char_is_plain(uint32_t c);
bool td_char_ranges_hold_plain(const td_char_range *ranges, size_t n);
/* Letters a to z, most of what a class such as [a-zA-Z0-9] takes, share walks likewise. */
bool td_char_ranges_hold_lower(const td_char_range *ranges, size_t n);

/* ---- the compiled grammar (grammar_compile.c) ---- */

typedef enum td_gpos_kind {
    TD_GPOS_TEXT,   /* text[a .. a + b), then next */
    TD_GPOS_CLASS,  /* a character of the class that begins at row a, then next */
    TD_GPOS_SPLIT,  /* next or a, without a byte */
    TD_GPOS_CALL,   /* rule a, then next */
    TD_GPOS_ENTER,  /* begins counted loop a */
    TD_GPOS_LOOP,   /* ends one turn of counted loop a */
    TD_GPOS_TOKEN,  /* token a (b: any but it), then next */
    TD_GPOS_ACCEPT, /* the end of the rule */
} td_gpos_kind;

typedef struct td_gpos {
    uint8_t kind;  /* td_gpos_kind */
    uint8_t wide;  /* CLASS: holds all plain characters and comes again after each; 2: counted */
    uint8_t lower; /* the same for the letters a to z */
    uint32_t a, b; /* see the kinds */
    uint32_t next;
    uint32_t loop; /* the counted loop it is in; UINT32_MAX: none */
} td_gpos;

/* x{min,max}: the turns are counted while matching, so any count is as small as any other. */
typedef struct td_gloop {
    uint32_t min, max;
    uint32_t start, exit; /* positions */
} td_gloop;

struct td_grammar {
    td_gpos *pos; /* owned */
    size_t n_pos, cap_pos;
    td_gloop *loops; /* owned */
    size_t n_loop, cap_loop;
    uint32_t *starts; /* owned; first position of each rule */
    size_t n_rule, cap_rule;
    char *text; /* owned; bytes of the TEXT positions */
    size_t n_text, cap_text;
    td_gclasses classes;
    uint32_t root;
    bool root_nullable;
    bool has_token;
    uint32_t max_token;      /* the greatest token number written; for has_token */
    uint8_t byte_class[256]; /* bytes that no position tells apart have one class */
    uint8_t class_byte[256]; /* one byte of each class */
    int n_class;
    td_gnode **extra; /* while compiling: the bodies of rules added for loops in loops; owned */
    size_t n_extra, cap_extra;
};

td_status td_grammar_build(td_grammar **out, td_gbuilder *b, uint32_t root, td_err *err);

/* ---- the tokens (grammar_trie.c) ---- */

enum { TD_TRIE_NOT_PLAIN = 255, TD_TRIE_MAX_PLAIN = 64 };

/* Nodes in preorder; one more at the end.  Tokens in the order of their bytes: those that end at
 * node i are order[nodes[i].token .. nodes[i + 1].token), those below it and there
 * order[nodes[i].token .. nodes[nodes[i].next].token). */
typedef struct td_trie_node {
    uint32_t next; /* the first node that is not below this one */
    uint32_t token;
    uint8_t byte;
    uint8_t depth; /* bytes before this one */
    uint8_t below; /* characters that follow this node at most, if all are plain; else NOT_PLAIN */
    uint8_t lower; /* letters that follow this node at most, if all are a to z; else NOT_PLAIN */
    uint8_t whole; /* characters of the tokens here and below at most, if all of all of them are
                      plain; else NOT_PLAIN */
} td_trie_node;

struct td_token_trie {
    const td_tokenizer *tok; /* borrowed */
    int n_token;
    td_trie_node *nodes; /* owned; [n_node + 1] */
    size_t n_node;
    int32_t *order; /* owned */
    size_t n_order;
    size_t longest;        /* bytes of the longest token, at most 255: longer ones are left out */
    size_t n_word;         /* of a mask */
    uint32_t *plain_masks; /* owned; [TD_TRIE_MAX_PLAIN + 1][n_word]: whole tokens of at most that
                              many characters, all plain; the last: of any number */
    uint32_t *end_mask;    /* owned; [n_word] */
    uint32_t *text_mask;   /* owned; [n_word]: tokens that have text and end nothing */
};

/* ---- matching (grammar_local.c, grammar_match.c) ---- */

/* A place in a rule: position, how far into its bytes, and the turns of its loop that are done. */
typedef struct td_gitem {
    uint32_t pos, sub, count;
} td_gitem;

typedef struct td_gcall {
    uint32_t rule, ret; /* ret: the local state to go on with */
} td_gcall;

/* A set of places inside one rule.  0 is the empty one. */
typedef struct td_glocal {
    uint32_t items_at, n_item; /* in m->items, sorted */
    uint32_t calls_at, n_call; /* in m->calls; n_call UINT32_MAX: not looked for yet */
    uint32_t canon;            /* the same for masks; UINT32_MAX: not looked for yet */
    uint32_t chain;            /* of its hash */
    uint8_t wide;              /* plain characters that it takes in a row, at most TD_GM_WIDE */
    uint8_t lower;             /* letters a to z likewise */
    bool accepts, has_bytes, has_tokens, has_calls;
} td_glocal;

/* A stack of local states to return to.  0 is the empty one. */
typedef struct td_gstack {
    uint32_t ret, parent, chain, canon;
} td_gstack;

typedef struct td_gthread {
    uint32_t local, stack;
} td_gthread;

/* Where a match may stand: a set of threads.  0 is the empty one, which cannot end. */
typedef struct td_gconfig {
    uint32_t threads_at, n_thread; /* in m->threads, sorted */
    uint32_t canon, chain;
    int32_t slot; /* of its mask; -1: none */
    uint8_t wide, lower;
    bool can_end, has_tokens;
} td_gconfig;

enum {
    TD_GM_LOCALS = 8192, /* of each pool */
    TD_GM_ITEMS = 131072,
    TD_GM_CALLS = 32768,
    TD_GM_STACKS = 32768,
    TD_GM_CONFIGS = 8192,
    TD_GM_THREADS = 131072,
    TD_GM_SET = 4096,      /* items of a set, threads of a configuration */
    TD_GM_HASH = 16384,    /* heads of each hash table */
    TD_GM_MASKS = 64,      /* masks kept */
    TD_GM_STEPS = 20000000 /* of one call */
};
#define TD_GM_UNKNOWN UINT32_MAX
#define TD_GM_WIDE    254 /* as td_glocal.wide: any number */

typedef enum td_gtrouble {
    TD_GTROUBLE_NONE,
    TD_GTROUBLE_FULL, /* a pool ran out: forget and try again */
    TD_GTROUBLE_LIMIT /* a set or the steps went out of bounds */
} td_gtrouble;

/* A set of places under construction. */
typedef struct td_gset {
    td_gitem items[TD_GM_SET];
    bool fresh[TD_GM_SET];         /* this turn of the loop has taken no byte yet */
    size_t n, n_done;              /* what follows from the first n_done is there already */
    uint32_t slots[4 * TD_GM_SET]; /* hash: number + 1 of an item; used when n is large */
} td_gset;

/* Lifetime: sequence.  Written by one thread.  All pools are taken at creation; when one is full
 * all but the present configuration is forgotten. */
struct td_matcher {
    const td_grammar *g;       /* borrowed */
    const td_token_trie *trie; /* borrowed; NULL: none */
    uint32_t config;           /* where the match stands */
    bool ended;                /* an end token was taken */
    td_gtrouble trouble;       /* of the call under way */
    uint32_t initial;          /* where it begins; UNKNOWN: not made yet */
    uint64_t steps;            /* left in this call */
    td_glocal *locals;
    td_gitem *items;
    td_gcall *calls;
    td_gstack *stacks;
    td_gconfig *configs;
    td_gthread *threads;
    uint32_t *local_steps;  /* [TD_GM_LOCALS][n_class]: where a byte leads */
    uint32_t *config_steps; /* [TD_GM_CONFIGS][n_class] */
    uint32_t *local_heads, *stack_heads, *config_heads; /* [TD_GM_HASH] */
    uint32_t *starts; /* [n_rule]: local state at the start of each rule; UNKNOWN */
    size_t n_local, n_items, n_calls, n_stack, n_config, n_threads;
    td_gset *set;
    td_gthread *work;     /* [TD_GM_SET]: threads under construction */
    uint32_t *work_slots; /* [4 * TD_GM_SET]: as those of a td_gset */
    size_t n_work;
    bool work_can_end;
    td_gitem *saved_items;  /* [TD_GM_ITEMS]: what outlives a forgetting */
    uint32_t *saved_locals; /* [TD_GM_LOCALS]: new numbers; 0: gone */
    uint32_t *saved_stacks; /* [TD_GM_STACKS] */
    td_gstack *saved_stack_nodes;
    uint32_t *saved_counts;           /* [TD_GM_LOCALS]: items of each */
    uint32_t *masks;                  /* [TD_GM_MASKS][n_word] */
    uint32_t mask_owner[TD_GM_MASKS]; /* configurations; UNKNOWN: none */
    int next_mask;
};

/* ---- grammar_local.c ---- */

/* A set is begun, added to and finished.  Whatever fails sets m->trouble. */
void td_glocal_begin(td_matcher *m);
/* Adds a place and what can be reached from it without a byte. */
void td_glocal_add(td_matcher *m, td_gitem item, bool fresh);
/* The set begun, as a state; without_accept: the end of the rule is left out. */
uint32_t td_glocal_finish(td_matcher *m, bool without_accept);
/* Where a byte leads, or a token taken whole. */
uint32_t td_glocal_step(td_matcher *m, uint32_t local, int byte_class);
uint32_t td_glocal_token(td_matcher *m, uint32_t local, int32_t token);
uint32_t td_glocal_start(td_matcher *m, uint32_t rule);
uint32_t td_glocal_canon(td_matcher *m, uint32_t local);
/* Fills in the calls of a state. */
void td_glocal_find_calls(td_matcher *m, uint32_t local);

static inline uint32_t td_ghash(uint32_t h, uint32_t x) {
    h = (h ^ x) * 0x9E3779B1u;
    return h ^ (h >> 15);
}

/* ---- grammar_match.c ---- */

/* The configuration after a byte of the class; UNKNOWN with m->trouble set on failure. */
uint32_t td_gconfig_compute(td_matcher *m, uint32_t config, int byte_class);
/* The same for masks: counts that no token can bring to an end are made equal. */
uint32_t td_gconfig_canon(td_matcher *m, uint32_t config);
/* Where a token taken whole leads, together with where its bytes lead. */
uint32_t td_gconfig_token(td_matcher *m, uint32_t config, int32_t token, uint32_t by_bytes);
/* Where the grammar begins. */
uint32_t td_gconfig_initial(td_matcher *m);
/* Forgets everything but m->config. */
void td_matcher_forget(td_matcher *m);

static inline uint32_t td_gconfig_step(td_matcher *m, uint32_t config, uint8_t byte) {
    const int c = m->g->byte_class[byte];
    const uint32_t to = m->config_steps[(size_t)config * (size_t)m->g->n_class + (size_t)c];
    return to != TD_GM_UNKNOWN ? to : td_gconfig_compute(m, config, c);
}

#endif
