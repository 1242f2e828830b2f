/* blocks.h - the blocks most decoders are made of, from the fields of a td_layer. */
#ifndef TD_MODEL_BLOCKS_H
#define TD_MODEL_BLOCKS_H

#include "model/model.h"

/* x = self-attention of x [m][n_embd] in layer i: projections, q and k norms where the layer has
 * them, rotation by the layer's rope, KV cache, output projection.  Overwrites ws->q, k, v, o. */
void td_self_attention(const td_model *model, td_step *step, td_workspace *ws, int i_layer,
                       float *x);

/* The same in its latent form (ops/mla.h). */
void td_latent_attention(const td_model *model, td_step *step, td_workspace *ws, int i_layer,
                         float *x);

/* Linear attention (ops/delta_net.h).  Overwrites ws->delta. */
void td_linear_attention(const td_model *model, td_step *step, td_workspace *ws, int i_layer,
                         float *x);

/* x = down(act(gate(x)) * up(x)) of layer i, or down(act(up(x))) where it has no gate.  Overwrites
 * ws->gate, up. */
void td_mlp(const td_model *model, td_step *step, td_workspace *ws, int i_layer, float *x);

/* Which experts each row of `in` goes to in layer i: ws->chosen and expert_weight. */
void td_route(const td_model *model, td_step *step, td_workspace *ws, int i_layer, td_input *in);

/* x = the experts that layer i's router chooses for each row, weighed and added up, and the MLP of
 * all tokens beside them where the layer has one.  Overwrites ws->mixed and those above; chosen
 * too, unless they are chosen early. */
void td_mixture(const td_model *model, td_step *step, td_workspace *ws, int i_layer, float *x);

#endif
