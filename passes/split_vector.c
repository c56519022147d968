/* Vectors: sums over a vector axis of what pairs query and key entries.
 *
 * A mixed vector is a list of terms  c * a[x] * b[x], c a polynomial, a a query (or neutral)
 * vector, b a key vector; summing a term over its axis gives a dot, or a one-sided sum:
 *
 *     sum_d (q - k)^2  =  sum_d q*q  -  2 * q·k  +  sum_d k*k */
#include "passes/split.h"

enum { VEC_MAX = 64 };

struct vec_term {
    split_poly *c;
    ir_ref a, b;      /* 0: all ones */
    ir_ref g;         /* the g of a decay per entry, or 0 */
};

struct vec {
    struct vec_term t[VEC_MAX];
    int n;
};

static bool vec_of(struct split *s, uint8_t axis, ir_ref n, struct vec *out);
static split_poly *dot_of(struct split *s, uint8_t axis, ir_ref x, ir_ref y, span_t at);

static bool
vec_push(struct split *s, struct vec *v, struct vec_term t, span_t at)
{
    if (!t.c)
        return false;
    if (v->n == VEC_MAX) {
        if (!s->failed)
            diag_error(s->diag, at, "a vector expands into more than %d products", VEC_MAX);
        s->failed = true;
        return false;
    }
    v->t[v->n++] = t;
    return true;
}

/* Elementwise product of one-sided vectors, in one order whatever way it was written. */
static ir_ref
vec_times(struct split *s, ir_ref a, ir_ref b, span_t at)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? ir_op2(s->f, IR_mul, a, b, at) : ir_op2(s->f, IR_mul, b, a, at);
}

static bool
vec_mul(struct split *s, const struct vec *x, const struct vec *y, struct vec *out, span_t at)
{
    out->n = 0;
    for (int i = 0; i < x->n; i++) {
        for (int j = 0; j < y->n; j++) {
            const struct vec_term *l = &x->t[i], *r = &y->t[j];
            struct vec_term t = {poly_mul(s, l->c, r->c, at), vec_times(s, l->a, r->a, at),
                                 vec_times(s, l->b, r->b, at), vec_times(s, l->g, r->g, at)};
            if (!vec_push(s, out, t, at))
                return false;
        }
    }
    return true;
}

/* A one-sided vector; factors without the axis become part of the coefficient. */
static bool
vec_one_sided(struct split *s, uint8_t axis, ir_ref n, struct vec *out)
{
    struct vec_term t = {poly_int(s, 1), 0, 0, 0};
    span_t at = s->f->nodes[n].span;
    for (;;) {
        const struct ir_node x = s->f->nodes[n];
        if (x.op == IR_neg) {
            t.c = poly_neg(s, t.c);
            n = x.arg[0];
        } else if (x.op == IR_div && !has_axis(s->f, x.arg[1], axis)) {
            t.c = poly_mul(s, t.c, split_inverse(s, x.arg[1]), at);
            n = x.arg[0];
        } else if (x.op == IR_mul && !has_axis(s->f, x.arg[0], axis)) {
            t.c = poly_mul(s, t.c, split_scalar(s, x.arg[0]), at);
            n = x.arg[1];
        } else if (x.op == IR_mul && !has_axis(s->f, x.arg[1], axis)) {
            t.c = poly_mul(s, t.c, split_scalar(s, x.arg[1]), at);
            n = x.arg[0];
        } else {
            break;
        }
    }
    *(ir_side_of(s->f, n) == SIDE_KEY ? &t.b : &t.a) = n;
    out->n = 0;
    return vec_push(s, out, t, at);
}

static bool
vec_sum(struct split *s, uint8_t axis, const struct ir_node *x, struct vec *out)
{
    struct vec r;
    if (!vec_of(s, axis, x->arg[0], out) || !vec_of(s, axis, x->arg[1], &r))
        return false;
    for (int k = 0; k < r.n; k++) {
        if (x->op == IR_sub)
            r.t[k].c = poly_neg(s, r.t[k].c);
        if (!vec_push(s, out, r.t[k], x->span))
            return false;
    }
    return true;
}

static bool
vec_power(struct split *s, uint8_t axis, ir_ref n, struct vec *out)
{
    const struct ir_node x = s->f->nodes[n];
    struct vec base, t;
    if (x.attr.num < 1 || x.attr.num > SPLIT_MAX_DEGREE) {
        split_stop(s, n, NULL);
        return false;
    }
    if (!vec_of(s, axis, x.arg[0], &base))
        return false;
    *out = base;
    for (int k = 1; k < x.attr.num; k++) {
        t = *out;
        if (!vec_mul(s, &t, &base, out, x.span))
            return false;
    }
    return true;
}

static bool
vec_quotient(struct split *s, uint8_t axis, ir_ref n, struct vec *out)
{
    const struct ir_node x = s->f->nodes[n];
    struct vec r, l;
    if (!vec_of(s, axis, x.arg[0], &l))
        return false;
    if (!has_axis(s->f, x.arg[1], axis)) {
        r.n = 0;
        if (!vec_push(s, &r, (struct vec_term){split_inverse(s, x.arg[1]), 0, 0, 0}, x.span))
            return false;
    } else if (ir_side_of(s->f, x.arg[1]) != SIDE_MIXED) {
        ir_ref one = ir_const_i(s->f, 1, 1, x.span);
        if (!vec_of(s, axis, ir_op2(s->f, IR_div, one, x.arg[1], x.span), &r))
            return false;
    } else {
        split_stop(s, n, NULL);
        return false;
    }
    return vec_mul(s, &l, &r, out, x.span);
}

static bool
vec_exponential(struct split *s, uint8_t axis, ir_ref n, struct vec *out)
{
    const struct ir_node x = s->f->nodes[n];
    bool power = x.op == IR_pow;
    ir_ref part[3];
    const char *culprit = NULL;
    if ((power && ir_side_of(s->f, x.arg[0]) != SIDE_NEUTRAL) ||
        !split_exponent(s, x.arg[power], axis, s->causal, part, &culprit)) {
        split_stop(s, n, culprit);
        return false;
    }
    struct vec_term t = {poly_int(s, 1), 0, 0, part[2] ? split_decay(s, &x, part[2]) : 0};
    if (t.g && !has_axis(s->f, t.g, axis)) {
        t.c = split_scalar(s, pass_decay(s->f, t.g, x.span));
        t.g = 0;
    }
    out->n = 0;
    if (!vec_push(s, out, t, x.span))
        return false;
    for (int k = 0; k < 2; k++) {
        struct vec l = *out, r;
        if (!part[k])
            continue;
        ir_ref e = power ? ir_op2(s->f, IR_pow, x.arg[0], part[k], x.span)
                         : ir_op1(s->f, IR_exp, part[k], x.span);
        if (!vec_of(s, axis, e, &r) || !vec_mul(s, &l, &r, out, x.span))
            return false;
    }
    if (power && (part[0] || part[1]))
        split_range_warning(s, n);
    return true;
}

/* cos or sin of one side of an angle per entry, of nothing where there is none. */
static bool
vec_turn(struct split *s, uint8_t axis, enum ir_op op, ir_ref part, bool minus, struct vec *out,
         span_t at)
{
    out->n = 0;
    if (!part && op == IR_sin)
        return true;
    if (!part)
        return vec_push(s, out, (struct vec_term){poly_int(s, 1), 0, 0, 0}, at);
    if (!vec_of(s, axis, ir_op1(s->f, op, part, at), out))
        return false;
    for (int k = 0; k < out->n && minus && op == IR_sin; k++)
        out->t[k].c = poly_neg(s, out->t[k].c);
    return true;
}

/* The addition theorems of split_angle, entry by entry. */
static bool
vec_angle(struct split *s, uint8_t axis, ir_ref n, struct vec *out)
{
    const struct ir_node x = s->f->nodes[n];
    const enum ir_op other = x.op == IR_cos ? IR_sin : IR_cos, op = (enum ir_op)x.op;
    ir_ref part[2];
    bool minus[2];
    struct vec a, b, r;
    if (!split_angle_parts(s, n, axis, part, minus))
        return false;
    if (!vec_turn(s, axis, op, part[0], minus[0], &a, x.span) ||
        !vec_turn(s, axis, IR_cos, part[1], minus[1], &b, x.span) ||
        !vec_mul(s, &a, &b, out, x.span) ||
        !vec_turn(s, axis, other, part[0], minus[0], &a, x.span) ||
        !vec_turn(s, axis, IR_sin, part[1], minus[1], &b, x.span) ||
        !vec_mul(s, &a, &b, &r, x.span))
        return false;
    for (int k = 0; k < r.n; k++) {
        r.t[k].c = op == IR_cos ? poly_neg(s, r.t[k].c) : r.t[k].c;
        if (!vec_push(s, out, r.t[k], x.span))
            return false;
    }
    return true;
}

static bool
vec_of(struct split *s, uint8_t axis, ir_ref n, struct vec *out)
{
    const struct ir_node x = s->f->nodes[n];
    struct vec l, r;
    out->n = 0;
    if (s->failed)
        return false;
    if (!has_axis(s->f, n, axis))
        return vec_push(s, out, (struct vec_term){split_scalar(s, n), 0, 0, 0}, x.span);
    if (ir_side_of(s->f, n) != SIDE_MIXED)
        return vec_one_sided(s, axis, n, out);
    if (x.op == IR_add || x.op == IR_sub)
        return vec_sum(s, axis, &x, out);
    if (x.op == IR_neg) {
        if (!vec_of(s, axis, x.arg[0], out))
            return false;
        for (int k = 0; k < out->n; k++)
            out->t[k].c = poly_neg(s, out->t[k].c);
        return true;
    }
    if (x.op == IR_mul)
        return vec_of(s, axis, x.arg[0], &l) && vec_of(s, axis, x.arg[1], &r) &&
               vec_mul(s, &l, &r, out, x.span);
    if (x.op == IR_div)
        return vec_quotient(s, axis, n, out);
    if (x.op == IR_powi)
        return vec_power(s, axis, n, out);
    if (x.op == IR_exp || x.op == IR_pow)
        return vec_exponential(s, axis, n, out);
    if (x.op == IR_decay && s->causal)
        return vec_push(s, out, (struct vec_term){poly_int(s, 1), 0, 0, x.arg[0]}, x.span);
    if (x.op == IR_sin || x.op == IR_cos)
        return vec_angle(s, axis, n, out);
    split_stop(s, n, NULL);
    return false;
}

/* ---- sums over the axis ---- */

/* rsum[axis](a * b * pass_decay(g)), a of the query, b of the key, g not of the query or 0, as an
 * atom. */
static split_poly *
dot_atom(struct split *s, uint8_t axis, ir_ref a, ir_ref b, ir_ref g, span_t at)
{
    ir_ref node = ir_op2(s->f, IR_mul, a, b, at);
    if (g)
        node = ir_op2(s->f, IR_mul, node, pass_decay(s->f, g, at), at);
    node = ir_rsum(s->f, axis, node, at);
    int k = split_atom_scalar(s, node);
    if (k >= 0 && s->atom[k].kind != ATOM_DOT) {
        s->atom[k].kind = ATOM_DOT;
        s->atom[k].axis = axis;
        s->atom[k].q = a;
        s->atom[k].k = b;
        s->atom[k].g = g;
    }
    return poly_atom(s, k);
}

/* Dots of structured vectors become polynomials in dots of their parts. */
static split_poly *
dot_pair(struct split *s, uint8_t axis, ir_ref a, ir_ref b, span_t at)
{
    const struct ir_node x = s->f->nodes[a], y = s->f->nodes[b];
    bool parts = x.op == y.op && x.attr.axis == y.attr.axis && x.attr.axis2 == y.attr.axis2;
    if (parts && (x.op == IR_cat || x.op == IR_outer) && x.attr.id == axis && y.attr.id == axis) {
        split_poly *l = dot_of(s, x.attr.axis, x.arg[0], y.arg[0], at);
        split_poly *r = dot_of(s, x.attr.axis2, x.arg[1], y.arg[1], at);
        return x.op == IR_cat ? poly_add(s, l, r) : poly_mul(s, l, r, at);
    }
    if (parts && x.op == IR_mono && x.attr.axis2 == axis && x.attr.num == y.attr.num &&
        ((x.attr.id ^ y.attr.id) == 1 || (x.attr.id == 2 && y.attr.id == 2))) {
        split_poly *d = dot_of(s, x.attr.axis, x.arg[0], y.arg[0], at);
        return d ? poly_pow(s, d, (ulong)x.attr.num, at) : NULL;
    }
    if (parts && x.op == IR_roll && x.attr.axis == axis && x.attr.num == y.attr.num)
        return dot_of(s, axis, x.arg[0], y.arg[0], at);
    if (parts && x.op == IR_rename && x.attr.axis2 == axis)
        return dot_of(s, x.attr.axis, x.arg[0], y.arg[0], at);
    return dot_atom(s, axis, a, b, 0, at);
}

static split_poly *
sum_of(struct split *s, uint8_t axis, const struct vec *v, span_t at)
{
    split_poly *total = poly_int(s, 0);
    for (int k = 0; k < v->n && total; k++) {
        const struct vec_term *t = &v->t[k];
        ir_ref both = vec_times(s, t->a, t->b, at);
        split_poly *d;
        if (t->g && t->a && t->b)
            d = dot_atom(s, axis, t->a, t->b, t->g, at);
        else if (t->g)
            d = split_stop(s, pass_decay(s->f, t->g, at), NULL);
        else if (!both)
            d = split_scalar(s, ir_node(s->f, IR_size, (ir_attr){.axis = axis}, 0, 0, 0, at));
        else if (ir_side_of(s->f, both) != SIDE_MIXED)
            d = split_scalar(s, ir_rsum(s->f, axis, both, at));
        else
            d = dot_pair(s, axis, t->a, t->b, at);
        total = poly_add(s, total, poly_mul(s, t->c, d, at));
    }
    return total;
}

static split_poly *
dot_of(struct split *s, uint8_t axis, ir_ref x, ir_ref y, span_t at)
{
    struct vec l, r, v;
    if (axis == AX_UNIT)
        return poly_mul(s, split_scalar(s, x), split_scalar(s, y), at);
    if (!vec_of(s, axis, x, &l) || !vec_of(s, axis, y, &r) || !vec_mul(s, &l, &r, &v, at))
        return NULL;
    return sum_of(s, axis, &v, at);
}

split_poly *
split_sum(struct split *s, uint8_t axis, ir_ref n, span_t at)
{
    struct vec v;
    return vec_of(s, axis, n, &v) ? sum_of(s, axis, &v, at) : NULL;
}

/* ---- exponents ---- */

static enum ir_side
term_side(const struct split *s, const ulong *e)
{
    unsigned side = SIDE_NEUTRAL;
    for (int k = 0; k < s->natoms; k++)
        if (e[k])
            side |= (unsigned)s->atom[k].side;
    return (enum ir_side)side;
}

/* The pairing term without its constants, for the message. */
static const char *
culprit_text(struct split *s, ulong *e, span_t at)
{
    fmpq_t one;
    for (int k = 0; k < s->natoms; k++)
        if (s->atom[k].side == SIDE_NEUTRAL)
            e[k] = 0;
    fmpq_init(one);
    fmpq_set_si(one, 1, 1);
    const char *t = math_text(s->f, split_node(s, poly_one_term(s, one, e), at));
    fmpq_clear(one);
    return t;
}

/* Adds each term of p times the vector x (0: none) to its side; one of both sides to *pairs, or
 * false where pairs is NULL. */
static bool
exponent_terms(struct split *s, const split_poly *p, ir_ref x, ir_ref side_sum[2], ir_ref *pairs,
               span_t at, const char **culprit)
{
    ulong e[SPLIT_MAX_ATOMS];
    bool ok = true;
    fmpq_t c;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, s->ctx) && ok; i++) {
        split_term(s, p, i, c, e);
        unsigned side = (unsigned)term_side(s, e) |
                        (unsigned)(x ? ir_side_of(s->f, x) : SIDE_NEUTRAL);
        if (side == SIDE_MIXED && !pairs) {
            *culprit = x ? NULL : culprit_text(s, e, at);
            ok = false;
            continue;
        }
        ir_ref *sum = side == SIDE_MIXED ? pairs : &side_sum[side == SIDE_KEY];
        ir_ref t = split_node(s, poly_one_term(s, c, e), at);
        t = x ? pass_mul(s->f, t, x, at) : t;
        *sum = *sum ? ir_op2(s->f, IR_add, *sum, t, at) : t;
    }
    fmpq_clear(c);
    return ok;
}

/* Takes c*(i - j), c neutral, out of the polynomial: *p loses it, the result is c, or NULL. */
static split_poly *
take_distance(struct split *s, split_poly **p)
{
    ulong e[SPLIT_MAX_ATOMS];
    split_poly *rest = poly_int(s, 0), *by[2] = {poly_int(s, 0), poly_int(s, 0)};
    fmpq_t c;
    fmpq_init(c);
    for (slong t = 0; t < fmpq_mpoly_length(*p, s->ctx); t++) {
        split_term(s, *p, t, c, e);
        split_poly **to = &rest;
        for (int k = 0; k < s->natoms; k++) {
            const struct ir_node *x = &s->f->nodes[s->atom[k].node];
            if (e[k] != 1 || x->op != IR_pos || (x->attr.axis != AX_i && x->attr.axis != AX_j))
                continue;
            e[k] = 0;
            if (term_side(s, e) == SIDE_NEUTRAL && to == &rest)
                to = &by[x->attr.axis == AX_j];
            else
                e[k] = 1;
        }
        *to = poly_add(s, *to, poly_one_term(s, c, e));
    }
    fmpq_clear(c);
    if (fmpq_mpoly_is_zero(by[0], s->ctx) || !fmpq_mpoly_equal(by[0], poly_neg(s, by[1]), s->ctx))
        return NULL;
    *p = rest;
    return by[0];
}

ir_ref
split_decay(struct split *s, const struct ir_node *x, ir_ref rate)
{
    if (x->op == IR_exp)
        return ir_op1(s->f, IR_exp, rate, x->span);
    return ir_is_const(s->f, rate, 1) ? x->arg[0] : ir_op2(s->f, IR_pow, x->arg[0], rate, x->span);
}

/* Terms with the same vector become one, so that i and j of a distance meet. */
static void
vec_collect(struct split *s, struct vec *v)
{
    for (int k = 0; k < v->n; k++)
        for (int i = k + 1; i < v->n;) {
            if (v->t[i].a != v->t[k].a || v->t[i].b != v->t[k].b || v->t[i].g || v->t[k].g) {
                i++;
                continue;
            }
            v->t[k].c = poly_add(s, v->t[k].c, v->t[i].c);
            v->t[i] = v->t[--v->n];
        }
}

static bool
exponent_parts(struct split *s, ir_ref e, uint8_t vector, bool decays, ir_ref part[3],
               ir_ref *pairs,
               const char **culprit)
{
    span_t at = s->f->nodes[e].span;
    struct vec v = {.n = 1};
    bool ok = true;
    part[0] = part[1] = part[2] = 0;
    if (vector == AX_UNIT)
        v.t[0] = (struct vec_term){split_scalar(s, e), 0, 0, 0};
    else
        ok = vec_of(s, vector, e, &v);
    vec_collect(s, &v);
    for (int k = 0; ok && k < v.n; k++) {
        ir_ref x = vec_times(s, v.t[k].a, v.t[k].b, at);
        split_poly *p = v.t[k].c;
        if (!p || v.t[k].g)
            return false;
        bool neutral = decays && (!x || ir_side_of(s->f, x) == SIDE_NEUTRAL);
        split_poly *c = neutral ? take_distance(s, &p) : NULL;
        if (c) {
            ir_ref rate = split_node(s, c, at);
            rate = x ? pass_mul(s->f, rate, x, at) : rate;
            part[2] = part[2] ? ir_op2(s->f, IR_add, part[2], rate, at) : rate;
        }
        ok = exponent_terms(s, p, x, part, pairs, at, culprit);
    }
    return ok;
}

bool
split_exponent(struct split *s, ir_ref e, uint8_t vector, bool decays, ir_ref part[3],
               const char **culprit)
{
    return exponent_parts(s, e, vector, decays, part, NULL, culprit);
}

bool
split_exponent_pairs(struct split *s, ir_ref e, ir_ref part[3], ir_ref *pairs)
{
    const char *unused;
    *pairs = 0;
    return exponent_parts(s, e, AX_UNIT, s->causal, part, pairs, &unused);
}
