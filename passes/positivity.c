/* positivity: what can be proven of the row sum z = sum of sim over the visible keys.
 *
 * A similarity that is a polynomial in one score, whatever scales it, with rational coefficients is
 * classified exactly, by counting real roots (Sturm). Otherwise a small algebra of signs decides:
 * exp > 0, squares >= 0, sums of non-negatives, and so on. A sum of terms > 0 is > 0 as soon as one
 * key is visible; of terms >= 0 it is zero only where all are. Nothing is ever added to the
 * divisor: what cannot be proven is said. */
#include <stdio.h>
#include <stdlib.h>

#include "passes/roots.h"
#include "passes/score.h"

/* ---- signs of expressions ---- */

enum sign { ANY, NONNEG, POSITIVE };

static enum sign sign_of(const struct ir_func *f, ir_ref n);

static enum sign
sign_const(const fmpq *q)
{
    return fmpq_sgn(q) > 0 ? POSITIVE : fmpq_sgn(q) == 0 ? NONNEG : ANY;
}

static enum sign
weaker(enum sign a, enum sign b)
{
    return a < b ? a : b;
}

/* elu(x) > -1, so elu(x) + c > 0 for c >= 1. */
static bool
is_elu_above(const struct ir_func *f, ir_ref a, ir_ref b)
{
    fmpq_t one;
    fmpq_init(one);
    fmpq_one(one);
    bool yes = f->nodes[a].op == IR_elu && f->nodes[b].op == IR_const &&
               fmpq_cmp(ir_const_value(f, b), one) >= 0;
    fmpq_clear(one);
    return yes;
}

static enum sign
sign_add(const struct ir_func *f, ir_ref a, ir_ref b)
{
    enum sign x = sign_of(f, a), y = sign_of(f, b);
    if (is_elu_above(f, a, b) || is_elu_above(f, b, a))
        return POSITIVE;
    return x == ANY || y == ANY ? ANY : x == POSITIVE || y == POSITIVE ? POSITIVE : NONNEG;
}

static enum sign
sign_of(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_const)
        return sign_const(ir_const_value(f, n));
    if (x->op == IR_dim || x->op == IR_size || x->op == IR_pi || x->op == IR_exp ||
        x->op == IR_sigmoid || x->op == IR_softplus)
        return POSITIVE;
    if (x->op == IR_relu || x->op == IR_abs || x->op == IR_sqrt)
        return x->op == IR_sqrt && sign_of(f, x->arg[0]) == POSITIVE ? POSITIVE : NONNEG;
    if (x->op == IR_powi)
        return sign_of(f, x->arg[0]) == POSITIVE ? POSITIVE
               : x->attr.num % 2 == 0            ? NONNEG
                                                 : sign_of(f, x->arg[0]);
    if (x->op == IR_pow)
        return sign_of(f, x->arg[0]);
    if (x->op == IR_mul && x->arg[0] == x->arg[1])
        return sign_of(f, x->arg[0]) == POSITIVE ? POSITIVE : NONNEG;
    if (x->op == IR_mul || x->op == IR_div || x->op == IR_min || x->op == IR_outer)
        return weaker(sign_of(f, x->arg[0]), sign_of(f, x->arg[1]));
    if (x->op == IR_add)
        return sign_add(f, x->arg[0], x->arg[1]);
    if (x->op == IR_max)
        return sign_of(f, x->arg[0]) > sign_of(f, x->arg[1]) ? sign_of(f, x->arg[0])
                                                             : sign_of(f, x->arg[1]);
    if (x->op == IR_select)
        return weaker(sign_of(f, x->arg[1]), sign_of(f, x->arg[2]));
    if (x->op == IR_cat)
        return weaker(sign_of(f, x->arg[0]), sign_of(f, x->arg[1]));
    if (x->op == IR_rsum || x->op == IR_rename || x->op == IR_roll || x->op == IR_mono ||
        x->op == IR_decay)
        return sign_of(f, x->arg[0]);
    return ANY;
}

bool
proven_positive(const struct ir_func *f, ir_ref n)
{
    return sign_of(f, n) == POSITIVE;
}

bool
features_nonneg(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    bool inner = x->op == IR_powi || x->op == IR_mul || x->op == IR_add || x->op == IR_rsum;
    for (int k = 0; inner && k < x->nargs; k++)
        if (!features_nonneg(f, x->arg[k]))
            return x->op == IR_add && (is_elu_above(f, x->arg[0], x->arg[1]) ||
                                       is_elu_above(f, x->arg[1], x->arg[0]));
    return inner || sign_of(f, n) != ANY;
}

/* ---- polynomials in one score ---- */

/* The linear factors' roots, as "s = -1", or a count where roots are irrational. */
static const char *
zero_set(struct ir_func *f, const fmpz_poly_t p, const char *score)
{
    fmpz_poly_factor_t fac;
    struct str s = {0};
    int irrational = 0;
    fmpz_poly_factor_init(fac);
    fmpz_poly_factor(fac, p);
    for (slong k = 0; k < fac->num; k++) {
        const fmpz_poly_struct *x = fac->p + k;
        if (fmpz_poly_degree(x) != 1) {
            irrational += (int)fmpz_poly_num_real_roots_sturm(x);
            continue;
        }
        fmpq_t r;
        fmpq_init(r);
        fmpz_neg(fmpq_numref(r), x->coeffs);
        fmpz_set(fmpq_denref(r), x->coeffs + 1);
        fmpq_canonicalise(r);
        char *t = fmpq_get_str(NULL, 10, r);
        str_printf(&s, "%s%s = %s", s.len ? " or " : "", score, t);
        flint_free(t);
        fmpq_clear(r);
    }
    if (irrational)
        str_printf(&s, "%sat %d irrational score%s", s.len ? " or " : "", irrational,
                   irrational == 1 ? "" : "s");
    const char *out = arena_printf(f->arena, "zero only if %s for every visible key", str_text(&s));
    str_free(&s);
    fmpz_poly_factor_clear(fac);
    return out;
}

/* "positive while every visible q·k > -1.5", or NULL where no such bound is known. */
static const char *
positive_above(struct ir_func *f, const fmpz_poly_t p, ir_ref x)
{
    int64_t n;
    if (fmpz_sgn(fmpz_poly_lead(p)) < 0 || !poly_largest_root(p, &n))
        return NULL;
    return arena_printf(f->arena, "it is positive while %s > %s for every visible key",
                        math_text(f, x), millionths(f->arena, n));
}

/* P(y) and y change sign together near 0. */
static bool
odd_at_zero(const fmpz_poly_t p)
{
    slong k = 0;
    while (k < fmpz_poly_length(p) && fmpz_is_zero(p->coeffs + k))
        k++;
    return k % 2;
}

/* Whether the polynomial decides. One that takes both signs does only if its score takes every
 * value, or is small: a cosine plus 1 is not negative. */
static bool
classify_score(struct ir_func *f, const struct split *s, const struct score *x)
{
    bool never_negative = poly_nonnegative(x->p);
    for (int k = 0; k < s->natoms; k++)
        if (x->root[k] && sign_of(f, s->atom[k].node) == ANY)
            return false;
    if (!never_negative && !x->free && !(x->node && odd_at_zero(x->p)))
        return false;
    if (!never_negative && !x->free) {
        f->row_sum = POS_ANY_SIGN;
        f->row_sum_why = arena_printf(f->arena, "the similarity changes sign with %s, so a row can "
                                                "sum to zero", math_text(f, x->node));
        return true;
    }
    if (!never_negative) {
        f->row_sum = POS_ANY_SIGN;
        const char *above = x->node ? positive_above(f, x->p, x->node) : NULL;
        f->row_sum_why = arena_printf(f->arena, "the similarity takes both signs, so a row can sum "
                                                "to zero%s%s", above ? "; " : "",
                                      above ? above : "");
    } else if (fmpz_poly_num_real_roots_sturm(x->p) == 0) {
        f->row_sum = POS_POSITIVE;
        f->row_sum_why = "the similarity is > 0 for every score (no real root)";
    } else {
        f->row_sum = POS_NONNEG;
        f->row_sum_why = x->node ? zero_set(f, x->p, math_text(f, x->node))
                                 : "every term is >= 0; zero if all of them are";
    }
    return true;
}

/* True if sim was a polynomial in one score, and is now classified. */
static bool
classify_polynomial(struct ir_func *f, ir_ref sim, struct arena *scratch)
{
    struct split *s = ARENA_NEW(scratch, struct split);
    struct diag quiet;
    struct score x;
    FILE *null = fopen("/dev/null", "w");
    if (!null)
        return false;
    diag_init(&quiet, NULL, null);
    split_init(s, f, &quiet);
    s->causal = pass_mask_parts(f, f->root[ROOT_MASK]).causal;
    split_poly *sp = split_scalar(s, sim);
    bool known = false;
    if (sp) {
        known = score_find(s, sp, &x) && sign_of(f, s->atom[x.dot].node) == ANY &&
                classify_score(f, s, &x);
        score_clear(&x);
    }
    split_free(s);
    fclose(null);
    return known;
}

/* The sign of a product; *why bounds the range in which it is positive, where all factors but one
 * polynomial in one value are. */
static enum sign
sign_of_product(struct ir_func *f, ir_ref n, const char **why)
{
    ir_ref fac[PASS_MAX_FACTORS], x;
    enum sign all = POSITIVE;
    int count = pass_factors(f, n, fac), open = 0;
    fmpz_poly_t p;
    fmpz_poly_init(p);
    for (int k = 0; k < count; k++) {
        enum sign one = sign_of(f, fac[k]);
        if (one == ANY && (x = as_polynomial_in_one(f, fac[k], p)) && sign_of(f, x) == ANY) {
            if (poly_nonnegative(p))
                one = fmpz_poly_num_real_roots_sturm(p) ? NONNEG : POSITIVE;
            else
                *why = positive_above(f, p, x);
        }
        open += one != POSITIVE;
        all = weaker(all, one);
    }
    if (open != 1)
        *why = NULL;
    fmpz_poly_clear(p);
    return all;
}

static void
classify_sign(struct ir_func *f, ir_ref sim)
{
    const char *above = NULL;
    enum sign x = sign_of(f, sim);
    if (x == ANY)
        x = sign_of_product(f, sim, &above);
    f->row_sum = x == POSITIVE ? POS_POSITIVE : x == NONNEG ? POS_NONNEG : POS_ANY_SIGN;
    if (x == POSITIVE)
        f->row_sum_why = "every term is > 0, so a row with one visible key is";
    else if (x == NONNEG)
        f->row_sum_why = f->nodes[sim].op == IR_relu
                             ? arena_printf(f->arena, "zero whenever %s <= 0 for every visible key",
                                            math_text(f, f->nodes[sim].arg[0]))
                             : "every term is >= 0; zero if all of them are";
    else
        f->row_sum_why = above ? above : "no proof: the similarity may be zero or negative";
}

bool
pass_positivity(struct ir_func *f, struct pass_context *c)
{
    ir_ref sim = f->root[ROOT_SIM];
    if (!sim)
        return true;
    if (!classify_polynomial(f, sim, c->scratch))
        classify_sign(f, sim);
    if (f->row_sum == POS_ANY_SIGN && f->normalize_is_sum) {
        diag_warning(c->diag, f->nodes[sim].span, "the row sum can vanish or change sign: %s",
                     f->row_sum_why);
        diag_note(c->diag, (span_t){0, 0},
                  "normalize = max(abs(z), 1); bounds the divisor; ATTN_CHECK reports rows "
                  "that are exactly 0");
    }
    return true;
}
