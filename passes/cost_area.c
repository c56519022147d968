/* The area of a mask: counted, interpolated, and checked at other sizes.
 *
 * Masks are made of comparisons of positions with numbers. Beyond twice their reach (cost_reach.c)
 * the area is a polynomial of degree at most 2 in n, and in scalar params where no other number is
 * in the way; masks that repeat have one for every multiple of their period. So counts are taken
 * from there on, at multiples that the mask's numbers suggest, and what they give is checked at
 * sizes up to three times as large. One number that is far larger than the rest takes the place of
 * a param, with small values, and is put in afterwards. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/interp.h"
#include "passes/cost.h"

enum {
    DEGREE = 2, POINTS = DEGREE + 1, MAX_OTHERS = 3, MAX_PERIODS = 24, MAX_PERIOD = 512,
    MAX_COUNT = 40000000, MAX_FROM = 2100, MAX_GROWTH = 4200, FROM = 48, LARGE = 64,
    MAX_INSTEAD = 20
};

struct fit {
    struct cost_ring *r;
    struct ir_func *f;
    struct cost_area *a;
    bool rect;
    const bool *used;            /* nodes of the mask */
    slong other[MAX_OTHERS + 1]; /* variables besides n: n_q if rect, scalar params */
    int others;
    int64_t large;               /* a number of the mask taken for the variable area; or 0 */
    int64_t *at;
    int64_t *grown;              /* areas of the first n queries and keys, or NULL */
    int64_t most;                /* largest n that grown has */
};

/* ---- counting ---- */

bool *
cost_mask_nodes(struct cost_ring *r, const struct ir_func *f)
{
    ir_ref mask = f->root[ROOT_MASK];
    bool *used = ARENA_ARRAY(r->arena, bool, f->nnodes + 1);
    used[mask] = mask != 0;
    for (ir_ref n = mask; n > 0; n--)
        for (int k = 0; used[n] && k < f->nodes[n].nargs; k++)
            used[f->nodes[n].arg[k]] = true;
    return used;
}

/* What of mask n is known before run time: all of it, those parts of an `and` that are; 0: none. */
static ir_ref
known_part(struct cost_ring *r, struct ir_func *f, ir_ref n)
{
    const struct ir_node x = f->nodes[n];
    f->root[ROOT_MASK] = n;
    if (!cost_mask_unknown(r, f))
        return n;
    if (x.op != IR_and)
        return 0;
    ir_ref a = known_part(r, f, x.arg[0]), b = known_part(r, f, x.arg[1]);
    return a && b ? ir_op2(f, IR_and, a, b, x.span) : a ? a : b;
}

struct ir_func *
cost_mask_of_positions(struct cost_ring *r, const struct ir_func *f)
{
    struct ir_func *part = ir_func_clone(r->arena, f);
    ir_ref mask = known_part(r, part, f->root[ROOT_MASK]);
    part->root[ROOT_MASK] = mask;
    if (mask)
        return part;
    ir_func_free(part);
    return NULL;
}

const char *
cost_mask_unknown(struct cost_ring *r, const struct ir_func *f)
{
    const ir_axes pair = (ir_axes)1 << AX_i | (ir_axes)1 << AX_j;
    ir_ref mask = f->root[ROOT_MASK];
    const bool *used = cost_mask_nodes(r, f);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        if (used[n] && x->op == IR_param && f->params[x->attr.id].rank)
            return arena_printf(r->arena, "the mask reads the tensor %s",
                                f->params[x->attr.id].name);
        if (used[n] && x->op == IR_input)
            return "the mask reads queries or keys";
        if (used[n] && (x->op == IR_rsum || x->op == IR_rmax || x->op == IR_scan))
            return "the mask reads sums";
    }
    return mask && (f->nodes[mask].axes & ~pair) ? "the mask differs from head to head" : NULL;
}

/* Values of the mask's nodes: one each, or one per key. What varies with the query is made anew
 * for each, what varies with the key alone once. */
struct rows {
    const struct ir_func *f;
    const bool *used;
    const int64_t *at;
    num **value;
    int64_t keys, large, instead; /* the value of the constant `large`, unless that is 0 */
};

static num
leaf(const struct rows *x, const struct ir_node *n, int64_t i, int64_t j)
{
    const struct ir_func *f = x->f;
    double v = n->op == IR_const ? 0
               : n->op == IR_dim ? (double)x->at[n->attr.id]
               : n->op == IR_size ? (double)ir_axis_size(f, n->attr.axis, x->at)
               : n->op == IR_param ? (double)x->at[f->ndims + n->attr.id]
               : n->op == IR_pos ? (double)(n->attr.axis == AX_i ? i : j) : -INFINITY;
    if (n->op == IR_const && x->large && fmpq_cmp_si(&f->consts[n->attr.id], x->large) == 0)
        v = (double)x->instead;
    else if (n->op == IR_pi)
        return num_pi(NUM_F64);
    else if (n->op == IR_const)
        return num_from_q(NUM_F64, &f->consts[n->attr.id]);
    return (num){.f = v};
}

/* Makes the nodes that vary over exactly these of i and j. */
static void
evaluate(struct rows *x, ir_axes axes, int64_t i)
{
    const ir_axes pair = (ir_axes)1 << AX_i | (ir_axes)1 << AX_j, key = (ir_axes)1 << AX_j;
    for (ir_ref n = 1; n < x->f->nnodes; n++) {
        const struct ir_node *y = &x->f->nodes[n];
        if (!x->used[n] || (y->axes & pair) != axes)
            continue;
        int64_t count = axes & key ? x->keys : 1, step[3] = {0, 0, 0};
        const num *arg[3] = {NULL, NULL, NULL};
        for (int k = 0; k < y->nargs; k++) {
            arg[k] = x->value[y->arg[k]];
            step[k] = x->f->nodes[y->arg[k]].axes & key ? 1 : 0;
        }
        for (int64_t j = 0; j < count; j++) {
            num a[3] = {{0}, {0}, {0}};
            for (int k = 0; k < y->nargs; k++)
                a[k] = arg[k][j * step[k]];
            x->value[n][j] = y->nargs ? num_apply(NUM_F64, (enum ir_op)y->op, y->attr, a[0], a[1],
                                                  a[2])
                                      : leaf(x, y, i, j);
        }
    }
}

static void
rows_init(struct rows *x, const struct ir_func *f, const bool *used, const int64_t *at,
          int64_t large, int64_t instead)
{
    *x = (struct rows){
        .f = f, .used = used, .at = at, .keys = at[DIM_N], .large = large, .instead = instead};
    x->value = xmalloc(sizeof *x->value * (size_t)f->nnodes);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        int64_t count = f->nodes[n].axes >> AX_j & 1 ? x->keys : 1;
        x->value[n] = used[n] ? xmalloc(sizeof(num) * (size_t)(count + 1)) : NULL;
    }
    evaluate(x, 0, 0);
    evaluate(x, (ir_axes)1 << AX_j, 0);
}

static void
rows_free(struct rows *x)
{
    for (ir_ref n = 1; n < x->f->nnodes; n++)
        free(x->value[n]);
    free(x->value);
}

/* The mask of the query at a position, for key j. */
static bool
sees(const struct rows *x, int64_t j)
{
    ir_ref mask = x->f->root[ROOT_MASK];
    return x->value[mask][x->f->nodes[mask].axes >> AX_j & 1 ? j : 0].f != 0;
}

static void
next_row(struct rows *x, int64_t position)
{
    evaluate(x, (ir_axes)1 << AX_i, position);
    evaluate(x, (ir_axes)1 << AX_i | (ir_axes)1 << AX_j, position);
}

static int64_t
count_pairs(struct cost_ring *r, const struct ir_func *f, bool last, const int64_t *at,
            int64_t large)
{
    int64_t n_q = at[DIM_NQ], n = at[DIM_N], rows = last && n_q > 0 ? 1 : n_q, sum;
    if (__builtin_mul_overflow(rows, n, &sum))
        return -1;
    if (!f->root[ROOT_MASK])
        return sum;
    if (sum > MAX_COUNT || n > MAX_COUNT || rows > MAX_COUNT || cost_mask_unknown(r, f))
        return -1;
    struct rows x;
    rows_init(&x, f, cost_mask_nodes(r, f), at, large, at[r->area]);
    sum = 0;
    for (int64_t i = n - rows; i < n; i++) {
        next_row(&x, i);
        for (int64_t j = 0; j < n; j++)
            sum += sees(&x, j);
    }
    rows_free(&x);
    return sum;
}

int64_t
cost_area_count(struct cost_ring *r, const struct ir_func *f, bool last, const int64_t *at)
{
    return count_pairs(r, f, last, at, 0);
}

bool
cost_mask_tiles(struct cost_ring *r, const struct ir_func *f, const int64_t *at, int64_t n,
                int64_t tq, int64_t tk, uint8_t *out)
{
    int64_t *sizes = ARENA_ARRAY(r->arena, int64_t, r->nvars), across = (n + tk - 1) / tk;
    int64_t *seen = ARENA_ARRAY(r->arena, int64_t, across);
    struct rows x;
    memcpy(sizes, at, sizeof *sizes * (size_t)r->nvars);
    sizes[DIM_N] = sizes[DIM_NQ] = n;
    if (cost_mask_unknown(r, f))
        return false;
    if (f->root[ROOT_MASK])
        rows_init(&x, f, cost_mask_nodes(r, f), sizes, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t rows = i / tq * tq + tq > n ? n % tq : tq;
        if (f->root[ROOT_MASK])
            next_row(&x, i);
        for (int64_t j = 0; j < n; j++)
            seen[j / tk] += f->root[ROOT_MASK] ? sees(&x, j) : 1;
        for (int64_t t = 0; (i + 1 == n || (i + 1) % tq == 0) && t < across; t++) {
            int64_t keys = t * tk + tk > n ? n % tk : tk;
            out[i / tq * across + t] = seen[t] == 0 ? 0 : seen[t] == rows * keys ? 2 : 1;
            seen[t] = 0;
        }
    }
    if (f->root[ROOT_MASK])
        rows_free(&x);
    return true;
}

/* The areas for all n up to `most` at once, if the mask is the same for every n and there is
 * nothing else to vary. */
static void
count_growth(struct fit *t, int64_t most)
{
    struct rows x;
    if (t->rect || t->others || t->a->last || most <= t->most)
        return;
    for (ir_ref n = 1; n < t->f->nnodes; n++) {
        const struct ir_node *y = &t->f->nodes[n];
        if (t->used[n] && (y->op == IR_dim || y->op == IR_size))
            return;
    }
    t->at[DIM_N] = t->at[DIM_NQ] = t->most = most;
    rows_init(&x, t->f, t->used, t->at, 0, 0);
    t->grown = ARENA_ARRAY(t->r->arena, int64_t, most + 1);
    for (int64_t i = 0; i < most; i++) {
        next_row(&x, i);
        for (int64_t j = 0; j < most; j++)
            t->grown[1 + (i > j ? i : j)] += sees(&x, j);
    }
    for (int64_t n = 1; n <= most; n++)
        t->grown[n] += t->grown[n - 1];
    rows_free(&x);
}

static int64_t
area_at(struct fit *t)
{
    int64_t n = t->at[DIM_N];
    if (t->grown && n >= 0 && n <= t->most)
        return t->grown[n];
    return count_pairs(t->r, t->f, t->a->last, t->at, t->large);
}

/* ---- interpolating ---- */

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

/* Places for n and the others: x[0] for n. */
struct grid {
    int64_t x[MAX_OTHERS + 1][POINTS];
};

static bool
interpolate(struct fit *t, const struct grid *g, cost_poly *sum)
{
    struct cost_ring *r = t->r;
    int vars = t->others + 1, points = 1;
    cost_poly *term = cost_poly_new(r);
    for (int k = 0; k < vars; k++)
        points *= POINTS;
    fmpq_mpoly_zero(sum, r->ctx);
    for (int p = 0; p < points; p++) {
        for (int k = 0, q = p; k < vars; k++, q /= POINTS)
            set(t, k, g->x[k][q % POINTS]);
        int64_t area = area_at(t);
        if (area < 0)
            return false;
        fmpq_mpoly_set_si(term, area, r->ctx);
        for (int k = 0, q = p; k < vars; k++, q /= POINTS)
            cost_times_basis(r, term, variable(t, k), g->x[k], POINTS, q % POINTS);
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
    int64_t counted = area_at(t);
    bool ok = counted >= 0 && fmpz_is_one(fmpq_denref(v)) && fmpz_equal_si(fmpq_numref(v), counted);
    fmpq_clear(v);
    return ok;
}

/* At sizes the interpolation did not see: n further on and far, the others in other proportions. */
static bool
checked(struct fit *t, const struct grid *g, const cost_poly *p)
{
    static const int shift[][MAX_OTHERS] = {{0, 0, 0}, {3, -1, 2}, {-1, 4, 0}, {5, 5, -1}};
    int64_t step = g->x[0][1] - g->x[0][0], first = g->x[0][0];
    const int64_t far[] = {first + 3 * step, first + 5 * step, first + 7 * step, 2 * first + step,
                           3 * first};
    for (int c = 0; c < (t->others ? 4 : 1); c++)
        for (int m = 0; m < 5; m++) {
            set(t, 0, (far[m] + step - 1) / step * step);
            for (int k = 1; k <= t->others; k++) {
                int64_t x = g->x[k][1] + shift[c][(k + c) % MAX_OTHERS];
                set(t, k, x < 1 ? 1 : x);
            }
            if (!agrees(t, p))
                return false;
        }
    return true;
}

/* ---- where it holds ---- */

bool
cost_area_holds(const struct cost_area *a, const int64_t *at)
{
    for (int k = 0; a->only && a->only[k] >= 0; k++)
        if (at[a->only[k]] != a->value[k])
            return false;
    for (const slong *v = a->with; v && *v >= 0; v++)
        if (at[*v] < 1)
            return false;
    return at[DIM_N] >= cost_area_from(a, at) && at[DIM_N] % a->multiple == 0 &&
           (!a->ordered || at[DIM_NQ] <= at[DIM_N]);
}

int64_t
cost_area_from(const struct cost_area *a, const int64_t *at)
{
    int64_t sum = 0, x;
    for (int k = 0; a->with && a->with[k] >= 0; k++)
        if (__builtin_mul_overflow(a->weight[k], at[a->with[k]], &x) ||
            __builtin_add_overflow(sum, x, &sum))
            return INT64_MAX;
    return sum > a->from ? sum : a->from;
}

/* The smallest n from which on the polynomial is right, below where it was found. */
static void
extend_down(struct fit *t)
{
    struct cost_area *a = t->a;
    if (a->from > MAX_FROM + MAX_PERIOD) /* takes long, for little */
        return;
    count_growth(t, a->from);
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
        str_printf(&s, "%sn >= ", s.len ? ", " : "");
        for (int k = 0; a->with[k] >= 0; k++)
            str_printf(&s, "%s%lld*%s", k ? " + " : "", (long long)a->weight[k],
                       cost_var_name(t->r, a->with[k]));
    }
    for (int k = 0; a->only && a->only[k] >= 0; k++)
        str_printf(&s, "%s%s = %lld", s.len ? ", " : "", cost_var_name(t->r, a->only[k]),
                   (long long)a->value[k]);
    if (a->ordered)
        str_printf(&s, "%sn_q <= n", s.len ? ", " : "");
    a->where = s.len ? arena_strdup(t->r->arena, str_text(&s)) : NULL;
    str_free(&s);
}

/* ---- the search ---- */

/* The numbers a mask has: the largest, and the whole ones as periods. */
struct numbers {
    int64_t largest, period[MAX_PERIODS];
    int periods;
};

static void
add_number(struct numbers *s, int64_t x)
{
    x = x < 0 ? -x : x;
    s->largest = x > s->largest ? x : s->largest;
    if (x < 2 || x > MAX_PERIOD || s->periods == MAX_PERIODS)
        return;
    for (int k = 0; k < s->periods; k++)
        if (s->period[k] == x)
            return;
    s->period[s->periods++] = x;
}

static void
collect_numbers(const struct ir_func *f, const bool *used, const struct cost_area *a,
                struct numbers *s)
{
    for (ir_ref n = 1; n < f->nnodes; n++)
        if (used[n] && f->nodes[n].op == IR_const) {
            const fmpq *q = ir_const_value(f, n);
            const fmpz *part[2] = {&q->num, &q->den};
            for (int k = 0; k < 2; k++)
                add_number(s, fmpz_bits(part[k]) < 60 ? fmpz_get_si(part[k]) : INT64_MAX / 4);
        }
    for (int k = 0; a && a->only[k] >= 0; k++)
        add_number(s, a->value[k]);
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

/* Twice the reach for these values, and some. */
static int64_t
beyond(const struct fit *t)
{
    double x = 2 * cost_reach(t->r, t->f, t->used, t->at, t->large, t->at[t->r->area]);
    return x < 1e9 ? (int64_t)x + 8 : 1000000000;
}

/* The smallest multiple of the number that takes the place of another from which on the area is
 * right, whatever its value; 0: none. */
static int64_t
smallest_ratio(struct fit *t, int64_t most)
{
    static const int64_t instead[] = {4, 6, 9, MAX_INSTEAD};
    int64_t ratio = most;
    for (bool ok = true; ratio > 0 && ok; ratio -= ok)
        for (int k = 0; k < 4 && ok; k++) {
            set(t, t->others, instead[k]);
            int64_t end = beyond(t);
            for (int64_t n = ratio * instead[k]; n <= end && ok; n++) {
                set(t, 0, n);
                ok = agrees(t, t->a->p);
            }
        }
    return ratio + 1 > most ? 0 : ratio + 1;
}

/* With the largest number, if all others are 0 or 1 and nothing is done with it but comparing,
 * adding and subtracting, in the place of a param. */
static bool
search_large(struct fit *t, const struct numbers *s)
{
    const struct ir_func *f = t->f;
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        bool plain = x->nargs == 0 || x->op == IR_add || x->op == IR_sub || x->op == IR_neg ||
                     x->op == IR_abs || x->op == IR_min || x->op == IR_max ||
                     (ir_ops[x->op].props & IRP_BOOL);
        bool number = x->op == IR_const && fmpq_cmp_si(ir_const_value(f, n), s->largest) != 0 &&
                      !fmpq_is_zero(ir_const_value(f, n)) && !fmpq_is_one(ir_const_value(f, n));
        bool size = x->op == IR_dim && x->attr.id != DIM_N && x->attr.id != DIM_NQ;
        if (t->used[n] && (!plain || number || size || x->op == IR_param))
            return false;
    }
    if (t->others == MAX_OTHERS)
        return false;
    t->large = s->largest;
    t->other[t->others++] = t->r->area;
    set(t, t->others, MAX_INSTEAD);
    bool ok = try_at(t, beyond(t), 1);
    int64_t ratio = ok ? smallest_ratio(t, beyond(t) / MAX_INSTEAD + 1) : 0;
    t->others--;
    t->large = 0;
    if (!ok || !ratio)
        return false;
    fmpq_mpoly_set(t->a->p, cost_subst(t->r, t->a->p, t->r->area, cost_poly_num(t->r, s->largest)),
                   t->r->ctx);
    t->a->from = ratio * s->largest;
    return true;
}

/* How far each of the other variables reaches, if the whole reach is the sum of theirs. */
static bool
find_weights(struct fit *t)
{
    const int64_t from = t->rect;
    double none, each, all = 0;
    for (int k = 1; k <= t->others; k++)
        set(t, k, 0);
    none = cost_reach(t->r, t->f, t->used, t->at, 0, 0);
    for (int k = (int)from + 1; k <= t->others; k++) {
        set(t, k, 1);
        each = cost_reach(t->r, t->f, t->used, t->at, 0, 0) - none;
        set(t, k, 0);
        t->a->weight[k - 1 - from] = (int64_t)ceil(2 * each);
        all += 7 * k * each;
    }
    for (int k = (int)from + 1; k <= t->others; k++)
        set(t, k, 7 * k);
    return fabs(cost_reach(t->r, t->f, t->used, t->at, 0, 0) - none - all) < 1e-6 * (all + 1);
}

/* Of all periods; 0 if it is too large. */
static int64_t
common_multiple(const struct numbers *s)
{
    int64_t all = 1;
    for (int k = 0; k < s->periods && all <= MAX_PERIOD; k++)
        all = cost_lcm(all, s->period[k]);
    return all <= MAX_PERIOD ? all : 0;
}

/* Periods are numbers of the mask, products of two of them, and small ones (n/4 has one). */
static bool
search(struct fit *t)
{
    struct numbers s = {0};
    collect_numbers(t->f, t->used, t->a, &s);
    if (t->others > t->rect && (s.largest > 2 || !find_weights(t)))
        return false; /* a number may decide which of the params matter */
    if (s.largest > LARGE && search_large(t, &s))
        return true;
    int64_t common = common_multiple(&s);
    int single = s.periods;
    for (int k = 0; k < single; k++)
        for (int m = 0; m < k; m++)
            add_number(&s, s.period[k] * s.period[m] <= MAX_PERIOD ? s.period[k] * s.period[m] : 0);
    for (int k = 1; k <= t->others; k++)
        set(t, k, MAX_INSTEAD);
    int64_t from = beyond(t) > FROM ? beyond(t) : FROM;
    if (from > MAX_FROM)
        return false;
    /* what holds for some multiples holds for the common ones: if those fail, so do all */
    bool ok = common && 3 * (from + common) + 8 * common <= MAX_GROWTH;
    if (ok) {
        count_growth(t, 3 * (from + common) + 8 * common);
        if (!try_at(t, from, common))
            return false;
    }
    for (int m = 0; m <= s.periods; m++) {
        int64_t multiple = m ? s.period[m - 1] : 1, most = 3 * (from + multiple) + 8 * multiple;
        if (most > MAX_GROWTH || (ok && multiple >= common))
            continue;
        count_growth(t, most);
        if (try_at(t, from, multiple))
            return true;
    }
    return ok;
}

/* Variables besides n that the mask reads: params to t->other, or where they are known, fixed, as
 * all other sizes are. False if one is neither. */
static bool
list_others(struct fit *t, const int64_t *at, const bool *known, bool all)
{
    const struct ir_func *f = t->f;
    struct cost_area *a = t->a;
    bool *listed = ARENA_ARRAY(t->r->arena, bool, t->r->nvars);
    int with = 0, only = 0;
    if (a->ordered)
        t->other[t->others++] = DIM_NQ;
    a->with = ARENA_ARRAY(t->r->arena, slong, MAX_OTHERS + 2);
    a->weight = ARENA_ARRAY(t->r->arena, int64_t, MAX_OTHERS + 2);
    a->only = ARENA_ARRAY(t->r->arena, slong, t->r->nvars + 1);
    a->value = ARENA_ARRAY(t->r->arena, int64_t, t->r->nvars + 1);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        slong v = x->op == IR_param ? (slong)(f->ndims + x->attr.id) : (slong)x->attr.id;
        if (!t->used[n] || (x->op != IR_param && x->op != IR_dim) || v == DIM_N || v == DIM_NQ ||
            (x->op == IR_dim && f->dims[v].size > 0) || listed[v])
            continue;
        listed[v] = true;
        if ((all || x->op == IR_dim) && known[v]) {
            a->only[only] = v;
            a->value[only++] = t->at[v] = at[v];
        } else if (all || x->op == IR_dim || t->others == MAX_OTHERS) {
            a->why = arena_printf(t->r->arena, "the mask needs %s", cost_var_name(t->r, v));
            return false;
        } else {
            a->with[with++] = t->other[t->others++] = v;
        }
    }
    a->with[with] = a->only[only] = -1;
    return true;
}

static bool
find(struct fit *t, const int64_t *at, const bool *known, bool all)
{
    const struct ir_func *f = t->f;
    t->others = 0;
    t->grown = NULL;
    t->most = 0;
    for (slong v = 0; v < t->r->nvars; v++)
        t->at[v] = v < (slong)f->ndims && f->dims[v].size > 0 ? f->dims[v].size : 1;
    if (!list_others(t, at, known, all) || !search(t))
        return false;
    extend_down(t);
    say_where(t);
    t->a->why = NULL;
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
    struct fit t = {.r = r, .f = f, .a = out, .rect = rect && !last, .used = cost_mask_nodes(r, f)};
    if ((out->why = cost_mask_unknown(r, f)) != NULL)
        return;
    if (f->dims[DIM_N].size > 0) { /* one number */
        int64_t area = cost_area_count(r, f, last, at);
        out->p = area < 0 ? NULL : cost_poly_num(r, (slong)area);
        out->why = area < 0 ? "n is fixed, and too large to count" : NULL;
        return;
    }
    out->ordered = t.rect;
    t.at = ARENA_ARRAY(r->arena, int64_t, r->nvars);
    bool ok = find(&t, at, known, false);
    if (!ok && t.others > t.rect) /* params */
        ok = find(&t, at, known, true);
    if (!ok && !out->why)
        out->why = "its area was not found as a polynomial";
}
