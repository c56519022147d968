/* gelu(x) = x Phi(x), Phi the normal distribution function.
 *
 * Phi(-t) = exp(-t^2/2) G(u)/(1 + 3/2 t), u = (t - 5)/(t + 5), for all t >= 0 by one polynomial
 * G; t^2 is kept with its rounding error, which the exponential would magnify. For x > 0,
 * Phi(x) = 1 - Phi(-x), where nothing cancels as Phi(-x) <= 1/2. */
#include "codegen/vmath_build.h"

/* Coefficients of G: codegen/vmath.sollya, "gelu lo", "gelu f64". */
static const double g_low[] = {
    0x1.4ec0b88019308p-1, -0x1.0cb23696b83a6p-4, -0x1.78777d8310b7dp-7,
    0x1.c6358a8037df1p-5, -0x1.04373b78cf1e2p-4, 0x1.8d6a7357652ebp-5,
    -0x1.be7ba3f25f217p-6, 0x1.6779977cbbb53p-7, -0x1.583fd4aa09bbp-9,
    -0x1.9ad49baa23411p-15, 0x1.4bc4d03b53e07p-12, -0x1.5f226607df0e8p-14,
    -0x1.44ef6ca1e9ed2p-15,
};
static const double g_f64[] = {
    0x1.4ec0b88013f3ap-1, -0x1.0cb236a6a53dep-4, -0x1.78777c9acf571p-7,
    0x1.c635928c175eap-5, -0x1.04373caae4c4cp-4, 0x1.8d69ddce64e7dp-5,
    -0x1.be7c45901eabp-6, 0x1.678b5b5368ccbp-7, -0x1.57eaef2ec3634p-9,
    -0x1.d127eabfd3879p-15, 0x1.3e77ea823d83p-12, -0x1.5349be6f0994fp-14,
    -0x1.30cbdbb5026d9p-16, 0x1.dd5b7f994c502p-17, 0x1.f8487a051d6fdp-23,
    -0x1.17eb6a337710ap-19, 0x1.3d3f43c7e003cp-23, 0x1.53c887134c8fp-22,
    -0x1.d21d38ea78fp-26, -0x1.ab3d09707bd38p-25, -0x1.bd8d0433fc195p-33,
    0x1.976df4d9a9784p-28, 0x1.328643e728f8p-30,
};

/* Beyond this |x|, Phi(-|x|) |x| is 0 in the result type. */
#define T_LOW 15.0
#define T_F64 39.5

static val
gelu(struct vm *v, val x, val y, bool low)
{
    struct vpoly p = low ? (struct vpoly){ sizeof g_low / sizeof *g_low, g_low }
                         : (struct vpoly){ sizeof g_f64 / sizeof *g_f64, g_f64 };
    val one = vmb_k(v, 1), five = vmb_k(v, 5), half = vmb_k(v, -0.5), t, u, g, pos, c, d;
    struct vdd sq;
    struct vexp e;

    (void)y;
    t = vmb_clamp_hi(v, vmb_abs(v, x), vmb_k(v, low ? T_LOW : T_F64));
    u = vmb_div(v, vmb_sub(v, t, five), vmb_add(v, t, five));
    g = vmb_div(v, vmb_poly(v, p, u), vmb_fma(v, t, vmb_k(v, 1.5), one));
    sq.hi = vmb_mul(v, t, t);
    sq.lo = NULL;
    if (!low) {
        sq = vmb_two_mul(v, t, t);
        sq.lo = vmb_mul(v, sq.lo, half);
    }
    e = vm_exp_parts(v, vmb_mul(v, sq.hi, half), sq.lo, low);
    g = vmb_mul(v, g, e.s1 ? vmb_mul(v, e.p, e.s1) : e.p); /* Phi(-t) is g s2 */
    pos = vmb_cmp(v, LLVMRealOGE, x, vmb_k(v, 0));
    c = vmb_sub(v, one, e.s2 ? vmb_mul(v, g, e.s2) : g);
    d = vmb_clamp_lo(v, x, vmb_k(v, -40)); /* -inf: the limit is 0 */
    d = vmb_mul(v, d, g);
    return vmb_sel(v, pos, vmb_mul(v, x, c), e.s2 ? vmb_mul(v, d, e.s2) : d);
}

val
vm_gelu(struct vm *v, val x, val y)
{
    return vmb_via_double(v, gelu, x, y);
}
