/* run_options.c - the option tables of `tandem run` and `tandem local_chat`; run_config.c reads
 * them. */
#include "cli/cmd.h"
#include "cli/run.h"

/* clang-format off */
static const td_option text_rows[] = {
    {.name = "prompt", .short_name = 'p', .type = TD_OPTION_STRING, .value = "TEXT",
     .help = "the prompt; else a pipe on standard input is read as the prompt, and a terminal "
             "begins a conversation"},
    {.name = "file", .short_name = 'f', .type = TD_OPTION_STRING, .value = "FILE",
     .aliases = "--prompt-file",
     .help = "read the prompt from a file; -: standard input"},
    {.name = "system", .type = TD_OPTION_STRING, .value = "TEXT",
     .aliases = "-sys --system-prompt",
     .help = "the system message"},
    {.name = "escape", .short_name = 'e', .type = TD_OPTION_BOOL,
     .aliases = "--escapes !--no-escapes",
     .help = "read \\n \\t \\r \\\" \\\\ and \\xNN in --prompt and --system as what they stand "
             "for"},
    {.name = "raw", .type = TD_OPTION_BOOL,
     .aliases = "-no-cnv --no-conversation !-cnv !--conversation",
     .help = "feed the prompt as it is, without the chat template"},
    {.name = "predict", .short_name = 'n', .type = TD_OPTION_INT, .min = -1, .max = 1 << 30,
     .def = "-1", .value = "N", .env = "TANDEM_PREDICT", .aliases = "--n-predict --max-new-tokens",
     .help = "tokens per answer at most; -1: until the model ends its turn"},
    {.name = "stop", .type = TD_OPTION_LIST, .value = "TEXT", .aliases = "-r --reverse-prompt",
     .help = "end the answer before this text (escapes as in --escape); may be given several "
             "times"},
    {.name = "ignore-eos", .type = TD_OPTION_BOOL,
     .help = "go on where the model ends its turn"},
    {.name = "special", .type = TD_OPTION_BOOL, .aliases = "-sp",
     .help = "show control tokens in the answer"},
    {.name = "grammar", .type = TD_OPTION_STRING, .value = "TEXT",
     .help = "a grammar in GBNF that the answer must obey"},
    {.name = "grammar-file", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "read the grammar from a file"},
    {.name = "json-schema", .short_name = 'j', .type = TD_OPTION_STRING, .value = "JSON",
     .help = "a JSON Schema that the answer must obey; {}: any JSON"},
    {.name = "json-schema-file", .type = TD_OPTION_STRING, .value = "FILE", .aliases = "-jf",
     .help = "read the JSON Schema from a file"},
};
/* clang-format on */
static const td_option_group text_group = {"Text", text_rows, 13};

/* clang-format off */
static const td_option template_rows[] = {
    {.name = "vars", .type = TD_OPTION_STRING, .value = "JSON",
     .aliases = "--chat-template-kwargs",
     .help = "an object whose members become variables of the chat template"},
    {.name = "think", .type = TD_OPTION_CHOICE, .value = "off|on", .env = "TANDEM_THINK",
     .help = "set the template variables enable_thinking and thinking; unset: as the template "
             "likes"},
    {.name = "force-think", .type = TD_OPTION_BOOL, .value = "[True|False]",
     .help = "end the prompt with <think>, unless the template does so, and let the model go on "
             "from there"},
    {.name = "template", .type = TD_OPTION_STRING, .value = "FILE",
     .aliases = "--chat-template-file",
     .help = "use this chat template (Jinja) in place of the model's"},
};
/* clang-format on */
static const td_option_group template_group = {"Chat template", template_rows, 4};

/* clang-format off */
static const td_option run_rows[] = {
    {.name = "ctx-size", .short_name = 'c', .type = TD_OPTION_INT, .max = 1 << 24,
     .value = "N", .env = "TANDEM_CTX_SIZE",
     .aliases = "--ctx --n-ctx --max-model-len --context-length --cache-lens --max-total-tokens",
     .help = "positions of the context; 0: as many as memory is left for, up to the model's; "
             "unset: the model's, at most 4096"},
    {.name = "on-full", .type = TD_OPTION_CHOICE, .def = "stop", .value = "stop|shift|error",
     .env = "TANDEM_ON_FULL",
     .help = "when the context is full: end the answer, forget the oldest half, or fail"},
    {.name = "context-shift", .type = TD_OPTION_BOOL,
     .help = "the same as --on-full shift; --no-context-shift as --on-full stop"},
    {.name = "keep", .type = TD_OPTION_INT, .max = 1 << 24, .def = "0", .value = "N",
     .env = "TANDEM_KEEP",
     .help = "tokens at the start that --on-full shift never forgets; 0: those of the prompt"},
    {.name = "session", .type = TD_OPTION_STRING, .value = "FILE", .env = "TANDEM_SESSION",
     .help = "go on from this file, if it exists, and leave the state in it at the end"},
    {.name = "logprobs", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "write per generated token a line of JSON with its log-probability and the ten "
             "likeliest"},
    {.name = "dump", .type = TD_OPTION_PAIR, .value = "PATTERN DIR",
     .help = "write intermediate tensors whose names match (\"layers.3.*\") as .npy into a folder"},
    {.name = "router-stats", .type = TD_OPTION_STRING, .value = "FILE",
     .help = "write at the end, as JSON, how often each expert of each layer was chosen"},
    {.name = "rules", .type = TD_OPTION_STRING, .value = "FILE",
     .aliases = "--optimize-config-path --optimize-rule-path",
     .help = "place the model's modules by the rules of this YAML file (KTransformers'); what cannot "
             "be done here is replaced and said so"},
    {.name = "strict", .type = TD_OPTION_BOOL,
     .help = "refuse rules that cannot be done as written"},
};
/* clang-format on */
static const td_option_group run_group = {"Context", run_rows, 10};

/* clang-format off */
static const td_option sampler_rows[] = {
    {.name = "temp", .type = TD_OPTION_FLOAT, .max = 100, .def = "0.8", .value = "X",
     .env = "TANDEM_TEMP", .aliases = "--temperature",
     .help = "temperature; 0: always the likeliest token"},
    {.name = "seed", .short_name = 's', .type = TD_OPTION_INT, .min = -1,
     .max = 9007199254740991.0, .def = "-1", .value = "N", .env = "TANDEM_SEED",
     .help = "the same seed gives the same text; -1: a random one (--verbose prints it)"},
    {.name = "top-k", .type = TD_OPTION_INT, .max = 1 << 24, .def = "40", .value = "N",
     .env = "TANDEM_TOP_K",
     .help = "choose among the N likeliest; 0: off"},
    {.name = "top-p", .type = TD_OPTION_FLOAT, .max = 1, .def = "0.95", .value = "X",
     .env = "TANDEM_TOP_P",
     .help = "choose among the likeliest that together reach this probability; 0 or 1: off"},
    {.name = "min-p", .type = TD_OPTION_FLOAT, .max = 1, .def = "0.05", .value = "X",
     .env = "TANDEM_MIN_P",
     .help = "leave out what is less likely than X times the likeliest; 0: off"},
    {.name = "typical", .type = TD_OPTION_FLOAT, .max = 1, .def = "1", .value = "X",
     .env = "TANDEM_TYPICAL", .aliases = "--typical-p --typ-p",
     .help = "locally typical sampling; 0 or 1: off"},
    {.name = "xtc-probability", .type = TD_OPTION_FLOAT, .max = 1, .def = "0", .value = "X",
     .env = "TANDEM_XTC_PROBABILITY",
     .help = "how often XTC leaves out the likeliest tokens; 0: off"},
    {.name = "xtc-threshold", .type = TD_OPTION_FLOAT, .max = 1, .def = "0.1", .value = "X",
     .env = "TANDEM_XTC_THRESHOLD",
     .help = "XTC leaves out all tokens that have this probability but the least likely of them; "
             "above 0.5: off"},
    {.name = "repeat-penalty", .type = TD_OPTION_FLOAT, .max = 100, .def = "1", .value = "X",
     .env = "TANDEM_REPEAT_PENALTY", .aliases = "--repetition-penalty",
     .help = "weaken tokens seen lately by this factor; 0 or 1: off"},
    {.name = "presence-penalty", .type = TD_OPTION_FLOAT, .min = -100, .max = 100, .def = "0",
     .value = "X", .env = "TANDEM_PRESENCE_PENALTY",
     .help = "subtract this from the logits of tokens seen lately"},
    {.name = "frequency-penalty", .type = TD_OPTION_FLOAT, .min = -100, .max = 100, .def = "0",
     .value = "X", .env = "TANDEM_FREQUENCY_PENALTY",
     .help = "subtract this for each time a token was seen lately"},
    {.name = "repeat-last-n", .type = TD_OPTION_INT, .min = -1, .max = 1 << 24, .def = "64",
     .value = "N", .env = "TANDEM_REPEAT_LAST_N",
     .help = "how many tokens \"lately\" means; 0: the three penalties are off, -1: the whole "
             "context"},
    {.name = "dry-multiplier", .type = TD_OPTION_FLOAT, .max = 100, .def = "0", .value = "X",
     .env = "TANDEM_DRY_MULTIPLIER",
     .help = "strength of the DRY penalty on repeated passages; 0: off"},
    {.name = "dry-base", .type = TD_OPTION_FLOAT, .min = 1, .max = 100, .def = "1.75",
     .value = "X", .env = "TANDEM_DRY_BASE",
     .help = "growth of the DRY penalty per token of the passage"},
    {.name = "dry-allowed-length", .type = TD_OPTION_INT, .min = 1, .max = 1 << 24, .def = "2",
     .value = "N", .env = "TANDEM_DRY_ALLOWED_LENGTH",
     .help = "passages up to this length cost nothing"},
    {.name = "dry-penalty-last-n", .type = TD_OPTION_INT, .min = -1, .max = 1 << 24, .def = "-1",
     .value = "N", .env = "TANDEM_DRY_PENALTY_LAST_N",
     .help = "how far back DRY looks; 0: it is off, -1: the whole context"},
    {.name = "dry-sequence-breaker", .type = TD_OPTION_LIST, .value = "TEXT",
     .help = "passages do not run across this text (escapes as in --escape); may be given "
             "several times; unset: newline : \" *"},
    {.name = "logit-bias", .short_name = 'l', .type = TD_OPTION_LIST, .value = "TOKEN(+|-)BIAS",
     .help = "add to a token's logit: 15043+1.5, or 15043-inf to forbid it; may be given several "
             "times"},
};
/* clang-format on */
const td_option_group td_run_sampler_options = {"Sampling", sampler_rows, 18};

/* clang-format off */
static const td_option_refusal refusals[] = {
    {"-ngl --gpu-layers --n-gpu-layers -sm --split-mode -ts --tensor-split -mg --main-gpu -dev "
     "--device --list-devices -nkvo --no-kv-offload -ot --override-tensor -cmoe --cpu-moe -ncmoe "
     "--n-cpu-moe --op-offload --no-op-offload --kt-num-gpu-experts --kt-gpu-experts-ratio "
     "--gpu-experts --kt-gpu-prefill-token-threshold --kt-gpu-prefill-threshold "
     "--kt-expert-placement-strategy --kt-enable-dynamic-expert-update --init-expert-location "
     "--attention-backend --tp --tp-size --tensor-parallel-size --mem-fraction-static --gpu-split "
     "--memory-gpu-only --cuda-graph-max-bs --enable-p2p-check",
     "this build computes on the CPU alone"},
    {"-hf -hfr --hf-repo -hff --hf-file -hft --hf-token -mu --model-url -dr --docker-repo "
     "--offline",
     "models are read from files; download it first"},
    {"-tb --threads-batch -C --cpu-mask -Cr --cpu-range --cpu-strict --prio --poll -Cb "
     "--cpu-mask-batch --numa --numa-nodes --kt-numa-nodes --kt-threadpool-count",
     "one set of threads does all work: --threads"},
    {"-ub --ubatch-size",
     "there is one batch size: --batch"},
    {"-fa --flash-attn --no-flash-attn",
     "attention has one form here, and it needs no option"},
    {"--mlock --mmap --no-mmap --load-mode -dio --direct-io --no-repack --repack --check-tensors",
     "files are always mapped and weights always checked and packed"},
    {"--rope-scaling --rope-scale --rope-alpha --rope-freq-base --rope-freq-scale --yarn-orig-ctx "
     "--yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast --override-kv",
     "the model file alone says how positions are encoded"},
    {"--jinja --no-jinja --chat-template --reasoning-format --reasoning-budget -rea --reasoning",
     "templates are always Jinja: --template FILE, --vars JSON and --think on|off"},
    {"-i --interactive --interactive-first -if -mli --multiline-input -st --single-turn "
     "--in-prefix --in-suffix",
     "a conversation begins when there is no prompt and standard input is a terminal"},
    {"-md --model-draft --draft --draft-max --draft-min -lcs -lcd --lookup --draft-model-dir "
     "--no-draft-scale --ngram-decoding",
     "speculative decoding is not part of this build"},
    {"--lora --lora-scaled --lora-paths --kt-lora-path --kt-expert-lora-path "
     "--control-vector --control-vector-scaled --mmproj --image --audio",
     "adapters, images and sound are not part of this build"},
    {"--mirostat --mirostat-lr --mirostat-ent --dynatemp-range --dynatemp-exp --top-nsigma "
     "--top-n-sigma --top-a --skew --smoothing-factor --dynamic-temperature --adaptive-target "
     "--samplers --sampler-seq --sampling-seq",
     "this sampler is not part of this build; docs/OPTIONS.md, \"Sampling\", says which are, and "
     "in which order"},
    {"--prompt-cache --prompt-cache-all --prompt-cache-ro",
     "say --session FILE"},
    {"-np --parallel -cb --cont-batching -dt "
     "--defrag-thold -gan --grp-attn-n -gaw --grp-attn-w",
     "there is one conversation, held in memory"},
    {"--no-display-prompt --display-prompt -co --color --simple-io --no-warmup --warmup "
     "--no-perf --perf -lv --verbosity --log-verbosity --log-disable --log-colors --log-prefix "
     "--log-timestamps",
     "standard output gets the answer alone; --verbose and --log-file say more, NO_COLOR=1 plain "
     "text"},
    {"--kt-method",
     "the types of the weights themselves say how they are computed"},
    {"--kt-max-deferred-experts-per-token",
     "no expert is deferred: each layer gets all that its router chose"},
    {"--record-kt-gpu-expert-distribution",
     "say --router-stats FILE, which counts how often each expert was chosen"},
    {"--disable-shared-experts-fusion --enable-shared-experts-fusion",
     "shared experts are always computed beside the others"},
    {"--cache-8bit --cache-q4",
     "say --kv-type q8_0 or q4_0"},
    {"--json-mode",
     "say --json-schema '{}'"},
    {"--experts-per-token --architectures --model-dir",
     "the model's files say it"},
    {"--length --low-mem --load-q4 --fast-safetensors --modes --username --botname "
     "--response-chunk --no-code-formatting --print-timings --amnesia --healing --ban-strings",
     "a leftover of ExLlamaV2, which has no effect in KTransformers either"},
    {"--trust-remote-code",
     "no code of a model is ever run"},
    {"--host --port --api-key --ssl-keyfile --ssl-certfile --web --web-cross-domain --model-name "
     "--served-model-name --max-batch-size --max-running-requests --enable-mixed-chunk "
     "--backend-type --page-size --sched-strategy --cpu-memory-size-GB --utilization-percentage "
     "--kvc2-config-dir --log-dir --log-level --backup-count --db-type --db-host --db-port "
     "--db-name --db-pool-size --db-database --user-secret-key --user-algorithm "
     "--file-upload-dir --assistant-store-dir --watchdog-timeout --tool-call-parser "
     "--reasoning-parser",
     "this build has no server; 'run' and 'local_chat' hold one conversation"},
};
/* clang-format on */

const td_option_spec td_run_spec = {
    .command = "run",
    .arguments = "MODEL [-p TEXT] [options]",
    .summary = "Generates text. With a prompt (-p, -f or a pipe) the answer goes to standard "
               "output; at a terminal without one a conversation begins.",
    .groups = {&td_cmd_model_options, &text_group, &template_group, &run_group,
               &td_run_sampler_options, &td_cmd_compute_options, &td_cmd_talk_options},
    .refusals = refusals,
    .n_refusal = sizeof refusals / sizeof refusals[0],
    .max_positional = 1,
};

/* clang-format off */
static const td_option local_chat_rows[] = {
    {.name = "mode", .type = TD_OPTION_CHOICE, .def = "normal", .value = "normal|long_context",
     .help = "taken, and the same: attention is exact in both"},
    {.name = "use-cuda-graph", .type = TD_OPTION_BOOL, .value = "[True|False]",
     .help = "taken, and without effect: this build computes on the CPU alone"},
    {.name = "device", .type = TD_OPTION_STRING, .value = "NAME",
     .help = "taken, and without effect: this build computes on the CPU alone"},
};
/* clang-format on */
static const td_option_group local_chat_group = {"KTransformers", local_chat_rows, 3};

const td_option_spec td_local_chat_spec = {
    .command = "local_chat",
    .arguments = "--model_path FOLDER --gguf_path PATH [options]",
    .summary = "Answers each line of standard input as a question of its own: KTransformers' "
               "command of that name, with its options and with those of 'run'.",
    .groups = {&td_cmd_model_options, &local_chat_group, &text_group, &template_group, &run_group,
               &td_run_sampler_options, &td_cmd_compute_options, &td_cmd_talk_options},
    .refusals = refusals,
    .n_refusal = sizeof refusals / sizeof refusals[0],
    .max_positional = 1,
};
