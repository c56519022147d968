#include "frontend/driver/measure.h"

#include <stdlib.h>
#include <time.h>

#include "runtime/attn.h"

double
measure_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double
measure_median(double *x, int64_t n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n == 0 ? 0 : n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Twelve chains hide the latency and fit 16 registers; each is a variable, so that none lives in
 * memory. The empty asm keeps each step a step of its own. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define COUNT(k) +1
#define START(k) vec c##k = b * (float)(k);
#define STEP(k) c##k = c##k * a + b; __asm__ volatile("" : REGISTER(c##k));
#define ADD(k) total += c##k;

/* Returns the FLOP it took; *sink keeps the sums alive. */
#define SPIN(name, bytes, attributes)                                                              \
    attributes static double name(long rounds, float *sink)                                        \
    {                                                                                              \
        typedef float vec __attribute__((vector_size(bytes)));                                     \
        vec a = {0}, b = {0}, total = {0};                                                         \
        for (unsigned k = 0; k < (bytes) / sizeof(float); k++) {                                   \
            a[k] = 0.999f;                                                                         \
            b[k] = 1e-3f;                                                                          \
        }                                                                                          \
        CHAINS(START)                                                                              \
        for (long r = 0; r < rounds; r++) {                                                        \
            CHAINS(STEP)                                                                           \
        }                                                                                          \
        CHAINS(ADD)                                                                                \
        *sink = total[0];                                                                          \
        return 2.0 * (double)rounds * (CHAINS(COUNT)) * ((bytes) / sizeof(float));                 \
    }

typedef double spin_fn(long rounds, float *sink);

#if defined(__x86_64__)
#define REGISTER(v) "+v"(v)
SPIN(spin_v2, 16, )
SPIN(spin_v3, 32, __attribute__((target("avx2,fma"))))
SPIN(spin_v4, 64, __attribute__((target("avx512f,fma"))))
static spin_fn *const spins[] = {
    [ATTN_ISA_X86_V2] = spin_v2, [ATTN_ISA_X86_V3] = spin_v3, [ATTN_ISA_X86_V4] = spin_v4};
#else
#define REGISTER(v) "+w"(v)
SPIN(spin, 16, )
static spin_fn *const spins[] = {[0] = spin};
#endif

enum { TRIES = 5 };

double
measure_peak(int isa, int threads)
{
    double best = 0;
    if (isa < 0 || isa >= (int)(sizeof spins / sizeof *spins) || !spins[isa])
        isa = 0;
    if (!spins[isa])
        return 0;
    for (int t = 0; t < TRIES; t++) {
        const long rounds = 2000000;
        double flop = 0, start = measure_now();
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) reduction(+ : flop)
#endif
        for (int k = 0; k < threads; k++) {
            float sink;
            flop += spins[isa](rounds, &sink);
            volatile float keep = sink;
            (void)keep;
        }
        double rate = flop / (measure_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}
