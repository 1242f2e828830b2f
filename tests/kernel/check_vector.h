/* check_vector.h - the slots that are not matrix products. */
#ifndef TD_TESTS_KERNEL_CHECK_VECTOR_H
#define TD_TESTS_KERNEL_CHECK_VECTOR_H

#include "kernel/check.h"

void check_quantize_act(check *c, const check_slot *slot); /* id: td_act_type */
void check_rms_norm(check *c, const check_slot *slot);
void check_layer_norm(check *c, const check_slot *slot);
void check_glu(check *c, const check_slot *slot); /* id: 0 swiglu, 1 geglu_tanh, 2 geglu */
void check_add(check *c, const check_slot *slot);
void check_scale(check *c, const check_slot *slot);
void check_softcap(check *c, const check_slot *slot);
void check_max(check *c, const check_slot *slot);
void check_exp_sum(check *c, const check_slot *slot);
void check_to_f16(check *c, const check_slot *slot);
void check_to_blocks(check *c, const check_slot *slot); /* id: td_kv_dtype */
void check_rope(check *c, const check_slot *slot);
void check_attn_score(check *c, const check_slot *slot); /* id: td_kv_dtype */
void check_attn_value(check *c, const check_slot *slot); /* id: td_kv_dtype */

#endif
