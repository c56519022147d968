/* The most one core reads from memory, or reads and writes: what decoding is a fraction of, in the
 * same run. */
#include "bench/bench.h"

#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX2__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif

typedef float vec __attribute__((vector_size(BYTES)));

float
bench_read(const float *x, int64_t n)
{
    enum { LANES = BYTES / sizeof(float), AT_ONCE = 8 };
    vec sum[AT_ONCE] = {{0}};
    float total = 0;
    for (int64_t i = 0; i + LANES * AT_ONCE <= n; i += LANES * AT_ONCE)
        for (int k = 0; k < AT_ONCE; k++) {
            vec v;
            __builtin_memcpy(&v, x + i + k * LANES, sizeof v);
            sum[k] += v;
        }
    for (int k = 1; k < AT_ONCE; k++)
        sum[0] += sum[k];
    for (unsigned k = 0; k < LANES; k++)
        total += sum[0][k];
    return total;
}

void
bench_scale(float *x, int64_t n)
{
    enum { LANES = BYTES / sizeof(float) };
    for (int64_t i = 0; i + LANES <= n; i += LANES) {
        vec v;
        __builtin_memcpy(&v, x + i, sizeof v);
        v *= 0.999f;
        __builtin_memcpy(x + i, &v, sizeof v);
    }
}
