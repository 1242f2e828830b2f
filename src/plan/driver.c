/* driver.c - the few entry points of libcuda that answer questions. */
#include "plan/driver.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76 }; /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_* */

typedef struct driver {
    void *library;
    int (*init)(unsigned flags);
    int (*version)(int *version);
    int (*count)(int *count);
    int (*device)(int *device, int ordinal);
    int (*name)(char *name, int n, int device);
    int (*memory)(size_t *bytes, int device);
    int (*attribute)(int *value, int attribute, int device);
} driver;

static const char *why_not;

/* POSIX lets an object pointer hold a function's; C does not, so it is copied. */
static bool find(void *library, const char *name, void *function) {
    void *p = dlsym(library, name);
    memcpy(function, &p, sizeof p);
    return p != NULL;
}

static bool open_driver(driver *d) {
    *d = (driver){.library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)};
    if (!d->library) {
        why_not = "no NVIDIA driver: libcuda.so.1 was not found";
        return false;
    }
    if (find(d->library, "cuInit", &d->init) &&
        find(d->library, "cuDriverGetVersion", &d->version) &&
        find(d->library, "cuDeviceGetCount", &d->count) &&
        find(d->library, "cuDeviceGet", &d->device) &&
        find(d->library, "cuDeviceGetName", &d->name) &&
        find(d->library, "cuDeviceTotalMem_v2", &d->memory) &&
        find(d->library, "cuDeviceGetAttribute", &d->attribute))
        return true;
    why_not = "the NVIDIA driver is too old: it lacks entry points of CUDA 3.2";
    dlclose(d->library);
    return false;
}

static bool read_gpu(const driver *d, int i, td_driver_gpu *out) {
    int device, major, minor;
    size_t bytes;
    if (d->device(&device, i) != 0 || d->name(out->name, (int)sizeof out->name, device) != 0 ||
        d->memory(&bytes, device) != 0 || d->attribute(&major, ATTRIBUTE_MAJOR, device) != 0 ||
        d->attribute(&minor, ATTRIBUTE_MINOR, device) != 0)
        return false;
    out->name[sizeof out->name - 1] = 0;
    out->capability = 10 * major + minor;
    out->memory = bytes;
    return true;
}

int td_driver_gpus(td_driver_gpu *out, int most) {
    driver d;
    int count = 0, n = 0;
    why_not = NULL;
    if (!open_driver(&d)) return 0;
    if (d.init(0) != 0 || d.count(&count) != 0)
        why_not = "the NVIDIA driver is there but does not start: no device, or no access to it";
    else if (count == 0)
        why_not = "the NVIDIA driver knows no GPU";
    for (int i = 0; i < count && n < most; i++)
        if (read_gpu(&d, i, &out[n])) n++;
    dlclose(d.library);
    return n;
}

int td_driver_version(void) {
    driver d;
    int version = 0;
    why_not = NULL;
    if (!open_driver(&d)) return 0;
    if (d.version(&version) != 0) version = 0;
    dlclose(d.library);
    return version;
}

const char *td_driver_why_not(void) { return why_not; }
