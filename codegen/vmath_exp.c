/* exp and what is made of it: sigmoid, silu, tanh, elu.
 *
 * x = n ln2 + r with |r| <= ln2/2; exp(x) = 2^n (1 + r + r^2 q(r)). n is rounded by adding
 * 1.5 * 2^23 (2^52): the sum's low bits then hold n as an integer. The factor 2^n is applied as
 * two powers of two, so that results below the smallest normal number are rounded once and
 * results beyond the largest become inf without any select. */
#include "codegen/vmath_build.h"

/* Coefficients of q: codegen/vmath.sollya, "exp f32", "exp lo", "exp f64". */
static const double q_f32[] = {
    0x1.fffffcp-2, 0x1.55549p-3, 0x1.5558ap-5, 0x1.123abep-7, 0x1.6a6016p-10,
};
static const double q_low[] = {
    0x1.000000005e62ap-1, 0x1.5555557df8968p-3, 0x1.5555541d30cbap-5, 0x1.1110a21b2b691p-7,
    0x1.6c18d47729959p-10, 0x1.a185d00e77144p-13, 0x1.9e88bb50cf08ep-16,
};
static const double q_f64[] = {
    0x1.000000000000ap-1, 0x1.55555555554fdp-3, 0x1.5555555550699p-5, 0x1.1111111126ec8p-7,
    0x1.6c16c1848329p-10, 0x1.a01a012ee246ep-13, 0x1.a0199935aeb14p-16,
    0x1.71df1ae67efc7p-19, 0x1.28ae28e0d372p-22, 0x1.ad90692dbb2b4p-26,
};

/* What differs between the three. ln2hi has so many trailing zeros that n * ln2hi is exact;
 * beyond [lo, hi] the result is 0 or inf, also after a factor x (silu, gelu). */
struct exp_format {
    double lo, hi, magic, ln2hi, ln2lo;
    unsigned mantissa, bias;
    struct vpoly q;
};
static const struct exp_format fmt_f32 = {
    -120, 89, 0x1.8p23, 0x1.62e4p-1, 0x1.7f7d1cp-20, 23, 127,
    { 5, q_f32 },
};
static const struct exp_format fmt_low = {
    -708, 709, 0x1.8p52, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33, 52, 1023,
    { 7, q_low },
};
static const struct exp_format fmt_f64 = {
    -800, 710, 0x1.8p52, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33, 52, 1023,
    { 10, q_f64 },
};

static const struct exp_format *
format_of(struct vm *v, bool low)
{
    if (!vmb_double(v))
        return &fmt_f32;
    return low ? &fmt_low : &fmt_f64;
}

/* n as a number and, in the low bits of `bits`, as an integer plus `offset`; r + c = x - n ln2. */
struct reduced {
    val n, bits, r, c;
};

/* Clamps x, then reduces it. The correction c is made only if `exact`. */
static struct reduced
reduce(struct vm *v, const struct exp_format *f, val x, unsigned offset, bool exact)
{
    struct reduced d = { 0 };
    val hi, magic = vmb_k(v, f->magic + offset);

    x = vmb_clamp_lo(v, vmb_clamp_hi(v, x, vmb_k(v, f->hi)), vmb_k(v, f->lo));
    d.bits = vmb_fma(v, x, vmb_k(v, 0x1.71547652b82fep0), magic);
    d.n = vmb_sub(v, d.bits, magic);
    d.bits = vmb_toint(v, d.bits);
    hi = vmb_fnma(v, d.n, vmb_k(v, f->ln2hi), x);
    d.r = vmb_fnma(v, d.n, vmb_k(v, f->ln2lo), hi);
    if (exact)
        d.c = vmb_fnma(v, d.n, vmb_k(v, f->ln2lo), vmb_sub(v, hi, d.r));
    return d;
}

/* exp(r) - 1, relatively accurate; Horner's form needs FMA to round well. */
static val
expm1_poly(struct vm *v, const struct exp_format *f, val r, val c)
{
    val q = vmb_poly(v, f->q, r), r2 = vmb_mul(v, r, r);

    if (c)
        return vmb_add(v, r, vmb_fma(v, r2, q, c));
    return vmb_fma(v, r2, q, r);
}

static val
exp_poly(struct vm *v, const struct exp_format *f, val r)
{
    val one = vmb_k(v, 1), w;

    if (!v->fma)
        return vmb_add(v, one, expm1_poly(v, f, r, NULL));
    w = vmb_fma(v, vmb_poly(v, f->q, r), r, one);
    return vmb_fma(v, w, r, one);
}

/* bits + n in the exponent field of p: p * 2^n for a normal result. */
static val
scale_once(struct vm *v, const struct exp_format *f, val p, val bits)
{
    return vmb_tofp(v, vmb_iadd(v, vmb_toint(v, p), vmb_shl(v, bits, f->mantissa)));
}

struct vexp
vm_exp_parts(struct vm *v, val x, val lo, bool low)
{
    const struct exp_format *f = format_of(v, low);
    struct reduced d = reduce(v, f, x, low ? 0 : 2 * f->bias, false);
    struct vexp e = { 0 };
    val half;

    if (lo)
        d.r = vmb_add(v, d.r, lo);
    e.p = exp_poly(v, f, d.r);
    if (low) {
        e.p = scale_once(v, f, e.p, d.bits);
        return e;
    }
    half = vmb_lshr(v, d.bits, 1); /* low bits: floor(n/2) + bias */
    e.s1 = vmb_tofp(v, vmb_shl(v, half, f->mantissa));
    e.s2 = vmb_tofp(v, vmb_shl(v, vmb_isub(v, d.bits, half), f->mantissa));
    return e;
}

val
vm_exp_join(struct vm *v, struct vexp e)
{
    return e.s1 ? vmb_mul(v, vmb_mul(v, e.p, e.s1), e.s2) : e.p;
}

/* The whole-register forms of AVX-512's p * 2^floor(n); NULL if there is none for v->ty. */
static const char *
scalef_name(const struct vm *v)
{
    static const char *const name[2][3] = {
        { "llvm.x86.avx512.mask.scalef.ps.128", "llvm.x86.avx512.mask.scalef.ps.256",
          "llvm.x86.avx512.mask.scalef.ps.512" },
        { "llvm.x86.avx512.mask.scalef.pd.128", "llvm.x86.avx512.mask.scalef.pd.256",
          "llvm.x86.avx512.mask.scalef.pd.512" },
    };
    unsigned width = vmb_lanes(v) * vmb_bits(v);

    if (!v->avx512)
        return NULL;
    for (unsigned i = 0; i < 3; i++)
        if (width == 128u << i)
            return name[vmb_double(v)][i];
    return NULL;
}

static val
exp_scalef(struct vm *v, const char *name, val x)
{
    const struct exp_format *f = format_of(v, false);
    struct reduced d = reduce(v, f, x, 0, false);
    unsigned lanes = vmb_lanes(v), nargs = lanes * vmb_bits(v) == 512 ? 5 : 4;
    LLVMTypeRef mask = LLVMIntTypeInContext(v->ctx, lanes < 8 ? 8 : lanes);
    val args[5] = { exp_poly(v, f, d.r), d.n, vmb_k(v, 0), LLVMConstAllOnes(mask),
                    LLVMConstInt(LLVMInt32TypeInContext(v->ctx), 4, 0) };

    return vmb_intrinsic(v, name, v->ty, args, nargs);
}

val
vm_exp(struct vm *v, val x, val y)
{
    const char *name = scalef_name(v);

    (void)y;
    if (name)
        return exp_scalef(v, name, x);
    return vm_exp_join(v, vm_exp_parts(v, x, NULL, false));
}

/* 1/(1 + exp(-x)) = (x >= 0 ? 1 : z)/(1 + z), z = exp(-|x|): nothing overflows. */
static val
sigmoid(struct vm *v, val x, val y, bool low)
{
    val one = vmb_k(v, 1), z, num;

    (void)y;
    z = vmb_neg(v, vmb_abs(v, x));
    z = vm_exp_join(v, vm_exp_parts(v, z, NULL, low));
    num = vmb_sel(v, vmb_cmp(v, LLVMRealOGE, x, vmb_k(v, 0)), one, z);
    return vmb_div(v, num, vmb_add(v, one, z));
}

/* x sigmoid(x); for x < 0 the factor x comes before the scaling, which may underflow. x = -inf
 * gives the limit -0, as clamping does not change any finite result. */
static val
silu(struct vm *v, val x, val y, bool low)
{
    val one = vmb_k(v, 1), z, zs, num, pos;
    struct vexp e;

    (void)y;
    e = vm_exp_parts(v, vmb_neg(v, vmb_abs(v, x)), NULL, low);
    z = vm_exp_join(v, e);
    zs = e.s1 ? vmb_mul(v, e.p, e.s1) : e.p;
    pos = vmb_cmp(v, LLVMRealOGE, x, vmb_k(v, 0));
    num = vmb_mul(v, vmb_clamp_lo(v, x, vmb_k(v, -1000)), vmb_sel(v, pos, one, zs));
    num = vmb_div(v, num, vmb_add(v, one, z));
    if (!e.s1)
        return num;
    return vmb_mul(v, num, vmb_sel(v, pos, one, e.s2));
}

/* exp(x) - 1 for x <= 0 with relative accuracy: 2^n e + (2^n - 1), e = exp(r) - 1. */
static val
expm1_neg(struct vm *v, val x, bool low)
{
    const struct exp_format *f = format_of(v, low);
    struct reduced d;
    val e, s;

    x = vmb_clamp_lo(v, x, vmb_k(v, -64)); /* -1 from about -37 on */
    d = reduce(v, f, x, f->bias, !low);
    e = expm1_poly(v, f, d.r, d.c);
    s = vmb_tofp(v, vmb_shl(v, d.bits, f->mantissa));
    return vmb_fma(v, s, e, vmb_sub(v, s, vmb_k(v, 1)));
}

/* With t = expm1(-2|x|): tanh|x| = -t/(2 + t). */
static val
tanh_wide(struct vm *v, val x, val y, bool low)
{
    val t;

    (void)y;
    t = vmb_mul(v, vmb_abs(v, x), vmb_k(v, -2));
    t = expm1_neg(v, t, low);
    return vmb_copysign(v, vmb_div(v, t, vmb_add(v, t, vmb_k(v, 2))), x);
}

static val
elu(struct vm *v, val x, val y, bool low)
{
    val pos = vmb_cmp(v, LLVMRealOGE, x, vmb_k(v, 0));

    (void)y;
    return vmb_sel(v, pos, x, expm1_neg(v, vmb_clamp_hi(v, x, vmb_k(v, 0)), low));
}

val
vm_sigmoid(struct vm *v, val x, val y)
{
    return vmb_via_double(v, sigmoid, x, y);
}

val
vm_silu(struct vm *v, val x, val y)
{
    return vmb_via_double(v, silu, x, y);
}

val
vm_tanh(struct vm *v, val x, val y)
{
    return vmb_via_double(v, tanh_wide, x, y);
}

val
vm_elu(struct vm *v, val x, val y)
{
    return vmb_via_double(v, elu, x, y);
}
