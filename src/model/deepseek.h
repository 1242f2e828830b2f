/* deepseek.h - what architectures of DeepSeek-V3's shape share (deepseek.c). */
#ifndef TD_MODEL_DEEPSEEK_H
#define TD_MODEL_DEEPSEEK_H

#include "model/decoder.h"

td_status td_deepseek_v3_config(td_config *config, const td_checkpoint *ckpt, td_err *err);
td_status td_deepseek_v3_build(td_model *model, const td_class_names *classes, td_err *err);

#endif
