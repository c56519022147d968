/* Command `compare`: several programs on the same inputs; what they cost, how long they take, and
 * how far their outputs and attention weights are from those of the first.
 *
 * Outputs are those of the compiled kernels. Weights are the reference's: |w_ij| / sum_j |w_ij| of
 * the program as written, for rows spread evenly where there are too many to go through. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/arrays.h"
#include "frontend/driver/cost.h"
#include "frontend/driver/measure.h"

enum { MOST_ROUNDS = 101, USUAL_ROUNDS = 5, MOST_WEIGHTS = 1 << 25 };
static const double row_budget = 4e7; /* products of the reference */

struct one {
    struct cost_program cost;
    struct cg_module *module;
    struct cg_jit *jit;
    const attn_kernel *kernel;
    struct arrays arrays;
    struct values v;
    double time[MOST_ROUNDS], median;
    /* against the first: of the whole, of rows */
    double relative, row_median, row_largest;
    int64_t at[3];             /* b, h, row of the largest */
    int64_t not_finite;        /* rows left out: a NaN or inf that is not the same in the other */
    /* weights */
    double *p;                 /* [rows looked at, n] */
    double entropy, divergence, largest_divergence;
    bool negative;
    const char *no_weights;
};

struct comparison {
    const struct options *o;
    struct one *at[COST_MAX_PROGRAMS];
    int n, rounds;
    struct cost_report names;
    int64_t rows, step;        /* rows of weights that are looked at: every step-th */
};

/* ---- inputs ---- */

/* Sizes from the shapes of the arrays, which must agree with each other and the program. */
static int
sizes_of(struct one *x, int64_t *dims)
{
    const struct ir_func *f = x->cost.u.func;
    const attn_kernel *k = x->kernel;
    for (uint32_t d = 0; d < f->ndims; d++)
        dims[d] = f->dims[d].size > 0 ? f->dims[d].size : -1;
    for (int t = 0; t < k->ntensors; t++) {
        const struct npy *a = &x->arrays.at[t];
        if (!arrays_takes(k, t))
            continue;
        if (a->rank != k->tensors[t].rank) {
            fprintf(stderr, "attnc: %s: %s has %d axes, expected %d\n", k->name, k->tensors[t].name,
                    a->rank, k->tensors[t].rank);
            return EXIT_DIAG;
        }
        for (int i = 0; i < a->rank; i++) {
            int64_t *d = &dims[k->tensors[t].dims[i]];
            if (*d >= 0 && *d != a->shape[i]) {
                fprintf(stderr, "attnc: %s: %s: shape[%d] is %lld, expected %s = %lld\n", k->name,
                        k->tensors[t].name, i, (long long)a->shape[i],
                        f->dims[k->tensors[t].dims[i]].name, (long long)*d);
                return EXIT_DIAG;
            }
            *d = a->shape[i];
        }
    }
    return EXIT_OK;
}

/* A number that a mask may read, if it is whole. */
static void
give_scalar(struct one *x, uint32_t param)
{
    const struct ir_param *p = &x->cost.u.func->params[param];
    for (int s = 0; s < x->kernel->nscalars && !p->rank; s++) {
        double v = x->arrays.scalars[s];
        if (strcmp(x->kernel->scalars[s].name, p->name))
            continue;
        if (v == floor(v) && fabs(v) < 1e15)
            cost_set_size(&x->cost, p->name, (int64_t)v);
        else
            x->cost.unknown[x->cost.ring.f->ndims + param] = true;
    }
}

static int
fill(struct one *x)
{
    int64_t *dims = ARENA_ARRAY(x->cost.u.arena, int64_t, x->cost.u.func->ndims);
    int rc = sizes_of(x, dims);
    if (rc != EXIT_OK)
        return rc;
    if (!values_alloc(&x->v, x->cost.u.meaning, x->kernel, dims)) {
        fprintf(stderr, "attnc: %s: these arrays are too large\n", x->kernel->name);
        return EXIT_DIAG;
    }
    for (int t = 0; t < x->kernel->ntensors; t++)
        for (int64_t e = 0; arrays_takes(x->kernel, t) && e < x->v.count[t]; e++)
            values_put(&x->v, t, e, npy_get(&x->arrays.at[t], e));
    for (int s = 0; s < x->kernel->nscalars; s++)
        x->v.scalars[s] = x->arrays.scalars[s];
    for (uint32_t d = 0; d < x->cost.u.func->ndims; d++)
        cost_set_size(&x->cost, x->cost.u.func->dims[d].name, dims[d]);
    for (uint32_t k = 0; k < x->cost.u.func->nparams; k++)
        give_scalar(x, k);
    cost_derive(&x->cost);
    return EXIT_OK;
}

static int
open_one(struct comparison *c, const char *path, bool *used)
{
    struct one *x = c->at[c->n++] = xmalloc(sizeof *x);
    memset(x, 0, sizeof *x);
    int rc = cost_open(&x->cost, path, c->o);
    if (rc == EXIT_OK && x->cost.u.stage)
        rc = stages_refused(&x->cost.u, "compare");
    if (rc == EXIT_OK)
        rc = unit_jit_program(&x->cost.u, c->o, NULL, &x->module, &x->jit, &x->kernel);
    if (rc != EXIT_OK)
        return rc;
    x->arrays.kernel = x->kernel;
    rc = arrays_read(&x->arrays, c->o, used);
    return rc == EXIT_OK ? fill(x) : rc;
}

static int
check_words(const struct comparison *c, const bool *used)
{
    for (int k = 0; k < c->o->args.n; k++)
        if (!used[k])
            return usage_error("'%s' is no input of these programs", c->o->args.at[k]);
    for (int k = 1; k < c->n; k++)
        for (int d = 0; d < 4; d++)
            if (c->at[k]->v.shape[3][d] != c->at[0]->v.shape[3][d])
                return usage_error("%s and %s give outputs of different shapes",
                                   c->at[0]->kernel->name, c->at[k]->kernel->name);
    return EXIT_OK;
}

/* ---- outputs ---- */

static int
run_all(struct comparison *c)
{
    attn_exec exec = {.threads = (int)c->o->threads};
    for (int round = -1; round < c->rounds; round++)
        for (int k = 0; k < c->n; k++) {
            struct one *x = c->at[k];
            double start = measure_now();
            if (values_launch(&x->v, &exec)) {
                fprintf(stderr, "attnc: %s: %s\n", x->kernel->name, attn_message());
                return EXIT_DIAG;
            }
            if (round >= 0)
                x->time[round] = measure_now() - start;
        }
    for (int k = 0; k < c->n; k++)
        c->at[k]->median = measure_median(c->at[k]->time, c->rounds);
    return EXIT_OK;
}

/* True if the row has the same NaN and inf in both. */
static bool
comparable(const struct one *a, const struct one *x, int64_t first, int64_t m)
{
    for (int64_t e = first; e < first + m; e++) {
        double u = values_get(&a->v, 3, e), w = values_get(&x->v, 3, e);
        if (!(isfinite(u) && isfinite(w)) && !(isnan(u) && isnan(w)) && u != w)
            return false;
    }
    return true;
}

/* ||x - a|| / ||a|| over all rows that can be compared, and over each. Of zeros it is 0 or 1. */
static void
compare_outputs(const struct one *a, struct one *x)
{
    const int64_t *s = a->v.shape[3];
    int64_t m = s[3], rows = s[0] * s[1] * s[2], kept = 0;
    double *each = xmalloc(sizeof(double) * (size_t)(rows + 1)), all = 0, whole = 0;
    for (int64_t r = 0; r < rows; r++) {
        double apart = 0, norm = 0;
        if (!comparable(a, x, r * m, m)) {
            x->not_finite++;
            continue;
        }
        for (int64_t e = r * m; e < (r + 1) * m; e++) {
            double u = values_get(&a->v, 3, e), w = values_get(&x->v, 3, e);
            if (!isfinite(u)) /* the same in both */
                continue;
            apart += (u - w) * (u - w);
            norm += u * u;
        }
        double error = norm > 0 ? sqrt(apart / norm) : apart > 0;
        each[kept++] = error;
        all += apart;
        whole += norm;
        if (error > x->row_largest) {
            x->row_largest = error;
            x->at[0] = r / s[2] / s[1];
            x->at[1] = r / s[2] % s[1];
            x->at[2] = r % s[2];
        }
    }
    x->relative = whole > 0 ? sqrt(all / whole) : all > 0;
    x->row_median = measure_median(each, kept);
    free(each);
}

/* ---- weights ---- */

/* The weights of a row by the interpreter, which gives sum_j w_ij v_j: with the identity for v. */
static bool
make_weights(struct comparison *c, struct one *x)
{
    struct ir_func *f = x->cost.u.meaning;
    const span_t at = {0, 0};
    struct interp_input in = values_interp(&x->v);
    const int64_t *d = in.dims;
    int64_t n = d[DIM_N], planes = d[DIM_B] * d[DIM_G], k = 0;
    int64_t *dims = ARENA_ARRAY(x->cost.u.arena, int64_t, f->ndims);
    memcpy(dims, d, sizeof *dims * f->ndims);
    dims[DIM_M] = n;
    num *identity = calloc((size_t)(planes * n * n + 1), sizeof(num));
    x->p = calloc((size_t)(c->rows * n + 1), sizeof(double));
    if (!identity || !x->p)
        arena_oom();
    for (int64_t j = 0; j < planes * n; j++)
        identity[j * n + j % n].f = 1;
    in.dims = dims;
    in.v = identity;
    ir_ref w = f->root[ROOT_SIM], mask = f->root[ROOT_MASK];
    if (mask)
        w = ir_select(f, mask, w, ir_const_i(f, 0, 1, at), at);
    ir_ref sum = ir_rsum(f, AX_j, ir_op2(f, IR_mul, w, ir_input(f, 2, at), at), at);
    num *row = xmalloc(sizeof(num) * (size_t)(n + 1));
    const char *why = NULL;
    bool ok = true;
    for (int64_t r = 0; r < d[DIM_B] * d[DIM_H] * d[DIM_NQ] && ok; r += c->step, k++) {
        ok = interp_rows(f, sum, &in, r / d[DIM_NQ] / d[DIM_H], r / d[DIM_NQ] % d[DIM_H],
                         r % d[DIM_NQ], 1, row, &why);
        for (int64_t j = 0; ok && j < n; j++)
            x->p[k * n + j] = row[j].f;
    }
    x->no_weights = ok ? NULL : why;
    free(row);
    free(identity);
    return ok;
}

/* Sizes of the weights, made to sum to 1; their mean entropy. */
static void
normalise(const struct comparison *c, struct one *x, int64_t n)
{
    double sum_entropy = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        double total = 0, *p = x->p + r * n;
        for (int64_t j = 0; j < n; j++) {
            x->negative = x->negative || p[j] < 0;
            total += fabs(p[j]);
        }
        for (int64_t j = 0; j < n; j++) {
            p[j] = total > 0 && isfinite(total) ? fabs(p[j]) / total : 0;
            sum_entropy -= p[j] > 0 ? p[j] * log(p[j]) : 0;
        }
    }
    x->entropy = c->rows ? sum_entropy / (double)c->rows : 0;
}

/* Jensen-Shannon divergence of two rows in nats, between 0 and log 2. */
static double
divergence(const double *p, const double *q, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        double m = (p[j] + q[j]) / 2;
        sum += p[j] > 0 ? p[j] * log(p[j] / m) / 2 : 0;
        sum += q[j] > 0 ? q[j] * log(q[j] / m) / 2 : 0;
    }
    return sum < 0 ? 0 : sum;
}

static void
compare_weights(struct comparison *c)
{
    const int64_t *d = c->at[0]->v.dims;
    int64_t n = d[DIM_N], rows = d[DIM_B] * d[DIM_H] * d[DIM_NQ];
    double work = (double)rows * (double)n * (double)n;
    c->step = work > row_budget ? (int64_t)(work / row_budget) + 1 : 1;
    c->rows = (rows + c->step - 1) / c->step;
    for (int k = 0; k < c->n; k++) {
        struct one *x = c->at[k];
        const int64_t *e = x->v.dims;
        if ((double)e[DIM_B] * (double)e[DIM_G] * (double)n * (double)n > MOST_WEIGHTS ||
            (double)c->rows * (double)n > MOST_WEIGHTS)
            x->no_weights = "too many keys";
        else if (make_weights(c, x))
            normalise(c, x, n);
        for (int64_t r = 0; k > 0 && !x->no_weights && !c->at[0]->no_weights && r < c->rows; r++) {
            double js = divergence(c->at[0]->p + r * n, x->p + r * n, n);
            x->divergence += js / (double)c->rows;
            x->largest_divergence = fmax(js, x->largest_divergence);
        }
    }
}

/* ---- reports ---- */

static double
flops_of(struct one *x)
{
    fmpq_t v;
    fmpq_init(v);
    double f = cost_row_value(&x->cost.rows[0], COST_FLOPS, v)
                   ? fmpz_get_d(fmpq_numref(v)) / fmpz_get_d(fmpq_denref(v)) : NAN;
    fmpq_clear(v);
    return f;
}

static void
report_weights(const struct comparison *c)
{
    printf("\nweights of %lld row%s, |w| / sum |w|\n  %-24s %14s %15s %18s %10s\n",
           (long long)c->rows, c->rows == 1 ? "" : "s", "", "entropy (nats)", "keys (e^entr.)",
           "JS divergence mean", "largest");
    for (int k = 0; k < c->n; k++) {
        const struct one *x = c->at[k];
        printf("  %-24s ", x->cost.rows[0].label);
        if (x->no_weights) {
            printf("not compared: %s\n", x->no_weights);
            continue;
        }
        printf("%14.4f %15.2f", x->entropy, exp(x->entropy));
        if (k && !c->at[0]->no_weights)
            printf(" %18.4g %10.4g", x->divergence, x->largest_divergence);
        printf("%s\n", x->negative ? "  (some weights are negative)" : "");
    }
}

static void
report_text(const struct comparison *c)
{
    const int64_t *d = c->at[0]->v.dims;
    printf("B=%lld H=%lld n_q=%lld n=%lld D=%lld M=%lld; differences from %s\n\n",
           (long long)d[DIM_B], (long long)d[DIM_H], (long long)d[DIM_NQ], (long long)d[DIM_N],
           (long long)d[DIM_D], (long long)d[DIM_M], c->at[0]->cost.rows[0].label);
    printf("  %-24s %10s %10s %14s %12s %12s\n", "", "FLOPs", "median ms", "relative error",
           "row median", "row largest");
    for (int k = 0; k < c->n; k++) {
        struct one *x = c->at[k];
        printf("  %-24s %10.4g %10.4f", x->cost.rows[0].label, flops_of(x), 1e3 * x->median);
        if (k)
            printf(" %14.4g %12.4g %12.4g", x->relative, x->row_median, x->row_largest);
        if (k && x->row_largest > 0)
            printf(" at [%lld,%lld,%lld]", (long long)x->at[0], (long long)x->at[1],
                   (long long)x->at[2]);
        if (x->not_finite)
            printf("  (without %lld rows that have a NaN or inf in one only)",
                   (long long)x->not_finite);
        putchar('\n');
    }
    report_weights(c);
}

static void
report_json(const struct comparison *c)
{
    printf("{ \"reference\": ");
    put_json(c->at[0]->cost.rows[0].label);
    printf(", \"weight_rows\": %lld,\n  \"programs\": [", (long long)c->rows);
    for (int k = 0; k < c->n; k++) {
        struct one *x = c->at[k];
        bool weights = !x->no_weights, apart = k && weights && !c->at[0]->no_weights;
        printf("%s\n    {", k ? "," : "");
        put_json_field("name", x->cost.rows[0].label, ", ");
        put_json_field("file", x->cost.u.src->name, ", ");
        if (isfinite(flops_of(x)))
            printf("\"flops\": %.0f, ", flops_of(x));
        else
            printf("\"flops\": null, ");
        put_json_number("median_s", x->median, ",\n     ");
        put_json_number("relative_error", k ? x->relative : NAN, ", ");
        put_json_number("row_error_median", k ? x->row_median : NAN, ", ");
        put_json_number("row_error_largest", k ? x->row_largest : NAN, ", ");
        if (k && x->row_largest > 0)
            printf("\"at\": [%lld, %lld, %lld], ", (long long)x->at[0], (long long)x->at[1],
                   (long long)x->at[2]);
        else
            printf("\"at\": null, ");
        printf("\"not_finite\": %lld,\n     ", (long long)x->not_finite);
        put_json_number("entropy", weights ? x->entropy : NAN, ", ");
        put_json_number("divergence_mean", apart ? x->divergence : NAN, ", ");
        put_json_number("divergence_largest", apart ? x->largest_divergence : NAN, ", ");
        printf("\"negative_weights\": %s, ", x->negative ? "true" : "false");
        put_json_field("no_weights", x->no_weights, "}");
    }
    printf("\n  ] }\n");
}

/* ---- the command ---- */

static int
compare_all(struct comparison *c)
{
    bool used[MAX_LIST] = {false};
    int rc = EXIT_OK;
    for (int k = 0; k < c->o->ninputs && rc == EXIT_OK; k++)
        rc = open_one(c, c->o->inputs[k], used);
    if (rc == EXIT_OK)
        rc = check_words(c, used);
    if (rc == EXIT_OK)
        rc = run_all(c);
    if (rc != EXIT_OK)
        return rc;
    for (int k = 0; k < c->n; k++)
        c->names.p[c->names.np++] = &c->at[k]->cost;
    cost_tell_apart(&c->names);
    for (int k = 1; k < c->n; k++)
        compare_outputs(c->at[0], c->at[k]);
    compare_weights(c);
    if (c->o->json)
        report_json(c);
    else
        report_text(c);
    return EXIT_OK;
}

int
command_compare(const struct options *o)
{
    if (o->ninputs < 2)
        return usage_error("compare needs two programs or more");
    if (o->threads > 1024)
        return usage_error("--threads is %ld, at most 1024", o->threads);
    if (o->rounds > MOST_ROUNDS)
        return usage_error("--rounds is %ld, at most %d", o->rounds, MOST_ROUNDS);
    struct comparison *c = xmalloc(sizeof *c);
    memset(c, 0, sizeof *c);
    c->o = o;
    c->rounds = o->rounds ? (int)o->rounds : USUAL_ROUNDS;
    int rc = compare_all(c);
    for (int k = 0; k < c->n; k++) {
        struct one *x = c->at[k];
        free(x->p);
        values_free(&x->v);
        arrays_free(&x->arrays);
        cg_jit_free(x->jit);
        cg_free(x->module);
        cost_close(&x->cost);
        free(x);
    }
    free(c);
    return rc;
}
