/* decoder_int.h - what decoder.c and its parts in files of their own share. */
#ifndef TD_MODEL_DECODER_INT_H
#define TD_MODEL_DECODER_INT_H

#include "model/decoder.h"

typedef struct td_decoder_builder {
    td_builder b;
    const td_decoder_spec *spec;
    const td_config *c;
    td_module *node; /* of the layer */
    td_layer *layer;
} td_decoder_builder;

static inline const char *td_either(const char *name, const char *usual) {
    return name ? name : usual;
}

/* decoder.c: a norm over n. */
td_status td_decoder_norm(const td_decoder_builder *s, td_module *parent, td_part_name name, int n,
                          td_norm *out, td_err *err);

/* decoder.c: gate, up and down of an MLP of width n_ff; shared: the one beside experts. */
td_status td_decoder_mlp(const td_decoder_builder *s, td_module *mlp, int n_ff, bool shared,
                         td_err *err);

/* decoder_experts.c: router, experts and the MLP beside them. */
td_status td_decoder_experts(const td_decoder_builder *s, td_err *err);

/* decoder_mla.c: the projections of multi-head latent attention. */
td_status td_decoder_mla(const td_decoder_builder *s, td_module *attn, td_err *err);

/* decoder_delta.c: linear attention. */
td_status td_decoder_delta(const td_decoder_builder *s, td_err *err);

#endif
