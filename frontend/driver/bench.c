/* Command `bench`: programs measured against each other in turns, so that what slows the machine
 * down slows all of them, and against the multiply-add peak measured in the same run. */
#include "frontend/driver/bench.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/measure.h"
#include "frontend/driver/plot.h"
#include "frontend/driver/values.h"

static volatile sig_atomic_t stopped;

static void
on_interrupt(int signal)
{
    (void)signal;
    stopped = 1;
}

/* ---- what is known of a series ---- */

double
bench_exponent(const struct bench_series *s)
{
    double x = 0, y = 0, xx = 0, xy = 0, n = s->npoints;
    for (int k = 0; k < s->npoints; k++) {
        double u = log((double)s->at[k].n), v = log(s->at[k].median);
        x += u;
        y += v;
        xx += u * u;
        xy += u * v;
    }
    return s->npoints < 2 ? NAN : (n * xy - x * y) / (n * xx - x * x);
}

long
bench_predicted(const struct bench_series *s)
{
    return cost_row_degree(s->row, COST_FLOPS);
}

bool
bench_chooses(const struct bench_series *s)
{
    return !s->alone && s->of->u.direct_prog && s->of->u.direct_prog->cost;
}

/* The row of the form that runs at the sizes its program now has. */
static struct cost_row *
row_now(const struct bench_series *s)
{
    const struct unit *u = &s->of->u;
    if (!bench_chooses(s) || tx_eval(u->direct_prog, u->direct_prog->cost, s->of->at, NULL) >=
                                 tx_eval(u->prog, u->prog->cost, s->of->at, NULL))
        return s->row;
    return cost_direct_row(s->of);
}

void
bench_rates(const struct bench_report *r, struct choose_rates *rates)
{
    choose_rates_init(rates);
    for (int k = 0; k < rates->n; k++)
        rates->at[k].cost = 0;
    for (int k = 0; k < r->nseries; k++) {
        const struct bench_series *s = &r->series[k];
        struct choose_rate *x = choose_rate_find(rates, s->row->schedule);
        if (!s->npoints || bench_chooses(s) || !x)
            continue;
        const struct bench_point *last = &s->at[s->npoints - 1];
        double cost = 1000 * last->median * bench_peak_of(r, s) /
                      (last->flops + (CHOOSE_CALL_FLOPS - 1) * last->calls);
        x->cost = cost < 1 ? 1 : cost > 1e6 ? 1000000 : (int64_t)(cost + 0.5);
    }
}

double
bench_peak_of(const struct bench_report *r, const struct bench_series *s)
{
    return s->of->u.func->type == TYPE_F64 ? r->peak / 2 : r->peak;
}

double
bench_crossover(const struct bench_series *a, const struct bench_series *b)
{
    int n = a->npoints < b->npoints ? a->npoints : b->npoints, k;
    for (k = n; k > 0 && a->at[k - 1].median < b->at[k - 1].median; k--)
        ;
    if (k == n || n == 0)
        return 0;
    if (k == 0)
        return NAN;
    double d0 = log(a->at[k - 1].median / b->at[k - 1].median),
           d1 = log(a->at[k].median / b->at[k].median), x0 = log((double)a->at[k - 1].n),
           x1 = log((double)a->at[k].n);
    return exp(x0 + (x1 - x0) * d0 / (d0 - d1));
}

int64_t
bench_predicted_crossover(const struct bench_series *a, const struct bench_series *b)
{
    struct cost_crossings x;
    if (bench_chooses(a) || bench_chooses(b)) /* the lesser of two */
        return 0;
    int n = cost_row_cross(a->row, b->row, COST_FLOPS, &x);
    return n < 1 || x.at[n - 1].sign > 0 ? 0 : n == 1 ? -1 : x.at[n - 1].n;
}

/* ---- measuring ---- */

struct runner {
    struct values v;
    attn_exec exec;
    void *workspace;
    double time[BENCH_MAX_ROUNDS];
    int rounds;
    bool active;
};

static void
progress(const struct bench_report *r, int64_t n, const char *label, int round, int rounds)
{
    if (isatty(2) && !r->o->verbose)
        fprintf(stderr, "\r\033[K  n = %lld  %s  %d of %d", (long long)n, label, round, rounds);
}

static void
progress_end(const struct bench_report *r)
{
    if (isatty(2) && !r->o->verbose)
        fputs("\r\033[K", stderr);
}

/* Inputs and workspace of a series for the sizes its program now has. */
static bool
prepare(struct bench_report *r, struct bench_series *s, struct runner *x)
{
    const struct cost_program *p = s->of;
    const struct ir_func *f = s->row->func;
    int64_t *dims = ARENA_ARRAY(p->u.arena, int64_t, f->ndims);
    for (uint32_t k = 0; k < f->ndims; k++)
        dims[k] = p->at[k];
    if (!values_alloc(&x->v, f, s->kernel, dims)) {
        s->note = "the tensors are too large";
        return false;
    }
    values_random(&x->v, (uint64_t)r->o->seed + 1, false);
    x->exec = (attn_exec){.threads = r->threads};
    const DLTensor *t = x->v.tensor;
    const DLTensor *all[VALUES_MAX_TENSORS];
    for (int k = 0; k < s->kernel->ntensors; k++)
        all[k] = &t[k];
    x->exec.workspace_size = s->kernel->nstages
                                 ? attn_stages_workspace(s->kernel, all)
                                 : attn_workspace(s->kernel, 0, &t[0], &t[1], &t[2]);
    x->exec.workspace_size = (x->exec.workspace_size + 63) / 64 * 64;
    if (x->exec.workspace_size) {
        x->workspace = aligned_alloc(64, x->exec.workspace_size);
        if (!x->workspace)
            arena_oom();
        memset(x->workspace, 0, x->exec.workspace_size);
        x->exec.workspace = x->workspace;
    }
    return true;
}

static bool
launch(struct bench_series *s, struct runner *x, double *seconds)
{
    double start = measure_now();
    if (values_launch(&x->v, &x->exec)) {
        s->note = arena_strdup(s->of->u.arena, attn_message());
        return false;
    }
    *seconds = measure_now() - start;
    return true;
}

/* What a launch will take, by the last length and the operations; 0: unknown. */
static double
expected(const struct bench_series *s, double flops)
{
    const struct bench_point *last = &s->at[s->npoints > 0 ? s->npoints - 1 : 0];
    return s->npoints && last->flops > 0 ? last->median * flops / last->flops : 0;
}

static double
row_value(struct cost_row *row, enum cost_quantity q)
{
    fmpq_t v;
    fmpq_init(v);
    double x = cost_row_value(row, q, v)
                   ? fmpz_get_d(fmpq_numref(v)) / fmpz_get_d(fmpq_denref(v)) : 0;
    fmpq_clear(v);
    return x;
}

/* One launch each that is not counted, then rounds in turns until their time is used up. */
static void
measure_rounds(struct bench_report *r, struct runner *x, int64_t n)
{
    double budget = r->o->seconds ? (double)r->o->seconds : 1, first, spent[BENCH_MAX_SERIES] = {0};
    int most = r->o->rounds ? (int)r->o->rounds : 15;
    for (int k = 0; k < r->nseries && !stopped; k++) {
        if (!x[k].active)
            continue;
        progress(r, n, r->series[k].label, 0, most);
        x[k].active = launch(&r->series[k], &x[k], &first);
        if (x[k].active && first > budget) /* long enough not to need a warm cache */
            x[k].time[x[k].rounds++] = spent[k] = first;
    }
    for (int round = 0; round < most; round++)
        for (int k = 0; k < r->nseries && !stopped; k++) {
            if (!x[k].active || spent[k] > budget || x[k].rounds >= most)
                continue;
            progress(r, n, r->series[k].label, round + 1, most);
            if (launch(&r->series[k], &x[k], &first)) {
                x[k].time[x[k].rounds++] = first;
                spent[k] += first;
            }
        }
}

static void
measure_length(struct bench_report *r, int64_t n)
{
    enum { TOO_LONG = 30 };
    struct runner *x = xmalloc(sizeof *x * (size_t)r->nseries);
    memset(x, 0, sizeof *x * (size_t)r->nseries);
    double budget = r->o->seconds ? (double)r->o->seconds : 1;
    for (int k = 0; k < r->cost.np; k++)
        cost_set_size(r->cost.p[k], "n", n);
    for (int k = 0; k < r->nseries; k++) {
        struct bench_series *s = &r->series[k];
        double flops = row_value(row_now(s), COST_FLOPS);
        if (!s->note && expected(s, flops) > TOO_LONG * budget)
            s->note = arena_printf(s->of->u.arena, "n = %lld would take %.0f s (--seconds)",
                                   (long long)n, expected(s, flops));
        x[k].active = !s->note && prepare(r, s, &x[k]);
    }
    measure_rounds(r, x, n);
    for (int k = 0; k < r->nseries; k++) {
        struct bench_series *s = &r->series[k];
        int64_t count[COST_QUANTITIES] = {0};
        const char *why;
        if (x[k].rounds) {
            double m = measure_median(x[k].time, x[k].rounds);
            struct cost_row *row = row_now(s);
            bool counted = cost_row_count(row, count, &why);
            s->at[s->npoints++] = (struct bench_point){
                .n = n, .median = m, .least = x[k].time[0], .flops = row_value(row, COST_FLOPS),
                .calls = row_value(row, COST_CALLS), .rounds = x[k].rounds,
                .code_flops = counted ? (double)count[COST_FLOPS] : 0};
        }
        values_free(&x[k].v);
        free(x[k].workspace);
    }
    free(x);
}

/* ---- setting up ---- */

static void
read_cpu(char *name, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10))
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    if (f)
        fclose(f);
}

/* Code of one program alone, or (NULL) of all entries of the unit, which may choose. */
static int
add_series(struct bench_report *r, struct cost_program *p, struct cost_row *row, const char *label,
           const struct tile_prog *alone)
{
    struct bench_series *s = &r->series[r->nseries++];
    *s = (struct bench_series){.of = p, .row = row, .label = label, .alone = alone};
    return unit_jit_program(&p->u, r->o, alone, &s->module, &s->jit, &s->kernel);
}

/* The program as it is; with --direct also the form it is not, or of one that chooses both. */
static int
add_program(struct bench_report *r, struct cost_program *p)
{
    struct unit *u = &p->u;
    struct cost_row *direct = cost_direct_row(p);
    bool both = (r->o->direct || r->o->calibrate) && u->direct_prog,
         chooses = u->direct_prog && u->direct_prog->cost;
    int rc = add_series(r, p, &p->rows[0], p->rows[0].label, NULL);
    if (rc == EXIT_OK && both && chooses)
        rc = add_series(r, p, &p->rows[0],
                        arena_printf(u->arena, "%s kernelized", p->rows[0].label), u->prog);
    if (rc == EXIT_OK && both)
        rc = add_series(r, p, direct, direct->label, u->direct_prog);
    return rc;
}

/* D where nothing gives it, so that there is something to measure. */
static bool
fill_sizes(struct cost_program *p)
{
    const struct ir_func *f = p->u.func;
    if (!p->known[DIM_D])
        cost_set_size(p, "D", 64);
    if (!p->known[DIM_M])
        cost_set_size(p, "M", 64);
    for (uint32_t k = DIM_USER; k < f->ndims; k++)
        if (!p->known[k]) {
            usage_error("%s needs a size for %s: --at %s=...", f->name, f->dims[k].name,
                        f->dims[k].name);
            return false;
        }
    return true;
}

static int
open_all(struct bench_report *r)
{
    const struct options *o = r->o;
    for (int k = 0; k < o->ninputs; k++) {
        struct cost_program *p = r->cost.p[r->cost.np++] = xmalloc(sizeof *p);
        memset(p, 0, sizeof *p);
        int rc = cost_open(p, o->inputs[k], o);
        if (rc == EXIT_OK && !fill_sizes(p))
            rc = EXIT_USAGE;
        if (rc != EXIT_OK)
            return rc;
    }
    cost_tell_apart(&r->cost);
    for (int k = 0; k < r->cost.np; k++) {
        int rc = add_program(r, r->cost.p[k]);
        if (rc != EXIT_OK)
            return rc;
    }
    return cost_check_names(r->cost.p, r->cost.np, o, NULL) ? EXIT_OK : EXIT_USAGE;
}

/* The lengths: those asked for, or the one that a program fixes. */
static bool
lengths(const struct bench_report *r, struct cost_sweep *n)
{
    int64_t fixed = 0;
    for (int k = 0; k < r->cost.np; k++) {
        int64_t size = r->cost.p[k]->u.func->dims[DIM_N].size;
        if (size && fixed && size != fixed) {
            usage_error("programs with n = %lld and n = %lld have no length in common",
                        (long long)fixed, (long long)size);
            return false;
        }
        fixed = size ? size : fixed;
    }
    *n = (struct cost_sweep){"n", fixed ? fixed : 1024, fixed ? fixed : 16384, 0};
    if (r->o->sizes && !cost_parse_sweep(r->o->sizes, n)) {
        usage_error("--n needs FROM:TO, FROM:TO:STEP or one length, found '%s'", r->o->sizes);
        return false;
    }
    if (fixed && (n->from != fixed || n->to != fixed)) {
        usage_error("--n: a program fixes n = %lld", (long long)fixed);
        return false;
    }
    int64_t x = n->from;
    int count = 1;
    while (cost_sweep_next(n, &x))
        count++;
    if (count > BENCH_MAX_POINTS)
        usage_error("--n: %d lengths, at most %d", count, BENCH_MAX_POINTS);
    return count <= BENCH_MAX_POINTS;
}

static bool
check_options(const struct options *o)
{
    struct arena *a = arena_new();
    struct dim_override at[MAX_LIST];
    int n = 0;
    bool length = false, ok = parse_sizes(&o->at, "at", at, MAX_LIST, &n, a);
    for (int k = 0; k < n && ok; k++)
        length = length || !strcmp(at[k].name, "n");
    arena_free(a);
    if (!ok || length)
        return ok ? usage_error("--at n: the lengths are those of --n"), false : false;
    if (o->json && o->csv)
        usage_error("--json and --csv: one of them");
    else if (o->rounds > BENCH_MAX_ROUNDS)
        usage_error("--rounds is %ld, at most %d", o->rounds, BENCH_MAX_ROUNDS);
    else if (o->threads > 1024)
        usage_error("--threads is %ld, at most 1024", o->threads);
    else if (o->calibrate && o->csv)
        usage_error("--calibrate does not go with --csv");
    else
        return plot_check(o);
    return false;
}

static int
measure(struct bench_report *r)
{
    struct cost_sweep n;
    /* once: the launch under way is the last; again: at once */
    struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, old;
    if (!lengths(r, &n))
        return EXIT_USAGE;
    read_cpu(r->cpu, sizeof r->cpu);
    r->threads = r->o->threads ? (int)r->o->threads : 1;
    r->peak = measure_peak(r->cost.p[0]->u.cg.variant[0]->isa, r->threads);
    sigaction(SIGINT, &act, &old);
    int64_t x = n.from;
    do
        measure_length(r, x);
    while (!stopped && cost_sweep_next(&n, &x));
    sigaction(SIGINT, &old, NULL);
    progress_end(r);
    r->interrupted = stopped;
    for (int k = 0; k < r->nseries; k++)
        if (r->series[k].npoints || stopped)
            return EXIT_OK;
    fprintf(stderr, "attnc: nothing was measured: %s\n", r->series[0].note);
    return EXIT_DIAG;
}

int
command_bench(const struct options *o)
{
    enum { EXIT_INTERRUPTED = 130 };
    struct bench_report *r = xmalloc(sizeof *r);
    memset(r, 0, sizeof *r);
    r->o = r->cost.o = o;
    int rc = check_options(o) ? open_all(r) : EXIT_USAGE;
    if (rc == EXIT_OK)
        rc = measure(r);
    if (rc == EXIT_OK) {
        if (o->json)
            bench_json(r);
        else if (o->csv)
            bench_csv(r);
        else
            bench_text(r);
        if (o->plot)
            rc = bench_plot(r, o->plot);
        if (r->interrupted)
            rc = EXIT_INTERRUPTED;
    }
    for (int k = 0; k < r->nseries; k++) {
        cg_jit_free(r->series[k].jit);
        cg_free(r->series[k].module);
    }
    for (int k = 0; k < r->cost.np; k++) {
        cost_close(r->cost.p[k]);
        free(r->cost.p[k]);
    }
    free(r);
    return rc;
}
