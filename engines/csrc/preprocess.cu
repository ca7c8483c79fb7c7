// Photographs of different sizes -> the input of a network, in one pass.
//
// The meaning is that of PreprocessSpec (export/spec.py); the pixels are Pillow's, bit for bit: its antialiased filters,
// its fixed-point weights, its rounding to 8 bits between the two passes, and its order of the passes. The slow twin is
// export/reference.py.
//
// Two kernels. `tabulate` computes the weights of every pair of sizes that a batch holds. `FORMAT_to_TYPE` gives each
// block a tile of one output image; the block resizes the input that lies under it along the first axis into shared memory,
// a chunk at a time, adds that up along the second axis in registers, and writes the finished values. So the resized
// image never exists in memory, and shared memory does not grow with the photograph.
//
// The same file is compiled for the host (host.cpp), where a block is a loop, so nothing here may depend on how many
// threads a block has.
//
// Compiled without contraction to fused multiply-adds: the weights are to be those of the same arithmetic on the host.

#ifndef HOST
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
constexpr int LANES = 32, WARPS = 8;
constexpr int BLOCKS = 3;  // that fit on a multiprocessor: the most for which no kernel spills registers on any GPU
#define KERNEL extern "C" __global__ void __launch_bounds__(LANES * WARPS, BLOCKS)
#define CONSTANT const __grid_constant__
#define DEVICE __device__ __forceinline__
#define SHARED __shared__
DEVICE uint32_t bits_of(float value) { return __float_as_uint(value); }
DEVICE uint16_t half_bits(float value) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

constexpr int TILE = 32;       // outputs of a block along each axis
constexpr int CHUNK = 64;      // input lines that shared memory holds at a time
constexpr int LINES = 2;       // of which a thread resizes so many together, for one weight
constexpr int FRACTION = 22;   // bits behind the point of a weight: 32 less 8 of a pixel and 2 for overshoot
constexpr int HALF = 1 << (FRACTION - 1);

enum Filter { NEAREST, BILINEAR, BICUBIC, LANCZOS };
enum Format { RGB, NV12 };

// One axis of one resize, `in` pixels to `out`, of which `count` from `first` on are wanted. Its table begins at
// `offset`: count pairs (first input pixel, number of input pixels), then count rows of `taps` weights.
struct Axis {
    int in, out, first, count, taps, offset;
};

// One photograph. The resized part lies at (top, left) of the
// output; what is around it gets the fill colour.
struct Image {
    uint64_t data, chroma;      // device addresses; chroma: the second plane of NV12
    uint32_t chroma_pitch;      // bytes from one of its lines to the next
    uint32_t first_step, second_step;  // bytes from one pixel to the next, along the axis of each pass
    int rows_first;             // the first pass goes along columns of pixels, not along rows
    int first, second;          // the axes of the passes, by index
    int top, left;
};

// What is the same for a whole batch. Strides are in elements; `order` is the place of red, green and blue.
struct Output {
    int height, width;
    int image_stride, row_stride, column_stride, channel_stride;
    int order[3], fill[3];
    float scale[3], shift[3];
    int color[6];               // NV12 to RGB: luma offset, luma, Cr to R, Cr to G, Cb to G, Cb to B; of 2^20
};

// -- weights -----------------------------------------------------------------------------------------------------------

DEVICE double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

DEVICE double weight(int filter, double x) {
    double t = x < 0.0 ? -x : x;
    if (filter == BILINEAR) return t < 1.0 ? 1.0 - t : 0.0;
    if (filter == BICUBIC) {  // Keys, a = -1/2
        if (t < 1.0) return (1.5 * t - 2.5) * t * t + 1;
        if (t < 2.0) return (((t - 5) * t + 8) * t - 4) * -0.5;
        return 0.0;
    }
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

DEVICE double support(int filter) { return filter == BILINEAR ? 1.0 : filter == BICUBIC ? 2.0 : 3.0; }

// Grid: (enough for the longest axis, number of axes).
KERNEL tabulate(const Axis* axes, int* tables, int filter) {
    const Axis axis = axes[blockIdx.y];
    const double scale = (double)axis.in / axis.out;
    const double stretch = scale < 1.0 ? 1.0 : scale;
    const int thread = threadIdx.y * LANES + threadIdx.x;
    for (int i = blockIdx.x * LANES * WARPS + thread; i < axis.count; i += gridDim.x * LANES * WARPS) {
        int* span = tables + axis.offset + 2 * i;
        int* weights = tables + axis.offset + 2 * axis.count + i * axis.taps;
        if (filter == NEAREST) {
            double at = scale * 0.5;  // added up, as Pillow does: a product would round to another pixel now and then
            for (int k = 0; k < axis.first + i; k++) at += scale;
            span[0] = (int)at < axis.in ? (int)at : axis.in - 1;
            span[1] = 1;
            weights[0] = 1 << FRACTION;
            continue;
        }
        const double reach = support(filter) * stretch;
        const double center = (axis.first + i + 0.5) * scale;
        int begin = (int)(center - reach + 0.5);
        int end = (int)(center + reach + 0.5);
        begin = begin < 0 ? 0 : begin;
        end = end > axis.in ? axis.in : end;
        const double step = 1.0 / stretch;
        double sum = 0.0;
        for (int k = begin; k < end; k++) sum += weight(filter, (k - center + 0.5) * step);
        for (int k = begin; k < end; k++) {
            double w = weight(filter, (k - center + 0.5) * step);
            if (sum != 0.0) w /= sum;
            w *= 1 << FRACTION;
            weights[k - begin] = (int)(w < 0 ? w - 0.5 : w + 0.5);
        }
        span[0] = begin;
        span[1] = end - begin;
    }
}

// -- pixels ------------------------------------------------------------------------------------------------------------

struct Pixel {
    int r, g, b;
};

DEVICE int clamped(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

// The pixel at p along the first axis and q along the second. Offsets are below 4 GB.
template <int FORMAT>
DEVICE Pixel fetch(const Image& image, const Output& output, uint32_t p, uint32_t q) {
    const uint8_t* data = (const uint8_t*)image.data;
    if (FORMAT == RGB) {
        const uint8_t* at = data + (p * image.first_step + q * image.second_step);
        return {at[0], at[1], at[2]};
    }
    // Two by two pixels share a chroma sample, and take it as it is.
    const uint32_t y = image.rows_first ? p : q, x = image.rows_first ? q : p;
    const uint8_t* at = (const uint8_t*)image.chroma + (y / 2 * image.chroma_pitch + x / 2 * 2);
    const int* c = output.color;
    const int u = at[0] - 128, v = at[1] - 128;
    const int above = data[p * image.first_step + q * image.second_step] - c[0];
    const int luma = (above < 0 ? 0 : above) * c[1] + (1 << 19);
    return {clamped((luma + c[2] * v) >> 20), clamped((luma + c[3] * v + c[4] * u) >> 20),
            clamped((luma + c[5] * u) >> 20)};
}

DEVICE uint32_t packed(int r, int g, int b) {
    return clamped(r >> FRACTION) | clamped(g >> FRACTION) << 8 | clamped(b >> FRACTION) << 16;
}

// -- values ------------------------------------------------------------------------------------------------------------

struct Half { uint16_t bits; };
struct Bfloat { uint16_t bits; };

DEVICE void store(float* to, float value) { *to = value; }
DEVICE void store(uint8_t* to, float value) { *to = (uint8_t)value; }
DEVICE void store(int8_t* to, float value) {  // to nearest, ties to even, as QuantizeLinear does
    const float rounded = rintf(value);
    *to = (int8_t)(rounded < -128.0f ? -128.0f : rounded > 127.0f ? 127.0f : rounded);
}
DEVICE void store(Bfloat* to, float value) {  // values are finite: they come from 8 bits
    const uint32_t bits = bits_of(value);
    to->bits = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
DEVICE void store(Half* to, float value) { to->bits = half_bits(value); }

// -- the kernel --------------------------------------------------------------------------------------------------------

// The first pass: slots [s, s_end) of the tile along that axis, which begins at `a0`, of the input lines
// [line, line + lines), into shared memory.
template <int FORMAT>
DEVICE void first_pass(uint32_t (*resized)[TILE], const Image& image, const Output& output, const Axis& axis,
                       const int* tables, int a0, int s, int s_end, int line, int lines) {
    const int* spans = tables + axis.offset;
    const int* rows = spans + 2 * axis.count;
    for (int slot = s + (int)threadIdx.x; slot < s_end; slot += LANES) {
        const int begin = spans[2 * (a0 + slot)], taps = spans[2 * (a0 + slot) + 1];
        const int* weights = rows + (long long)(a0 + slot) * axis.taps;
        for (int k = (int)threadIdx.y * LINES; k < lines; k += WARPS * LINES) {
            int sums[LINES][3];
            for (int l = 0; l < LINES; l++) sums[l][0] = sums[l][1] = sums[l][2] = HALF;
            for (int t = 0; t < taps; t++) {
                const int w = weights[t], p = begin + t;
                for (int l = 0; l < LINES; l++) {
                    const int q = line + (k + l < lines ? k + l : lines - 1);
                    const Pixel pixel = fetch<FORMAT>(image, output, p, q);
                    sums[l][0] += w * pixel.r;
                    sums[l][1] += w * pixel.g;
                    sums[l][2] += w * pixel.b;
                }
            }
            for (int l = 0; l < LINES; l++) {
                if (k + l < lines) resized[k + l][slot] = packed(sums[l][0], sums[l][1], sums[l][2]);
            }
        }
    }
}

// Grid: (tiles of a row, tiles of a column, images).
template <int FORMAT, typename T>
DEVICE void preprocess(const Image* images, const Axis* axes, const int* tables, const Output& output, T* batch) {
    SHARED uint32_t resized[CHUNK][TILE];
    const Image& image = images[blockIdx.z];

    // The tile in the words of the passes: it begins at a0 of the first axis and b0 of the second, counted from where
    // the resized part begins; of its slots, [s, s_end) and [u, u_end) lie in that part.
    const int y0 = (int)blockIdx.y * TILE, x0 = (int)blockIdx.x * TILE;
    const bool rows_first = image.rows_first;
    const Axis first = axes[image.first], second = axes[image.second];
    const int a0 = rows_first ? y0 - image.top : x0 - image.left;
    const int b0 = rows_first ? x0 - image.left : y0 - image.top;
    const int s = a0 < 0 ? -a0 : 0, s_end = a0 + TILE < first.count ? TILE : first.count - a0;
    const int u = b0 < 0 ? -b0 : 0, u_end = b0 + TILE < second.count ? TILE : second.count - b0;

    int sums[TILE / WARPS][TILE / LANES][3];
    for (int j = 0; j < TILE / WARPS; j++) {
        for (int i = 0; i < TILE / LANES; i++) sums[j][i][0] = sums[j][i][1] = sums[j][i][2] = HALF;
    }
    const int* spans = tables + second.offset;
    const int* rows = spans + 2 * second.count;
    const bool any = s < s_end && u < u_end;  // the same for the whole block
    const int line_begin = any ? spans[2 * (b0 + u)] : 0;
    const int line_end = any ? spans[2 * (b0 + u_end - 1)] + spans[2 * (b0 + u_end - 1) + 1] : 0;
    for (int line = line_begin; line < line_end; line += CHUNK) {
        const int lines = line_end - line < CHUNK ? line_end - line : CHUNK;
        first_pass<FORMAT>(resized, image, output, first, tables, a0, s, s_end, line, lines);
        __syncthreads();
        for (int j = 0; j < TILE / WARPS; j++) {
            const int slot = (int)threadIdx.y + j * WARPS;
            if (slot < u || slot >= u_end) continue;
            const int begin = spans[2 * (b0 + slot)], end = begin + spans[2 * (b0 + slot) + 1];
            const int* weights = rows + (long long)(b0 + slot) * second.taps;
            const int from = begin > line ? begin : line, until = end < line + lines ? end : line + lines;
            for (int k = from; k < until; k++) {
                const int w = weights[k - begin];
                for (int i = 0; i < TILE / LANES; i++) {
                    const uint32_t pixel = resized[k - line][threadIdx.x + i * LANES];
                    sums[j][i][0] += w * (int)(pixel & 255);
                    sums[j][i][1] += w * (int)(pixel >> 8 & 255);
                    sums[j][i][2] += w * (int)(pixel >> 16);
                }
            }
        }
        __syncthreads();
    }

    T* to = batch + (long long)blockIdx.z * output.image_stride;
    for (int j = 0; j < TILE / WARPS; j++) {
        for (int i = 0; i < TILE / LANES; i++) {
            const int along = (int)threadIdx.x + i * LANES, across = (int)threadIdx.y + j * WARPS;
            const int y = y0 + (rows_first ? along : across), x = x0 + (rows_first ? across : along);
            if (y >= output.height || x >= output.width) continue;
            const bool inside = along >= s && along < s_end && across >= u && across < u_end;
            const uint32_t pixel = packed(sums[j][i][0], sums[j][i][1], sums[j][i][2]);
            T* place = to + (long long)y * output.row_stride + (long long)x * output.column_stride;
            for (int c = 0; c < 3; c++) {
                const int value = inside ? (int)(pixel >> 8 * c & 255) : output.fill[c];
                const int at = output.order[c];
                store(place + at * output.channel_stride, value * output.scale[at] + output.shift[at]);
            }
        }
    }
}

#define PREPROCESS(name, format, type)                                                                                 \
    KERNEL name(const Image* images, const Axis* axes, const int* tables, CONSTANT Output output, type* batch) {       \
        preprocess<format>(images, axes, tables, output, batch);                                                       \
    }
PREPROCESS(rgb_to_uint8, RGB, uint8_t)
PREPROCESS(rgb_to_int8, RGB, int8_t)
PREPROCESS(rgb_to_float16, RGB, Half)
PREPROCESS(rgb_to_bfloat16, RGB, Bfloat)
PREPROCESS(rgb_to_float32, RGB, float)
PREPROCESS(nv12_to_uint8, NV12, uint8_t)
PREPROCESS(nv12_to_int8, NV12, int8_t)
PREPROCESS(nv12_to_float16, NV12, Half)
PREPROCESS(nv12_to_bfloat16, NV12, Bfloat)
PREPROCESS(nv12_to_float32, NV12, float)
