/* options.h - one table per command drives its flags, environment, config file and --help.
 *
 * A value comes from the command line, else from the environment, else from the config file, else
 * from the table's default; all four are parsed and range-checked by the same code.  Only rows that
 * name an environment variable may also stand in the config file (under their long name): what is
 * said anew at each call, such as a prompt, has neither.
 *
 * This is the only place of the project that reads the environment: td_option_env() for the names
 * of td_option_env_names(), and the TANDEM_* names of the tables. */
#ifndef TD_BASE_OPTIONS_H
#define TD_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"

/* ---- the tables ---- */

typedef enum td_option_type {
    TD_OPTION_BOOL,   /* --flag and --no-flag; if the row has a `value`, also --flag True */
    TD_OPTION_INT,    /* int64 in [min, max] */
    TD_OPTION_FLOAT,  /* double in [min, max]; never NaN */
    TD_OPTION_STRING, /* any text */
    TD_OPTION_CHOICE, /* one of the words in `value`, "stop|shift|error" */
    TD_OPTION_LIST,   /* may be given several times; each adds a text */
    TD_OPTION_PAIR    /* takes two texts: "--dump PATTERN DIR" */
} td_option_type;

typedef struct td_option {
    const char *name; /* the long name without dashes: "ctx-size" */
    char short_name;  /* 0: none */
    td_option_type type;
    double min, max;     /* of INT and FLOAT, inclusive */
    const char *def;     /* as it would be written in the config file; NULL: unset */
    const char *value;   /* what --help calls the value, "N"; the words of a CHOICE */
    const char *env;     /* "TANDEM_CTX_SIZE"; NULL: from the command line only */
    const char *aliases; /* other spellings with their dashes, separated by spaces, or NULL; "!"
                            before one makes it say the opposite: "--foo !-no-foo" */
    const char *help;    /* a phrase */
} td_option;

/* Rows that stand together in --help. */
typedef struct td_option_group {
    const char *title;
    const td_option *rows;
    int n_row;
} td_option_group;

/* Flags that people know from elsewhere and that cannot mean anything here. */
typedef struct td_option_refusal {
    const char *spellings; /* with dashes, separated by spaces */
    const char *reason;    /* a phrase */
} td_option_refusal;

enum { TD_MAX_OPTION_GROUPS = 8 };

typedef struct td_option_spec {
    const char *command;                                 /* "run" */
    const char *arguments;                               /* for the usage line: "MODEL FILE" */
    const char *summary;                                 /* sentences; wrapped by --help */
    const td_option_group *groups[TD_MAX_OPTION_GROUPS]; /* up to the first NULL */
    const td_option_refusal *refusals;
    int n_refusal;
    int min_positional, max_positional;
} td_option_spec;

/* ---- parsing ---- */

typedef const char *td_option_env_fn(void *user, const char *name);

typedef struct td_option_input {
    const td_option_spec *spec;
    int argc; /* of the words after the command's name */
    const char *const *argv;
    td_option_env_fn *env; /* NULL: the environment of the process */
    void *env_user;
    const char *config;               /* text of the config file; NULL: none */
    const char *config_name;          /* its path, for messages */
    const td_option_spec *const *all; /* every command's spec: a key of the config file may belong
                                         to another command than this one */
    int n_all;
} td_option_input;

typedef enum td_option_source {
    TD_OPTION_UNSET, /* the table's default */
    TD_OPTION_FROM_FLAG,
    TD_OPTION_FROM_ENV,
    TD_OPTION_FROM_CONFIG
} td_option_source;

typedef struct td_option_slot td_option_slot; /* private to options.c */

typedef struct td_options {
    const td_option_spec *spec; /* borrowed */
    bool help;                  /* --help was given; nothing else is then checked */
    const char **positional;    /* [n_positional], in the arena */
    int n_positional;
    td_option_slot *slots; /* [rows of all groups], in the arena */
    int n_slot;
    td_arena arena; /* owns all texts */
} td_options;

/* TD_ERR_ARGUMENT for what the user got wrong: the message names the option as it was written, the
 * value found and the values wanted.  On failure nothing needs to be cleared. */
td_status td_options_parse(td_options *out, const td_option_input *in, td_err *err);
void td_options_clear(td_options *o); /* zeroed is fine */

/* The value by long name; asking for a name the tables lack, or as another type, is a bug of ours
 * (asserted). */
td_option_source td_options_source(const td_options *o, const char *name);
bool td_options_bool(const td_options *o, const char *name);
int64_t td_options_int(const td_options *o, const char *name);
double td_options_float(const td_options *o, const char *name);
const char *td_options_string(const td_options *o, const char *name); /* NULL: unset */
int td_options_choice(const td_options *o, const char *name); /* index of the word; -1: unset */
/* *n texts; NULL and 0 if unset. */
const char *const *td_options_list(const td_options *o, const char *name, int *n);
/* Both texts; NULL if unset. */
const char *const *td_options_pair(const td_options *o, const char *name);

/* ---- help ---- */

/* The text of `tandem COMMAND --help`. */
void td_options_help(const td_option_spec *spec, td_strbuf *out);

/* The word of words[n] that `word` is most likely a slip for, or NULL. */
const char *td_option_nearest(const char *word, const char *const *words, int n);

/* ---- environment ---- */

typedef struct td_option_env_name {
    const char *name, *help;
} td_option_env_name;

/* Every name td_option_env() knows. */
const td_option_env_name *td_option_env_names(int *n);

/* The variable's value, NULL if it is unset or empty.  A name that td_option_env_names() lacks is a
 * bug of ours (asserted) and reads as unset. */
const char *td_option_env(const char *name);

/* Appends "$XDG_CONFIG_HOME/tandem/config" (variable "XDG_CONFIG_HOME", fallback "/.config", leaf
 * "config") to out; a variable that is unset or no absolute path means $HOME and the fallback.
 * Nothing is appended, and false returned, if HOME is unset too. */
bool td_option_user_path(const char *variable, const char *fallback, const char *leaf,
                         td_strbuf *out);

/* Reads the config file: *text is td_free()d by the caller and NULL if there is none. */
td_status td_option_read_config(char **text, td_strbuf *path, td_err *err);

#endif
