/* run_router.c - the file of --router-stats. */
#include <string.h>

#include "cli/json_text.h"
#include "cli/run.h"

static void add_layer(const td_engine *engine, int i_layer, bool *first, td_strbuf *text) {
    int n_expert;
    const uint64_t *counts = td_engine_expert_counts(engine, i_layer, &n_expert);
    if (!counts) return;
    td_strbuf_addf(text, "%s\n  {\"layer\": %d, \"chosen\": [", *first ? "" : ",", i_layer);
    *first = false;
    for (int i = 0; i < n_expert; i++)
        td_strbuf_addf(text, "%s%llu", i ? ", " : "", (unsigned long long)counts[i]);
    td_strbuf_adds(text, "]}");
}

td_status td_run_router_stats_write(td_outfile *file, const td_engine *engine, td_err *err) {
    td_strbuf text = {0};
    td_engine_info info;
    bool first = true;
    td_engine_get_info(engine, &info);
    td_strbuf_adds(&text, "{\"model\": ");
    td_json_string(info.model_name, strlen(info.model_name), &text);
    td_strbuf_adds(&text, ",\n \"layers\": [");
    for (int i = 0; i < info.n_layer; i++) add_layer(engine, i, &first, &text);
    td_strbuf_adds(&text, "\n]}\n");
    td_status status = td_strbuf_check(&text, "the router's figures", err);
    if (status == TD_OK) status = td_outfile_write(file, text.text, text.n, err);
    td_strbuf_clear(&text);
    return status;
}
