/* capability_page.c - docs/GPUS.md from the tables, so that the page never says what they do not.
 */
#include <stdio.h>
#include <string.h>

#include "plan/capability.h"

static void add_capability(td_strbuf *out, int capability) {
    td_strbuf_addf(out, "%d.%d", capability / 10, capability % 10);
}

static void add_lead(td_strbuf *out) {
    td_strbuf_adds(
        out,
        "# Which GPU can I use?\n\n"
        "This page is written by `tandem doctor --gpus-page` from the tables that `tandem plan` and "
        "`tandem doctor` decide by\n(`src/plan/hardware_profiles.c`, `src/plan/capability.c`).\n\n"
        "**This build has no GPU kernels yet.** A plan says what will go to a GPU; today all of it "
        "runs on the CPU. What follows is\nwhat the kernels are made for.\n\n");
    td_strbuf_adds(out, "In short: NVIDIA GPUs from compute capability ");
    add_capability(out, TD_CAPABILITY_LEAST);
    td_strbuf_adds(
        out,
        " on, T4 and RTX 20 included. Nothing has to be changed in rule files for them:\n"
        "what a GPU lacks is replaced, and the plan says by what and at what cost. Older ones "
        "(V100, P40, GTX 10) are left out with a\nsentence that says why, and the CPU does the "
        "work. `tandem doctor` says what this machine has.\n\n");
}

static void add_gpus(td_strbuf *out) {
    td_gpu g;
    char word[32];
    td_strbuf_adds(
        out,
        "## GPUs by name\n\n"
        "`--gpu NAME` makes a plan for one that is not there, `--gpus 2xa10,1x4090` for several; "
        "the driver's names (\"NVIDIA GeForce\nRTX 4090\") work too. Figures: memory that a "
        "program can use in GiB, GB/s of memory, GB/s one way to the host, dense tensor\n"
        "TFLOP/s of f16 with float32 sums, TOP/s of int8 and FP8. Sources: A, the system files of "
        "NVIDIA's aiconfigurator (Apache-2.0);\nD, data sheets, good to 10 %. What is predicted "
        "from either is an estimate.\n\n"
        "| name | `--gpu` | capability | memory | bandwidth | host | f16 | int8 | fp8 | source | "
        "can be used |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; td_gpu_profile_at(i, &g); i++) {
        td_strbuf_addf(out, "| %s | `%s` | ", g.name, td_gpu_profile_word(i, word));
        add_capability(out, g.capability);
        td_strbuf_addf(out, " | %.1f | %.0f | %.0f | %.0f | ", (double)g.memory / 1073741824.0,
                       g.bandwidth * 1e-9, g.link * 1e-9, g.f16 * 1e-12);
        for (int k = 0; k < 2; k++) {
            const double rate = k ? g.fp8 : g.int8;
            td_strbuf_addf(out, rate > 0 ? "%.0f | " : "- | ", rate * 1e-12);
        }
        td_strbuf_addf(out, "%c | %s |\n", g.source == TD_FIGURE_SYSTEM ? 'A' : 'D',
                       g.capability >= TD_CAPABILITY_LEAST ? "yes" : "no: the CPU runs the model");
    }
}

static void add_needs(td_strbuf *out) {
    td_strbuf_adds(out,
                   "\n## Types of weights\n\n"
                   "| class | types | computed as written from | below that | times slower | CPU "
                   "levels |\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < TD_N_CLASS; i++) {
        const td_class_need *n = td_class_need_of((td_dtype_class)i);
        td_strbuf_addf(out, "| %s | %s | ", n->name, n->types);
        add_capability(out, n->capability);
        td_strbuf_addf(out, " | %s | ", n->below ? n->below : "-");
        td_strbuf_addf(out, n->below ? "%.1f" : "-", n->below_cost);
        td_strbuf_addf(out, " | %s |\n", n->cpu_levels);
    }
    td_strbuf_adds(
        out,
        "\nBlocks of integers and of 4-bit floats are expanded in registers, on every GPU alike, and "
        "multiplied as int8 or f16. On the\nCPU every class also has scalar kernels, which run on "
        "any machine.\n");
}

static void add_operators(td_strbuf *out) {
    td_strbuf_adds(out,
                   "\n## Operators\n\n"
                   "The names of rule files, and the parts of a model that have no name there.\n\n"
                   "| operator | what it is | CPU | GPU | as written from | else | times slower |\n"
                   "|---|---|---|---|---|---|---|\n");
    const td_operator *op;
    for (int i = 0; (op = td_operator_at(i)) != NULL; i++) {
        td_strbuf_addf(out, "| `%s` | %s | ", op->name, op->does);
        if (op->instead) {
            td_strbuf_addf(out, "- | - | - | replaced by `%s` | - |\n", op->instead);
            continue;
        }
        td_strbuf_addf(out, "%s | %s | ", op->cpu ? "yes" : "-",
                       !op->cuda      ? "-"
                       : op->in_build ? "yes"
                                      : "planned");
        if (op->cuda)
            add_capability(out, op->capability ? op->capability : TD_CAPABILITY_LEAST);
        else
            td_strbuf_adds(out, "-");
        td_strbuf_addf(out, " | %s | ", op->below ? op->below : "-");
        td_strbuf_addf(out, op->below ? "%.1f |\n" : "- |\n", op->below_cost);
    }
    td_strbuf_adds(
        out,
        "\nA linear or expert named after Marlin stays quantized on a T4 or RTX 20: no 16-bit copy "
        "is made of it, and its memory is the\nsame as on newer GPUs. Weights keep the type of the "
        "file whatever an operator's name says; `tandem quantize` changes it.\n");
}

static void add_cpus(td_strbuf *out) {
    td_cpu c;
    char word[32];
    td_strbuf_adds(
        out,
        "\n## CPUs by name\n\n"
        "`--cpu NAME`, or `--cpu 2xNAME` for two sockets. Figures of one socket, by its data "
        "sheet: 80 % of channels x 8 bytes x transfer\nrate in GB/s, and TOP/s of int8 and "
        "TFLOP/s of float32 at the best level of this build.\n\n"
        "| name | `--cpu` | cores | bandwidth | int8 | float32 |\n|---|---|---|---|---|---|\n");
    for (int i = 0; td_cpu_profile_at(i, &c); i++)
        td_strbuf_addf(out, "| %s | `%s` | %d | %.0f | %.1f | %.1f |\n", c.name,
                       td_cpu_profile_word(i, word), c.n_core, c.bandwidth * 1e-9, c.int8 * 1e-12,
                       c.f32 * 1e-12);
}

void td_capability_page(td_strbuf *out) {
    add_lead(out);
    add_gpus(out);
    add_needs(out);
    add_operators(out);
    add_cpus(out);
}
