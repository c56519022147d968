/* Command `cost`: the exact complexity of programs, of both forms of those that are kernelized, and
 * where one overtakes the other. */
#include "frontend/driver/cost.h"
#include "frontend/driver/plot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one program ---- */

cost_poly *
cost_with_areas(struct cost_program *p, cost_poly *q)
{
    struct cost_ring *r = &p->ring;
    q = p->all.p ? cost_subst(r, q, r->area, p->all.p) : q;
    return p->last.p ? cost_subst(r, q, r->seen, p->last.p) : q;
}

static void
add_row(struct cost_program *p, const char *form, struct ir_func *f, struct tile_prog *prog,
        enum cost_entry kind)
{
    struct cost_row *row = &p->rows[p->nrows++];
    *row = (struct cost_row){.of = p, .form = form, .func = f, .prog = prog, .kind = kind};
    row->entry = kind == COST_FORWARD ? "forward" : "step";
    row->schedule = prog->schedule;
    row->label = form && !strcmp(form, "direct") ? arena_printf(p->u.arena, "%s direct", f->name)
                                                 : f->name;
    cost_axis(&p->ring, f, kind, NULL, &row->raw);
    for (int k = 0; k < COST_QUANTITIES; k++)
        row->cost.q[k] = cost_with_areas(p, row->raw.q[k]);
    int64_t period = prog->period ? prog->period : p->tile;
    row->tiles.why = "not asked for";
    if (p->code)
        cost_tile(&p->ring, prog, p->at, p->known, &row->raw, kind == COST_STEP_STATE ? 0 : period,
              kind == COST_STEP_CACHE, &row->tiles);
}

static void
add_rows(struct cost_program *p)
{
    struct unit *u = &p->u;
    const char *why, *form = p->u.direct ? "kernelized" : NULL;
    add_row(p, form, u->func, u->prog, COST_FORWARD);
    if (u->stepping == STEP_STATE)
        add_row(p, form, u->func, u->step, COST_STEP_STATE);
    else if (u->stepping == STEP_CACHE)
        add_row(p, form, u->func, u->prog, COST_STEP_CACHE);
    if (!p->u.direct)
        return;
    add_row(p, "direct", p->u.direct, p->u.direct_prog, COST_FORWARD);
    if (schedule_stepping(p->u.direct, &why) == STEP_CACHE)
        add_row(p, "direct", p->u.direct, p->u.direct_prog, COST_STEP_CACHE);
}

void
cost_derive(struct cost_program *p)
{
    cost_dims(p);
    if (p->u.stage) {
        cost_sizes_fill(p);
        cost_stages(p);
        return;
    }
    cost_sizes_fill(p); /* what masks read may matter to their areas */
    cost_find_areas(p);
    cost_sizes_fill(p);
    p->nrows = 0;
    add_rows(p);
}

int
cost_open(struct cost_program *p, const char *path, const struct options *o)
{
    int rc = unit_open(&p->u, path, o);
    if (rc == EXIT_OK)
        rc = unit_prepare(&p->u, o);
    if (rc != EXIT_OK)
        return rc;
    struct schedule_tuning t;
    if (!p->u.stage && !unit_direct(&p->u, o))
        return EXIT_ENV;
    if (unit_tuning(o, &t) == EXIT_OK)
        p->tile = cost_lcm(cost_lcm(t.query_tile, t.key_tile), t.chunk ? t.chunk : 1);
    cost_ring_init(&p->ring, p->u.func, p->u.arena);
    if (!cost_sizes_given(p, o))
        return EXIT_USAGE;
    cost_derive(p);
    return EXIT_OK;
}

void
cost_close(struct cost_program *p)
{
    cost_ring_free(&p->ring);
    unit_close(&p->u);
}

/* ---- several ---- */

void
cost_tell_apart(struct cost_report *r)
{
    for (int k = 0; k < r->np; k++)
        for (int m = 0; m < r->np; m++) {
            struct cost_program *p = r->p[k], *q = r->p[m];
            if (k == m || strcmp(p->u.func->name, q->u.func->name))
                continue;
            bool same = !strcmp(p->u.src->name, q->u.src->name);
            for (int x = 0; x < p->nrows; x++) {
                bool direct = p->rows[x].form && !strcmp(p->rows[x].form, "direct");
                p->rows[x].label = arena_printf(p->u.arena, same ? "%s%s #%d" : "%s%s",
                                                p->u.src->name, direct ? " direct" : "", k + 1);
            }
        }
}

void
cost_order_rows(struct cost_report *r)
{
    for (int step = 0; step < 2; step++)
        for (int k = 0; k < r->np; k++)
            for (int m = 0; m < r->p[k]->nrows; m++)
                if ((r->p[k]->rows[m].kind != COST_FORWARD) == step)
                    r->row[r->nrows++] = &r->p[k]->rows[m];
}

static bool
names_a_size(struct cost_program *const *p, int np, const char *name)
{
    for (int k = 0; k < np; k++) {
        const struct ir_func *f = p[k]->u.func;
        int param = ir_param_find(f, name);
        if (ir_dim_find(f, name) >= 0 || (param >= 0 && !f->params[param].rank))
            return true;
    }
    return false;
}

bool
cost_check_names(struct cost_program *const *p, int np, const struct options *o,
                 const struct cost_sweep *over)
{
    struct dim_override at[MAX_LIST];
    int n;
    const char *what = np > 1 ? "these programs" : "this program";
    if (!parse_sizes(&o->at, "at", at, MAX_LIST, &n, p[0]->u.arena))
        return false;
    for (int k = 0; k < n; k++)
        if (!names_a_size(p, np, at[k].name)) {
            usage_error("--at names '%s', which is no dimension or scalar param of %s", at[k].name,
                        what);
            return false;
        }
    if (over && over->name && !names_a_size(p, np, over->name)) {
        usage_error("--over names '%s', which is no dimension or scalar param of %s", over->name,
                    what);
        return false;
    }
    return true;
}

/* NAME=A:B or NAME=A:B:STEP */
static bool
parse_over(struct cost_report *r, struct arena *a)
{
    const char *text = r->o->over;
    char *word = arena_strdup(a, text ? text : ""), *eq = strchr(word, '=');
    if (!text)
        return true;
    if (!eq || eq == word || !cost_parse_sweep(eq + 1, &r->over) || r->over.from == r->over.to) {
        usage_error("--over needs NAME=FROM:TO or NAME=FROM:TO:STEP with 1 <= FROM < TO, found "
                    "'%s'", text);
        return false;
    }
    *eq = 0;
    r->over.name = word;
    if (!strcmp(word, "n")) {
        usage_error("--over n: the crossovers are in n already; try --over D=16:256");
        return false;
    }
    return true;
}

int
command_cost(const struct options *o)
{
    struct cost_report r = {.o = o, .sizes = o->at.n > 0};
    struct arena *a = arena_new();
    int rc = plot_check(o) && parse_over(&r, a) ? EXIT_OK : EXIT_USAGE;
    for (int k = 0; k < o->ninputs && rc == EXIT_OK; k++) {
        struct cost_program *p = r.p[r.np++] = xmalloc(sizeof *p);
        memset(p, 0, sizeof *p);
        p->code = true;
        rc = cost_open(p, o->inputs[k], o);
    }
    if (rc == EXIT_OK && !cost_check_names(r.p, r.np, o, &r.over))
        rc = EXIT_USAGE;
    if (rc == EXIT_OK) {
        cost_tell_apart(&r);
        cost_order_rows(&r);
        if (o->json)
            cost_json(&r);
        else
            cost_text(&r);
        if (o->plot)
            rc = cost_plot(&r);
    }
    for (int k = 0; k < r.np; k++) {
        cost_close(r.p[k]);
        free(r.p[k]);
    }
    arena_free(a);
    return rc;
}
