/* log, softplus and pow.
 *
 * x = 2^k m with sqrt(1/2) <= m < sqrt 2, s = (m - 1)/(m + 1), z = s^2, and
 * log m = 2 s + s z W(z). The sum is arranged as in fdlibm's e_log.c; pow keeps log x as a
 * double-double with a relative error near 2^-64, as y log x reaches 709 and its absolute error
 * becomes the relative error of the result. */
#include "codegen/vmath_build.h"

#include <math.h>

/* Coefficients of W and T: codegen/vmath.sollya, "log f32", "log lo", "log f64", "pow T". */
static const double w_f32[] = { 0x1.555556p-1, 0x1.99986ep-2, 0x1.24c134p-2, 0x1.ce88ccp-3 };
static const double w_low[] = {
    0x1.5555555565321p-1, 0x1.999998c8672b9p-2, 0x1.249325b804ac1p-2, 0x1.c67a0777e4f43p-3,
    0x1.8c9ad7e7aca48p-3,
};
static const double w_f64[] = {
    0x1.5555555555558p-1, 0x1.999999999528ep-2, 0x1.2492492e01479p-2, 0x1.c71c62ce93b58p-3,
    0x1.7462bb6a69eb7p-3, 0x1.39fd7ee581d86p-3, 0x1.2b631d1836844p-3,
};
static const double t_pow[] = {
    0x1.999999999999ap-2, 0x1.2492492492206p-2, 0x1.c71c71c7b400fp-3, 0x1.745d16c7414bep-3,
    0x1.3b13e95460499p-3, 0x1.1102f06aa735ep-3, 0x1.e5f2771317b0ep-4, 0x1.5f24869dd72dfp-4,
    0x1.08360ab36f1a7p-2,
};

struct log_format {
    unsigned mantissa, bias, up;        /* subnormals are multiplied by 2^up */
    uint64_t one, sqrt_half, exponent;  /* bits of 1, of sqrt(1/2), of the exponent field */
    uint64_t shift_bits;                /* bits of `shift`, whose ulp is 1 */
    double shift, tiny, ln2hi, ln2lo;   /* k * ln2hi is exact */
};
static const struct log_format fmt_f32 = {
    23, 127, 25, 0x3f800000, 0x3f3504f3, 0xff800000, 0x4b000000,
    0x1p23, 0x1p-126, 0x1.62e4p-1, 0x1.7f7d1cp-20,
};
static const struct log_format fmt_f64 = {
    52, 1023, 54, 0x3ff0000000000000, 0x3fe6a09e667f3bcd, 0xfff0000000000000,
    0x4330000000000000, 0x1p52, 0x1p-1022, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33,
};

struct split {
    val k, m;
};

/* x = 2^k m for finite x > 0; `subnormals`: x may be one. */
static struct split
split(struct vm *v, const struct log_format *f, val x, bool subnormals)
{
    struct split r;
    val bias = vmb_k(v, f->shift + f->bias), sub, ix, t;

    if (subnormals) {
        sub = vmb_cmp(v, LLVMRealOLT, x, vmb_k(v, f->tiny));
        x = vmb_sel(v, sub, vmb_mul(v, x, vmb_k(v, (double)((uint64_t)1 << f->up))), x);
        bias = vmb_sel(v, sub, vmb_k(v, f->shift + f->bias + f->up), bias);
    }
    ix = vmb_toint(v, x);
    t = vmb_iadd(v, ix, vmb_ki(v, f->one - f->sqrt_half)); /* exponent field: k + bias */
    r.m = vmb_isub(v, ix, vmb_iand(v, t, f->exponent));
    r.m = vmb_tofp(v, vmb_iadd(v, r.m, vmb_ki(v, f->one)));
    r.k = vmb_iadd(v, vmb_lshr(v, t, f->mantissa), vmb_ki(v, f->shift_bits));
    r.k = vmb_sub(v, vmb_tofp(v, r.k), bias);
    return r;
}

/* k ln2 + log(m) + lo; lo may be NULL. */
static val
log_of_split(struct vm *v, const struct log_format *f, struct vpoly w, struct split x, val lo)
{
    val g = vmb_sub(v, x.m, vmb_k(v, 1)), s, z, half, r;

    s = vmb_div(v, g, vmb_add(v, g, vmb_k(v, 2)));
    z = vmb_mul(v, s, s);
    r = vmb_mul(v, z, vmb_poly(v, w, z));
    half = vmb_mul(v, vmb_mul(v, g, vmb_k(v, 0.5)), g);
    r = vmb_mul(v, s, vmb_add(v, half, r));
    r = vmb_fma(v, x.k, vmb_k(v, f->ln2lo), r);
    if (lo)
        r = vmb_add(v, r, lo);
    r = vmb_sub(v, vmb_sub(v, half, r), g);
    return vmb_sub(v, vmb_mul(v, x.k, vmb_k(v, f->ln2hi)), r);
}

val
vm_log_near(struct vm *v, val x, val lo, bool low)
{
    struct vpoly w = low ? (struct vpoly){ 5, w_low } : (struct vpoly){ 7, w_f64 };

    return log_of_split(v, &fmt_f64, w, split(v, &fmt_f64, x, false), vmb_div(v, lo, x));
}

val
vm_log(struct vm *v, val x, val y)
{
    const struct log_format *f = vmb_double(v) ? &fmt_f64 : &fmt_f32;
    struct vpoly w = vmb_double(v) ? (struct vpoly){ 7, w_f64 } : (struct vpoly){ 4, w_f32 };
    val zero = vmb_k(v, 0), inf = vmb_k(v, INFINITY), r;

    (void)y;
    r = log_of_split(v, f, w, split(v, f, x, true), NULL);
    r = vmb_sel(v, vmb_cmp(v, LLVMRealOLT, x, inf), r, x); /* inf and NaN stay */
    r = vmb_sel(v, vmb_cmp(v, LLVMRealOEQ, x, zero), vmb_neg(v, inf), r);
    return vmb_sel(v, vmb_cmp(v, LLVMRealOLT, x, zero), vmb_sub(v, inf, inf), r);
}

/* log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)). */
static val
softplus(struct vm *v, val x, val y, bool low)
{
    val one = vmb_k(v, 1), z, w, lo;

    (void)y;
    z = vmb_neg(v, vmb_abs(v, x));
    z = vm_exp_join(v, vm_exp_parts(v, z, NULL, low));
    w = vmb_add(v, one, z);
    lo = vmb_sub(v, z, vmb_sub(v, w, one));
    return vmb_add(v, vmb_clamp_lo(v, x, vmb_k(v, 0)), vm_log_near(v, w, lo, low));
}

val
vm_softplus(struct vm *v, val x, val y)
{
    return vmb_via_double(v, softplus, x, y);
}

/* ---- pow ---- */

/* log(m) = 2 s + s z (2/3 + z T(z)) as a double-double. */
static struct vdd
log_dd_mantissa(struct vm *v, val m)
{
    val g = vmb_sub(v, m, vmb_k(v, 1)), t;
    struct vdd d, s, z, b, c, p;

    d = vmb_two_sum(v, m, vmb_k(v, 1));
    s.hi = vmb_div(v, g, d.hi);
    p = vmb_two_mul(v, s.hi, d.hi);
    t = vmb_sub(v, vmb_sub(v, g, p.hi), p.lo);
    s.lo = vmb_div(v, vmb_fnma(v, s.hi, d.lo, t), d.hi);
    z = vmb_two_mul(v, s.hi, s.hi);
    z.lo = vmb_fma(v, vmb_add(v, s.hi, s.hi), s.lo, z.lo);
    t = vmb_mul(v, z.hi, vmb_poly(v, (struct vpoly){ 9, t_pow }, z.hi));
    b = vmb_fast_sum(v, vmb_k(v, 0x1.5555555555555p-1), t);
    b.lo = vmb_add(v, b.lo, vmb_k(v, 0x1.5555555555555p-55)); /* 2/3 - hi */
    c = vmb_two_mul(v, z.hi, b.hi);
    c.lo = vmb_add(v, c.lo, vmb_fma(v, z.hi, b.lo, vmb_mul(v, z.lo, b.hi)));
    p = vmb_two_mul(v, c.hi, s.hi);
    p.lo = vmb_add(v, p.lo, vmb_fma(v, c.hi, s.lo, vmb_mul(v, c.lo, s.hi)));
    b = vmb_fast_sum(v, vmb_add(v, s.hi, s.hi), p.hi);
    b.lo = vmb_add(v, b.lo, vmb_add(v, vmb_add(v, s.lo, s.lo), p.lo));
    return vmb_fast_sum(v, b.hi, b.lo);
}

static struct vdd
log_dd(struct vm *v, val x)
{
    struct split d = split(v, &fmt_f64, x, true);
    struct vdd m = log_dd_mantissa(v, d.m), r;

    r = vmb_fast_sum(v, vmb_mul(v, d.k, vmb_k(v, fmt_f64.ln2hi)), m.hi);
    r.lo = vmb_add(v, r.lo, vmb_fma(v, d.k, vmb_k(v, fmt_f64.ln2lo), m.lo));
    return vmb_fast_sum(v, r.hi, r.lo);
}

/* exp(y log a) for finite a > 0 and |y| <= 2^65. */
static val
pow_positive(struct vm *v, val a, val y, bool low)
{
    struct vpoly w = { 7, w_f64 };
    struct vdd l, p;
    val in;

    if (low) {
        a = log_of_split(v, &fmt_f64, w, split(v, &fmt_f64, a, false), NULL);
        return vm_exp_join(v, vm_exp_parts(v, vmb_mul(v, y, a), NULL, true));
    }
    l = log_dd(v, a);
    p = vmb_two_mul(v, y, l.hi);
    p.lo = vmb_fma(v, y, l.lo, p.lo);
    in = vmb_cmp(v, LLVMRealOLT, vmb_abs(v, p.hi), vmb_k(v, 800)); /* else 0 or inf anyway */
    p.lo = vmb_sel(v, in, p.lo, vmb_k(v, 0));
    return vm_exp_join(v, vm_exp_parts(v, p.hi, p.lo, false));
}

/* The cases of C's pow, in the order of the selects: a = |x| zero or infinite, negative x,
 * NaN, and last the two that ignore NaN: y = 0, x = 1. */
static val
pow_wide(struct vm *v, val x, val y, bool low)
{
    val zero = vmb_k(v, 0), one = vmb_k(v, 1), inf = vmb_k(v, INFINITY), a = vmb_abs(v, x);
    val yc, r, down, whole, half, even, signed_r, neg, c;

    yc = vmb_clamp_hi(v, vmb_clamp_lo(v, y, vmb_k(v, -0x1p65)), vmb_k(v, 0x1p65));
    r = pow_positive(v, a, yc, low);
    down = vmb_cmp(v, LLVMRealOLT, y, zero);
    c = vmb_cmp(v, LLVMRealOEQ, a, zero);
    r = vmb_sel(v, c, vmb_sel(v, down, inf, zero), r);
    c = vmb_cmp(v, LLVMRealOEQ, a, inf);
    r = vmb_sel(v, c, vmb_sel(v, down, zero, inf), r);
    whole = vmb_cmp(v, LLVMRealOEQ, vmb_floor(v, y), y);
    half = vmb_mul(v, y, vmb_k(v, 0.5));
    even = vmb_cmp(v, LLVMRealOEQ, vmb_floor(v, half), half);
    signed_r = vmb_copysign(v, r, x);
    r = vmb_sel(v, vmb_land(v, whole, vmb_lnot(v, even)), signed_r, r);
    neg = vmb_land(v, vmb_cmp(v, LLVMRealOLT, x, zero), vmb_lnot(v, c));
    r = vmb_sel(v, vmb_land(v, neg, vmb_lnot(v, whole)), vmb_sub(v, inf, inf), r);
    c = vmb_cmp(v, LLVMRealUNO, x, y);
    r = vmb_sel(v, c, vmb_add(v, x, y), r);
    r = vmb_sel(v, vmb_cmp(v, LLVMRealOEQ, y, zero), one, r);
    return vmb_sel(v, vmb_cmp(v, LLVMRealOEQ, x, one), one, r);
}

val
vm_pow(struct vm *v, val x, val y)
{
    return vmb_via_double(v, pow_wide, x, y);
}
