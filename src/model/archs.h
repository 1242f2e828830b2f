/* archs.h - the architectures, one file each. */
#ifndef TD_MODEL_ARCHS_H
#define TD_MODEL_ARCHS_H

#include "model/model.h"

extern const td_arch td_arch_bailing_moe;   /* bailing_moe.c: Ling */
extern const td_arch td_arch_cohere2;       /* cohere2.c: Command R7B */
extern const td_arch td_arch_command_r;     /* command_r.c: Command R */
extern const td_arch td_arch_deepseek2;     /* deepseek.c: DeepSeek-V2, V3 and their like in GGUF */
extern const td_arch td_arch_deepseek_v2;   /* deepseek.c: DeepSeek-V2, folders */
extern const td_arch td_arch_deepseek_v3;   /* deepseek.c: DeepSeek-V3, R1, Kimi-K2, folders */
extern const td_arch td_arch_deepseek_v32;  /* deepseek_v32.c: DeepSeek-V3.2 */
extern const td_arch td_arch_dots1;         /* dots1.c: dots.llm1 */
extern const td_arch td_arch_ernie4_5;      /* ernie4_5.c: ERNIE 4 */
extern const td_arch td_arch_ernie4_5_moe;  /* ernie4_5_moe.c: ERNIE 4.5 with experts */
extern const td_arch td_arch_ernie4_5_vl;   /* ernie4_5_moe.c: ERNIE 4.5 VL, text */
extern const td_arch td_arch_falcon;        /* falcon.c: Falcon 7B and 40B */
extern const td_arch td_arch_gemma;         /* gemma.c: Gemma */
extern const td_arch td_arch_gemma2;        /* gemma2.c: Gemma 2 */
extern const td_arch td_arch_gemma3;        /* gemma3.c: Gemma 3, text */
extern const td_arch td_arch_glm4;          /* glm4.c: GLM-4-0414 */
extern const td_arch td_arch_glm4_moe;      /* glm4_moe.c: GLM-4.5 */
extern const td_arch td_arch_glm4_moe_lite; /* glm4_moe_lite.c: GLM-4.7-Flash */
extern const td_arch td_arch_glm_moe_dsa;   /* deepseek_v32.c: GLM-5 */
extern const td_arch td_arch_gpt2;          /* gpt2.c: GPT-2 */
extern const td_arch td_arch_gpt_neox;      /* gpt_neox.c: GPT-NeoX and Pythia */
extern const td_arch td_arch_gpt_oss;       /* gpt_oss.c: gpt-oss */
extern const td_arch td_arch_granite;       /* granite.c: Granite 3 */
extern const td_arch td_arch_granite_moe;   /* granite.c: Granite 3 with experts */
extern const td_arch td_arch_hunyuan_v1_moe; /* hunyuan_v1_moe.c: Hunyuan-A13B */
extern const td_arch td_arch_internlm2;      /* internlm2.c: InternLM2 */
extern const td_arch td_arch_llama;          /* llama.c: Llama */
extern const td_arch td_arch_llama4;         /* llama4.c: Llama 4, text */
extern const td_arch td_arch_minicpm;        /* minicpm.c: MiniCPM */
extern const td_arch td_arch_minimax_m2;     /* minimax_m2.c: MiniMax-M2 */
extern const td_arch td_arch_mistral;        /* mistral.c: Mistral 7B */
extern const td_arch td_arch_mixtral;        /* mixtral.c: Mixtral */
extern const td_arch td_arch_olmo2;          /* olmo2.c: OLMo 2 */
extern const td_arch td_arch_olmoe;          /* olmoe.c: OLMoE */
extern const td_arch td_arch_phi3;           /* phi3.c: Phi-3 and Phi-4 mini */
extern const td_arch td_arch_qwen2;          /* qwen2.c: Qwen2 and Qwen2 */
extern const td_arch td_arch_qwen2_moe;      /* qwen2_moe.c: Qwen2 with experts */
extern const td_arch td_arch_qwen3;          /* qwen3.c: Qwen3 */
extern const td_arch td_arch_qwen3_5;        /* qwen3_5.c: Qwen3.5 */
extern const td_arch td_arch_qwen3_5_moe;    /* qwen3_5.c: Qwen3.5 with experts */
extern const td_arch td_arch_qwen3_moe;      /* qwen3_moe.c: Qwen3 with experts */
extern const td_arch td_arch_qwen3_next;     /* qwen3_next.c: Qwen3-Next */
extern const td_arch td_arch_smallthinker;   /* smallthinker.c: SmallThinker */
extern const td_arch td_arch_smollm3;        /* smollm3.c: SmolLM3 */
extern const td_arch td_arch_spark2_5;       /* spark2_5.c: Spark X2 */
extern const td_arch td_arch_starcoder2;     /* starcoder2.c: StarCoder 2 */

#endif
