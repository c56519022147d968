/* How far from the first token a mask's numbers make themselves felt. */
#include <math.h>

#include "ir/interp.h"
#include "passes/cost.h"

enum { MAX_SLOPES = 32 };

struct reach {
    const struct ir_func *f;
    const int64_t *at;
    int64_t large, instead;
    double *offset;            /* of each node: its size where positions and n are 0 */
    bool *varies;              /* with a position or n */
    double slope[MAX_SLOPES];  /* numbers that positions are multiplied by, or their inverses */
    int slopes;
    double sum;                /* of the offsets of all comparisons */
    fmpz_t period;             /* the least common multiple of what positions are taken modulo */
    bool beyond;               /* a function that this does not follow */
};

static double
leaf(const struct reach *r, ir_ref n)
{
    const struct ir_node *x = &r->f->nodes[n];
    if (x->op == IR_param)
        return fabs((double)r->at[r->f->ndims + x->attr.id]);
    if (x->op == IR_pi)
        return num_pi(NUM_F64).f;
    if (x->op == IR_dim)
        return r->varies[n] ? 0 : fabs((double)r->at[x->attr.id]);
    if (x->op != IR_const)
        return 0;
    const fmpq *q = ir_const_value(r->f, n);
    if (r->large && fmpq_cmp_si(q, r->large) == 0)
        return (double)r->instead;
    return fabs(fmpz_get_d(&q->num) / fmpz_get_d(&q->den));
}

/* A position times or over c: lines of that slope meet further out by as much. */
static void
add_slope(struct reach *r, double c)
{
    c = c < 1 && c > 0 ? 1 / c : c;
    for (int k = 0; k < r->slopes; k++)
        if (r->slope[k] == c)
            return;
    if (r->slopes == MAX_SLOPES)
        r->beyond = true;
    else if (c > 1)
        r->slope[r->slopes++] = c;
}

static void
add_period(struct reach *r, slong m)
{
    fmpz_t x;
    fmpz_init_set_si(x, m);
    fmpz_lcm(r->period, r->period, x);
    fmpz_clear(x);
}

static double
product(struct reach *r, ir_ref a, ir_ref b, bool over)
{
    double x = r->offset[a], y = r->offset[b];
    if (!r->varies[a] && !r->varies[b])
        return over ? (y > 0 ? x / y : 0) : x * y;
    if (r->varies[a] && r->varies[b])
        return (x + 1) * (y + 1);
    add_slope(r, r->varies[a] ? y : x);
    return over ? fmax(x, x / fmax(y, 1e-9)) : x * y;
}

static double
node(struct reach *r, ir_ref n)
{
    const struct ir_node *x = &r->f->nodes[n];
    const double *o = r->offset;
    const ir_ref *a = x->arg;
    if (x->nargs == 0)
        return leaf(r, n);
    if (ir_ops[x->op].props & IRP_BOOL) {
        if (x->op != IR_not && x->op != IR_and && x->op != IR_or)
            r->sum += o[a[0]] + o[a[1]];
        return 0;
    }
    if (x->op == IR_mul || x->op == IR_div)
        return product(r, a[0], a[1], x->op == IR_div);
    if (x->op == IR_powi && x->attr.num >= 0)
        return pow(o[a[0]] + (r->varies[a[0]] ? 1 : 0), x->attr.num);
    if (x->op == IR_mod) {
        double m = o[a[1]];
        if (r->varies[a[0]] && (r->varies[a[1]] || m < 1 || m != floor(m) || m > 1e9))
            r->beyond = true;
        else if (r->varies[a[0]])
            add_period(r, (slong)m);
        return o[a[0]] + m;
    }
    if (x->op == IR_floor || x->op == IR_neg || x->op == IR_abs || x->op == IR_relu)
        return o[a[0]] + 1;
    if (x->op == IR_add || x->op == IR_sub || x->op == IR_min || x->op == IR_max)
        return o[a[0]] + o[a[1]];
    if (x->op == IR_select)
        return o[a[1]] + o[a[2]];
    r->beyond = r->beyond || r->varies[n];
    return r->varies[n] ? 0 : o[a[0]];
}

double
cost_reach(struct cost_ring *ring, const struct ir_func *f, const bool *used, const int64_t *at,
           int64_t large, int64_t instead)
{
    struct reach r = {.f = f, .at = at, .large = large, .instead = instead};
    r.offset = ARENA_ARRAY(ring->arena, double, f->nnodes);
    r.varies = ARENA_ARRAY(ring->arena, bool, f->nnodes);
    fmpz_init_set_ui(r.period, 1);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        bool length = x->op == IR_dim && ir_is_tokens((int)x->attr.id);
        if (!used[n])
            continue;
        r.varies[n] = x->op == IR_pos || x->op == IR_size || length;
        for (int k = 0; k < x->nargs; k++)
            r.varies[n] = r.varies[n] || r.varies[x->arg[k]];
        r.offset[n] = node(&r, n);
    }
    double all = r.sum + fmpz_get_d(r.period); /* periods of several moduli meet once in theirs */
    fmpz_clear(r.period);
    for (int k = 0; k < r.slopes; k++)
        all *= r.slope[k];
    return r.beyond ? INFINITY : all;
}

double
cost_mask_reach(struct cost_ring *ring, const struct ir_func *f, const int64_t *at)
{
    return f->root[ROOT_MASK] ? cost_reach(ring, f, cost_mask_nodes(ring, f), at, 0, 0) : 0;
}
