/* approximate: the exponential of what pairs query and key becomes something that splits.
 *
 *     exp(-|q - k|^2/2)   ->   exp(-q·q/2) * exp(-k·k/2) * (1 + t + t^2/2),   t = q·k
 *
 * What belongs to one side, and a decay of the distance, is split off first and stays exact.
 * Random features of the rest are made in random_features.c.
 *
 * The remainder of Taylor's formula is e^s t^(P+1)/(P+1)! with s between 0 and t, so relative to
 * exp(t) it is at most e^r r^(P+1)/(P+1)! where |t| <= r. */
#include "passes/approximate.h"

#include <math.h>

#include "passes/roots.h"

static const span_t nowhere = {0, 0};

/* ---- what is approximated ---- */

static bool
nothing_to_approximate(struct approximation *a, ir_ref sim)
{
    diag_error(a->c->diag, a->f->kernelize_span,
               "nothing to approximate: %s has no exponential of a product of query and key",
               math_text(a->f, sim));
    diag_note(a->c->diag, nowhere, "`kernelize;` alone derives what has exact feature maps");
    return false;
}

static bool
reaches(const struct ir_func *f, ir_ref n, ir_ref to, bool *seen)
{
    if (n == to || seen[n])
        return n == to;
    seen[n] = true;
    for (int k = 0; k < f->nodes[n].nargs; k++)
        if (reaches(f, f->nodes[n].arg[k], to, seen))
            return true;
    return false;
}

/* Takes the exponential n; false if it is the second, or after another error. */
static bool
take_exponential(struct approximation *a, ir_ref n)
{
    ir_ref part[3], pairs;
    bool *seen = ARENA_ARRAY(a->c->scratch, bool, a->f->nnodes);
    if (a->from && reaches(a->f, n, a->from, seen)) {
        diag_error(a->c->diag, a->f->nodes[n].span,
                   "this exponential is of one that is approximated itself");
        diag_note(a->c->diag, a->f->nodes[a->from].span, "the one inside");
        return false;
    }
    if (!split_exponent_pairs(&a->s, a->f->nodes[n].arg[0], part, &pairs))
        return false;
    if (!pairs)
        return true;
    if (a->from) {
        diag_error(a->c->diag, a->f->nodes[n].span,
                   "a second exponential of a product of query and key, one is approximated");
        diag_note(a->c->diag, a->f->nodes[a->from].span, "the first");
        diag_note(a->c->diag, nowhere, "exp(a)*exp(b) is exp(a + b)");
        return false;
    }
    a->from = n;
    a->pairs = pairs;
    for (int k = 0; k < 3; k++)
        a->part[k] = part[k];
    return true;
}

/* Looks at every exponential below sim, inner ones first. */
static bool
find_exponential(struct approximation *a, ir_ref n, bool *seen)
{
    const struct ir_node x = a->f->nodes[n];
    if (seen[n])
        return true;
    seen[n] = true;
    for (int k = 0; k < x.nargs; k++)
        if (!find_exponential(a, x.arg[k], seen))
            return false;
    return x.op != IR_exp || ir_side_of(a->f, n) != SIDE_MIXED || ir_vector_axes(a->f, n) ||
           take_exponential(a, n);
}

/* ---- Taylor ---- */

/* 1 + t + t^2/2 + ... + t^P/P! */
static ir_ref
taylor_polynomial(struct ir_func *f, ir_ref t, int degree, span_t at)
{
    ir_ref sum = ir_const_i(f, 1, 1, at);
    fmpq_t c;
    fmpq_init(c);
    fmpq_one(c);
    for (int k = 1; k <= degree; k++) {
        fmpz_mul_si(fmpq_denref(c), fmpq_denref(c), k);
        ir_ref power = k == 1 ? t : ir_powi(f, t, k, at);
        ir_ref term = k == 1 ? power : ir_op2(f, IR_mul, ir_const_q(f, c, at), power, at);
        sum = ir_op2(f, IR_add, sum, term, at);
    }
    fmpq_clear(c);
    return sum;
}

/* x with two digits, not below x. */
static double
rounded_up(double x)
{
    double unit = pow(10, floor(log10(x)) - 1);
    return ceil(x / unit * (1 - 1e-12)) * unit;
}

static const char *
taylor_errors(struct ir_func *f, int degree)
{
    double factorial = 1, at[3];
    for (int k = 2; k <= degree + 1; k++)
        factorial *= k;
    for (int k = 0; k < 3; k++) {
        double r = k == 0 ? 0.5 : k;
        at[k] = rounded_up(exp(r) * pow(r, degree + 1) / factorial);
    }
    return arena_printf(f->arena, "relative error at most %.2g, %.2g, %.2g where |t| <= 1/2, 1, 2 "
                                  "(e^r r^%d/%d! where |t| <= r)",
                        at[0], at[1], at[2], degree + 1, degree + 1);
}

static const char *
taylor_range(struct ir_func *f, int degree)
{
    fmpz_poly_t p;
    int64_t n;
    const char *text = "positive for every t";
    fmpz_poly_init(p);
    ir_ref t = ir_pos(f, AX_j, nowhere); /* any value will do */
    as_polynomial_in_one(f, taylor_polynomial(f, t, degree, nowhere), p);
    if (!poly_nonnegative(p) && poly_largest_root(p, &n))
        text = arena_printf(f->arena, "positive for t > t0, its one root, %s < t0 <= %s",
                            millionths(f->arena, n - 1), millionths(f->arena, n));
    fmpz_poly_clear(p);
    return text;
}

static ir_ref
times_exp(struct ir_func *f, ir_ref e, ir_ref x, span_t at)
{
    return e ? ir_op2(f, IR_mul, ir_op1(f, IR_exp, e, at), x, at) : x;
}

static ir_ref
taylor(struct approximation *a, span_t at)
{
    struct ir_func *f = a->f;
    bool whole = !a->part[0] && !a->part[1] && !a->part[2];
    ir_ref t = whole ? f->nodes[a->from].arg[0] : a->pairs;
    a->c->why->approximation =
        arena_printf(f->arena, "exp(t), t = %s, by its Taylor polynomial of degree %d: %s; %s",
                     math_text(f, t), f->degree, taylor_range(f, f->degree),
                     taylor_errors(f, f->degree));
    ir_ref p = taylor_polynomial(f, t, f->degree, at);
    return times_exp(f, a->part[1], times_exp(f, a->part[0], p, at), at);
}

/* ---- the pass ---- */

static ir_ref
replacement(struct approximation *a)
{
    struct ir_func *f = a->f;
    const struct ir_node x = f->nodes[a->from];
    ir_ref r = f->kernelize == KERNELIZE_TAYLOR ? taylor(a, x.span) : random_features(a, x.span);
    if (r && a->part[2])
        r = ir_op2(f, IR_mul, pass_decay(f, split_decay(&a->s, &x, a->part[2]), x.span), r, x.span);
    return r;
}

struct exchange {
    ir_ref from, to;
};

static ir_ref
exchange(struct ir_func *f, ir_ref n, void *arg)
{
    const struct exchange *e = arg;
    (void)f;
    return n == e->from ? e->to : n;
}

bool
pass_approximate(struct ir_func *f, struct pass_context *c)
{
    ir_ref w = pass_weight(f), sim = w ? pass_weight_sim(f, w) : 0;
    if (f->kernelize != KERNELIZE_TAYLOR && f->kernelize != KERNELIZE_RANDOM)
        return true;
    if (!sim) { /* only from a .air text */
        diag_error(c->diag, f->kernelize_span, "nothing to approximate: the numerator is not a sum "
                                               "over keys of weight times value");
        return false;
    }
    struct approximation *a = ARENA_NEW(c->scratch, struct approximation);
    *a = (struct approximation){.f = f, .c = c, .sim = sim};
    split_init(&a->s, f, c->diag);
    a->s.causal = pass_mask_parts(f, f->root[ROOT_MASK]).causal;
    bool ok = find_exponential(a, sim, ARENA_ARRAY(c->scratch, bool, f->nnodes));
    ok = ok && (a->from || nothing_to_approximate(a, sim));
    struct exchange e = {a->from, ok ? replacement(a) : 0};
    split_free(&a->s);
    if (!e.to)
        return false;
    rewrite_all(f, c->scratch, exchange, &e);
    if (a->shift)
        rewrite_shifted(f, a->shift, f->nodes[e.to].span);
    f->kernelize = KERNELIZE_EXACT;
    return true;
}
