/* plan_weights.h - the types that the weights of a model without weights are taken to have. */
#ifndef TD_CLI_PLAN_WEIGHTS_H
#define TD_CLI_PLAN_WEIGHTS_H

#include "base/arena.h"
#include "model/model.h"

/* Opens a folder that has config.json alone, with the types that a mix of `tandem quantize` would
 * give its tensors ("q4_k_m"), or `type` "native": those that the configuration promises; NULL:
 * native if the configuration says how the model is quantized, else Q4_K_M.  *taken: the name of
 * what was taken, borrowed. */
td_status td_plan_open_assumed(td_model **out, const td_checkpoint *ckpt, const char *type,
                               const char **taken, td_err *err);

#endif
