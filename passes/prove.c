/* prove_equal: is l == r, as functions of the entries of q, k and the params?
 *
 * First both sides are brought to the normal form of split.h, polynomials over Q in dots and
 * one-sided atoms; equal normal forms are a proof for every D. If they differ, both are expanded in
 * the entries of q and k at a concrete size: a differing monomial is a counterexample. Agreement
 * there is a proof only when the size is the program's own, so that roll, whose meaning depends on
 * D, can be decided too. */
#include <stdio.h>
#include <string.h>

#include "passes/split.h"

enum { DEFAULT_SIZE = 3, MAX_SIZE = 16, MAX_ROOTS = 8, MAX_LENGTH = 1 << 16 };

static int
prove_normal_forms(struct ir_func *f, ir_ref l, ir_ref r)
{
    struct diag quiet;
    FILE *null = fopen("/dev/null", "w");
    if (!null)
        return -1;
    struct split *s = ARENA_NEW(f->arena, struct split);
    diag_init(&quiet, NULL, null);
    split_init(s, f, &quiet);
    split_poly *a = split_scalar(s, l), *b = a ? split_scalar(s, r) : NULL;
    int result = !a || !b ? -1 : fmpq_mpoly_equal(a, b, s->ctx);
    split_free(s);
    fclose(null);
    return result;
}

/* ---- entries of q and k at a concrete size ---- */

struct entries {
    struct ir_func *f;
    fmpq_mpoly_ctx_t ctx;
    int64_t *dims;
    int64_t size;                  /* D */
    ulong prime[MAX_ROOTS];        /* sqrt(prime) is variable 2*size + k */
    int nroots;
    const char *stop;
};

/* A vector (or a number: count 1) of polynomials. */
struct poly_vector {
    fmpq_mpoly_struct *at;
    int64_t count;
};

static struct poly_vector
vector_new(struct entries *e, int64_t n)
{
    struct poly_vector v = {ARENA_ARRAY(e->f->arena, fmpq_mpoly_struct, n), n};
    for (int64_t k = 0; k < n; k++)
        fmpq_mpoly_init(&v.at[k], e->ctx);
    return v;
}

static void
vector_free(struct entries *e, struct poly_vector *v)
{
    for (int64_t k = 0; k < v->count; k++)
        fmpq_mpoly_clear(&v->at[k], e->ctx);
    v->count = 0;
}

/* t^2 = prime, for every root. */
static void
reduce_roots(struct entries *e, fmpq_mpoly_struct *p)
{
    fmpq_mpoly_t out, term;
    ulong exps[2 * MAX_SIZE + MAX_ROOTS];
    fmpq_t c;
    if (!e->nroots)
        return;
    fmpq_mpoly_init(out, e->ctx);
    fmpq_mpoly_init(term, e->ctx);
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, e->ctx); i++) {
        fmpq_mpoly_get_term_coeff_fmpq(c, p, i, e->ctx);
        fmpq_mpoly_get_term_exp_ui(exps, p, i, e->ctx);
        for (int k = 0; k < e->nroots; k++) {
            ulong *x = &exps[2 * e->size + k];
            for (; *x >= 2; *x -= 2)
                fmpq_mul_si(c, c, (slong)e->prime[k]);
        }
        fmpq_mpoly_zero(term, e->ctx);
        fmpq_mpoly_set_coeff_fmpq_ui(term, c, exps, e->ctx);
        fmpq_mpoly_add(out, out, term, e->ctx);
    }
    fmpq_mpoly_swap(out, p, e->ctx);
    fmpq_clear(c);
    fmpq_mpoly_clear(term, e->ctx);
    fmpq_mpoly_clear(out, e->ctx);
}

static void
multiply(struct entries *e, fmpq_mpoly_struct *to, const fmpq_mpoly_struct *a,
         const fmpq_mpoly_struct *b)
{
    if (fmpq_mpoly_length(a, e->ctx) * (double)fmpq_mpoly_length(b, e->ctx) > MAX_LENGTH * 16.0) {
        e->stop = "the expansion is too large";
        fmpq_mpoly_zero(to, e->ctx);
        return;
    }
    fmpq_mpoly_mul(to, a, b, e->ctx);
    reduce_roots(e, to);
}

static struct poly_vector expand(struct entries *e, ir_ref n);

/* sqrt(m) for a whole number m: whole part times roots of primes. */
static void
root_of(struct entries *e, ulong m, fmpq_mpoly_struct *to)
{
    fmpq_mpoly_set_ui(to, 1, e->ctx);
    for (ulong p = 2; m > 1; p++) {
        int times = 0;
        if (p * p > m)
            p = m;
        for (; m % p == 0; m /= p)
            times++;
        for (int k = 0; k < times / 2; k++)
            fmpq_mpoly_scalar_mul_ui(to, to, p, e->ctx);
        if (times % 2 == 0)
            continue;
        int r = 0;
        while (r < e->nroots && e->prime[r] != p)
            r++;
        if (r == MAX_ROOTS) {
            e->stop = "more than eight different square roots";
            return;
        }
        e->prime[r] = p;
        e->nroots = r == e->nroots ? r + 1 : e->nroots;
        fmpq_mpoly_t t;
        fmpq_mpoly_init(t, e->ctx);
        fmpq_mpoly_gen(t, 2 * e->size + r, e->ctx);
        multiply(e, to, to, t);
        fmpq_mpoly_clear(t, e->ctx);
    }
}

static struct poly_vector
expand_root(struct entries *e, const struct poly_vector *a)
{
    struct poly_vector v = vector_new(e, a->count);
    fmpq_t c;
    fmpq_init(c);
    for (int64_t k = 0; k < a->count; k++) {
        bool ok = fmpq_mpoly_is_fmpq(&a->at[k], e->ctx);
        if (ok)
            fmpq_mpoly_get_fmpq(c, &a->at[k], e->ctx);
        if (!ok || fmpq_sgn(c) < 0 || fmpz_bits(fmpq_numref(c)) + fmpz_bits(fmpq_denref(c)) > 40) {
            e->stop = "it takes the root of something that is not a small constant";
            break;
        }
        root_of(e, fmpz_get_ui(fmpq_numref(c)) * fmpz_get_ui(fmpq_denref(c)), &v.at[k]);
        fmpq_mpoly_scalar_div_fmpz(&v.at[k], &v.at[k], fmpq_denref(c), e->ctx);
    }
    fmpq_clear(c);
    return v;
}

static struct poly_vector
expand_mono(struct entries *e, const struct ir_node *x, const struct poly_vector *a)
{
    int64_t n = ir_axis_size(e->f, x->attr.axis2, e->dims), index[16] = {0}, at = 0;
    int p = x->attr.num;
    struct poly_vector v = vector_new(e, n);
    for (bool more = true; more && !e->stop;) {
        long w = 1, run = 1;
        for (int k = 1; k < p; k++) {
            run = index[k] == index[k - 1] ? run + 1 : 1;
            w = w * (k + 1) / run;
        }
        if (x->attr.id == 2)
            root_of(e, (ulong)w, &v.at[at]);
        else
            fmpq_mpoly_set_si(&v.at[at], x->attr.id ? w : 1, e->ctx);
        for (int k = 0; k < p; k++)
            multiply(e, &v.at[at], &v.at[at], &a->at[index[k]]);
        at++;
        int k = p - 1;
        while (k >= 0 && index[k] == a->count - 1)
            k--;
        more = k >= 0;
        int64_t next = more ? index[k] + 1 : 0;
        for (; more && k < p; k++)
            index[k] = next;
    }
    return v;
}

static struct poly_vector
expand_structure(struct entries *e, const struct ir_node *x, struct poly_vector *a,
                 struct poly_vector *b)
{
    struct poly_vector v;
    if (x->op == IR_mono)
        return expand_mono(e, x, a);
    if (x->op == IR_roll) {
        v = vector_new(e, a->count);
        for (int64_t k = 0; k < a->count; k++)
            fmpq_mpoly_set(&v.at[k], &a->at[((k + x->attr.num) % a->count + a->count) % a->count],
                           e->ctx);
        return v;
    }
    if (x->op == IR_cat) {
        v = vector_new(e, a->count + b->count);
        for (int64_t k = 0; k < v.count; k++)
            fmpq_mpoly_set(&v.at[k], k < a->count ? &a->at[k] : &b->at[k - a->count], e->ctx);
        return v;
    }
    v = vector_new(e, a->count * b->count); /* outer */
    for (int64_t k = 0; k < v.count; k++)
        multiply(e, &v.at[k], &a->at[k / b->count], &b->at[k % b->count]);
    return v;
}

static struct poly_vector
expand_arith(struct entries *e, const struct ir_node *x, const struct poly_vector *a,
             const struct poly_vector *b)
{
    int64_t n = a->count > b->count ? a->count : b->count;
    struct poly_vector v = vector_new(e, n);
    fmpq_t c;
    fmpq_init(c);
    for (int64_t k = 0; k < n && !e->stop; k++) {
        const fmpq_mpoly_struct *p = &a->at[a->count == 1 ? 0 : k],
                                *r = &b->at[b->count == 1 ? 0 : k];
        if (x->op == IR_add)
            fmpq_mpoly_add(&v.at[k], p, r, e->ctx);
        else if (x->op == IR_sub)
            fmpq_mpoly_sub(&v.at[k], p, r, e->ctx);
        else if (x->op == IR_mul)
            multiply(e, &v.at[k], p, r);
        else if (x->op == IR_div && fmpq_mpoly_is_fmpq(r, e->ctx) &&
                 !fmpq_mpoly_is_zero(r, e->ctx)) {
            fmpq_mpoly_get_fmpq(c, r, e->ctx);
            fmpq_mpoly_scalar_div_fmpq(&v.at[k], p, c, e->ctx);
        } else
            e->stop = "it is not a polynomial";
    }
    fmpq_clear(c);
    return v;
}

static struct poly_vector
expand_leaf(struct entries *e, ir_ref n)
{
    const struct ir_node *x = &e->f->nodes[n];
    bool input = x->op == IR_input && x->attr.num < 2;
    struct poly_vector v = vector_new(e, input ? e->size : 1);
    if (input)
        for (int64_t k = 0; k < e->size; k++)
            fmpq_mpoly_gen(&v.at[k], x->attr.num * e->size + k, e->ctx);
    else if (x->op == IR_const)
        fmpq_mpoly_set_fmpq(&v.at[0], ir_const_value(e->f, n), e->ctx);
    else if (x->op == IR_dim && e->f->dims[x->attr.id].size > 0)
        fmpq_mpoly_set_si(&v.at[0], e->f->dims[x->attr.id].size, e->ctx);
    else
        e->stop = "it uses a run-time value";
    return v;
}

static struct poly_vector
expand_unary(struct entries *e, const struct ir_node *x, struct poly_vector *a)
{
    struct poly_vector v;
    if (x->op == IR_sqrt)
        return expand_root(e, a);
    if (x->op == IR_rsum) {
        v = vector_new(e, 1);
        for (int64_t k = 0; k < a->count; k++)
            fmpq_mpoly_add(&v.at[0], &v.at[0], &a->at[k], e->ctx);
        return v;
    }
    v = vector_new(e, a->count);
    for (int64_t k = 0; k < a->count && !e->stop; k++) {
        if (x->op == IR_neg) {
            fmpq_mpoly_neg(&v.at[k], &a->at[k], e->ctx);
        } else if (x->op == IR_powi && x->attr.num >= 0) {
            fmpq_mpoly_set_ui(&v.at[k], 1, e->ctx);
            for (int i = 0; i < x->attr.num && !e->stop; i++)
                multiply(e, &v.at[k], &v.at[k], &a->at[k]);
        } else {
            e->stop = "it is not a polynomial";
        }
    }
    return v;
}

static struct poly_vector
expand(struct entries *e, ir_ref n)
{
    const struct ir_node x = e->f->nodes[n];
    struct poly_vector a = {0}, b = {0}, v;
    if (e->stop)
        return vector_new(e, 1);
    if (x.nargs == 0)
        return expand_leaf(e, n);
    a = expand(e, x.arg[0]);
    if (x.nargs > 1)
        b = expand(e, x.arg[1]);
    if (e->stop || x.nargs > 2 || x.op == IR_rename || (x.op == IR_rsum && x.attr.axis == AX_j)) {
        e->stop = e->stop ? e->stop : "it is not a polynomial in the entries of q and k";
        v = vector_new(e, 1);
    } else if (x.op == IR_mono || x.op == IR_roll || x.op == IR_cat || x.op == IR_outer) {
        v = expand_structure(e, &x, &a, &b);
    } else {
        v = x.nargs == 2 ? expand_arith(e, &x, &a, &b) : expand_unary(e, &x, &a);
    }
    vector_free(e, &a);
    vector_free(e, &b);
    return v;
}

/* The first monomial of difference d, and its coefficients on both sides. */
static const char *
counterexample(struct entries *e, const fmpq_mpoly_struct *l, const fmpq_mpoly_struct *r,
               const fmpq_mpoly_struct *d)
{
    ulong exps[2 * MAX_SIZE + MAX_ROOTS];
    struct str m = {0};
    fmpq_t a, b;
    fmpq_init(a);
    fmpq_init(b);
    fmpq_mpoly_get_term_exp_ui(exps, d, fmpq_mpoly_length(d, e->ctx) - 1, e->ctx);
    fmpq_mpoly_get_coeff_fmpq_ui(a, l, exps, e->ctx);
    fmpq_mpoly_get_coeff_fmpq_ui(b, r, exps, e->ctx);
    for (int64_t k = 0; k < 2 * e->size + e->nroots; k++) {
        if (!exps[k])
            continue;
        str_put(&m, m.len ? "*" : "");
        if (k < 2 * e->size)
            str_printf(&m, "%c[%lld]", k < e->size ? 'q' : 'k', (long long)(k % e->size));
        else
            str_printf(&m, "sqrt(%lu)", e->prime[k - 2 * e->size]);
        if (exps[k] > 1)
            str_printf(&m, "^%lu", exps[k]);
    }
    char *x = fmpq_get_str(NULL, 10, a), *y = fmpq_get_str(NULL, 10, b);
    const char *out = arena_printf(
        e->f->arena, "the coefficient of %s is %s on the left and %s on the right (at D = %lld)",
        m.len ? str_text(&m) : "1", x, y, (long long)e->size);
    flint_free(x);
    flint_free(y);
    str_free(&m);
    fmpq_clear(a);
    fmpq_clear(b);
    return out;
}

static int
prove_entries(struct ir_func *f, ir_ref l, ir_ref r, const char **why)
{
    int64_t fixed = f->dims[DIM_D].size;
    struct entries e = {.f = f, .size = fixed > 0 && fixed <= MAX_SIZE ? fixed : DEFAULT_SIZE};
    int result = -1;
    e.dims = ARENA_ARRAY(f->arena, int64_t, f->ndims);
    for (uint32_t k = 0; k < f->ndims; k++)
        e.dims[k] = f->dims[k].size > 0 ? f->dims[k].size : DEFAULT_SIZE;
    e.dims[DIM_D] = e.size;
    fmpq_mpoly_ctx_init(e.ctx, 2 * e.size + MAX_ROOTS, ORD_DEGLEX);
    struct poly_vector a = expand(&e, l), b = expand(&e, r);
    fmpq_mpoly_t d;
    fmpq_mpoly_init(d, e.ctx);
    if (e.stop) {
        *why = e.stop;
    } else {
        fmpq_mpoly_sub(d, &a.at[0], &b.at[0], e.ctx);
        if (!fmpq_mpoly_is_zero(d, e.ctx)) {
            *why = counterexample(&e, &a.at[0], &b.at[0], d);
            result = 0;
        } else if (fixed == e.size) {
            result = 1;
        } else {
            *why = arena_printf(
                f->arena,
                "it holds at D = %lld, but not by an identity that covers every D; fix D "
                "(dim D = %lld;) to have it decided",
                (long long)e.size, (long long)e.size);
        }
    }
    fmpq_mpoly_clear(d, e.ctx);
    vector_free(&e, &a);
    vector_free(&e, &b);
    fmpq_mpoly_ctx_clear(e.ctx);
    return result;
}

int
prove_equal(struct ir_func *f, ir_ref l, ir_ref r, const char **why)
{
    if (l == r || prove_normal_forms(f, l, r) == 1)
        return 1;
    return prove_entries(f, l, r, why);
}
