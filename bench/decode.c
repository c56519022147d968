/* One token after a long past: attention of one query per head over a cache, against the rate at
 * which this core reads memory.
 *
 *     decode [n] [rounds]
 *
 * The cache is read once if all heads of a group share it, so its bytes over the time are the
 * figure of merit. Kernels and the reading loop take turns; printed are medians. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "frontend/driver/measure.h"
#include "runtime/attn.h"

extern const attn_kernel softmax_causal_kernel;

enum { D = 128, M = 128 };
static const struct {
    int64_t heads, groups;
} shapes[] = {{32, 8}, {32, 32}, {8, 1}, {1, 1}}; /* the second has the largest cache */
enum { SHAPES = sizeof shapes / sizeof *shapes, MOST = 32 };

struct data {
    float *q, *k, *v, *out;          /* of one token */
    attn_state cache[SHAPES];
    int64_t n;
};

/* The token after those of the cache, which then is as it was. */
static double
run(int s, struct data *x, int threads)
{
    int64_t h = shapes[s].heads, g = shapes[s].groups;
    DLTensor q = ATTN_F32(x->q, 1, h, 1, D), k = ATTN_F32(x->k, 1, g, 1, D);
    DLTensor v = ATTN_F32(x->v, 1, g, 1, M), out = ATTN_F32(x->out, 1, h, 1, M);
    const DLTensor *t[4] = {&q, &k, &v, &out};
    attn_exec exec = {.threads = threads};
    double start = measure_now();
    if (attn_step(&x->cache[s], &softmax_causal_kernel, t, NULL, &exec)) {
        fprintf(stderr, "softmax_causal: %s\n", attn_message());
        exit(1);
    }
    double time = measure_now() - start;
    x->cache[s].position = x->n;
    return time;
}

/* A cache of n tokens, which are random, and room for one more. */
static void
fill(int s, struct data *x)
{
    attn_state_init(&x->cache[s], &softmax_causal_kernel, x->n + 1);
    run(s, x, 1);
    float *data = x->cache[s].data;
    for (size_t k = 0; k < x->cache[s].bytes / sizeof *data; k++)
        data[k] = (float)rand() / (float)RAND_MAX - 0.5f;
}

static void
measure(struct data *x, int rounds, int threads)
{
    static double time[SHAPES][BENCH_ROUNDS], read[BENCH_ROUNDS];
    int64_t most = MOST * x->n * D;
    volatile float keep;
    for (int r = 0; r < rounds; r++) {
        double start = measure_now();
        keep = bench_read(x->cache[1].data, most);
        read[r] = (double)most * sizeof(float) / (measure_now() - start);
        for (int s = 0; s < SHAPES; s++)
            time[s][r] = run(s, x, threads);
    }
    (void)keep;
    double top = measure_median(read, rounds);
    printf("softmax, n_q = 1, n = %lld, D = M = 128, f32, %d thread%s; one core reads %.1f GB/s\n",
           (long long)x->n, threads, threads == 1 ? "" : "s", top * 1e-9);
    printf("%-14s %10s %10s %10s %9s\n", "heads, groups", "cache MB", "ms", "GB/s", "of one");
    for (int s = 0; s < SHAPES; s++) {
        double bytes = (double)shapes[s].groups * (double)x->n * (D + M) * sizeof(float);
        double t = measure_median(time[s], rounds);
        printf("%5lld, %-7lld %10.1f %10.3f %10.1f %8.1f%%\n", (long long)shapes[s].heads,
               (long long)shapes[s].groups, bytes * 1e-6, t * 1e3, bytes / t * 1e-9,
               100 * bytes / t / top);
    }
}

int
main(int argc, char **argv)
{
    int64_t n = 8192;
    int rounds = 9;
    bench_arguments(argc, argv, 1 << 17, &n, &rounds);
    struct data x = {.q = bench_random(MOST * D), .k = bench_random(MOST * D),
                     .v = bench_random(MOST * M), .out = bench_random(MOST * M), .n = n};
    for (int s = 0; s < SHAPES; s++)
        fill(s, &x);
    measure(&x, rounds, 1);
    measure(&x, rounds, 2);
    for (int s = 0; s < SHAPES; s++)
        attn_state_free(&x.cache[s]);
    free(x.q);
    free(x.k);
    free(x.v);
    free(x.out);
    return 0;
}
