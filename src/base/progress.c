/* progress.c - see progress.h. */
#include "base/progress.h"

#include <string.h>

#include "base/clock.h"
#include "base/options.h"

enum { BAR = 30 };

static const double quiet_seconds = 1.0, redraw_seconds = 0.1;

void td_progress_init(td_progress *p, FILE *out, bool is_terminal) {
    const char *term = td_option_env("TERM");
    const bool plain = td_option_env("NO_COLOR") || !term || strcmp(term, "dumb") == 0;
    *p = (td_progress){.out = is_terminal && !plain ? out : NULL};
}

void td_progress_render(const char *stage, uint64_t done, uint64_t total, td_strbuf *line) {
    td_strbuf_addf(line, "%.40s", stage);
    if (total == 0) return;
    const double share = done >= total ? 1.0 : (double)done / (double)total;
    const int n_full = (int)(share * BAR);
    td_strbuf_adds(line, "  [");
    for (int i = 0; i < BAR; i++) td_strbuf_addc(line, i < n_full ? '=' : ' ');
    td_strbuf_addf(line, "] %3d %%", (int)(share * 100.0));
}

void td_progress_update(td_progress *p, const char *stage, uint64_t done, uint64_t total) {
    if (!p->out) return;
    const double now = td_clock_seconds();
    if (p->t_start == 0.0) p->t_start = now;
    if (now - p->t_start < quiet_seconds || now - p->t_drawn < redraw_seconds) return;
    td_strbuf line = {0};
    td_progress_render(stage, done, total, &line);
    if (line.failed == TD_OK) {
        fprintf(p->out, "\r%s\x1b[K", line.text);
        fflush(p->out);
        p->drawn = true;
        p->t_drawn = now;
    }
    td_strbuf_clear(&line);
}

void td_progress_finish(td_progress *p) {
    if (p->drawn) {
        fputs("\r\x1b[K", p->out);
        fflush(p->out);
    }
    *p = (td_progress){.out = p->out};
}
