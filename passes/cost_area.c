/* The area of a mask: counted at small sizes, interpolated, and checked at other sizes.
 *
 * Masks are made of comparisons of positions, so that for large n the area is a polynomial of
 * degree at most 2 in n and in each number of the mask; strided masks repeat, and have one for
 * every multiple of their period. Where it starts to hold and what the period is, is searched. */
#include <stdlib.h>

#include "ir/interp.h"
#include "passes/cost.h"

enum { DEGREE = 2, POINTS = DEGREE + 1, MAX_OTHERS = 3, MAX_PAIRS = 40000000 };

struct fit {
    struct cost_ring *r;
    struct ir_func *f;
    struct cost_area *a;
    bool rect;
    slong other[MAX_OTHERS + 1]; /* variables besides n: n_q if rect, scalar params, dims */
    int others;
    int64_t *at;
};

/* ---- counting ---- */

static const char *
why_not_counted(const struct ir_func *f, ir_ref mask, const bool *used)
{
    const char *text = NULL;
    for (ir_ref n = 1; n < f->nnodes && !text; n++) {
        const struct ir_node *x = &f->nodes[n];
        if (used[n] && x->op == IR_param && f->params[x->attr.id].rank)
            text = arena_printf(f->arena, "the mask reads the tensor %s",
                                f->params[x->attr.id].name);
        if (used[n] && x->op == IR_input)
            text = "the mask reads queries or keys";
    }
    if (!text && f->nodes[mask].axes >> AX_h & 1)
        text = "the mask differs from head to head";
    return text;
}

/* Nodes the mask is made of. */
static bool *
mask_nodes(struct cost_ring *r, const struct ir_func *f, ir_ref mask)
{
    bool *used = ARENA_ARRAY(r->arena, bool, f->nnodes + 1);
    used[mask] = mask != 0;
    for (ir_ref n = mask; n > 0; n--)
        for (int k = 0; used[n] && k < f->nodes[n].nargs; k++)
            used[f->nodes[n].arg[k]] = true;
    return used;
}

/* The counted values of the rows, summed; false if the mask cannot be evaluated at these sizes. */
static bool
sum_rows(struct ir_func *f, ir_ref count, const struct interp_input *in, int64_t row, int64_t rows,
         int64_t *sum)
{
    const char *why = NULL;
    num *seen = xmalloc(sizeof(num) * (size_t)(rows + 1));
    bool ok = interp_rows(f, count, in, 0, 0, row, rows, seen, &why);
    *sum = 0;
    for (int64_t k = 0; ok && k < rows; k++)
        *sum += (int64_t)seen[f->nodes[count].axes >> AX_i & 1 ? k : 0].f;
    free(seen);
    return ok;
}

int64_t
cost_area_count(struct cost_ring *r, struct ir_func *f, bool last, const int64_t *at)
{
    ir_ref mask = f->root[ROOT_MASK];
    span_t where = {0, 0};
    int64_t n_q = at[DIM_NQ], n = at[DIM_N], rows = last && n_q > 0 ? 1 : n_q, sum;
    if (!mask)
        return rows * n;
    if ((double)rows * (double)n > MAX_PAIRS ||
        why_not_counted(f, mask, mask_nodes(r, f, mask)))
        return -1;
    ir_ref one = ir_const_i(f, 1, 1, where), zero = ir_const_i(f, 0, 1, where);
    ir_ref count = ir_rsum(f, AX_j, ir_select(f, mask, one, zero, where), where);
    num *value = xmalloc(sizeof(num) * (size_t)(f->nparams + 1));
    const num **params = xmalloc(sizeof(num *) * (size_t)(f->nparams + 1));
    int64_t *dims = xmalloc(sizeof(int64_t) * (size_t)f->ndims);
    for (uint32_t k = 0; k < f->nparams; k++) {
        value[k].f = (double)at[f->ndims + k];
        params[k] = &value[k];
    }
    for (uint32_t k = 0; k < f->ndims; k++)
        dims[k] = at[k];
    dims[DIM_B] = dims[DIM_H] = dims[DIM_G] = 1;
    struct interp_input in = {.dom = NUM_F64, .dims = dims, .params = params};
    bool ok = sum_rows(f, count, &in, n_q - rows, rows, &sum);
    free(dims);
    free(params);
    free(value);
    return ok ? sum : -1;
}

/* ---- interpolating ---- */

/* prod over m != k of (x - x_m) / (x_k - x_m) */
static void
basis(struct cost_ring *r, cost_poly *out, slong var, const int64_t *x, int k)
{
    cost_poly *v = cost_poly_var(r, var), *t = cost_poly_new(r);
    fmpq_mpoly_set_si(out, 1, r->ctx);
    for (int m = 0; m < POINTS; m++)
        if (m != k) {
            fmpq_mpoly_sub_si(t, v, x[m], r->ctx);
            fmpq_mpoly_mul(out, out, t, r->ctx);
            fmpq_mpoly_scalar_div_si(out, out, x[k] - x[m], r->ctx);
        }
}

/* Places for n and the others: x[0] for n. */
struct grid {
    int64_t x[MAX_OTHERS + 1][POINTS];
};

static slong
variable(const struct fit *t, int k)
{
    return k ? t->other[k - 1] : DIM_N;
}

static void
set(struct fit *t, int k, int64_t x)
{
    t->at[variable(t, k)] = x;
    if (k == 0 && !t->rect)
        t->at[DIM_NQ] = x;
}

static bool
interpolate(struct fit *t, const struct grid *g, cost_poly *sum)
{
    struct cost_ring *r = t->r;
    int vars = t->others + 1, points = 1;
    cost_poly *term = cost_poly_new(r), *b = cost_poly_new(r);
    for (int k = 0; k < vars; k++)
        points *= POINTS;
    fmpq_mpoly_zero(sum, r->ctx);
    for (int p = 0; p < points; p++) {
        for (int k = 0, q = p; k < vars; k++, q /= POINTS)
            set(t, k, g->x[k][q % POINTS]);
        int64_t area = cost_area_count(r, t->f, t->a->last, t->at);
        if (area < 0)
            return false;
        fmpq_mpoly_set_si(term, area, r->ctx);
        for (int k = 0, q = p; k < vars; k++, q /= POINTS) {
            basis(r, b, variable(t, k), g->x[k], q % POINTS);
            fmpq_mpoly_mul(term, term, b, r->ctx);
        }
        fmpq_mpoly_add(sum, sum, term, r->ctx);
    }
    return true;
}

static bool
agrees(struct fit *t, const cost_poly *p)
{
    fmpq_t v;
    fmpq_init(v);
    cost_value(t->r, p, t->at, v);
    int64_t counted = cost_area_count(t->r, t->f, t->a->last, t->at);
    bool ok = counted >= 0 && fmpz_is_one(fmpq_denref(v)) && fmpz_equal_si(fmpq_numref(v), counted);
    fmpq_clear(v);
    return ok;
}

/* At sizes the interpolation did not see: n further on, and the others in other proportions. */
static bool
checked(struct fit *t, const struct grid *g, const cost_poly *p)
{
    static const int shift[][MAX_OTHERS] = {{0, 0, 0}, {3, -1, 2}, {-1, 4, 0}, {5, 5, -1}};
    int64_t step = g->x[0][1] - g->x[0][0];
    for (int c = 0; c < 4; c++)
        for (int m = 3; m < 9; m += 2) {
            set(t, 0, g->x[0][0] + m * step);
            for (int k = 1; k <= t->others; k++) {
                int64_t x = g->x[k][1] + shift[c][(k + c) % MAX_OTHERS];
                set(t, k, x < 1 ? 1 : x);
            }
            if (!agrees(t, p))
                return false;
        }
    return true;
}

bool
cost_area_holds(const struct cost_area *a, const int64_t *at)
{
    int64_t sum = 0;
    for (int k = 0; a->only && a->only[k] >= 0; k++)
        if (at[a->only[k]] != a->value[k])
            return false;
    for (const slong *v = a->with; v && *v >= 0; v++)
        if (__builtin_add_overflow(sum, at[*v], &sum) || at[*v] < 1)
            return false;
    return at[DIM_N] >= a->from && at[DIM_N] % a->multiple == 0 && sum <= at[DIM_N] / 2 &&
           (!a->ordered || at[DIM_NQ] <= at[DIM_N]);
}

/* The smallest n from which on the polynomial is right, below where it was found. */
static void
extend_down(struct fit *t)
{
    struct cost_area *a = t->a;
    while (a->from >= a->multiple) {
        bool ok = true;
        a->from -= a->multiple;
        for (int c = 0; c < (t->others ? 3 : 1) && ok; c++) {
            set(t, 0, a->from);
            for (int k = 1; k <= t->others; k++)
                set(t, k, 1 + (c + k) % 3);
            ok = !cost_area_holds(a, t->at) || agrees(t, a->p);
        }
        if (!ok) {
            a->from += a->multiple;
            return;
        }
    }
}

static void
say_where(struct fit *t)
{
    struct cost_area *a = t->a;
    struct str s = {0};
    if (a->from > 1)
        str_printf(&s, "n >= %lld", (long long)a->from);
    if (a->multiple > 1)
        str_printf(&s, "%sn a multiple of %lld", s.len ? ", " : "", (long long)a->multiple);
    if (a->with && a->with[0] >= 0) {
        str_printf(&s, "%sn >= 2*(", s.len ? ", " : "");
        for (const slong *v = a->with; *v >= 0; v++)
            str_printf(&s, "%s%s", v == a->with ? "" : " + ", cost_var_name(t->r, *v));
        str_put(&s, ")");
    }
    for (int k = 0; a->only && a->only[k] >= 0; k++)
        str_printf(&s, "%s%s = %lld", s.len ? ", " : "", cost_var_name(t->r, a->only[k]),
                   (long long)a->value[k]);
    if (a->ordered)
        str_printf(&s, "%sn_q <= n", s.len ? ", " : "");
    a->where = s.len ? arena_strdup(t->r->arena, str_text(&s)) : NULL;
    str_free(&s);
}

/* One place and period; true if it was right at all sizes that were tried. */
static bool
try_at(struct fit *t, int64_t from, int64_t multiple)
{
    struct grid g;
    int64_t first = (from + multiple - 1) / multiple * multiple;
    for (int p = 0; p < POINTS; p++) {
        g.x[0][p] = first + p * multiple;
        for (int k = 1; k <= t->others; k++) /* small, and apart */
            g.x[k][p] = 2 * k + (k + 1) * p + 1;
    }
    cost_poly *p = cost_poly_new(t->r);
    if (!interpolate(t, &g, p) || !checked(t, &g, p))
        return false;
    t->a->p = p;
    t->a->from = first;
    t->a->multiple = multiple;
    return true;
}

static bool
search(struct fit *t)
{
    static const int64_t from[] = {48, 200, 800}, multiple[] = {1, 2, 3, 4, 5, 6, 8, 16, 32, 64};
    for (int k = 0; k < (t->others > t->rect ? 1 : 3); k++) /* many points: near ones only */
        for (int m = 0; m < 10 && multiple[m] * (k == 2 ? 100 : 4) <= from[k]; m++)
            if (try_at(t, from[k], multiple[m]))
                return true;
    return false;
}

/* Variables besides n that the mask reads: to t->other, or where they are known, fixed. */
static bool
list_others(struct fit *t, const bool *used, const int64_t *at, const bool *known)
{
    const struct ir_func *f = t->f;
    struct cost_area *a = t->a;
    bool *listed = ARENA_ARRAY(t->r->arena, bool, t->r->nvars);
    int with = 0, only = 0;
    if (a->ordered)
        t->other[t->others++] = DIM_NQ;
    a->with = ARENA_ARRAY(t->r->arena, slong, MAX_OTHERS + 2);
    a->only = ARENA_ARRAY(t->r->arena, slong, t->r->nvars + 1);
    a->value = ARENA_ARRAY(t->r->arena, int64_t, t->r->nvars + 1);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        slong v = x->op == IR_param ? (slong)(f->ndims + x->attr.id) : (slong)x->attr.id;
        if (!used[n] || (x->op != IR_param && x->op != IR_dim) || v == DIM_N || v == DIM_NQ ||
            (x->op == IR_dim && f->dims[v].size > 0) || listed[v])
            continue;
        listed[v] = true;
        if (known && known[v]) {
            a->only[only] = v;
            a->value[only++] = t->at[v] = at[v];
        } else if (t->others == MAX_OTHERS) {
            return false;
        } else {
            a->with[with++] = t->other[t->others++] = v;
        }
    }
    a->with[with] = a->only[only] = -1;
    return true;
}

static bool
find(struct fit *t, const bool *used, const int64_t *at, const bool *known)
{
    const struct ir_func *f = t->f;
    t->others = 0;
    for (slong v = 0; v < t->r->nvars; v++)
        t->at[v] = v < (slong)f->ndims && f->dims[v].size > 0 ? f->dims[v].size : 1;
    if (!list_others(t, used, at, known) || !search(t))
        return false;
    extend_down(t);
    say_where(t);
    return true;
}

void
cost_area_find(struct cost_ring *r, struct ir_func *f, bool last, bool rect, const int64_t *at,
               const bool *known, struct cost_area *out)
{
    ir_ref mask = f->root[ROOT_MASK];
    *out = (struct cost_area){.multiple = 1, .last = last};
    if (!mask) {
        out->p = cost_poly_new(r);
        fmpq_mpoly_mul(out->p, last ? cost_poly_num(r, 1) : r->dim[DIM_NQ], r->dim[DIM_N], r->ctx);
        return;
    }
    bool *used = mask_nodes(r, f, mask);
    struct fit t = {.r = r, .f = f, .a = out, .rect = rect && !last};
    if ((out->why = why_not_counted(f, mask, used)) != NULL)
        return;
    if (f->dims[DIM_N].size > 0) { /* one number */
        int64_t area = cost_area_count(r, f, last, at);
        out->p = area < 0 ? NULL : cost_poly_num(r, (slong)area);
        out->why = area < 0 ? "n is fixed, and too large to count" : NULL;
        return;
    }
    out->ordered = t.rect;
    t.at = ARENA_ARRAY(r->arena, int64_t, r->nvars);
    if (!find(&t, used, at, NULL) && !find(&t, used, at, known))
        out->why = "the area of the mask was not found as a polynomial";
}
