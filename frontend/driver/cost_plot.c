/* The curves of a cost report: FLOPs of each forward form over n, with the crossovers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/driver/cost.h"
#include "frontend/driver/plot.h"

enum { POINTS = 40 };

/* A curve of a row from n = from to n = to; false with *missing if a size is missing. */
static bool
add_curve(struct plot *p, struct cost_row *row, const struct cost_sweep *n, const char **missing)
{
    double *x = ARENA_ARRAY(row->of->u.arena, double, 2 * POINTS), *y = x + POINTS;
    int points = 0;
    fmpq_t v;
    fmpq_init(v);
    for (int k = 0; k < POINTS; k++) {
        double at = (double)n->from * pow((double)n->to / (double)n->from, k / (POINTS - 1.0));
        cost_set_size(row->of, "n", (int64_t)llround(at));
        if (!cost_row_value(row, COST_FLOPS, v)) {
            *missing = cost_row_missing(row, COST_FLOPS);
            fmpq_clear(v);
            return false;
        }
        x[points] = (double)llround(at);
        y[points] = fmpz_get_d(fmpq_numref(v)) / fmpz_get_d(fmpq_denref(v));
        points += y[points] > 0;
    }
    fmpq_clear(v);
    if (points) {
        struct plot_curve c = {row->label, x, y, points, true, p->ncurves + 1};
        p->curve[p->ncurves++] = c;
    }
    return true;
}

static void
add_marks(struct cost_report *r, struct plot *p, const struct cost_sweep *n)
{
    for (int a = 0; a < r->nrows; a++)
        for (int b = a + 1; b < r->nrows; b++) {
            struct cost_crossings x;
            if (!cost_comparable(r->row[a], r->row[b]) || r->row[a]->kind != COST_FORWARD)
                continue;
            int count = cost_row_cross(r->row[a], r->row[b], COST_FLOPS, &x);
            for (int k = 1; k < count && p->nmarks < PLOT_MAX_MARKS; k++) {
                const struct cost_row *less = r->row[x.at[k].sign < 0 ? a : b],
                                      *more = r->row[x.at[k].sign < 0 ? b : a];
                if (x.at[k].n < n->from || x.at[k].n > n->to)
                    continue;
                p->mark[p->nmarks].x = (double)x.at[k].n;
                p->mark[p->nmarks++].text =
                    arena_printf(less->of->u.arena, "n = %lld: %s takes less than %s",
                                 (long long)x.at[k].n, less->label, more->label);
            }
        }
}

const char *
cost_curves(struct cost_report *r, const struct cost_sweep *n, struct plot *p)
{
    const char *missing = NULL;
    *p = (struct plot){.title = "what it costs", .x = "n", .y = "FLOPs"};
    for (int k = 0; k < r->nrows && !missing; k++)
        if (r->row[k]->kind == COST_FORWARD)
            add_curve(p, r->row[k], n, &missing);
    if (!missing)
        add_marks(r, p, n);
    return missing;
}

int
cost_plot(struct cost_report *r)
{
    struct cost_sweep n = {"n", 64, 65536, 0};
    if (r->o->sizes && (!cost_parse_sweep(r->o->sizes, &n) || n.from == n.to))
        return usage_error("--n needs FROM:TO for a plot, found '%s'", r->o->sizes);
    struct plot *p = xmalloc(sizeof *p);
    const char *missing = cost_curves(r, &n, p);
    int rc = missing ? usage_error("--plot needs %s: --at %s=...", missing, missing)
                     : plot_draw(p, r->o->plot);
    free(p);
    return rc;
}
