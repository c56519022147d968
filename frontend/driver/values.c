#include "frontend/driver/values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t
element_size(const struct values *v)
{
    return v->kernel->type == ATTN_TYPE_F64 ? 8 : 4;
}

static void
describe_tensor(struct values *v, int t)
{
    const attn_tensor *x = &v->kernel->tensors[t];
    v->tensor[t] = (DLTensor){.data = v->data[t],
                              .device = {kDLCPU, 0},
                              .ndim = x->rank,
                              .dtype = {kDLFloat, (uint8_t)(element_size(v) * 8), 1},
                              .shape = v->shape[t]};
}

/* What the runtime makes for itself, as it makes it. */
static void
generate(struct values *v, int t)
{
    const attn_tensor *x = &v->kernel->tensors[t];
    int64_t rows = v->shape[t][1], cols = v->shape[t][0];
    double *block = xmalloc(sizeof *block * (size_t)((rows < cols ? rows : cols) * cols + 1));
    attn_random_weights(x->source, v->kernel->type, x->seed, rows, cols, block, v->data[t]);
    free(block);
}

bool
values_alloc(struct values *v, const struct ir_func *f, const attn_kernel *k, const int64_t *dims)
{
    memset(v, 0, sizeof *v);
    v->f = f;
    v->kernel = k;
    v->dims = xmalloc(sizeof *v->dims * f->ndims);
    memcpy(v->dims, dims, sizeof *dims * f->ndims);
    v->scalars = xmalloc(sizeof(double) * (size_t)(k->nscalars + 1));
    v->scalar_nums = xmalloc(sizeof(num) * (size_t)(k->nscalars + 1));
    v->params = xmalloc(sizeof(num *) * (f->nparams + 1));
    if (k->ntensors > VALUES_MAX_TENSORS)
        return false;
    for (int t = 0; t < k->ntensors; t++)
        v->is_param[t] = !k->nstages && t > 3 && k->tensors[t].role == ATTN_INPUT;
    for (uint32_t p = 0, t = 0; p < f->nparams && k->nstages; p++)
        if (f->params[p].rank)
            v->is_param[t++] = f->params[p].role == PARAM_GIVEN;
    for (int t = 0; t < k->ntensors; t++) {
        v->count[t] = 1;
        for (int a = 0; a < k->tensors[t].rank; a++) {
            v->shape[t][a] = dims[k->tensors[t].dims[a]];
            if (__builtin_mul_overflow(v->count[t], v->shape[t][a], &v->count[t]))
                return false;
        }
        if (v->count[t] > (int64_t)1 << 31)
            return false;
        v->data[t] = xmalloc((size_t)v->count[t] * element_size(v));
        describe_tensor(v, t);
        if (k->tensors[t].source != ATTN_GIVEN)
            generate(v, t);
    }
    return true;
}

static double
uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static double
normal(uint64_t *state)
{
    double u = uniform(state), w = uniform(state);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * w);
}

void
values_put(struct values *v, int t, int64_t i, double x)
{
    if (element_size(v) == 8)
        ((double *)v->data[t])[i] = x;
    else
        ((float *)v->data[t])[i] = (float)x;
}

double
values_get(const struct values *v, int t, int64_t i)
{
    return element_size(v) == 8 ? ((double *)v->data[t])[i] : (double)((float *)v->data[t])[i];
}

/* True if the mask asks whether a value of this param equals another: numbers drawn from a
 * continuum never would. */
static bool
names_groups(const struct ir_func *f, uint32_t param)
{
    for (uint32_t n = 1; n < f->nnodes; n++)
        for (int k = 0; k < 2 && (f->nodes[n].op == IR_eq || f->nodes[n].op == IR_ne); k++) {
            const struct ir_node *x = &f->nodes[f->nodes[n].arg[k]];
            if (x->op == IR_param && x->attr.id == param)
                return true;
        }
    return false;
}

/* Along the last axis 0, 0, .., 1, 1, ..: about six documents of random lengths. */
static void
put_groups(struct values *v, int t, uint64_t *state)
{
    int64_t last = v->shape[t][v->kernel->tensors[t].rank - 1], group = 0;
    for (int64_t i = 0; i < v->count[t]; i++) {
        bool next = uniform(state) * (double)last < 6;
        group = i % last == 0 ? 0 : group + next;
        values_put(v, t, i, (double)group);
    }
}

void
values_random(struct values *v, uint64_t seed, bool integers)
{
    uint64_t state = seed * 0x2545f4914f6cdd1du + 1;
    for (int t = 0; t < v->kernel->ntensors; t++)
        for (int64_t i = 0; v->kernel->tensors[t].source == ATTN_GIVEN && i < v->count[t]; i++) {
            bool input = v->kernel->tensors[t].role == ATTN_INPUT;
            double x = !input ? 0 : v->is_param[t] ? 1 - uniform(&state) : normal(&state);
            values_put(v, t, i, integers && input ? floor(uniform(&state) * 3) - 1 : x);
        }
    int t = 4;
    for (uint32_t p = 0; p < v->f->nparams; p++) {
        if (v->f->params[p].rank && names_groups(v->f, p))
            put_groups(v, t, &state);
        t += v->f->params[p].rank > 0;
    }
    for (int s = 0; s < v->kernel->nscalars; s++)
        v->scalars[s] = v->kernel->scalars[s].has_default ? v->kernel->scalars[s].value : 1;
}

/* A number as kernel and reference get it: rounded to the kernel's type, which the kernel itself
 * does not do everywhere. */
static double
scalar_of(const struct values *v, int scalar)
{
    double x = v->scalars[scalar];
    return element_size(v) == 8 ? x : (double)(float)x;
}

struct interp_input
values_interp(struct values *v)
{
    int tensor = 4, scalar = 0;
    for (int t = 0; t < v->kernel->ntensors; t++) {
        if (t == 3)
            continue;
        free(v->exact[t]);
        v->exact[t] = xmalloc(sizeof(num) * (size_t)(v->count[t] + 1));
        for (int64_t i = 0; i < v->count[t]; i++)
            v->exact[t][i].f = values_get(v, t, i);
    }
    for (uint32_t p = 0; p < v->f->nparams; p++) {
        if (v->f->params[p].rank) {
            v->params[p] = v->exact[tensor++];
        } else {
            v->scalar_nums[scalar].f = scalar_of(v, scalar);
            v->params[p] = &v->scalar_nums[scalar++];
        }
    }
    return (struct interp_input){.dom = NUM_F64,
                                 .dims = v->dims,
                                 .q = v->exact[0],
                                 .k = v->exact[1],
                                 .v = v->exact[2],
                                 .params = v->params};
}

int
values_launch(struct values *v, attn_exec *exec)
{
    const DLTensor *t[VALUES_MAX_TENSORS];
    double scalars[ATTN_MAX_SCALARS];
    for (int k = 0; k < v->kernel->ntensors; k++)
        t[k] = &v->tensor[k];
    for (int k = 0; k < v->kernel->nscalars; k++)
        scalars[k] = scalar_of(v, k);
    return attn_launch(v->kernel, 0, t, scalars, exec);
}

void
values_free(struct values *v)
{
    for (int t = 0; t < VALUES_MAX_TENSORS; t++) {
        free(v->data[t]);
        free(v->exact[t]);
    }
    free(v->dims);
    free(v->scalars);
    free(v->scalar_nums);
    free((void *)v->params);
    memset(v, 0, sizeof *v);
}
