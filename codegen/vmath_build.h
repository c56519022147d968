/* Building blocks of the vmath files: typed constants, arithmetic that uses FMA or not, bit
 * access to the lanes, polynomials and double-double pieces.
 *
 * All values have the shape of v->ty; integer values the same shape with i32 or i64 lanes
 * (vmb_bits of them), conditions with i1 lanes. Private to codegen/vmath*.c. */
#ifndef ATTNC_CODEGEN_VMATH_BUILD_H
#define ATTNC_CODEGEN_VMATH_BUILD_H

#include <stdint.h>

#include "codegen/vmath.h"

typedef LLVMValueRef val;

/* An unevaluated sum hi + lo, |lo| <= ulp(hi) / 2 or nearly so. */
struct vdd {
    val hi, lo;
};

/* A polynomial: n coefficients, lowest degree first. */
struct vpoly {
    int n;
    const double *c;
};

/* ---- types and constants ---- */
unsigned vmb_lanes(const struct vm *v);          /* 0 for a scalar */
bool vmb_double(const struct vm *v);
unsigned vmb_bits(const struct vm *v);           /* 32 or 64 */
/* The same vm with double lanes (of as many lanes). */
struct vm vmb_wide(const struct vm *v);
LLVMTypeRef vmb_int_type(const struct vm *v);
val vmb_k(const struct vm *v, double c);         /* splat; c is rounded to the lane type */
val vmb_ki(const struct vm *v, uint64_t c);      /* integer splat */

/* ---- arithmetic ---- */
val vmb_add(struct vm *v, val a, val b);
val vmb_sub(struct vm *v, val a, val b);
val vmb_mul(struct vm *v, val a, val b);
val vmb_div(struct vm *v, val a, val b);
val vmb_neg(struct vm *v, val a);
val vmb_fma(struct vm *v, val a, val b, val c);  /* a*b + c: fused, or rounded twice */
val vmb_fnma(struct vm *v, val a, val b, val c); /* c - a*b */
val vmb_abs(struct vm *v, val a);
val vmb_floor(struct vm *v, val a);
val vmb_sqrt(struct vm *v, val a);
/* |a| with the sign of b. */
val vmb_copysign(struct vm *v, val a, val b);
/* The smaller / larger of x and the bound; x if x is NaN. */
val vmb_clamp_hi(struct vm *v, val x, val bound);
val vmb_clamp_lo(struct vm *v, val x, val bound);
/* min / max of two values, NaN if either is NaN. */
val vmb_minmax(struct vm *v, val a, val b, bool max);
val vmb_poly(struct vm *v, struct vpoly p, val x);   /* Horner */

/* ---- integers, comparisons ---- */
val vmb_toint(struct vm *v, val a);              /* bitcast to integer lanes */
val vmb_tofp(struct vm *v, val a);               /* bitcast back */
val vmb_iadd(struct vm *v, val a, val b);
val vmb_isub(struct vm *v, val a, val b);
val vmb_iand(struct vm *v, val a, uint64_t mask);
val vmb_shl(struct vm *v, val a, unsigned n);
val vmb_lshr(struct vm *v, val a, unsigned n);
val vmb_cmp(struct vm *v, LLVMRealPredicate p, val a, val b);
val vmb_sel(struct vm *v, val c, val a, val b);
val vmb_land(struct vm *v, val a, val b);        /* of conditions */
val vmb_lnot(struct vm *v, val a);

/* ---- double-double (double lanes) ---- */
struct vdd vmb_two_sum(struct vm *v, val a, val b);      /* exact, any magnitudes */
struct vdd vmb_fast_sum(struct vm *v, val a, val b);     /* exact if |a| >= |b| or a = 0 */
struct vdd vmb_two_mul(struct vm *v, val a, val b);      /* exact without over-, underflow */

/* Calls an intrinsic overloaded on one type. */
val vmb_intrinsic(struct vm *v, const char *name, LLVMTypeRef over, val *args, unsigned n);

/* ---- the functions, one file each; x has v->ty ---- */
val vm_exp(struct vm *v, val x, val y);
val vm_sigmoid(struct vm *v, val x, val y);
val vm_silu(struct vm *v, val x, val y);
val vm_tanh(struct vm *v, val x, val y);
val vm_elu(struct vm *v, val x, val y);
val vm_gelu(struct vm *v, val x, val y);
val vm_log(struct vm *v, val x, val y);
val vm_softplus(struct vm *v, val x, val y);
val vm_pow(struct vm *v, val x, val y);
val vm_sin(struct vm *v, val x, val y);
val vm_cos(struct vm *v, val x, val y);

/* exp kept as p * s1 * s2 (s1, s2 powers of two), so that a factor can be multiplied in before
 * the result underflows: p * s1 is always a normal number for arguments >= -1400 (double). */
struct vexp {
    val p, s1, s2;
};
/* exp(x + lo) for |lo| << 1 (lo may be NULL). low: about 2^-39 is enough (double lanes whose
 * result is rounded to float, 2^-1000 < exp(x) < 2^1000): s1, s2 are NULL, p is the whole. */
struct vexp vm_exp_parts(struct vm *v, val x, val lo, bool low);
/* The product of the parts. */
val vm_exp_join(struct vm *v, struct vexp e);
/* log(x + lo) for finite x >= 1, |lo| << 1 and double lanes, relative error small also near 1. */
val vm_log_near(struct vm *v, val x, val lo, bool low);

/* Evaluates f on x (and y, may be NULL) in double lanes and rounds to v->ty: how the float
 * versions are made. */
typedef val (*vm_wide_fn)(struct vm *v, val x, val y, bool low);
val vmb_via_double(struct vm *v, vm_wide_fn f, val x, val y);

#endif
