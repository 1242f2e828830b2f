/* jinja_int.h - what the files of the Jinja interpreter share.
 *
 * source --lex--> tokens --parse--> tree of td_jnode --eval--> text.
 *
 * Tokens and tree live in the template's arena and are never changed after td_template_create, so
 * that one template can be rendered by several threads.  A rendering owns a td_jeval: an arena, an
 * output buffer and the counters that bound it.  Functions that give a value give NULL when they
 * failed, and the message is then in ev->err; nothing needs to be undone, since a failure ends the
 * rendering. */
#ifndef TD_TEXT_JINJA_INT_H
#define TD_TEXT_JINJA_INT_H

#include "text/jinja.h"
#include "text/value_int.h"

typedef struct td_jeval td_jeval;
typedef struct td_jnode td_jnode;

/* ---- tokens ---- */

typedef enum td_jtoken_type {
    TD_JTOKEN_END,
    TD_JTOKEN_DATA,
    TD_JTOKEN_BLOCK_BEGIN, /* {% */
    TD_JTOKEN_BLOCK_END,
    TD_JTOKEN_PRINT_BEGIN, /* {{ */
    TD_JTOKEN_PRINT_END,
    TD_JTOKEN_NAME,
    TD_JTOKEN_STRING, /* unescaped */
    TD_JTOKEN_INT,
    TD_JTOKEN_FLOAT,
    TD_JTOKEN_OPERATOR /* text is one of + - / // * % ** ~ [ ] ( ) { } == != > >= < <= = . : | , ;
                        */
} td_jtoken_type;

typedef struct td_jtoken {
    td_jtoken_type type;
    int line;
    const char *text; /* borrowed from the arena; not NUL-terminated */
    size_t n;
    union {
        int64_t integer;
        double real;
    } number;
} td_jtoken;

typedef struct td_jtokens {
    td_jtoken *items; /* owned, td_free */
    size_t n, cap;
} td_jtokens;

/* Ends with a TD_JTOKEN_END.  On failure nothing is left in *out. */
td_status td_jinja_lex(td_jtokens *out, td_arena *arena, const char *name, const char *source,
                       size_t n, td_err *err);

/* ---- the tree ---- */

typedef enum td_jkind {
    /* expressions */
    TD_J_CONST,      /* value */
    TD_J_NAME,       /* name */
    TD_J_TUPLE,      /* list */
    TD_J_LIST,       /* list */
    TD_J_DICT,       /* list: key, item, key, item */
    TD_J_UNARY,      /* op is '-' or '+'; a */
    TD_J_BINARY,     /* op of td_jop; a, b */
    TD_J_NOT,        /* a */
    TD_J_AND,        /* a, b */
    TD_J_OR,         /* a, b */
    TD_J_COMPARE,    /* a, then list of TD_J_OPERAND */
    TD_J_OPERAND,    /* op of td_jop; a */
    TD_J_CONCAT,     /* list */
    TD_J_COND,       /* a if b else c, c NULL: undefined */
    TD_J_FILTER,     /* a | name(args); function NULL: unknown, an error when it is reached */
    TD_J_TEST,       /* a is name(args) */
    TD_J_CALL,       /* a(args) */
    TD_J_ATTR,       /* a.name */
    TD_J_ITEM,       /* a[b] */
    TD_J_SLICE,      /* a:b:c, each NULL when left out; only as b of TD_J_ITEM */
    TD_J_NAMESPACED, /* name.attr as the target of a set: name, value is the attribute */
    /* statements */
    TD_J_DATA,       /* value */
    TD_J_PRINT,      /* a */
    TD_J_IF,         /* list of TD_J_BRANCH */
    TD_J_BRANCH,     /* if a (NULL: else), list */
    TD_J_FOR,        /* target a, over b, only if c; body list, else more; op: recursive */
    TD_J_SET,        /* target a, b */
    TD_J_SET_BLOCK,  /* target a, filter b or NULL, list */
    TD_J_MACRO,      /* name, parameters more, defaults args->pos, body list, op: td_jmacro_uses */
    TD_J_CALL_BLOCK, /* call a, macro b */
    TD_J_FILTER_BLOCK, /* filter b over list; its innermost a is NULL: what the block printed */
    TD_J_WITH,         /* targets more, values args->pos, list */
    TD_J_GENERATION,   /* macro b, called at once */
    TD_J_SCOPE,        /* list: {% block %} */
    TD_J_BREAK,
    TD_J_CONTINUE
} td_jkind;

typedef enum td_jop {
    TD_JOP_ADD = 1,
    TD_JOP_SUB,
    TD_JOP_MUL,
    TD_JOP_DIV,
    TD_JOP_FLOORDIV,
    TD_JOP_MOD,
    TD_JOP_POW,
    TD_JOP_EQ,
    TD_JOP_NE,
    TD_JOP_LT,
    TD_JOP_LE,
    TD_JOP_GT,
    TD_JOP_GE,
    TD_JOP_IN,
    TD_JOP_NOT_IN
} td_jop;

/* Which names the body of a macro mentions: they decide what it accepts. */
enum { TD_JUSES_CALLER = 1, TD_JUSES_KWARGS = 2, TD_JUSES_VARARGS = 4 };

typedef struct td_jnodes {
    td_jnode **items;
    size_t n, cap;
} td_jnodes;

typedef struct td_jargs {
    td_jnodes pos;
    td_jnodes kw;              /* values */
    const td_value **kw_names; /* strings, one for each of kw */
    size_t cap_names;
    td_jnode *star, *star2; /* *args and **kwargs; NULL: none */
} td_jargs;

struct td_jnode {
    td_jkind kind;
    int op;
    int line;
    int height;       /* of the tree below: bounds recursion */
    const char *name; /* interned: equal names are one pointer */
    const td_value *value;
    const struct td_jfunction *function;
    td_jnode *a, *b, *c;
    td_jnodes list, more;
    td_jargs *args; /* NULL: none */
};

struct td_template {
    td_arena arena;   /* owns all below */
    const char *name; /* for messages */
    td_jnodes body;
    const char *loop, *caller, *kwargs, *varargs; /* interned */
};

td_status td_jinja_parse(td_template *t, const char *source, size_t n, td_err *err);

/* ---- functions ---- */

enum { TD_JMAX_PARAMS = 6 };

/* A call's arguments, and where the table says so, sorted into the function's parameters. */
typedef struct td_jcall {
    const td_value *const *pos;
    size_t n_pos;
    const td_value *kw;                    /* mapping; NULL: none */
    const td_value *param[TD_JMAX_PARAMS]; /* NULL: not given */
} td_jcall;

typedef const td_value *td_jfn(td_jeval *ev, const td_value *self, const td_jcall *call);

typedef struct td_jfunction {
    const char *name;
    td_jfn *fn;
    int n_min;                          /* parameters that must be given; -1: takes what comes */
    const char *params[TD_JMAX_PARAMS]; /* names, in order */
} td_jfunction;

/* NULL if there is none. */
const td_jfunction *td_jinja_filter(const char *name); /* jinja_filters.c */
const td_jfunction *td_jinja_test(const char *name);   /* jinja_tests.c */
const td_jfunction *td_jinja_global(const char *name); /* jinja_globals.c */
/* A method of self's type; *is_unsafe when the sandbox forbids it. */
const td_jfunction *td_jinja_method(const td_value *self, const char *name, size_t n,
                                    bool *is_unsafe);
/* Tables end with a NULL name. */
extern const td_jfunction td_jinja_str_methods[];  /* jinja_methods.c: cutting and searching */
extern const td_jfunction td_jinja_case_methods[]; /* jinja_str.c: case, padding, classes */
extern const td_jfunction td_jinja_text_filters[]; /* jinja_text.c */
extern const td_jfunction td_jinja_seq_filters[];  /* jinja_seq.c: sorting and regrouping */
extern const td_jfunction td_jinja_pick_filters[]; /* jinja_pick.c: map, select and so on */
const td_jfunction *td_jinja_table_find(const td_jfunction *table, const char *name, size_t n);

/* Sorts the arguments into f's parameters and calls it. */
const td_value *td_jinja_apply(td_jeval *ev, const td_jfunction *f, const td_value *self,
                               td_jcall *call);

/* ---- a rendering ---- */

typedef struct td_jvar {
    const char *name; /* interned */
    const td_value *value;
} td_jvar;

typedef struct td_jscope {
    struct td_jscope *outer; /* where the block stands in the template, not where it was called */
    td_jvar *vars;
    size_t n, cap;
} td_jscope;

struct td_jeval {
    const td_template *t;
    const td_value *vars; /* mapping */
    td_arena arena;       /* all values made while rendering */
    td_strbuf out;        /* the text so far, and on top of it strings being built */
    td_jscope *scope;
    const td_value *block_text; /* what the innermost filter of a block takes */
    size_t n_step, max_step;
    size_t n_byte, max_byte; /* handed out by the arena */
    size_t n_call, max_call; /* macros, callers and recursive loops in each other */
    size_t n_nest, max_nest; /* depth of evaluation: bounds the C stack */
    int line;
    td_status status;
    td_err *err;
};

typedef struct td_jmacro {
    const td_jnode *node;
    td_jscope *outer;
} td_jmacro;

/* One running for loop.  Items are drawn as they are asked for, since the condition of the loop may
 * depend on what the body did before. */
typedef struct td_jloop {
    const td_jnode *node;
    td_jscope *outer;
    td_jscope *test_scope;    /* NULL: no condition */
    const td_value *sequence; /* what is drawn from */
    size_t i_next, n;
    td_value *ahead; /* NULL, or a list of the items left, when loop.length drew them all */
    size_t i_ahead;
    const td_value *before, *current, *after; /* NULL: none, or not drawn yet */
    const td_value *changed;                  /* tuple of the last arguments of loop.changed */
    int64_t index0;
    int64_t length; /* -1: not known yet */
    int64_t depth0;
} td_jloop;

typedef struct td_jcycler {
    const td_value *items; /* tuple; of a joiner: the separator */
    size_t i;
} td_jcycler;

/* Fails with "name, line n: message"; always NULL. */
const td_value *td_jinja_fail(td_jeval *ev, td_status code, const char *fmt, ...) TD_PRINTF(3, 4);
/* Counts n steps of work; false when there were too many. */
bool td_jinja_charge(td_jeval *ev, size_t n);
/* Memory that counts against the rendering's budget; NULL: failed. */
void *td_jinja_alloc(td_jeval *ev, size_t bytes);

const td_value *td_jinja_int(td_jeval *ev, int64_t i);
const td_value *td_jinja_float(td_jeval *ev, double f);
const td_value *td_jinja_string(td_jeval *ev, const char *text, size_t n);
td_value *td_jinja_list(td_jeval *ev, td_value_kind kind, size_t n_want);
td_value *td_jinja_map(td_jeval *ev);
bool td_jinja_push(td_jeval *ev, td_value *list, const td_value *item); /* a NULL item: false */
bool td_jinja_put(td_jeval *ev, td_value *map, const td_value *key, const td_value *item);
/* An undefined: a missing variable (of NULL) or attribute `name` of `of`; or just a hint. */
const td_value *td_jinja_undefined(td_jeval *ev, const td_value *of, const char *name);
const td_value *td_jinja_undefined_hint(td_jeval *ev, const char *hint);
const td_value *td_jinja_callable(td_jeval *ev, td_value_kind kind, const void *data,
                                  const td_value *self);

/* Strings are built at the end of ev->out: remember ev->out.n, append, then take off what came
 * after it. */
const td_value *td_jinja_take(td_jeval *ev, size_t mark);

/* Fails for an undefined, saying what was undefined. */
/* What a method or slice of `from` gave is marked safe if `from` is: texts, and those in a list. */
const td_value *td_jinja_like(td_jeval *ev, const td_value *v, const td_value *from);

const td_value *td_jinja_fail_undefined(td_jeval *ev, const td_value *v);

/* jinja_eval.c, jinja_exec.c, jinja_loop.c and jinja_call.c */
const td_value *td_jinja_eval(td_jeval *ev, const td_jnode *node);
bool td_jinja_enter(td_jeval *ev, const td_jnode *node); /* counts; leave with n_nest-- */
/* How a body ended. */
typedef enum td_jflow { TD_JFLOW_NEXT, TD_JFLOW_BREAK, TD_JFLOW_CONTINUE, TD_JFLOW_FAIL } td_jflow;
td_jflow td_jinja_exec(td_jeval *ev, const td_jnodes *body);
bool td_jinja_assign(td_jeval *ev, const td_jnode *target, const td_value *v);
td_jscope *td_jinja_scope(td_jeval *ev, td_jscope *outer);
bool td_jinja_set_var(td_jeval *ev, td_jscope *scope, const char *name, const td_value *v);
const td_value *td_jinja_call_value(td_jeval *ev, const td_value *f, td_jcall *call);
const td_value *td_jinja_call_macro(td_jeval *ev, const td_jmacro *m, const td_jcall *call);
bool td_jinja_collect_args(td_jeval *ev, const td_jargs *args, td_jcall *call);
/* Writes the iterations to ev->out. */
bool td_jinja_run_loop(td_jeval *ev, const td_jnode *node, td_jscope *outer,
                       const td_value *sequence, int64_t depth0);
const td_value *td_jinja_loop_attr(td_jeval *ev, const td_value *loop, const char *name, size_t n);
const td_value *td_jinja_call_loop(td_jeval *ev, td_jloop *loop, const td_jcall *call);

/* jinja_ops.c: operators; -1 where they failed */
const td_value *td_jinja_binary(td_jeval *ev, int op, const td_value *a, const td_value *b);
int td_jinja_compare(td_jeval *ev, int op, const td_value *a, const td_value *b);
int td_jinja_equal(td_jeval *ev, const td_value *a, const td_value *b);
bool td_jinja_truth(const td_value *v);
bool td_jinja_is_number(const td_value *v);
bool td_jinja_as_int(const td_value *v, int64_t *i); /* ints and bools */
double td_jinja_as_float(const td_value *v);         /* of a number */

/* jinja_access.c */
const td_value *td_jinja_attr(td_jeval *ev, const td_value *v, const char *name, size_t n);
const td_value *td_jinja_item(td_jeval *ev, const td_value *v, const td_value *key);
const td_value *td_jinja_slice(td_jeval *ev, const td_value *v, const td_value *const bounds[3]);
/* As td_jinja_attr without looking at a mapping's items; NULL with ev->status TD_OK: has none. */
const td_value *td_jinja_own_attr(td_jeval *ev, const td_value *v, const char *name, size_t n);
/* "a.0.b" applied to v, as the filters' attribute= does.  `otherwise` (NULL or none: nothing)
 * stands in wherever a part of the path is not there. */
const td_value *td_jinja_path(td_jeval *ev, const td_value *v, const td_value *path,
                              const td_value *otherwise);
/* What a for loop over v would see: a list or range, never an iterator.  NULL: not iterable. */
const td_value *td_jinja_iterate(td_jeval *ev, const td_value *v);
/* As td_jinja_iterate, for one that may stop early: items before a failure are there, and ->broken
 * says what comes then. */
const td_value *td_jinja_draw(td_jeval *ev, const td_value *v);
/* A filter that is a generator in Python: what fails in `fill` fails for the one who draws that
 * far.
 */
typedef bool td_jfill(td_jeval *ev, const td_value *v, const td_jcall *call, td_value *list);
const td_value *td_jinja_generate(td_jeval *ev, const td_value *v, const td_jcall *call,
                                  td_jfill *fill);
bool td_jinja_is_iterable(const td_value *v);
int64_t td_jinja_length(const td_value *v); /* len(); -1: has none */
/* Item i of what td_jinja_iterate gave. */
const td_value *td_jinja_nth(td_jeval *ev, const td_value *list, size_t i);
/* The items of a mapping as a list of `kind`: KEYS, VALUES or ITEMS. */
td_value *td_jinja_view(td_jeval *ev, const td_value *map, td_value_kind kind);

/* jinja_format.c: "..." % args, "...".format(), and one value by a format specification */
const td_value *td_jinja_percent(td_jeval *ev, const td_value *format, const td_value *args);
const td_value *td_jinja_format(td_jeval *ev, const td_value *format, const td_jcall *call);

/* Parameters of functions: fail when the value has the wrong type. */
bool td_jinja_param_int(td_jeval *ev, const td_jcall *call, int i, int64_t *out);
bool td_jinja_param_text(td_jeval *ev, const td_jcall *call, int i, const char **text, size_t *n);
bool td_jinja_param_given(const td_jcall *call, int i); /* and not none */
bool td_jinja_param_bool(const td_jcall *call, int i, bool otherwise);
/* int(text, base) and float(text), as Python reads them; false: not a number. */
bool td_jinja_parse_int(const char *s, size_t n, int base, int64_t *out, bool *too_large);
bool td_jinja_parse_float(const char *s, size_t n, double *out);
/* Copies v's text converted. */
const td_value *td_jinja_convert(td_jeval *ev, const td_value *v, int td_pystr_case_value);
/* The end of the line from `at` on: *next is behind its newline, of any kind. */
size_t td_jinja_line_end(const char *s, size_t n, size_t at, size_t *next);
/* v as text: itself when a string, else str(v). */
const td_value *td_jinja_to_string(td_jeval *ev, const td_value *v);
/* With & < > ' " replaced, as a TD_KIND_MARKUP. */
const td_value *td_jinja_escape(td_jeval *ev, const td_value *v);
const td_value *td_jinja_mark(td_jeval *ev, const td_value *v, td_value_kind kind);
/* Sorts items by keys, two lists side by side; stable.  A new list; NULL: failed. */
td_value *td_jinja_sort(td_jeval *ev, const td_value *items, const td_value *keys, bool reverse);

#endif
