/* Running a kernel made of several: its stages one after another, on the arguments of the call and
 * on tensors in between, which lie in the workspace before that of the stages. */
#include "runtime/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, RANK = 4 };

/* A call of the whole. */
struct whole {
    struct call c;
    const DLTensor *const *given;
    DLTensor between[ATTN_MAX_TENSORS];
    int64_t shape[ATTN_MAX_TENSORS][ATTN_MAX_RANK];
    size_t bytes;                /* of all tensors in between */
    bool sizes_only;             /* outputs need not be there */
    attn_state *states;          /* one per stage, when tokens come step by step; else NULL */
    int64_t position;            /* tokens before those of this call */
};

/* One stage of it: the arguments in the form its kernel takes. */
struct stage {
    const attn_stage *s;
    DLTensor view[ATTN_MAX_TENSORS];
    const DLTensor *tensor[ATTN_MAX_TENSORS];
    int64_t shape[RANK], stride[RANK];            /* of the result */
    int64_t one_head[ATTN_MAX_TENSORS][2][RANK];  /* shape and strides of keys and values */
    double scalar[ATTN_MAX_SCALARS];
    int64_t dims[ATTN_MAX_DIMS];
    struct call c;
};

/* True if some attention among the stages keeps its keys and values. */
static bool
caches(const attn_kernel *k)
{
    bool any = false;
    for (int i = 0; i < k->nstages; i++)
        any = any || (k->stages[i].kernel->flags & ATTN_STEP_CACHE);
    return any;
}

/* ---- tensors in between ---- */

/* A program that never says n_q has as many queries as keys. */
static int
settle_sizes(struct whole *w, const attn_kernel *k)
{
    int64_t *d = w->c.slots;
    if (w->c.step) /* what runs over n has the new tokens */
        d[DIM_N] = w->position + d[DIM_NQ];
    if (!w->c.bound_by[DIM_NQ] && k->dims[DIM_NQ].size <= 0)
        d[DIM_NQ] = d[DIM_N];
    if (!w->c.bound_by[DIM_N] && k->dims[DIM_N].size <= 0)
        d[DIM_N] = d[DIM_NQ];
    for (int t = 0; t < k->ntensors; t++) {
        const attn_tensor *x = &k->tensors[t];
        int64_t count = 1;
        if (x->role != ATTN_BETWEEN && (x->role != ATTN_OUTPUT || w->given[t]))
            continue;
        for (int a = 0; a < x->rank; a++) {
            int64_t size = d[w->c.step && x->dims[a] == DIM_N ? DIM_NQ : x->dims[a]];
            w->shape[t][a] = size;
            if (__builtin_mul_overflow(count, size, &count) || count > (int64_t)1 << 46)
                return attn_fail(ATTN_E_SIZE, "%s: more than 2^46 elements", x->name);
        }
        uint8_t bits = k->type == ATTN_TYPE_F64 ? 64 : 32;
        w->between[t] = (DLTensor){.device = {kDLCPU, 0}, .ndim = x->rank,
                                   .dtype = {kDLFloat, bits, 1}, .shape = w->shape[t],
                                   .byte_offset = w->bytes};
        if (x->role == ATTN_BETWEEN)
            w->bytes += ((size_t)count * (bits / 8) + LINE) / LINE * LINE;
    }
    return ATTN_OK;
}

/* ---- one stage ---- */

/* The result of a contraction has four axes: those it lacks are put before its rows, or are its
 * columns. */
static void
widen(struct stage *s, const DLTensor *t, DLTensor *out)
{
    int64_t compact = 1;
    int n = t->ndim + (s->s->dims[DIM_M] < 0);
    for (int a = RANK - 1; a >= 0; a--) {
        int from = a == RANK - 1 ? n - 1 : a == RANK - 2 ? n - 2 : a;
        bool there = (a >= RANK - 2 ? from >= 0 : a < n - 2) && from < t->ndim;
        s->shape[a] = there ? t->shape[from] : 1;
        s->stride[a] = there && t->strides ? t->strides[from] : compact;
        compact *= s->shape[a] ? s->shape[a] : 1;
    }
    *out = *t;
    out->ndim = RANK;
    out->shape = s->shape;
    out->strides = s->stride;
}

/* Keys and values without heads have one. */
static void
add_head(DLTensor *t, int64_t shape[2][RANK])
{
    int64_t compact = 1;
    for (int a = RANK - 1; a >= 0; a--) {
        int from = a > 1 ? a - 1 : 0;
        shape[0][a] = a == 1 ? 1 : t->shape[from];
        shape[1][a] = a != 1 && t->strides ? t->strides[from] : compact;
        compact *= shape[0][a] ? shape[0][a] : 1;
    }
    t->ndim = RANK;
    t->shape = shape[0];
    t->strides = shape[1];
}

/* The arguments of a stage, in the form its kernel takes. */
static void
gather_stage(struct whole *w, int number, char *memory, struct stage *s)
{
    const attn_kernel *k = w->c.k, *own = k->stages[number].kernel;
    s->s = &k->stages[number];
    for (int t = 0; t < own->ntensors; t++) {
        int from = s->s->tensors[t];
        s->tensor[t] = NULL;
        if (from < 0)
            continue;
        bool own_memory = k->tensors[from].role == ATTN_BETWEEN || !w->given[from];
        s->view[t] = own_memory ? w->between[from] : *w->given[from];
        if (own_memory)
            s->view[t].data = memory;
        if (own->tensors[t].role == ATTN_OUTPUT && (own->flags & ATTN_CONTRACTION)) {
            DLTensor narrow = s->view[t];
            widen(s, &narrow, &s->view[t]);
        }
        if (call_is_cached(own, t) && s->view[t].ndim == RANK - 1)
            add_head(&s->view[t], s->one_head[t]);
        s->tensor[t] = &s->view[t];
    }
    for (int i = 0; i < own->nscalars; i++)
        memcpy(&s->scalar[i], call_tensor_slots(&w->c, k->ntensors) + s->s->scalars[i],
               sizeof(double));
    for (int d = 0; d < own->ndims; d++) {
        bool rows = w->c.step && s->s->dims[d] == DIM_N && call_is_index(own, d); /* new tokens */
        s->dims[d] = s->s->dims[d] < 0 ? -1 : w->c.slots[rows ? DIM_NQ : s->s->dims[d]];
    }
}

static int
prepare_stage(struct whole *w, int number, char *memory, struct stage *s)
{
    const attn_kernel *own = w->c.k->stages[number].kernel;
    gather_stage(w, number, memory, s);
    s->c = (struct call){.step = false};
    int rc = call_prepare(&s->c, own, 0, s->tensor, s->scalar, s->dims);
    if (!rc && (own->flags & ATTN_CONTRACTION)) { /* of rows that are tokens, positions go on */
        int rows = s->s->dims[DIM_NQ];
        int64_t ahead = rows == DIM_NQ  ? w->c.slots[DIM_N] - w->c.slots[DIM_NQ]
                        : rows == DIM_N ? w->position : 0;
        s->c.slots[DIM_N] = s->c.slots[DIM_NQ] + ahead;
    }
    return rc;
}

/* The state of an attention among the stages, in a step; else NULL. */
static attn_state *
state_of(const struct whole *w, int number)
{
    bool attention = !(w->c.k->stages[number].kernel->flags & ATTN_CONTRACTION);
    return w->states && attention ? &w->states[number] : NULL;
}

/* The largest workspace of a stage. Where memory is not there yet, tensors in between are taken to
 * be at address LINE: only their shapes matter. */
static int
stages_need(struct whole *w, const attn_exec *exec, size_t *most)
{
    struct stage s;
    *most = 0;
    for (int i = 0; i < w->c.k->nstages; i++) {
        attn_state *state = state_of(w, i);
        if (state)
            gather_stage(w, i, (char *)(uintptr_t)LINE, &s);
        int rc = state ? ATTN_OK : prepare_stage(w, i, (char *)(uintptr_t)LINE, &s);
        if (rc)
            return rc;
        size_t need = state ? state_workspace(state, s.tensor, s.dims, exec)
                            : call_workspace(&s.c, call_entry(&s.c, 0), exec);
        if (!need)
            return ATTN_E_SIZE;
        *most = need > *most ? need : *most;
    }
    return ATTN_OK;
}

static int
prepare_whole(struct whole *w, const attn_kernel *kernel, const DLTensor *const *tensors,
              const double *scalars)
{
    w->given = tensors;
    w->c.no_outputs = w->sizes_only;
    int rc = call_prepare(&w->c, kernel, 0, tensors, scalars, NULL);
    return rc ? rc : settle_sizes(w, kernel);
}

/* Runs all stages on memory of at least w->bytes + most + LINE bytes. */
static int
run_stages(struct whole *w, char *memory, size_t most, attn_exec *exec)
{
    char *base = (char *)(((uintptr_t)memory + LINE - 1) / LINE * LINE);
    attn_exec own = exec ? *exec : (attn_exec){0};
    int zero = ATTN_OK;
    char message[256] = "";
    struct stage s;
    own.workspace = base + w->bytes;
    own.workspace_size = most;
    for (int i = 0; i < w->c.k->nstages; i++) {
        attn_state *state = state_of(w, i);
        if (state)
            gather_stage(w, i, base, &s);
        int rc = state ? ATTN_OK : prepare_stage(w, i, base, &s);
        if (!rc)
            rc = state ? attn_step(state, s.s->kernel, s.tensor, s.scalar, &own)
                       : call_run(&s.c, call_entry(&s.c, 0), NULL, &own);
        if (rc && rc != ATTN_E_ZERO_ROW)
            return rc;
        if (rc && !zero) { /* of the first stage with such a row */
            exec->zero_row = own.zero_row;
            snprintf(message, sizeof message, "%s: %s", s.s->kernel->name, attn_message());
            zero = rc;
        }
    }
    return zero ? attn_fail(zero, "%s", message) : ATTN_OK;
}

/* Memory for all stages, and their run. */
static int
run_whole(struct whole *w, attn_exec *exec)
{
    size_t most;
    int rc = stages_need(w, exec, &most);
    if (rc)
        return rc;
    size_t need = w->bytes + most + LINE;
    char *memory = exec ? exec->workspace : NULL, *owned = NULL;
    if (memory && exec->workspace_size < need)
        return attn_fail(ATTN_E_MEMORY, "the workspace has %zu bytes, %zu are needed",
                         exec->workspace_size, need);
    if (!memory)
        memory = owned = call_workspace_new(need);
    if (!memory)
        return attn_fail(ATTN_E_MEMORY, "out of memory: %zu bytes of workspace", need);
    rc = run_stages(w, memory, most, exec);
    free(owned);
    return rc;
}

int
stages_launch(const attn_kernel *kernel, const DLTensor *const *tensors, const double *scalars,
              attn_exec *exec)
{
    struct whole w = {.c = {.step = false}};
    int rc = prepare_whole(&w, kernel, tensors, scalars);
    return rc ? rc : run_whole(&w, exec);
}

/* ---- token by token ---- */

/* The arguments of an attention without any tokens; shape: room for theirs. */
static void
take_tokens(struct stage *x, const attn_kernel *own, int64_t shape[][ATTN_MAX_RANK])
{
    for (int t = 0; t < own->ntensors; t++) {
        const attn_tensor *k = &own->tensors[t];
        if (!x->tensor[t])
            continue;
        for (int a = 0; a < k->rank; a++) {
            bool token = k->dims[a] == DIM_N || k->dims[a] == DIM_NQ;
            shape[t][a] = token ? 0 : x->view[t].shape[a];
        }
        x->view[t].shape = shape[t];
        x->view[t].strides = NULL;
    }
}

/* Memory for the states of all attentions, by steps of no token: later nothing can fail that would
 * leave some of them behind others. */
static int
make_states(struct whole *w, attn_state *s)
{
    const attn_kernel *k = s->kernel;
    int rc = ATTN_OK;
    s->bytes = (size_t)k->nstages * sizeof(attn_state);
    s->data = state_memory(s->bytes);
    if (!s->data)
        return attn_fail(ATTN_E_MEMORY, "out of memory: %zu bytes of state", s->bytes);
    w->states = s->data;
    for (int i = 0; i < k->nstages && !rc; i++) {
        struct stage x;
        attn_state *own = state_of(w, i);
        if (!own)
            continue;
        int64_t shape[ATTN_MAX_TENSORS][ATTN_MAX_RANK];
        gather_stage(w, i, (char *)(uintptr_t)LINE, &x);
        take_tokens(&x, k->stages[i].kernel, shape);
        rc = attn_state_init(own, k->stages[i].kernel, s->capacity);
        if (!rc)
            rc = attn_step(own, k->stages[i].kernel, x.tensor, x.scalar, NULL);
    }
    return rc;
}

int
stages_step(attn_state *s, const DLTensor *const *tensors, const double *scalars, attn_exec *exec)
{
    struct whole w = {.c = {.step = true}, .position = s->position, .states = s->data};
    bool fresh = !s->data;
    int rc = prepare_whole(&w, s->kernel, tensors, scalars);
    if (!rc)
        rc = state_check_shape(s, &w.c);
    if (!rc && w.c.slots[DIM_NQ] > s->capacity - s->position && caches(s->kernel))
        rc = attn_fail(ATTN_E_FULL, "the cache holds %lld of %lld tokens, %lld more do not fit",
                       (long long)s->position, (long long)s->capacity,
                       (long long)w.c.slots[DIM_NQ]);
    if (!rc && fresh) {
        rc = make_states(&w, s);
        memcpy(s->dims, w.c.slots, sizeof *s->dims * (size_t)s->kernel->ndims);
    }
    if (!rc)
        rc = run_whole(&w, exec);
    if (rc && rc != ATTN_E_ZERO_ROW) {
        if (fresh && s->data) {
            attn_state empty = {.kernel = s->kernel, .capacity = s->capacity};
            attn_state_free(s);
            *s = empty;
        }
        return rc;
    }
    s->position += w.c.slots[DIM_NQ];
    return rc;
}

size_t
attn_stages_workspace(const attn_kernel *kernel, const DLTensor *const *tensors)
{
    static const double none[ATTN_MAX_SCALARS];
    struct whole w = {.sizes_only = true};
    size_t most;
    if (kernel && !kernel->nstages) {
        attn_fail(ATTN_E_ABI, "%s has no stages: attn_workspace tells its workspace",
                  kernel->name);
        return 0;
    }
    if (prepare_whole(&w, kernel, tensors, none) || stages_need(&w, NULL, &most))
        return 0;
    return w.bytes + most + LINE;
}
