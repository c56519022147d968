/* Command `check`: the compiled kernel against the f64 reference of the program as written.
 *
 * Each element may differ by an amount that grows with its condition: the sum of |weight * value|
 * and of |out * weight| over the normaliser, so that similarities that cancel are judged by what
 * floating point can give. Sums wider than the tensors are rounded once more, to the result's type.
 * Reported is the element that comes closest to its bound, all in units of the largest reference
 * value. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/check.h"

/* 33 units in the last place at condition 1, growing with the depth of the summation tree. */
static const double base_bound[] = {[TYPE_F32] = 2e-6, [TYPE_F64] = 8e-15};

enum { ROW_BUDGET = 50000000 };

/* n with every summand replaced by its absolute value. */
static ir_ref
absolute(struct ir_func *f, ir_ref n)
{
    const struct ir_node x = f->nodes[n];
    span_t at = {0, 0};
    ir_ref arg[3] = {x.arg[0], x.arg[1], x.arg[2]};
    if (x.op == IR_rsum || x.op == IR_add || x.op == IR_mul || x.op == IR_powi) {
        for (int k = 0; k < x.nargs; k++)
            arg[k] = absolute(f, arg[k]);
        return ir_with_args(f, n, arg);
    }
    return ir_op1(f, IR_abs, n, at);
}

/* |n|, times 1 + |e| for every factor exp(e): a rounding of the exponent scales the exponential. */
static ir_ref
weight_size(struct ir_func *f, ir_ref n)
{
    const struct ir_node x = f->nodes[n];
    span_t at = {0, 0};
    ir_ref size = ir_op1(f, IR_abs, n, at), one = ir_const_i(f, 1, 1, at);
    if (x.op == IR_mul)
        return ir_op2(f, IR_mul, weight_size(f, x.arg[0]), weight_size(f, x.arg[1]), at);
    if (x.op != IR_exp)
        return size;
    ir_ref e = ir_op1(f, IR_abs, x.arg[0], at);
    return ir_op2(f, IR_mul, size, ir_op2(f, IR_add, one, e, at), at);
}

/* What the rounding errors of a row are relative to: sums over the keys of |w v| and |w|, and the
 * normaliser. In state form what cancels are the terms of the expanded similarity, feature by
 * feature, so each of its dots is then one of absolute values. */
struct condition {
    struct ir_func *sums;        /* the function num and den belong to */
    ir_ref num, den, normaliser; /* normaliser: of the source function, 0 for none */
};

/* A bound for the error of n, a value of index notation, in roundings: sums count their terms, a
 * function passes on what its argument has times its steepest slope. */
static ir_ref
error_size(struct ir_func *f, ir_ref n)
{
    const struct ir_node x = f->nodes[n];
    span_t at = {0, 0};
    ir_ref size = ir_op1(f, IR_abs, n, at), one = ir_const_i(f, 1, 1, at), e[3] = {0}, a[3] = {0};
    for (int k = 0; k < x.nargs; k++) {
        e[k] = error_size(f, x.arg[k]);
        a[k] = ir_op1(f, IR_abs, x.arg[k], at);
    }
    if (x.op == IR_rsum)
        return ir_rsum(f, x.attr.axis, e[0], at);
    if (x.op == IR_rmax)
        return ir_rmax(f, x.attr.axis, e[0], at);
    if (x.op == IR_pick)
        return ir_pick(f, x.attr.axis, e[0], x.arg[1], at);
    if (x.op == IR_argmax || x.op == IR_argsort) /* whole numbers */
        return size;
    if (x.op == IR_add || x.op == IR_sub)
        return ir_op2(f, IR_add, e[0], e[1], at);
    if (x.op == IR_mul)
        return ir_op2(f, IR_add, ir_op2(f, IR_mul, a[0], e[1], at),
                      ir_op2(f, IR_mul, e[0], a[1], at), at);
    if (x.op == IR_div) { /* (e0 + |a/b| e1) / |b| */
        ir_ref both = ir_op2(f, IR_add, e[0], ir_op2(f, IR_mul, size, e[1], at), at);
        return ir_op2(f, IR_div, both, a[1], at);
    }
    if (x.op == IR_exp)
        return ir_op2(f, IR_mul, size, ir_op2(f, IR_add, one, e[0], at), at);
    if (x.op == IR_sqrt) /* 1/2 e / sqrt, and a rounding */
        return ir_op2(f, IR_add, size, ir_op2(f, IR_div, e[0], size, at), at);
    if (x.op == IR_log)
        return ir_op2(f, IR_add, size, ir_op2(f, IR_div, e[0], a[0], at), at);
    if (x.op == IR_powi) {
        ir_ref relative = ir_op2(f, IR_div, e[0], a[0], at);
        ir_ref times = ir_const_i(f, x.attr.num < 0 ? -x.attr.num : x.attr.num, 1, at);
        return ir_op2(f, IR_mul, size, ir_op2(f, IR_mul, times, relative, at), at);
    }
    if (x.op == IR_select)
        return ir_select(f, x.arg[0], e[1], e[2], at);
    for (int k = 0; k < x.nargs; k++) /* slopes of at most 1.2: gelu, silu */
        size = ir_op2(f, IR_add, size, ir_op2(f, IR_mul, ir_const_i(f, 6, 5, at), e[k], at), at);
    return size;
}

static struct condition
condition_of(struct unit *u)
{
    struct ir_func *f = u->func;
    const struct ir_func *source = u->meaning;
    const struct ir_node out = source->nodes[source->root[ROOT_OUT]];
    struct condition c = {.sums = f};
    span_t at = {0, 0};
    if (f->contraction) {
        c.num = error_size(f, f->root[ROOT_OUT]);
        return c;
    }
    ir_ref pair = f->root[ROOT_PAIR], mask = f->root[ROOT_MASK];
    ir_ref w = pair ? absolute(f, pair) : weight_size(f, f->root[ROOT_SIM]);
    if (mask)
        w = ir_select(f, mask, w, ir_const_i(f, 0, 1, at), at);
    c.den = ir_rsum(f, AX_j, w, at);
    c.num = ir_rsum(f, AX_j, ir_op2(f, IR_mul, w, ir_op1(f, IR_abs, ir_input(f, 2, at), at), at),
                    at);
    if (out.op == IR_select && source->nodes[out.arg[1]].op == IR_div)
        c.normaliser = source->nodes[out.arg[1]].arg[1];
    return c;
}

/* (sum |w v| + |out| sum |w|) / |normaliser| of one row, in cond. */
static bool
condition_row(const struct unit *u, const struct condition *c, const struct interp_input *in,
              const int64_t at[3], const num *out, num *cond, const char **why)
{
    num z = {.f = 1}, weights = {.f = 0};
    bool ok = interp_rows(c->sums, c->num, in, at[0], at[1], at[2], 1, cond, why);
    if (ok && c->normaliser)
        ok = interp_rows(c->sums, c->den, in, at[0], at[1], at[2], 1, &weights, why) &&
             interp_rows(u->meaning, c->normaliser, in, at[0], at[1], at[2], 1, &z, why);
    for (int64_t k = 0; ok && k < in->dims[DIM_M]; k++)
        cond[k].f = (cond[k].f + fabs(out[k].f) * weights.f) / fabs(z.f);
    return ok;
}

/* sum |w| / |z| + |lse| of one row: a relative error of z is an absolute one of its logarithm.
 * Where not even the sign of z is certain, it is not judged: the condition is NaN. */
static bool
condition_lse(const struct unit *u, const struct condition *c, const struct interp_input *in,
              const int64_t at[3], const num *out, num *cond, const char **why)
{
    num z = {.f = 1}, weights = {.f = 0};
    bool ok = interp_rows(c->sums, c->den, in, at[0], at[1], at[2], 1, &weights, why) &&
              interp_rows(u->meaning, u->meaning->root[ROOT_DEN], in, at[0], at[1], at[2], 1, &z,
                          why);
    double relative = weights.f / fabs(z.f);
    cond->f = relative * base_bound[u->func->acc] < 1 ? relative + fabs(out->f) : NAN;
    return ok;
}

/* The results of a function, and how each is judged. */
static const struct result {
    enum ir_root root;
    bool (*condition)(const struct unit *u, const struct condition *c,
                      const struct interp_input *in, const int64_t at[3], const num *out,
                      num *cond, const char **why);
} results[] = {{ROOT_OUT, condition_row}, {ROOT_LSE, condition_lse}};

/* Keeps the element whose error is largest in proportion to what its condition allows. */
static void
compare_row(struct values *v, struct finding *r, const num *want, const num *cond,
            const int64_t at[3])
{
    static const double lost[2] = {0x1p-150, 0}; /* by rounding near 0; f64 is the reference */
    double least = lost[v->f->type] * (double)(v->dims[DIM_N] + 1); /* by every weight of a sum */
    int64_t m = r->width, h = v->dims[DIM_H], nq = v->dims[DIM_NQ];
    for (int64_t c = 0; c < m; c++) {
        double w = want[c].f,
               g = values_get(v, r->tensor, ((at[0] * h + at[1]) * nq + at[2]) * m + c);
        double e = fabs(w - g);
        if (e < least)
            e = 0;
        if (isfinite(w) && fabs(w) > r->scale)
            r->scale = fabs(w);
        if ((!isfinite(w) && !isfinite(g)) || e == 0 || (r->tensor != 3 && isnan(cond[c].f)))
            continue;
        r->bad_number = r->bad_number || !isfinite(e);
        double rounding = v->f->acc != v->f->type ? ldexp(fabs(w), -24) + ldexp(1, -150) : 0;
        double ratio = fmax(e - rounding, 0) / cond[c].f;
        bool first = r->error == 0 && ratio == 0;
        if (isfinite(e) && !first && !(ratio > r->ratio)) /* a NaN condition judges nothing */
            continue;
        r->ratio = ratio;
        r->rounding = rounding;
        r->error = e;
        r->condition = cond[c].f;
        r->got = g;
        r->want = w;
        for (int k = 0; k < 3; k++)
            r->at[k] = at[k];
        r->at[3] = c;
    }
}

/* The row `step` further, but never past the last one without having been there. */
static int64_t
next_row(int64_t i, int64_t step, int64_t rows)
{
    return i + step < rows || i + 1 == rows ? i + step : rows - 1;
}

/* The longest vector the reference goes through per pair of a query and a key. */
static double
pair_width(const struct ir_func *f, struct arena *scratch, const int64_t *dims)
{
    const bool *live = ir_live(f, scratch);
    double most = 1;
    for (ir_ref n = 1; n < f->nnodes; n++) {
        double width = 1;
        for (ir_axes left = ir_vector_axes(f, n); left; left &= left - 1)
            width *= (double)ir_axis_size(f, (uint8_t)__builtin_ctzll(left), dims);
        if (live[n] && width > most)
            most = width;
    }
    return most;
}

/* Rows are all compared, or evenly spread ones when the reference would take too long. */
static bool
compare_result(struct unit *u, struct values *v, int tensor, struct finding *r, const char **why)
{
    struct ir_func *f = u->meaning;
    const struct result *x = &results[tensor != 3];
    struct interp_input in = values_interp(v);
    const int64_t *d = v->dims;
    double work = (double)d[DIM_B] * (double)d[DIM_H] * (double)d[DIM_NQ] * (double)d[DIM_N] *
                  (pair_width(f, u->scratch, d) + (double)d[DIM_M]);
    int64_t step = work > ROW_BUDGET ? (int64_t)(work / ROW_BUDGET) + 1 : 1;
    struct condition c = condition_of(u);
    num *want = xmalloc(sizeof(num) * (size_t)(d[DIM_M] + 1)),
        *cond = xmalloc(sizeof(num) * (size_t)(d[DIM_M] + 1));
    bool ok = true;
    *r = (struct finding){.tensor = tensor, .width = tensor == 3 ? d[DIM_M] : 1};
    for (int64_t b = 0; b < d[DIM_B]; b++)
        for (int64_t h = 0; h < d[DIM_H]; h++)
            for (int64_t i = 0; i < d[DIM_NQ] && ok; i = next_row(i, step, d[DIM_NQ])) {
                int64_t at[3] = {b, h, i};
                ok = interp_rows(f, f->root[x->root], &in, b, h, i, 1, want, why) &&
                     x->condition(u, &c, &in, at, want, cond, why);
                if (ok)
                    compare_row(v, r, want, cond, at);
                r->rows++;
            }
    free(want);
    free(cond);
    double scale = r->scale > 0 ? r->scale : 1;
    r->error /= scale;
    r->condition = r->error > 0 ? r->condition / scale : 1;
    r->bound = base_bound[f->acc] * sqrt(1 + log2((double)(d[DIM_N] > 1 ? d[DIM_N] : 1))) *
                   r->condition +
               r->rounding / scale;
    return ok;
}

/* The condition leaves f32 sums no certain digit; f64 ones have nine more. */
static bool
no_digit(const struct values *v, const struct finding *r)
{
    return r->bound >= 1 && v->f->acc == TYPE_F32;
}

static void
report_text(const struct values *v, const struct finding *r, bool pass)
{
    const int64_t *d = v->dims;
    printf("%s  b=%lld h=%lld/%lld n_q=%lld n=%lld D=%lld M=%lld  error %.2e (bound %.2e, "
           "condition %.3g)",
           pass ? "PASS" : "FAIL", (long long)d[DIM_B], (long long)d[DIM_H], (long long)d[DIM_G],
           (long long)d[DIM_NQ], (long long)d[DIM_N], (long long)d[DIM_D], (long long)d[DIM_M],
           r->error, r->bound, r->condition);
    if (r->error > 0)
        printf("  worst at %s[%lld,%lld,%lld,%lld]: %.9g, expected %.9g",
               v->kernel->tensors[r->tensor].name, (long long)r->at[0], (long long)r->at[1],
               (long long)r->at[2], (long long)r->at[3], r->got, r->want);
    if (no_digit(v, r))
        printf("  (the condition leaves f32 sums no certain digit: `state f64;` keeps them)");
    if (r->rows < d[DIM_B] * d[DIM_H] * d[DIM_NQ])
        printf("  (%lld rows compared)", (long long)r->rows);
    putchar('\n');
}

static void
report_json(const struct values *v, const struct finding *r, bool pass, bool first)
{
    const int64_t *d = v->dims;
    printf("%s\n    {\"b\": %lld, \"h\": %lld, \"g\": %lld, \"n_q\": %lld, \"n\": %lld, \"D\": "
           "%lld, \"M\": %lld, "
           "\"error\": %.6e, \"bound\": %.6e, \"condition\": %.6e, \"rows\": %lld, "
           "\"no_digit\": %s, \"pass\": %s}",
           first ? "" : ",", (long long)d[DIM_B], (long long)d[DIM_H], (long long)d[DIM_G],
           (long long)d[DIM_NQ], (long long)d[DIM_N], (long long)d[DIM_D], (long long)d[DIM_M],
           isfinite(r->error) ? r->error : 1e308, r->bound, r->condition, (long long)r->rows,
           no_digit(v, r) ? "true" : "false", pass ? "true" : "false");
}

int
check_results(struct unit *u, struct values *v, check_report_fn *report, void *arg)
{
    struct finding r;
    const char *why = NULL;
    int rc = EXIT_OK;
    for (int t = 3; t < v->kernel->ntensors; t++) {
        if (v->kernel->tensors[t].role != ATTN_OUTPUT)
            continue;
        if (!compare_result(u, v, t, &r, &why)) {
            fprintf(stderr, "attnc: the reference cannot evaluate these sizes: %s\n", why);
            return EXIT_ENV;
        }
        bool pass = !r.bad_number && r.error <= r.bound;
        report(arg, v, &r, pass);
        rc = pass ? rc : EXIT_DIAG;
    }
    return rc;
}

struct report {
    bool json, first;
};

static void
report_one(void *arg, const struct values *v, const struct finding *r, bool pass)
{
    const struct report *x = arg;
    if (x->json)
        report_json(v, r, pass, x->first && r->tensor == 3);
    else
        report_text(v, r, pass);
}

static int
check_one(struct unit *u, const struct options *o, const attn_kernel *k, const int64_t *dims,
          bool first)
{
    struct values v;
    int rc = EXIT_ENV;
    attn_exec exec = {.threads = (int)o->threads};
    if (!values_alloc(&v, u->meaning, k, dims)) {
        fprintf(stderr, "attnc: these sizes are too large to check\n");
    } else {
        values_random(&v, (uint64_t)o->seed + 1, false);
        if (values_launch(&v, &exec)) {
            fprintf(stderr, "attnc: %s\n", attn_message());
            rc = EXIT_DIAG;
        } else {
            struct report x = {o->json, first};
            rc = check_results(u, &v, report_one, &x);
            if (o->stats && rc != EXIT_ENV) {
                struct interp_input in = values_interp(&v);
                stats_report(u, &in);
            }
        }
    }
    values_free(&v);
    return rc;
}

/* Sizes to check when none are given: tails, several tiles, fewer queries than keys. */
const int64_t check_default_sizes[CHECK_DEFAULTS][DIM_USER] = {
    {1, 1, 1, 1, 1, 3, 2},      {2, 4, 2, 17, 17, 7, 5},       {1, 2, 1, 130, 130, 16, 17},
    {1, 2, 2, 70, 300, 64, 64}, {1, 1, 1, 1000, 1000, 32, 32},
};

/* dims[] for one run: fixed sizes, then --at, then the row, and 6 for dims the program added. */
bool
check_sizes_for(const struct ir_func *f, const int64_t *row, const struct dim_override *at, int nat,
          int64_t *dims)
{
    bool given[64] = {false};
    for (uint32_t k = 0; k < f->ndims; k++)
        dims[k] = f->dims[k].size > 0 ? f->dims[k].size : k < DIM_USER ? row[k] : 6;
    for (int a = 0; a < nat; a++) {
        int k = ir_dim_find(f, at[a].name);
        if (k < 0) {
            usage_error("--at names '%s', which is no dimension of this program", at[a].name);
            return false;
        }
        if (f->dims[k].size > 0 && f->dims[k].size != at[a].size) {
            usage_error("--at gives %s = %lld, but the program fixes it to %lld", at[a].name,
                        (long long)at[a].size, (long long)f->dims[k].size);
            return false;
        }
        dims[k] = at[a].size;
        if (k < 64)
            given[k] = true;
    }
    if (nat && given[DIM_N] && !given[DIM_NQ])
        dims[DIM_NQ] = dims[DIM_N];
    if (nat && given[DIM_D] && !given[DIM_M] && !f->dims[DIM_M].size)
        dims[DIM_M] = dims[DIM_D];
    return true;
}

static int
check_all(struct unit *u, const struct options *o, const attn_kernel *k)
{
    static const int64_t at_row[DIM_USER] = {1, 2, 1, 256, 256, 64, 64};
    struct dim_override at[MAX_LIST];
    int nat, worst = EXIT_OK, n = CHECK_DEFAULTS;
    int64_t *dims = ARENA_ARRAY(u->arena, int64_t, u->func->ndims);
    if (!parse_sizes(&o->at, "at", at, MAX_LIST, &nat, u->arena))
        return EXIT_USAGE;
    if (o->json)
        printf("{\"name\": \"%s\", \"schedule\": \"%s\", \"checks\": [", u->func->name,
               u->prog->schedule);
    for (int c = 0; c < (nat ? 1 : n); c++) {
        if (!check_sizes_for(u->func, nat ? at_row : check_default_sizes[c], at, nat, dims))
            return EXIT_USAGE;
        int rc = check_one(u, o, k, dims, c == 0);
        if (rc != EXIT_OK)
            worst = rc;
    }
    if (o->json)
        printf("\n]}\n");
    return worst;
}

/* Code of the whole where some of its stages run as one: it has the results, to the bit, of the
 * stages one by one, which are those that the reference judges. */
struct code {
    struct cg_module *m;
    struct cg_jit *jit;
    const attn_kernel *kernel;
};

static int
check_program(struct unit *u, const struct options *o, const attn_kernel *each)
{
    struct code all = {.kernel = each};
    int rc = EXIT_OK;
    if (unit_fuse(u, o))
        rc = unit_jit_program(u, o, NULL, &all.m, &all.jit, &all.kernel);
    if (rc == EXIT_OK)
        rc = check_stages(u, o, each, all.kernel);
    cg_jit_free(all.jit);
    cg_free(all.m);
    return rc;
}

int
command_check(const struct options *o)
{
    struct unit u;
    struct code c = {NULL, NULL, NULL};
    struct options each = *o;
    int rc = unit_open(&u, o->inputs[0], o);
    each.no_fuse = true;
    if (rc == EXIT_OK)
        rc = unit_jit(&u, &each, &c.m, &c.jit, &c.kernel);
    if (rc == EXIT_OK)
        rc = u.stage ? check_program(&u, o, c.kernel) : check_all(&u, o, c.kernel);
    cg_jit_free(c.jit);
    cg_free(c.m);
    unit_close(&u);
    return rc;
}
