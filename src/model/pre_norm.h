/* pre_norm.h - decoders with one norm before each of their two blocks: Llama and its kin.
 *
 * What such a family differs in is data: class names, biases, the rotary pairing. */
#ifndef TD_MODEL_PRE_NORM_H
#define TD_MODEL_PRE_NORM_H

#include "model/build.h"

typedef struct td_pre_norm_spec {
    td_class_names classes;
    int qkv_bias, o_bias, mlp_bias; /* TD_BIAS_* */
    bool neox;                      /* rotated pairs lie half a head apart in this file format */
} td_pre_norm_spec;

/* A td_arch's build_modules. */
td_status td_pre_norm_build(td_model *model, const td_pre_norm_spec *spec, td_err *err);

/* A td_arch's forward. */
td_status td_pre_norm_forward(const td_model *model, td_step *step, td_workspace *ws, td_err *err);

#endif
