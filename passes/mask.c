/* Which keys a tile of queries can see, derived from the mask expression.
 *
 * Comparisons whose difference is +-j +-i plus something that does not vary become bounds on j;
 * and / or combine ranges; anything else is "possibly any key, surely none".
 *
 *     j <= i            for positions first..last:   visible keys in [0, last+1), all of [0,
 * first+1) i - j < W         keys in [first-W+1, ..),      all of [last-W+1, ..)
 */
#include "passes/schedule.h"

/* j coefficient, i coefficient, and an integer remainder; param: one scalar param may enter with
 * sign psign (it need not be an integer). */
struct affine {
    int cj, ci, psign;
    uint32_t param;
    tx_ref rest;
};

struct analysis {
    struct tile_prog *p;
    tx_ref first, last;
};

static bool
affine_of(struct analysis *a, ir_ref ref, int sign, struct affine *out)
{
    const struct ir_func *f = a->p->func;
    const struct ir_node *n = &f->nodes[ref];
    tx_ref leaf = 0;
    if (n->op == IR_pos && n->attr.axis == AX_j) {
        out->cj += sign;
    } else if (n->op == IR_pos && n->attr.axis == AX_i) {
        out->ci += sign;
    } else if (n->op == IR_dim) {
        leaf = tx_dim(a->p, (uint16_t)n->attr.id);
    } else if (n->op == IR_const) {
        const fmpq *q = ir_const_value(f, ref);
        if (!fmpz_is_one(fmpq_denref(q)) || fmpz_bits(fmpq_numref(q)) > 40)
            return false;
        leaf = tx_num(a->p, fmpz_get_si(fmpq_numref(q)));
    } else if (n->op == IR_param && f->params[n->attr.id].rank == 0) {
        if (out->psign)
            return false;
        out->psign = sign;
        out->param = n->attr.id;
    } else if (n->op == IR_neg) {
        return affine_of(a, n->arg[0], -sign, out);
    } else if (n->op == IR_add || n->op == IR_sub) {
        return affine_of(a, n->arg[0], sign, out) &&
               affine_of(a, n->arg[1], n->op == IR_sub ? -sign : sign, out);
    } else {
        return false;
    }
    if (leaf)
        out->rest = tx_op2(a->p, sign > 0 ? TX_ADD : TX_SUB, out->rest, leaf);
    return true;
}

static struct mask_range
range_any(void)
{
    return (struct mask_range){.none_full = true};
}

/* ci*i over the tile's positions: its least or greatest value. */
static tx_ref
query_extreme(struct analysis *a, int ci, bool greatest)
{
    tx_ref i = (ci > 0) == greatest ? a->last : a->first;
    return ci == 0 ? tx_num(a->p, 0) : ci > 0 ? i : tx_op2(a->p, TX_SUB, tx_num(a->p, 0), i);
}

/* The keys with  cj*j + ci*i + rest + psign*P  <= 0  (or < 0 when strict). */
static struct mask_range
range_below(struct analysis *a, struct affine e, bool strict)
{
    struct tile_prog *p = a->p;
    struct mask_range r = {0};
    if ((e.cj != 1 && e.cj != -1) || e.ci > 1 || e.ci < -1)
        return range_any();
    /* the integer part x satisfies x <= bound */
    tx_ref bound = tx_num(p, strict ? -1 : 0);
    if (e.psign < 0) /* x < P: x <= ceil(P) - 1;  x <= P: x <= floor(P) */
        bound = tx_op2(p, TX_ADD, bound, tx_param(p, strict ? TX_PCEIL : TX_PFLOOR, e.param));
    if (e.psign > 0) /* x < -P: x <= -floor(P) - 1;  x <= -P: x <= -ceil(P) */
        bound = tx_op2(p, TX_SUB, bound, tx_param(p, strict ? TX_PFLOOR : TX_PCEIL, e.param));
    bound = tx_op2(p, TX_SUB, bound, e.rest);
    tx_ref loose = tx_op2(p, TX_SUB, bound, query_extreme(a, e.ci, false));
    tx_ref tight = tx_op2(p, TX_SUB, bound, query_extreme(a, e.ci, true));
    tx_ref one = tx_num(p, 1), zero = tx_num(p, 0);
    if (e.cj > 0) {
        r.hi = tx_op2(p, TX_ADD, loose, one);
        r.full_hi = tx_op2(p, TX_ADD, tight, one);
    } else {
        r.lo = tx_op2(p, TX_SUB, zero, loose);
        r.full_lo = tx_op2(p, TX_SUB, zero, tight);
    }
    return r;
}

/* Intersection where either bound may be absent (0). */
static tx_ref
tighter(struct tile_prog *p, enum tx_op op, tx_ref a, tx_ref b)
{
    return !a ? b : !b ? a : tx_op2(p, op, a, b);
}

/* Union: absent means unbounded and wins. */
static tx_ref
looser(struct tile_prog *p, enum tx_op op, tx_ref a, tx_ref b)
{
    return !a || !b ? 0 : tx_op2(p, op, a, b);
}

static struct mask_range
range_and(struct tile_prog *p, struct mask_range a, struct mask_range b)
{
    return (struct mask_range){
        .lo = tighter(p, TX_MAX, a.lo, b.lo), .hi = tighter(p, TX_MIN, a.hi, b.hi),
        .full_lo = tighter(p, TX_MAX, a.full_lo, b.full_lo),
        .full_hi = tighter(p, TX_MIN, a.full_hi, b.full_hi),
        .none_full = a.none_full || b.none_full};
}

static struct mask_range
range_or(struct tile_prog *p, struct mask_range a, struct mask_range b)
{
    struct mask_range r = {.lo = looser(p, TX_MIN, a.lo, b.lo),
                           .hi = looser(p, TX_MAX, a.hi, b.hi)};
    bool prefixes = !a.full_lo && !b.full_lo, suffixes = !a.full_hi && !b.full_hi;
    const struct mask_range *one = a.none_full ? &b : &a;
    r.full_lo = one->full_lo;
    r.full_hi = one->full_hi;
    r.none_full = a.none_full && b.none_full;
    if (!a.none_full && !b.none_full && prefixes)
        r.full_hi = looser(p, TX_MAX, a.full_hi, b.full_hi);
    else if (!a.none_full && !b.none_full && suffixes)
        r.full_lo = looser(p, TX_MIN, a.full_lo, b.full_lo);
    return r;
}

static struct mask_range
range_of(struct analysis *a, ir_ref ref, bool negate)
{
    static const struct {
        uint8_t op;
        bool swap, strict; /* swap: r - l instead of l - r */
    } rel[] = {
        {IR_lt, false, true}, {IR_le, false, false}, {IR_gt, true, true}, {IR_ge, true, false}};
    const struct ir_node *n = &a->p->func->nodes[ref];
    if (n->op == IR_not)
        return range_of(a, n->arg[0], !negate);
    if (n->op == IR_and || n->op == IR_or) {
        struct mask_range l = range_of(a, n->arg[0], negate), r = range_of(a, n->arg[1], negate);
        return (n->op == IR_and) != negate ? range_and(a->p, l, r) : range_or(a->p, l, r);
    }
    if (n->op == IR_const)
        return ir_is_const(a->p->func, ref, 0) == negate ? (struct mask_range){0} : range_any();
    if (n->op == (negate ? IR_ne : IR_eq)) {
        struct affine e = {.rest = tx_num(a->p, 0)}, m = {.rest = tx_num(a->p, 0)};
        if (!affine_of(a, n->arg[0], 1, &e) || !affine_of(a, n->arg[1], -1, &e) ||
            !affine_of(a, n->arg[0], -1, &m) || !affine_of(a, n->arg[1], 1, &m))
            return range_any();
        return range_and(a->p, range_below(a, e, false), range_below(a, m, false));
    }
    for (unsigned k = 0; k < sizeof rel / sizeof *rel; k++) {
        if (n->op != rel[k].op)
            continue;
        bool swap = rel[k].swap, strict = rel[k].strict;
        if (negate) { /* not (l < r) is l >= r */
            swap = !swap;
            strict = !strict;
        }
        struct affine e = {.rest = tx_num(a->p, 0)};
        if (!affine_of(a, n->arg[0], swap ? -1 : 1, &e) ||
            !affine_of(a, n->arg[1], swap ? 1 : -1, &e))
            return range_any();
        return range_below(a, e, strict);
    }
    return range_any();
}

struct mask_range
mask_analyse(struct tile_prog *p, ir_ref mask, tx_ref first, tx_ref last)
{
    struct analysis a = {p, first, last};
    if (!mask)
        return (struct mask_range){0};
    return range_of(&a, mask, false);
}
