/* run_line.c - a line typed at a terminal.
 *
 * libedit reads from standard input and draws on standard error, for prompts are talk.  A line ends
 * with Ctrl-C by the read() under it failing with EINTR (interrupt.h). */
#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/run.h"

enum { MAX_HISTORY = 1000 };

/* Lifetime: the conversation. */
struct td_run_line {
    EditLine *edit;     /* owned */
    History *history;   /* owned */
    char *path;         /* owned; of the history; NULL: there is no place for one */
    const char *prompt; /* borrowed during a read */
    td_strbuf text;     /* the line handed out */
};

static char *get_prompt(EditLine *edit) {
    td_run_line *line = NULL;
    el_get(edit, EL_CLIENTDATA, &line);
    return (char *)(uintptr_t)line->prompt;
}

/* Makes the folders above a file, as far as they are missing; what fails shows at the file. */
static void make_folders(const char *path) {
    char folder[4096];
    if (strlen(path) >= sizeof folder) return;
    strcpy(folder, path);
    for (char *slash = folder + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        (void)mkdir(folder, 0700);
        *slash = '/';
    }
}

static void load_history(td_run_line *line) {
    HistEvent event;
    history(line->history, &event, H_SETSIZE, MAX_HISTORY);
    history(line->history, &event, H_SETUNIQUE, 1);
    td_strbuf path = {0};
    if (td_option_user_path("XDG_STATE_HOME", "/.local/state", "history", &path))
        line->path = td_strbuf_take(&path);
    td_strbuf_clear(&path);
    if (line->path) history(line->history, &event, H_LOAD, line->path);
}

td_run_line *td_run_line_open(void) {
    td_run_line *line = td_calloc(1, sizeof *line);
    if (line) line->edit = el_init("tandem", stdin, stderr, stderr);
    if (line && line->edit) line->history = history_init();
    if (!line || !line->history) {
        td_cmd_say("line editing cannot begin: out of memory, or no usable terminal");
        td_run_line_close(line);
        return NULL;
    }
    load_history(line);
    el_set(line->edit, EL_CLIENTDATA, line);
    el_set(line->edit, EL_PROMPT, get_prompt);
    el_set(line->edit, EL_EDITOR, "emacs");
    el_set(line->edit, EL_HIST, history, line->history);
    el_set(line->edit, EL_SIGNAL, 0);
    el_set(line->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return line;
}

void td_run_line_close(td_run_line *line) {
    if (!line) return;
    if (line->path && line->history) {
        HistEvent event;
        make_folders(line->path);
        /* What one says to a model is nobody else's business. */
        const mode_t mask = umask(077);
        history(line->history, &event, H_SAVE, line->path);
        umask(mask);
    }
    if (line->edit) el_end(line->edit);
    if (line->history) history_end(line->history);
    td_free(line->path);
    td_strbuf_clear(&line->text);
    td_free(line);
}

td_run_line_end td_run_line_read(td_run_line *line, const char *prompt, const char **text) {
    int n = 0;
    line->prompt = prompt;
    td_interrupt_reset();
    td_interrupt_break_reads(true);
    errno = 0;
    const char *typed = el_gets(line->edit, &n);
    td_interrupt_break_reads(false);
    const bool interrupted = td_interrupt_seen();
    td_interrupt_reset();
    *text = NULL;
    if (interrupted) {
        fputs("\n", stderr);
        return TD_RUN_LINE_INTERRUPTED;
    }
    if (!typed || n <= 0) {
        fputs("\n", stderr);
        return TD_RUN_LINE_EOF;
    }
    while (n > 0 && (typed[n - 1] == '\n' || typed[n - 1] == '\r')) n--;
    line->text.n = 0;
    td_strbuf_add(&line->text, typed, (size_t)n);
    if (line->text.failed != TD_OK) return TD_RUN_LINE_EOF;
    *text = line->text.text;
    return TD_RUN_LINE_READ;
}

void td_run_line_remember(td_run_line *line, const char *text) {
    HistEvent event;
    if (text[0]) history(line->history, &event, H_ENTER, text);
}
