/* Sizes of a cost report: what is given, what follows from it, and values at them. */
#include <stdio.h>
#include <string.h>

#include "frontend/driver/cost.h"

static slong
var_find(const struct cost_program *p, const char *name)
{
    int k = ir_dim_find(p->ring.f, name);
    if (k < 0 && (k = ir_param_find(p->ring.f, name)) >= 0)
        k = p->ring.f->params[k].rank ? -1 : k + (int)p->ring.f->ndims;
    return k;
}

static void
give(struct cost_program *p, slong var, int64_t size)
{
    p->at[var] = size;
    p->given[var] = true;
}

/* What follows from what is given. */
static void
derive(struct cost_program *p, slong var, int64_t size)
{
    if (p->known[var] || p->unknown[var])
        return;
    p->at[var] = size;
    p->known[var] = true;
}

/* Areas at the sizes: from their polynomials where those hold, else counted, else all pairs. */
static void
fill_areas(struct cost_program *p)
{
    const struct cost_area *areas[2] = {&p->all, &p->last};
    struct cost_ring *r = &p->ring;
    for (int k = 0; k < 2 && p->areas; k++) {
        const struct cost_area *a = areas[k];
        slong var = k ? r->seen : r->area;
        const char *missing = a->p ? cost_missing(p, a->p, -1) : NULL;
        p->known[var] = p->known[DIM_N] && p->known[DIM_NQ] && !missing;
        if (!p->known[var])
            p->take[k] = AREA_UNKNOWN;
        else if (a->p && cost_area_holds(a, p->at))
            p->take[k] = AREA_POLY;
        else if ((p->at[var] = cost_area_count(r, p->u.func, k == 1, p->at)) >= 0)
            p->take[k] = AREA_COUNTED;
        else
            p->take[k] = AREA_BOUND;
    }
}

/* What is not given: B = H = 1, G = H, n_q = n, M = D, and the defaults of scalar params. */
void
cost_sizes_fill(struct cost_program *p)
{
    static const int same[][2] = {{DIM_G, DIM_H}, {DIM_NQ, DIM_N}, {DIM_M, DIM_D}};
    const struct ir_func *f = p->ring.f;
    for (slong v = 0; v < p->ring.nvars; v++)
        p->known[v] = p->given[v];
    derive(p, DIM_B, 1);
    derive(p, DIM_H, 1);
    for (int k = 0; k < 3; k++)
        if (p->known[same[k][1]])
            derive(p, same[k][0], p->at[same[k][1]]);
    for (uint32_t k = 0; k < f->nparams; k++) {
        const struct ir_param *x = &f->params[k];
        bool whole = x->has_default && x->value == (double)(int64_t)x->value;
        if (!x->rank && whole)
            derive(p, (slong)(f->ndims + k), (int64_t)x->value);
    }
    fill_areas(p);
}

bool
cost_sizes_given(struct cost_program *p, const struct options *o)
{
    struct dim_override at[MAX_LIST];
    int nat;
    const struct ir_func *f = p->ring.f;
    p->at = ARENA_ARRAY(p->u.arena, int64_t, p->ring.nvars);
    p->known = ARENA_ARRAY(p->u.arena, bool, p->ring.nvars);
    p->given = ARENA_ARRAY(p->u.arena, bool, p->ring.nvars);
    p->unknown = ARENA_ARRAY(p->u.arena, bool, p->ring.nvars);
    if (!parse_sizes(&o->at, "at", at, MAX_LIST, &nat, p->u.arena))
        return false;
    for (uint32_t k = 0; k < f->ndims; k++)
        if (f->dims[k].size > 0)
            give(p, k, f->dims[k].size);
    for (int k = 0; k < nat; k++) {
        slong v = var_find(p, at[k].name);
        if (v < 0)
            continue;
        if (v < (slong)f->ndims && f->dims[v].size > 0 && f->dims[v].size != at[k].size) {
            usage_error("--at gives %s = %lld, but %s fixes it to %lld", at[k].name,
                        (long long)at[k].size, f->name, (long long)f->dims[v].size);
            return false;
        }
        give(p, v, at[k].size);
    }
    int64_t h = p->given[DIM_H] ? p->at[DIM_H] : 1, g = p->given[DIM_G] ? p->at[DIM_G] : 1;
    if (g < 1 || h % g) {
        usage_error("--at: %s has H = %lld query heads, which G = %lld key heads do not divide",
                    f->name, (long long)h, (long long)g);
        return false;
    }
    return true;
}

void
cost_dims(struct cost_program *p)
{
    static const int same[][2] = {{DIM_G, DIM_H}, {DIM_NQ, DIM_N}};
    struct cost_ring *r = &p->ring;
    for (int k = 0; k < 2; k++) {
        int d = same[k][0];
        r->dim[d] = !p->given[d]            ? r->dim[same[k][1]]
                    : r->f->dims[d].size > 0 ? cost_poly_num(r, r->f->dims[d].size)
                                             : cost_poly_var(r, d);
    }
}

void
cost_find_areas(struct cost_program *p)
{
    bool rect = p->ring.dim[DIM_NQ] != p->ring.dim[DIM_N];
    cost_area_find(&p->ring, p->u.func, false, rect, p->at, p->known, &p->all);
    cost_area_find(&p->ring, p->u.func, true, rect, p->at, p->known, &p->last);
    p->areas = true;
}

/* True if the area was found for other values of what its mask reads. */
static bool
outdated(const struct cost_area *a, const int64_t *at)
{
    for (int k = 0; a->p && a->only && a->only[k] >= 0; k++)
        if (at[a->only[k]] != a->value[k])
            return true;
    return false;
}

void
cost_set_size(struct cost_program *p, const char *name, int64_t size)
{
    slong v = var_find(p, name);
    if (v >= 0)
        give(p, v, size);
    cost_sizes_fill(p);
    if (outdated(&p->all, p->at) || outdated(&p->last, p->at)) {
        cost_find_areas(p);
        cost_sizes_fill(p);
    }
}

bool
cost_parse_sweep(const char *text, struct cost_sweep *out)
{
    char word[128], *part, *save;
    int64_t x[3] = {0, 0, 0};
    int n = 0;
    if ((size_t)snprintf(word, sizeof word, "%s", text) >= sizeof word)
        return false;
    for (part = strtok_r(word, ":", &save); part; part = strtok_r(NULL, ":", &save))
        if (n == 3 || !parse_size(part, &x[n++]))
            return false;
    if (n == 1)
        x[1] = x[0];
    *out = (struct cost_sweep){NULL, x[0], x[1], x[2]};
    return n > 0 && x[0] > 0 && x[1] >= x[0] && (n < 3 || x[2] > 0) &&
           (n < 3 || (x[1] - x[0]) / x[2] < COST_MAX_SWEEP);
}

bool
cost_sweep_next(const struct cost_sweep *o, int64_t *x)
{
    int64_t step = o->step ? o->step : *x;
    return !__builtin_add_overflow(*x, step, x) && *x <= o->to;
}

const char *
cost_missing(struct cost_program *p, const cost_poly *q, slong except)
{
    struct str s = {0};
    const struct cost_ring *r = &p->ring;
    for (slong v = 0; v < r->nvars; v++)
        if (v != except && !p->known[v] && cost_has_var(r, q, v) && v != r->area && v != r->seen)
            str_printf(&s, "%s%s", s.len ? ", " : "", cost_var_name(r, v));
    const char *text = s.len ? arena_strdup(p->u.arena, str_text(&s)) : NULL;
    str_free(&s);
    return text;
}

/* A cost with its areas replaced by their polynomials where they hold; by all pairs where nothing
 * better is known, or everywhere. */
static cost_poly *
in_dims(struct cost_row *row, enum cost_quantity q, bool everywhere)
{
    struct cost_program *p = row->of;
    struct cost_ring *r = &p->ring;
    cost_poly *x = row->raw.q[q], *pairs = cost_poly_new(r);
    fmpq_mpoly_mul(pairs, r->dim[DIM_NQ], r->dim[DIM_N], r->ctx);
    for (int k = 0; k < 2; k++) {
        cost_poly *a = k ? p->last.p : p->all.p, *all = k ? r->dim[DIM_N] : pairs;
        slong var = k ? r->seen : r->area;
        if (everywhere ? a != NULL : p->take[k] == AREA_POLY)
            x = cost_subst(r, x, var, a);
        else if (everywhere || p->take[k] == AREA_BOUND)
            x = cost_subst(r, x, var, all);
    }
    return x;
}

long
cost_row_degree(struct cost_row *row, enum cost_quantity q)
{
    return (long)fmpq_mpoly_degree_si(in_dims(row, q, true), DIM_N, row->of->ring.ctx);
}

bool
cost_row_value(struct cost_row *row, enum cost_quantity q, fmpq_t out)
{
    struct cost_program *p = row->of;
    const cost_poly *x = in_dims(row, q, false);
    for (slong v = 0; v < p->ring.nvars; v++)
        if (!p->known[v] && cost_has_var(&p->ring, x, v))
            return false;
    cost_value(&p->ring, x, p->at, out);
    return true;
}

bool
cost_row_count(struct cost_row *row, int64_t q[COST_QUANTITIES], const char **why)
{
    struct cost_program *p = row->of;
    struct cost_ring *r = &p->ring;
    int64_t *at = ARENA_ARRAY(p->u.arena, int64_t, r->nvars);
    struct str missing = {0};
    if (!row->prog) {
        *why = "it is made of stages";
        return false;
    }
    for (slong v = 0; v < r->area; v++) {
        bool tensor = v >= (slong)r->f->ndims && r->f->params[v - (slong)r->f->ndims].rank,
             token = v == DIM_N && row->kind == COST_STEP_STATE;
        if (!p->known[v] && !tensor && !token && v != DIM_NQ) /* which follows n */
            str_printf(&missing, "%s%s", missing.len ? ", " : "needs ", cost_var_name(r, v));
        at[v] = p->at[v];
    }
    if (missing.len) {
        *why = arena_strdup(p->u.arena, str_text(&missing));
        str_free(&missing);
        return false;
    }
    if (row->kind != COST_FORWARD)
        at[DIM_NQ] = 1;
    if (row->kind == COST_STEP_STATE)
        at[DIM_N] = 1;
    return cost_tile_count(r, row->prog, at, q, why);
}

/* From which n on, and for which multiples, the areas in a row's costs hold. */
static void
row_range(const struct cost_row *row, int64_t *from, int64_t *multiple)
{
    const struct cost_area *a = row->kind == COST_FORWARD ? &row->of->all : &row->of->last;
    int64_t n = a->p ? cost_area_from(a, row->of->at) : 1;
    *from = n > *from ? n : *from;
    *multiple = a->p ? cost_lcm(*multiple, a->multiple) : *multiple;
}

int
cost_row_cross(struct cost_row *a, struct cost_row *b, enum cost_quantity q,
               struct cost_crossings *out)
{
    cost_poly *x = in_dims(a, q, true), *y = in_dims(b, q, true);
    fmpq_poly_t p, s;
    *out = (struct cost_crossings){.from = 1, .multiple = 1};
    if ((out->missing = cost_missing(a->of, x, DIM_N)) ||
        (out->missing = cost_missing(b->of, y, DIM_N)))
        return out->n = -1;
    row_range(a, &out->from, &out->multiple);
    row_range(b, &out->from, &out->multiple);
    fmpq_poly_init(p);
    fmpq_poly_init(s);
    cost_in_n(&a->of->ring, x, a->of->at, p);
    cost_in_n(&b->of->ring, y, b->of->at, s);
    out->n = cost_cross(p, s, out->from, out->at);
    fmpq_poly_clear(p);
    fmpq_poly_clear(s);
    return out->n;
}

bool
cost_size_is(const struct cost_program *p, const char *name, int64_t size)
{
    slong v = var_find(p, name);
    return v >= 0 && p->known[v] && p->at[v] == size;
}

const char *
cost_row_missing(struct cost_row *row, enum cost_quantity q)
{
    struct cost_program *p = row->of;
    const cost_poly *x = row->raw.q[q];
    const char *name = cost_missing(p, x, -1);
    const slong var[2] = {p->ring.area, p->ring.seen};
    const struct cost_area *area[2] = {&p->all, &p->last};
    for (int k = 0; k < 2 && !name; k++)
        if (cost_has_var(&p->ring, x, var[k]) && !p->known[var[k]])
            name = area[k]->p ? cost_missing(p, area[k]->p, -1) : NULL;
    return name ? name : "n";
}

struct cost_row *
cost_direct_row(struct cost_program *p)
{
    for (int k = 1; k < p->nrows; k++)
        if (p->rows[k].kind == COST_FORWARD)
            return &p->rows[k];
    return NULL;
}

bool
cost_comparable(const struct cost_row *a, const struct cost_row *b)
{
    return a != b && (a->kind == COST_FORWARD) == (b->kind == COST_FORWARD);
}

bool
cost_row_bound(const struct cost_row *row)
{
    return row->of->take[row->kind != COST_FORWARD] == AREA_BOUND;
}
