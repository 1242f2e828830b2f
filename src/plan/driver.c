/* driver.c - the few entry points of libcuda that answer questions. */
#include "plan/driver.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Attributes of cuDeviceGetAttribute. */
enum {
    COMPUTE_MODE = 20, /* 2: prohibited */
    MEMORY_CLOCK = 36, /* kHz */
    BUS_WIDTH = 37,    /* bits */
    MAJOR = 75,
    MINOR = 76
};

/* Lifetime: the call. */
typedef struct entry_points {
    void *library;
    int (*init)(unsigned flags);
    int (*version)(int *version);
    int (*count)(int *count);
    int (*device)(int *device, int ordinal);
    int (*name)(char *name, int n, int device);
    int (*memory)(size_t *bytes, int device);
    int (*attribute)(int *value, int attribute, int device);
} entry_points;

/* What cuInit and cuDeviceGetCount answer when there is trouble. */
static const struct {
    int code;
    const char *sentence;
} troubles[] = {
    {100, "the NVIDIA driver sees no GPU: in a container start it with access to the GPUs (docker "
          "run --gpus all), else look whether CUDA_VISIBLE_DEVICES hides them"         },
    {304, "the NVIDIA driver gets no access to the GPU: look at the permissions of /dev/nvidia*"},
    {802, "the GPUs are not ready: start NVIDIA's Fabric Manager (nvidia-fabricmanager)"        },
    {803, "the NVIDIA driver's library and kernel module are of different versions: restart the "
          "machine, or in a container update its host's driver"                        },
    {804, "this CUDA compatibility package does not work with this GPU: remove cuda-compat from "
          "the library path"                                                           },
    {999, "the NVIDIA driver does not start: is its kernel module loaded (modprobe nvidia "
          "nvidia-uvm)?"                                                               },
};

static void say_trouble(td_driver *out, int code) {
    out->state = TD_DRIVER_BROKEN;
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++)
        if (troubles[i].code == code) {
            snprintf(out->why_not, sizeof out->why_not, "%s", troubles[i].sentence);
            return;
        }
    snprintf(out->why_not, sizeof out->why_not,
             "the NVIDIA driver does not start: error %d of cuInit; does nvidia-smi work?", code);
}

/* POSIX lets an object pointer hold a function's; C does not, so it is copied. */
static bool find(void *library, const char *name, void *function) {
    void *p = dlsym(library, name);
    memcpy(function, &p, sizeof p);
    return p != NULL;
}

/* NODELETE: the driver may have left threads or handlers behind. */
static void *open_library(void) {
    static const char *const paths[] = {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",
                                        "/run/opengl-driver/lib/libcuda.so.1"};
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof paths / sizeof paths[0]; i++)
        library = dlopen(paths[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return library;
}

static bool find_all(entry_points *e) {
    return find(e->library, "cuInit", &e->init) &&
           find(e->library, "cuDriverGetVersion", &e->version) &&
           find(e->library, "cuDeviceGetCount", &e->count) &&
           find(e->library, "cuDeviceGet", &e->device) &&
           find(e->library, "cuDeviceGetName", &e->name) &&
           find(e->library, "cuDeviceTotalMem_v2", &e->memory) &&
           find(e->library, "cuDeviceGetAttribute", &e->attribute);
}

static bool read_gpu(const entry_points *e, int i, td_driver_gpu *out) {
    int device, major, minor, clock, width, mode;
    size_t bytes;
    *out = (td_driver_gpu){0};
    if (e->device(&device, i) != 0 || e->name(out->name, (int)sizeof out->name, device) != 0 ||
        e->memory(&bytes, device) != 0 || e->attribute(&major, MAJOR, device) != 0 ||
        e->attribute(&minor, MINOR, device) != 0)
        return false;
    out->name[sizeof out->name - 1] = 0;
    out->capability = 10 * major + minor;
    out->memory = bytes;
    /* Data goes over the bus at both edges of the clock. */
    if (e->attribute(&clock, MEMORY_CLOCK, device) == 0 &&
        e->attribute(&width, BUS_WIDTH, device) == 0 && clock > 0 && width > 0)
        out->bandwidth = 2.0 * clock * 1e3 * width / 8;
    out->is_closed = e->attribute(&mode, COMPUTE_MODE, device) == 0 && mode == 2;
    return true;
}

static void ask(td_driver *out, const entry_points *e) {
    int count = 0;
    if (e->version(&out->version) != 0) out->version = 0;
    int code = e->init(0);
    if (code == 0) code = e->count(&count);
    if (code != 0) {
        say_trouble(out, code);
        return;
    }
    out->state = TD_DRIVER_STARTS;
    for (int i = 0; i < count && out->n_gpu < TD_DRIVER_MOST; i++)
        if (read_gpu(e, i, &out->gpus[out->n_gpu])) out->n_gpu++;
    if (out->n_gpu == 0)
        snprintf(out->why_not, sizeof out->why_not,
                 "the NVIDIA driver knows no GPU: look whether CUDA_VISIBLE_DEVICES hides it");
}

void td_driver_read(td_driver *out) {
    entry_points e = {.library = open_library()};
    *out = (td_driver){.state = TD_DRIVER_ABSENT};
    if (!e.library) {
        snprintf(out->why_not, sizeof out->why_not, "no NVIDIA driver: libcuda.so.1 was not found");
        return;
    }
    if (find_all(&e)) {
        ask(out, &e);
    } else {
        out->state = TD_DRIVER_BROKEN;
        snprintf(out->why_not, sizeof out->why_not,
                 "libcuda.so.1 lacks entry points of CUDA 3.2: install a driver of NVIDIA's, 525 "
                 "or later");
    }
    dlclose(e.library);
}
