/* Command `check` of a program of stages: each against the f64 reference, on what the compiled
 * stages before it made; then the whole in one call, which must give the very same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/check.h"

struct run {
    struct unit *u;
    const struct options *o;
    const attn_kernel *kernel; /* every stage by itself */
    const attn_kernel *all;    /* of the whole: some may run as one */
    struct values whole;
    attn_exec exec;
    bool first;                /* of all that is printed */
};

static size_t
element(const struct run *x)
{
    return x->kernel->type == ATTN_TYPE_F64 ? 8 : 4;
}

/* Inputs normal; params from -1 to 1, scaled so that sums over their first axis stay of the size of
 * one. */
static void
random_inputs(struct run *x)
{
    struct values *w = &x->whole;
    values_random(w, (uint64_t)x->o->seed + 1, false);
    for (int t = 0; t < x->kernel->ntensors; t++) {
        double scale = 4 / sqrt((double)w->shape[t][0] + 1);
        for (int64_t e = 0; e < w->count[t] && w->is_param[t]; e++)
            values_put(w, t, e, (values_get(w, t, e) - 0.5) * scale);
    }
}

/* Sizes of a stage's dims from those of the whole. */
static void
stage_dims(const struct graph_stage *s, const int64_t *dims, int64_t *own)
{
    for (uint32_t d = 0; d < s->f->ndims; d++)
        own[d] = s->dim[d] >= 0          ? dims[s->dim[d]]
                 : s->f->dims[d].size > 0 ? s->f->dims[d].size : 0;
    if (s->f->contraction)
        own[DIM_N] = own[DIM_NQ] + (s->dim[DIM_NQ] == DIM_NQ ? dims[DIM_N] - dims[DIM_NQ] : 0);
}

static void
report(struct run *x, const char *what, const struct finding *r, bool pass)
{
    if (x->o->json) {
        printf("%s\n    {\"stage\": \"%s\", \"error\": %.6e, \"bound\": %.6e, "
               "\"condition\": %.6e, \"pass\": %s}", x->first ? "" : ",", what,
               isfinite(r->error) ? r->error : 1e308, r->bound, r->condition,
               pass ? "true" : "false");
    } else {
        printf("%s  %-10s error %.2e (bound %.2e, condition %.3g)\n", pass ? "PASS" : "FAIL", what,
               r->error, r->bound, r->condition);
    }
    x->first = false;
}

struct stage_report {
    struct run *x;
    const attn_stage *at;
};

/* A result of a stage that was run: it goes to the tensors of the whole. */
static void
report_stage(void *arg, const struct values *v, const struct finding *r, bool pass)
{
    const struct stage_report *s = arg;
    int t = r->tensor, of = s->at->tensors[t];
    report(s->x, s->x->kernel->tensors[of].name, r, pass);
    memcpy(s->x->whole.data[of], v->data[t], (size_t)v->count[t] * element(s->x));
}

/* One stage alone, on what the stages before it made. */
static int
check_stage(struct run *x, int number)
{
    const struct graph_stage *s = x->u->program.graph->stage[number];
    const attn_stage *at = &x->kernel->stages[number];
    struct unit *u = &x->u->stage[number];
    struct values v;
    int rc = EXIT_ENV;
    int64_t *dims = ARENA_ARRAY(x->u->arena, int64_t, s->f->ndims);
    stage_dims(s, x->whole.dims, dims);
    /* its tensors alone may not say all sizes: those that are read as numbers */
    attn_dim *known = ARENA_ARRAY(x->u->arena, attn_dim, s->f->ndims);
    attn_kernel kernel = *at->kernel;
    for (uint32_t d = 0; d < s->f->ndims; d++)
        known[d] = (attn_dim){kernel.dims[d].name, dims[d]};
    kernel.dims = known;
    if (!values_alloc(&v, u->source_func, &kernel, dims)) {
        fprintf(stderr, "attnc: these sizes are too large to check\n");
        values_free(&v);
        return rc;
    }
    for (int t = 0; t < at->kernel->ntensors; t++)
        if (at->tensors[t] >= 0 && at->kernel->tensors[t].role == ATTN_INPUT)
            memcpy(v.data[t], x->whole.data[at->tensors[t]], (size_t)v.count[t] * element(x));
    for (int k = 0; k < at->kernel->nscalars; k++)
        v.scalars[k] = x->whole.scalars[at->scalars[k]];
    if (values_launch(&v, &x->exec)) {
        fprintf(stderr, "attnc: %s: %s\n", s->name, attn_message());
        rc = EXIT_DIAG;
    } else {
        struct stage_report report = {x, at};
        rc = check_results(u, &v, report_stage, &report);
    }
    values_free(&v);
    return rc;
}

/* The whole in one call, against what its stages made one by one. */
static int
check_whole(struct run *x)
{
    struct values *w = &x->whole;
    void *stages[VALUES_MAX_TENSORS] = {NULL};
    bool same = true;
    for (int t = 0; t < x->kernel->ntensors; t++) {
        size_t size = (size_t)w->count[t] * element(x);
        if (x->kernel->tensors[t].role != ATTN_OUTPUT)
            continue;
        stages[t] = xmalloc(size + 1);
        memcpy(stages[t], w->data[t], size);
        memset(w->data[t], 0xff, size);
    }
    w->kernel = x->all;
    int rc = values_launch(w, &x->exec) ? EXIT_DIAG : EXIT_OK;
    if (rc != EXIT_OK)
        fprintf(stderr, "attnc: %s\n", attn_message());
    for (int t = 0; t < x->kernel->ntensors; t++)
        if (stages[t]) {
            same = same && !memcmp(stages[t], w->data[t], (size_t)w->count[t] * element(x));
            free(stages[t]);
        }
    struct finding r = {.error = same ? 0 : INFINITY, .condition = 1};
    report(x, "all", &r, rc == EXIT_OK && same);
    return same ? rc : EXIT_DIAG;
}

static int
check_one(struct run *x, const int64_t *dims)
{
    const struct graph *g = x->u->program.graph;
    int worst = EXIT_OK;
    if (!values_alloc(&x->whole, g->shell, x->kernel, dims)) {
        fprintf(stderr, "attnc: these sizes are too large to check\n");
        values_free(&x->whole);
        return EXIT_ENV;
    }
    if (!x->o->json) {
        for (uint32_t d = 0; d < g->shell->ndims; d++)
            printf("%s%s=%lld", d ? " " : "", g->shell->dims[d].name, (long long)dims[d]);
        putchar('\n');
    }
    random_inputs(x);
    for (int k = 0; k < g->nstages && worst != EXIT_ENV; k++) {
        int rc = check_stage(x, k);
        worst = rc != EXIT_OK ? rc : worst;
    }
    if (worst == EXIT_OK)
        worst = check_whole(x);
    values_free(&x->whole);
    return worst;
}

int
check_stages(struct unit *u, const struct options *o, const attn_kernel *k, const attn_kernel *all)
{
    static const int64_t at_row[DIM_USER] = {1, 2, 1, 256, 256, 64, 64};
    struct run x = {.u = u, .o = o, .kernel = k, .all = all, .first = true,
                    .exec = {.threads = (int)o->threads}};
    struct dim_override at[MAX_LIST];
    int nat, worst = EXIT_OK;
    bool queries = false;
    int64_t *dims = ARENA_ARRAY(u->arena, int64_t, u->func->ndims);
    if (!parse_sizes(&o->at, "at", at, MAX_LIST, &nat, u->arena))
        return EXIT_USAGE;
    for (int t = 0; t < k->ntensors; t++)
        for (int a = 0; a < k->tensors[t].rank; a++)
            queries = queries || k->tensors[t].dims[a] == DIM_NQ;
    if (o->json)
        printf("{\"name\": \"%s\", \"checks\": [", u->func->name);
    for (int c = 0; c < (nat ? 1 : CHECK_DEFAULTS); c++) {
        if (!check_sizes_for(u->func, nat ? at_row : check_default_sizes[c], at, nat, dims))
            return EXIT_USAGE;
        if (!queries)
            dims[DIM_NQ] = dims[DIM_N];
        int rc = check_one(&x, dims);
        worst = rc != EXIT_OK ? rc : worst;
    }
    if (o->json)
        printf("\n]}\n");
    return worst;
}
