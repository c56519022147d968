/* What `bench` measured, as text, JSON, comma-separated values and a picture. docs/bench.md has the
 * schema. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/driver/bench.h"
#include "frontend/driver/plot.h"

static void
print_sizes(const struct cost_program *p)
{
    static const int shown[] = {DIM_B, DIM_H, DIM_G, DIM_D, DIM_M};
    for (int k = 0; k < 5; k++)
        printf(" %s=%lld", p->u.func->dims[shown[k]].name, (long long)p->at[shown[k]]);
}

static double
rate(const struct bench_point *x)
{
    return x->flops / x->median;
}

static void
print_points(const struct bench_report *r)
{
    printf("\n  %-24s %9s %12s %9s %8s %7s\n", "program", "n", "median ms", "GFLOP/s", "of peak",
           "rounds");
    for (int k = 0; k < r->nseries; k++) {
        const struct bench_series *s = &r->series[k];
        for (int m = 0; m < s->npoints; m++) {
            const struct bench_point *x = &s->at[m];
            printf("  %-24s %9lld %12.4f %9.2f", s->label, (long long)x->n, 1e3 * x->median,
                   1e-9 * rate(x));
            if (r->peak > 0)
                printf(" %7.1f%%", 100 * rate(x) / bench_peak_of(r, s));
            else
                printf(" %8s", "-");
            printf(" %7d\n", x->rounds);
        }
        if (s->note)
            printf("  %-24s %s\n", s->label, s->note);
    }
}

static void
print_pairs(const struct bench_report *r)
{
    for (int a = 0; a < r->nseries; a++)
        for (int b = 0; b < r->nseries; b++) {
            const struct bench_series *s = &r->series[a], *t = &r->series[b];
            double n = bench_crossover(s, t);
            int64_t p = bench_predicted_crossover(s, t);
            bool chooses = bench_chooses(s) || bench_chooses(t);
            if (a == b || (p == 0 && (n == 0 || (a > b && !chooses))))
                continue;
            if (p == 0 && !chooses && isnan(n) && bench_predicted_crossover(t, s))
                continue; /* said the other way round */
            printf("  %s faster than %s: ", s->label, t->label);
            if (n == 0)
                printf("not at the lengths measured");
            else if (isnan(n))
                printf("at all lengths measured");
            else
                printf("from about n = %.0f", n);
            if (bench_chooses(s) || bench_chooses(t))
                printf("\n");
            else if (p > 0)
                printf("; fewer FLOPs from n = %lld\n", (long long)p);
            else
                printf("; %s\n", p ? "fewer FLOPs for every n" : "never fewer FLOPs");
        }
}

/* What one FLOP of each schedule took, for kernelize auto. */
static void
print_rates(const struct bench_report *r)
{
    struct choose_rates rates;
    bool first = true;
    bench_rates(r, &rates);
    printf("\nrates of these programs, at their longest lengths: --rates=");
    for (int k = 0; k < rates.n; k++)
        if (rates.at[k].cost) {
            printf("%s%s:%lld", first ? "" : ",", rates.at[k].schedule,
                   (long long)rates.at[k].cost);
            first = false;
        }
    printf("\n");
}

void
bench_text(const struct bench_report *r)
{
    printf("%s, %d thread%s", r->cpu, r->threads, r->threads == 1 ? "" : "s");
    if (r->peak > 0)
        printf(", multiply-add peak %.1f GFLOP/s (f32; f64 half of it)", 1e-9 * r->peak);
    printf("\n");
    for (int k = 0; k < r->cost.np; k++) {
        printf("%s (%s)", r->cost.p[k]->rows[0].label,
               ir_type_names[r->cost.p[k]->u.func->type]);
        print_sizes(r->cost.p[k]);
        printf("\n");
    }
    print_points(r);
    printf("\n  %-24s %s\n", "time grows as", "measured, predicted");
    for (int k = 0; k < r->nseries; k++) {
        double e = bench_exponent(&r->series[k]);
        if (isnan(e))
            printf("  %-24s -, n^%ld\n", r->series[k].label, bench_predicted(&r->series[k]));
        else
            printf("  %-24s n^%.2f, n^%ld\n", r->series[k].label, e,
                   bench_predicted(&r->series[k]));
    }
    if (r->nseries > 1) {
        printf("\n");
        print_pairs(r);
    }
    if (r->o->calibrate)
        print_rates(r);
    if (r->interrupted)
        printf("\ninterrupted: what was measured until then\n");
}

/* ---- for machines ---- */

static void
json_crossovers(const struct bench_report *r)
{
    bool first = true;
    for (int a = 0; a < r->nseries; a++)
        for (int b = 0; b < r->nseries; b++) {
            double n = bench_crossover(&r->series[a], &r->series[b]);
            int64_t p = bench_predicted_crossover(&r->series[a], &r->series[b]);
            if (a == b || !((n > 0 && isfinite(n)) || p > 0))
                continue;
            printf("%s\n    {\"a\": ", first ? "" : ",");
            put_json(r->series[a].label);
            printf(", \"b\": ");
            put_json(r->series[b].label);
            printf(", ");
            put_json_number("n", n > 0 ? n : NAN, ", ");
            put_json_number("predicted", p > 0 ? (double)p : NAN, "}");
            first = false;
        }
}

static void
json_rates(const struct bench_report *r)
{
    struct choose_rates rates;
    const char *sep = "";
    bench_rates(r, &rates);
    printf(",\n  \"rates\": {");
    for (int k = 0; k < rates.n; k++)
        if (rates.at[k].cost) {
            printf("%s\"%s\": %lld", sep, rates.at[k].schedule, (long long)rates.at[k].cost);
            sep = ", ";
        }
    printf("}");
}

void
bench_json(const struct bench_report *r)
{
    bool first = true;
    printf("{ \"machine\": {\"cpu\": ");
    put_json(r->cpu);
    printf(", \"threads\": %d, ", r->threads);
    put_json_number("peak_gflops", r->peak > 0 ? 1e-9 * r->peak : NAN, "},\n  \"interrupted\": ");
    printf("%s,\n  \"results\": [", r->interrupted ? "true" : "false");
    for (int k = 0; k < r->nseries; k++)
        for (int m = 0; m < r->series[k].npoints; m++) {
            const struct bench_point *x = &r->series[k].at[m];
            printf("%s\n    {\"name\": ", first ? "" : ",");
            put_json(r->series[k].label);
            printf(", \"n\": %lld, ", (long long)x->n);
            put_json_number("median_s", x->median, ", ");
            put_json_number("least_s", x->least, ", ");
            put_json_number("gflops", 1e-9 * rate(x), ", ");
            double peak = bench_peak_of(r, &r->series[k]);
            put_json_number("peak_fraction", peak > 0 ? rate(x) / peak : NAN, ", ");
            printf("\"flops\": %.0f, ", x->flops);
            if (x->code_flops > 0)
                printf("\"code_flops\": %.0f, ", x->code_flops);
            else
                printf("\"code_flops\": null, ");
            printf("\"rounds\": %d}", x->rounds);
            first = false;
        }
    printf("\n  ],\n  \"fits\": [");
    for (int k = 0; k < r->nseries; k++) {
        printf("%s\n    {\"name\": ", k ? "," : "");
        put_json(r->series[k].label);
        printf(", ");
        put_json_number("exponent", bench_exponent(&r->series[k]), ", ");
        printf("\"predicted\": %ld, \"note\": ", bench_predicted(&r->series[k]));
        if (r->series[k].note)
            put_json(r->series[k].note);
        else
            printf("null");
        printf("}");
    }
    printf("\n  ],\n  \"crossovers\": [");
    json_crossovers(r);
    printf("\n  ]");
    if (r->o->calibrate)
        json_rates(r);
    printf(" }\n");
}

static void
csv_text(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

void
bench_csv(const struct bench_report *r)
{
    puts("name,n,median_s,least_s,gflops,peak_fraction,rounds");
    for (int k = 0; k < r->nseries; k++)
        for (int m = 0; m < r->series[k].npoints; m++) {
            const struct bench_point *x = &r->series[k].at[m];
            csv_text(r->series[k].label);
            printf(",%lld,%.9g,%.9g,%.6g,", (long long)x->n, x->median, x->least, 1e-9 * rate(x));
            if (r->peak > 0)
                printf("%.4g", rate(x) / bench_peak_of(r, &r->series[k]));
            printf(",%d\n", x->rounds);
        }
}

/* ---- the picture ---- */

/* Times as the operations have them, through the longest length that was measured. */
static void
predict(const struct bench_series *s, double *y)
{
    const struct bench_point *last = &s->at[s->npoints - 1];
    for (int m = 0; m < s->npoints; m++)
        y[m] = last->median * s->at[m].flops / last->flops;
}

static void
add_marks(const struct bench_report *r, struct plot *p)
{
    for (int a = 0; a < r->nseries; a++)
        for (int b = 0; b < r->nseries && p->nmarks < PLOT_MAX_MARKS; b++) {
            int64_t n = a == b ? 0 : bench_predicted_crossover(&r->series[a], &r->series[b]);
            const struct bench_series *s = &r->series[a];
            if (n <= 0 || !s->npoints || n < s->at[0].n || n > s->at[s->npoints - 1].n)
                continue;
            p->mark[p->nmarks].x = (double)n;
            p->mark[p->nmarks++].text = arena_printf(
                r->cost.p[0]->u.arena, "n = %lld: %s takes fewer FLOPs than %s", (long long)n,
                s->label, r->series[b].label);
        }
}

int
bench_plot(const struct bench_report *r, const char *file)
{
    struct plot *p = xmalloc(sizeof *p);
    struct arena *a = r->cost.p[0]->u.arena;
    *p = (struct plot){.title = r->cpu, .x = "n", .y = "median time, s"};
    for (int k = 0; k < r->nseries; k++) {
        const struct bench_series *s = &r->series[k];
        double *x = ARENA_ARRAY(a, double, 3 * BENCH_MAX_POINTS), *y = x + BENCH_MAX_POINTS,
               *z = y + BENCH_MAX_POINTS;
        if (!s->npoints)
            continue;
        for (int m = 0; m < s->npoints; m++) {
            x[m] = (double)s->at[m].n;
            y[m] = s->at[m].median;
        }
        predict(s, z);
        p->curve[p->ncurves++] =
            (struct plot_curve){s->label, x, y, s->npoints, false, k + 1};
        if (*file)
            p->curve[p->ncurves++] = (struct plot_curve){
                arena_printf(a, "%s, predicted", s->label), x, z, s->npoints, true, k + 1};
    }
    add_marks(r, p);
    int rc = p->ncurves ? plot_draw(p, file) : EXIT_OK;
    free(p);
    return rc;
}
