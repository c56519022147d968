/* A step over a state of fixed size that is larger than the caches, against the rate at which this
 * core reads and writes memory.
 *
 *     state [scale] [rounds]        scale: how many times the heads below, 1 to 64
 *
 * Every number of the state is read and written once per token, so twice its bytes over the time
 * are the figure of merit. The step and a loop that scales an array in place take turns; printed
 * are medians. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "frontend/driver/measure.h"
#include "runtime/attn.h"

extern const attn_kernel quadratic_causal_kernel, elu_causal_kernel;

enum { D = 64, M = 64, MOST = 64, SCALED = 1 << 24 };
static const struct {
    const attn_kernel *kernel;
    int64_t heads;
} steps[] = {{&quadratic_causal_kernel, 64}, {&elu_causal_kernel, 2048}};
enum { STEPS = sizeof steps / sizeof *steps };

struct data {
    float *q, *k, *v, *out, *scaled;
    attn_state state[STEPS];
    int64_t scale;
};

static double
step(struct data *x, int which, int threads)
{
    int64_t h = steps[which].heads * x->scale;
    DLTensor q = ATTN_F32(x->q, 1, h, 1, D), k = ATTN_F32(x->k, 1, h, 1, D);
    DLTensor v = ATTN_F32(x->v, 1, h, 1, M), out = ATTN_F32(x->out, 1, h, 1, M);
    const DLTensor *t[4] = {&q, &k, &v, &out};
    attn_exec exec = {.threads = threads};
    double start = measure_now();
    if (attn_step(&x->state[which], steps[which].kernel, t, NULL, &exec)) {
        fprintf(stderr, "%s\n", attn_message());
        exit(1);
    }
    return measure_now() - start;
}

static void
measure(struct data *x, int rounds, int threads)
{
    static double time[STEPS][BENCH_ROUNDS], rate[BENCH_ROUNDS];
    for (int s = 0; s < STEPS; s++)
        step(x, s, threads); /* first touch of its memory */
    for (int r = 0; r < rounds; r++) {
        double start = measure_now();
        bench_scale(x->scaled, SCALED);
        rate[r] = 2.0 * SCALED * sizeof(float) / (measure_now() - start);
        for (int s = 0; s < STEPS; s++)
            time[s][r] = step(x, s, threads);
    }
    double top = measure_median(rate, rounds);
    printf("one token, D = M = 64, f32, %d thread%s; one core scales %.1f GB/s in place\n", threads,
           threads == 1 ? "" : "s", top * 1e-9);
    printf("%-18s %8s %10s %10s %10s %9s\n", "step", "heads", "state MB", "ms", "GB/s", "of one");
    for (int s = 0; s < STEPS; s++) {
        double bytes = (double)x->state[s].bytes, t = measure_median(time[s], rounds);
        printf("%-18s %8lld %10.1f %10.3f %10.1f %8.1f%%\n", steps[s].kernel->name,
               (long long)(steps[s].heads * x->scale), bytes * 1e-6, t * 1e3, 2 * bytes / t * 1e-9,
               200 * bytes / t / top);
    }
}

int
main(int argc, char **argv)
{
    int64_t scale = 1, most = 0;
    int rounds = 15;
    bench_arguments(argc, argv, MOST, &scale, &rounds);
    for (int s = 0; s < STEPS; s++)
        most = steps[s].heads * scale > most ? steps[s].heads * scale : most;
    struct data x = {bench_random(most * D), bench_random(most * D), bench_random(most * M),
                     bench_random(most * M), bench_random(SCALED), {{0}}, scale};
    for (int s = 0; s < STEPS; s++)
        attn_state_init(&x.state[s], steps[s].kernel, 0);
    measure(&x, rounds, 1);
    measure(&x, rounds, 2);
    for (int s = 0; s < STEPS; s++)
        attn_state_free(&x.state[s]);
    free(x.q);
    free(x.k);
    free(x.v);
    free(x.out);
    free(x.scaled);
    return 0;
}
