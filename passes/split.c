/* Scalars: how a similarity becomes a polynomial in atoms. See split.h for the idea.
 *
 *     (q·k/sqrt(2) + 1)^2   with t = sqrt(2), x = q·k:   1 + t*x + 1/2*x^2 */
#include "passes/split.h"

#include <flint/fmpz_factor.h>

enum { MAX_POWER = 256 }; /* of one factor: no feature map depends on it */

/* ---- atoms ---- */

static int
atom_new(struct split *s, enum split_kind kind, enum ir_side side, ir_ref node)
{
    if (s->natoms == SPLIT_MAX_ATOMS) {
        if (!s->failed)
            diag_error(s->diag, s->f->nodes[node].span,
                       "the similarity has more than %d different factors", SPLIT_MAX_ATOMS);
        s->failed = true;
        return -1;
    }
    struct split_atom *a = &s->atom[s->natoms];
    *a = (struct split_atom){.kind = kind, .side = side, .node = node, .square = -1, .inverse = -1};
    fmpq_init(a->value);
    return s->natoms++;
}

static int
atom_find(const struct split *s, ir_ref node)
{
    for (int k = 0; k < s->natoms; k++)
        if (s->atom[k].node == node)
            return k;
    return -1;
}

int
split_atom_scalar(struct split *s, ir_ref n)
{
    int k = atom_find(s, n);
    return k >= 0 ? k : atom_new(s, ATOM_SCALAR, ir_side_of(s->f, n), n);
}

/* A positive size of the program, or π: dividing by it cancels exactly. */
static bool
is_size(const struct split *s, ir_ref n)
{
    enum ir_op op = (enum ir_op)s->f->nodes[n].op;
    return op == IR_dim || op == IR_size || op == IR_pi;
}

/* sqrt of a non-negative rational: rational * product of sqrt(prime). */
static split_poly *
root_of_rational(struct split *s, const fmpq_t q, span_t at)
{
    fmpz_t m;
    fmpz_factor_t fac;
    fmpq_t c;
    split_poly *p;
    if (fmpq_sgn(q) == 0)
        return poly_int(s, 0);
    fmpz_init(m);
    fmpz_factor_init(fac);
    fmpq_init(c);
    fmpz_mul(m, fmpq_numref(q), fmpq_denref(q)); /* sqrt(a/b) = sqrt(a*b)/b */
    fmpz_factor(fac, m);
    fmpq_set_si(c, 1, 1);
    fmpq_div_fmpz(c, c, fmpq_denref(q));
    p = poly_const(s, c);
    for (slong i = 0; i < fac->num && p; i++) {
        fmpq_set_fmpz(c, fac->p + i);
        p = poly_mul(s, p, poly_pow(s, poly_const(s, c), fac->exp[i] / 2, at), at);
        if (fac->exp[i] % 2 == 0)
            continue;
        ir_ref node = ir_op1(s->f, IR_sqrt, ir_const_q(s->f, c, at), at);
        int a = atom_find(s, node);
        if (a < 0 && (a = atom_new(s, ATOM_ROOT, SIDE_NEUTRAL, node)) >= 0)
            fmpq_set(s->atom[a].value, c);
        p = poly_mul(s, p, poly_atom(s, a), at);
    }
    fmpq_clear(c);
    fmpz_factor_clear(fac);
    fmpz_clear(m);
    return p;
}

static split_poly *
split_root(struct split *s, ir_ref n)
{
    ir_ref x = s->f->nodes[n].arg[0];
    span_t at = s->f->nodes[n].span;
    split_poly *p = split_scalar(s, x);
    fmpq_t c;
    if (!p)
        return NULL;
    if (fmpq_mpoly_is_fmpq(p, s->ctx)) {
        fmpq_init(c);
        fmpq_mpoly_get_fmpq(c, p, s->ctx);
        bool small = fmpz_bits(fmpq_numref(c)) + fmpz_bits(fmpq_denref(c)) <= 60;
        split_poly *r = small && fmpq_sgn(c) >= 0 ? root_of_rational(s, c, at) : NULL;
        fmpq_clear(c);
        return r || s->failed ? r : poly_atom(s, split_atom_scalar(s, n));
    }
    if (!is_size(s, x))
        return poly_atom(s, split_atom_scalar(s, n));
    int a = atom_find(s, n), square = split_atom_scalar(s, x);
    if (a < 0 && square >= 0 && (a = atom_new(s, ATOM_ROOT, SIDE_NEUTRAL, n)) >= 0)
        s->atom[a].square = square;
    return poly_atom(s, a);
}

/* 1 / (one term without scalars that could vanish), or an atom 1/x. */
static split_poly *
inverse_atom(struct split *s, ir_ref n)
{
    span_t at = s->f->nodes[n].span;
    int x = split_atom_scalar(s, n);
    int v = split_atom_scalar(s, ir_op2(s->f, IR_div, ir_const_i(s->f, 1, 1, at), n, at));
    if (x >= 0 && v >= 0 && is_size(s, n)) {
        s->atom[x].inverse = v;
        s->atom[v].inverse = x;
    }
    return poly_atom(s, v);
}

/* The inverse of a single term in constants, roots and sizes; NULL (nothing reported) if n is not.
 */
static split_poly *
inverse_constant(struct split *s, ir_ref n)
{
    ulong e[SPLIT_MAX_ATOMS];
    span_t at = s->f->nodes[n].span;
    split_poly *p = split_scalar(s, n), *r;
    fmpq_t c;
    if (!p || fmpq_mpoly_length(p, s->ctx) != 1)
        return NULL;
    fmpq_init(c);
    split_term(s, p, 0, c, e);
    int known = s->natoms;
    fmpq_inv(c, c);
    r = poly_const(s, c);
    for (int k = 0; k < known && r; k++) {
        if (!e[k])
            continue;
        const struct split_atom a = s->atom[k];
        if (a.kind == ATOM_ROOT && a.square < 0) { /* 1/t = t/t^2 */
            fmpq_inv(c, a.value);
            r = poly_mul(s, r, poly_mul(s, poly_atom(s, k), poly_const(s, c), at), at);
        } else if (a.kind == ATOM_ROOT) {
            split_poly *v = inverse_atom(s, s->atom[a.square].node);
            r = poly_mul(s, r, poly_mul(s, poly_atom(s, k), v, at), at);
        } else {
            r = poly_mul(s, r, poly_pow(s, inverse_atom(s, a.node), e[k], at), at);
        }
    }
    fmpq_clear(c);
    return r;
}

split_poly *
split_inverse(struct split *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    enum ir_side side = ir_side_of(s->f, n);
    if (s->failed)
        return NULL;
    if (side == SIDE_NEUTRAL) {
        split_poly *r = inverse_constant(s, n);
        return r || s->failed ? r : inverse_atom(s, n);
    }
    if (x.op == IR_mul)
        return poly_mul(s, split_inverse(s, x.arg[0]), split_inverse(s, x.arg[1]), x.span);
    if (side != SIDE_MIXED)
        return inverse_atom(s, n);
    if (x.op == IR_div)
        return poly_mul(s, split_inverse(s, x.arg[0]), split_scalar(s, x.arg[1]), x.span);
    if (x.op == IR_neg)
        return poly_neg(s, split_inverse(s, x.arg[0]));
    if (x.op == IR_powi && x.attr.num >= 0)
        return poly_pow(s, split_inverse(s, x.arg[0]), (ulong)x.attr.num, x.span);
    if (x.op == IR_exp)
        return split_scalar(s,
                            ir_op1(s->f, IR_exp, ir_op1(s->f, IR_neg, x.arg[0], x.span), x.span));
    if (!s->failed) {
        diag_error(s->diag, x.span,
                   "division by %s, which depends on both the query and the key, has "
                   "no finite feature map",
                   math_text(s->f, n));
        diag_note(s->diag, (span_t){0, 0},
                  "dividing by something that depends on one of them alone, "
                  "or by a product of such factors, does");
    }
    s->failed = true;
    return NULL;
}

/* ---- nodes that stay on one side ---- */

static bool
fixed_number(struct split *s, ir_ref n, fmpq_t out)
{
    const struct ir_node *x = &s->f->nodes[n];
    int64_t size = -1;
    if (x->op == IR_const) {
        fmpq_set(out, ir_const_value(s->f, n));
        return true;
    }
    if (x->op == IR_dim)
        size = s->f->dims[x->attr.id].size;
    else if (x->op == IR_size)
        size = axis_fixed_size(s->f, x->attr.axis);
    if (size <= 0)
        return false;
    fmpq_set_si(out, size, 1);
    return true;
}

/* n if it reads as a single term, else NULL (nothing reported). Sums are not even tried, so that
 * one-sided products of them stay whole. */
static split_poly *
single_term(struct split *s, ir_ref n)
{
    enum ir_op op = (enum ir_op)s->f->nodes[n].op;
    if (op == IR_add || op == IR_sub)
        return NULL;
    split_poly *p = split_scalar(s, n);
    return p && fmpq_mpoly_length(p, s->ctx) == 1 ? p : NULL;
}

/* Products and powers of single terms are terms again: what expand makes of factors (i^2 out of
 * (i - j)^2, or i*norm(q)) must read back as those factors. NULL: none of that. */
static split_poly *
split_monomial(struct split *s, const struct ir_node *x)
{
    if (x->op == IR_powi && x->attr.num >= 0 && x->attr.num <= MAX_POWER) {
        split_poly *base = single_term(s, x->arg[0]), *r = base ? poly_int(s, 1) : NULL;
        for (int k = 0; k < x->attr.num && r; k++)
            r = poly_mul(s, r, base, x->span);
        return r;
    }
    if (x->op != IR_mul)
        return NULL;
    split_poly *a = single_term(s, x->arg[0]), *b = a ? single_term(s, x->arg[1]) : NULL;
    return poly_mul(s, a, b, x->span);
}

/* Constants are taken out of one-sided scalars, and products are taken apart; what is left is one
 * atom each. */
static split_poly *
split_one_sided(struct split *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    bool neutral = ir_side_of(s->f, n) == SIDE_NEUTRAL;
    fmpq_t c;
    fmpq_init(c);
    split_poly *p = fixed_number(s, n, c) ? poly_const(s, c) : NULL;
    fmpq_clear(c);
    if (p)
        return p;
    if (x.op == IR_neg)
        return poly_neg(s, split_scalar(s, x.arg[0]));
    if (x.op == IR_div && (neutral || ir_side_of(s->f, x.arg[1]) == SIDE_NEUTRAL))
        return poly_mul(s, split_scalar(s, x.arg[0]), split_inverse(s, x.arg[1]), x.span);
    if (x.op == IR_mul && (neutral || ir_side_of(s->f, x.arg[0]) == SIDE_NEUTRAL ||
                           ir_side_of(s->f, x.arg[1]) == SIDE_NEUTRAL))
        return poly_mul(s, split_scalar(s, x.arg[0]), split_scalar(s, x.arg[1]), x.span);
    if (x.op == IR_add ||
        x.op == IR_sub) { /* so that sums of key factors, built by expand, read back */
        split_poly *r = split_scalar(s, x.arg[1]);
        return poly_add(s, split_scalar(s, x.arg[0]), x.op == IR_sub ? poly_neg(s, r) : r);
    }
    if (neutral && x.op == IR_powi && x.attr.num >= 0 && x.attr.num <= SPLIT_MAX_DEGREE)
        return poly_pow(s, split_scalar(s, x.arg[0]), (ulong)x.attr.num, x.span);
    if (neutral && x.op == IR_sqrt)
        return split_root(s, n);
    if (x.op == IR_sin || x.op == IR_cos)
        return split_angle(s, n);
    p = split_monomial(s, &x);
    return p || s->failed ? p : poly_atom(s, split_atom_scalar(s, n));
}

/* ---- nodes that pair query and key ---- */

static split_poly *
split_power(struct split *s, const struct ir_node *x)
{
    split_poly *base;
    int e = x->attr.num;
    if (e > SPLIT_MAX_DEGREE || e < -SPLIT_MAX_DEGREE)
        return poly_pow(s, poly_int(s, 1), SPLIT_MAX_DEGREE + 1, x->span);
    base = e < 0 ? split_inverse(s, x->arg[0]) : split_scalar(s, x->arg[0]);
    return poly_pow(s, base, (ulong)(e < 0 ? -e : e), x->span);
}

/* The product of g from the key to the query as an atom. */
static split_poly *
decay_atom(struct split *s, ir_ref g, span_t at)
{
    int k = split_atom_scalar(s, pass_decay(s->f, g, at));
    if (k >= 0 && s->atom[k].kind != ATOM_DECAY) {
        s->atom[k].kind = ATOM_DECAY;
        s->atom[k].g = g;
    }
    return poly_atom(s, k);
}

/* |i - j| is i - j where j <= i. */
static bool
is_distance(const struct split *s, const struct ir_node *x, ir_ref *distance)
{
    const struct ir_node *d = &s->f->nodes[x->arg[0]];
    if (x->op != IR_abs || !s->causal || d->op != IR_sub)
        return false;
    const struct ir_node *a = &s->f->nodes[d->arg[0]], *b = &s->f->nodes[d->arg[1]];
    if (a->op != IR_pos || b->op != IR_pos || (a->attr.axis != AX_i && a->attr.axis != AX_j) ||
        (b->attr.axis != AX_i && b->attr.axis != AX_j))
        return false;
    ir_ref i = ir_pos(s->f, AX_i, x->span), j = ir_pos(s->f, AX_j, x->span);
    *distance = ir_op2(s->f, IR_sub, i, j, x->span);
    return true;
}

/* exp(a + b) = exp(a) * exp(b), and base^(a + b) likewise, when a and b are one-sided. */
static split_poly *
split_exponential(struct split *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    bool power = x.op == IR_pow;
    ir_ref part[3];
    const char *culprit = NULL;
    if (power && ir_side_of(s->f, x.arg[0]) != SIDE_NEUTRAL)
        return split_stop(s, n, NULL);
    if (!split_exponent(s, x.arg[power], AX_UNIT, s->causal, part, &culprit))
        return split_stop(s, n, culprit);
    split_poly *p = part[2] ? decay_atom(s, split_decay(s, &x, part[2]), x.span) : poly_int(s, 1);
    for (int k = 0; k < 2; k++) {
        if (!part[k])
            continue;
        ir_ref e = power ? ir_op2(s->f, IR_pow, x.arg[0], part[k], x.span)
                         : ir_op1(s->f, IR_exp, part[k], x.span);
        p = poly_mul(s, p, split_scalar(s, e), x.span);
    }
    if (power && (part[0] || part[1]))
        split_range_warning(s, n);
    return p;
}

/* c ? a : b with a one-sided condition: [c]*a + (1 - [c])*b. */
static split_poly *
split_choice(struct split *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    if (ir_side_of(s->f, x.arg[0]) == SIDE_MIXED)
        return split_stop(s, n, NULL);
    ir_ref one = ir_const_i(s->f, 1, 1, x.span), zero = ir_const_i(s->f, 0, 1, x.span);
    split_poly *yes = poly_atom(s,
                                split_atom_scalar(s, ir_select(s->f, x.arg[0], one, zero, x.span)));
    split_poly *no = poly_atom(s,
                               split_atom_scalar(s, ir_select(s->f, x.arg[0], zero, one, x.span)));
    return poly_add(s, poly_mul(s, yes, split_scalar(s, x.arg[1]), x.span),
                    poly_mul(s, no, split_scalar(s, x.arg[2]), x.span));
}

static split_poly *
split_mixed(struct split *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    if (x.op == IR_add)
        return poly_add(s, split_scalar(s, x.arg[0]), split_scalar(s, x.arg[1]));
    if (x.op == IR_sub)
        return poly_add(s, split_scalar(s, x.arg[0]), poly_neg(s, split_scalar(s, x.arg[1])));
    if (x.op == IR_neg)
        return poly_neg(s, split_scalar(s, x.arg[0]));
    if (x.op == IR_mul)
        return poly_mul(s, split_scalar(s, x.arg[0]), split_scalar(s, x.arg[1]), x.span);
    if (x.op == IR_div)
        return poly_mul(s, split_scalar(s, x.arg[0]), split_inverse(s, x.arg[1]), x.span);
    if (x.op == IR_powi)
        return split_power(s, &x);
    if (x.op == IR_exp || x.op == IR_pow)
        return split_exponential(s, n);
    if (x.op == IR_decay && s->causal)
        return decay_atom(s, x.arg[0], x.span);
    if (x.op == IR_sin || x.op == IR_cos)
        return split_angle(s, n);
    ir_ref distance;
    if (is_distance(s, &x, &distance))
        return split_scalar(s, distance);
    if (x.op == IR_select)
        return split_choice(s, n);
    if (x.op == IR_rsum && x.attr.axis != AX_j && x.attr.axis != AX_i)
        return split_sum(s, x.attr.axis, x.arg[0], x.span);
    return split_stop(s, n, NULL);
}

split_poly *
split_scalar(struct split *s, ir_ref n)
{
    if (s->failed)
        return NULL;
    for (size_t k = 0; k < s->nmemo; k++)
        if (s->memo[k].node == n)
            return s->memo[k].p;
    bool mixed = ir_side_of(s->f, n) == SIDE_MIXED;
    split_poly *p = mixed ? split_mixed(s, n) : split_one_sided(s, n);
    if (p && s->nmemo == s->cap_memo) {
        s->cap_memo = s->cap_memo ? 2 * s->cap_memo : 32;
        s->memo = xrealloc(s->memo, s->cap_memo * sizeof *s->memo);
    }
    if (p) {
        s->memo[s->nmemo].node = n;
        s->memo[s->nmemo++].p = p;
    }
    return p;
}
