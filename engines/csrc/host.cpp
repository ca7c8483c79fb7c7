// The kernels of preprocess.cu on the host: a block is a loop over its threads' work, the grid a loop over blocks.
//
// With LANES and WARPS of 1 (the default) one thread does a whole block, and __syncthreads has nothing to wait for. With
// more, as many threads meet at a barrier, so that the thread sanitizer sees what they share.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#ifndef LANES
#define LANES 1
#define WARPS 1
#endif
#if LANES * WARPS > 1
#include <pthread.h>
#include <thread>
#include <vector>
#endif

struct Place {
    int x, y, z;
};
static thread_local Place threadIdx, blockIdx, gridDim;

#if LANES * WARPS > 1
static pthread_barrier_t barrier;
static void __syncthreads() { pthread_barrier_wait(&barrier); }
#else
static void __syncthreads() {}
#endif

static uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint16_t half_bits(float value) {
    const _Float16 half = (_Float16)value;
    uint16_t bits;
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
}

#define HOST
#define KERNEL static void
#define CONSTANT const
#define DEVICE static inline
#define SHARED static
#include "preprocess.cu"

static void launch(Place grid, const std::function<void()>& kernel) {
    auto blocks = [&](int x, int y) {
        threadIdx = {x, y, 0};
        gridDim = grid;
        for (int k = 0; k < grid.z; k++) {
            for (int j = 0; j < grid.y; j++) {
                for (int i = 0; i < grid.x; i++) {
                    blockIdx = {i, j, k};
                    kernel();
                }
            }
        }
    };
#if LANES * WARPS > 1
    pthread_barrier_init(&barrier, nullptr, LANES * WARPS);
    std::vector<std::thread> threads;
    for (int y = 0; y < WARPS; y++) {
        for (int x = 0; x < LANES; x++) threads.emplace_back(blocks, x, y);
    }
    for (std::thread& thread : threads) thread.join();
    pthread_barrier_destroy(&barrier);
#else
    blocks(0, 0);
#endif
}

// Arguments as the kernels take them, and the grid.
extern "C" void launch_tabulate(int x, int y, int, const Axis* axes, int* tables, int filter) {
    launch({x, y, 1}, [&] { tabulate(axes, tables, filter); });
}

#define LAUNCH(name, type)                                                                                             \
    extern "C" void launch_##name(int x, int y, int z, const Image* images, const Axis* axes, const int* tables,       \
                                  const Output* output, type* batch) {                                                 \
        launch({x, y, z}, [&] { name(images, axes, tables, *output, batch); });                                        \
    }
LAUNCH(rgb_to_uint8, uint8_t)
LAUNCH(rgb_to_int8, int8_t)
LAUNCH(rgb_to_float16, Half)
LAUNCH(rgb_to_bfloat16, Bfloat)
LAUNCH(rgb_to_float32, float)
LAUNCH(nv12_to_uint8, uint8_t)
LAUNCH(nv12_to_int8, int8_t)
LAUNCH(nv12_to_float16, Half)
LAUNCH(nv12_to_bfloat16, Bfloat)
LAUNCH(nv12_to_float32, float)
