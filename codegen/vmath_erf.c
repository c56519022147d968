/* gelu(x) = x Phi(x), Phi the normal distribution function.
 *
 * Phi(-t) = exp(-t^2/2) G(u)/(1 + 4/5 t), u = (t - 5)/(t + 5), for all t >= 0 by one polynomial
 * G (4/5 makes it flat at t = 0, where u rounds worst); t^2 is kept with its rounding error,
 * which the exponential would magnify. For x > 0, Phi(x) = 1 - Phi(-x), where nothing cancels
 * as Phi(-x) <= 1/2. */
#include "codegen/vmath_build.h"

/* Coefficients of G: codegen/vmath.sollya, "gelu lo", "gelu f64". */
static const double g_low[] = {
    0x1.89d3abe2063e8p-2, -0x1.a184d9a13a58ep-4, 0x1.89871b3dcb2a9p-5,
    -0x1.0be00eb855be9p-7, -0x1.7a765846fb3aep-7, 0x1.e9c84043edc1ep-7,
    -0x1.52c1f919941ebp-7, 0x1.36abbbfca0b53p-8, -0x1.544306715a5cfp-10,
    0x1.3ad6c996a2d0ep-15, 0x1.266c9fc9e4f7ep-13, -0x1.80e42fa106854p-15,
    -0x1.3368d0b34478fp-16,
};
static const double g_f64[] = {
    0x1.89d3abe1f95aep-2, -0x1.a184d9ab9c12p-4, 0x1.89871b891f4p-5, -0x1.0bdffa361787fp-7,
    -0x1.7a767125f72b1p-7, 0x1.e9c6c42f3896fp-7, -0x1.52c1eaf63275dp-7,
    0x1.36c2bbe13faccp-8, -0x1.53fcb06991391p-10, 0x1.1591785466931p-15,
    0x1.188f9a26dfa46p-13, -0x1.6624edcd20ad9p-15, -0x1.ba23333e0c19bp-18,
    0x1.d56974bbd88a3p-18, -0x1.9815766e61fb3p-23, -0x1.0c2812c18d73dp-20,
    0x1.ee0bd24ed9ceap-24, 0x1.43dc03e5abcaep-23, -0x1.52f9bd0f6794fp-26,
    -0x1.9e50b3ff60ce5p-26, 0x1.943d559277aa8p-31, 0x1.991b0863e31fep-29,
    0x1.19c9d3538ec7ap-31,
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
    g = vmb_div(v, vmb_poly(v, p, u), vmb_fma(v, t, vmb_k(v, 0.8), one));
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
