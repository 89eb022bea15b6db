/* A libnvidia-ml.so.1 without a driver. FAKE_NVML names the profile, FAKE_NVML_FAIL a function that fails with the code
   FAKE_NVML_ERROR, FAKE_NVML_LOG a file that gets the name of every function called. Enough of NVML's ABI for pynvml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB 1073741824ULL
#define MIB 1048576ULL

typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { const char *name, *uuid; unsigned long long total, reserved, used; int major, minor, mig, lost, unified; } device;

static device T4[] = {{"Tesla T4", "GPU-11111111-aaaa", 15360 * MIB, 450 * MIB, 0, 7, 5, -1, 0, 0}};
static device A100[] = {
    {"NVIDIA A100-SXM4-40GB", "GPU-22222222-aaaa", 40960 * MIB, 571 * MIB, 0, 8, 0, 2, 0, 0},
    {"NVIDIA A100-SXM4-40GB", "GPU-22222222-bbbb", 40960 * MIB, 571 * MIB, 4 * GIB, 8, 0, 0, 0, 0}};
static device SLICES[] = {
    {"NVIDIA A100-SXM4-40GB MIG 3g.20gb", "MIG-33333333-aaaa", 20096 * MIB, 0, 25 * MIB, 8, 0, -1, 0, 0},
    {"NVIDIA A100-SXM4-40GB MIG 1g.5gb", "MIG-33333333-bbbb", 4864 * MIB, 0, 12 * MIB, 8, 0, -1, 0, 0}};
static device H100[8];
static device SPARK[] = {{"NVIDIA GB10", "GPU-55555555-aaaa", 0, 0, 0, 12, 1, -1, 0, 1}};

static const char *profile(void) { const char *p = getenv("FAKE_NVML"); return p ? p : "T4"; }

static device *devices(unsigned *count) {
    const char *p = profile();
    if (!strcmp(p, "A100-MIG")) { *count = 2; return A100; }
    if (!strcmp(p, "GB10")) { *count = 1; return SPARK; }
    if (!strcmp(p, "NONE")) { *count = 0; return T4; }
    if (!strcmp(p, "8xH100") || !strcmp(p, "LOST")) {
        static char uuids[8][32];
        for (int i = 0; i < 8; i++) {
            snprintf(uuids[i], sizeof uuids[i], "GPU-44444444-%04d", i);
            H100[i] = (device){"NVIDIA H100 80GB HBM3", uuids[i], 81559 * MIB, 551 * MIB, i * GIB, 9, 0, 0,
                               !strcmp(p, "LOST") && i == 3, 0};
        }
        *count = 8; return H100;
    }
    *count = 1; return T4;
}

static int enter(const char *function) {
    const char *log = getenv("FAKE_NVML_LOG"), *fail = getenv("FAKE_NVML_FAIL"), *code = getenv("FAKE_NVML_ERROR");
    if (log) { FILE *f = fopen(log, "a"); if (f) { fprintf(f, "%s\n", function); fclose(f); } }
    return fail && !strcmp(fail, function) ? (code ? atoi(code) : 999) : 0;
}

#define ENTER do { int e = enter(__func__); if (e) return e; } while (0)

const char *nvmlErrorString(int code) {
    switch (code) {
        case 3: return "Not Supported";
        case 4: return "Insufficient Permissions";
        case 9: return "Driver Not Loaded";
        case 15: return "GPU is lost";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER; return strcmp(profile(), "MISMATCH") ? 0 : 18; }
int nvmlShutdown(void) { ENTER; return 0; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { ENTER; snprintf(out, n, "570.124.06"); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { ENTER; *out = 12080; return 0; }
int nvmlDeviceGetCount_v2(unsigned *out) { ENTER; devices(out); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, device **out) {
    ENTER; unsigned n; device *d = devices(&n);
    if (i >= n) return 2;
    if (d[i].lost) return 15;
    *out = d + i; return 0;
}
int nvmlDeviceGetName(device *d, char *out, unsigned n) { ENTER; snprintf(out, n, "%s", d->name); return 0; }
int nvmlDeviceGetUUID(device *d, char *out, unsigned n) { ENTER; snprintf(out, n, "%s", d->uuid); return 0; }
int nvmlDeviceGetMemoryInfo(device *d, memory_v1 *m) {
    ENTER; if (d->unified) return 3;
    *m = (memory_v1){d->total, d->total - d->reserved - d->used, d->reserved + d->used}; return 0;
}
int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *m) {
    ENTER; if (d->unified) return 3;
    m->total = d->total; m->reserved = d->reserved; m->used = d->used; m->free = d->total - d->reserved - d->used; return 0;
}
int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) { ENTER; *major = d->major; *minor = d->minor; return 0; }
int nvmlDeviceGetMigMode(device *d, unsigned *now, unsigned *pending) {
    ENTER; if (d->mig < 0) return 3;
    *now = *pending = d->mig > 0; return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *n) { ENTER; *n = d->mig < 0 ? 0 : 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned i, device **out) {
    ENTER; if (d->mig <= 0 || i >= (unsigned)d->mig) return 6;
    *out = SLICES + i; return 0;
}
