/* Kernels compiled by attnc against the multiply-add peak of the same core, in one run.
 *
 *     kernels [n] [rounds]
 *
 * D = M is 64 unless compiled with -DSIZE=...; LEVEL (an attn_isa) is that of the peak, by default
 * the best of this machine, and HEADS the heads. Peak and kernels take turns, so that a change of
 * clock or load hits both; printed are medians over the rounds, and the fraction of peak of the
 * fastest round, which neighbours disturbed least. FLOPs are those of the algorithm: a
 * multiply-add is 2, d' features without padding, causal pairs n(n+1)/2; exp and the like are not
 * counted. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "frontend/driver/measure.h"
#include "runtime/attn.h"

#define KERNELS(X)                                                                             \
    X(quadratic, LINEAR)                                                                       \
    X(quadratic_causal, SCAN)                                                                  \
    X(quadratic_direct, PAIRS)                                                                 \
    X(softmax, PAIRS)                                                                          \
    X(softmax_causal, CAUSAL_PAIRS)                                                            \
    X(elu_feature, LINEAR_ELU)                                                                 \
    X(elu_causal, LINEAR_ELU)

#define DECLARE(name, form) extern const attn_kernel name##_kernel;
KERNELS(DECLARE)

enum form { LINEAR, SCAN, LINEAR_ELU, PAIRS, CAUSAL_PAIRS };
static const struct {
    const char *name;
    const attn_kernel *kernel;
    enum form form;
} kernels[] = {
#define ROW(name, form) {#name, &name##_kernel, form},
    KERNELS(ROW)};
#ifndef SIZE
#define SIZE 64
#endif
#ifndef LEVEL
#define LEVEL attn_isa_level()
#endif
#ifndef HEADS
#define HEADS 1
#endif
enum { D = SIZE, M = SIZE, COUNT = sizeof kernels / sizeof *kernels };

static double
flops(enum form form, double n)
{
    double features = form == LINEAR_ELU ? D : (D + 2) * (D + 1) / 2.0;
    if (form == PAIRS)
        return 2 * n * n * (D + M);
    if (form == CAUSAL_PAIRS)
        return n * (n + 1) * (D + M);
    return 4 * n * features * (M + 1);
}

struct data {
    float *q, *k, *v, *out;
    int64_t n;
};

static double
run(int which, const struct data *x, int threads)
{
    DLTensor q = ATTN_F32(x->q, 1, HEADS, x->n, D), k = ATTN_F32(x->k, 1, HEADS, x->n, D);
    DLTensor v = ATTN_F32(x->v, 1, HEADS, x->n, M), out = ATTN_F32(x->out, 1, HEADS, x->n, M);
    const DLTensor *t[4] = {&q, &k, &v, &out};
    attn_exec exec = {.threads = threads};
    double start = measure_now();
    if (attn_launch(kernels[which].kernel, 0, t, NULL, &exec)) {
        fprintf(stderr, "%s: %s\n", kernels[which].name, attn_message());
        exit(1);
    }
    return measure_now() - start;
}

static void
measure(const struct data *x, int rounds, int threads)
{
    static double time[COUNT][BENCH_ROUNDS], peak[BENCH_ROUNDS];
    for (int k = 0; k < COUNT; k++)
        run(k, x, threads); /* first touch of its memory */
    for (int r = 0; r < rounds; r++) {
        peak[r] = measure_peak(LEVEL, 1);
        for (int k = 0; k < COUNT; k++)
            time[k][r] = run(k, x, threads);
    }
    double top = measure_median(peak, rounds);
    printf("n = %lld, D = M = %d, %d head%s, f32, ", (long long)x->n, D, HEADS,
           HEADS == 1 ? "" : "s");
    printf("%d thread%s; peak of one core %.1f GFLOP/s\n", threads,
           threads == 1 ? "" : "s", top * 1e-9);
    printf("%-18s %-8s %10s %10s %9s %9s\n", "kernel", "schedule", "ms", "GFLOP/s", "of peak",
           "at best");
    for (int k = 0; k < COUNT; k++) {
        double t = measure_median(time[k], rounds), least = t;
        for (int r = 0; r < rounds; r++)
            least = time[k][r] < least ? time[k][r] : least;
        double work = HEADS * flops(kernels[k].form, (double)x->n), of = 100 / top / threads;
        printf("%-18s %-8s %10.2f %10.1f %8.1f%% %8.1f%%\n", kernels[k].name,
               kernels[k].kernel->entries[0].schedule, t * 1e3, work / t * 1e-9, of * work / t,
               of * work / least);
    }
}

int
main(int argc, char **argv)
{
    int64_t n = 16384;
    int rounds = 9;
    bench_arguments(argc, argv, 1 << 22, &n, &rounds);
    struct data x = {bench_random(HEADS * n * D), bench_random(HEADS * n * D),
                     bench_random(HEADS * n * M), bench_random(HEADS * n * M), n};
    measure(&x, rounds, 1);
    measure(&x, rounds, 2);
    free(x.q);
    free(x.k);
    free(x.v);
    free(x.out);
    return 0;
}
