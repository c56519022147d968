/* The most this core does: a loop of independent fused multiply-adds in registers, and one that
 * only reads memory. Every fraction that the benchmarks print is relative to these, in the same
 * run. */
#include "bench/bench.h"

#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX2__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif

#if defined(__x86_64__)
#define REGISTER(v) "+v"(v)
#else
#define REGISTER(v) "+w"(v)
#endif

typedef float vec __attribute__((vector_size(BYTES)));

/* Twelve chains hide the latency and fit 16 registers; each is a variable, so that none lives in
 * memory. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define COUNT(k) +1

double
bench_peak_flops(long rounds)
{
    return 2.0 * (double)rounds * (CHAINS(COUNT)) * (BYTES / sizeof(float));
}

float
bench_peak(long rounds)
{
    vec a = {0}, b = {0}, total = {0};
    float sum = 0;
    for (unsigned k = 0; k < BYTES / sizeof(float); k++) {
        a[k] = 0.999f;
        b[k] = 1e-3f;
    }
#define START(k) vec c##k = b * (float)(k);
    CHAINS(START)
    for (long r = 0; r < rounds; r++) {
/* the empty asm keeps each step a step of its own */
#define STEP(k) c##k = c##k * a + b; __asm__ volatile("" : REGISTER(c##k));
        CHAINS(STEP)
    }
#define ADD(k) total += c##k;
    CHAINS(ADD)
    for (unsigned k = 0; k < BYTES / sizeof(float); k++)
        sum += total[k];
    return sum;
}

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
