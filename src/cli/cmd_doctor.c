/* cmd_doctor.c - `tandem doctor`: what this machine has, what stands in the way, what to do. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cmd.h"
#include "cli/out.h"
#include "jobs/probe.h"
#include "kernel/kernels.h"
#include "model/model.h"
#include "plan/capability.h"
#include "plan/doctor.h"
#include "plan/predict.h"
#include "runtime/topology.h"

/* clang-format off */
static const td_option rows[] = {
    {.name = "measure", .type = TD_OPTION_BOOL, .def = "on",
     .help = "measure memory, arithmetic and disk, about two seconds; --no-measure only asks the "
             "system"},
    {.name = "gpus-page", .type = TD_OPTION_BOOL,
     .help = "print docs/GPUS.md instead: which GPUs can be used, and for what"},
    {.name = "json", .type = TD_OPTION_BOOL,
     .help = "print JSON"},
};
/* clang-format on */
static const td_option_group group = {"Doctor", rows, 3};

static const td_option_spec spec = {
    .command = "doctor",
    .arguments = "[MODEL] [options]",
    .summary =
        "Looks at this machine: driver, GPUs, CPU levels, memory and its limits, NUMA nodes, "
        "huge pages, disk; says what stands in the way, what to do about it, and what runs "
        "well here. With a model: whether it fits, and how fast it would be. Exit code 1 if "
        "something needs attention.",
    .groups = {&td_cmd_model_options, &group},
    .max_positional = 1,
};

static const double gib = 1073741824.0;
/* Bytes of the probe's buffer, and as much again for the rest of the machine. */
static const uint64_t probe_memory = UINT64_C(2) << 30;
/* Bytes: a file that says something about a disk. */
static const off_t least_file = (off_t)16 << 20;

/* Lifetime: the command. */
typedef struct job {
    td_doctor_facts facts;
    td_finding findings[TD_MAX_FINDINGS];
    int n_finding;
    const char *path; /* the model; NULL: none */
    td_err trouble;
    char disk_file[512];    /* what was read to measure the disk; "": nothing */
    double prefill, decode; /* tokens per second of the model; 0: not known */
} job;

/* ---- facts ---- */

static const char *best_level(void) {
    int n;
    const td_cpu_level_info *levels = td_cpu_level_list(&n);
    const unsigned have = td_cpu_detect();
    const char *best = levels[0].name;
    for (int i = 0; i < n; i++)
        if ((levels[i].flags & have) == levels[i].flags) best = levels[i].name;
    return best;
}

/* The largest file of the current folder. */
static void find_file(char path[512]) {
    off_t most = least_file - 1;
    DIR *folder = opendir(".");
    if (!folder) return;
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        struct stat st;
        if (stat(e->d_name, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= most) continue;
        most = st.st_size;
        snprintf(path, 512, "%s", e->d_name);
    }
    closedir(folder);
}

static void measure(job *j) {
    if (j->facts.machine.memory_allowed >= probe_memory) td_probe_hardware(&j->facts.hardware);
    if (!j->disk_file[0]) find_file(j->disk_file);
    if (j->disk_file[0]) j->facts.disk = td_topology_disk_speed(j->disk_file);
}

static void predict(job *j, const td_model *model) {
    enum { N_CTX = 2048, N_BATCH = 512 };
    const td_predict_device d = td_predict_cpu(&j->facts.hardware.cpu);
    td_predict_work work;
    if (!td_predict_is_known(&d)) return;
    td_predict_of_model(&work, model, N_CTX, N_CTX);
    j->prefill = 1 / td_predict_prompt(&d, &work, N_BATCH);
    j->decode = 1 / td_predict_decode(&d, &work);
}

/* *model stays NULL if it cannot run. */
static void look_at_model(job *j, const td_checkpoint *ckpt, td_model **model) {
    for (size_t i = 0; i < td_checkpoint_n_tensor(ckpt); i++)
        j->facts.model_bytes += td_checkpoint_tensor_at(ckpt, i)->n_bytes;
    if (td_checkpoint_n_file(ckpt) > 0)
        snprintf(j->disk_file, sizeof j->disk_file, "%s", td_checkpoint_file(ckpt, 0));
    if (td_model_open(model, ckpt, NULL, &j->trouble) != TD_OK)
        j->facts.model_trouble = j->trouble.msg;
}

static td_status examine(job *j, bool measuring, td_err *err) {
    const td_kernels *kernels;
    td_checkpoint *ckpt = NULL;
    td_model *model = NULL;
    TD_TRY(td_kernels_get(&kernels, err));
    if (j->path) TD_TRY(td_checkpoint_open(&ckpt, j->path, err));
    td_machine_read(&j->facts.machine, "");
    td_driver_read(&j->facts.driver);
    const td_status status =
        td_hardware_get(&j->facts.hardware, &(td_hardware_request){.gpus = "none"}, err);
    td_hardware_take_gpus(&j->facts.hardware, &j->facts.driver);
    j->facts.level = kernels->level;
    j->facts.best_level = best_level();
    if (ckpt) look_at_model(j, ckpt, &model);
    if (measuring) measure(j);
    if (model) predict(j, model);
    td_model_close(model);
    td_checkpoint_close(ckpt);
    j->n_finding = td_doctor_examine(&j->facts, j->findings);
    return status;
}

/* ---- what runs well here ---- */

/* A dense model of this many parameters in Q4_K_M: 4.85 bits each. */
static td_predict_work dense_work(double n_parameter) {
    const double bytes = n_parameter * 4.85 / 8, ops = 2 * n_parameter;
    return (td_predict_work){
        .parts = {{.dtype = TD_DTYPE_Q4_K,
                   .decode_bytes = bytes,
                   .batch_bytes = bytes,
                   .decode_ops = ops,
                   .prompt_ops = ops}},
        .n_part = 1,
        .layers = { .n_layer = 32,                    .n_vocab = 128000},
    };
}

/* Billions of parameters that memory holds in Q4_K_M, a tenth being left for the cache. */
static double most_parameters(const job *j) {
    return (double)j->facts.machine.memory_allowed * 0.9 * 8 / 4.85 * 1e-9;
}

static double decode_rate(const job *j, double n_parameter) {
    const td_predict_device d = td_predict_cpu(&j->facts.hardware.cpu);
    const td_predict_work work = dense_work(n_parameter);
    return td_predict_is_known(&d) ? 1 / td_predict_decode(&d, &work) : 0;
}

/* ---- text ---- */

static void print_cpu(const job *j) {
    const td_machine *m = &j->facts.machine;
    const td_cpu *cpu = &j->facts.hardware.cpu;
    td_out_printf("%-14s ", "CPU");
    td_out_plain(cpu->name, strlen(cpu->name), 0);
    td_out_printf(", %d socket%s, %d cores, %d threads; L2 %.1f MiB, L3 %.1f MiB\n", m->n_socket,
                  m->n_socket > 1 ? "s" : "", m->n_core, m->n_pu, (double)m->l2_bytes / 1048576.0,
                  (double)m->l3_bytes / 1048576.0);
    td_out_printf("%-14s %s in use, %s is the best here, built in: %s\n", "CPU level",
                  j->facts.level, j->facts.best_level, td_cpu_levels());
    td_out_printf("%-14s %d of %d CPUs may be used%s\n", "threads", m->n_allowed, m->n_pu,
                  m->is_container ? ", in a container" : "");
    if (cpu->bandwidth > 0)
        td_out_printf("%-14s reads %.1f GB/s, int8 %.0f Gop/s, float32 %.0f Gop/s\n", "measured",
                      cpu->bandwidth * 1e-9, cpu->int8 * 1e-9, cpu->f32 * 1e-9);
}

static const char *thp_name(td_thp thp) {
    static const char *const names[] = {"unknown", "never", "madvise", "always"};
    return names[thp];
}

static void print_memory(const job *j) {
    const td_machine *m = &j->facts.machine;
    td_out_printf("%-14s %.1f GiB, %.1f GiB free, %.1f GiB for this process\n", "memory",
                  (double)m->memory / gib, (double)m->memory_free / gib,
                  (double)m->memory_allowed / gib);
    td_out_printf("%-14s %d:", "NUMA nodes", m->n_node);
    for (int i = 0; i < m->n_node; i++)
        td_out_printf("%s %.1f GiB", i ? "," : "", (double)m->node_bytes[i] / gib);
    td_out_printf("\n%-14s transparent: %s; reserved: %llu of 2 MiB, %llu of 1 GiB\n", "huge pages",
                  thp_name(m->thp), (unsigned long long)m->huge_2m, (unsigned long long)m->huge_1g);
    if (j->facts.disk > 0) {
        td_out_printf("%-14s %.0f MB/s, reading ", "disk", j->facts.disk * 1e-6);
        td_out_plain(j->disk_file, strlen(j->disk_file), 0);
        td_out_text("\n");
    } else {
        td_out_printf(
            "%-14s not measured: a MODEL, or a file of 16 MiB in this folder, would tell\n",
            "disk");
    }
}

static void print_gpus(const job *j) {
    const td_driver *d = &j->facts.driver;
    if (d->state == TD_DRIVER_STARTS)
        td_out_printf("%-14s NVIDIA's, CUDA %d.%d\n", "driver", d->version / 1000,
                      d->version % 1000 / 10);
    else
        td_out_printf("%-14s %s\n", "driver",
                      d->state == TD_DRIVER_ABSENT ? "none" : "NVIDIA's, out of order");
    for (int i = 0; i < j->facts.hardware.n_gpu; i++) {
        const td_gpu *g = &j->facts.hardware.gpus[i];
        char label[16], why[256];
        snprintf(label, sizeof label, "cuda:%d", i);
        td_out_printf("%-14s ", label);
        td_out_plain(g->name, strlen(g->name), 0);
        td_out_printf(", capability %d.%d, %.1f GiB", g->capability / 10, g->capability % 10,
                      (double)g->memory / gib);
        if (g->bandwidth > 0) td_out_printf(", %.0f GB/s by its data", g->bandwidth * 1e-9);
        td_out_printf("%s\n", td_gpu_excluded(g, why) ? ": excluded" : "");
    }
}

static void print_best(const job *j) {
    const double most = most_parameters(j);
    if (j->path) {
        td_out_printf("%-14s %.1f GiB of weights", "the model", (double)j->facts.model_bytes / gib);
        if (j->decode > 0)
            td_out_printf("; predicted for the CPU: prefill %.3g, decode %.3g tokens/s", j->prefill,
                          j->decode);
        td_out_text("\n");
        return;
    }
    td_out_printf("%-14s Q4_K_M models of up to %.0f billion parameters fit\n", "runs here", most);
    if (decode_rate(j, 1e9) <= 0) return;
    td_out_printf(
        "%-14s decode, predicted: dense 1B %.3g, 8B %.3g, 32B %.3g tokens/s; a mixture of "
        "experts goes by its active parameters\n",
        "", decode_rate(j, 1e9), decode_rate(j, 8e9), decode_rate(j, 32e9));
}

static void print_findings(const job *j) {
    static const char *const kinds[] = {"note", "attention"};
    td_out_text("\n");
    for (int i = 0; i < j->n_finding; i++) {
        const td_finding *f = &j->findings[i];
        td_out_printf("%s: ", kinds[f->kind]);
        td_out_plain(f->what, strlen(f->what), 0);
        td_out_text(".\n");
        if (f->remedy[0]) td_out_printf("  -> %s\n", f->remedy);
    }
    if (!td_doctor_needs_attention(j->findings, j->n_finding))
        td_out_text("Nothing needs attention.\n");
}

static void print_text(const job *j) {
    print_cpu(j);
    print_memory(j);
    print_gpus(j);
    print_best(j);
    print_findings(j);
}

/* ---- JSON ---- */

static void json_text(const char *key, const char *text) {
    td_out_printf("\"%s\": ", key);
    td_out_json(text, strlen(text));
}

static void json_cpu(const job *j) {
    const td_machine *m = &j->facts.machine;
    const td_cpu *cpu = &j->facts.hardware.cpu;
    td_out_text(" \"cpu\": {");
    json_text("name", cpu->name);
    td_out_printf(", \"n_socket\": %d, \"n_core\": %d, \"n_thread\": %d, \"n_allowed\": %d, ",
                  m->n_socket, m->n_core, m->n_pu, m->n_allowed);
    json_text("level", j->facts.level);
    td_out_text(", ");
    json_text("best_level", j->facts.best_level);
    td_out_text(", ");
    json_text("built_in", td_cpu_levels());
    td_out_printf(", \"l2_bytes\": %llu, \"l3_bytes\": %llu,\n  \"read_bandwidth\": %.6g, "
                  "\"int8_peak\": %.6g, \"f32_peak\": %.6g},\n",
                  (unsigned long long)m->l2_bytes, (unsigned long long)m->l3_bytes, cpu->bandwidth,
                  cpu->int8, cpu->f32);
}

static void json_memory(const job *j) {
    const td_machine *m = &j->facts.machine;
    td_out_printf(
        " \"memory\": {\"bytes\": %llu, \"free\": %llu, \"allowed\": %llu, \"is_container\": %s, "
        "\"nodes\": [",
        (unsigned long long)m->memory, (unsigned long long)m->memory_free,
        (unsigned long long)m->memory_allowed, m->is_container ? "true" : "false");
    for (int i = 0; i < m->n_node; i++)
        td_out_printf("%s%llu", i ? ", " : "", (unsigned long long)m->node_bytes[i]);
    td_out_printf(
        "],\n  \"transparent_huge_pages\": \"%s\", \"huge_2m\": %llu, \"huge_1g\": %llu},\n",
        thp_name(m->thp), (unsigned long long)m->huge_2m, (unsigned long long)m->huge_1g);
    td_out_printf(" \"disk\": {\"read_bandwidth\": %.6g, ", j->facts.disk);
    json_text("file", j->disk_file);
    td_out_text("},\n");
}

static void json_gpus(const job *j) {
    static const char *const states[] = {"absent", "broken", "starts"};
    const td_driver *d = &j->facts.driver;
    td_out_printf(" \"driver\": {\"state\": \"%s\", \"cuda\": %d, ", states[d->state], d->version);
    json_text("why_no_gpu", d->why_not);
    td_out_text("},\n \"gpus\": [");
    for (int i = 0; i < j->facts.hardware.n_gpu; i++) {
        const td_gpu *g = &j->facts.hardware.gpus[i];
        char why[256];
        td_out_text(i ? ",\n  {" : "\n  {");
        json_text("name", g->name);
        td_out_printf(
            ", \"capability\": %d, \"memory\": %llu, \"bandwidth\": %.6g, \"usable\": %s}",
            g->capability, (unsigned long long)g->memory, g->bandwidth,
            td_gpu_excluded(g, why) ? "false" : "true");
    }
    td_out_text("],\n");
}

static void print_json(const job *j) {
    td_out_text("{\n");
    json_cpu(j);
    json_memory(j);
    json_gpus(j);
    td_out_printf(
        " \"model_bytes\": %llu, \"predicted_prefill\": %.6g, \"predicted_decode\": %.6g,\n"
        " \"needs_attention\": %s, \"findings\": [",
        (unsigned long long)j->facts.model_bytes, j->prefill, j->decode,
        td_doctor_needs_attention(j->findings, j->n_finding) ? "true" : "false");
    for (int i = 0; i < j->n_finding; i++) {
        const td_finding *f = &j->findings[i];
        td_out_printf("%s\n  {\"attention\": %s, ", i ? "," : "",
                      f->kind == TD_FINDING_ATTENTION ? "true" : "false");
        json_text("what", f->what);
        td_out_text(", ");
        json_text("remedy", f->remedy);
        td_out_text("}");
    }
    td_out_text("]}\n");
}

/* ---- the command ---- */

static int print_page(void) {
    td_strbuf page = {0};
    td_err err;
    td_capability_page(&page);
    const td_status status = td_strbuf_check(&page, "the page", &err);
    if (status == TD_OK) td_out_write(page.text, page.n);
    td_strbuf_clear(&page);
    return status == TD_OK ? TD_EXIT_OK : td_cmd_fail(&err);
}

static int doctor_main(const td_options *o) {
    job j = {.path = td_options_string(o, "model")};
    td_err err;
    if (td_options_bool(o, "gpus-page")) return print_page();
    if (o->n_positional > 0) j.path = o->positional[0];
    if (examine(&j, td_options_bool(o, "measure"), &err) != TD_OK) return td_cmd_fail(&err);
    (td_options_bool(o, "json") ? print_json : print_text)(&j);
    return td_doctor_needs_attention(j.findings, j.n_finding) ? TD_EXIT_FAILURE : TD_EXIT_OK;
}

const td_cmd td_cmd_doctor = {&spec, doctor_main};
