/* synth_model.c - writes a model with random weights in the shapes of a real one. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "synth_int.h"

static const char usage[] = "usage: synth-model NAME OUT [options]\n";

static const char help[] =
    "\n"
    "Writes a model with random weights in the shapes of a real one: as a GGUF file, or as a\n"
    "Hugging Face folder. It computes finite nonsense at the speed and in the memory of the real\n"
    "one, for tests of loading and for benchmarks. The same arguments give the same bytes.\n"
    "\n"
    "  --type TYPE      a mix of `tandem quantize`, such as q4_k_m or q8_0, of a GGUF file; bf16\n"
    "                   of either; native: as the hub has the model, of a folder. Default:\n"
    "                   native where that is not BF16, else q4_k_m\n"
    "  --format FORMAT  gguf or folder; default: what the type wants\n"
    "  --layers N       so many layers, one with experts at least\n"
    "  --experts N      so many experts in each\n"
    "  --vocab N        so many tokens\n"
    "  --shrink N       every width divided by N, to a multiple of 32: fewer heads, narrower experts\n"
    "  --sparse         experts but each layer's first are zeros, and holes in the file: a model\n"
    "                   may be larger than the disk and the memory\n"
    "  --seed N         other weights\n"
    "  --dry-run        only says how large it would be\n"
    "\n"
    "llama.cpp takes a deepseek-v2-lite of 26 or 27 layers only: it knows that model by them.\n";

typedef struct arguments {
    const char *name, *out, *type, *format;
    synth_cut cut;
    int64_t seed;
    bool sparse, dry_run;
} arguments;

static void print_help(void) {
    int n;
    const synth_shape *s = synth_shapes(&n);
    fputs(usage, stdout);
    fputs("\nNAME is one of\n", stdout);
    for (int i = 0; i < n; i++) printf("  %s\n", s[i].name);
    fputs(help, stdout);
}

static td_status parse_number(const char *option, const char *text, int64_t min, int64_t *out,
                              td_err *err) {
    char *end;
    *out = strtoll(text, &end, 10);
    if (end != text && *end == 0 && *out >= min && *out <= INT32_MAX) return TD_OK;
    return td_fail(err, TD_ERR_ARGUMENT, "--%s %s, wanted a number of at least %lld", option, text,
                   (long long)min);
}

/* *help_wanted: nothing else counts. */
static td_status parse(arguments *a, int argc, char **argv, bool *help_wanted, td_err *err) {
    enum { TYPE = 256, FORMAT, LAYERS, EXPERTS, VOCAB, SHRINK, SPARSE, SEED, DRY_RUN };
    static const struct option options[] = {
        {"type",             required_argument, NULL, TYPE},
        {"format",              required_argument, NULL, FORMAT},
        {"layers",                  required_argument, NULL, LAYERS},
        {"experts",required_argument, NULL, EXPERTS},
        {"vocab",            required_argument, NULL, VOCAB},
        {"shrink",           required_argument, NULL, SHRINK},
        {"sparse",              no_argument, NULL, SPARSE},
        {"seed",                  required_argument, NULL, SEED},
        {"dry-run",              no_argument, NULL, DRY_RUN},
        {"help",           no_argument, NULL, 'h'},
        {0           }
    };
    int c;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case TYPE: a->type = optarg; break;
        case FORMAT: a->format = optarg; break;
        case LAYERS: TD_TRY(parse_number("layers", optarg, 1, &a->cut.n_layer, err)); break;
        case EXPERTS: TD_TRY(parse_number("experts", optarg, 1, &a->cut.n_expert, err)); break;
        case VOCAB: TD_TRY(parse_number("vocab", optarg, 1, &a->cut.n_vocab, err)); break;
        case SHRINK: TD_TRY(parse_number("shrink", optarg, 1, &a->cut.shrink, err)); break;
        case SEED: TD_TRY(parse_number("seed", optarg, 0, &a->seed, err)); break;
        case SPARSE: a->sparse = true; break;
        case DRY_RUN: a->dry_run = true; break;
        case 'h': *help_wanted = true; return TD_OK;
        default: return td_fail(err, TD_ERR_ARGUMENT, "--help lists the options");
        }
    }
    if (argc - optind != 2 && !(argc - optind == 1 && a->dry_run))
        return td_fail(err, TD_ERR_ARGUMENT, "a name and a path are wanted; --help says more");
    a->name = argv[optind];
    a->out = argv[optind + 1];
    return TD_OK;
}

/* What is written: a folder, native or BF16, or a GGUF file with a mix. */
typedef struct target {
    bool folder, native;
    const td_mix *mix; /* of a GGUF file */
} target;

static td_status choose_target(target *t, const arguments *a, const synth_shape *s, td_err *err) {
    const char *type = a->type, *format = a->format;
    if (format && strcmp(format, "gguf") != 0 && strcmp(format, "folder") != 0)
        return td_fail(err, TD_ERR_ARGUMENT, "--format %s, wanted gguf or folder", format);
    if (!type) {
        const bool native = format ? strcmp(format, "folder") == 0 : s->native != SYNTH_BF16;
        type = native ? "native" : "q4_k_m";
    }
    t->native = strcmp(type, "native") == 0;
    t->folder = format ? strcmp(format, "folder") == 0 : t->native;
    if (t->folder && !t->native && strcmp(type, "bf16") != 0)
        return td_fail(err, TD_ERR_ARGUMENT, "--type %s, wanted native or bf16 for a folder", type);
    if (!t->folder && t->native)
        return td_fail(err, TD_ERR_ARGUMENT, "--type native is for a folder, not for a GGUF file");
    return t->folder ? TD_OK : td_mix_find(&t->mix, type, err);
}

static td_status total_bytes(const synth_list *list, uint64_t *out, td_err *err) {
    *out = 0;
    for (size_t i = 0; i < list->n; i++) {
        size_t n;
        TD_TRY(synth_array_bytes(&n, &list->at[i], err));
        *out += n;
    }
    return TD_OK;
}

static td_status make(const arguments *a, const synth_shape *s, const target *t, synth_list *list,
                      td_err *err) {
    uint64_t bytes;
    synth_filler filler;
    if (t->folder) {
        TD_TRY(synth_list_folder(list, s, t->native, err));
    } else {
        TD_TRY(synth_list_gguf(list, s, err));
        TD_TRY(synth_choose_types(list, s, t->mix, err));
    }
    TD_TRY(total_bytes(list, &bytes, err));
    if (!a->dry_run) {
        TD_TRY(synth_filler_init(&filler, (uint64_t)a->seed, a->sparse, err));
        const td_status status = t->folder
                                     ? synth_write_folder(a->out, s, t->native, list, &filler, err)
                                     : synth_write_gguf(a->out, s, t->mix, list, &filler, err);
        synth_filler_clear(&filler);
        TD_TRY(status);
    }
    printf("%s %s: %lld weights, %zu tensors of %llu bytes\n", s->name,
           t->mix      ? t->mix->name
           : t->native ? "native"
                       : "BF16",
           (long long)list->n_weight, list->n, (unsigned long long)bytes);
    return TD_OK;
}

int main(int argc, char **argv) {
    arguments a = {0};
    bool help_wanted = false;
    synth_shape shape;
    target t = {0};
    synth_list list = {0};
    td_err err = {0};
    td_status status = parse(&a, argc, argv, &help_wanted, &err);
    if (help_wanted) {
        print_help();
        return 0;
    }
    if (status == TD_OK) status = synth_shape_find(&shape, a.name, &a.cut, &err);
    if (status == TD_OK) status = choose_target(&t, &a, &shape, &err);
    if (status == TD_OK) status = make(&a, &shape, &t, &list, &err);
    synth_list_clear(&list);
    if (status == TD_OK) return 0;
    fprintf(stderr, "synth-model: %s\n", err.msg);
    return status == TD_ERR_ARGUMENT ? 2 : 1;
}
