/* Arithmetic on judged values: exact constants, powers, and the products of vectors. */
#include <stdlib.h>
#include <string.h>

#include "frontend/sema.h"

struct value
sema_wrong(struct sema *s, const struct ast_expr *e, const char *what, const struct value *v)
{
    if (v->kind != VALUE_BAD)
        diag_error(s->diag, e->span, "%s, found %s", what, sema_describe(s, v));
    return value_bad;
}

bool
sema_is_arithmetic(const struct value *v)
{
    return v->kind == VALUE_NUMBER || v->kind == VALUE_VECTOR;
}

/* ---- constants ---- */

/* Digits with an optional fraction and exponent, exactly. */
ir_ref
sema_parse_number(struct sema *s, const struct ast_expr *e)
{
    fmpq_t q;
    fmpz_t ten, scale;
    const char *exp = strpbrk(e->name, "eE"), *point = strchr(e->name, '.');
    size_t n = exp ? (size_t)(exp - e->name) : strlen(e->name);
    long shift = exp ? atol(exp + 1) : 0;
    bool negative = e->name[0] == '-';
    struct str digits = {0};
    for (size_t k = 0; k < n; k++)
        if (e->name[k] != '.' && e->name[k] != '-')
            str_putc(&digits, e->name[k]);
    if (point && (size_t)(point - e->name) < n)
        shift -= (long)(n - 1 - (size_t)(point - e->name));
    fmpq_init(q);
    fmpz_init_set_ui(ten, 10);
    fmpz_init(scale);
    fmpz_set_str(fmpq_numref(q), str_text(&digits), 10);
    fmpz_one(fmpq_denref(q));
    fmpz_pow_ui(scale, ten, (ulong)(shift < 0 ? -shift : shift));
    if (shift < 0)
        fmpq_div_fmpz(q, q, scale);
    else
        fmpq_mul_fmpz(q, q, scale);
    if (negative)
        fmpq_neg(q, q);
    ir_ref r = ir_const_q(s->f, q, e->span);
    str_free(&digits);
    fmpz_clear(scale);
    fmpz_clear(ten);
    fmpq_clear(q);
    return r;
}

/* The node of a constant, unless it has become absurdly long: then 0, reported. */
static ir_ref
constant(struct sema *s, const fmpq_t q, span_t at)
{
    if (fmpz_bits(fmpq_numref(q)) <= SEMA_MAX_BITS && fmpz_bits(fmpq_denref(q)) <= SEMA_MAX_BITS)
        return ir_const_q(s->f, q, at);
    diag_error(s->diag, at, "the constant has more than %d bits", SEMA_MAX_BITS);
    return 0;
}

/* Exact arithmetic on two constants; false if there is nothing to do, else *out (0: reported). */
static bool
fold_constants(struct sema *s, enum ir_op op, ir_ref a, ir_ref b, span_t at, ir_ref *out)
{
    if (s->f->nodes[a].op != IR_const || s->f->nodes[b].op != IR_const)
        return false;
    fmpq_t q;
    bool done = true;
    fmpq_init(q);
    const fmpq *x = ir_const_value(s->f, a), *y = ir_const_value(s->f, b);
    if (op == IR_add)
        fmpq_add(q, x, y);
    else if (op == IR_sub)
        fmpq_sub(q, x, y);
    else if (op == IR_mul)
        fmpq_mul(q, x, y);
    else if (op == IR_div && !fmpq_is_zero(y))
        fmpq_div(q, x, y);
    else
        done = false;
    *out = done ? constant(s, q, at) : 0;
    fmpq_clear(q);
    return done;
}

bool
sema_integer(struct sema *s, const struct ast_expr *e, const char *what, int64_t lo, int64_t hi,
             int64_t *out)
{
    struct value v = sema_expr(s, e);
    if (v.kind == VALUE_BAD)
        return false;
    const fmpq *q = v.kind == VALUE_NUMBER && s->f->nodes[v.node].op == IR_const
                        ? ir_const_value(s->f, v.node)
                        : NULL;
    if (!q || !fmpz_is_one(fmpq_denref(q))) {
        diag_error(s->diag, e->span, "%s must be a constant whole number", what);
        return false;
    }
    if (fmpz_cmp_si(fmpq_numref(q), lo) < 0 || fmpz_cmp_si(fmpq_numref(q), hi) > 0) {
        diag_error(s->diag, e->span, "%s is %s, must be from %lld to %lld", what,
                   ast_quote(s->arena, s->src, e->span), (long long)lo, (long long)hi);
        return false;
    }
    *out = fmpz_get_si(fmpq_numref(q));
    return true;
}

/* ---- elementwise operations ---- */

/* Number with number, or vectors over one axis, or one of each. */
struct value
sema_arith(struct sema *s, const struct ast_expr *e, enum ir_op op, struct value a, struct value b)
{
    if (a.kind == VALUE_BAD || b.kind == VALUE_BAD)
        return value_bad;
    if (!sema_is_arithmetic(&a) || !sema_is_arithmetic(&b))
        return sema_wrong(s, e, "this needs numbers or vectors", sema_is_arithmetic(&a) ? &b : &a);
    if (a.kind == VALUE_VECTOR && b.kind == VALUE_VECTOR && a.axis != b.axis) {
        diag_error(s->diag, e->span, "the vectors have different lengths: %s and %s",
                   sema_describe(s, &a) + strlen("a vector of length "),
                   sema_describe(s, &b) + strlen("a vector of length "));
        return value_bad;
    }
    if ((op == IR_div || op == IR_mod) && ir_is_const(s->f, b.node, 0)) {
        diag_error(s->diag, e->span, "division by zero");
        return value_bad;
    }
    ir_ref c;
    if (fold_constants(s, op, a.node, b.node, e->span, &c))
        return c ? value_number(c) : value_bad;
    return value_like(a.kind == VALUE_VECTOR ? a : b, ir_op2(s->f, op, a.node, b.node, e->span));
}

struct value
sema_norm2(struct sema *s, const struct value *x, span_t at)
{
    return value_number(ir_rsum(s->f, x->axis, ir_op2(s->f, IR_mul, x->node, x->node, at), at));
}

/* x^n exactly; the length is estimated before, so that no time goes into absurd constants. */
static struct value
constant_power(struct sema *s, const struct ast_expr *e, const fmpq_t x, int n)
{
    flint_bitcnt_t bits = fmpz_bits(fmpq_numref(x)), den = fmpz_bits(fmpq_denref(x));
    if ((bits > den ? bits : den) > 1 &&
        (bits > den ? bits : den) * (flint_bitcnt_t)abs(n) > 2 * SEMA_MAX_BITS) {
        diag_error(s->diag, e->span, "the constant has more than %d bits", SEMA_MAX_BITS);
        return value_bad;
    }
    fmpq_t r;
    fmpq_init(r);
    fmpq_pow_si(r, x, n);
    ir_ref c = constant(s, r, e->span);
    fmpq_clear(r);
    return c ? value_number(c) : value_bad;
}

/* base ^ exponent; whole constant exponents are exact powers. */
struct value
sema_power(struct sema *s, const struct ast_expr *e, struct value a, struct value b)
{
    if (a.kind == VALUE_BAD || b.kind == VALUE_BAD)
        return value_bad;
    if (!sema_is_arithmetic(&a) || b.kind != VALUE_NUMBER)
        return sema_wrong(s, e, "a power needs a number or vector and an exponent that is a number",
                     sema_is_arithmetic(&a) ? &b : &a);
    const fmpq *q = s->f->nodes[b.node].op == IR_const ? ir_const_value(s->f, b.node) : NULL;
    if (!q || !fmpz_is_one(fmpq_denref(q)))
        return value_like(a, ir_op2(s->f, IR_pow, a.node, b.node, e->span));
    int limit = s->f->kernelize && s->f->nodes[a.node].op != IR_const ? SEMA_MAX_DEGREE
                                                                      : SEMA_MAX_POWER;
    if (fmpz_cmpabs(fmpq_numref(q), (fmpz[]){limit}) > 0) {
        char *digits = fmpz_get_str(NULL, 10, fmpq_numref(q));
        diag_error(s->diag, e->span, "%s %.30s is above the limit of %d",
                   limit == SEMA_MAX_DEGREE ? "degree" : "the exponent", digits, limit);
        flint_free(digits);
        return value_bad;
    }
    int n = (int)fmpz_get_si(fmpq_numref(q));
    if (s->f->nodes[a.node].op == IR_const && n < 0 && fmpq_is_zero(ir_const_value(s->f, a.node))) {
        diag_error(s->diag, e->span, "division by zero");
        return value_bad;
    }
    if (s->f->nodes[a.node].op == IR_const)
        return constant_power(s, e, ir_const_value(s->f, a.node), n);
    return value_like(a, n == 1 ? a.node : ir_powi(s->f, a.node, n, e->span));
}

/* ---- vector products ---- */

struct value
sema_dot(struct sema *s, const struct ast_expr *e, struct value a, struct value b)
{
    if (a.kind == VALUE_BAD || b.kind == VALUE_BAD)
        return value_bad;
    if (a.kind != VALUE_VECTOR || b.kind != VALUE_VECTOR)
        return sema_wrong(s, e, "a dot product needs two vectors",
                          a.kind == VALUE_VECTOR ? &b : &a);
    struct value p = sema_arith(s, e, IR_mul, a, b);
    return p.kind == VALUE_BAD ? value_bad : value_number(ir_rsum(s->f, a.axis, p.node, e->span));
}

struct value
sema_outer(struct sema *s, const struct ast_expr *e, struct value a, struct value b)
{
    if (a.kind == VALUE_BAD || b.kind == VALUE_BAD)
        return value_bad;
    if (a.kind != VALUE_VECTOR || b.kind != VALUE_VECTOR)
        return sema_wrong(s, e, "an outer product needs two vectors",
                          a.kind == VALUE_VECTOR ? &b : &a);
    return value_vector(ir_outer(s->f, a.node, a.axis, b.node, b.axis, e->span),
                  ir_axis_outer(s->f, a.axis, b.axis));
}

/* W @ x: rsum over a copy of x's axis. */
struct value
sema_matmul(struct sema *s, const struct ast_expr *e, struct value w, struct value x)
{
    if (w.kind == VALUE_BAD || x.kind == VALUE_BAD)
        return value_bad;
    const struct ir_param *p = &s->f->params[w.param];
    if (w.kind != VALUE_TENSOR || p->rank - w.bound.rank != 2)
        return sema_wrong(s, e, "the left of @ must be a param with two indexes left", &w);
    if (x.kind != VALUE_VECTOR)
        return sema_wrong(s, e, "the right of @ must be a vector", &x);
    uint8_t rows = ir_axis_base(s->f, p->dims[p->rank - 2]),
            cols = ir_axis_base(s->f, p->dims[p->rank - 1]);
    if (cols != x.axis) {
        struct value c = value_vector(0, cols);
        diag_error(s->diag, e->span, "%s has rows of length %s, but this is %s", p->name,
                   sema_describe(s, &c) + strlen("a vector of length "), sema_describe(s, &x));
        return value_bad;
    }
    uint8_t copy = ir_axis_copy(s->f, cols, 1);
    struct ir_binding b = w.bound;
    b.ax[b.rank++] = rows;
    b.ax[b.rank++] = copy;
    ir_ref m = ir_param_use(s->f, w.param, &b, e->span),
           y = ir_rename(s->f, cols, copy, x.node, e->span);
    return value_vector(ir_rsum(s->f, copy, ir_op2(s->f, IR_mul, m, y, e->span), e->span), rows);
}
