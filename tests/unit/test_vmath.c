/* Measures the error of every function of codegen/vmath.h against long double and fails beyond
 * the stated bounds. Each function is compiled for each instruction set this machine can run
 * and called on the same inputs; the module is linked without any library, so a stray call to
 * libm is an error. Prints the table of docs/numerics-vmath.md.
 *
 *     test_vmath [--exhaustive]     all 2^32 floats instead of every 997th, 20 times the doubles */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "codegen/vmath.h"

static int passed, failed;

static void
check(bool ok, const char *what, const char *detail)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAILED: %s %s\n", what, detail);
}

/* ---- references ---- */

typedef long double real;

static real ref_neg(real x, real y) { (void)y; return -x; }
static real ref_exp(real x, real y) { (void)y; return expl(x); }
static real ref_log(real x, real y) { (void)y; return logl(x); }
static real ref_sqrt(real x, real y) { (void)y; return sqrtl(x); }
static real ref_abs(real x, real y) { (void)y; return fabsl(x); }
static real ref_tanh(real x, real y) { (void)y; return tanhl(x); }
static real ref_sigmoid(real x, real y) { (void)y; return 1 / (1 + expl(-x)); }
static real ref_relu(real x, real y) { (void)y; return x < 0 ? 0 : x; }
static real ref_elu(real x, real y) { (void)y; return x > 0 ? x : expm1l(x); }
static real ref_sin(real x, real y) { (void)y; return sinl(x); }
static real ref_cos(real x, real y) { (void)y; return cosl(x); }
static real ref_floor(real x, real y) { (void)y; return floorl(x); }
static real ref_pow(real x, real y) { return powl(x, y); }
static real ref_min(real x, real y) { return isnan(x) || isnan(y) ? x + y : x < y ? x : y; }
static real ref_max(real x, real y) { return isnan(x) || isnan(y) ? x + y : x > y ? x : y; }

static real
ref_silu(real x, real y)
{
    (void)y;
    return x == -INFINITY ? -0.0L : x / (1 + expl(-x));
}

static real
ref_softplus(real x, real y)
{
    (void)y;
    return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x));
}

/* x Phi(x); a = -x/sqrt 2 needs its rounding error d, which erfc multiplies by 2 a. */
static real
ref_gelu(real x, real y)
{
    const real c = 0.707106781186547524400844362104849039L;
    real a = -x * c, d;

    (void)y;
    if (x == -INFINITY)
        return -0.0L;
    if (!isfinite(x) || a < -12)
        return x;
    if (a > 100)
        return -0.0L;
    d = fmal(-x, c, -a) - x * (fmal(-c, c, 0.5L) * c); /* sqrt(1/2) - c = (1/2 - c^2) c */
    return x / 2 * (erfcl(a) - 1.12837916709551257390L * expl(-a * a) * d);
}

/* Bounds in ulp: float and double, the second of each pair without FMA. The float functions
 * other than exp and log are rounded once from double. */
struct function {
    enum ir_op op;
    const char *name;
    real (*ref)(real x, real y);
    int nargs;
    double bound[2][2];
    double lo, hi;     /* where most double inputs lie */
};
static const struct function functions[] = {
    { IR_exp, "exp", ref_exp, 1, { { 1.05, 1.1 }, { 1.05, 1.1 } }, -750, 715 },
    { IR_log, "log", ref_log, 1, { { 1, 1 }, { 1, 1 } }, 0, 4 },
    { IR_tanh, "tanh", ref_tanh, 1, { { 0.51, 0.51 }, { 3, 3 } }, -20, 20 },
    { IR_sigmoid, "sigmoid", ref_sigmoid, 1, { { 0.51, 0.51 }, { 3, 3 } }, -750, 40 },
    { IR_elu, "elu", ref_elu, 1, { { 0.51, 0.51 }, { 2, 2 } }, -40, 1 },
    { IR_gelu, "gelu", ref_gelu, 1, { { 0.51, 0.51 }, { 5, 5 } }, -39, 10 },
    { IR_silu, "silu", ref_silu, 1, { { 0.51, 0.51 }, { 4, 4 } }, -752, 40 },
    { IR_softplus, "softplus", ref_softplus, 1, { { 0.51, 0.51 }, { 3, 3 } }, -745, 40 },
    { IR_sin, "sin", ref_sin, 1, { { 0.51, 0.51 }, { 1, 1 } }, -1e6, 1e6 },
    { IR_cos, "cos", ref_cos, 1, { { 0.51, 0.51 }, { 1, 1 } }, -1e6, 1e6 },
    { IR_pow, "pow", ref_pow, 2, { { 0.51, 0.51 }, { 2, 2 } }, -10, 50 },
    { IR_sqrt, "sqrt", ref_sqrt, 1, { { 0.51, 0.51 }, { 0.51, 0.51 } }, 0, 100 },
    { IR_neg, "neg", ref_neg, 1, { { 0, 0 }, { 0, 0 } }, -9, 9 },
    { IR_abs, "abs", ref_abs, 1, { { 0, 0 }, { 0, 0 } }, -9, 9 },
    { IR_floor, "floor", ref_floor, 1, { { 0, 0 }, { 0, 0 } }, -9, 9 },
    { IR_relu, "relu", ref_relu, 1, { { 0, 0 }, { 0, 0 } }, -9, 9 },
    { IR_min, "min", ref_min, 2, { { 0, 0 }, { 0, 0 } }, -9, 9 },
    { IR_max, "max", ref_max, 2, { { 0, 0 }, { 0, 0 } }, -9, 9 },
};
enum { NFUNCTIONS = sizeof functions / sizeof *functions };

/* ---- targets ---- */

struct target {
    const char *name, *cpu;
    bool fma, avx512;
    unsigned lanes[2];  /* the natural number of float, double lanes */
};
static const struct target targets[] = {
#if defined __x86_64__
    { "v2", "x86-64-v2", false, false, { 4, 2 } },
    { "v3", "x86-64-v3", true, false, { 8, 4 } },
    { "v4", "x86-64-v4", true, true, { 16, 8 } },
#else
    { "host", "generic", true, false, { 4, 2 } },
#endif
};
enum { NTARGETS = sizeof targets / sizeof *targets };

static bool
runs_here(const struct target *t)
{
#if defined __x86_64__
    if (t->avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (t->fma)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)t;
    return true;
}

static LLVMTargetMachineRef
machine(const char *triple, const char *cpu)
{
    LLVMTargetRef t;
    char *error = NULL;

    if (LLVMGetTargetFromTriple(triple, &t, &error)) {
        LLVMDisposeMessage(error);
        return NULL;
    }
    return LLVMCreateTargetMachine(t, triple, cpu, "", LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

/* ---- the compiled loop: void f(T *x, T *y, T *out, i64 n), n a multiple of the lanes ---- */

typedef void (*loop_fn)(const void *x, const void *y, void *out, int64_t n);

static LLVMValueRef
element(LLVMBuilderRef b, LLVMTypeRef lane, LLVMValueRef base, LLVMValueRef i)
{
    return LLVMBuildGEP2(b, lane, base, &i, 1, "");
}

static LLVMValueRef
load(LLVMBuilderRef b, LLVMTypeRef ty, LLVMValueRef at, unsigned align)
{
    LLVMValueRef r = LLVMBuildLoad2(b, ty, at, "");

    LLVMSetAlignment(r, align);
    return r;
}

static void
build_loop(struct vm *v, const struct function *f, const char *name, LLVMTypeRef lane, unsigned n)
{
    LLVMTypeRef ptr = LLVMPointerTypeInContext(v->ctx, 0), i64 = LLVMInt64TypeInContext(v->ctx);
    LLVMTypeRef args[4] = { ptr, ptr, ptr, i64 };
    unsigned align = LLVMGetTypeKind(lane) == LLVMDoubleTypeKind ? 8 : 4;
    LLVMValueRef fn = LLVMAddFunction(
        v->mod, name, LLVMFunctionType(LLVMVoidTypeInContext(v->ctx), args, 4, 0));
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(v->ctx, fn, "entry");
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(v->ctx, fn, "body"), end[2];
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(v->ctx, fn, "done");
    LLVMValueRef i, x, y, next[2];

    LLVMPositionBuilderAtEnd(v->b, entry);
    LLVMBuildBr(v->b, body);
    LLVMPositionBuilderAtEnd(v->b, body);
    i = LLVMBuildPhi(v->b, i64, "");
    x = load(v->b, v->ty, element(v->b, lane, LLVMGetParam(fn, 0), i), align);
    y = load(v->b, v->ty, element(v->b, lane, LLVMGetParam(fn, 1), i), align);
    x = vm_emit(v, f->op, x, f->nargs == 2 ? y : NULL);
    x = LLVMBuildStore(v->b, x, element(v->b, lane, LLVMGetParam(fn, 2), i));
    LLVMSetAlignment(x, align);
    next[0] = LLVMConstInt(i64, 0, 0);
    next[1] = LLVMBuildAdd(v->b, i, LLVMConstInt(i64, n ? n : 1, 0), "");
    end[0] = entry;
    end[1] = LLVMGetInsertBlock(v->b);
    LLVMAddIncoming(i, next, end, 2);
    x = LLVMBuildICmp(v->b, LLVMIntSLT, next[1], LLVMGetParam(fn, 3), "");
    LLVMBuildCondBr(v->b, x, body, done);
    LLVMPositionBuilderAtEnd(v->b, done);
    LLVMBuildRetVoid(v->b);
}

/* A module with the loop for lanes[0..k-1] lanes (0: scalar), named f<lanes>; verified, optimized.
 */
static LLVMModuleRef
build_module(LLVMContextRef ctx, LLVMTargetMachineRef tm, const struct function *f, int type,
             const unsigned *lanes, int k, bool fma, bool avx512)
{
    struct vm v = { .ctx = ctx, .fma = fma, .avx512 = avx512 };
    char *triple = LLVMGetTargetMachineTriple(tm), *error = NULL, name[16];
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    LLVMTypeRef lane = type ? LLVMDoubleTypeInContext(ctx) : LLVMFloatTypeInContext(ctx);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();

    v.mod = LLVMModuleCreateWithNameInContext(f->name, ctx);
    v.b = LLVMCreateBuilderInContext(ctx);
    LLVMSetTarget(v.mod, triple);
    LLVMSetModuleDataLayout(v.mod, layout);
    for (int i = 0; i < k; i++) {
        snprintf(name, sizeof name, "f%u", lanes[i]);
        v.ty = lanes[i] ? LLVMVectorType(lane, lanes[i]) : lane;
        build_loop(&v, f, name, lane, lanes[i]);
    }
    if (LLVMVerifyModule(v.mod, LLVMReturnStatusAction, &error))
        check(false, f->name, error);
    LLVMDisposeMessage(error);
    LLVMConsumeError(LLVMRunPasses(v.mod, "default<O2>", tm, options));
    LLVMDisposePassBuilderOptions(options);
    LLVMDisposeBuilder(v.b);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    return v.mod;
}

static const unsigned all_lanes[] = { 0, 2, 4, 8, 16 };
enum { NLANES = sizeof all_lanes / sizeof *all_lanes };

/* One function compiled for one target with every number of lanes. */
struct compiled {
    LLVMOrcLLJITRef jit;
    loop_fn loop[NLANES];
    int natural;
};

static bool
jit_error(LLVMErrorRef e, const char *what)
{
    char *message;

    if (!e)
        return false;
    message = LLVMGetErrorMessage(e);
    check(false, what, message);
    LLVMDisposeErrorMessage(message);
    return true;
}

/* No symbol generator is added: any call out of the module fails to link. */
static bool
compile(struct compiled *c, const struct target *t, const struct function *f, int type)
{
    char *triple = LLVMGetDefaultTargetTriple(), *error = NULL, name[16];
    LLVMTargetMachineRef tm = machine(triple, t->cpu);
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMModuleRef mod = build_module(ctx, tm, f, type, all_lanes, NLANES, t->fma, t->avx512);
    LLVMMemoryBufferRef object = NULL;
    LLVMOrcExecutorAddress at;
    bool bad;

    memset(c, 0, sizeof *c);
    bad = LLVMTargetMachineEmitToMemoryBuffer(tm, mod, LLVMObjectFile, &error, &object);
    bad = bad || jit_error(LLVMOrcCreateLLJIT(&c->jit, NULL), f->name);
    bad = bad || jit_error(LLVMOrcLLJITAddObjectFile(
                               c->jit, LLVMOrcLLJITGetMainJITDylib(c->jit), object), f->name);
    for (int i = 0; !bad && i < NLANES; i++) {
        snprintf(name, sizeof name, "f%u", all_lanes[i]);
        bad = jit_error(LLVMOrcLLJITLookup(c->jit, &at, name), f->name);
        if (!bad)
            memcpy(&c->loop[i], &at, sizeof c->loop[i]);
        if (all_lanes[i] == t->lanes[type])
            c->natural = i;
    }
    LLVMDisposeModule(mod);
    LLVMContextDispose(ctx);
    LLVMDisposeTargetMachine(tm);
    LLVMDisposeMessage(triple);
    return !bad;
}

/* ---- inputs ---- */

static uint64_t
random64(uint64_t *s)
{
    uint64_t z = (*s += 0x9e3779b97f4a7c15u); /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static const double edges[] = {
    0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, INFINITY, -INFINITY, NAN, 5e-324, -5e-324,
    0x1p-149, -0x1p-149, 0x1p-126, -0x1p-126, 0x1p-1022, -0x1p-1022, FLT_MAX, -FLT_MAX, DBL_MAX,
    -DBL_MAX, 0x1p53, -0x1p53, 0x1.fffffffffffffp52, 0x1.fffffep23, -0x1.fffffep23, 0x1p24, 4, 1e9,
    88.722839, 88.72284, -87.33655, -103.97208, -103.97209, 709.782712893384, 709.7827128933841,
    -708.3964185322641, -745.1332191019411, -745.1332191019412, -752, -38.5, 1e22, 0x1p20, -0x1p20,
    0x1.0000000000001p20, 0x1.6ac5b262ca1ffp849, 0x1.4f38fbb1ac1b4p27, 0x1.921fb54442d18p0,
    0x1.921fb6p0, 0x1.fffffffffffffp-1, 0x1.0000000000001p0, 0x1.fffffep-1, 0x1.000002p0, 1e300,
};
enum { NEDGES = sizeof edges / sizeof *edges };

/* One of three kinds: any bit pattern, near the interesting range, any small exponent. */
static double
sample(const struct function *f, uint64_t *seed, bool second)
{
    uint64_t r = random64(seed), kind = random64(seed);
    double u = (double)(r >> 11) * 0x1p-53, x;

    if (kind % 4 == 0) {
        memcpy(&x, &r, sizeof x);
        return x;
    }
    if (kind % 4 == 1)
        return ldexp(2 * u - 1, (int)(kind >> 8 & 63) - 48);
    if (second) /* pow's exponent: some whole, some large */
        return kind >> 8 & 1 ? floor(200 * (u - 0.5)) : ldexp(u - 0.5, (int)(kind >> 9 & 15));
    return f->lo + (f->hi - f->lo) * u;
}

enum { CHUNK = 1 << 14 };
struct inputs {
    double x[CHUNK], y[CHUNK];      /* rounded to float for float */
    float xf[CHUNK], yf[CHUNK];
    real want[CHUNK];
};

/* Chunk number `c`: edge pairs first, then patterns (one-argument floats) or samples. False
 * past the end. */
static bool
fill(struct inputs *in, const struct function *f, int type, uint64_t c, bool exhaustive)
{
    uint64_t seed = 1000003 * c + (uint64_t)f->op, stride = exhaustive ? 1 : 997;
    bool patterns = type == 0 && f->nargs == 1;
    uint64_t chunks = patterns ? (0xffffffffu / stride) / CHUNK + 2 : exhaustive ? 800 : 40;

    if (c >= chunks)
        return false;
    for (uint64_t i = 0; i < CHUNK; i++) {
        double x = sample(f, &seed, false), y = sample(f, &seed, true);

        if (c == 0 && i < NEDGES * NEDGES) {
            x = edges[i % NEDGES];
            y = edges[i / NEDGES];
        } else if (c > 0 && patterns) {
            uint32_t bits = (uint32_t)(((c - 1) * CHUNK + i) * stride);
            float g;

            memcpy(&g, &bits, sizeof g);
            x = g;
        }
        in->xf[i] = (float)x;
        in->yf[i] = (float)y;
        in->x[i] = type ? x : in->xf[i];
        in->y[i] = type ? y : in->yf[i];
        in->want[i] = f->ref(in->x[i], in->y[i]);
    }
    return true;
}

/* ---- judging ---- */

/* |got - want| in units of want's last place in the type; inf counts as one step past the
 * largest number. Signs of zeros must agree (except of min, max, relu: either zero will do). */
static double
ulps(double got, real want, int type, bool any_zero)
{
    int digits = type ? DBL_MANT_DIG : FLT_MANT_DIG, least = type ? DBL_MIN_EXP : FLT_MIN_EXP;
    real top = ldexpl(1, type ? DBL_MAX_EXP : FLT_MAX_EXP), have = got;
    int e;

    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (want == 0 && got == 0)
        return any_zero || !signbit(want) == !signbit(got) ? 0 : INFINITY;
    if (fabsl(want) > top)
        want = copysignl(top, want);
    if (isinf(got))
        have = copysignl(top, have);
    if (have == want)
        return 0;
    frexpl(want, &e);
    e = want == 0 || e < least ? least : e;
    return (double)(fabsl(have - want) * ldexpl(1, digits - e));
}

struct worst {
    double err, x, y;
};

static void
judge(struct worst *w, const struct inputs *in, const void *out, const struct function *f, int type)
{
    bool any_zero = f->op == IR_min || f->op == IR_max || f->op == IR_relu;

    for (int i = 0; i < CHUNK; i++) {
        double got = type ? ((const double *)out)[i] : ((const float *)out)[i];
        double e = ulps(got, in->want[i], type, any_zero);

        if (e > w->err)
            *w = (struct worst){ e, in->x[i], in->y[i] };
    }
}

/* Every number of lanes must give the same bits (NaNs: any NaN). */
static void
compare_lanes(const struct compiled *c, const struct inputs *in, const void *want,
              const struct function *f, int type)
{
    static double buffer[CHUNK];
    const void *x = type ? (const void *)in->x : in->xf, *y = type ? (const void *)in->y : in->yf;
    size_t size = type ? 8 : 4;

    for (int k = 0; k < NLANES; k++) {
        int different = 0;

        c->loop[k](x, y, buffer, CHUNK);
        for (size_t i = 0; i < CHUNK; i++) {
            double a = type ? buffer[i] : ((float *)buffer)[i];

            different += !isnan(a) && memcmp((char *)buffer + i * size,
                                             (const char *)want + i * size, size) != 0;
        }
        check(different == 0, f->name, "depends on the number of lanes");
    }
}

static void
test_function(const struct function *f, int type, bool exhaustive)
{
    static struct inputs in;
    static double out[CHUNK];
    struct compiled c[NTARGETS];
    struct worst w[NTARGETS] = { { 0, 0, 0 } }, worst = { 0, 0, 0 };
    bool ok[NTARGETS];

    for (int t = 0; t < NTARGETS; t++)
        ok[t] = runs_here(&targets[t]) && compile(&c[t], &targets[t], f, type);
    for (uint64_t k = 0; fill(&in, f, type, k, exhaustive); k++) {
        for (int t = 0; t < NTARGETS; t++) {
            if (!ok[t])
                continue;
            c[t].loop[c[t].natural](type ? (void *)in.x : in.xf, type ? (void *)in.y : in.yf,
                                    out, CHUNK);
            judge(&w[t], &in, out, f, type);
            if (k < 2)
                compare_lanes(&c[t], &in, out, f, type);
        }
    }
    printf("| %-8s | %s |", f->name, type ? "f64" : "f32");
    for (int t = 0; t < NTARGETS; t++) {
        char detail[128];
        double bound = f->bound[type][!targets[t].fma];

        if (!ok[t]) {
            printf("   --  |");
            continue;
        }
        printf(" %5.3f |", w[t].err);
        snprintf(detail, sizeof detail, "%s %s: %.4f ulp at x = %a y = %a, bound %.2f",
                 type ? "f64" : "f32", targets[t].name, w[t].err, w[t].x, w[t].y, bound);
        if (w[t].err > worst.err)
            worst = w[t];
        LLVMOrcDisposeLLJIT(c[t].jit);
        check(w[t].err <= bound, f->name, detail);
    }
    if (worst.err > 0)
        printf(f->nargs == 2 ? " %a, %a |\n" : " %a |\n", worst.x, worst.y);
    else
        printf(" exact |\n");
    fflush(stdout);
}

/* AArch64 cannot run here, but its assembly must not call anything but attn_trig_large. */
static void
test_aarch64_calls(void)
{
    LLVMTargetMachineRef tm = machine("aarch64-linux-gnu", "generic");

    for (int i = 0; tm && i < 2 * NFUNCTIONS; i++) {
        LLVMContextRef ctx = LLVMContextCreate();
        LLVMModuleRef mod = build_module(ctx, tm, &functions[i / 2], i % 2, all_lanes, NLANES,
                                         true, false);
        LLVMMemoryBufferRef text = NULL;
        char *error = NULL;
        const char *s;

        if (LLVMTargetMachineEmitToMemoryBuffer(tm, mod, LLVMAssemblyFile, &error, &text)) {
            check(false, functions[i / 2].name, error);
        } else {
            for (s = LLVMGetBufferStart(text); (s = strstr(s, "\tbl\t")); s += 4)
                check(strncmp(s + 4, "attn_trig_large", 15) == 0, functions[i / 2].name,
                      "calls a function on AArch64");
            LLVMDisposeMemoryBuffer(text);
        }
        LLVMDisposeModule(mod);
        LLVMContextDispose(ctx);
        check(true, "", "");
    }
    if (tm)
        LLVMDisposeTargetMachine(tm);
}

int
main(int argc, char **argv)
{
    bool exhaustive = argc > 1 && strcmp(argv[1], "--exhaustive") == 0;

    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    printf("| function | type |");
    for (int t = 0; t < NTARGETS; t++)
        printf(" %s |", targets[t].name);
    printf(" worst at |\n");
    for (int i = 0; i < NFUNCTIONS; i++)
        for (int type = 0; type < 2; type++)
            test_function(&functions[i], type, exhaustive);
    test_aarch64_calls();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
