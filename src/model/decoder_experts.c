/* decoder_experts.c - the modules of a layer with experts. */
#include <stdio.h>
#include <string.h>

#include "model/decoder_int.h"

static td_status build_router(const td_decoder_builder *s, td_module *moe, td_err *err) {
    const td_decoder_names *names = &s->spec->names;
    const td_config *c = s->c;
    const int n_bank = s->b.is_hf && s->spec->n_bank ? s->spec->n_bank : 1;
    td_router *r = &s->layer->router;
    const td_linear_spec gate = {
        .name = {td_either(names->router, "gate"), "ffn_gate_inp"},
        .n = c->router.n_expert,
        .k = c->n_embd,
        .bias = s->spec->router_bias ? TD_BIAS_REQUIRED : TD_BIAS_NONE,
        .transposed = s->spec->router_transposed,
        .plain = true,
        .class_name = s->spec->classes.router
    };
    r->config = c->router;
    TD_TRY(td_build_linear(&s->b, moe, &gate, &r->gate, err));
    if (!s->spec->correction) return TD_OK;
    const td_part_name name = {td_either(names->correction, "gate.e_score_correction_bias"),
                               "exp_probs_b"};
    const char *suffix = s->b.is_hf ? "" : "bias";
    const td_want want = {
        .part = name, .suffix = suffix, .ne = {c->router.n_expert, n_bank},
                .parent = moe
    };
    const td_tensor *t;
    TD_TRY(td_build_get(&s->b, &want, &t, err));
    TD_TRY(td_build_own(&s->b, moe->last_child, t, err)); /* the router's */
    return td_build_floats(&s->b, t, c->router.n_expert * n_bank, &r->correction, err);
}

/* Gate and up are tensors of their own, or the two halves of one: gate's rows first, or rows in
 * turns. */
static td_status gate_and_up(const td_decoder_builder *s, td_module *moe, td_expert_spec part,
                             td_err *err) {
    const td_decoder_names *names = &s->spec->names;
    td_experts *e = &s->layer->experts;
    part.each_hf = td_either(names->expert_gate, "gate_proj");
    part.each_gguf = "ffn_gate";
    part.all = (td_part_name){NULL, "ffn_gate_exps"};
    if (td_build_has_experts(&s->b, moe, &part)) {
        TD_TRY(td_build_experts(&s->b, moe, &part, &e->gate, err));
        part.each_hf = td_either(names->expert_up, "up_proj");
        part.each_gguf = "ffn_up";
        part.all = (td_part_name){NULL, "ffn_up_exps"};
        return td_build_experts(&s->b, moe, &part, &e->up, err);
    }
    const bool turns = s->b.is_hf && s->spec->experts_interleaved;
    part.all =
        (td_part_name){td_either(names->all_gate_up, "experts.gate_up_proj"), "ffn_gate_up_exps"};
    part.n_whole = 2 * part.n;
    part.map = turns ? (td_row_map){.first = 0, .group = 1, .stride = 2}
                     : (td_row_map){.first = 0, .group = part.n, .stride = part.n};
    TD_TRY(td_build_experts(&s->b, moe, &part, &e->gate, err));
    part.map.first = turns ? 1 : part.n;
    return td_build_experts(&s->b, moe, &part, &e->up, err);
}

static td_status build_experts(const td_decoder_builder *s, td_module *moe, td_err *err) {
    const td_decoder_names *names = &s->spec->names;
    const td_config *c = s->c;
    td_experts *e = &s->layer->experts;
    *e = (td_experts){.n_expert = c->router.n_expert,
                      .n_used = c->router.n_used,
                      .n_embd = c->n_embd,
                      .n_ff = c->n_ff_expert,
                      .activation = c->activation,
                      .bounds = c->expert_bounds,
                      .weigh_input = s->spec->weigh_input};
    td_expert_spec part = {.experts = td_either(names->experts, "experts"),
                           .n_expert = e->n_expert,
                           .n = e->n_ff,
                           .k = e->n_embd,
                           .n_other = s->spec->n_bank ? e->n_expert * (s->spec->n_bank - 1) : 0,
                           .bias = s->spec->expert_bias,
                           .transposed = s->spec->experts_transposed};
    TD_TRY(td_build_module(&s->b, moe, part.experts, "torch.nn.ModuleList", &part.node, err));
    part.node->experts = e;
    TD_TRY(gate_and_up(s, moe, part, err));
    part.each_hf = td_either(names->expert_down, "down_proj");
    part.each_gguf = "ffn_down";
    part.all = (td_part_name){td_either(names->all_down, "experts.down_proj"), "ffn_down_exps"};
    part.n = e->n_embd;
    part.k = e->n_ff;
    return td_build_experts(&s->b, moe, &part, &e->down, err);
}

static td_status build_shared(const td_decoder_builder *s, td_module *moe, td_err *err) {
    const td_decoder_names *names = &s->spec->names;
    td_module *node;
    if (s->c->n_ff_shared == 0) return TD_OK;
    TD_TRY(td_build_module(&s->b, s->spec->shared_beside ? s->node : moe,
                           td_either(names->shared, "shared_experts"), s->spec->classes.mlp, &node,
                           err));
    TD_TRY(td_decoder_mlp(s, node, s->c->n_ff_shared, true, err));
    if (!names->shared_gate) return TD_OK;
    const td_linear_spec gate = {
        .name = {names->shared_gate, "ffn_gate_inp_shexp"},
        .n = 1,
        .k = s->c->n_embd,
        .plain = true
    };
    return td_build_linear(&s->b, moe, &gate, &s->layer->shared_gate, err);
}

td_status td_decoder_experts(const td_decoder_builder *s, td_err *err) {
    td_module *moe;
    const char *name = td_either(s->spec->names.moe, td_either(s->spec->names.mlp, "mlp"));
    const char *class_name = td_either(s->spec->classes.moe, s->spec->classes.mlp);
    TD_TRY(td_build_module(&s->b, s->node, name, class_name, &moe, err));
    TD_TRY(build_router(s, moe, err));
    TD_TRY(build_experts(s, moe, err));
    return build_shared(s, moe, err);
}
