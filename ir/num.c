/* Numbers of the two domains: every elementwise row of ops.def has a function in each, listed in
 * the two tables below. */
#include <math.h>

#include <mpfr.h>
#include <flint/fmpq.h>

#include "ir/interp.h"

#define F(name) static double num_f64_##name(ir_attr at, double a, double b, double c)
#define UNUSED (void)at, (void)a, (void)b, (void)c

/* ---- f64 ---- */

F(neg) { UNUSED; return -a; }
F(exp) { UNUSED; return exp(a); }
F(log) { UNUSED; return log(a); }
F(sqrt) { UNUSED; return sqrt(a); }
F(abs) { UNUSED; return fabs(a); }
F(tanh) { UNUSED; return tanh(a); }
F(sigmoid) { UNUSED; return a >= 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a)); }
F(relu) { UNUSED; return a < 0 ? 0 : a; }
F(elu) { UNUSED; return a > 0 ? a : expm1(a); }
F(gelu) { UNUSED; return a == -INFINITY ? -0.0 : 0.5 * a * erfc(-a * M_SQRT1_2); }
F(silu) { UNUSED; return a == -INFINITY ? -0.0 : a * num_f64_sigmoid(at, a, b, c); }
F(softplus) { UNUSED; return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a)); }
F(sin) { UNUSED; return sin(a); }
F(cos) { UNUSED; return cos(a); }
F(floor) { UNUSED; return floor(a); }
F(not) { UNUSED; return a == 0; }
F(add) { UNUSED; return a + b; }
F(sub) { UNUSED; return a - b; }
F(mul) { UNUSED; return a * b; }
F(div) { UNUSED; return a / b; }
F(pow) { UNUSED; return pow(a, b); }
F(mod)
{
    UNUSED;
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
F(min) { UNUSED; return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }
F(max) { UNUSED; return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }
F(lt) { UNUSED; return a < b; }
F(le) { UNUSED; return a <= b; }
F(gt) { UNUSED; return a > b; }
F(ge) { UNUSED; return a >= b; }
F(eq) { UNUSED; return a == b; }
F(ne) { UNUSED; return a != b; }
F(and) { UNUSED; return a != 0 && b != 0; }
F(or) { UNUSED; return a != 0 || b != 0; }
F(select) { UNUSED; return a != 0 ? b : c; }

F(powi)
{
    UNUSED;
    double r = 1;
    for (int n = at.num < 0 ? -at.num : at.num; n; n >>= 1) {
        if (n & 1)
            r *= a;
        a *= a;
    }
    return at.num < 0 ? 1 / r : r;
}

/* ---- GF(2^61 - 1) ---- */

#define G(name) static uint64_t num_gf_##name(ir_attr at, uint64_t a, uint64_t b, uint64_t c)
#define P GF_P

static uint64_t
gf_add(uint64_t a, uint64_t b)
{
    uint64_t s = a + b;
    return s >= P ? s - P : s;
}

static uint64_t
gf_mul(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide t = (wide)a * b;
    return gf_add((uint64_t)(t & P), (uint64_t)(t >> 61));
}

static uint64_t
gf_pow(uint64_t a, uint64_t n)
{
    uint64_t r = 1;
    for (; n; n >>= 1) {
        if (n & 1)
            r = gf_mul(r, a);
        a = gf_mul(a, a);
    }
    return r;
}

static uint64_t
gf_neg(uint64_t a)
{
    return a ? P - a : 0;
}

static uint64_t
gf_inverse(uint64_t a)
{
    return gf_pow(a, P - 2); /* 0 for 0 */
}

/* Representatives above p/2 count as negative. */
static bool
gf_negative(uint64_t a)
{
    return a > P / 2;
}

static bool
gf_less(uint64_t a, uint64_t b)
{
    return (int64_t)a - (gf_negative(a) ? (int64_t)P : 0) <
           (int64_t)b - (gf_negative(b) ? (int64_t)P : 0);
}

/* A fixed function of (operation, arguments): what a non-algebraic operation is in the field. */
static uint64_t
gf_hash(uint64_t op, uint64_t a, uint64_t b)
{
    uint64_t z = op * 0x9e3779b97f4a7c15u + a;
    for (int k = 0; k < 2; k++) {
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z = (z ^ z >> 31) + (k ? 0 : b);
    }
    return z % P;
}

G(neg) { UNUSED; return gf_neg(a); }
G(sqrt) { UNUSED; return gf_pow(a, (P + 1) / 4); }
G(abs) { UNUSED; return gf_negative(a) ? gf_neg(a) : a; }
G(relu) { UNUSED; return gf_negative(a) ? 0 : a; }
G(not) { UNUSED; return a == 0; }
G(add) { UNUSED; return gf_add(a, b); }
G(sub) { UNUSED; return gf_add(a, gf_neg(b)); }
G(mul) { UNUSED; return gf_mul(a, b); }
G(div) { UNUSED; return gf_mul(a, gf_inverse(b)); }
G(min) { UNUSED; return gf_less(a, b) ? a : b; }
G(max) { UNUSED; return gf_less(a, b) ? b : a; }
/* Of whole numbers, which representatives are here. */
G(mod)
{
    UNUSED;
    int64_t x = (int64_t)a - (gf_negative(a) ? (int64_t)P : 0);
    int64_t y = (int64_t)b - (gf_negative(b) ? (int64_t)P : 0), r = y ? x % y : 0;
    r += r && (r < 0) != (y < 0) ? y : 0;
    return r < 0 ? (uint64_t)(r + (int64_t)P) : (uint64_t)r;
}
G(lt) { UNUSED; return gf_less(a, b); }
G(le) { UNUSED; return !gf_less(b, a); }
G(gt) { UNUSED; return gf_less(b, a); }
G(ge) { UNUSED; return !gf_less(a, b); }
G(eq) { UNUSED; return a == b; }
G(ne) { UNUSED; return a != b; }
G(and) { UNUSED; return a != 0 && b != 0; }
G(or) { UNUSED; return a != 0 || b != 0; }
G(select) { UNUSED; return a != 0 ? b : c; }
G(powi)
{
    UNUSED;
    uint64_t r = gf_pow(a, (uint64_t)(at.num < 0 ? -at.num : at.num));
    return at.num < 0 ? gf_inverse(r) : r;
}
G(pow) { UNUSED; return gf_hash(IR_pow, a, b); }
#define HASHED(name) G(name) { UNUSED; return gf_hash(IR_##name, a, 0); }
HASHED(exp)
HASHED(log)
HASHED(tanh)
HASHED(sigmoid)
HASHED(elu)
HASHED(gelu)
HASHED(silu)
HASHED(softplus)
HASHED(sin)
HASHED(cos)
HASHED(floor)

/* ---- both ---- */

typedef double f64_fn(ir_attr, double, double, double);
typedef uint64_t gf_fn(ir_attr, uint64_t, uint64_t, uint64_t);

static f64_fn *const f64_fns[IR_OP_COUNT] = {
    [IR_neg] = num_f64_neg,         [IR_exp] = num_f64_exp,   [IR_log] = num_f64_log,
    [IR_sqrt] = num_f64_sqrt,       [IR_abs] = num_f64_abs,   [IR_tanh] = num_f64_tanh,
    [IR_sigmoid] = num_f64_sigmoid, [IR_relu] = num_f64_relu, [IR_elu] = num_f64_elu,
    [IR_gelu] = num_f64_gelu,       [IR_silu] = num_f64_silu, [IR_softplus] = num_f64_softplus,
    [IR_sin] = num_f64_sin,         [IR_cos] = num_f64_cos,   [IR_floor] = num_f64_floor,
    [IR_not] = num_f64_not,         [IR_powi] = num_f64_powi, [IR_add] = num_f64_add,
    [IR_sub] = num_f64_sub,         [IR_mul] = num_f64_mul,   [IR_div] = num_f64_div,
    [IR_mod] = num_f64_mod,
    [IR_pow] = num_f64_pow,         [IR_min] = num_f64_min,   [IR_max] = num_f64_max,
    [IR_lt] = num_f64_lt,           [IR_le] = num_f64_le,     [IR_gt] = num_f64_gt,
    [IR_ge] = num_f64_ge,           [IR_eq] = num_f64_eq,     [IR_ne] = num_f64_ne,
    [IR_and] = num_f64_and,         [IR_or] = num_f64_or,     [IR_select] = num_f64_select};
static gf_fn *const gf_fns[IR_OP_COUNT] = {
    [IR_neg] = num_gf_neg,         [IR_exp] = num_gf_exp,   [IR_log] = num_gf_log,
    [IR_sqrt] = num_gf_sqrt,       [IR_abs] = num_gf_abs,   [IR_tanh] = num_gf_tanh,
    [IR_sigmoid] = num_gf_sigmoid, [IR_relu] = num_gf_relu, [IR_elu] = num_gf_elu,
    [IR_gelu] = num_gf_gelu,       [IR_silu] = num_gf_silu, [IR_softplus] = num_gf_softplus,
    [IR_sin] = num_gf_sin,         [IR_cos] = num_gf_cos,   [IR_floor] = num_gf_floor,
    [IR_not] = num_gf_not,         [IR_powi] = num_gf_powi, [IR_add] = num_gf_add,
    [IR_sub] = num_gf_sub,         [IR_mul] = num_gf_mul,   [IR_div] = num_gf_div,
    [IR_mod] = num_gf_mod,
    [IR_pow] = num_gf_pow,         [IR_min] = num_gf_min,   [IR_max] = num_gf_max,
    [IR_lt] = num_gf_lt,           [IR_le] = num_gf_le,     [IR_gt] = num_gf_gt,
    [IR_ge] = num_gf_ge,           [IR_eq] = num_gf_eq,     [IR_ne] = num_gf_ne,
    [IR_and] = num_gf_and,         [IR_or] = num_gf_or,     [IR_select] = num_gf_select};

num
num_apply(enum num_domain dom, enum ir_op op, ir_attr at, num a, num b, num c)
{
    if (!f64_fns[op])
        ICE("op %s is not elementwise", ir_ops[op].name);
    return dom == NUM_F64 ? (num){.f = f64_fns[op](at, a.f, b.f, c.f)}
                          : (num){.u = gf_fns[op](at, a.u, b.u, c.u)};
}

num
num_add(enum num_domain dom, num a, num b)
{
    return dom == NUM_F64 ? (num){.f = a.f + b.f} : (num){.u = gf_add(a.u, b.u)};
}

num
num_mul(enum num_domain dom, num a, num b)
{
    return dom == NUM_F64 ? (num){.f = a.f * b.f} : (num){.u = gf_mul(a.u, b.u)};
}

num
num_max(enum num_domain dom, num a, num b)
{
    return num_apply(dom, IR_max, (ir_attr){0}, a, b, a);
}

num
num_from_i(enum num_domain dom, int64_t i)
{
    if (dom == NUM_F64)
        return (num){.f = (double)i};
    uint64_t m = (uint64_t)(i < 0 ? -(i + 1) : i) % P; /* i + 1 cannot overflow */
    return (num){.u = i < 0 ? gf_neg(gf_add(m, 1)) : m};
}

num
num_pi(enum num_domain dom)
{
    return dom == NUM_F64 ? (num){.f = 0x1.921fb54442d18p1} : (num){.u = gf_hash(IR_pi, 0, 0)};
}

double
num_to_f(enum num_domain dom, num a)
{
    if (dom == NUM_F64)
        return a.f;
    return gf_negative(a.u) ? -(double)gf_neg(a.u) : (double)a.u;
}

/* Correctly rounded in f64. */
num
num_from_q(enum num_domain dom, const fmpq_t q)
{
    num r;
    if (dom == NUM_GF) {
        uint64_t n = fmpz_fdiv_ui(fmpq_numref(q), P), d = fmpz_fdiv_ui(fmpq_denref(q), P);
        r.u = gf_mul(n, gf_inverse(d));
        return r;
    }
    mpfr_t x;
    mpfr_init2(x, 53);
    fmpq_get_mpfr(x, q, MPFR_RNDN);
    r.f = mpfr_get_d(x, MPFR_RNDN);
    mpfr_clear(x);
    return r;
}

/* sqrt or plain multinomial p!/alpha! of a non-decreasing tuple, as the mode of op mono asks. */
static num
multinomial(enum num_domain dom, const int64_t *a, int p, uint32_t mode)
{
    int64_t w = 1, run = 1;
    for (int k = 1; k < p; k++) {
        run = a[k] == a[k - 1] ? run + 1 : 1;
        w = w * (k + 1) / run;
    }
    num r = num_from_i(dom, mode ? w : 1);
    return mode == 2 ? num_apply(dom, IR_sqrt, (ir_attr){0}, r, r, r) : r;
}

void
num_monomials(enum num_domain dom, int p, uint32_t mode, const num *x, int64_t step, int64_t n,
              num *out, int64_t out_step)
{
    int64_t a[16] = {0}, e = 0;
    if (n == 0)
        return;
    for (;;) {
        num f = multinomial(dom, a, p, mode);
        for (int k = 0; k < p; k++)
            f = num_mul(dom, f, x[a[k] * step]);
        out[e++ * out_step] = f;
        int k = p - 1;
        while (k >= 0 && a[k] == n - 1)
            k--;
        if (k < 0)
            return;
        int64_t v = a[k] + 1;
        for (; k < p; k++)
            a[k] = v;
    }
}

void
num_turn(enum num_domain dom, bool halves, const num *x, int64_t step, int64_t n, num *out,
         int64_t out_step)
{
    const int64_t pairs = n / 2, apart = halves ? pairs : 1;
    for (int64_t k = 0; k < pairs; k++) {
        int64_t first = halves ? k : 2 * k, second = first + apart;
        num y = x[second * step];
        out[first * out_step] = num_apply(dom, IR_neg, (ir_attr){0}, y, y, y);
        out[second * out_step] = x[first * step];
    }
    if (n % 2)
        out[(n - 1) * out_step] = num_from_i(dom, 0);
}

/* ---- order ---- */

bool
num_is_greater(num x, num greatest)
{
    return x.f > greatest.f || (x.f != x.f && greatest.f == greatest.f);
}

struct placed {
    double value;
    int64_t place;
};

static int
by_value(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    bool before = x->value < y->value || (x->value == x->value && y->value != y->value);
    bool after = y->value < x->value || (y->value == y->value && x->value != x->value);
    return before ? -1 : after ? 1 : x->place < y->place ? -1 : x->place > y->place;
}

void
num_argsort(const num *x, int64_t step, int64_t n, num *out, int64_t out_step)
{
    struct placed *p = xmalloc(sizeof *p * (size_t)(n ? n : 1));
    for (int64_t k = 0; k < n; k++)
        p[k] = (struct placed){x[k * step].f, k};
    qsort(p, (size_t)n, sizeof *p, by_value);
    for (int64_t k = 0; k < n; k++)
        out[k * out_step].f = (double)p[k].place;
    free(p);
}

int64_t
num_place(num x, int64_t n)
{
    return x.f >= 0 && x.f < (double)n && x.f == floor(x.f) ? (int64_t)x.f : -1;
}
