/* check.c - the harness: cases, crashes, memory, data, comparisons. */
#include "kernel/check.h"

#include <fnmatch.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tensor/quantize.h"

enum { REGION_BYTES = 48 << 20, CANARY_BYTE = 0xa5 };

/* ---- crashes ---- */

/* Where a signal jumps back to, while a kernel runs. */
static sigjmp_buf crash_jump;
static volatile sig_atomic_t in_kernel;

static void on_signal(int sig) {
    if (!in_kernel) {
        signal(sig, SIG_DFL);
        raise(sig);
        return;
    }
    in_kernel = 0;
    siglongjmp(crash_jump, sig);
}

static void catch_signals(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

bool check_catches_crashes(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    catch_signals();
    sigaction(SIGSEGV, NULL, &action);
    return action.sa_handler == on_signal;
}

bool check_call(check *c, const char *level, void (*fn)(void *), void *arg) {
    c->level = level;
    c->failed = false;
    if (level) c->runs++, c->slot_runs++;
    const int sig = sigsetjmp(crash_jump, 1);
    if (sig) {
        check_fail(c, "crashed: signal %d", sig);
        return false;
    }
    in_kernel = 1;
    fn(arg);
    in_kernel = 0;
    return true;
}

void check_fail(check *c, const char *fmt, ...) {
    if (c->failed) return;
    c->failed = true;
    c->failures++;
    if (!c->options.out) return;
    const char *level = c->level ? c->level : "scalar";
    fprintf(c->options.out, "FAILED %s on %s: ", c->name, level);
    va_list args;
    va_start(args, fmt);
    vfprintf(c->options.out, fmt, args);
    va_end(args);
    fprintf(c->options.out, "\n  repeat: td-check --seed %llu --case '%s' --level %s\n",
            (unsigned long long)c->options.seed, c->name, level);
}

/* ---- cases ---- */

void check_init(check *c, const check_options *options) {
    *c = (check){.options = *options};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < CHECK_N_REGION; i++) {
        uint8_t *base = mmap(NULL, REGION_BYTES + page, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED || mprotect(base + REGION_BYTES, page, PROT_NONE) != 0) {
            perror("td-check: memory for the cases");
            exit(2);
        }
        c->region_end[i] = base + REGION_BYTES;
    }
    c->expected = malloc(REGION_BYTES);
    if (!c->expected) exit(2);
    td_kernels_ref(&c->ref);
    catch_signals();
}

void check_clear(check *c) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < CHECK_N_REGION; i++)
        munmap(c->region_end[i] - REGION_BYTES, REGION_BYTES + page);
    free(c->expected);
}

int check_fill_levels(check *c, bool verbose) {
    int n, lacking = 0;
    const td_cpu_level_info *infos = td_cpu_level_list(&n);
    const unsigned has = td_cpu_detect();
    for (int i = 0; i < n; i++) {
        if (infos[i].flags == TD_CPU_SCALAR) continue; /* the reference itself */
        if ((infos[i].flags & has) != infos[i].flags) {
            lacking++;
            if (verbose) printf("skipped: %s (this machine does not have it)\n", infos[i].name);
            continue;
        }
        if (c->options.level && strcmp(c->options.level, infos[i].name) != 0) continue;
        check_level *level = &c->levels[c->n_level++];
        level->name = infos[i].name;
        td_kernels_fill(&level->table, infos[i].flags);
    }
    return lacking;
}

bool check_run(check *c, bool verbose) {
    const int64_t failures = c->failures;
    for (int i = 0; i < n_check_slots; i++) {
        const check_slot *slot = &check_slots[i];
        if (c->options.slot && fnmatch(c->options.slot, slot->name, 0) != 0) continue;
        c->slot = slot->name;
        c->slot_runs = 0;
        slot->run(c, slot);
        if (verbose && !c->options.list)
            printf("%-20s %8lld runs\n", slot->name, (long long)c->slot_runs);
        if (c->options.stop && c->failures > failures) break;
    }
    return c->failures == failures;
}

static uint64_t hash_text(const char *s, uint64_t h) {
    for (; *s; s++) h = (h ^ (uint8_t)*s) * 0x100000001b3u;
    return h;
}

bool check_begin(check *c, const char *fmt, ...) {
    if (c->options.stop && c->failures > 0) return false;
    const int n = snprintf(c->name, sizeof c->name, "%s/", c->slot);
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->name + n, sizeof c->name - (size_t)n, fmt, args);
    va_end(args);
    if (c->options.name && fnmatch(c->options.name, c->name, 0) != 0) return false;
    if (c->options.list) {
        puts(c->name);
        return false;
    }
    c->rng = hash_text(c->name, 0xcbf29ce484222325u + c->options.seed);
    c->failed = false;
    c->level = NULL;
    return true;
}

check_any_fn *check_fn_at(const td_kernels *t, size_t offset) {
    check_any_fn *fn;
    memcpy(&fn, (const char *)t + offset, sizeof fn);
    return fn;
}

bool check_is_variant(const check *c, int i_level, size_t offset) {
    check_any_fn *fn = check_fn_at(&c->levels[i_level].table, offset);
    if (fn == check_fn_at(&c->ref, offset)) return false;
    for (int i = 0; i < i_level; i++)
        if (fn == check_fn_at(&c->levels[i].table, offset)) return false;
    return true;
}

/* ---- data ---- */

/* splitmix64 */
uint64_t check_random(check *c) {
    uint64_t z = c->rng += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int check_random_int(check *c, int lo, int hi) {
    return lo + (int)(check_random(c) % (uint64_t)(hi - lo + 1));
}

/* The sum of four uniform 16-bit numbers, scaled to variance 1. */
float check_random_normal(check *c) {
    const uint64_t r = check_random(c);
    const int sum = (int)(r & 0xffff) + (int)(r >> 16 & 0xffff) + (int)(r >> 32 & 0xffff) +
                    (int)(r >> 48) - 131070;
    return (float)sum * 2.6429e-5f;
}

const char *check_data_name(check_data kind) {
    static const char *const names[N_CHECK_DATA] = {"normal", "zero",    "huge", "denormal",
                                                    "bits",   "softmax", "ties"};
    return names[kind];
}

static float random_float(check *c, check_data kind) {
    const float x = check_random_normal(c);
    float special;
    const uint32_t bits = (uint32_t)check_random(c);
    uint32_t tie;
    switch (kind) {
    case DATA_ZERO: return bits & 1 ? -0.0f : 0.0f;
    case DATA_HUGE: return x * 0x1p126f;
    case DATA_DENORMAL: return bits & 1 ? x * 0x1p-130f : x * 0x1p-75f;
    case DATA_BITS: memcpy(&special, &bits, 4); return special;
    case DATA_SOFTMAX: return (bits & 7) == 0 ? -INFINITY : x * 20;
    case DATA_TIES:
        if ((bits & 7) == 0) return 127;
        if (bits & 8) return (float)check_random_int(c, -254, 254) * 0.5f;
        special = x * 20;
        memcpy(&tie, &special, 4);
        tie = (tie & ~0x1fffu) | 0x1000;
        memcpy(&special, &tie, 4);
        return special;
    default: return x;
    }
}

void check_fill_floats(check *c, float *x, size_t n, check_data kind) {
    for (size_t i = 0; i < n; i++) x[i] = random_float(c, kind);
}

void check_fill_halves(check *c, uint16_t *x, size_t n, check_data kind) {
    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case DATA_BITS: x[i] = (uint16_t)check_random(c); break;
        case DATA_HUGE: x[i] = td_f32_to_f16(check_random_normal(c) * 30000); break;
        case DATA_DENORMAL: x[i] = td_f32_to_f16(check_random_normal(c) * 0x1p-16f); break;
        default: x[i] = td_f32_to_f16(random_float(c, kind)); break;
        }
    }
}

/* ---- memory ---- */

void *check_place(check *c, int i, size_t bytes, size_t slack) {
    if (bytes + slack > REGION_BYTES) {
        fprintf(stderr, "td-check: case %s wants %zu bytes, a region has %d\n", c->name, bytes,
                (int)REGION_BYTES);
        exit(2);
    }
    return c->region_end[i] - bytes - slack;
}

void *check_output(check *c, int i, size_t bytes) {
    uint8_t *p = check_place(c, i, bytes + 2 * CHECK_CANARY, 0);
    memset(p, CANARY_BYTE, bytes + 2 * CHECK_CANARY);
    return p + CHECK_CANARY;
}

void check_keep_expected(check *c, const void *output, size_t bytes) {
    memcpy(c->expected, (const uint8_t *)output - CHECK_CANARY, bytes + 2 * CHECK_CANARY);
    for (size_t i = 0; i < CHECK_CANARY; i++)
        if (c->expected[i] != CANARY_BYTE || c->expected[CHECK_CANARY + bytes + i] != CANARY_BYTE)
            check_fail(c, "the reference wrote outside its output");
}

static bool is_nan32(uint32_t u) { return (u & 0x7fffffff) > 0x7f800000; }
static bool is_nan16(unsigned u) { return (u & 0x7fff) > 0x7c00; }

/* Element i of both: true if they count as equal. */
static bool same_element(const uint8_t *a, const uint8_t *b, size_t i, check_type type) {
    if (type == CHECK_FLOAT) {
        uint32_t x, y;
        memcpy(&x, a + 4 * i, 4);
        memcpy(&y, b + 4 * i, 4);
        return x == y || (is_nan32(x) && is_nan32(y));
    }
    if (type == CHECK_HALF) {
        uint16_t x, y;
        memcpy(&x, a + 2 * i, 2);
        memcpy(&y, b + 2 * i, 2);
        return x == y || (is_nan16(x) && is_nan16(y));
    }
    return a[i] == b[i];
}

static void fail_element(check *c, const uint8_t *want, const uint8_t *got, size_t i,
                         check_type type) {
    if (type == CHECK_FLOAT) {
        uint32_t x, y;
        float fx, fy;
        memcpy(&x, want + 4 * i, 4);
        memcpy(&y, got + 4 * i, 4);
        memcpy(&fx, &x, 4);
        memcpy(&fy, &y, 4);
        check_fail(c, "float %zu: wanted %.9g (%08x), got %.9g (%08x)", i, (double)fx, x,
                   (double)fy, y);
    } else {
        const size_t w = type == CHECK_HALF ? 2 : 1;
        check_fail(c, "element %zu: wanted %02x%02x, got %02x%02x", i, w > 1 ? want[w * i + 1] : 0,
                   want[w * i], w > 1 ? got[w * i + 1] : 0, got[w * i]);
    }
}

void check_compare(check *c, const void *output, size_t bytes, check_type type) {
    const uint8_t *got = output, *want = c->expected + CHECK_CANARY;
    if (memcmp(got - CHECK_CANARY, c->expected, CHECK_CANARY) != 0)
        check_fail(c, "wrote before its output");
    if (memcmp(got + bytes, want + bytes, CHECK_CANARY) != 0)
        check_fail(c, "wrote past its output");
    if (memcmp(got, want, bytes) == 0) return;
    const size_t size = type == CHECK_FLOAT ? 4 : type == CHECK_HALF ? 2 : 1;
    for (size_t i = 0; i < bytes / size; i++) {
        if (same_element(want, got, i, type)) continue;
        fail_element(c, want, got, i, type);
        return;
    }
}
