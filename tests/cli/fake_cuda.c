/* fake_cuda.c - stands in for libcuda.so.1: answers the driver's questions with what FAKE_CUDA
 * says.
 *
 * FAKE_CUDA is "VERSION INIT[;NAME|CAPABILITY|MIB]...": the CUDA version, what cuInit returns, and
 * the GPUs.  Built by test_doctor_cli.sh, found by LD_LIBRARY_PATH. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gpu {
    char name[80];
    int capability, mib;
} gpu;

static int read_all(int *version, int *init, gpu gpus[8]) {
    const char *at = getenv("FAKE_CUDA");
    int n = 0;
    if (!at || sscanf(at, "%d %d", version, init) != 2) return 0;
    for (at = strchr(at, ';'); at && n < 8; at = strchr(at + 1, ';'))
        n += sscanf(at, ";%79[^|]|%d|%d", gpus[n].name, &gpus[n].capability, &gpus[n].mib) == 3;
    return n;
}

int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int ordinal);
int cuDeviceGetName(char *name, int n, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device);

int cuInit(unsigned flags) {
    gpu gpus[8];
    int version, init = 999;
    read_all(&version, &init, gpus);
    return flags == 0 ? init : 1;
}

int cuDriverGetVersion(int *version) {
    gpu gpus[8];
    int init;
    *version = 0;
    read_all(version, &init, gpus);
    return 0;
}

int cuDeviceGetCount(int *count) {
    gpu gpus[8];
    int version, init;
    *count = read_all(&version, &init, gpus);
    return 0;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return 0;
}

int cuDeviceGetName(char *name, int n, int device) {
    gpu gpus[8];
    int version, init;
    if (device >= read_all(&version, &init, gpus)) return 101;
    snprintf(name, (size_t)n, "%s", gpus[device].name);
    return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    gpu gpus[8];
    int version, init;
    if (device >= read_all(&version, &init, gpus)) return 101;
    *bytes = (size_t)gpus[device].mib << 20;
    return 0;
}

/* 20 compute mode, 36 memory clock in kHz, 37 bus width in bits, 75 and 76 compute capability. */
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    gpu gpus[8];
    int version, init;
    if (device >= read_all(&version, &init, gpus)) return 101;
    *value = attribute == 36   ? 5001000
             : attribute == 37 ? 256
             : attribute == 75 ? gpus[device].capability / 10
             : attribute == 76 ? gpus[device].capability % 10
                               : 0;
    return 0;
}
