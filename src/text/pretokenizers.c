/* pretokenizers.c - the split patterns of the models' tokenizers, by their GGUF names.
 *
 * Written by tools/gen-pretokenizers.py: change that, not this.  The patterns are facts of the
 * models; llama.cpp (MIT) was where they were read.  pretokenize.h names the dialect. */
#include "text/pretokenize.h"

/* clang-format off */
#define GPT_2 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define AFMOE \
    "\\p{AFMoE_digits}"
#define AFMOE_2 \
    "[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{8C48}-\\x{FAFF}\\x{3040}-\\x{309F}\\x{30A0}-" \
    "\\x{30FF}\\x{FF65}-\\x{FF9F}\\x{2F00}-\\x{2FDF}\\x{E40}-\\x{E7F}\\x{E80}-\\x{EFF}" \
    "\\x{1780}-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}\\x{A9E0}-\\x{A9FF}\\x{AC00}-" \
    "\\x{D7AF}\\x{1100}-\\x{11FF}]+"
#define DEEPSEEK_V3 \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" \
    "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+" \
    "|\\s+(?!\\S)|\\s+"
#define BAILINGMOE \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" \
    "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define BLOOM \
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
#define CHAMELEON \
    "<sentinel:[0-9]+>"
#define CHAMELEON_2 \
    "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"
#define CHAMELEON_3 \
    "([\\t\\n]|    |  )"
#define ONE_DIGIT \
    "\\p{N}"
#define CHAMELEON_4 \
    "[\\p{P}!-/:-@\\[-`{-~]"
#define LLAMA3 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define COHERE2MOE \
    "\\d{1,3}(?=(?:\\d{3})*\\b)"
#define GPT_4O \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}" \
    "\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?" \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}" \
    "\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" \
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LINE_BREAK \
    "[\\r\\n]"
#define DEEPSEEK_CODER \
    "\\s?\\p{L}+"
#define DEEPSEEK_CODER_2 \
    "\\s?\\p{P}+"
#define DEEPSEEK_CJK \
    "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define DEEPSEEK_LLM \
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}" \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}" \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-" \
    "\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}" \
    "\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-" \
    "\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}" \
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}" \
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}" \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-" \
    "\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}" \
    "\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}" \
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}" \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-" \
    "\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}" \
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}" \
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}" \
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+"
#define DEEPSEEK_LLM_2 \
    "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+"
#define SPACE_AT_END \
    "(?<!\\s)\\s++\\z"
#define DIGITS \
    "\\p{N}+"
#define QWEN2 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UP_TO_3_DIGITS \
    "\\p{N}{1,3}"
#define DEEPSEEK_V3_CJK \
    "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define DEFAULT \
    "[\\p{P}\\$\\+<=>\\^~\\|]+"
#define THREE_DIGITS \
    "[0-9][0-9][0-9]"
#define EXAONE_MOE \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}" \
    "\\p{M}*+)*+)++|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define FALCON \
    "[\\p{P}\\$\\+<=>\\^~\\|`]+"
#define LINES \
    "[^\\n]+|[\\n]+"
#define JAIS_2 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)" \
    "|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)" \
    "|\\s{1,2}(?!\\S)|\\s{1}"
#define KIMI_K2 \
    "\\p{sc:Han}+|[^\\r\\n\\p{L}\\p{N}]?[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}" \
    "\\p{sc:Han}]*[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}]+(?i:'s|'t|'re|'ve" \
    "|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}" \
    "\\p{sc:Han}]+[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}]*(?i:'s|'t|'re|'ve" \
    "|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define MINICPM5 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+" \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN35 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}" \
    "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SEED_CODER \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}" \
    "| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SPARK2_5 \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" \
    "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+"
#define SUPERBPE \
    "(?=(\\d{3})+(?!\\d))"
#define TEKKEN \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}" \
    "\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UFAKZEKA \
    "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+" \
    "|\\s+(?!\\S)|\\s+"
#define WHITESPACE \
    "\\S+"
#define YOUTU \
    "[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+" \
    "|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}" \
    "\\x{FF0C}\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|[\\x{3105}-\\x{312F}]+" \
    "|[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define YOUTU_2 \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}" \
    "\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?" \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}" \
    "\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" \
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const td_pretokenizer_def table[] = {
    {"a.x-4.0", {GPT_2}, 0},
    {"afmoe", {AFMOE, AFMOE_2, DEEPSEEK_V3}, 0},
    {"bailingmoe", {BAILINGMOE}, 0},
    {"bailingmoe2", {BAILINGMOE}, 0},
    {"bloom", {BLOOM}, 0},
    {"chameleon",
     {CHAMELEON, CHAMELEON_2, CHAMELEON_3, ONE_DIGIT, CHAMELEON_4, GPT_2}, TD_PRETOKENIZER_BOS},
    {"chatglm-bpe", {LLAMA3}, 0},
    {"codeshell", {ONE_DIGIT, GPT_2}, 0},
    {"cohere2moe", {COHERE2MOE, GPT_4O}, 0},
    {"command-r", {ONE_DIGIT, GPT_2}, 0},
    {"dbrx", {LLAMA3}, 0},
    {"deepseek-coder", {LINE_BREAK, DEEPSEEK_CODER, DEEPSEEK_CODER_2, DEEPSEEK_CJK, ONE_DIGIT}, 0},
    {"deepseek-llm",
     {LINE_BREAK, DEEPSEEK_LLM, DEEPSEEK_LLM_2, SPACE_AT_END, DEEPSEEK_CJK, DIGITS}, 0},
    {"deepseek-r1-qwen", {QWEN2}, 0},
    {"deepseek-v3", {UP_TO_3_DIGITS, DEEPSEEK_V3_CJK, DEEPSEEK_V3}, 0},
    {"default", {DEFAULT, GPT_2, DIGITS, THREE_DIGITS}, 0},
    {"exaone", {ONE_DIGIT, GPT_2}, 0},
    {"exaone-moe", {EXAONE_MOE}, 0},
    {"exaone4", {GPT_2}, 0},
    {"f2llmv2", {QWEN2}, 0},
    {"falcon", {FALCON, GPT_2, THREE_DIGITS}, 0},
    {"falcon-h1", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"falcon3", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"gemma4", {LINES}, TD_PRETOKENIZER_SPACED | TD_PRETOKENIZER_LINES},
    {"gigachat", {GPT_2}, 0},
    {"glm4", {LLAMA3}, TD_PRETOKENIZER_WHOLE},
    {"glm5", {LLAMA3}, TD_PRETOKENIZER_WHOLE},
    {"gpt-2", {GPT_2}, 0},
    {"gpt-4o", {GPT_4O}, 0},
    {"gpt3-finnish", {BLOOM}, 0},
    {"granite-docling", {GPT_2}, 0},
    {"granite-embed-multi-311m", {LINES}, TD_PRETOKENIZER_SPACED | TD_PRETOKENIZER_LINES},
    {"granite-embed-multi-97m", {GPT_4O}, TD_PRETOKENIZER_WHOLE},
    {"grok-2", {QWEN2}, 0},
    {"hunyuan", {QWEN2}, 0},
    {"hunyuan-dense", {UP_TO_3_DIGITS, DEEPSEEK_V3_CJK, DEEPSEEK_V3}, 0},
    {"hy_v4", {UP_TO_3_DIGITS, DEEPSEEK_V3_CJK, DEEPSEEK_V3}, 0},
    {"jais", {GPT_2}, 0},
    {"jais-2", {JAIS_2}, 0},
    {"jina-de", {GPT_2}, 0},
    {"jina-es", {GPT_2}, 0},
    {"jina-v1-en", {GPT_2}, 0},
    {"jina-v2-code", {GPT_2}, 0},
    {"jina-v2-de", {GPT_2}, 0},
    {"jina-v2-es", {GPT_2}, 0},
    {"jina-v5-nano", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"joyai-llm", {UP_TO_3_DIGITS, DEEPSEEK_V3_CJK, DEEPSEEK_V3}, 0},
    {"kanana2", {GPT_4O}, 0},
    {"kimi-k2", {KIMI_K2}, 0},
    {"kormo", {QWEN2}, 0},
    {"laguna", {LINES, QWEN2}, 0},
    {"lfm2", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"llada-moe", {BAILINGMOE}, 0},
    {"llama-bpe", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"llama-v3", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"llama3", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"llama4", {GPT_4O}, 0},
    {"megrez", {QWEN2}, 0},
    {"mellum", {GPT_2}, 0},
    {"mellum2", {ONE_DIGIT, GPT_2}, 0},
    {"midm-2.0", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"minerva-7b", {ONE_DIGIT, GPT_2}, 0},
    {"minicpm5", {UP_TO_3_DIGITS, MINICPM5}, TD_PRETOKENIZER_WHOLE},
    {"minimax-m2", {GPT_4O}, 0},
    {"modern-bert", {GPT_2}, 0},
    {"mpt", {GPT_2}, 0},
    {"olmo", {GPT_2}, 0},
    {"phi-2", {GPT_2}, 0},
    {"pixtral", {LLAMA3}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"poro-chat", {BLOOM}, 0},
    {"qwen2", {QWEN2}, 0},
    {"qwen35", {QWEN35}, 0},
    {"refact", {ONE_DIGIT, GPT_2}, 0},
    {"roberta-bpe", {GPT_2}, 0},
    {"sarvam-moe", {LINES}, TD_PRETOKENIZER_SPACED},
    {"seed-coder", {SEED_CODER}, 0},
    {"smaug-bpe", {LLAMA3}, 0},
    {"smollm", {ONE_DIGIT, GPT_2}, 0},
    {"solar-open", {QWEN2}, 0},
    {"spark2_5", {UP_TO_3_DIGITS, DEEPSEEK_V3_CJK, SPARK2_5, ONE_DIGIT}, 0},
    {"stablelm2", {QWEN2}, 0},
    {"starcoder", {ONE_DIGIT, GPT_2}, 0},
    {"superbpe", {DIGITS, SUPERBPE}, 0},
    {"talkie", {GPT_4O}, 0},
    {"tekken", {TEKKEN}, TD_PRETOKENIZER_BOS | TD_PRETOKENIZER_WHOLE},
    {"tiny_aya", {COHERE2MOE, GPT_4O}, 0},
    {"trillion", {GPT_2}, 0},
    {"ufakzeka", {UFAKZEKA}, 0},
    {"viking", {BLOOM, ONE_DIGIT}, 0},
    {"whitespace", {WHITESPACE}, TD_PRETOKENIZER_PLAIN},
    {"youtu", {YOUTU, YOUTU_2}, TD_PRETOKENIZER_WHOLE},
};
/* clang-format on */

const td_pretokenizer_def *td_pretokenizer_all(size_t *n) {
    *n = sizeof table / sizeof *table;
    return table;
}
