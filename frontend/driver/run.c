/* Command `run`: the kernel, compiled in memory, on NumPy arrays. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/arrays.h"

static DLTensor
as_tensor(const attn_kernel *k, void *data, int rank, int64_t *shape)
{
    uint8_t bits = k->type == ATTN_TYPE_F64 ? 64 : 32;
    return (DLTensor){.data = data,
                      .device = {kDLCPU, 0},
                      .ndim = rank,
                      .dtype = {kDLFloat, bits, 1},
                      .shape = shape};
}

static int
run_whole(const struct arrays *a, const struct options *o, const DLTensor *const *args)
{
    attn_exec exec = {.threads = (int)o->threads};
    return attn_launch(a->kernel, 0, args, a->scalars, &exec);
}

/* The view of tensor t that has its tokens from `at` on, so many at most. */
static void
tokens_from(const attn_kernel *k, int t, const DLTensor *whole, int64_t at, int64_t most,
            DLTensor *view, int64_t *shape, int64_t *stride)
{
    const attn_tensor *x = &k->tensors[t];
    *view = *whole;
    view->shape = shape;
    view->strides = stride;
    for (int d = whole->ndim - 1; d >= 0; d--) {
        shape[d] = whole->shape[d];
        stride[d] = d == whole->ndim - 1 ? 1 : stride[d + 1] * whole->shape[d + 1];
    }
    for (int d = 0; d < whole->ndim && whole->ndim == x->rank; d++) {
        if (!ir_is_tokens(x->dims[d]))
            continue;
        int64_t left = shape[d] - at;
        shape[d] = left < 0 ? 0 : left < most ? left : most;
        view->byte_offset += (uint64_t)(at * stride[d]) * view->dtype.bits / 8;
    }
}

/* How many tokens the arguments have. */
static int64_t
tokens_of(const attn_kernel *k, const DLTensor *const *args)
{
    for (int t = 0; t < k->ntensors; t++)
        for (int d = 0; d < args[t]->ndim && args[t]->ndim == k->tensors[t].rank; d++)
            if (ir_is_tokens(k->tensors[t].dims[d]))
                return args[t]->shape[d];
    return 0;
}

/* The sequence o->step tokens at a time, as a decoder would: what runs over tokens as views. */
static int
run_steps(const struct arrays *a, const struct options *o, const DLTensor *const *args)
{
    const attn_kernel *k = a->kernel;
    attn_exec exec = {.threads = (int)o->threads};
    const DLTensor *part[VALUES_MAX_TENSORS];
    DLTensor view[VALUES_MAX_TENSORS];
    int64_t n = tokens_of(k, args), shape[VALUES_MAX_TENSORS][ATTN_MAX_RANK],
            stride[VALUES_MAX_TENSORS][ATTN_MAX_RANK];
    attn_state s;
    int rc = attn_state_init(&s, k, n);
    for (int64_t at = 0; at < n && !rc; at += o->step) {
        for (int t = 0; t < k->ntensors; t++) {
            part[t] = args[t];
            if (args[t]->ndim > ATTN_MAX_RANK)
                continue; /* attn_step says what is wrong with it */
            tokens_from(k, t, args[t], at, o->step, &view[t], shape[t], stride[t]);
            part[t] = &view[t];
        }
        rc = attn_step(&s, k, part, a->scalars, &exec);
    }
    attn_state_free(&s);
    return rc;
}

/* Sizes of the kernel's dims from the arrays; -1 where none says. */
static void
sizes_given(const struct arrays *a, int64_t *dims)
{
    const attn_kernel *k = a->kernel;
    for (int d = 0; d < k->ndims; d++)
        dims[d] = k->dims[d].size > 0 ? k->dims[d].size : -1;
    for (int t = 0; t < k->ntensors; t++)
        for (int x = 0; x < k->tensors[t].rank && a->given[t]; x++)
            if (dims[k->tensors[t].dims[x]] < 0)
                dims[k->tensors[t].dims[x]] = a->at[t].shape[x];
    if (k->nstages && dims[DIM_NQ] < 0) /* as in runtime/stages.c */
        dims[DIM_NQ] = dims[DIM_N];
}

/* Memory for an output, of the shape that the inputs imply; attn_launch checks everything. */
static int
make_output(struct arrays *a, int t, const int64_t *dims)
{
    const attn_tensor *x = &a->kernel->tensors[t];
    struct npy *out = &a->at[t];
    out->rank = x->rank;
    out->count = 1;
    for (int k = 0; k < x->rank; k++) {
        out->shape[k] = dims[x->dims[k]];
        if (out->shape[k] < 0 || __builtin_mul_overflow(out->count, out->shape[k], &out->count) ||
            out->count > (int64_t)1 << 40) {
            fprintf(stderr, out->shape[k] < 0 ? "attnc: %s: no input says what %s is\n"
                                              : "attnc: %s: its size overflows at %s\n",
                    x->name, a->kernel->dims[x->dims[k]].name);
            return EXIT_DIAG;
        }
    }
    out->data = xmalloc((size_t)out->count * 8 + 1);
    return EXIT_OK;
}

static int
write_output(struct arrays *a, int t, const char *path)
{
    char err[512];
    enum npy_type type = a->kernel->type == ATTN_TYPE_F64 ? NPY_F64 : NPY_F32;
    if (npy_write(path, type, a->at[t].rank, a->at[t].shape, a->at[t].data, err, sizeof err))
        return EXIT_OK;
    fprintf(stderr, "attnc: %s\n", err);
    return EXIT_ENV;
}

static int
run_kernel(struct arrays *a, const struct options *o)
{
    const attn_kernel *k = a->kernel;
    DLTensor t[VALUES_MAX_TENSORS];
    const DLTensor *args[VALUES_MAX_TENSORS];
    int64_t dims[ATTN_MAX_DIMS];
    for (int i = 0; i < 3 && !k->nstages; i++)
        if (a->at[i].rank != 4) {
            fprintf(stderr, "attnc: %s: has %d axes, expected 4: [batch, heads, tokens, width]\n",
                    k->tensors[i].name, a->at[i].rank);
            return EXIT_DIAG;
        }
    sizes_given(a, dims);
    for (int i = 0; i < k->ntensors; i++) {
        int rc = k->tensors[i].role == ATTN_OUTPUT ? make_output(a, i, dims) : EXIT_OK;
        if (rc != EXIT_OK)
            return rc;
        t[i] = as_tensor(k, a->at[i].data, a->at[i].rank, a->at[i].shape);
        args[i] = &t[i];
    }
    if (o->step ? run_steps(a, o, args) : run_whole(a, o, args)) {
        fprintf(stderr, "attnc: %s\n", attn_message());
        return EXIT_DIAG;
    }
    int rc = EXIT_OK;
    for (int i = 0; i < k->ntensors && rc == EXIT_OK; i++)
        if (k->tensors[i].role == ATTN_OUTPUT)
            rc = write_output(a, i, a->path[i] ? a->path[i] : o->output);
    return rc;
}

/* --stats: counted from the inputs as the interpreter sees them. */
static void
report_cost(struct unit *u, const struct arrays *a)
{
    const struct ir_func *f = u->meaning;
    const attn_kernel *k = a->kernel;
    int64_t *dims = ARENA_ARRAY(u->arena, int64_t, f->ndims);
    const num **params = ARENA_ARRAY(u->arena, const num *, f->nparams + 1);
    num *exact[VALUES_MAX_TENSORS] = {NULL};
    for (uint32_t d = 0; d < f->ndims; d++)
        dims[d] = f->dims[d].size;
    for (int t = 0; t < k->ntensors; t++) {
        int64_t count = k->tensors[t].role == ATTN_OUTPUT ? 0 : a->at[t].count;
        for (int x = 0; x < a->at[t].rank; x++)
            dims[k->tensors[t].dims[x]] = a->at[t].shape[x];
        exact[t] = xmalloc(sizeof(num) * (size_t)(count + 1));
        for (int64_t e = 0; e < count; e++)
            exact[t][e].f = npy_get(&a->at[t], e);
    }
    int tensor = 4, scalar = 0;
    for (uint32_t p = 0; p < f->nparams; p++) {
        num *x = ARENA_NEW(u->arena, num);
        if (!f->params[p].rank)
            x->f = f->type == TYPE_F64 ? a->scalars[scalar] : (double)(float)a->scalars[scalar];
        scalar += !f->params[p].rank;
        params[p] = f->params[p].rank ? exact[tensor++] : x;
    }
    struct interp_input in = {.dom = NUM_F64, .dims = dims, .q = exact[0], .k = exact[1],
                              .v = exact[2], .params = params};
    stats_report(u, &in);
    for (int t = 0; t < k->ntensors; t++)
        free(exact[t]);
}

int
command_run(const struct options *o)
{
    struct unit u;
    struct cg_module *m = NULL;
    struct cg_jit *jit = NULL;
    struct arrays *a = NULL;
    const attn_kernel *k = NULL;
    if (!o->output)
        return usage_error("run needs -o OUT.npy");
    int rc = unit_open(&u, o->inputs[0], o);
    if (rc == EXIT_OK)
        rc = unit_jit(&u, o, &m, &jit, &k);
    if (rc == EXIT_OK) {
        a = ARENA_NEW(u.arena, struct arrays);
        a->kernel = k;
        rc = arrays_read(a, o, NULL);
    }
    if (rc == EXIT_OK)
        rc = run_kernel(a, o);
    if (rc == EXIT_OK && o->stats && !u.stage)
        report_cost(&u, a);
    if (a)
        arrays_free(a);
    cg_jit_free(jit);
    cg_free(m);
    unit_close(&u);
    return rc;
}
