/* Ranges of keys and classes of tiles from a mask's predicates: see passes/mask.h. */
#include "passes/mask.h"

/* ---- integers ---- */

/* c times the least or the greatest of lo..hi. */
static tx_ref
extreme(const struct mask *m, int64_t c, tx_ref lo, tx_ref hi, bool greatest)
{
    if (c == 0)
        return mask_num(m, 0);
    tx_ref x = mask_op(m, TX_MUL, mask_num(m, c < 0 ? -c : c), (c > 0) == greatest ? hi : lo);
    return c > 0 ? x : mask_op(m, TX_SUB, mask_num(m, 0), x);
}

/* The whole numbers x with x + sign*S <= 0 (< 0: strict) are those up to this. Where S is NaN, all
 * of them for the loose bound, none for the tight one. */
static tx_ref
scalar_bound(const struct mask *m, const struct pred *p, bool loose)
{
    const struct mask_scalar *s = &m->scalar[p->e.scalar];
    struct tile_prog *t = m->s->p;
    tx_ref bound = mask_num(m, p->strict ? -1 : 0);
    if (p->e.sign < 0) /* x < S: x <= ceil(S) - 1;  x <= S: x <= floor(S) */
        bound = mask_op(m, TX_ADD, bound, tx_var(t, p->strict ? s->ceil : s->floor));
    if (p->e.sign > 0) /* x < -S: x <= -floor(S) - 1;  x <= -S: x <= -ceil(S) */
        bound = mask_op(m, TX_SUB, bound, tx_var(t, p->strict ? s->floor : s->ceil));
    if (p->e.sign)
        bound = mask_op(m, loose ? TX_ADD : TX_SUB, bound, tx_var(t, s->unknown));
    return mask_op(m, TX_SUB, bound, p->e.rest);
}

/* The same for cj*j alone, whatever the query. */
static tx_ref
key_bound(const struct mask *m, const struct pred *p, bool loose)
{
    return mask_op(m, TX_SUB, scalar_bound(m, p, loose),
                   extreme(m, p->e.ci, m->first, m->last, !loose));
}

/* 1 if x >= 0, else 0. */
static tx_ref
indicator(const struct mask *m, tx_ref x)
{
    x = mask_op(m, TX_ADD, x, mask_num(m, 1));
    return mask_op(m, TX_MAX, mask_num(m, 0), mask_op(m, TX_MIN, mask_num(m, 1), x));
}

/* ---- ranges ---- */

static struct mask_ranges
one_range(tx_ref lo, tx_ref hi)
{
    return (struct mask_ranges){1, {{lo, hi}}};
}

static tx_ref
tighter(const struct mask *m, enum tx_op o, tx_ref a, tx_ref b)
{
    return !a ? b : !b ? a : mask_op(m, o, a, b);
}

static tx_ref
looser(const struct mask *m, enum tx_op o, tx_ref a, tx_ref b)
{
    return !a || !b ? 0 : mask_op(m, o, a, b);
}

/* Adds a range, joining it to one with an end in common, or to the last when there are too many. */
static void
add_range(const struct mask *m, struct mask_ranges *r, struct mask_range x)
{
    int64_t empty;
    if (x.hi && tx_is_num(m->s->p, x.hi, &empty) && empty <= 0)
        return;
    for (int k = 0; k < r->n; k++) {
        struct mask_range *y = &r->at[k];
        if (!y->lo && !y->hi)
            return;
        if (y->lo != x.lo && y->hi != x.hi && !(k == MASK_MAX_RANGES - 1))
            continue;
        y->lo = y->lo == x.lo ? x.lo : looser(m, TX_MIN, y->lo, x.lo);
        y->hi = y->hi == x.hi ? x.hi : looser(m, TX_MAX, y->hi, x.hi);
        return;
    }
    r->at[r->n++] = x;
}

static struct mask_ranges
ranges_or(const struct mask *m, struct mask_ranges a, struct mask_ranges b)
{
    for (int k = 0; k < b.n; k++)
        add_range(m, &a, b.at[k]);
    return a;
}

/* Every pair of ranges intersected. Where that gives too many, one side alone bounds the keys, too,
 * and joining the surplus would square the expressions with every further `and`. */
static struct mask_ranges
ranges_and(const struct mask *m, const struct mask_ranges *a, const struct mask_ranges *b)
{
    struct mask_ranges r = {0};
    if (a->n * b->n > MASK_MAX_RANGES)
        return a->n < b->n ? *a : *b;
    for (int k = 0; k < a->n; k++)
        for (int i = 0; i < b->n; i++) {
            struct mask_range x = {tighter(m, TX_MAX, a->at[k].lo, b->at[i].lo),
                                   tighter(m, TX_MIN, a->at[k].hi, b->at[i].hi)};
            add_range(m, &r, x);
        }
    return r;
}

static struct mask_ranges
ranges_below(const struct mask *m, const struct pred *p)
{
    tx_ref bound = key_bound(m, p, true), n = tx_dim(m->s->p, DIM_N);
    int64_t c = p->e.cj;
    if (c == 0) /* all keys or none */
        return one_range(0, mask_op(m, TX_MUL, n, indicator(m, bound)));
    if (c > 0)
        return one_range(
            0, mask_op(m, TX_ADD, mask_op(m, TX_FDIV, bound, mask_num(m, c)), mask_num(m, 1)));
    bound = mask_op(m, TX_SUB, mask_num(m, 0), bound);
    return one_range(mask_op(m, TX_CDIV, bound, mask_num(m, -c)), 0);
}

static struct mask_ranges
ranges_of(const struct mask *m, const struct pred *p)
{
    struct mask_ranges a, b;
    switch (p->kind) {
    case PRED_FALSE:
        return (struct mask_ranges){0};
    case PRED_TRUE:
    case PRED_UNKNOWN:
    case PRED_RESIDUE:
    case PRED_VALUES:
        return one_range(0, 0);
    case PRED_BELOW:
        return ranges_below(m, p);
    case PRED_AND:
    case PRED_OR:
        a = ranges_of(m, p->a);
        b = ranges_of(m, p->b);
        return p->kind == PRED_AND ? ranges_and(m, &a, &b) : ranges_or(m, a, b);
    }
    ICE("bad predicate");
}

struct mask_ranges
mask_ranges(const struct mask *m)
{
    return ranges_of(m, m->root);
}

/* ---- classes ---- */

static struct mask_class
opposite(const struct mask *m, struct mask_class c)
{
    tx_ref one = mask_num(m, -1);
    return (struct mask_class){mask_op(m, TX_SUB, one, c.may), mask_op(m, TX_SUB, one, c.all)};
}

/* Every pair of the tile lies between two numbers: the extremes of a form that is affine. */
static struct mask_class
class_below(const struct mask *m, const struct pred *p, tx_ref j, tx_ref end)
{
    tx_ref least = extreme(m, p->e.cj, j, end, false), most = extreme(m, p->e.cj, j, end, true);
    return (struct mask_class){mask_op(m, TX_SUB, key_bound(m, p, false), most),
                               mask_op(m, TX_SUB, key_bound(m, p, true), least)};
}

/* mod(x, S) < w for lo <= x <= hi: of all if they lie between the same multiples of S and the last
 * is in reach; of some if the first is, or if a multiple of S follows. */
static struct mask_class
class_residue(const struct mask *m, const struct pred *p, tx_ref j, tx_ref end)
{
    tx_ref lo = mask_op(m, TX_ADD, extreme(m, p->e.cj, j, end, false),
                        extreme(m, p->e.ci, m->first, m->last, false));
    tx_ref hi = mask_op(m, TX_ADD, extreme(m, p->e.cj, j, end, true),
                        extreme(m, p->e.ci, m->first, m->last, true));
    tx_ref s = mask_num(m, p->modulus), reach = mask_num(m, p->width - 1);
    lo = mask_op(m, TX_ADD, lo, p->e.rest);
    hi = mask_op(m, TX_ADD, hi, p->e.rest);
    tx_ref block_lo = mask_op(m, TX_FDIV, lo, s), block_hi = mask_op(m, TX_FDIV, hi, s);
    tx_ref off_lo = mask_op(m, TX_SUB, lo, mask_op(m, TX_MUL, block_lo, s));
    tx_ref off_hi = mask_op(m, TX_SUB, hi, mask_op(m, TX_MUL, block_hi, s));
    tx_ref next = mask_op(m, TX_MUL, mask_op(m, TX_CDIV, lo, s), s);
    struct mask_class c = {
        mask_op(m, TX_MIN, mask_op(m, TX_SUB, block_lo, block_hi),
                mask_op(m, TX_SUB, reach, off_hi)),
        mask_op(m, TX_MAX, mask_op(m, TX_SUB, reach, off_lo), mask_op(m, TX_SUB, hi, next))};
    if (p->width == p->modulus)
        c.all = c.may = mask_num(m, 0);
    return p->negate ? opposite(m, c) : c;
}

static struct mask_class
class_of(const struct mask *m, const struct pred *p, tx_ref j, tx_ref end)
{
    struct tile_prog *t = m->s->p;
    struct mask_class a, b;
    enum tx_op o = p->kind == PRED_AND ? TX_MIN : TX_MAX;
    switch (p->kind) {
    case PRED_TRUE:
        return (struct mask_class){mask_num(m, 0), mask_num(m, 0)};
    case PRED_FALSE:
        return (struct mask_class){mask_num(m, -1), mask_num(m, -1)};
    case PRED_UNKNOWN:
        return (struct mask_class){mask_num(m, -1), mask_num(m, 0)};
    case PRED_BELOW:
        return class_below(m, p, j, end);
    case PRED_RESIDUE:
        return class_residue(m, p, j, end);
    case PRED_VALUES:
        a.all = tx_var(t, m->value[p->value].all);
        a.may = tx_var(t, m->value[p->value].may);
        return p->negate ? opposite(m, a) : a;
    case PRED_AND:
    case PRED_OR:
        a = class_of(m, p->a, j, end);
        b = class_of(m, p->b, j, end);
        return (struct mask_class){mask_op(m, o, a.all, b.all), mask_op(m, o, a.may, b.may)};
    }
    ICE("bad predicate");
}

struct mask_class
mask_classify(const struct mask *m, tx_ref j, tx_ref nj)
{
    return class_of(m, m->root, j, mask_op(m, TX_SUB, mask_op(m, TX_ADD, j, nj), mask_num(m, 1)));
}
