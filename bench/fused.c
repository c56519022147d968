/* Two attentions of one program as one kernel and as two: a call over n tokens, and one token after
 * a past of n.
 *
 *     fused ONE.so TWO.so NAME [n] [rounds]
 *
 * Both libraries are of the same program NAME, the second compiled with --no-fuse. They take turns;
 * printed are medians, their ratio, and the bytes of both states. Inputs are [1, heads, n, D]. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "frontend/driver/measure.h"
#include "runtime/attn.h"

enum { HEADS = 32, GROUPS = 8, STEP_D = 128, CALL_D = 64, CALL_HEADS = 8, TENSORS = 16 };

struct side {
    const attn_kernel *kernel;
    attn_state state;
    DLTensor tensor[TENSORS];
    int64_t shape[TENSORS][ATTN_MAX_RANK];
    const DLTensor *at[TENSORS];
    double time[BENCH_ROUNDS];
};

static const attn_kernel *
open_kernel(const char *path, const char *name)
{
    char symbol[256];
    void *lib = dlopen(path, RTLD_NOW);
    snprintf(symbol, sizeof symbol, "%s_kernel", name);
    const attn_kernel *k = lib ? dlsym(lib, symbol) : NULL;
    if (k)
        return k;
    fprintf(stderr, "%s\n", dlerror());
    exit(3);
}

static int64_t
size_of(const char *dim, int64_t n, int64_t heads, int64_t groups, int64_t d)
{
    return !strcmp(dim, "B")   ? 1
           : !strcmp(dim, "n") ? n
           : !strcmp(dim, "G") ? groups
           : !strcmp(dim, "H") ? heads
                               : d;
}

/* Arguments of `tokens` tokens: random numbers the first time. */
static void
fill(struct side *s, int64_t tokens, int64_t heads, int64_t groups, int64_t d)
{
    int n = 0;
    for (int t = 0; t < s->kernel->ntensors && n < TENSORS; t++) {
        const attn_tensor *x = &s->kernel->tensors[t];
        int64_t count = 1;
        if (x->role == ATTN_BETWEEN)
            continue;
        for (int a = 0; a < x->rank; a++) {
            s->shape[n][a] = size_of(s->kernel->dims[x->dims[a]].name, tokens, heads, groups, d);
            count *= s->shape[n][a];
        }
        float *data = s->tensor[n].data ? s->tensor[n].data : bench_random(count);
        s->tensor[n] = (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = x->rank,
                                  .dtype = {kDLFloat, 32, 1}, .shape = s->shape[n]};
        s->at[n] = &s->tensor[n];
        n++;
    }
}

static void
release(struct side *s)
{
    for (int t = 0; t < TENSORS; t++) {
        free(s->tensor[t].data);
        s->tensor[t].data = NULL;
    }
}

static void
must(int status)
{
    if (status) {
        fprintf(stderr, "%s\n", attn_message());
        exit(1);
    }
}

static void
report(const char *name, const char *what, struct side s[2], int rounds)
{
    double one = measure_median(s[0].time, rounds), two = measure_median(s[1].time, rounds);
    printf("%-14s %-8s one kernel %9.3f ms, two %9.3f ms: %.2f times as fast\n", name, what,
           one * 1e3, two * 1e3, two / one);
}

static void
measure_calls(const char *name, struct side s[2], int64_t n, int rounds)
{
    attn_exec exec = {.threads = 1};
    for (int r = 0; r < rounds; r++)
        for (int k = 0; k < 2; k++) {
            fill(&s[k], n, CALL_HEADS, CALL_HEADS, CALL_D);
            double start = measure_now();
            must(attn_launch(s[k].kernel, 0, s[k].at, NULL, &exec));
            s[k].time[r] = measure_now() - start;
        }
    report(name, "call", s, rounds);
    release(&s[0]);
    release(&s[1]);
}

static void
measure_steps(const char *name, struct side s[2], int64_t n, int rounds)
{
    attn_exec exec = {.threads = 1};
    for (int k = 0; k < 2; k++) {
        must(attn_state_init(&s[k].state, s[k].kernel, n + rounds));
        fill(&s[k], n, HEADS, GROUPS, STEP_D);
        must(attn_step(&s[k].state, s[k].kernel, s[k].at, NULL, &exec));
        fill(&s[k], 1, HEADS, GROUPS, STEP_D);
    }
    for (int r = 0; r < rounds; r++)
        for (int k = 0; k < 2; k++) {
            double start = measure_now();
            must(attn_step(&s[k].state, s[k].kernel, s[k].at, NULL, &exec));
            s[k].time[r] = measure_now() - start;
        }
    report(name, "step", s, rounds);
    printf("%-14s %-8s one kernel %9.1f MB, two %9.1f MB\n", name, "state",
           (double)attn_state_saved_size(&s[0].state) * 1e-6,
           (double)attn_state_saved_size(&s[1].state) * 1e-6);
    attn_state_free(&s[0].state);
    attn_state_free(&s[1].state);
    release(&s[0]);
    release(&s[1]);
}

int
main(int argc, char **argv)
{
    static struct side s[2];
    int64_t n = 8192;
    int rounds = 15;
    if (argc < 4) {
        fprintf(stderr, "usage: %s ONE.so TWO.so NAME [n] [rounds]\n", argv[0]);
        return 2;
    }
    bench_arguments(argc - 3, argv + 3, (int64_t)1 << 20, &n, &rounds);
    for (int k = 0; k < 2; k++)
        s[k].kernel = open_kernel(argv[1 + k], argv[3]);
    measure_calls(argv[3], s, n / 4, rounds);
    measure_steps(argv[3], s, n, rounds);
    return 0;
}
