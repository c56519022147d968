/* Native code, bit for bit: real programs, every instruction set this machine has, every shape of
 * {1,2,3,7,16,17,64,65}^3 for n, D, M, grouped heads, n_q other than n, padded strides, f32 tensors
 * with f64 sums, one worker and three; and one query over a long cache, where the keys are split,
 * by one to four workers. The programs and what must come out are in exact.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "kernels.h"
#include "thinned.h"

static long passed, failed;

/* One way of compiling a program. */
struct config {
    enum ir_type type;
    const struct schedule_tuning *tuning;
    int64_t D, M; /* fixed sizes, or 0 */
    bool wide;    /* state f64 */
};

enum { ROWS = 4 };

/* Several tiles of queries, keys, chunks and features in sequences of 65. */
static const struct schedule_tuning small = {
    .query_tile = 16, .key_tile = 16, .chunk = 16, .feature_block = 40};

/* Workers one after the other, the last one first: it does everything, in its own workspace. */
static void
last_first(void *ctx, int workers, void (*fn)(void *, int), void *arg)
{
    (void)ctx;
    for (int w = workers; w-- > 0;)
        fn(arg, w);
}

static void
report(const struct exact_case *c, const struct native *n, const struct config *f, int threads,
       int rc, const struct exact_run *r, int64_t wrong)
{
    const int64_t *d = c->dims;
    if (failed++ > 30)
        return;
    printf("FAILED %s %s %s, tile %d, %d workers, ", c->p->name, n->target->name,
           f->wide ? "f32 in f64" : f->type == TYPE_F64 ? "f64" : "f32", f->tuning->query_tile,
           threads);
    printf("B=%lld H=%lld G=%lld n_q=%lld n=%lld D=%lld M=%lld%s: ", (long long)d[0],
           (long long)d[1], (long long)d[2], (long long)d[3], (long long)d[4], (long long)d[5],
           (long long)d[6], f->D ? " fixed" : "");
    if (rc)
        printf("%s\n", attn_message());
    else if (wrong < 0)
        printf("memory between the rows of out was written\n");
    else
        printf("out[%lld] is %.17g, must be %.17g\n", (long long)wrong,
               placed_get(&r->x[3], r->memory[3], wrong), c->want[wrong]);
}

/* One shape on all kernels of a config, with one worker, step more, and so on. */
static void
run_shape(struct native *kernels, int count, const struct exact_program *p, const struct config *f,
          const int64_t *dims, uint64_t seed, int most_workers, int step)
{
    struct exact_case c;
    struct exact_run r;
    if (!exact_make(&c, p, kernels[0].kernel, dims, seed)) {
        printf("%s is not exact at n=%lld D=%lld\n", p->name, (long long)dims[EX_N],
               (long long)dims[EX_D]);
        failed++;
        return;
    }
    exact_place(&r, &c, (enum layout)(seed % LAYOUTS));
    for (int t = 0; t < c.kernel->ntensors; t++)
        r.memory[t] = xmalloc(r.x[t].bytes + 1);
    exact_fill(&r, &c);
    for (int k = 0; k < count; k++)
        for (int threads = 1; threads <= most_workers; threads += step) {
            attn_exec exec = {.threads = threads};
            if (seed / LAYOUTS % 16) /* OpenMP's threads now and then: they spin */
                exec.parallel_for = last_first;
            exact_reset(&r);
            int rc = exact_launch(&r, &c, kernels[k].kernel, &exec);
            int64_t wrong = rc ? 0 : exact_wrong(&r, &c);
            if (rc || wrong != -1)
                report(&c, &kernels[k], f, threads, rc, &r, wrong);
            else
                passed++;
        }
    for (int t = 0; t < c.kernel->ntensors; t++)
        free(r.memory[t]);
    exact_run_free(&r);
    exact_free(&c);
}

/* Heads, and a number of queries that differs from that of keys now and then. */
static void
complete(const struct exact_program *p, uint64_t seed, int64_t *d)
{
    static const int64_t heads[][3] = {{1, 1, 1}, {2, 4, 2}, {1, 3, 1}, {1, 2, 2}, {3, 2, 1}};
    for (int k = 0; k < 3; k++)
        d[k] = heads[seed % 5][k];
    d[EX_NQ] = d[EX_N];
    if (seed % 3 == 1)
        d[EX_NQ] = d[EX_N] / 2 + 1;
    else if (seed % 7 == 2)
        d[EX_NQ] = d[EX_N] + 5;
    if (p->positions && d[EX_NQ] > d[EX_N])
        d[EX_NQ] = d[EX_N];
}

static bool
open_all(struct native *kernels, int *count, const struct exact_program *p, const struct config *f)
{
    struct dim_override fixed[2] = {{"D", f->D}, {"M", f->M}};
    char text[512];
    bool ok = snprintf(text, sizeof text, "%s%s", f->wide ? "state f64; " : "", p->text) <
              (int)sizeof text;
    *count = 0;
    for (const struct cg_target *t; ok && (t = native_row(*count)) && *count < ROWS;)
        ok = native_open(&kernels[(*count)++], p->name, text, f->type, fixed, f->D ? 2 : 0,
                         f->tuning, t);
    if (!ok)
        failed++;
    return ok;
}

/* The definition in exact.c and the interpreter on what the program means are one and the same.
 * (Where exp would overflow as written: on the function relative to the row's maximum.) */
static void
check_definition(const struct native *n, const struct exact_program *p)
{
    for (int s = 0; s < 12; s++) {
        struct exact_case c;
        const char *why = "in value";
        int64_t d[EX_DIMS] = {[EX_N] = s * 5 % 9, [EX_D] = 1 + s % 4, [EX_M] = 1 + s % 3};
        complete(p, (uint64_t)s, d);
        bool ok = exact_make(&c, p, n->kernel, d, (uint64_t)s);
        num *x[EXACT_TENSORS + 1], scalar = {.f = (double)c.scalar};
        for (int t = 0; ok && t < EXACT_TENSORS; t++) {
            int64_t count = t < c.kernel->ntensors ? c.elements[t] : 0;
            x[t] = xmalloc(sizeof(num) * (size_t)(count + 1));
            for (int64_t e = 0; e < count; e++)
                x[t][e].f = c.in[t][e];
        }
        const num *param = c.kernel->ntensors > 4 ? x[4] : &scalar;
        struct interp_input in = {
            .dom = NUM_F64, .dims = d, .q = x[0], .k = x[1], .v = x[2], .params = &param};
        num *out = xmalloc(sizeof(num) * (size_t)(c.count + 1));
        const struct ir_func *f = p->result == HARDMAX ? n->p.func : n->p.meaning;
        ok = ok && interp_node(f, f->root[ROOT_OUT], &in, out, &why);
        for (int64_t e = 0; ok && e < c.count; e++)
            ok = out[e].f == c.want[e];
        if (!ok)
            printf("FAILED %s: interpreter and definition differ (%s)\n", p->name, why);
        passed += ok;
        failed += !ok;
        for (int t = 0; t < EXACT_TENSORS; t++)
            free(x[t]);
        free(out);
        exact_free(&c);
    }
}

static const int64_t sizes[] = {1, 2, 3, 7, 16, 17, 64, 65};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* More than one tile of the usual extents, and nothing at all: n, D, M. */
static const int64_t more[][3] = {{129, 7, 3}, {200, 3, 17}, {257, 16, 2},
                                  {300, 2, 65}, {513, 3, 1}, {0, 7, 17}};
enum { MORE = sizeof more / sizeof *more };

/* Compiled once, run on every step-th shape. */
static void
grid(const struct exact_program *p, const struct config *f, int step)
{
    struct native kernels[ROWS];
    int count;
    bool ok = open_all(kernels, &count, p, f);
    for (int s = 0; ok && s < SIZES * SIZES * SIZES + MORE; s += step) {
        int64_t d[EX_DIMS] = {[EX_N] = sizes[s / SIZES / SIZES % SIZES],
                               [EX_D] = sizes[s / SIZES % SIZES], [EX_M] = sizes[s % SIZES]};
        uint64_t seed = (uint64_t)s * 7 + (uint64_t)f->type;
        if (s >= SIZES * SIZES * SIZES)
            for (int k = 0; k < 3; k++)
                d[k == 0 ? EX_N : k == 1 ? EX_D : EX_M] = more[s - SIZES * SIZES * SIZES][k];
        complete(p, seed, d);
        if ((f->D && (d[EX_D] != f->D || d[EX_M] != f->M)) || (p->max_D && d[EX_D] > p->max_D))
            continue;
        run_shape(kernels, count, p, f, d, seed, 3, 2);
    }
    if (ok && f->type == TYPE_F64)
        check_definition(&kernels[0], p);
    for (int k = 0; k < count; k++)
        native_close(&kernels[k]);
}

/* Every eleventh shape of a thinned run: 11 is prime to the 8 sizes, so each size of each dimension
 * still occurs. */
static void
run_program(const struct exact_program *p)
{
    const struct schedule_tuning *usual = &schedule_default_tuning;
    const int step = thinned() ? 11 : 1;
    const bool even = (p - exact_programs) % 2 == 0; /* thinned: each program in one of the two */
    if (step == 1 || even || p->several)
        grid(p, &(struct config){TYPE_F32, usual, 0, 0, false}, step);
    if (step == 1 || !even)
        grid(p, &(struct config){TYPE_F64, &small, 0, 0, false}, step);
    if (step == 1 || p->several)
        grid(p, &(struct config){TYPE_F32, &small, 0, 0, true}, step + 6);
    if (p->several)
        grid(p, &(struct config){TYPE_F32, &small, 0, 0, false}, step + 2);
}

/* Fixed D and M make other code: loops of known length, no remainders. */
static void
run_fixed(const struct exact_program *p)
{
    static const int64_t pairs[][2] = {{1, 17}, {3, 64}, {7, 1}, {16, 65}, {17, 16}, {64, 64}};
    for (unsigned k = 0; k < sizeof pairs / sizeof *pairs; k++)
        grid(p, &(struct config){k == 3 ? TYPE_F64 : TYPE_F32, &schedule_default_tuning,
                                 pairs[k][0], pairs[k][1], k % 2 != 0}, 1);
}

/* One query (or three, of five heads that share a key head) over a cache of keys, whatever the
 * number of workers. */
static void
decode(const struct exact_program *p, const struct config *f)
{
    static const int64_t lengths[] = {0, 1, 2, 7, 64, 65, 1000, 5000};
    static const int64_t heads[][2] = {{1, 1}, {4, 2}, {10, 2}, {5, 1}};
    struct native kernels[ROWS];
    int count;
    bool ok = open_all(kernels, &count, p, f);
    for (int s = 0; ok && s < 4 * 8; s++) {
        const int64_t n = lengths[s / 4], *h = heads[s % 4];
        int64_t limit = (int64_t)1 << (f->type == TYPE_F64 ? 53 : 24);
        int64_t d[EX_DIMS] = {1, h[0], h[1], s == 31 ? 3 : 1, n, 3, 17};
        if (n >= 1000 && s % 4 == 2)
            continue;
        bool table = kernels[0].kernel->ntensors > 4 && kernels[0].kernel->tensors[4].rank == 3;
        if (p->most(3, n, 1) * n > limit || (table && n > 1000) || (p->positions && n < 1))
            continue;
        run_shape(kernels, count, p, f, d, (uint64_t)s + 3, 4, 1);
    }
    for (int k = 0; k < count; k++)
        native_close(&kernels[k]);
}

/* Where sums are rounded, the bits are the same for any number of workers and from run to run. */
static void
same_bits(const struct exact_program *shape, const char *text, int64_t n_q)
{
    struct native k;
    struct exact_case c;
    struct exact_run r;
    int64_t d[EX_DIMS] = {1, 3, 1, n_q, 5000, 16, 17};
    char *first = NULL;
    if (!native_open(&k, "rounded", text, TYPE_F32, NULL, 0, &schedule_default_tuning,
                     native_row(0)) ||
        !exact_make(&c, shape, k.kernel, d, 1)) {
        failed++;
        return;
    }
    exact_place(&r, &c, LAYOUT_DENSE);
    for (int t = 0; t < 4; t++)
        r.memory[t] = xmalloc(r.x[t].bytes + 1);
    exact_fill(&r, &c);
    for (int run = 0; run < 8; run++) {
        attn_exec exec = {.threads = 1 + run % 4};
        exact_reset(&r);
        bool ok = exact_launch(&r, &c, k.kernel, &exec) == 0;
        if (!first) {
            first = xmalloc(r.x[3].bytes + 1);
            memcpy(first, r.memory[3], r.x[3].bytes);
        }
        ok = ok && !memcmp(first, r.memory[3], r.x[3].bytes);
        passed += ok;
        failed += !ok;
        if (!ok)
            printf("FAILED %s: other bits with %d workers\n", text, exec.threads);
    }
    free(first);
    for (int t = 0; t < 4; t++)
        free(r.memory[t]);
    exact_run_free(&r);
    exact_free(&c);
    native_close(&k);
}

int
main(int argc, char **argv)
{
    const bool all = !thinned();
    for (int k = 0; k < exact_program_count; k++) {
        const struct exact_program *p = &exact_programs[k];
        if (argc > 1 && strcmp(argv[1], p->name))
            continue;
        run_program(p);
        if (all || p->several)
            decode(p, &(struct config){TYPE_F32, &schedule_default_tuning, 0, 0, p->several});
        if (all)
            decode(p, &(struct config){TYPE_F64, &small, 0, 0, false});
        if (p->several)
            run_fixed(p);
        if (p->result == HARDMAX)
            for (int64_t n_q = 1; n_q < 100; n_q += 69) {
                same_bits(p, "sim = exp(q·k / 7); causal;", n_q);
                same_bits(p, "sim = 1 / (1 + norm2(q - k));", n_q);
            }
    }
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed != 0;
}
