/* A similarity as a polynomial in one score y, whatever y is scaled by:
 *
 *     1 + q·k/sqrt(D) + (q·k)^2/(2*D)   =   1 + y + y^2/2,   y = q·k/sqrt(D)
 *
 * So its sign can be decided by counting real roots. The terms of the polynomial in the atoms must
 * be powers of one product. Exponents are compared in halves, so that a root is half of what it is
 * the root of; sqrt(2) and the like have exponents 0 and 1 only, the rest is in the coefficient. */
#include "passes/score.h"

#include <flint/fmpq_poly.h>

struct halves {
    slong at[SPLIT_MAX_ATOMS];
};

static bool
is_number_root(const struct split_atom *a)
{
    return a->kind == ATOM_ROOT && a->square < 0;
}

static struct halves
halves_of(const struct split *s, const ulong *e)
{
    struct halves h = {{0}};
    for (int k = 0; k < s->natoms; k++) {
        const struct split_atom *a = &s->atom[k];
        if (a->kind == ATOM_ROOT)
            h.at[a->square >= 0 ? a->square : k] += (slong)e[k];
        else if (a->inverse >= 0 && s->f->nodes[a->node].op == IR_div)
            h.at[a->inverse] -= 2 * (slong)e[k];
        else
            h.at[k] += 2 * (slong)e[k];
    }
    return h;
}

/* The atom that powers of y are told by: the first dot. -1: none. */
static int
pivot_of(const struct split *s, const split_poly *p)
{
    fmpq_t c;
    int found = -1;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, s->ctx) && found < 0; i++) {
        ulong e[SPLIT_MAX_ATOMS] = {0};
        split_term(s, p, i, c, e);
        for (int k = 0; k < s->natoms && found < 0; k++)
            if (e[k] && s->atom[k].kind == ATOM_DOT)
                found = k;
    }
    fmpq_clear(c);
    return found;
}

/* y^degree: the term of least degree, and for the roots of numbers one of odd degree. */
struct base {
    int pivot;
    ulong degree;
    struct halves of;
    bool odd[SPLIT_MAX_ATOMS];
};

static struct base
base_of(const struct split *s, const split_poly *p, int pivot)
{
    struct base b = {.pivot = pivot};
    fmpq_t c;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, s->ctx); i++) {
        ulong e[SPLIT_MAX_ATOMS] = {0};
        split_term(s, p, i, c, e);
        if (e[pivot] && (!b.degree || e[pivot] < b.degree)) {
            b.degree = e[pivot];
            b.of = halves_of(s, e);
        }
        for (int k = 0; k < s->natoms && e[pivot] % 2; k++)
            b.odd[k] = is_number_root(&s->atom[k]) && e[k];
    }
    fmpq_clear(c);
    return b;
}

/* Whether the term with these exponents is c * y^e[pivot]; c becomes its coefficient. */
static bool
is_power(const struct split *s, const struct base *b, const ulong *e, fmpq_t c)
{
    struct halves h = halves_of(s, e);
    slong degree = (slong)e[b->pivot];
    fmpq_t v;
    for (int k = 0; k < s->natoms; k++) {
        if (!is_number_root(&s->atom[k])) {
            if (h.at[k] * (slong)b->degree != b->of.at[k] * degree)
                return false;
            continue;
        }
        slong rest = h.at[k] - (b->odd[k] ? degree : 0);
        if (rest % 2)
            return false;
        fmpq_init(v);
        fmpq_pow_si(v, s->atom[k].value, rest / 2);
        fmpq_mul(c, c, v);
        fmpq_clear(v);
    }
    return true;
}

/* n as 1/x: *n becomes x. */
static bool
is_inverse(const struct ir_func *f, ir_ref *n)
{
    const struct ir_node *x = &f->nodes[*n];
    if (x->op != IR_div || f->nodes[x->arg[0]].op != IR_const ||
        !fmpq_is_one(ir_const_value(f, x->arg[0])))
        return false;
    *n = x->arg[1];
    return true;
}

/* y as a quotient, as one would write it; 0 if it has roots of anything but sizes and numbers. */
static ir_ref
base_node(struct split *s, const struct base *b)
{
    struct ir_func *f = s->f;
    span_t at = f->nodes[s->atom[b->pivot].node].span;
    ir_ref side[2] = {0, 0}; /* above and below the line */
    for (int k = 0; k < s->natoms; k++) {
        slong h = is_number_root(&s->atom[k]) ? 2 * b->odd[k] : b->of.at[k] / (slong)b->degree;
        uint8_t op = f->nodes[s->atom[k].node].op;
        bool size = op == IR_dim || op == IR_size;
        if (!is_number_root(&s->atom[k]) && (b->of.at[k] % (slong)b->degree || (h % 2 && !size)))
            return 0;
        ir_ref n = s->atom[k].node, *to = &side[is_inverse(f, &n) != (h < 0)];
        slong m = h < 0 ? -h : h;
        if (m / 2)
            *to = pass_mul(f, *to ? *to : ir_const_i(f, 1, 1, at),
                           m / 2 == 1 ? n : ir_powi(f, n, (int)(m / 2), at), at);
        if (m % 2)
            *to = pass_mul(f, *to ? *to : ir_const_i(f, 1, 1, at), ir_op1(f, IR_sqrt, n, at), at);
    }
    return side[1] ? ir_op2(f, IR_div, side[0], side[1], at) : side[0];
}

static bool
is_free(const struct split *s, const struct base *b)
{
    for (int k = 0; k < s->natoms; k++)
        if (k != b->pivot && b->of.at[k] && s->atom[k].side != SIDE_NEUTRAL)
            return false;
    return !s->atom[b->pivot].g;
}

bool
score_find(struct split *s, const split_poly *p, struct score *out)
{
    fmpq_poly_t q;
    fmpq_t c;
    bool ok = true;
    fmpz_poly_init(out->p);
    out->dot = pivot_of(s, p);
    if (out->dot < 0)
        return false;
    const struct base b = base_of(s, p, out->dot);
    fmpq_poly_init(q);
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, s->ctx) && ok; i++) {
        ulong e[SPLIT_MAX_ATOMS] = {0};
        split_term(s, p, i, c, e);
        ok = is_power(s, &b, e, c);
        if (ok)
            fmpq_poly_set_coeff_fmpq(q, (slong)e[out->dot], c);
    }
    fmpq_poly_get_numerator(out->p, q);
    fmpq_clear(c);
    fmpq_poly_clear(q);
    for (int k = 0; k < s->natoms; k++)
        out->root[k] = !is_number_root(&s->atom[k]) && b.of.at[k] % (2 * (slong)b.degree);
    out->free = ok && is_free(s, &b);
    out->node = ok ? base_node(s, &b) : 0;
    return ok;
}

void
score_clear(struct score *x)
{
    fmpz_poly_clear(x->p);
}
