/* The loops that numpy is slow at: YUV to RGB, a turned crop, sums of squares of a picture, and a
 * support vector machine's kernel.
 *
 * Everything here has a numpy twin (`edge.cameras.yuv`, `edge.mesh.geometry`, `edge.mesh.still`,
 * `edge.classify.svm`) that is used where this file is not compiled, and that the tests hold it to. Nothing is called, not even the C
 * library, so that a bare cross-compiler is enough. */
#include <stdint.h>
#ifdef __aarch64__
#include <arm_neon.h>
#elif defined __x86_64__
#include <immintrin.h>
#endif

#define VERSION 4
#define LONGEST 512 /* side of a crop, pixels */
#define LONGEST_SQUARE 256 /* side of a square, pixels: its columns are summed up in 16 bits */
#define RUN 32      /* components that are summed up before they join the others */
#define TOGETHER 32 /* support vectors whose sums are in registers at once */

int version(void) { return VERSION; }

typedef struct {
    const uint8_t *pixels;
    int64_t stride; /* bytes from row to row */
    int32_t height, width;
    int32_t black; /* whether what lies beyond the picture is black, or its border's colour */
} Picture;

static int32_t rounded(double value) {
    return (int32_t)(value + ((1 << 30) + 0.5)) - (1 << 30); /* a cast alone rounds towards nought */
}

static int32_t within(int32_t value, int32_t last) {
    return value < 0 ? 0 : value > last ? last : value;
}

/* One pixel of the crop, anywhere: position x, y in 1/256 pixel. */
static void anywhere(const Picture *p, int32_t x, int32_t y, float gain, float low, float *out) {
    const int32_t fx = x & 255, fy = y & 255;
    int32_t sum[3] = {0, 0, 0};
    for (int32_t corner = 0; corner < 4; corner++) {
        const int32_t dx = corner & 1, dy = corner >> 1;
        const int32_t cx = (x >> 8) + dx, cy = (y >> 8) + dy;
        const int32_t nx = within(cx, p->width - 1), ny = within(cy, p->height - 1);
        if (p->black && (nx != cx || ny != cy))
            continue;
        const int32_t weight = (dx ? fx : 256 - fx) * (dy ? fy : 256 - fy);
        const uint8_t *pixel = p->pixels + ny * p->stride + nx * 3;
        for (int32_t c = 0; c < 3; c++)
            sum[c] += pixel[c] * weight;
    }
    for (int32_t c = 0; c < 3; c++)
        out[c] = (float)sum[c] * gain + low;
}

typedef struct {
    int32_t offset[LONGEST];  /* of the pixel above and left, in bytes */
    uint32_t shares[LONGEST]; /* of those right and below, in 1/256: bytes 0 and 2; 1 is nought */
} Row;

/* One pixel that has its neighbours right and below. Writes four floats, the last of no use. */
static inline void blend(const uint8_t *at, int64_t stride, uint32_t shares, float gain, float low,
                         float *out) {
#ifdef __aarch64__
    const uint8x8_t above = vld1_u8(at), below = vld1_u8(at + stride);
    const uint32x2_t both = vdup_n_u32(shares);
    const uint8x8_t down = vdup_lane_u8(vreinterpret_u8_u32(both), 2);
    const uint16x4_t across = vreinterpret_u16_u32(both);
    /* Sums in 16 and 32 bits: modulo their size on the way, never above it at the end. */
    uint16x8_t rows = vshll_n_u8(above, 8);
    rows = vmlsl_u8(vmlal_u8(rows, below, down), above, down);
    const uint16x4_t left = vget_low_u16(rows), right = vget_low_u16(vextq_u16(rows, rows, 3));
    uint32x4_t sum = vshll_n_u16(left, 8);
    sum = vmlsl_lane_u16(vmlal_lane_u16(sum, right, across, 0), left, across, 0);
    vst1q_f32(out, vmlaq_n_f32(vdupq_n_f32(low), vcvtq_f32_u32(sum), gain));
#else
    const int32_t right = shares & 255, left = 256 - right;
    const int32_t down = shares >> 16 & 255, up = 256 - down;
    for (int32_t c = 0; c < 3; c++) {
        const int32_t l = at[c] * up + at[stride + c] * down;
        const int32_t r = at[3 + c] * up + at[stride + 3 + c] * down;
        out[c] = (float)(l * left + r * right) * gain + low;
    }
#endif
}

/* Pixels `first` to `end` of a row. Apart, so that all it needs stays in registers. */
static __attribute__((noinline)) void blend_row(const uint8_t *pixels, int64_t stride,
                                                const Row *row, int32_t first, int32_t end,
                                                float gain, float low, float *out) {
    for (int32_t u = first; u < end; u++)
        blend(pixels + row->offset[u], stride, row->shares[u], gain, low, out + u * 3);
}

/* Pixel (u, v) of the crop is the picture at (x, y) + u (ux, uy) + v (-uy, ux), bilinear, in 1/256
 * pixel; `out` is (size, size, 3), `size` at most LONGEST. */
void crop(const uint8_t *pixels, int64_t stride, int32_t height, int32_t width, int32_t black,
         double x, double y, double ux, double uy, int32_t size, float gain, float low,
         float *out) {
    const Picture picture = {pixels, stride, height, width, black};
    int32_t along_x[LONGEST], along_y[LONGEST];
    Row row;
    const int32_t step = (int32_t)stride;
    for (int32_t u = 0; u < size; u++) {
        along_x[u] = rounded(x + u * ux);
        along_y[u] = rounded(y + u * uy);
    }
    gain /= 65536; /* of the sums below, which are 65536 times a pixel's value */
    /* Where eight bytes from a pixel on, and from the one below, are the picture's own. */
    const uint32_t last_x = width > 2 ? (uint32_t)(width - 2) << 8 : 0;
    const uint32_t last_y = (uint32_t)(height - 1) << 8;
    for (int32_t v = 0; v < size; v++, out += size * 3) {
        const int32_t down_x = rounded(-v * uy), down_y = rounded(v * ux);
#define INSIDE(u) \
    ((uint32_t)(along_x[u] + down_x) < last_x && (uint32_t)(along_y[u] + down_y) < last_y)
        int32_t u = 0, end = size;
        for (; u < end && !INSIDE(u); u++)
            anywhere(&picture, along_x[u] + down_x, along_y[u] + down_y, gain, low, out + u * 3);
        while (end > u && !INSIDE(end - 1))
            end--;
        /* A line crosses a rectangle once: all from u to end lie inside. */
        for (int32_t i = u; i < end; i++) {
            const int32_t px = along_x[i] + down_x, py = along_y[i] + down_y;
            row.offset[i] = (py >> 8) * step + (px >> 8) * 3;
            row.shares[i] = (uint32_t)(px & 255) | (uint32_t)py << 16;
        }
        if (u < end) { /* but for the last, which would write beyond its row */
            blend_row(pixels, stride, &row, u, end - 1, gain, low, out);
            u = end - 1;
        }
        for (; u < size; u++)
            anywhere(&picture, along_x[u] + down_x, along_y[u] + down_y, gain, low, out + u * 3);
    }
}

static inline uint8_t byte(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Planes of luma and chroma, `step` bytes from sample to sample of the latter, to RGB: `out` is
 * (height, width, 3). BT.601, limited range; products in 1/64 or 1/128 steps, sums in 1/32. */
void rgb(const uint8_t *y, int64_t stride, const uint8_t *u, const uint8_t *v,
         int64_t chroma_stride, int64_t step, int32_t height, int32_t width, uint8_t *out) {
    int16_t red[LONGEST], green[LONGEST], blue[LONGEST]; /* what chroma adds to a row of pixels */
    uint8_t r[LONGEST], g[LONGEST], b[LONGEST];
    for (int32_t row = 0; row < height; row++) {
        const int64_t chroma = row / 2 * chroma_stride;
        for (int32_t first = 0; first < width; first += LONGEST) {
            const int32_t count = width - first < LONGEST ? width - first : LONGEST;
            for (int32_t i = 0; i < count / 2; i++) {
                const int64_t at = chroma + (first / 2 + i) * step;
                const int32_t cu = u[at] - 128, cv = v[at] - 128;
                red[2 * i] = red[2 * i + 1] = (int16_t)(cv * 102 >> 1);
                green[2 * i] = green[2 * i + 1] = (int16_t)((cu * -25 + cv * -52) >> 1);
                blue[2 * i] = blue[2 * i + 1] = (int16_t)(cu * 129 >> 1);
            }
            const uint8_t *luma = y + row * stride + first;
            for (int32_t i = 0; i < count; i++) {
                const uint16_t above = (uint16_t)(luma[i] < 16 ? 0 : luma[i] - 16);
                const int16_t light = (int16_t)(((uint16_t)(above * 149) >> 2) + 16);
                r[i] = byte((int16_t)(light + red[i]) >> 5);
                g[i] = byte((int16_t)(light + green[i]) >> 5);
                b[i] = byte((int16_t)(light + blue[i]) >> 5);
            }
            uint8_t *to = out + ((int64_t)row * width + first) * 3;
            for (int32_t i = 0; i < count; i++) { /* apart: not every machine interleaves fast */
                to[3 * i] = r[i];
                to[3 * i + 1] = g[i];
                to[3 * i + 2] = b[i];
            }
        }
    }
}

/* Sums of all channels over squares of `side` × `side` pixels, at most LONGEST_SQUARE: `rows` ×
 * `columns` of them, from `pixels` on. */
void squares(const uint8_t *pixels, int64_t stride, int32_t side, int32_t rows, int32_t columns,
             uint32_t *out) {
    uint16_t down[LONGEST_SQUARE * 3]; /* as many whole squares at a time as fit in */
    const int32_t bytes = side * 3, together = LONGEST_SQUARE / side;
    for (int32_t row = 0; row < rows; row++, pixels += side * stride) {
        for (int32_t column = 0; column < columns; column += together) {
            const uint8_t *line = pixels + column * bytes;
            const int32_t count = columns - column < together ? columns - column : together;
            for (int32_t i = 0; i < count * bytes; i++)
                down[i] = line[i];
            for (int32_t y = 1; y < side; y++) {
                line += stride;
                for (int32_t i = 0; i < count * bytes; i++)
                    down[i] = (uint16_t)(down[i] + line[i]);
            }
            for (int32_t square = 0; square < count; square++) {
                uint32_t sum = 0;
                for (int32_t i = 0; i < bytes; i++)
                    sum += down[square * bytes + i];
                *out++ = sum;
            }
        }
    }
}

/* exp to 2e-7 of its value, after Cephes' expf: 2^n times a polynomial of what is left. */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float whole = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounded in its low bits */
    union { float real; int32_t bits; } n = {whole}, power;
    const float times = whole - 12582912.0f;
    const float r = x - times * 0.693359375f + times * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    power.bits = (int32_t)((uint32_t)n.bits << 23) + (127 << 23);
    return (p * r * r + r + 1.0f) * power.real;
}

/* Of vectors, in half precision: kept so, they take half the memory, and half of it a frame. */
#ifdef __aarch64__
#define WIDENS
typedef __fp16 Half;
#elif defined __x86_64__
#define WIDENS __attribute__((target("avx2,fma,f16c")))
typedef uint16_t Half;
#endif

/* Whether this processor makes floats of halves by itself, as all of ARM's with 64 bits do, and PCs'
 * since 2013. Else numpy, in floats, is faster than `kernel`. */
int32_t halves(void) {
#ifdef __aarch64__
    return 1;
#elif defined __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
#else
    return 0;
#endif
}

#ifdef WIDENS
/* Adds the scalar products of TOGETHER vectors with the point. Apart, so that all sums stay in
 * registers. */
static WIDENS __attribute__((noinline)) void products(const Half *vectors, int32_t components,
                                                      const float *point, float *out) {
#ifdef __aarch64__
    float sum[TOGETHER] = {0};
    for (int32_t j = 0; j < components; j++, vectors += TOGETHER)
        for (int32_t i = 0; i < TOGETHER; i++)
            sum[i] += (float)vectors[i] * point[j];
    for (int32_t i = 0; i < TOGETHER; i++)
        out[i] += sum[i];
#else /* the same: GCC does not vectorise it */
    __m256 sum[TOGETHER / 8] = {{0}};
    for (int32_t j = 0; j < components; j++)
        for (int32_t i = 0; i < TOGETHER / 8; i++, vectors += 8) {
            const __m256 eight = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)vectors));
            sum[i] = _mm256_fmadd_ps(eight, _mm256_set1_ps(point[j]), sum[i]);
        }
    for (int32_t i = 0; i < TOGETHER / 8; i++, out += 8)
        _mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), sum[i]));
#endif
}

/* exp(vector . point - shift) of every support vector, into `kernel`; returns the shift, nought
 * unless an exponent is above `safe`. The vectors lie in `blocks` of TOGETHER, component by
 * component: (blocks, components, TOGETHER). */
WIDENS float kernel(const Half *vectors, int32_t blocks, int32_t components, const float *point,
                    float safe, float *kernel) {
    float largest = safe, most[TOGETHER] = {0};
    for (int32_t block = 0; block < blocks; block++) {
        float *sums = kernel + block * TOGETHER;
        for (int32_t i = 0; i < TOGETHER; i++)
            sums[i] = 0;
        for (int32_t j = 0; j < components; j += RUN) { /* sums of sums round less */
            const int32_t run = components - j < RUN ? components - j : RUN;
            products(vectors, run, point + j, sums);
            vectors += run * TOGETHER;
        }
        for (int32_t i = 0; i < TOGETHER; i++)
            most[i] = sums[i] > most[i] ? sums[i] : most[i];
    }
    for (int32_t i = 0; i < TOGETHER; i++)
        largest = most[i] > largest ? most[i] : largest;
    /* From the largest down, so that it comes out as `safe` to the last digit. */
    const float down = largest > safe ? largest : 0, up = largest > safe ? safe : 0;
    for (int32_t i = 0; i < blocks * TOGETHER; i++)
        kernel[i] = exponential(kernel[i] - down + up);
    return largest - safe;
}
#endif
