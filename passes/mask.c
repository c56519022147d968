/* From a mask expression to predicates: see passes/mask.h.
 *
 *     i - j < W              j >= i - W + 1                  one bound, W may be known at run time
 *     abs(i - j) < W         i - j < W  and  j - i < W       abs, min and max are cases
 *     not (j > i)            j <= i                          negations move to the leaves
 *     mod(i - j, 8) == 0     a residue
 *     doc[b,i] == doc[b,j]   values of a query and of a key  */
#include "passes/mask.h"

enum { MAX_CASES = 4, MAX_COEFFICIENT = 1024 };

/* Reading l - r as an affine form under an assumption on each abs, min and max it contains. */
struct reading {
    struct mask *m;
    unsigned chosen; /* bit k: the second case of the k-th of them */
    int known, met;
    enum { NO_MORE, BOTH, EITHER } open; /* how the cases of the next one combine */
    struct affine e;
};

static struct pred *
pred_new(struct mask *m, enum pred_kind kind)
{
    struct pred *p = ARENA_NEW(m->s->p->arena, struct pred);
    p->kind = kind;
    return p;
}

static struct pred *
pred_join(struct mask *m, enum pred_kind kind, struct pred *a, struct pred *b)
{
    struct pred *p = pred_new(m, kind);
    p->a = a;
    p->b = b;
    return p;
}

/* True if n can be evaluated from positions, sizes, constants and params alone. */
static bool
is_plain(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_input || x->op == IR_ninf || (x->nargs && !(ir_ops[x->op].props & IRP_ELEM)))
        return false;
    for (int k = 0; k < x->nargs; k++)
        if (!is_plain(f, x->arg[k]))
            return false;
    return !ir_vector_axes(f, n);
}

static bool
whole_constant(const struct ir_func *f, ir_ref n, int64_t limit, int64_t *v)
{
    if (f->nodes[n].op != IR_const)
        return false;
    const fmpq *q = ir_const_value(f, n);
    if (!fmpz_is_one(fmpq_denref(q)) || fmpz_cmpabs(fmpq_numref(q), (fmpz[]){limit}) > 0)
        return false;
    *v = fmpz_get_si(fmpq_numref(q));
    return true;
}

/* A whole number known to the schedule: a constant, a size, the head, the batch. */
static tx_ref
whole_leaf(struct mask *m, ir_ref n)
{
    const struct ir_node *x = &m->s->f->nodes[n];
    int64_t v;
    if (x->op == IR_dim)
        return tx_dim(m->s->p, (uint16_t)x->attr.id);
    if (x->op == IR_pos && (x->attr.axis == AX_b || x->attr.axis == AX_h))
        return m->s->at[x->attr.axis == AX_b ? 0 : 1];
    return whole_constant(m->s->f, n, (int64_t)1 << 40, &v) ? tx_num(m->s->p, v) : 0;
}

/* True if n is a sum of such numbers, which integers hold exactly. */
static bool
is_whole(struct mask *m, ir_ref n)
{
    const struct ir_node x = m->s->f->nodes[n];
    if (x.op == IR_add || x.op == IR_sub)
        return is_whole(m, x.arg[0]) && is_whole(m, x.arg[1]);
    return x.op == IR_neg ? is_whole(m, x.arg[0]) : whole_leaf(m, n) != 0;
}

static int
scalar_index(struct mask *m, ir_ref n)
{
    struct tile_prog *p = m->s->p;
    for (int k = 0; k < m->nscalars; k++)
        if (m->scalar[k].node == n)
            return k;
    if (m->nscalars == MASK_MAX_SCALARS)
        return -1;
    int k = m->nscalars++;
    tx_ref one = tx_num(p, 1);
    struct mask_scalar *x = &m->scalar[k];
    *x = (struct mask_scalar){n, tile_var_add(p, arena_printf(p->arena, "floor%d", k)),
                              tile_var_add(p, arena_printf(p->arena, "ceil%d", k)),
                              tile_var_add(p, arena_printf(p->arena, "unknown%d", k)),
                              map_new(m->s, TILE_bounds, (tile_view){0}, n, AX_UNIT, AX_UNIT, one,
                                      one)};
    x->read->var[0] = x->floor;
    x->read->var[1] = x->ceil;
    x->read->var[2] = x->unknown;
    return k;
}

static bool
add_scalar(struct reading *r, ir_ref n, int64_t times)
{
    int k = r->e.sign || (times != 1 && times != -1) ? -1 : scalar_index(r->m, n);
    if (k < 0)
        return false;
    r->e.sign = (int)times;
    r->e.scalar = k;
    return true;
}

static bool read_affine(struct reading *r, ir_ref n, int64_t times);

/* abs, min, max: which case holds was chosen, or has to be. */
static bool
read_cases(struct reading *r, const struct ir_node *x, int64_t times)
{
    int k = r->met++;
    if (k >= r->known) {
        r->open = (x->op == IR_min) == (times > 0) ? EITHER : BOTH;
        return false;
    }
    bool second = (r->chosen >> k & 1) != 0;
    if (x->op == IR_abs)
        return read_affine(r, x->arg[0], second ? -times : times);
    return read_affine(r, x->arg[second], times);
}

static bool
read_affine(struct reading *r, ir_ref n, int64_t times)
{
    struct sched *s = r->m->s;
    const struct ir_node x = s->f->nodes[n];
    int64_t c;
    if (times > MAX_COEFFICIENT || times < -MAX_COEFFICIENT)
        return false;
    if (x.op == IR_pos && (x.attr.axis == AX_i || x.attr.axis == AX_j)) {
        *(x.attr.axis == AX_i ? &r->e.ci : &r->e.cj) += times;
        return true;
    }
    tx_ref leaf = whole_leaf(r->m, n);
    if (leaf) {
        leaf = tx_op2(s->p, TX_MUL, tx_num(s->p, times < 0 ? -times : times), leaf);
        r->e.rest = tx_op2(s->p, times > 0 ? TX_ADD : TX_SUB, r->e.rest, leaf);
        return true;
    }
    if (x.op == IR_neg)
        return read_affine(r, x.arg[0], -times);
    bool neutral = ir_side_of(s->f, n) == SIDE_NEUTRAL;
    if ((x.op == IR_add || x.op == IR_sub) && (!neutral || is_whole(r->m, n)))
        return read_affine(r, x.arg[0], times) &&
               read_affine(r, x.arg[1], x.op == IR_sub ? -times : times);
    if (neutral)
        return is_plain(s->f, n) && add_scalar(r, n, times);
    if (x.op == IR_abs || x.op == IR_min || x.op == IR_max)
        return read_cases(r, &x, times);
    for (int k = 0; k < 2 && x.op == IR_mul; k++)
        if (whole_constant(s->f, x.arg[k], MAX_COEFFICIENT, &c) && c)
            return read_affine(r, x.arg[1 - k], times * c);
    return false;
}

/* l - r <= 0 or < 0. */
static struct pred *
pred_below(struct mask *m, ir_ref l, ir_ref r, bool strict, unsigned chosen, int known)
{
    struct reading in = {.m = m, .chosen = chosen, .known = known,
                         .e = {.rest = tx_num(m->s->p, 0)}};
    if (read_affine(&in, l, 1) && read_affine(&in, r, -1)) {
        struct pred *p = pred_new(m, PRED_BELOW);
        p->e = in.e;
        p->strict = strict;
        return p;
    }
    if (in.open == NO_MORE || known == MAX_CASES)
        return pred_new(m, PRED_UNKNOWN);
    return pred_join(m, in.open == BOTH ? PRED_AND : PRED_OR,
                     pred_below(m, l, r, strict, chosen, known + 1),
                     pred_below(m, l, r, strict, chosen | 1u << known, known + 1));
}

static bool
is_unknown(const struct pred *p)
{
    return p->kind == PRED_UNKNOWN ||
           ((p->kind == PRED_AND || p->kind == PRED_OR) && (is_unknown(p->a) || is_unknown(p->b)));
}

/* mod(e, S) against a whole constant: a range of residues, or all but one. */
static struct pred *
pred_residue(struct mask *m, enum ir_op rel, ir_ref l, ir_ref r)
{
    const struct ir_node *x = &m->s->f->nodes[l];
    struct reading in = {.m = m, .e = {.rest = tx_num(m->s->p, 0)}};
    int64_t modulus, c;
    if (x->op != IR_mod || !whole_constant(m->s->f, x->arg[1], 1 << 30, &modulus) || modulus < 1 ||
        !whole_constant(m->s->f, r, 1 << 30, &c) || !read_affine(&in, x->arg[0], 1) || in.e.sign)
        return NULL;
    bool one = rel == IR_eq || rel == IR_ne;
    int64_t width = one ? 1 : c + (rel == IR_le || rel == IR_gt);
    bool negate = rel == IR_ne || rel == IR_ge || rel == IR_gt;
    if (width <= 0 || (one && (c < 0 || c >= modulus)))
        return pred_new(m, negate ? PRED_TRUE : PRED_FALSE);
    struct pred *p = pred_new(m, PRED_RESIDUE);
    p->e = in.e;
    if (one)
        p->e.rest = tx_op2(m->s->p, TX_SUB, p->e.rest, tx_num(m->s->p, c));
    p->modulus = modulus;
    p->width = width < modulus ? width : modulus;
    p->negate = negate;
    return p;
}

static enum ir_op
mirrored(enum ir_op rel)
{
    return rel == IR_lt   ? IR_gt
           : rel == IR_gt ? IR_lt
           : rel == IR_le ? IR_ge
           : rel == IR_ge ? IR_le
                          : rel;
}

/* A value of the query against a value of the key, of whatever they are made. */
static struct pred *
pred_values(struct mask *m, enum ir_op rel, ir_ref l, ir_ref r)
{
    const struct ir_func *f = m->s->f;
    if ((ir_side_of(f, l) & SIDE_KEY) || (ir_side_of(f, r) & SIDE_QUERY)) {
        ir_ref t = l;
        l = r;
        r = t;
        rel = mirrored(rel);
    }
    if ((ir_side_of(f, l) & SIDE_KEY) || (ir_side_of(f, r) & SIDE_QUERY) || !is_plain(f, l) ||
        !is_plain(f, r) || m->nvalues == MASK_MAX_VALUES)
        return pred_new(m, PRED_UNKNOWN);
    struct pred *p = pred_new(m, PRED_VALUES);
    p->value = m->nvalues;
    struct tile_prog *t = m->s->p;
    m->value[m->nvalues++] = (struct mask_value){
        .rel = rel, .query = {.node = l}, .key = {.node = r},
        .all = tile_var_add(t, arena_printf(t->arena, "all%d", p->value)),
        .may = tile_var_add(t, arena_printf(t->arena, "may%d", p->value))};
    return p;
}

static struct pred *
pred_affine(struct mask *m, enum ir_op rel, ir_ref l, ir_ref r)
{
    if (rel == IR_eq)
        return pred_join(m, PRED_AND, pred_below(m, l, r, false, 0, 0),
                         pred_below(m, r, l, false, 0, 0));
    if (rel == IR_ne)
        return pred_join(m, PRED_OR, pred_below(m, l, r, true, 0, 0),
                         pred_below(m, r, l, true, 0, 0));
    bool swap = rel == IR_gt || rel == IR_ge;
    return pred_below(m, swap ? r : l, swap ? l : r, rel == IR_lt || rel == IR_gt, 0, 0);
}

static struct pred *
pred_compare(struct mask *m, enum ir_op rel, ir_ref l, ir_ref r, bool negate)
{
    static const uint8_t opposite[IR_OP_COUNT] = {
        [IR_lt] = IR_ge, [IR_ge] = IR_lt, [IR_le] = IR_gt,
        [IR_gt] = IR_le, [IR_eq] = IR_ne, [IR_ne] = IR_eq};
    enum ir_op other = (enum ir_op)opposite[rel];
    struct pred *p = pred_affine(m, negate ? other : rel, l, r);
    if (!is_unknown(p))
        return p;
    p = pred_residue(m, rel, l, r);
    if (!p)
        p = pred_residue(m, mirrored(rel), r, l);
    if (!p)
        p = pred_values(m, rel, l, r);
    if (p->kind == PRED_TRUE || p->kind == PRED_FALSE)
        return pred_new(m, (p->kind == PRED_TRUE) != negate ? PRED_TRUE : PRED_FALSE);
    p->negate = p->negate != negate;
    return p;
}

static struct pred *
pred_of(struct mask *m, ir_ref n, bool negate)
{
    const struct ir_node x = m->s->f->nodes[n];
    if (x.op == IR_not)
        return pred_of(m, x.arg[0], !negate);
    if (x.op == IR_and || x.op == IR_or) {
        struct pred *a = pred_of(m, x.arg[0], negate), *b = pred_of(m, x.arg[1], negate);
        return pred_join(m, (x.op == IR_and) != negate ? PRED_AND : PRED_OR, a, b);
    }
    if (x.op == IR_const)
        return pred_new(m, ir_is_const(m->s->f, n, 0) == negate ? PRED_TRUE : PRED_FALSE);
    if (x.op == IR_lt || x.op == IR_le || x.op == IR_gt || x.op == IR_ge || x.op == IR_eq ||
        x.op == IR_ne)
        return pred_compare(m, (enum ir_op)x.op, x.arg[0], x.arg[1], negate);
    return pred_new(m, PRED_UNKNOWN);
}

tx_ref
mask_num(const struct mask *m, int64_t v)
{
    return tx_num(m->s->p, v);
}

tx_ref
mask_op(const struct mask *m, enum tx_op o, tx_ref a, tx_ref b)
{
    return tx_op2(m->s->p, o, a, b);
}

struct mask *
mask_new(struct sched *s, ir_ref root, tx_ref first, tx_ref last)
{
    struct mask *m = ARENA_NEW(s->p->arena, struct mask);
    m->s = s;
    m->first = first;
    m->last = last;
    m->root = root ? pred_of(m, root, false) : pred_new(m, PRED_TRUE);
    return m;
}
