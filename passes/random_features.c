/* kernelize random: positive random features (Choromanski et al. 2021).
 *
 *     exp(x·y) = E[exp(w·x - |x|^2/2) * exp(w·y - |y|^2/2)],   w normal
 *
 * with R rows w of W in the place of the expectation. x and y are the two vectors of the one dot
 * product in t = c*a*b*(q·k), a of the query, b of the key: x = s*a*q and y = s*b*k with s = √|c|,
 * and y is negated where c < 0. What the exponent has of one side alone joins the feature's.
 *
 * A factor of a whole row cancels in the quotient. So where the weights are divided by their sum
 * the query's features leave out what is the same for all r and are relative to the largest: they
 * never overflow, and one of them is 1. */
#include "passes/approximate.h"

static const span_t nowhere = {0, 0};

/* t = c * a * b * (q·k) */
struct score {
    uint8_t axis;            /* of the vectors */
    ir_ref vec[2];           /* q, k */
    ir_ref side[2];          /* a, b, or 0 */
    ir_ref c;                /* its size, where the sign is known */
    enum { PLUS, MINUS, EITHER } sign;
};

static ir_ref
times(struct ir_func *f, ir_ref a, ir_ref b, span_t at)
{
    return a && b ? pass_mul(f, a, b, at) : a ? a : b;
}

static bool
no_single_dot(struct approximation *a, span_t at)
{
    diag_error(a->c->diag, at, "random features are of one dot product: exp(c*q·k) with c free of "
               "both or a product of one-sided factors, not exp(%s)", math_text(a->f, a->pairs));
    diag_note(a->c->diag, nowhere, "[x, y]·[u, v] is x·u + y·v; kernelize taylor(P) takes any "
                                   "polynomial in dot products");
    return false;
}

/* c as a value of known sign: its size where that is proven. */
static void
read_sign(struct split *s, const split_poly *c, struct score *t, span_t at)
{
    ir_ref minus = split_node(s, poly_neg(s, c), at);
    t->c = split_node(s, c, at);
    t->sign = proven_positive(s->f, t->c) ? PLUS : proven_positive(s->f, minus) ? MINUS : EITHER;
    if (t->sign == MINUS)
        t->c = minus;
}

/* The dot and the one-sided factors of a term; false if it has another form. */
static bool
read_factors(struct split *s, const ulong *e, struct score *t, span_t at)
{
    for (int k = 0; k < s->natoms; k++) {
        const struct split_atom *x = &s->atom[k];
        if (!e[k] || x->side == SIDE_NEUTRAL)
            continue;
        if (x->side != SIDE_MIXED) {
            ir_ref power = e[k] == 1 ? x->node : ir_powi(s->f, x->node, (int)e[k], at);
            ir_ref *to = &t->side[x->side == SIDE_KEY];
            *to = times(s->f, *to, power, at);
            continue;
        }
        if (x->kind != ATOM_DOT || e[k] != 1 || x->g || t->axis != AX_UNIT)
            return false;
        t->axis = x->axis;
        t->vec[0] = x->q;
        t->vec[1] = x->k;
    }
    return t->axis != AX_UNIT;
}

/* Reads the pairing part of the exponent: terms that differ in their neutral factors alone. */
static bool
read_score(struct approximation *a, struct score *t, span_t at)
{
    struct split *s = &a->s;
    const split_poly *p = split_scalar(s, a->pairs);
    split_poly *sum = poly_int(s, 0);
    bool ok = p != NULL;
    fmpq_t c;
    *t = (struct score){.axis = AX_UNIT};
    fmpq_init(c);
    for (slong i = 0; ok && i < fmpq_mpoly_length(p, s->ctx); i++) {
        ulong e[SPLIT_MAX_ATOMS] = {0}, neutral[SPLIT_MAX_ATOMS] = {0};
        struct score one = {.axis = AX_UNIT};
        split_term(s, p, i, c, e);
        for (int k = 0; k < s->natoms; k++)
            neutral[k] = s->atom[k].side == SIDE_NEUTRAL ? e[k] : 0;
        sum = poly_add(s, sum, poly_one_term(s, c, neutral));
        ok = read_factors(s, e, &one, at) &&
             (i == 0 || (one.axis == t->axis && one.vec[0] == t->vec[0] &&
                         one.vec[1] == t->vec[1] && one.side[0] == t->side[0] &&
                         one.side[1] == t->side[1]));
        *t = one;
    }
    fmpq_clear(c);
    if (!ok)
        return p && no_single_dot(a, at);
    read_sign(s, sum, t, at);
    return true;
}

/* ---- the weights ---- */

/* False after an error: W has as many columns as the vectors have entries. */
static bool
check_weights(struct approximation *a, const struct score *t)
{
    struct ir_func *f = a->f;
    struct ir_param *w = &f->params[f->weights];
    bool made = w->source != SOURCE_GIVEN;
    const struct ir_axis *x = &f->axes[t->axis];
    if (x->kind != AXK_BASE) {
        diag_error(a->c->diag, f->kernelize_span,
                   "random features are of vectors over a dimension, here they are over %s",
                   axis_formula(f, t->axis));
        return false;
    }
    if (w->dims[made] < DIM_USER && w->dims[made] != DIM_D) { /* only from a .air text */
        diag_error(a->c->diag, f->kernelize_span, "the number of random features cannot be %s",
                   f->dims[w->dims[made]].name);
        return false;
    }
    if (made)
        w->dims[0] = x->dim;
    if (w->dims[!made] == x->dim)
        return true;
    diag_error(a->c->diag, f->kernelize_span, "%s has rows of length %s, but the dot product is of "
               "vectors of length %s", w->name, f->dims[w->dims[1]].name, f->dims[x->dim].name);
    return false;
}

/* W @ x over the axis of W's rows. */
static ir_ref
project(struct ir_func *f, uint8_t axis, ir_ref x, uint8_t *rows, span_t at)
{
    const struct ir_param *w = &f->params[f->weights];
    bool made = w->source != SOURCE_GIVEN; /* the transpose */
    uint8_t copy = ir_axis_copy(f, axis, 1);
    *rows = ir_axis_base(f, w->dims[made]);
    struct ir_binding b = {.rank = 2, .ax = {made ? copy : *rows, made ? *rows : copy}};
    ir_ref m = ir_param_use(f, f->weights, &b, at);
    ir_ref y = ir_rename(f, axis, copy, x, at);
    return ir_rsum(f, copy, ir_op2(f, IR_mul, m, y, at), at);
}

/* ---- the features ---- */

/* What the vector of a side is multiplied by. */
static ir_ref
scale_of(struct ir_func *f, const struct score *t, int k, span_t at)
{
    ir_ref zero = ir_const_i(f, 0, 1, at);
    ir_ref size = t->sign == EITHER ? ir_op1(f, IR_abs, t->c, at) : t->c;
    ir_ref s = ir_is_const(f, size, 1) ? size : ir_op1(f, IR_sqrt, size, at);
    if (k == 1 && t->sign == EITHER)
        s = ir_select(f, ir_op2(f, IR_lt, t->c, zero, at), ir_op1(f, IR_neg, s, at), s, at);
    else if (k == 1 && t->sign == MINUS)
        s = ir_is_const(f, s, 1) ? ir_const_i(f, -1, 1, at) : ir_op1(f, IR_neg, s, at);
    return t->side[k] ? pass_mul(f, t->side[k], s, at) : s;
}

static ir_ref
feature(struct approximation *a, const struct score *t, int k, bool relative, span_t at)
{
    struct ir_func *f = a->f;
    uint8_t rows;
    ir_ref scale = scale_of(f, t, k, at), x = t->vec[k];
    ir_ref e = pass_mul(f, project(f, t->axis, x, &rows, at), scale, at);
    ir_ref square = ir_rsum(f, t->axis, ir_op2(f, IR_mul, x, x, at), at);
    if (!ir_is_const(f, scale, 1))
        square = ir_op2(f, IR_mul, ir_op2(f, IR_mul, scale, scale, at), square, at);
    ir_ref half = ir_op2(f, IR_div, square, ir_const_i(f, 2, 1, at), at);
    if (a->part[k])
        half = ir_op2(f, IR_sub, half, a->part[k], at);
    if (relative) {
        ir_ref top = ir_rmax(f, rows, e, at);
        a->shift = ir_op2(f, IR_sub, top, half, at);
        return ir_op1(f, IR_exp, ir_op2(f, IR_sub, e, top, at), at);
    }
    return ir_op1(f, IR_exp, ir_op2(f, IR_sub, e, half, at), at);
}

/* True if a factor of a whole row changes nothing. */
static bool
row_factor_cancels(const struct approximation *a)
{
    ir_ref fac[PASS_MAX_FACTORS];
    int n = pass_factors(a->f, a->sim, fac);
    for (int k = 0; k < n; k++)
        if (fac[k] == a->from)
            return a->f->normalize_is_sum;
    return false;
}

/* "256 normal rows, orthogonal, seed 1" */
static const char *
describe_weights(const struct ir_func *f)
{
    const struct ir_param *w = &f->params[f->weights];
    if (w->source == SOURCE_GIVEN)
        return arena_printf(f->arena, "the rows of %s", w->name);
    const struct ir_dim *rows = &f->dims[w->dims[1]];
    const char *count = rows->size > 0 ? arena_printf(f->arena, "%lld", (long long)rows->size)
                                       : rows->name;
    return arena_printf(f->arena, "%s normal rows%s, seed %lld", count,
                        w->source == SOURCE_ORTHOGONAL ? ", orthogonal" : "", (long long)w->seed);
}

static const char *
describe(const struct approximation *a, bool relative)
{
    struct ir_func *f = a->f;
    bool whole = !a->part[0] && !a->part[1] && !a->part[2];
    ir_ref t = whole ? f->nodes[a->from].arg[0] : a->pairs;
    return arena_printf(f->arena,
                        "exp(t), t = %s = x·y, by random features of %s: positive for every t; "
                        "without bias, variance of a weight (e^(|x + y|^2) - 1)/R of its square%s",
                        math_text(f, t), describe_weights(f),
                        relative ? "; features of a query are relative to its largest" : "");
}

ir_ref
random_features(struct approximation *a, span_t at)
{
    struct ir_func *f = a->f;
    struct score t;
    uint8_t rows;
    if (!read_score(a, &t, at) || !check_weights(a, &t))
        return 0;
    bool relative = row_factor_cancels(a);
    project(f, t.axis, t.vec[0], &rows, at);
    ir_ref q = feature(a, &t, 0, relative, at), k = feature(a, &t, 1, false, at);
    ir_ref sum = ir_rsum(f, rows, ir_op2(f, IR_mul, q, k, at), at);
    ir_ref count = ir_dimval(f, f->axes[rows].dim, at);
    a->c->why->approximation = describe(a, relative);
    return ir_op2(f, IR_div, sum, count, at);
}
