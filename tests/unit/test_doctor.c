/* test_doctor.c - findings of machines that are written down here, and a /sys and /proc of ours. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan/doctor.h"

static const uint64_t gib = UINT64_C(1) << 30;

/* A machine with which all is well. */
static td_doctor_facts sound(void) {
    return (td_doctor_facts){
        .machine = {.n_socket = 1,
                    .n_core = 8,
                    .n_pu = 8,
                    .n_affine = 8,
                    .n_allowed = 8,
                    .n_node = 1,
                    .memory = 64 * gib,
                    .memory_free = 60 * gib,
                    .memory_allowed = 60 * gib,
                    .thp = TD_THP_MADVISE},
        .driver = {.state = TD_DRIVER_ABSENT,
                    .why_not = "no NVIDIA driver: libcuda.so.1 was not found"},
        .level = "avx2",
        .best_level = "avx2",
        .disk = 2e9,
    };
}

static void take_gpu(td_doctor_facts *f, const char *name, int capability) {
    f->driver = (td_driver){.state = TD_DRIVER_STARTS, .version = 12040, .n_gpu = 1};
    snprintf(f->driver.gpus[0].name, sizeof f->driver.gpus[0].name, "%s", name);
    f->driver.gpus[0].capability = capability;
    f->driver.gpus[0].memory = 16 * gib;
    td_hardware_take_gpus(&f->hardware, &f->driver);
}

/* The finding with these words; NULL: none. */
static const td_finding *find(const td_finding *findings, int n, const char *words) {
    for (int i = 0; i < n; i++)
        if (strstr(findings[i].what, words)) return &findings[i];
    return NULL;
}

static void expect(const td_doctor_facts *f, td_finding_kind kind, const char *words,
                   const char *remedy) {
    td_finding findings[TD_MAX_FINDINGS];
    const int n = td_doctor_examine(f, findings);
    const td_finding *found = find(findings, n, words);
    if (!found) fail_msg("'%s' is not found", words);
    assert_int_equal(found->kind, kind);
    if (!strstr(found->remedy, remedy)) fail_msg("'%s' is not in '%s'", remedy, found->remedy);
    assert_int_equal(td_doctor_needs_attention(findings, n),
                     findings[0].kind == TD_FINDING_ATTENTION);
    if (kind == TD_FINDING_ATTENTION) assert_true(td_doctor_needs_attention(findings, n));
}

static void test_sound(void **state) {
    (void)state;
    td_finding findings[TD_MAX_FINDINGS];
    td_doctor_facts f = sound();
    int n = td_doctor_examine(&f, findings);
    assert_int_equal(n, 1);
    assert_non_null(find(findings, n, "the CPU runs all of a model"));
    assert_false(td_doctor_needs_attention(findings, n));
    take_gpu(&f, "NVIDIA GeForce RTX 4090", 89);
    n = td_doctor_examine(&f, findings);
    assert_int_equal(n, 1);
    assert_non_null(find(findings, n, "no GPU kernels yet"));
}

static void test_gpus(void **state) {
    (void)state;
    td_doctor_facts f = sound();
    f.machine.n_nvidia = 2;
    expect(&f, TD_FINDING_ATTENTION, "2 NVIDIA GPUs are on the PCI bus, but libcuda.so.1",
           "install NVIDIA's driver");
    f.machine.is_container = true;
    expect(&f, TD_FINDING_ATTENTION, "on the PCI bus", "--gpus all");
    take_gpu(&f, "Tesla T4", 75);
    expect(&f, TD_FINDING_NOTE, "stay quantized", "");
    f.driver.version = 11040;
    expect(&f, TD_FINDING_ATTENTION, "knows CUDA 11.4, GPU kernels will want 12.0", "525");
    f.driver.gpus[0].is_closed = 1;
    expect(&f, TD_FINDING_ATTENTION, "closed to programs", "nvidia-smi -c 0");
    take_gpu(&f, "Tesla V100-SXM2-16GB", 70);
    expect(&f, TD_FINDING_ATTENTION, "compute capability 7.0", "");
}

static void test_cpu_and_memory(void **state) {
    (void)state;
    td_doctor_facts f = sound();
    f.best_level = "avx512vnni";
    expect(&f, TD_FINDING_ATTENTION, "lowered to avx2", "unset TD_CPU");
    f = sound();
    f.level = f.best_level = "scalar";
    expect(&f, TD_FINDING_ATTENTION, "no AVX2", "AVX2");
    f = sound();
    f.machine.n_allowed = 2;
    expect(&f, TD_FINDING_NOTE, "2 of 8 CPUs", "--cpus");
    f.machine.n_affine = f.machine.n_allowed;
    expect(&f, TD_FINDING_NOTE, "may run on 2 of 8", "taskset");
    f = sound();
    f.machine.n_core = 4;
    expect(&f, TD_FINDING_NOTE, "share 4 cores", "");
    f.machine.n_node = 2;
    expect(&f, TD_FINDING_NOTE, "2 NUMA nodes", "--interleave=all");
    f.machine.memory_allowed = gib;
    expect(&f, TD_FINDING_ATTENTION, "1.0 GiB of memory are left", "memory limit");
    expect(&f, TD_FINDING_NOTE, "a limit leaves 1.0 GiB", "ulimit");
    f = sound();
    f.model_bytes = 58 * gib;
    expect(&f, TD_FINDING_ATTENTION, "58.0 GiB of weights", "--experts-on-disk");
    f.machine.thp = TD_THP_NEVER;
    expect(&f, TD_FINDING_NOTE, "huge pages are off", "madvise");
    f.machine.huge_1g = 40;
    expect(&f, TD_FINDING_ATTENTION, "40.0 GiB are reserved", "nr_hugepages");
    f.disk = 1e8;
    expect(&f, TD_FINDING_ATTENTION, "100 MB/s", "SSD");
    f.model_trouble = "no such architecture";
    expect(&f, TD_FINDING_ATTENTION, "no such architecture", "");
}

/* ---- the machine's files ---- */

static void put(const char *root, const char *path, const char *text) {
    char full[600];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        (void)mkdir(full, 0755);
        *at = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_files(void **state) {
    (void)state;
    char root[] = "/tmp/td-machine-XXXXXX", command[64];
    td_machine m;
    assert_non_null(mkdtemp(root));
    td_machine_read(&m, root);
    assert_true(m.memory == 0 && m.thp == TD_THP_UNKNOWN && m.n_nvidia == 0 && !m.is_container);
    assert_true(m.n_core >= 1 && m.n_pu >= m.n_core && m.n_node >= 1 && m.n_allowed >= 1);
    put(root, "/proc/meminfo",
        "MemTotal: 2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n"
        "SwapTotal: 300 kB\nSwapFree: 100 kB\n");
    put(root, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    put(root, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "7\n");
    put(root, "/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    put(root, "/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
    put(root, "/sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n");
    put(root, "/sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n");
    put(root, "/sys/bus/pci/devices/0000:02:00.0/vendor", "0x1002\n");
    put(root, "/sys/bus/pci/devices/0000:02:00.0/class", "0x030000\n");
    put(root, "/run/.containerenv", "");
    put(root, "/sys/devices/system/cpu/online", "0-1,4-5\n");
    for (int i = 0; i < 6; i++) {
        static const char *const files[][2] = {
            {"topology/thread_siblings_list", "0,4"  },
            {"topology/thread_siblings_list", "1,5"  },
            {"topology/core_siblings_list",   "0,4"  },
            {"topology/core_siblings_list",   "1,5"  },
            {"cache/index2/shared_cpu_list",  "0,4"  },
            {"cache/index2/shared_cpu_list",  "1,5"  },
            {"cache/index3/shared_cpu_list",  "0-1,4"},
            {"cache/index3/shared_cpu_list",  "0-1,4"},
            {"cache/index2/level",            "2"    },
            {"cache/index2/level",            "2"    },
            {"cache/index2/size",             "1024K"},
            {"cache/index2/size",             "1024K"},
            {"cache/index3/level",            "3"    },
            {"cache/index3/level",            "3"    },
            {"cache/index3/size",             "32M"  },
            {"cache/index3/size",             "32M"  },
        };
        for (size_t j = (size_t)i % 2; j < sizeof files / sizeof files[0]; j += 2) {
            char path[128];
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", i, files[j][0]);
            put(root, path, files[j][1]);
        }
    }
    put(root, "/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       1024 kB\n");
    put(root, "/sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:       512 kB\n");
    td_machine_read(&m, root);
    assert_true(m.memory == 2048 << 10 && m.memory_free == 1024 << 10 && m.swap_used == 200 << 10);
    assert_true(m.thp == TD_THP_MADVISE && m.huge_2m == 7 && m.huge_1g == 0);
    assert_true(m.n_nvidia == 1 && m.is_container && !m.has_nvidia_devices);
    assert_true(m.n_pu == 4 && m.n_core == 2 && m.n_socket == 2);
    assert_true(m.l2_bytes == 2 << 20 && m.l3_bytes == 32 << 20);
    assert_true(m.n_node == 2 && m.node_bytes[0] == 1 << 20 && m.node_bytes[1] == 1 << 19);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_gpus),
        cmocka_unit_test(test_cpu_and_memory),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
