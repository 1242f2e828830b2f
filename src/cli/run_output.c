/* run_output.c - the answer on its way to standard output.
 *
 * On a terminal the text is hostile: a model may say anything, and control codes in it could move
 * the cursor, change the title or worse.  They are shown as U+FFFD, C1 codes as blanks. */
#include <string.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/run.h"

static const char open_tag[] = "<think>", close_tag[] = "</think>";
static const char dim[] = "\x1b[2m", plain[] = "\x1b[0m";

void td_run_output_init(td_run_output *out) {
    const char *term = td_option_env("TERM");
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    *out = (td_run_output){.terminal = terminal,
                           .color = terminal && !td_option_env("NO_COLOR") && term &&
                                    strcmp(term, "dumb") != 0};
}

static void write_text(td_run_output *out, const char *text, size_t n) {
    td_out_write(text, n);
    if (n > 0) out->last = text[n - 1];
}

static void set_thinking(td_run_output *out, bool on) {
    if (out->color && on != out->thinking) td_out_text(on ? dim : plain);
    out->thinking = on;
}

void td_run_output_begin(td_run_output *out, const char *prompt, size_t n_prompt) {
    while (n_prompt > 0 && strchr(" \n\r\t", prompt[n_prompt - 1])) n_prompt--;
    const size_t n_tag = strlen(open_tag);
    const bool inside =
        n_prompt >= n_tag && memcmp(prompt + n_prompt - n_tag, open_tag, n_tag) == 0;
    out->last = 0;
    out->n_held = 0;
    out->thinking = false;
    if (out->terminal && inside) set_thinking(out, true);
}

/* Writes one byte of terminal text.  C1 codes (U+0080 to U+009F, 0xc2 0x80 to 0x9f in UTF-8) act
 * like escape sequences on some terminals; the text comes in whole characters, so the byte before
 * is what was written last. */
static void write_safe(td_run_output *out, char c) {
    const unsigned char byte = (unsigned char)c;
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
        write_text(out, "\xef\xbf\xbd", 3);
    else if ((unsigned char)out->last == 0xc2 && byte < 0xa0)
        write_text(out, "\xa0", 1);
    else
        write_text(out, &c, 1);
}

/* True if held is the beginning of a tag; *whole if it is all of it. */
static bool begins_tag(const td_run_output *out, const char *tag, bool *whole) {
    *whole = out->n_held == strlen(tag);
    return out->n_held <= strlen(tag) && memcmp(out->held, tag, out->n_held) == 0;
}

static void release_held(td_run_output *out) {
    for (size_t i = 0; i < out->n_held; i++) write_safe(out, out->held[i]);
    out->n_held = 0;
}

/* Takes one byte: holds it while it may belong to a tag, switches colour around a whole one. */
static void take_byte(td_run_output *out, char c) {
    bool whole_open, whole_close;
    /* No tag has a '<' beyond its first byte. */
    if (c == '<') release_held(out);
    if (c != '<' && out->n_held == 0) {
        write_safe(out, c);
        return;
    }
    out->held[out->n_held++] = c;
    const bool opens = begins_tag(out, open_tag, &whole_open);
    const bool closes = begins_tag(out, close_tag, &whole_close);
    if (opens && whole_open) set_thinking(out, true);
    if ((opens && whole_open) || (closes && whole_close) || (!opens && !closes)) release_held(out);
    if (closes && whole_close) set_thinking(out, false);
}

bool td_run_output_text(td_run_output *out, const char *text, size_t n) {
    if (!out->terminal)
        write_text(out, text, n);
    else
        for (size_t i = 0; i < n; i++) take_byte(out, text[i]);
    return td_out_flush();
}

void td_run_output_end(td_run_output *out) {
    release_held(out);
    set_thinking(out, false);
    if (out->last != '\n') write_text(out, "\n", 1);
    (void)td_out_flush();
}
