/* run_logprobs.c - the lines of --logprobs. */
#include <math.h>

#include "cli/json_text.h"
#include "cli/run.h"

enum { N_TOP = 10 };

/* The logarithm of sum(exp(logits)), in double. */
static double log_sum_exp(const float *logits, int n) {
    double max = -INFINITY, sum = 0.0;
    for (int i = 0; i < n; i++)
        if ((double)logits[i] > max) max = (double)logits[i];
    if (!isfinite(max)) return max;
    for (int i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    return max + log(sum);
}

/* The ids of the N_TOP largest in falling order, the lower id first among equals; their number. */
static int find_top(const float *logits, int n, int ids[N_TOP]) {
    int n_top = 0;
    for (int i = 0; i < n; i++) {
        if (isnan(logits[i])) continue;
        if (n_top == N_TOP && !(logits[i] > logits[ids[N_TOP - 1]])) continue;
        int at = n_top < N_TOP ? n_top++ : N_TOP - 1;
        for (; at > 0 && logits[i] > logits[ids[at - 1]]; at--) ids[at] = ids[at - 1];
        ids[at] = i;
    }
    return n_top;
}

/* "id": 5, "text": " Paris", "logprob": -0.1 */
static void add_token(const td_engine *engine, int id, double logprob, td_strbuf *line) {
    size_t n;
    const char *text = td_engine_token_text(engine, id, true, &n);
    td_strbuf_addf(line, "\"id\": %d, \"text\": ", id);
    td_json_string(text, n, line);
    td_strbuf_adds(line, ", \"logprob\": ");
    td_json_number(logprob, line);
}

td_status td_run_logprobs_write(td_outfile *file, const td_engine *engine, int i_position,
                                td_token token, const float *logits, td_err *err) {
    td_engine_info info;
    td_engine_get_info(engine, &info);
    const double lse = log_sum_exp(logits, info.n_vocab);
    int ids[N_TOP];
    const int n_top = find_top(logits, info.n_vocab, ids);
    td_strbuf line = {0};
    td_strbuf_addf(&line, "{\"position\": %d, ", i_position);
    add_token(engine, token, (double)logits[token] - lse, &line);
    td_strbuf_adds(&line, ", \"top\": [");
    for (int i = 0; i < n_top; i++) {
        td_strbuf_adds(&line, i ? ", {" : "{");
        add_token(engine, ids[i], (double)logits[ids[i]] - lse, &line);
        td_strbuf_addc(&line, '}');
    }
    td_strbuf_adds(&line, "]}\n");
    td_status status = td_strbuf_check(&line, "the line of --logprobs", err);
    if (status == TD_OK) status = td_outfile_write(file, line.text, line.n, err);
    td_strbuf_clear(&line);
    return status;
}
