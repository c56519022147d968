/* sin and cos.
 *
 * x = q pi/2 + r, |r| <= pi/4. Up to 2^20 the reduction subtracts q times pi/2 in parts of 33
 * bits (each product is exact, as in fdlibm). Beyond, a branch taken only if some lane is that
 * large calls the module's internal function attn_trig_large for each lane: integer arithmetic
 * on the right 192 bits of 2/pi (M. H. Payne and R. N. Hanek, SIGNUM Newsletter 18 (1983)). */
#include "codegen/vmath_build.h"

#include <math.h>
#include <string.h>

/* Coefficients: codegen/vmath.sollya, "sin lo", "sin f64", "cos lo", "cos f64". */
static const double s_low[] = {
    -0x1.555555545c123p-3, 0x1.11110dea183a1p-7, -0x1.a013a079409d1p-13, 0x1.6dbbadff87ab6p-19,
};
static const double s_f64[] = {
    -0x1.5555555555555p-3, 0x1.1111111110c78p-7, -0x1.a01a019e9e16ep-13,
    0x1.71de37ad7fd05p-19, -0x1.ae601c62e7861p-26, 0x1.5e0fdbacf867ap-33,
};
static const double c_low[] = {
    0x1.555555550220dp-5, -0x1.6c16bf516beafp-10, 0x1.a015bfa7aafdfp-16,
    -0x1.2522b5a27ca1ep-22,
};
static const double c_f64[] = {
    0x1.5555555555555p-5, -0x1.6c16c16c168c7p-10, 0x1.a01a019f3748ap-16,
    -0x1.27e4fa017dd67p-22, 0x1.1eeb563bdaa34p-29, -0x1.90724d2e6079ap-37,
};

/* pi/2 = sum of the parts, the first three with 33 bits. */
static const double pio2_part[] = {
    0x1.921fb544p0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104,
};
#define PIO2_HI 0x1.921fb54442d18p0
#define PIO2_LO 0x1.1a62633145c07p-54

/* 2/pi, 64 bits a word, after one word of zeros; codegen/vmath.sollya. */
enum { NWORDS = 22 };
static const uint64_t two_over_pi[NWORDS] = {
    0x0000000000000000,
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
    0xfe5163abdebbc561, 0xb7246e3a424dd2e0, 0x06492eea09d1921c,
    0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41,
    0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab, 0xf0cfbc209af4361d, 0xa9e391615ee61b08,
};

#define LARGE 0x1p20

/* sin(r + lo + q pi/2); lo is NULL where a double r suffices. q has integer lanes. */
static val
sin_quadrant(struct vm *v, val r, val lo, val q, bool low)
{
    struct vpoly ps = low ? (struct vpoly){ 4, s_low } : (struct vpoly){ 6, s_f64 };
    struct vpoly pc = low ? (struct vpoly){ 4, c_low } : (struct vpoly){ 6, c_f64 };
    val one = vmb_k(v, 1), z = vmb_mul(v, r, r), rz = vmb_mul(v, r, z);
    val s, c, w, half, odd, sign;

    s = vmb_mul(v, rz, vmb_poly(v, ps, z));
    half = vmb_mul(v, z, vmb_k(v, 0.5));
    c = vmb_mul(v, vmb_mul(v, z, z), vmb_poly(v, pc, z));
    w = vmb_sub(v, one, half);
    if (lo) { /* sin += lo (1 - z/2), cos -= lo r, and the rounding error of w */
        s = vmb_add(v, s, vmb_mul(v, lo, w));
        c = vmb_add(v, c, vmb_sub(v, vmb_sub(v, one, w), half));
        c = vmb_fnma(v, r, lo, c);
    }
    s = vmb_add(v, r, s);
    c = vmb_add(v, w, c);
    odd = LLVMBuildICmp(v->b, LLVMIntNE, vmb_iand(v, q, 1), vmb_ki(v, 0), "");
    sign = vmb_shl(v, vmb_lshr(v, q, 1), vmb_bits(v) - 1);
    s = vmb_toint(v, vmb_sel(v, odd, c, s));
    return vmb_tofp(v, LLVMBuildXor(v->b, s, sign, ""));
}

/* sin(x + quarter pi/2) for |x| <= LARGE (and NaN for inf, NaN). */
static val
sin_moderate(struct vm *v, val x, unsigned quarter, bool low)
{
    val magic = vmb_k(v, 0x1.8p52), n, q, r, lo, k[4];
    struct vdd s, t;

    n = vmb_fma(v, x, vmb_k(v, 0x1.45f306dc9c883p-1), magic);
    q = vmb_iadd(v, vmb_toint(v, n), vmb_ki(v, quarter));
    n = vmb_sub(v, n, magic);
    for (int i = 0; i < 4; i++)
        k[i] = vmb_k(v, pio2_part[i]);
    r = vmb_fnma(v, n, k[0], x);
    if (low) {
        r = vmb_fnma(v, n, k[2], vmb_fnma(v, n, k[1], r));
        return sin_quadrant(v, r, NULL, q, true);
    }
    s = vmb_two_sum(v, r, vmb_neg(v, vmb_mul(v, n, k[1])));
    t = vmb_two_sum(v, s.hi, vmb_neg(v, vmb_mul(v, n, k[2])));
    lo = vmb_fnma(v, n, k[3], vmb_add(v, s.lo, t.lo));
    t = vmb_fast_sum(v, t.hi, lo);
    return sin_quadrant(v, t.hi, t.lo, q, false);
}

/* ---- the slow path ---- */

/* The 192 bits of 2/pi that matter for exponent field e, as three words, high first. */
static void
table_words(struct vm *v, val table, val e, val word[3])
{
    LLVMTypeRef i64 = LLVMInt64TypeInContext(v->ctx);
    LLVMTypeRef array = LLVMArrayType2(i64, NWORDS);
    val at = LLVMBuildSub(v->b, e, vmb_ki(v, 1013), ""), first, raw[4];

    first = vmb_lshr(v, at, 6);
    for (unsigned i = 0; i < 4; i++) {
        val index[2] = { vmb_ki(v, 0), vmb_iadd(v, first, vmb_ki(v, i)) };

        raw[i] = LLVMBuildInBoundsGEP2(v->b, array, table, index, 2, "");
        raw[i] = LLVMBuildLoad2(v->b, i64, raw[i], "");
        LLVMSetAlignment(raw[i], 8);
    }
    at = vmb_iand(v, at, 63);
    for (unsigned i = 0; i < 3; i++) {
        val args[3] = { raw[i], raw[i + 1], at };

        word[i] = vmb_intrinsic(v, "llvm.fshl", i64, args, 3);
    }
}

/* |x| 2/pi mod 4, as a 128-bit fraction of 4. */
static val
fraction_of_turn(struct vm *v, val table, val bits)
{
    LLVMTypeRef i128 = LLVMInt128TypeInContext(v->ctx);
    val w64 = LLVMConstInt(i128, 64, 0), word[3], m, p[3];

    table_words(v, table, vmb_lshr(v, bits, 52), word);
    m = vmb_iand(v, bits, 0xfffffffffffff);
    m = LLVMBuildOr(v->b, m, vmb_ki(v, 0x10000000000000), "");
    m = LLVMBuildZExt(v->b, m, i128, "");
    for (int i = 0; i < 3; i++)
        p[i] = LLVMBuildMul(v->b, m, LLVMBuildZExt(v->b, word[i], i128, ""), "");
    p[0] = LLVMBuildShl(v->b, p[0], w64, "");
    p[2] = LLVMBuildLShr(v->b, p[2], w64, "");
    return LLVMBuildAdd(v->b, LLVMBuildAdd(v->b, p[0], p[1], ""), p[2], "");
}

/* (magnitude of g) 2^-126 pi/2 as a double-double, g a positive 128-bit integer. */
static struct vdd
angle_of(struct vm *v, val g)
{
    LLVMTypeRef i128 = LLVMInt128TypeInContext(v->ctx), i64 = LLVMInt64TypeInContext(v->ctx);
    val args[2] = { g, LLVMConstInt(LLVMInt1TypeInContext(v->ctx), 0, 0) };
    val lz = vmb_intrinsic(v, "llvm.ctlz", i128, args, 2), h, a, b, scale;
    struct vdd r;

    h = LLVMBuildLShr(v->b, LLVMBuildShl(v->b, g, lz, ""), LLVMConstInt(i128, 64, 0), "");
    h = LLVMBuildTrunc(v->b, h, i64, "");
    a = LLVMBuildSIToFP(v->b, vmb_lshr(v, h, 11), v->ty, "");
    b = LLVMBuildSIToFP(v->b, vmb_iand(v, h, 2047), v->ty, "");
    b = vmb_mul(v, b, vmb_k(v, 0x1p-11));
    r = vmb_two_mul(v, a, vmb_k(v, PIO2_HI));
    b = vmb_fma(v, b, vmb_k(v, PIO2_HI), vmb_mul(v, a, vmb_k(v, PIO2_LO)));
    r = vmb_fast_sum(v, r.hi, vmb_add(v, r.lo, b));
    scale = vmb_isub(v, vmb_ki(v, 1023 - 51), LLVMBuildTrunc(v->b, lz, i64, ""));
    scale = vmb_tofp(v, vmb_shl(v, scale, 52));
    r.hi = vmb_mul(v, r.hi, scale);
    r.lo = vmb_mul(v, r.lo, scale);
    return r;
}

/* The body of attn_trig_large: sin(x + quarter pi/2) for finite |x| >= 2^-10. */
static val
sin_large(struct vm *v, val table, val x, val quarter)
{
    LLVMTypeRef i128 = LLVMInt128TypeInContext(v->ctx), i64 = LLVMInt64TypeInContext(v->ctx);
    val top = LLVMConstInt(i128, 126, 0), f, q, g, neg, flip, zero = LLVMConstNull(i128);
    val quadrant;
    struct vdd r;

    f = fraction_of_turn(v, table, vmb_toint(v, vmb_abs(v, x)));
    q = LLVMBuildShl(v->b, LLVMConstInt(i128, 1, 0), LLVMConstInt(i128, 125, 0), "");
    q = LLVMBuildLShr(v->b, LLVMBuildAdd(v->b, f, q, ""), top, "");
    g = LLVMBuildSub(v->b, f, LLVMBuildShl(v->b, q, top, ""), "");
    neg = LLVMBuildICmp(v->b, LLVMIntSLT, g, zero, "");
    r = angle_of(v, vmb_sel(v, neg, LLVMBuildSub(v->b, zero, g, ""), g));
    quadrant = LLVMBuildTrunc(v->b, q, i64, "");
    flip = vmb_cmp(v, LLVMRealOLT, x, vmb_k(v, 0)); /* -x: both q and r change sign */
    quadrant = vmb_sel(v, flip, vmb_isub(v, vmb_ki(v, 0), quadrant), quadrant);
    flip = LLVMBuildXor(v->b, neg, flip, "");
    r.hi = vmb_sel(v, flip, vmb_neg(v, r.hi), r.hi);
    r.lo = vmb_sel(v, flip, vmb_neg(v, r.lo), r.lo);
    return sin_quadrant(v, r.hi, r.lo, vmb_iadd(v, quadrant, quarter), false);
}

static val
make_table(struct vm *v)
{
    LLVMTypeRef i64 = LLVMInt64TypeInContext(v->ctx);
    val words[NWORDS], g;

    for (int i = 0; i < NWORDS; i++)
        words[i] = LLVMConstInt(i64, two_over_pi[i], 0);
    g = LLVMAddGlobal(v->mod, LLVMArrayType2(i64, NWORDS), "attn_two_over_pi");
    LLVMSetInitializer(g, LLVMConstArray2(i64, words, NWORDS));
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMInternalLinkage);
    LLVMSetAlignment(g, 8);
    return g;
}

static void
add_attr(const struct vm *v, val fn, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));

    LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(v->ctx, kind, 0));
}

/* double attn_trig_large(double x, i64 quarter): made on first use. It has no target features
 * of its own, so that every version of a kernel can call it; hence no FMA inside. */
static val
large_function(const struct vm *v, LLVMTypeRef type)
{
    val fn = LLVMGetNamedFunction(v->mod, "attn_trig_large"), x;
    struct vm w = *v;

    if (fn)
        return fn;
    w.ty = LLVMDoubleTypeInContext(v->ctx);
    w.fma = w.avx512 = false;
    fn = LLVMAddFunction(v->mod, "attn_trig_large", type);
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    add_attr(v, fn, "nounwind");
    add_attr(v, fn, "noinline");
    w.b = LLVMCreateBuilderInContext(v->ctx);
    LLVMPositionBuilderAtEnd(w.b, LLVMAppendBasicBlockInContext(v->ctx, fn, "entry"));
    x = sin_large(&w, make_table(&w), LLVMGetParam(fn, 0), LLVMGetParam(fn, 1));
    LLVMBuildRet(w.b, x);
    LLVMDisposeBuilder(w.b);
    return fn;
}

/* Calls attn_trig_large for each lane of x. */
static val
each_lane_large(struct vm *v, val x, unsigned quarter)
{
    LLVMTypeRef f64 = LLVMDoubleTypeInContext(v->ctx), i64 = LLVMInt64TypeInContext(v->ctx);
    LLVMTypeRef args[2] = { f64, i64 }, type = LLVMFunctionType(f64, args, 2, 0);
    val fn = large_function(v, type), r = LLVMGetPoison(v->ty);
    unsigned n = vmb_lanes(v);

    for (unsigned i = 0; i < (n ? n : 1); i++) {
        val at = LLVMConstInt(i64, i, 0), one;
        val arg[2] = { n ? LLVMBuildExtractElement(v->b, x, at, "") : x,
                       LLVMConstInt(i64, quarter, 0) };

        one = LLVMBuildCall2(v->b, type, fn, arg, 2, "");
        r = n ? LLVMBuildInsertElement(v->b, r, one, at, "") : one;
    }
    return r;
}

static val
any_lane(struct vm *v, val c)
{
    unsigned n = vmb_lanes(v);
    LLVMTypeRef mask = LLVMIntTypeInContext(v->ctx, n);

    if (n == 0)
        return c;
    c = LLVMBuildBitCast(v->b, c, mask, "");
    return LLVMBuildICmp(v->b, LLVMIntNE, c, LLVMConstNull(mask), "");
}

static val
sin_wide(struct vm *v, val x, unsigned quarter, bool low)
{
    val a = vmb_abs(v, x), fast = sin_moderate(v, x, quarter, low), large, slow, phi, from[2];
    LLVMBasicBlockRef here = LLVMGetInsertBlock(v->b), block[2], join;
    val fn = LLVMGetBasicBlockParent(here);

    if (quarter == 0) /* keeps -0 and subnormals */
        fast = vmb_sel(v, vmb_cmp(v, LLVMRealOLT, a, vmb_k(v, 0x1p-27)), x, fast);
    large = vmb_land(v, vmb_cmp(v, LLVMRealOGT, a, vmb_k(v, LARGE)),
                     vmb_cmp(v, LLVMRealOLT, a, vmb_k(v, INFINITY)));
    block[0] = here;
    block[1] = LLVMAppendBasicBlockInContext(v->ctx, fn, "trig.large");
    join = LLVMAppendBasicBlockInContext(v->ctx, fn, "trig.join");
    LLVMBuildCondBr(v->b, any_lane(v, large), block[1], join);
    LLVMPositionBuilderAtEnd(v->b, block[1]);
    slow = each_lane_large(v, vmb_sel(v, large, x, vmb_k(v, LARGE)), quarter);
    from[0] = fast;
    from[1] = vmb_sel(v, large, slow, fast);
    LLVMBuildBr(v->b, join);
    LLVMPositionBuilderAtEnd(v->b, join);
    phi = LLVMBuildPhi(v->b, v->ty, "");
    LLVMAddIncoming(phi, from, block, 2);
    return phi;
}

static val
sin_op(struct vm *v, val x, val y, bool low)
{
    (void)y;
    return sin_wide(v, x, 0, low);
}

static val
cos_op(struct vm *v, val x, val y, bool low)
{
    (void)y;
    return sin_wide(v, x, 1, low);
}

val
vm_sin(struct vm *v, val x, val y)
{
    return vmb_via_double(v, sin_op, x, y);
}

val
vm_cos(struct vm *v, val x, val y)
{
    return vmb_via_double(v, cos_op, x, y);
}

val
vm_angle(struct vm *v, enum ir_op op, val x)
{
    struct vm w = vmb_wide(v);

    if (vmb_double(v))
        return vm_emit(v, op, x, NULL);
    return LLVMBuildFPTrunc(v->b, sin_wide(&w, x, op == IR_cos, true), v->ty, "");
}
