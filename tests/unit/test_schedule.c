/* Schedules and code against the interpreter, on functions built by hand.
 *
 * Every program is run three ways: by the interpreter (the meaning), by the tile executor (over the
 * exact field, or f64 where a maximum is involved) and as native code of each instruction set this
 * machine has. Native code runs on small whole numbers, on which f32 is exact as long as nothing is
 * divided or rounded: num and den are compared bit for bit by taking out = num (normalize = 1). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "frontend/driver/values.h"
#include "passes/schedule.h"
#include "thinned.h"

static int passed, failed;
static const span_t S = {0, 0};

static void
check(bool ok, const char *what, const int64_t *d)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s at B=%lld H=%lld G=%lld n_q=%lld n=%lld D=%lld M=%lld\n", what,
           (long long)d[0], (long long)d[1], (long long)d[2], (long long)d[3], (long long)d[4],
           (long long)d[5], (long long)d[6]);
}

/* ---- programs ---- */

enum program {
    POWER, CAUSAL, WINDOW, PREFIX_OR, SOFTMAX, DISTANCE, FADED, FADED_ROW,
    LINEAR, LINEAR_GQA, GATED, GATED_ROW, NPROGRAMS
};
static const char *const names[] = {
    "power",  "causal",          "window", "prefix",        "softmax", "distance",
    "faded",  "faded by a row",  "linear", "linear per head", "gated", "gated by a row"};

static ir_ref
op(struct ir_func *f, enum ir_op o, ir_ref a, ir_ref b)
{
    return ir_op2(f, o, a, b, S);
}

static ir_ref
num_i(struct ir_func *f, long v)
{
    return ir_const_i(f, v, 1, S);
}

/* The logarithm of the row sum as a second result. */
static void
add_lse(struct ir_func *f, ir_ref de, ir_ref any)
{
    struct ir_param p = {.name = "lse", .role = PARAM_OUTPUT, .rank = 3,
                         .dims = {DIM_B, DIM_H, DIM_NQ}};
    ir_param_add(f, &p);
    f->root[ROOT_DEN] = de;
    f->root[ROOT_LSE] = ir_op1(f, IR_log, ir_select(f, any, de, num_i(f, 0), S), S);
}

static void
finish(struct ir_func *f, ir_ref nu, ir_ref de, ir_ref any, bool divide, bool lse)
{
    f->root[ROOT_NUM] = nu;
    f->root[ROOT_DEN] = divide ? de : 0;
    f->root[ROOT_ANY] = any;
    f->normalize_is_sum = divide;
    f->root[ROOT_OUT] = ir_select(f, any, divide ? op(f, IR_div, nu, de) : nu, num_i(f, 0), S);
    if (lse)
        add_lse(f, de, any);
}

/* Factors of a token: small whole numbers where k is. */
static ir_ref
gate(struct ir_func *f, bool row)
{
    ir_ref k = ir_input(f, 1, S), one = num_i(f, 1), least = num_i(f, -1);
    ir_ref at = op(f, IR_add, ir_pos(f, AX_j, S), ir_pos(f, AX_h, S));
    return row ? ir_select(f, op(f, IR_eq, op(f, IR_mod, at, num_i(f, 4)), one), least, one, S)
               : op(f, IR_max, op(f, IR_min, k, one), least);
}

/* Prefix sums that decay: with a gate per channel, or with one per token, and then also of a number
 * per token. */
static void
gated(struct ir_func *f, bool row, bool divide, bool lse)
{
    ir_ref q = ir_input(f, 0, S), k = ir_input(f, 1, S), v = ir_input(f, 2, S), g = gate(f, row);
    ir_ref one = num_i(f, 1), kv = op(f, IR_mul, k, v);
    ir_ref nu = ir_rsum(f, AX_d, op(f, IR_mul, q, ir_scan(f, kv, g, S)), S);
    ir_ref de = ir_rsum(f, AX_d, op(f, IR_mul, q, ir_scan(f, k, g, S)), S);
    if (row) {
        nu = op(f, IR_add, nu, ir_scan(f, v, g, S));
        de = op(f, IR_add, de, ir_scan(f, one, g, S));
    }
    f->kernelize = KERNELIZE_EXACT;
    f->root[ROOT_MASK] = op(f, IR_le, ir_pos(f, AX_j, S), ir_pos(f, AX_i, S));
    finish(f, nu, de, op(f, IR_gt, ir_scan(f, one, one, S), num_i(f, 0)), divide, lse);
}

static void
direct(struct ir_func *f, enum program which, bool divide, bool lse)
{
    ir_ref q = ir_input(f, 0, S), k = ir_input(f, 1, S), v = ir_input(f, 2, S);
    ir_ref i = ir_pos(f, AX_i, S), j = ir_pos(f, AX_j, S), one = num_i(f, 1), zero = num_i(f, 0);
    ir_ref s = ir_rsum(f, AX_d, op(f, IR_mul, q, k), S),
           sim = ir_powi(f, op(f, IR_add, s, one), 2, S), mask = 0;
    if (which == DISTANCE)
        sim = ir_rsum(f, AX_d, ir_op1(f, IR_abs, op(f, IR_sub, q, k), S), S);
    if (which == FADED || which == FADED_ROW) {
        ir_ref d = ir_op1(f, IR_decay, gate(f, which == FADED_ROW), S), qk = op(f, IR_mul, q, k);
        sim = which == FADED ? ir_rsum(f, AX_d, op(f, IR_mul, qk, d), S) : op(f, IR_mul, sim, d);
    }
    if (which == CAUSAL || which == SOFTMAX || which == FADED || which == FADED_ROW)
        mask = op(f, IR_le, j, i);
    if (which == WINDOW)
        mask = op(f, IR_and, op(f, IR_lt, op(f, IR_sub, i, j), num_i(f, 5)),
                  op(f, IR_lt, op(f, IR_sub, j, i), num_i(f, 70)));
    if (which == PREFIX_OR)
        mask = op(f, IR_or, op(f, IR_le, j, i), op(f, IR_lt, j, num_i(f, 67)));
    if (which == SOFTMAX) {
        ir_ref low = ir_node(f, IR_ninf, (ir_attr){0}, 0, 0, 0, S);
        ir_ref top = ir_rmax(f, AX_j, ir_select(f, mask, s, low, S), S);
        sim = ir_op1(f, IR_exp, op(f, IR_sub, s, top), S);
    }
    ir_ref w = mask ? ir_select(f, mask, sim, zero, S) : sim;
    ir_ref any = mask ? op(f, IR_gt, ir_rsum(f, AX_j, ir_select(f, mask, one, zero, S), S), zero)
                      : op(f, IR_gt, ir_dimval(f, DIM_N, S), zero);
    f->root[ROOT_MASK] = mask;
    finish(f, ir_rsum(f, AX_j, op(f, IR_mul, w, v), S), ir_rsum(f, AX_j, w, S), any,
           divide || which == SOFTMAX, lse);
}

/* (a*(q.k) + 1)^3 in its rewritten form; a depends on the head in the second variant. */
static void
linear(struct ir_func *f, enum program which, bool divide, bool lse)
{
    ir_ref q = ir_input(f, 0, S), k = ir_input(f, 1, S), v = ir_input(f, 2, S), nu = 0, de = 0;
    if (which == LINEAR_GQA)
        k = op(f, IR_mul, k, op(f, IR_add, ir_pos(f, AX_h, S), num_i(f, 1)));
    f->kernelize = KERNELIZE_EXACT;
    for (int p = 0; p <= 3; p++) {
        ir_ref c = num_i(f, p == 1 || p == 2 ? 3 : 1), n, d;
        if (p == 0) {
            n = ir_rsum(f, AX_j, v, S);
            d = ir_dimval(f, DIM_N, S);
        } else {
            ir_ref a = ir_mono(f, AX_d, p, false, q, S),
                   b = op(f, IR_mul, c, ir_mono(f, AX_d, p, true, k, S));
            uint8_t ax = ir_axis_sym(f, AX_d, p);
            n = ir_rsum(f, ax, op(f, IR_mul, a, ir_rsum(f, AX_j, op(f, IR_mul, b, v), S)), S);
            d = ir_rsum(f, ax, op(f, IR_mul, a, ir_rsum(f, AX_j, b, S)), S);
        }
        nu = nu ? op(f, IR_add, nu, n) : n;
        de = de ? op(f, IR_add, de, d) : d;
    }
    finish(f, nu, de, op(f, IR_gt, ir_dimval(f, DIM_N, S), num_i(f, 0)), divide, lse);
}

static struct ir_func *
build(struct arena *a, enum program which, bool divide, bool lse, enum ir_type type)
{
    struct ir_func *f = ir_func_new(a, "t");
    f->type = f->acc = type;
    if (which == GATED || which == GATED_ROW)
        gated(f, which == GATED_ROW, divide, lse);
    else if (which >= LINEAR)
        linear(f, which, divide, lse);
    else
        direct(f, which, divide, lse);
    return f;
}

/* ---- over the field (or f64) by the tile executor ---- */

static void
exec_one(enum program which, const int64_t *dims)
{
    struct arena *a = arena_new();
    bool lse = (dims[3] + which) % 2;
    struct ir_func *f = build(a, which, true, lse, TYPE_F64);
    struct schedule_tuning t = {.query_tile = 16, .key_tile = 7, .chunk = 5, .feature_block = 6};
    struct diag d;
    const char *why = NULL;
    diag_init(&d, NULL, stderr);
    struct tile_prog *p = schedule_forward(a, f, &t, &d);
    span_t at;
    const char *bad = tile_verify(p, a, &at);
    if (bad)
        printf("%s: %s\n", names[which], bad);
    check(!bad, "tile_verify", dims);
    int64_t nq = dims[0] * dims[1] * dims[3] * dims[5], nk = dims[0] * dims[2] * dims[4] * dims[5];
    int64_t nv = dims[0] * dims[2] * dims[4] * dims[6], rows = dims[0] * dims[1] * dims[3],
            no = rows * dims[6];
    num *mem = xmalloc(sizeof(num) * (size_t)(nq + nk + nv + 2 * (no + rows) + 1)),
        *want = mem + nq + nk + nv, *got = want + no + rows;
    const num *params[1] = {got + no};
    enum num_domain dom = which == SOFTMAX ? NUM_F64 : NUM_GF;
    uint64_t state = (uint64_t)dims[3] * 77 + (uint64_t)which;
    for (int64_t k = 0; k < nq + nk + nv; k++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        mem[k] = dom == NUM_F64 ? (num){.f = (double)(state >> 40) / (1 << 23) - 1}
                                : (num){.u = (state >> 3) % GF_P};
    }
    struct interp_input in = {
        .dom = dom, .dims = dims, .q = mem, .k = mem + nq, .v = mem + nq + nk, .params = params};
    struct tile_count run, counted;
    bool ok = !bad && interp_node(f, f->root[ROOT_OUT], &in, want, &why) &&
              (!lse || interp_node(f, f->root[ROOT_LSE], &in, want + no, &why)) &&
              tile_exec(p, &in, got, &run, &why);
    for (int64_t k = 0; ok && k < no + (lse ? rows : 0); k++)
        ok = dom == NUM_GF ? want[k].u == got[k].u : fabs(want[k].f - got[k].f) <= 1e-12;
    check(ok, names[which], dims);
    /* what the loops say they do is what was done, operation by operation */
    check(ok && tile_count(p, &in, &counted, &why) && !memcmp(&run, &counted, sizeof run),
          "tile_count", dims);
    free(mem);
    ir_func_free(f);
    arena_free(a);
}

/* ---- native code, bit for bit ---- */

/* The logarithms of the row sums, which are whole numbers but for softmax. */
static bool
native_lse(const struct ir_func *f, const struct values *v, const struct interp_input *in)
{
    int64_t n = v->count[4];
    num *want = xmalloc(sizeof(num) * (size_t)(n + 1));
    const char *why = NULL;
    bool ok = interp_node(f, f->root[ROOT_LSE], in, want, &why);
    for (int64_t e = 0; ok && e < n; e++) {
        double x = values_get(v, 4, e), w = want[e].f;
        ok = isfinite(w) ? fabs(x - w) < 1e-5 * (1 + fabs(w)) : !isfinite(x);
    }
    free(want);
    return ok;
}

static void
native_one(const struct cg_target *target, enum program which, enum ir_type type, bool fixed,
           const int64_t *dims)
{
    struct arena *a = arena_new();
    bool lse = (dims[3] + which) % 2;
    struct ir_func *f = build(a, which, false, lse, type);
    if (fixed) {
        f->dims[DIM_D].size = dims[DIM_D];
        f->dims[DIM_M].size = dims[DIM_M];
    }
    struct schedule_tuning t = schedule_default_tuning;
    struct diag d;
    struct values v;
    struct cg_jit *jit = NULL;
    struct cg_options o = {.variant = {target}, .nvariants = 1, .opt_level = 2};
    const char *why = NULL;
    diag_init(&d, NULL, stderr);
    const struct tile_prog *p[1] = {schedule_forward(a, f, &t, &d)};
    struct cg_module *m = cg_build(a, p, 1, &o);
    const attn_kernel *k = cg_jit_compile(m, &jit, &why);
    bool ok = k && values_alloc(&v, f, k, dims);
    if (ok) {
        int64_t n = v.count[3];
        num *want = xmalloc(sizeof(num) * (size_t)(n + 1));
        values_random(&v, (uint64_t)dims[4] + 3, true);
        struct interp_input in = values_interp(&v);
        attn_exec one = {.threads = 1}, three = {.threads = 3};
        ok = values_launch(&v, &one) == 0 && interp_node(f, f->root[ROOT_OUT], &in, want, &why);
        double worst = 0;
        for (int64_t e = 0; ok && e < n; e++) {
            double x = values_get(&v, 3, e), err = fabs(x - want[e].f);
            worst = err > worst ? err : worst;
        }
        ok = ok && (which == SOFTMAX ? worst < 1e-5 : worst == 0) &&
             (!lse || native_lse(f, &v, &in));
        if (!ok)
            printf("%s %s %s: worst %g %s\n", target->name, type == TYPE_F64 ? "f64" : "f32",
                   names[which], worst, why ? why : attn_message());
        size_t bytes = (size_t)n * (type == TYPE_F64 ? 8 : 4);
        void *first = xmalloc(bytes);
        memcpy(first, v.data[3], bytes);
        ok = ok && values_launch(&v, &three) == 0 && !memcmp(first, v.data[3], bytes);
        free(first);
        free(want);
        values_free(&v);
    }
    check(ok, arena_printf(a, "%s native %s", names[which], target->name), dims);
    cg_jit_free(jit);
    cg_free(m);
    ir_func_free(f);
    arena_free(a);
}

int
main(void)
{
    static const int64_t odd[] = {1, 2, 3, 7, 16, 17, 64, 65};
    for (int w = 0; w < NPROGRAMS; w++)
        for (int a = 0; a < 8; a++)
            for (int b = 0; b < 4; b++) {
                int64_t n = odd[(a + b) % 8] % 40,
                        dims[] = {1 + a % 2,          2, 1 + b % 2,
                                  b == 3 ? n / 2 : n, n, 1 + (a + 2 * b) % 5,
                                  1 + (b + a) % 4};
                exec_one((enum program)w, dims);
            }
    for (int t = 0; t < cg_target_count; t++)
        for (int w = 0; w < NPROGRAMS && cg_targets[t].isa <= attn_isa_level(); w++)
            for (int a = 0; a < 8; a += thinned() ? 3 : 1) {
                int64_t n = a % 2 ? odd[a] * 3 : odd[7 - a];
                int64_t dims[] = {1,
                                  4,
                                  a % 3 ? 2 : 4,
                                  a == 5   ? n / 2
                                  : a == 6 ? 0
                                           : n,
                                  a == 7 ? 300 : n,
                                  odd[a],
                                  odd[(a * 3 + 1) % 8]};
                if (w >= LINEAR && dims[5] > 7)
                    dims[5] = 7;
                native_one(&cg_targets[t], (enum program)w, a == 2 ? TYPE_F64 : TYPE_F32, a % 2,
                           dims);
            }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
