/* archs.h - the architectures, one file each. */
#ifndef TD_MODEL_ARCHS_H
#define TD_MODEL_ARCHS_H

#include "model/model.h"

extern const td_arch td_arch_llama;  /* llama.c: Llama 1-3, SmolLM, SmolLM2, Mistral-like files */
extern const td_arch td_arch_qwen2;  /* qwen2.c: Qwen 2 and 2.5 */
extern const td_arch td_arch_gemma3; /* gemma3.c: Gemma 3, text */

#endif
