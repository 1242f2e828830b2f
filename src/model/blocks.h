/* blocks.h - the two blocks most decoders are made of, from the fields of a td_layer. */
#ifndef TD_MODEL_BLOCKS_H
#define TD_MODEL_BLOCKS_H

#include "model/model.h"

/* ws->x = self-attention of ws->x in layer i: projections, per-head q and k norms where the layer
 * has them, rotation with table cs, KV cache, output projection.  Overwrites ws->q, k, v, o. */
void td_self_attention(const td_model *model, td_step *step, td_workspace *ws, int i_layer,
                       const td_rope *rope, const float *cs);

/* ws->x = down(act(gate(ws->x)) * up(ws->x)) of layer i.  Overwrites ws->gate, up. */
void td_gated_mlp(const td_model *model, td_step *step, td_workspace *ws, int i_layer,
                  td_activation act);

#endif
