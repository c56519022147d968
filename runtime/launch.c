/* Running a kernel: validate the tensors, fill the slots, size the workspace, run the phases.
 *
 * Nothing is allocated when the caller passes a workspace. Tasks are handed out by an atomic
 * counter; they write disjoint memory, so the result does not depend on how many workers there are.
 */
#include "runtime/call.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { LINE = 64 };
static const int64_t MAX_ELEMENTS = (int64_t)1 << 46;

/* ---- messages ---- */

static _Thread_local char message[256];

int
attn_fail(int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    return status;
}

const char *
attn_message(void)
{
    return message;
}

const char *
attn_status_text(int status)
{
    static const char *const text[] = {
        [ATTN_OK] = "ok",
        [ATTN_E_NULL] = "a required pointer is null",
        [ATTN_E_RANK] = "wrong number of axes",
        [ATTN_E_SHAPE] = "wrong shape",
        [ATTN_E_TYPE] = "wrong element type",
        [ATTN_E_STRIDE] = "unsupported strides",
        [ATTN_E_DEVICE] = "not in CPU memory",
        [ATTN_E_SIZE] = "sizes overflow",
        [ATTN_E_MEMORY] = "out of memory",
        [ATTN_E_ISA] = "no version for this CPU",
        [ATTN_E_ABI] = "object and runtime library do not fit together",
        [ATTN_E_ZERO_ROW] = "a row's normaliser is zero",
        [ATTN_E_STATE] = "the state is of another program or shape, or damaged",
        [ATTN_E_FULL] = "the cache is full"};
    return status >= 0 && (size_t)status < sizeof text / sizeof *text ? text[status]
                                                                      : "unknown status";
}

/* ---- validation ---- */

static int
check_dim(struct call *c, const attn_tensor *x, int axis, int64_t size)
{
    int d = c->step && x->dims[axis] == DIM_N ? DIM_NQ : x->dims[axis];
    const attn_dim *dim = &c->k->dims[d];
    if (size < 0)
        return attn_fail(ATTN_E_SHAPE, "%s: shape[%d] is %lld", x->name, axis, (long long)size);
    if (c->slots[d] < 0) {
        c->slots[d] = size;
        c->bound_by[d] = x->name;
        return ATTN_OK;
    }
    if (c->slots[d] == size)
        return ATTN_OK;
    if (c->bound_by[d])
        return attn_fail(ATTN_E_SHAPE, "%s: shape[%d] is %lld, expected %s = %lld as in %s",
                         x->name, axis, (long long)size, dim->name, (long long)c->slots[d],
                         c->bound_by[d]);
    return attn_fail(ATTN_E_SHAPE, "%s: shape[%d] is %lld, expected %s = %lld", x->name, axis,
                     (long long)size, dim->name, (long long)c->slots[d]);
}

/* Rows of an output must not share elements: from the innermost axis outwards, each steps over all
 * that the axes inside it span. Which axis is inside which is for the strides to say. */
static int
check_overlap(const attn_tensor *x, const DLTensor *t, const int64_t *stride)
{
    int order[ATTN_MAX_RANK], n = 0;
    int64_t span = 1;
    for (int a = x->rank - 1; a >= 0; a--) {
        int at = n;
        if (t->shape[a] <= 1)
            continue;
        for (n++; at > 0 && order[at - 1] != x->rank - 1 && stride[order[at - 1]] > stride[a]; at--)
            order[at] = order[at - 1];
        order[at] = a;
    }
    for (int k = 0; k < n; k++) {
        int a = order[k];
        if (stride[a] < span)
            return attn_fail(ATTN_E_STRIDE,
                             "%s: stride[%d] is %lld, rows would overlap (at least %lld)", x->name,
                             a, (long long)stride[a], (long long)span);
        span += (t->shape[a] - 1) * stride[a];
    }
    return ATTN_OK;
}

static int
check_strides(const attn_tensor *x, const DLTensor *t, int64_t *slot)
{
    int64_t compact = 1, span = 1;
    for (int a = x->rank - 1; a >= 0; a--) {
        int64_t size = t->shape[a], stride = t->strides ? t->strides[a] : compact, reach;
        if (a == x->rank - 1 && size > 1 && stride != 1)
            return attn_fail(ATTN_E_STRIDE,
                             "%s: stride[%d] is %lld, the last axis must be contiguous", x->name, a,
                             (long long)stride);
        if (stride < 0 && size > 1)
            return attn_fail(ATTN_E_STRIDE, "%s: stride[%d] is %lld, must not be negative", x->name,
                             a, (long long)stride);
        if (size > 0 && (__builtin_mul_overflow(size - 1, stride, &reach) ||
                         __builtin_add_overflow(reach, span, &reach) || reach > MAX_ELEMENTS))
            return attn_fail(ATTN_E_SIZE, "%s: its elements span more than 2^46", x->name);
        span = size > 0 ? reach : span;
        if (__builtin_mul_overflow(compact, size > 0 ? size : 1, &compact) ||
            compact > MAX_ELEMENTS)
            return attn_fail(ATTN_E_SIZE, "%s: more than 2^46 elements", x->name);
        slot[1 + a] = size > 1 ? stride : 0;
    }
    return x->role == ATTN_OUTPUT ? check_overlap(x, t, slot + 1) : ATTN_OK;
}

static bool
is_argument(const attn_tensor *x)
{
    return x->rank && x->role != ATTN_BETWEEN && x->source == ATTN_GIVEN;
}

static int
check_tensor(struct call *c, int index, const DLTensor *t)
{
    const attn_tensor *x = &c->k->tensors[index];
    int bits = c->k->type == ATTN_TYPE_F64 ? 64 : 32;
    int64_t *slot = &c->slots[c->k->ndims + index * ATTN_TENSOR_SLOTS], count = 1;
    if (!t)
        return attn_fail(ATTN_E_NULL, "%s: the tensor is NULL", x->name);
    if (t->device.device_type != kDLCPU)
        return attn_fail(ATTN_E_DEVICE, "%s: device type is %d, must be CPU memory", x->name,
                         (int)t->device.device_type);
    if (t->dtype.code != kDLFloat || t->dtype.bits != bits || t->dtype.lanes != 1)
        return attn_fail(ATTN_E_TYPE, "%s: element type has code %d and %d bits, expected float%d",
                         x->name, t->dtype.code, t->dtype.bits, bits);
    if (t->ndim != x->rank)
        return attn_fail(ATTN_E_RANK, "%s: has %d axes, expected %d", x->name, (int)t->ndim,
                         x->rank);
    if (!t->shape)
        return attn_fail(ATTN_E_NULL, "%s: shape is NULL", x->name);
    for (int a = 0; a < x->rank; a++) {
        int rc = check_dim(c, x, a, t->shape[a]);
        if (rc)
            return rc;
        count = t->shape[a] ? count : 0;
    }
    if (!t->data && count)
        return attn_fail(ATTN_E_NULL, "%s: data is NULL", x->name);
    uintptr_t at = (uintptr_t)t->data + t->byte_offset;
    if (at % (unsigned)(bits / 8))
        return attn_fail(ATTN_E_STRIDE, "%s: data is not aligned to its element size of %d bytes",
                         x->name, bits / 8);
    slot[0] = (int64_t)at;
    return check_strides(x, t, slot);
}

static int
check_sizes(struct call *c)
{
    static const int positive[] = {DIM_H, DIM_G, DIM_D, DIM_M};
    int64_t *d = c->slots;
    for (int k = 0; k < c->k->ndims; k++)
        if (d[k] < 0)
            d[k] = 0;
    if ((c->k->flags & ATTN_CONTRACTION) && d[DIM_N] < d[DIM_NQ])
        d[DIM_N] = d[DIM_NQ]; /* rows are at positions from 0 on */
    if ((c->k->flags & ATTN_CONTRACTION) || c->k->nstages)
        return ATTN_OK;
    for (unsigned k = 0; k < sizeof positive / sizeof *positive; k++)
        if (d[positive[k]] < 1)
            return attn_fail(ATTN_E_SHAPE, "%s is %lld, must be at least 1",
                             c->k->dims[positive[k]].name, (long long)d[positive[k]]);
    if (d[DIM_H] % d[DIM_G])
        return attn_fail(ATTN_E_SHAPE,
                         "k: shape[1] is %lld, must divide the number of query heads %lld",
                         (long long)d[DIM_G], (long long)d[DIM_H]);
    if (d[DIM_N] > INT_MAX / 4 || d[DIM_NQ] > INT_MAX / 4)
        return attn_fail(ATTN_E_SIZE, "sequences of %lld queries and %lld keys: the limit is %d",
                         (long long)d[DIM_NQ], (long long)d[DIM_N], INT_MAX / 4);
    if (!c->step && (c->k->flags & ATTN_NEEDS_POSITIONS) && d[DIM_NQ] > d[DIM_N])
        return attn_fail(ATTN_E_SHAPE,
                         "q: n_q = %lld exceeds n = %lld, but a param is indexed by query position",
                         (long long)d[DIM_NQ], (long long)d[DIM_N]);
    return ATTN_OK;
}

static int
check_kernel(struct call *c, const attn_kernel *k, int entry)
{
    if (!k)
        return attn_fail(ATTN_E_NULL, "the kernel is NULL");
    if (k->abi != ATTN_ABI)
        return attn_fail(ATTN_E_ABI, "the kernel has ABI %d, this library has %d", k->abi,
                         ATTN_ABI);
    if (k->ndims > ATTN_MAX_DIMS || k->ndims < NDIMS || k->ntensors > ATTN_MAX_TENSORS ||
        k->nscalars > ATTN_MAX_SCALARS)
        return attn_fail(ATTN_E_ABI, "the kernel has %d dims, %d tensors and %d scalars: too many",
                         (int)k->ndims, (int)k->ntensors, (int)k->nscalars);
    if (entry < 0 || entry >= (k->nstages ? 1 : k->nentries))
        return attn_fail(ATTN_E_ABI, "entry %d of %d", entry, k->nentries);
    c->k = k;
    for (int d = 0; d < k->ndims; d++) {
        c->slots[d] = k->dims[d].size > 0 ? k->dims[d].size : -1;
        c->bound_by[d] = NULL;
    }
    return ATTN_OK;
}

/* ---- workers ---- */

struct work {
    attn_task *task;
    const int64_t *slots;
    char *shared, *local;
    size_t local_size;
    int64_t count;
    _Atomic int64_t next;
};

static void
work_loop(void *arg, int worker)
{
    struct work *w = arg;
    for (;;) {
        int64_t t = atomic_fetch_add_explicit(&w->next, 1, memory_order_relaxed);
        if (t >= w->count)
            return;
        w->task(w->slots, w->shared, w->local + (size_t)worker * w->local_size, t);
    }
}

static void
default_parallel_for(void *ctx, int workers, void (*fn)(void *, int), void *arg)
{
    (void)ctx;
#ifdef _OPENMP
#pragma omp parallel for num_threads(workers) schedule(static, 1)
#endif
    for (int w = 0; w < workers; w++)
        fn(arg, w);
}

static int
worker_count(const attn_exec *exec)
{
    int n = exec ? exec->threads : 0;
#ifdef _OPENMP
    if (n <= 0)
        n = omp_get_max_threads();
#endif
    return n <= 0 ? 1 : n > 1024 ? 1024 : n;
}

/* Multiply-adds of a contraction: entries of its result times all that is summed. */
static double
contraction_work(const struct call *c)
{
    const int64_t *d = c->slots;
    double work = (double)d[DIM_B] * (double)d[DIM_H] * (double)d[DIM_NQ] * (double)d[DIM_M];
    for (int k = NDIMS; k < c->k->ndims; k++)
        work *= call_is_index(c->k, k) ? (double)d[k] : 1;
    return work;
}

/* How many attentions a kernel has. */
static int
count_attentions(const attn_kernel *k)
{
    int n = 0;
    for (int t = 0; t < k->ntensors; t++)
        n += k->tensors[t].role == ATTN_OUTPUT && k->tensors[t].rank == 4;
    return n;
}

/* Fewer where the whole call is small: to start a worker and wait for it costs what 2^16
 * multiply-adds do, and far more where other programs use the cores. Only streamed kernels and
 * contractions tell from the sizes alone what they do at most. */
static int
worth_workers(const struct call *c, const attn_entry *e, int workers)
{
    const int64_t *d = c->slots;
    bool contraction = c->k->flags & ATTN_CONTRACTION;
    double work = contraction ? contraction_work(c)
                              : (double)d[DIM_B] * (double)d[DIM_H] * (double)d[DIM_NQ] *
                                    (double)d[DIM_N] * (double)(d[DIM_D] + d[DIM_M]) *
                                    count_attentions(c->k);
    work /= 1 << 16;
    if (!contraction && strcmp(e->schedule, "stream"))
        return workers;
    return work >= workers ? workers : work < 1 ? 1 : (int)work;
}

static const attn_variant *
choose_variant(const attn_entry *e)
{
    const attn_variant *best = NULL;
    int level = attn_isa_level();
    for (int v = 0; v < e->variants; v++)
        if (e->variant[v].isa <= level && (!best || e->variant[v].isa > best->isa))
            best = &e->variant[v];
    return best;
}

/* Bytes of workspace for a plan, or 0 if they overflow. */
static size_t
plan_bytes(const int64_t *plan, int workers, size_t *shared, size_t *local)
{
    const int64_t limit = (int64_t)1 << 48;
    if (plan[0] < 0 || plan[0] > limit || plan[1] < 0 || plan[1] > limit / 1024)
        return 0;
    *shared = ((size_t)plan[0] + LINE - 1) / LINE * LINE + LINE;
    *local = ((size_t)plan[1] + LINE - 1) / LINE * LINE +
             2 * LINE; /* apart, so that workers share no line */
    return *shared + *local * (size_t)workers + LINE;
}

/* Adds what no caller gives to the shared workspace of a plan. Returns where it begins. */
static int64_t
add_generated(const struct call *c, int64_t *plan)
{
    int64_t bytes = call_generated_bytes(c), at = plan[0];
    if (bytes < 0 || at < 0 || at > (int64_t)1 << 48) {
        plan[0] = INT64_MAX;
        return 0;
    }
    at = (at + LINE - 1) / LINE * LINE;
    plan[0] = bytes ? at + bytes : plan[0];
    return bytes ? at : -1;
}

/* Memory for the workspace, to be freed. What malloc would map anew for every call is mapped in
 * huge pages: a fault and an entry of the TLB per 2 MiB instead of 4 KiB. */
void *
call_workspace_new(size_t size)
{
#if defined __linux__ && defined MADV_HUGEPAGE
    const size_t huge = (size_t)1 << 21, large = (size_t)1 << 25;
    if (size >= large) {
        size_t whole = (size + huge - 1) / huge * huge;
        void *p = aligned_alloc(huge, whole);
        if (p)
            (void)madvise(p, whole, MADV_HUGEPAGE); /* a wish: it may be refused */
        return p;
    }
#endif
    return malloc(size);
}

static void
run_phases(struct call *c, const attn_entry *e, const attn_variant *v, const int64_t *plan,
           char *memory, size_t shared, size_t local, int workers, const attn_exec *exec)
{
    char *base = (char *)(((uintptr_t)memory + LINE - 1) / LINE * LINE);
    for (int p = 0; p < e->phases; p++) {
        struct work w = {.task = v->phase[p],
                         .slots = c->slots,
                         .shared = base,
                         .local = base + shared,
                         .local_size = local,
                         .count = plan[2 + p]};
        int n = w.count < workers ? (int)w.count : workers;
        if (n <= 1)
            work_loop(&w, 0);
        else if (exec && exec->parallel_for)
            exec->parallel_for(exec->ctx, n, work_loop, &w);
        else
            default_parallel_for(NULL, n, work_loop, &w);
    }
}

/* A kernel of several attentions numbers the rows of the second after those of the first. */
static int
report_zero_row(const struct call *c, int64_t row, attn_exec *exec)
{
    int64_t nq = c->slots[DIM_NQ], h = c->slots[DIM_H], all = c->slots[DIM_B] * h * nq;
    int attentions = count_attentions(c->k);
    char of[64] = "";
    if (attentions > 1)
        snprintf(of, sizeof of, "attention %d of %d: ", (int)(row / all) + 1, attentions);
    row %= all;
    exec->zero_row = row;
    return attn_fail(ATTN_E_ZERO_ROW, "%sthe normaliser of row b=%lld h=%lld i=%lld is exactly 0",
                     of, (long long)(row / nq / h), (long long)(row / nq % h),
                     (long long)(row % nq));
}

int
call_run(struct call *c, const attn_entry *e, void *state, attn_exec *exec)
{
    int64_t plan[ATTN_PLAN] = {0}, zero_row = INT64_MAX;
    size_t shared = 0, local = 0;
    int workers = worker_count(exec);
    const attn_variant *v = choose_variant(e);
    bool check = exec && (exec->flags & ATTN_CHECK);
    if (!v)
        return attn_fail(ATTN_E_ISA, "this CPU runs none of the %d versions in the kernel",
                         e->variants);
    if (!c->slots[DIM_B] || !c->slots[DIM_NQ])
        return ATTN_OK;
    if (!exec || exec->threads <= 0)
        workers = worth_workers(c, e, workers);
    int64_t *report = &c->slots[c->k->ndims + c->k->ntensors * ATTN_TENSOR_SLOTS + c->k->nscalars];
    report[0] = check ? (int64_t)(uintptr_t)&zero_row : 0;
    report[1] = (int64_t)(uintptr_t)state;
    e->plan(c->slots, plan);
    int64_t made = c->generated ? -1 : add_generated(c, plan);
    size_t need = plan_bytes(plan, workers, &shared, &local);
    if (!need)
        return attn_fail(ATTN_E_SIZE, "the workspace for these sizes overflows");
    char *memory = exec ? exec->workspace : NULL, *owned = NULL;
    if (memory && exec->workspace_size < need)
        return attn_fail(ATTN_E_MEMORY,
                         "the workspace has %zu bytes, %zu are needed for %d workers",
                         exec->workspace_size, need, workers);
    if (!memory)
        memory = owned = call_workspace_new(need);
    if (!memory)
        return attn_fail(ATTN_E_MEMORY, "out of memory: %zu bytes of workspace", need);
    if (made >= 0)
        call_generate(c, (char *)(((uintptr_t)memory + LINE - 1) / LINE * LINE) + made, true);
    run_phases(c, e, v, plan, memory, shared, local, workers, exec);
    free(owned);
    return zero_row == INT64_MAX ? ATTN_OK : report_zero_row(c, zero_row, exec);
}

bool
call_is_index(const attn_kernel *k, int dim)
{
    for (int t = 0; t < k->ntensors; t++)
        for (int a = 0; a < k->tensors[t].rank; a++)
            if (k->tensors[t].dims[a] == dim)
                return true;
    return false;
}

bool
call_is_cached(const attn_kernel *k, int t)
{
    const attn_tensor *x = &k->tensors[t];
    return !(k->flags & ATTN_CONTRACTION) && x->role == ATTN_INPUT && x->rank == 4 &&
           x->dims[0] == DIM_B && x->dims[1] == DIM_G && x->dims[2] == DIM_N;
}

int64_t *
call_tensor_slots(struct call *c, int t)
{
    return &c->slots[c->k->ndims + t * ATTN_TENSOR_SLOTS];
}

/* Sizes that are known before the tensors tell. */
static void
know_dims(struct call *c, const int64_t *dims)
{
    for (int d = 0; d < c->k->ndims; d++)
        if (c->slots[d] < 0)
            c->slots[d] = dims[d];
}

int
call_prepare(struct call *c, const attn_kernel *kernel, int entry, const DLTensor *const *tensors,
             const double *scalars, const int64_t *dims)
{
    message[0] = 0;
    int rc = check_kernel(c, kernel, entry);
    if (!rc && dims)
        know_dims(c, dims);
    if (!rc && (!tensors || (kernel->nscalars && !scalars)))
        rc = attn_fail(ATTN_E_NULL, "the argument lists are NULL");
    for (int t = 0; !rc && t < kernel->ntensors; t++)
        if (is_argument(&kernel->tensors[t]) &&
            (tensors[t] || !c->no_outputs || kernel->tensors[t].role != ATTN_OUTPUT))
            rc = check_tensor(c, t, tensors[t]);
    if (!rc)
        rc = check_sizes(c);
    if (!rc)
        rc = call_check_generated(c);
    for (int s = 0; !rc && s < kernel->nscalars; s++)
        memcpy(call_tensor_slots(c, kernel->ntensors) + s, &scalars[s], sizeof(double));
    return rc;
}

const attn_entry *
call_entry(const struct call *c, int entry)
{
    const attn_kernel *k = c->k;
    int64_t plan[2][ATTN_PLAN] = {{0}};
    if (entry || !(k->flags & ATTN_CHOOSES))
        return &k->entries[entry];
    const attn_entry *e[2] = {&k->entries[0], &k->entries[k->nentries - 1]};
    for (int i = 0; i < 2; i++)
        e[i]->plan(c->slots, plan[i]);
    return e[plan[1][3 + ATTN_MAX_PHASES] < plan[0][3 + ATTN_MAX_PHASES]];
}

int
attn_launch(const attn_kernel *kernel, int entry, const DLTensor *const *tensors,
            const double *scalars, attn_exec *exec)
{
    struct call c = {.step = false};
    if (kernel && kernel->nstages && !entry)
        return stages_launch(kernel, tensors, scalars, exec);
    int rc = call_prepare(&c, kernel, entry, tensors, scalars, NULL);
    return rc ? rc : call_run(&c, call_entry(&c, entry), NULL, exec);
}

int
call_sizes(struct call *c, const attn_kernel *kernel, int entry, const DLTensor *const *t,
           const int64_t *dims)
{
    message[0] = 0;
    int rc = check_kernel(c, kernel, entry);
    if (!rc && dims)
        know_dims(c, dims);
    for (int i = 0; !rc && i < 3; i++)
        rc = check_tensor(c, i, t[i]);
    for (int d = NDIMS; !rc && d < kernel->ndims; d++)
        if (c->slots[d] < 0)
            rc = attn_fail(ATTN_E_SHAPE,
                           "%s is known from a param alone: fix it when compiling (-D %s=...)",
                           kernel->dims[d].name, kernel->dims[d].name);
    return rc ? rc : check_sizes(c);
}

size_t
call_workspace(const struct call *c, const attn_entry *e, const attn_exec *exec)
{
    int64_t plan[ATTN_PLAN] = {0};
    size_t shared, local;
    e->plan(c->slots, plan);
    add_generated(c, plan);
    size_t need = plan_bytes(plan, worker_count(exec), &shared, &local);
    if (!need)
        attn_fail(ATTN_E_SIZE, "the workspace for these sizes overflows");
    return need;
}

size_t
attn_workspace(const attn_kernel *kernel, int entry, const DLTensor *q, const DLTensor *k,
               const DLTensor *v)
{
    if (kernel && kernel->nstages) {
        attn_fail(ATTN_E_ABI, "%s has stages: attn_stages_workspace tells its workspace",
                  kernel->name);
        return 0;
    }
    const DLTensor *t[3] = {q, k, v};
    struct call c = {.step = false};
    return call_sizes(&c, kernel, entry, t, NULL)
               ? 0 : call_workspace(&c, call_entry(&c, entry), NULL);
}
