/* Polynomials in one value: their signs and roots, exactly.
 *
 * Real roots are counted by Sturm's theorem and located by bisection in whole millionths, so what
 * is printed of a root is true to its last digit. */
#include "passes/roots.h"

#include <stdlib.h>

#include <flint/fmpq_poly.h>
#include <flint/fmpz_poly_factor.h>

enum { MOST_DEGREE = 64, MOST_NODES = 2000 };
static const int64_t MILLION = 1000000;

/* P >= 0 everywhere iff its leading term is positive and even, and no real root has odd
 * multiplicity. */
bool
poly_nonnegative(const fmpz_poly_t p)
{
    fmpz_poly_factor_t fac;
    bool ok = fmpz_poly_degree(p) % 2 == 0 && fmpz_sgn(fmpz_poly_lead(p)) > 0;
    fmpz_poly_factor_init(fac);
    fmpz_poly_factor_squarefree(fac, p);
    for (slong k = 0; k < fac->num && ok; k++)
        ok = fac->exp[k] % 2 == 0 || fmpz_poly_num_real_roots_sturm(fac->p + k) == 0;
    fmpz_poly_factor_clear(fac);
    return ok;
}

/* The number of roots of the squarefree p above n/10^6: the positive ones of p(x + n/10^6). */
static slong
roots_above(const fmpz_poly_t p, int64_t n)
{
    fmpq_poly_t shifted, unit; /* unit: x + n/10^6 */
    slong negative, positive = 0;
    fmpq_poly_init(shifted);
    fmpq_poly_init(unit);
    fmpq_poly_set_coeff_si(unit, 0, (slong)n);
    fmpq_poly_scalar_div_si(unit, unit, (slong)MILLION);
    fmpq_poly_set_coeff_si(unit, 1, 1);
    fmpq_poly_set_fmpz_poly(shifted, p);
    fmpq_poly_compose(shifted, shifted, unit);
    const fmpz *c = fmpq_poly_numref(shifted);
    slong length = fmpq_poly_length(shifted);
    if (length && fmpz_is_zero(c)) { /* n/10^6 itself is a root */
        c++;
        length--;
    }
    if (length > 1)
        _fmpz_poly_num_real_roots_sturm(&negative, &positive, c, length);
    fmpq_poly_clear(unit);
    fmpq_poly_clear(shifted);
    return positive;
}

bool
poly_largest_root(const fmpz_poly_t p, int64_t *n)
{
    const int64_t limit = (int64_t)1 << 50;
    fmpz_poly_t free_of_squares, derivative;
    fmpz_poly_init(free_of_squares);
    fmpz_poly_init(derivative);
    fmpz_poly_derivative(derivative, p);
    fmpz_poly_gcd(derivative, derivative, p);
    fmpz_poly_div(free_of_squares, p, derivative);
    int64_t lo = -limit, hi = limit; /* a root above lo, none above hi */
    bool found = roots_above(free_of_squares, lo) > 0 && roots_above(free_of_squares, hi) == 0;
    while (found && hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        *(roots_above(free_of_squares, mid) ? &lo : &hi) = mid;
    }
    *n = hi;
    fmpz_poly_clear(derivative);
    fmpz_poly_clear(free_of_squares);
    return found;
}

const char *
millionths(struct arena *a, int64_t n)
{
    int64_t size = n < 0 ? -n : n;
    return arena_printf(a, "%s%lld.%06lld", n < 0 ? "-" : "", (long long)(size / MILLION),
                        (long long)(size % MILLION));
}

/* ---- expressions as polynomials ---- */

/* A value seen as p(x); x is 0 where p is a constant. */
struct in_one {
    fmpq_poly_t p;
    ir_ref x;
};

static void
alone(struct in_one *out, ir_ref n)
{
    fmpq_poly_zero(out->p);
    fmpq_poly_set_coeff_si(out->p, 1, 1);
    out->x = n;
}

/* out = l op r in one value; false if they are of two, or the degree is too large. */
static bool
combine(struct in_one *out, enum ir_op op, struct in_one *l, struct in_one *r)
{
    if (l->x && r->x && l->x != r->x)
        return false;
    if (op == IR_mul && fmpq_poly_degree(l->p) + fmpq_poly_degree(r->p) > MOST_DEGREE)
        return false;
    if (op == IR_mul)
        fmpq_poly_mul(out->p, l->p, r->p);
    else if (op == IR_add)
        fmpq_poly_add(out->p, l->p, r->p);
    else
        fmpq_poly_sub(out->p, l->p, r->p);
    out->x = l->x ? l->x : r->x;
    return true;
}

/* *nodes: how many are still looked into; a shared one counts each time. */
static void read_in_one(const struct ir_func *f, ir_ref n, int *nodes, struct in_one *out);

static void
read_pair(const struct ir_func *f, ir_ref n, int *nodes, struct in_one *out)
{
    const struct ir_node *d = &f->nodes[n];
    struct in_one l, r;
    fmpq_poly_init(l.p);
    fmpq_poly_init(r.p);
    read_in_one(f, d->arg[0], nodes, &l);
    read_in_one(f, d->arg[1], nodes, &r);
    if (!combine(out, (enum ir_op)d->op, &l, &r))
        alone(out, n);
    fmpq_poly_clear(r.p);
    fmpq_poly_clear(l.p);
}

static void
read_in_one(const struct ir_func *f, ir_ref n, int *nodes, struct in_one *out)
{
    const struct ir_node *d = &f->nodes[n];
    fmpq_t q;
    --*nodes;
    if (d->op == IR_const) {
        fmpq_init(q);
        fmpq_set(q, ir_const_value(f, n));
        fmpq_poly_set_fmpq(out->p, q);
        fmpq_clear(q);
        out->x = 0;
    } else if (*nodes > 0 && (d->op == IR_add || d->op == IR_sub || d->op == IR_mul)) {
        read_pair(f, n, nodes, out);
    } else if (*nodes > 0 && (d->op == IR_neg || d->op == IR_powi)) {
        int e = d->op == IR_powi ? d->attr.num : 1;
        read_in_one(f, d->arg[0], nodes, out);
        if (e < 0 || e > MOST_DEGREE || fmpq_poly_degree(out->p) * e > MOST_DEGREE)
            alone(out, n);
        else if (d->op == IR_powi)
            fmpq_poly_pow(out->p, out->p, (ulong)e);
        else
            fmpq_poly_neg(out->p, out->p);
    } else {
        alone(out, n);
    }
}

ir_ref
as_polynomial_in_one(const struct ir_func *f, ir_ref n, fmpz_poly_t p)
{
    struct in_one r;
    fmpq_poly_init(r.p);
    int nodes = MOST_NODES;
    read_in_one(f, n, &nodes, &r);
    fmpq_poly_get_numerator(p, r.p);
    ir_ref x = r.x && fmpz_poly_degree(p) >= 1 ? r.x : 0;
    fmpq_poly_clear(r.p);
    return x;
}
