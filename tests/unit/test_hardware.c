/* test_hardware.c - profiles by all their names, requests and the ways to get them wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "plan/driver.h"
#include "plan/hardware.h"

static void test_gpu_names(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"t4",                                 "Tesla T4"        },
        {"Tesla T4",                           "Tesla T4"        },
        {"4090",                               "RTX 4090"        },
        {"rtx-4090",                           "RTX 4090"        },
        {"RTX4090",                            "RTX 4090"        },
        {"NVIDIA GeForce RTX 4090",            "RTX 4090"        },
        {"2080 Ti",                            "RTX 2080 Ti"     },
        {"NVIDIA GeForce RTX 2080",            "RTX 2080"        },
        {"NVIDIA GeForce RTX 2080 SUPER",      NULL              },
        {"NVIDIA GeForce RTX 4090 Laptop GPU", NULL              },
        {"Quadro RTX 8000",                    "Quadro RTX 8000" },
        {"NVIDIA RTX 6000 Ada Generation",     NULL              },
        {"Tesla V100-SXM2-16GB",               "Tesla V100 16 GB"},
        {"Tesla V100-SXM2-32GB",               "Tesla V100 32 GB"},
        {"NVIDIA A100-SXM4-40GB",              "A100 40 GB"      },
        {"NVIDIA A100-SXM4-80GB",              "A100 80 GB SXM"  },
        {"NVIDIA A100 80GB PCIe",              "A100 80 GB PCIe" },
        {"NVIDIA A10",                         "A10"             },
        {"NVIDIA A10G",                        "A10G"            },
        {"NVIDIA L4",                          "L4"              },
        {"NVIDIA L40S",                        "L40S"            },
        {"NVIDIA H100 80GB HBM3",              "H100 SXM"        },
        {"NVIDIA H100 PCIe",                   "H100 PCIe"       },
        {"NVIDIA H100 NVL",                    NULL              },
        {"",                                   NULL              },
        {"NVIDIA",                             NULL              },
        {"a1",                                 NULL              },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        td_gpu gpu;
        const bool found = td_gpu_profile_find(names[i][0], &gpu);
        if (found != (names[i][1] != NULL)) fail_msg("'%s'", names[i][0]);
        if (found) assert_string_equal(gpu.name, names[i][1]);
    }
}

static void test_cpu_names(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"epyc-9654",                                 "EPYC 9654"      },
        {"6454s",                                     "Xeon Gold 6454S"},
        {"Intel(R) Xeon(R) Gold 6454S",               "Xeon Gold 6454S"},
        {"Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "Xeon E5-2680 v4"},
        {"AMD EPYC 7763 64-Core Processor",           "EPYC 7763"      },
        {"AMD Ryzen 9 7950X 16-Core Processor",       "Ryzen 9 7950X"  },
        {"13th Gen Intel(R) Core(TM) i9-13900K",      "Core i9-13900K" },
        {"6230R",                                     NULL             },
        {"AMD EPYC",                                  NULL             },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        td_cpu cpu;
        const bool found = td_cpu_profile_find(names[i][0], &cpu);
        if (found != (names[i][1] != NULL)) fail_msg("'%s'", names[i][0]);
        if (found) assert_string_equal(cpu.name, names[i][1]);
    }
}

/* Each row finds itself by its name and by its first word, and its figures make sense. */
static void test_rows(void **state) {
    (void)state;
    char word[32];
    td_gpu gpu, found;
    td_cpu cpu, found_cpu;
    int n = 0;
    for (; td_gpu_profile_at(n, &gpu); n++) {
        assert_true(td_gpu_profile_find(gpu.name, &found));
        assert_string_equal(found.name, gpu.name);
        assert_true(td_gpu_profile_find(td_gpu_profile_word(n, word), &found));
        assert_string_equal(found.name, gpu.name);
        assert_true(gpu.capability >= 60 && gpu.capability <= 120 && gpu.memory > 0);
        assert_true(gpu.bandwidth > 1e11 && gpu.bandwidth < 1e13 && gpu.f16 > 1e12);
        assert_true((gpu.fp8 > 0) == (gpu.capability >= 89));
        assert_true(gpu.source == TD_FIGURE_SHEET || gpu.source == TD_FIGURE_SYSTEM);
    }
    assert_true(n > 20 && !td_gpu_profile_word(n, word) && !td_gpu_profile_at(-1, &gpu));
    for (n = 0; td_cpu_profile_at(n, &cpu); n++) {
        assert_true(td_cpu_profile_find(cpu.name, &found_cpu));
        assert_string_equal(found_cpu.name, cpu.name);
        assert_true(td_cpu_profile_find(td_cpu_profile_word(n, word), &found_cpu));
        assert_string_equal(found_cpu.name, cpu.name);
        assert_true(cpu.bandwidth > 3e10 && cpu.bandwidth < 1e12 && cpu.int8 >= cpu.f32);
    }
    assert_true(n >= 12 && !td_cpu_profile_word(n, word));
}

static void test_requests(void **state) {
    (void)state;
    td_hardware h;
    td_err err;
    const td_hardware_request two = {.gpus = "2xa10, 1 x 4090", .ram = "512 GiB", .cpu = "2x6454s"};
    assert_int_equal(td_hardware_get(&h, &two, &err), TD_OK);
    assert_int_equal(h.n_gpu, 3);
    assert_string_equal(h.gpus[1].name, "A10");
    assert_string_equal(h.gpus[2].name, "RTX 4090");
    assert_true(h.ram == UINT64_C(512) << 30 && !h.is_real_cpu && !h.is_real_gpu);
    assert_int_equal(h.cpu.n_core, 64);
    assert_string_equal(h.cpu.name, "2 x Xeon Gold 6454S");
    assert_false(td_hardware_is_measured(&h));
    td_hardware_set_rates(&h, 1, 1, 1);
    assert_true(h.cpu.bandwidth > 4e11);
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"64G",  UINT64_C(64) << 30  },
        {"64",   UINT64_C(64) << 30  },
        {"64gb", UINT64_C(64) << 30  },
        {"512M", 512 << 20           },
        {"1.5T", UINT64_C(1536) << 30},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const td_hardware_request r = {.gpus = "none", .ram = sizes[i].text};
        if (td_hardware_get(&h, &r, &err) != TD_OK || h.ram != sizes[i].bytes)
            fail_msg("%s", sizes[i].text);
    }
    assert_true(h.n_gpu == 0 && h.is_real_cpu);
    td_hardware_set_rates(&h, 1e10, 2e10, 3e10);
    assert_true(h.cpu.f32 > 2.9e10 && td_hardware_is_measured(&h));
}

static void test_wrong(void **state) {
    (void)state;
    static const struct {
        td_hardware_request request;
        const char *words;
    } cases[] = {
        {{.gpus = "t5"},                        "did you mean 't4'?"    },
        {{.gpus = "t5"},                        "there are: "           },
        {{.gpus = ""},                          "GPU called ''"         },
        {{.gpus = "a10,"},                      "GPU called ''"         },
        {{.gpus = "0xt4"},                      "'0xt4', wanted 1 to 16"},
        {{.gpus = "9999999999999999999999xt4"}, "wanted 1 to 16"        },
        {{.gpus = "9xt4,8xt4"},                 "wanted 1 to 16"        },
        {{.gpus = "none", .cpu = "9655"},       "did you mean '9654'?"  },
        {{.gpus = "none", .cpu = "0x9654"},     "wanted 1 to 16"        },
        {{.gpus = "none", .ram = "much"},       "'much', wanted a size" },
        {{.gpus = "none", .ram = "-1G"},        "wanted a size"         },
        {{.gpus = "none", .ram = "nan"},        "wanted a size"         },
        {{.gpus = "none", .ram = "64Gx"},       "wanted a size"         },
        {{.gpus = "none", .ram = "2000T"},      "wanted a size"         },
        {{.gpus = "none", .ram = "1e30"},       "wanted a size"         },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_hardware h;
        td_err err;
        assert_int_equal(td_hardware_get(&h, &cases[i].request, &err), TD_ERR_ARGUMENT);
        if (!strstr(err.msg, cases[i].words)) fail_msg("%s: %s", cases[i].words, err.msg);
    }
}

/* A GPU of the driver keeps its own name and memory; one that only shares a profile's name, but has
 * another capability, takes nothing of it. */
static void test_driver_gpus(void **state) {
    (void)state;
    const td_driver driver = {
        .state = TD_DRIVER_STARTS,
        .n_gpu = 3,
        .gpus = {{"Tesla T4", 75, UINT64_C(15) << 30, 3.2e11, 0},
                 {"Strange", 90, 1u << 30, 1e11, 0},
                 {"Tesla T4", 80, 1u << 30, 5e10, 0}},
    };
    td_hardware h = {0};
    td_hardware_take_gpus(&h, &driver);
    assert_true(h.n_gpu == 3 && h.is_real_gpu);
    assert_true(h.gpus[0].f16 > 6e13 && h.gpus[0].memory == UINT64_C(15) << 30);
    assert_true(h.gpus[1].f16 <= 0 && h.gpus[1].bandwidth > 9e10 && h.gpus[1].capability == 90);
    assert_true(h.gpus[2].f16 <= 0 && h.gpus[2].bandwidth < 6e10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpu_names), cmocka_unit_test(test_cpu_names),
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_requests),
        cmocka_unit_test(test_wrong),     cmocka_unit_test(test_driver_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
