/* A libcuda without a GPU, in the memory of the process: the entry points that the project calls, with the types of
 * cuda.h. It keeps the rules: a call needs a context on its thread, a copy needs pinned memory and stays inside what it
 * touches, work is done only when somebody waits, a capture runs nothing and forbids what a device forbids.
 * Its "cubin" is the path of a library with the kernels of engines/csrc/host.cpp. Each piece of work takes 0.25 ms. */

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct Context { int retained; } *CUcontext;

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
       INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, CAPTURE_UNSUPPORTED = 900 };

enum Kind { DEVICE, PINNED, STREAM, EVENT, GRAPH, EXECUTABLE, MODULE, KINDS };
typedef struct Thing { struct Thing *next; enum Kind kind; char *at; size_t size; } Thing;

enum What { COPY, RECORD, KERNEL };
typedef struct Work { enum What what; char *to, *from; size_t size; struct Event *event;
                      void *code; int tabulates; unsigned grid[3]; uint64_t pointers[4]; int filter; char output[96]; } Work;
typedef struct Queue { Work *work; size_t count; } Queue;
typedef struct Stream { Queue queue, *captured; } *CUstream;
typedef struct Event { int passed; double ms; } *CUevent;
typedef struct Function { void *code; int tabulates; } *CUfunction;
typedef struct Module { void *library; struct Function found[16]; int count; } *CUmodule;

static struct Context context;
static Thing *things;
static size_t memory_bytes = 1 << 27, used_bytes;
static int initialized, failing;
static double clock_ms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread CUcontext stack[8];
static __thread int depth, capturing;

/* -- for the tests ---------------------------------------------------------------------------------------------- */

void fake_reset(size_t bytes) { memory_bytes = bytes; failing = 0; }
void fake_fail(int code) { failing = code; } /* every cuInit from now on */
int fake_retained(void) { return context.retained; }
int fake_depth(void) { return depth; }
int fake_live(void) {
    int count = 0;
    for (Thing *t = things; t; t = t->next) count++;
    return count;
}

/* -- what is there ---------------------------------------------------------------------------------------------- */

static void *made(enum Kind kind, void *at, size_t size) {
    Thing *thing = malloc(sizeof *thing);
    pthread_mutex_lock(&lock);
    *thing = (Thing){things, kind, at, size};
    things = thing;
    pthread_mutex_unlock(&lock);
    return at;
}

static Thing *holding(enum Kind kind, const void *at, size_t size) {
    for (Thing *t = things; t; t = t->next) {
        if (t->kind == kind && (char *)at >= t->at && (char *)at + size <= t->at + t->size) return t;
    }
    return NULL;
}

static int is(enum Kind kind, const void *at) {
    Thing *found = holding(kind, at, 0);
    return found && found->at == at;
}

static CUresult gone(enum Kind kind, void *at) {
    for (Thing **t = &things; *t; t = &(*t)->next) {
        if ((*t)->kind != kind || (*t)->at != at) continue;
        Thing *thing = *t;
        *t = thing->next;
        if (kind == DEVICE) used_bytes -= thing->size;
        free(thing);
        free(at);
        return OK;
    }
    return INVALID_VALUE;
}

#define CURRENT() if (!depth || !context.retained) return INVALID_CONTEXT
#define NOT_WHILE_CAPTURING() if (capturing) return CAPTURE_UNSUPPORTED

static CUresult enqueue(CUstream stream, Work work) {
    if (!is(STREAM, stream)) return INVALID_HANDLE;
    Queue *queue = stream->captured ? stream->captured : &stream->queue;
    queue->work = realloc(queue->work, (queue->count + 1) * sizeof(Work));
    queue->work[queue->count++] = work;
    return OK;
}

/* -- the driver ------------------------------------------------------------------------------------------------- */

CUresult cuInit(unsigned flags) {
    if (failing) return failing;
    initialized = 1;
    return flags ? INVALID_VALUE : OK;
}
CUresult cuDriverGetVersion(int *version) { return *version = 12060, OK; }
CUresult cuDeviceGetCount(int *count) { return *count = 1, initialized ? OK : NOT_INITIALIZED; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    if (!initialized) return NOT_INITIALIZED;
    return *device = 0, ordinal ? INVALID_DEVICE : OK;
}
CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    return strncpy(name, "Fake Orin", size), device ? INVALID_DEVICE : OK;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    if (device || (attribute != 75 && attribute != 76)) return INVALID_VALUE;
    return *value = attribute == 75 ? 8 : 7, OK;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    return *bytes = memory_bytes, device ? INVALID_DEVICE : OK;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *found, CUdevice device) {
    return *found = &context, context.retained++, device ? INVALID_DEVICE : OK;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    return !device && context.retained > 0 ? context.retained--, OK : INVALID_CONTEXT;
}
CUresult cuCtxPushCurrent_v2(CUcontext given) {
    if (given != &context || !context.retained || depth == 8) return INVALID_CONTEXT;
    return stack[depth++] = given, OK;
}
CUresult cuCtxPopCurrent_v2(CUcontext *found) {
    return depth ? *found = stack[--depth], OK : INVALID_CONTEXT;
}

CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE" : error == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT"
          : error == INVALID_IMAGE ? "CUDA_ERROR_INVALID_IMAGE" : error == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND"
          : error == CAPTURE_UNSUPPORTED ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" : NULL;
    return *text ? OK : INVALID_VALUE;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == INVALID_IMAGE ? "device kernel image is invalid" : "its own words";
    return OK;
}

/* -- memory ----------------------------------------------------------------------------------------------------- */

CUresult cuMemGetInfo_v2(size_t *unused, size_t *total) {
    CURRENT();
    return *unused = memory_bytes - used_bytes, *total = memory_bytes, OK;
}
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    CURRENT();
    NOT_WHILE_CAPTURING();
    if (!size) return INVALID_VALUE;
    if (used_bytes + size > memory_bytes) return OUT_OF_MEMORY;
    used_bytes += size;
    char *memory = malloc(size);
    memset(memory, 0xAB, size);
    return *address = (CUdeviceptr)(uintptr_t)made(DEVICE, memory, size), OK;
}
CUresult cuMemFree_v2(CUdeviceptr address) {
    CURRENT();
    NOT_WHILE_CAPTURING();
    return gone(DEVICE, (void *)(uintptr_t)address);
}
CUresult cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    CURRENT();
    NOT_WHILE_CAPTURING();
    if (!size || flags) return INVALID_VALUE;
    return *address = made(PINNED, calloc(1, size), size), OK;
}
CUresult cuMemFreeHost(void *address) {
    CURRENT();
    NOT_WHILE_CAPTURING();
    return gone(PINNED, address);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    CURRENT();
    char *device = (char *)(uintptr_t)to;
    if (!holding(DEVICE, device, size) || !holding(PINNED, from, size)) return INVALID_VALUE;
    return enqueue(stream, (Work){.what = COPY, .to = device, .from = (char *)from, .size = size});
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    CURRENT();
    char *device = (char *)(uintptr_t)from;
    if (!holding(DEVICE, device, size) || !holding(PINNED, to, size)) return INVALID_VALUE;
    return enqueue(stream, (Work){.what = COPY, .to = to, .from = device, .size = size});
}

/* -- streams, events, graphs ------------------------------------------------------------------------------------ */

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    CURRENT();
    return *stream = made(STREAM, calloc(1, sizeof(struct Stream)), sizeof(struct Stream)), flags ? INVALID_VALUE : OK;
}
CUresult cuStreamDestroy_v2(CUstream stream) {
    CURRENT();
    if (is(STREAM, stream)) free(stream->queue.work);
    return gone(STREAM, stream);
}

static void done(Work *work) {
    clock_ms += 0.25;
    if (work->what == COPY) memcpy(work->to, work->from, work->size);
    if (work->what == RECORD) work->event->passed = 1, work->event->ms = clock_ms;
    if (work->what != KERNEL) return;
    const unsigned *g = work->grid;
    const uint64_t *p = work->pointers;
    if (work->tabulates) {
        ((void (*)(int, int, int, uint64_t, uint64_t, int))work->code)(g[0], g[1], g[2], p[0], p[1], work->filter);
    } else {
        ((void (*)(int, int, int, uint64_t, uint64_t, uint64_t, void *, uint64_t))work->code)(
            g[0], g[1], g[2], p[0], p[1], p[2], work->output, p[3]);
    }
}

CUresult cuStreamSynchronize(CUstream stream) {
    CURRENT();
    NOT_WHILE_CAPTURING();
    if (!is(STREAM, stream)) return INVALID_HANDLE;
    for (size_t i = 0; i < stream->queue.count; i++) done(&stream->queue.work[i]);
    return stream->queue.count = 0, OK;
}
CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    CURRENT();
    if (!is(STREAM, stream) || stream->captured || mode != 1) return INVALID_VALUE;
    stream->captured = made(GRAPH, calloc(1, sizeof(Queue)), sizeof(Queue));
    return capturing++, OK;
}
CUresult cuStreamEndCapture(CUstream stream, Queue **graph) {
    CURRENT();
    if (!is(STREAM, stream) || !stream->captured) return INVALID_VALUE;
    *graph = stream->captured;
    stream->captured = NULL;
    return capturing--, OK;
}
CUresult cuGraphInstantiateWithFlags(Queue **ready, Queue *graph, unsigned long long flags) {
    CURRENT();
    if (!is(GRAPH, graph) || flags) return INVALID_VALUE;
    *ready = made(EXECUTABLE, calloc(1, sizeof(Queue)), sizeof(Queue));
    **ready = (Queue){malloc(graph->count * sizeof(Work) + 1), graph->count};
    return memcpy((*ready)->work, graph->work, graph->count * sizeof(Work)), OK;
}
CUresult cuGraphDestroy(Queue *graph) {
    if (is(GRAPH, graph)) free(graph->work);
    return gone(GRAPH, graph);
}
CUresult cuGraphExecDestroy(Queue *ready) {
    if (is(EXECUTABLE, ready)) free(ready->work);
    return gone(EXECUTABLE, ready);
}
CUresult cuGraphLaunch(Queue *ready, CUstream stream) {
    CURRENT();
    if (!is(EXECUTABLE, ready)) return INVALID_VALUE;
    for (size_t i = 0; i < ready->count; i++) enqueue(stream, ready->work[i]);
    return OK;
}
CUresult cuEventCreate(CUevent *event, unsigned flags) {
    CURRENT();
    return *event = made(EVENT, calloc(1, sizeof(struct Event)), sizeof(struct Event)), flags ? INVALID_VALUE : OK;
}
CUresult cuEventDestroy_v2(CUevent event) {
    CURRENT();
    return gone(EVENT, event);
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
    CURRENT();
    return is(EVENT, event) ? enqueue(stream, (Work){.what = RECORD, .event = event}) : INVALID_HANDLE;
}
CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
    CURRENT();
    if (!is(EVENT, start) || !is(EVENT, end)) return INVALID_HANDLE;
    return *ms = (float)(end->ms - start->ms), start->passed && end->passed ? OK : NOT_READY;
}

/* -- kernels ---------------------------------------------------------------------------------------------------- */

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    CURRENT();
    void *library = dlopen(image, RTLD_NOW);
    if (!library) return INVALID_IMAGE;
    *module = made(MODULE, calloc(1, sizeof(struct Module)), sizeof(struct Module));
    return (*module)->library = library, OK;
}
CUresult cuModuleUnload(CUmodule module) {
    CURRENT();
    return gone(MODULE, module);
}
CUresult cuModuleGetFunction(CUfunction *found, CUmodule module, const char *name) {
    CURRENT();
    char symbol[64] = "launch_";
    if (!is(MODULE, module) || module->count == 16) return INVALID_HANDLE;
    void *code = dlsym(module->library, strncat(symbol, name, 56));
    if (!code) return NOT_FOUND;
    module->found[module->count] = (struct Function){code, !strcmp(name, "tabulate")};
    return *found = &module->found[module->count++], OK;
}
CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream stream, void **values, void **extra) {
    CURRENT();
    if (shared || extra || bx != 32 || by != 8 || bz != 1) return INVALID_VALUE;
    Work work = {.what = KERNEL, .code = f->code, .tabulates = f->tabulates, .grid = {gx, gy, gz}};
    int pointers = f->tabulates ? 2 : 3; /* the values are read now: the caller's may be gone when the work is done */
    for (int i = 0; i < pointers; i++) memcpy(&work.pointers[i], values[i], 8);
    if (f->tabulates) memcpy(&work.filter, values[2], 4);
    else memcpy(work.output, values[3], 96), memcpy(&work.pointers[3], values[4], 8);
    for (int i = 0; i < (f->tabulates ? 2 : 4); i++) {
        if (!holding(DEVICE, (void *)(uintptr_t)work.pointers[i], 1)) return INVALID_VALUE;
    }
    return enqueue(stream, work);
}
