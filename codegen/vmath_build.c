/* Building blocks of the vmath files: thin wrappers around the builder that splat constants,
 * pick FMA or not, and move between float and integer lanes.
 *
 * LLVM contracts nothing here (no fast-math flags are set), so what is written is what runs:
 * the error-free transformations below rely on it. */
#include "codegen/vmath_build.h"

#include <string.h>

/* ---- types and constants ---- */

unsigned
vmb_lanes(const struct vm *v)
{
    if (LLVMGetTypeKind(v->ty) != LLVMVectorTypeKind)
        return 0;
    return LLVMGetVectorSize(v->ty);
}

static LLVMTypeRef
shaped(const struct vm *v, LLVMTypeRef lane)
{
    unsigned n = vmb_lanes(v);

    return n ? LLVMVectorType(lane, n) : lane;
}

bool
vmb_double(const struct vm *v)
{
    LLVMTypeRef lane = vmb_lanes(v) ? LLVMGetElementType(v->ty) : v->ty;

    return LLVMGetTypeKind(lane) == LLVMDoubleTypeKind;
}

unsigned
vmb_bits(const struct vm *v)
{
    return vmb_double(v) ? 64 : 32;
}

struct vm
vmb_wide(const struct vm *v)
{
    struct vm w = *v;

    w.ty = shaped(v, LLVMDoubleTypeInContext(v->ctx));
    return w;
}

LLVMTypeRef
vmb_int_type(const struct vm *v)
{
    return shaped(v, LLVMIntTypeInContext(v->ctx, vmb_bits(v)));
}

static val
splat(const struct vm *v, val c)
{
    val lane[64];
    unsigned n = vmb_lanes(v);

    if (n == 0)
        return c;
    for (unsigned i = 0; i < n && i < 64; i++)
        lane[i] = c;
    return LLVMConstVector(lane, n);
}

val
vmb_k(const struct vm *v, double c)
{
    LLVMTypeRef lane = vmb_lanes(v) ? LLVMGetElementType(v->ty) : v->ty;

    return splat(v, LLVMConstReal(lane, c));
}

val
vmb_ki(const struct vm *v, uint64_t c)
{
    LLVMTypeRef lane = LLVMIntTypeInContext(v->ctx, vmb_bits(v));

    return splat(v, LLVMConstInt(lane, vmb_double(v) ? c : c & 0xffffffffu, 0));
}

/* ---- arithmetic ---- */

val
vmb_intrinsic(struct vm *v, const char *name, LLVMTypeRef over, val *args, unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    unsigned nover = LLVMIntrinsicIsOverloaded(id) ? 1 : 0;
    val fn = LLVMGetIntrinsicDeclaration(v->mod, id, &over, nover);

    return LLVMBuildCall2(v->b, LLVMIntrinsicGetType(v->ctx, id, &over, nover), fn, args, n,
                          "");
}

val
vmb_add(struct vm *v, val a, val b)
{
    return LLVMBuildFAdd(v->b, a, b, "");
}

val
vmb_sub(struct vm *v, val a, val b)
{
    return LLVMBuildFSub(v->b, a, b, "");
}

val
vmb_mul(struct vm *v, val a, val b)
{
    return LLVMBuildFMul(v->b, a, b, "");
}

val
vmb_div(struct vm *v, val a, val b)
{
    return LLVMBuildFDiv(v->b, a, b, "");
}

val
vmb_neg(struct vm *v, val a)
{
    return LLVMBuildFNeg(v->b, a, "");
}

val
vmb_fma(struct vm *v, val a, val b, val c)
{
    val args[3] = { a, b, c };

    if (!v->fma)
        return vmb_add(v, vmb_mul(v, a, b), c);
    return vmb_intrinsic(v, "llvm.fma", v->ty, args, 3);
}

val
vmb_fnma(struct vm *v, val a, val b, val c)
{
    val args[3] = { a, b, c };

    if (!v->fma)
        return vmb_sub(v, c, vmb_mul(v, a, b));
    args[0] = vmb_neg(v, a);
    return vmb_intrinsic(v, "llvm.fma", v->ty, args, 3);
}

val
vmb_abs(struct vm *v, val a)
{
    return vmb_intrinsic(v, "llvm.fabs", v->ty, &a, 1);
}

val
vmb_floor(struct vm *v, val a)
{
    return vmb_intrinsic(v, "llvm.floor", v->ty, &a, 1);
}

val
vmb_sqrt(struct vm *v, val a)
{
    return vmb_intrinsic(v, "llvm.sqrt", v->ty, &a, 1);
}

val
vmb_copysign(struct vm *v, val a, val b)
{
    val args[2] = { a, b };

    return vmb_intrinsic(v, "llvm.copysign", v->ty, args, 2);
}

/* AArch64's fmin/fmax are what llvm.minimum/maximum mean; x86 needs compare and select. */
static bool
has_nan_minmax(struct vm *v)
{
    const char *triple = LLVMGetTarget(v->mod);

    return strncmp(triple, "aarch64", 7) == 0 || strncmp(triple, "arm64", 5) == 0;
}

val
vmb_clamp_hi(struct vm *v, val x, val bound)
{
    val args[2] = { x, bound };

    if (has_nan_minmax(v))
        return vmb_intrinsic(v, "llvm.minimum", v->ty, args, 2);
    return vmb_sel(v, vmb_cmp(v, LLVMRealOLT, bound, x), bound, x); /* one minps */
}

val
vmb_clamp_lo(struct vm *v, val x, val bound)
{
    val args[2] = { x, bound };

    if (has_nan_minmax(v))
        return vmb_intrinsic(v, "llvm.maximum", v->ty, args, 2);
    return vmb_sel(v, vmb_cmp(v, LLVMRealOGT, bound, x), bound, x); /* one maxps */
}

val
vmb_minmax(struct vm *v, val a, val b, bool max)
{
    val args[2] = { a, b }, m;

    if (has_nan_minmax(v))
        return vmb_intrinsic(v, max ? "llvm.maximum" : "llvm.minimum", v->ty, args, 2);
    m = vmb_cmp(v, max ? LLVMRealOGT : LLVMRealOLT, a, b);
    m = vmb_sel(v, m, a, b); /* b if either is NaN */
    return vmb_sel(v, vmb_cmp(v, LLVMRealUNO, a, a), a, m);
}

val
vmb_poly(struct vm *v, struct vpoly p, val x)
{
    val r = vmb_k(v, p.c[p.n - 1]);

    for (int i = p.n - 2; i >= 0; i--)
        r = vmb_fma(v, r, x, vmb_k(v, p.c[i]));
    return r;
}

/* ---- integers, comparisons ---- */

val
vmb_toint(struct vm *v, val a)
{
    return LLVMBuildBitCast(v->b, a, vmb_int_type(v), "");
}

val
vmb_tofp(struct vm *v, val a)
{
    return LLVMBuildBitCast(v->b, a, v->ty, "");
}

val
vmb_iadd(struct vm *v, val a, val b)
{
    return LLVMBuildAdd(v->b, a, b, "");
}

val
vmb_isub(struct vm *v, val a, val b)
{
    return LLVMBuildSub(v->b, a, b, "");
}

val
vmb_iand(struct vm *v, val a, uint64_t mask)
{
    return LLVMBuildAnd(v->b, a, vmb_ki(v, mask), "");
}

val
vmb_shl(struct vm *v, val a, unsigned n)
{
    return LLVMBuildShl(v->b, a, vmb_ki(v, n), "");
}

val
vmb_lshr(struct vm *v, val a, unsigned n)
{
    return LLVMBuildLShr(v->b, a, vmb_ki(v, n), "");
}

val
vmb_cmp(struct vm *v, LLVMRealPredicate p, val a, val b)
{
    return LLVMBuildFCmp(v->b, p, a, b, "");
}

val
vmb_sel(struct vm *v, val c, val a, val b)
{
    return LLVMBuildSelect(v->b, c, a, b, "");
}

val
vmb_land(struct vm *v, val a, val b)
{
    return LLVMBuildAnd(v->b, a, b, "");
}

val
vmb_lnot(struct vm *v, val a)
{
    return LLVMBuildNot(v->b, a, "");
}

/* ---- double-double: D. E. Knuth and T. J. Dekker's error-free transformations ---- */

struct vdd
vmb_two_sum(struct vm *v, val a, val b)
{
    struct vdd r;
    val bb;

    r.hi = vmb_add(v, a, b);
    bb = vmb_sub(v, r.hi, a);
    r.lo = vmb_add(v, vmb_sub(v, a, vmb_sub(v, r.hi, bb)), vmb_sub(v, b, bb));
    return r;
}

struct vdd
vmb_fast_sum(struct vm *v, val a, val b)
{
    struct vdd r;

    r.hi = vmb_add(v, a, b);
    r.lo = vmb_sub(v, b, vmb_sub(v, r.hi, a));
    return r;
}

/* a = high half + low half of 26 bits each; clears the low 27 bits instead of multiplying by
 * 2^27 + 1, which is cheaper and cannot overflow (the low half then has 27 bits and one of the
 * four partial products may round, by 2^-105 of the product). */
static struct vdd
halves(struct vm *v, val a)
{
    struct vdd r;

    r.hi = vmb_tofp(v, vmb_iand(v, vmb_toint(v, a), ~(uint64_t)0x7ffffff));
    r.lo = vmb_sub(v, a, r.hi);
    return r;
}

struct vdd
vmb_two_mul(struct vm *v, val a, val b)
{
    struct vdd r, x, y;
    val e;

    r.hi = vmb_mul(v, a, b);
    if (v->fma) {
        r.lo = vmb_fma(v, a, b, vmb_neg(v, r.hi));
        return r;
    }
    x = halves(v, a);
    y = halves(v, b);
    e = vmb_sub(v, vmb_mul(v, x.hi, y.hi), r.hi);
    e = vmb_add(v, e, vmb_mul(v, x.hi, y.lo));
    e = vmb_add(v, e, vmb_mul(v, x.lo, y.hi));
    r.lo = vmb_add(v, e, vmb_mul(v, x.lo, y.lo));
    return r;
}

val
vmb_via_double(struct vm *v, vm_wide_fn f, val x, val y)
{
    struct vm w = vmb_wide(v);

    if (vmb_double(v))
        return f(v, x, y, false);
    x = LLVMBuildFPExt(v->b, x, w.ty, "");
    if (y)
        y = LLVMBuildFPExt(v->b, y, w.ty, "");
    return LLVMBuildFPTrunc(v->b, f(&w, x, y, true), v->ty, "");
}
