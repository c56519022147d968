/* Token by token: a state of fixed size, or a cache of keys and values.
 *
 * A kernel that keeps sums has an entry "step", which is its forward schedule going on from the
 * state. It numbers positions through the whole sequence, so k, v and the params over tokens are
 * presented as views of that sequence of which only the new rows exist. Any other kernel runs its
 * forward entry on the cache.
 */
#include "runtime/call.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64, VERSION = 2 };
static const char magic[8] = "ATTNST\n";

/* ---- life ---- */

int
attn_state_init(attn_state *s, const attn_kernel *kernel, int64_t capacity)
{
    if (!s || !kernel)
        return attn_fail(ATTN_E_NULL, "the state or the kernel is NULL");
    memset(s, 0, sizeof *s);
    if (!(kernel->flags & (ATTN_STEP_CACHE | ATTN_STEP_STATE | ATTN_STEP_STAGES)))
        return attn_fail(ATTN_E_STATE, "%s cannot run step by step", kernel->name);
    if (!(kernel->flags & ATTN_STEP_STATE) && (capacity < 0 || capacity > (int64_t)1 << 29))
        return attn_fail(ATTN_E_SIZE, "a cache of %lld tokens: must be from 0 to 2^29",
                         (long long)capacity);
    s->kernel = kernel;
    s->capacity = kernel->flags & ATTN_STEP_STATE ? 0 : capacity;
    return ATTN_OK;
}

/* The states of the stages, where the program has such; else none. */
static int
parts(const attn_state *s, attn_state **part)
{
    *part = s->data;
    return s->data && s->kernel && s->kernel->nstages ? s->kernel->nstages : 0;
}

void
attn_state_reset(attn_state *s)
{
    attn_state *part;
    int n = parts(s, &part);
    s->position = 0;
    for (int k = 0; k < n; k++)
        attn_state_reset(&part[k]);
    if (s->data && !n)
        memset(s->data, 0, s->bytes);
}

void
attn_state_free(attn_state *s)
{
    attn_state *part;
    int n = parts(s, &part);
    for (int k = 0; k < n; k++)
        attn_state_free(&part[k]);
    free(s->data);
    memset(s, 0, sizeof *s);
}

void *
state_memory(size_t bytes)
{
    void *p = aligned_alloc(LINE, (bytes + LINE) / LINE * LINE);
    if (p)
        memset(p, 0, bytes);
    return p;
}

int
attn_state_copy(attn_state *dst, const attn_state *src)
{
    attn_state made = *src;
    if (dst == src)
        return ATTN_OK;
    if (src->data) {
        made.data = state_memory(src->bytes);
        if (!made.data)
            return attn_fail(ATTN_E_MEMORY, "out of memory: %zu bytes of state", src->bytes);
        memcpy(made.data, src->data, src->bytes);
    }
    attn_state *from, *to;
    int n = parts(src, &from), rc = ATTN_OK;
    parts(&made, &to);
    for (int k = 0; k < n; k++)
        memset(&to[k], 0, sizeof to[k]);
    for (int k = 0; k < n && !rc; k++)
        rc = attn_state_copy(&to[k], &from[k]);
    if (rc) {
        attn_state_free(&made);
        return rc;
    }
    attn_state_free(dst);
    *dst = made;
    return ATTN_OK;
}

/* ---- saving ---- */

struct header {
    char magic[8];
    uint32_t version, dims;
    uint64_t kernel, contents; /* hashes */
    int64_t capacity, position, bytes;
    int64_t dim[ATTN_MAX_DIMS];
};

/* FNV-1a. */
static uint64_t
hash(uint64_t h, const void *data, size_t n)
{
    for (const unsigned char *p = data; n--; p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

static uint64_t
hash_text(uint64_t h, const char *s)
{
    return hash(h, s, strlen(s) + 1);
}

/* What a state's meaning depends on: name, types, dims, tensors, schedules. */
static uint64_t
kernel_hash(const attn_kernel *k)
{
    uint64_t h = hash_text(0xcbf29ce484222325u, k->name);
    h = hash(h, &k->type, sizeof k->type);
    h = hash(h, &k->state, sizeof k->state);
    for (int d = 0; d < k->ndims; d++)
        h = hash(hash_text(h, k->dims[d].name), &k->dims[d].size, sizeof k->dims[d].size);
    for (int t = 0; t < k->ntensors; t++)
        h = hash(hash_text(h, k->tensors[t].name), k->tensors[t].dims,
                 sizeof *k->tensors - offsetof(attn_tensor, dims));
    for (int e = 0; e < k->nentries; e++)
        h = hash_text(hash_text(h, k->entries[e].name), k->entries[e].schedule);
    for (int e = 0; e < k->nstages; e++) {
        uint64_t stage = kernel_hash(k->stages[e].kernel);
        h = hash(h, &stage, sizeof stage);
    }
    return h;
}

/* Bytes of contents: what is kept, or the saved states of the stages that keep something. */
static size_t
contents_size(const attn_state *s)
{
    attn_state *part;
    size_t bytes = 0;
    int n = parts(s, &part);
    for (int k = 0; k < n; k++)
        bytes += part[k].kernel ? attn_state_saved_size(&part[k]) : 0;
    return n ? bytes : s->data ? s->bytes : 0;
}

size_t
attn_state_saved_size(const attn_state *s)
{
    return sizeof(struct header) + contents_size(s);
}

static int
save_contents(const attn_state *s, char *to)
{
    attn_state *part;
    int n = parts(s, &part), rc = ATTN_OK;
    if (s->data && !n)
        memcpy(to, s->data, s->bytes);
    for (int k = 0; k < n && !rc; k++) {
        if (!part[k].kernel)
            continue;
        size_t size = attn_state_saved_size(&part[k]);
        rc = attn_state_save(&part[k], to, size);
        to += size;
    }
    return rc;
}

/* Bytes of one saved state at the beginning of a buffer; 0 if there is none. */
static size_t
saved_length(const char *from, size_t size)
{
    struct header h;
    if (size < sizeof h)
        return 0;
    memcpy(&h, from, sizeof h);
    return h.bytes < 0 || (uint64_t)h.bytes > size - sizeof h ? 0 : sizeof h + (size_t)h.bytes;
}

/* The states of the stages of s, whose memory is there, from what was saved. */
static int
load_parts(attn_state *s, const char *from, size_t size)
{
    attn_state *part;
    int n = parts(s, &part), rc = ATTN_OK;
    for (int k = 0; k < n && !rc; k++) {
        const attn_kernel *own = s->kernel->stages[k].kernel;
        if (own->flags & ATTN_CONTRACTION)
            continue;
        size_t one = saved_length(from, size);
        rc = one ? attn_state_init(&part[k], own, s->capacity)
                 : attn_fail(ATTN_E_STATE, "the saved state lacks that of stage %s", own->name);
        if (!rc)
            rc = attn_state_load(&part[k], from, one);
        from += one;
        size -= one;
    }
    return rc;
}

int
attn_state_save(const attn_state *s, void *buffer, size_t size)
{
    size_t bytes = contents_size(s);
    struct header h = {.version = VERSION, .capacity = s->capacity, .position = s->position};
    if (!s->kernel)
        return attn_fail(ATTN_E_STATE, "the state was not initialised");
    if (!buffer || size < attn_state_saved_size(s))
        return attn_fail(ATTN_E_MEMORY, "the buffer has %zu bytes, %zu are needed", size,
                         attn_state_saved_size(s));
    memcpy(h.magic, magic, sizeof magic);
    h.dims = (uint32_t)s->kernel->ndims;
    h.kernel = kernel_hash(s->kernel);
    h.bytes = (int64_t)bytes;
    memcpy(h.dim, s->dims, sizeof h.dim);
    int rc = save_contents(s, (char *)buffer + sizeof h);
    h.contents = hash(hash(0xcbf29ce484222325u, &h, sizeof h), (char *)buffer + sizeof h, bytes);
    memcpy(buffer, &h, sizeof h);
    return rc;
}

int
attn_state_load(attn_state *s, const void *buffer, size_t size)
{
    struct header h;
    attn_state made = {0};
    if (!s || !s->kernel || !buffer)
        return attn_fail(ATTN_E_NULL, "the state is not initialised, or there is no buffer");
    if (size < sizeof h)
        return attn_fail(ATTN_E_STATE, "%zu bytes are no saved state", size);
    memcpy(&h, buffer, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) || h.version != VERSION)
        return attn_fail(ATTN_E_STATE, "this is no saved state of this version");
    if (h.kernel != kernel_hash(s->kernel))
        return attn_fail(ATTN_E_STATE, "the saved state is of another program than %s",
                         s->kernel->name);
    uint64_t contents = h.contents;
    h.contents = 0;
    if (h.bytes < 0 || (uint64_t)h.bytes != size - sizeof h ||
        contents != hash(hash(0xcbf29ce484222325u, &h, sizeof h), (const char *)buffer + sizeof h,
                         (size_t)h.bytes))
        return attn_fail(ATTN_E_STATE, "the saved state is damaged or truncated");
    made.kernel = s->kernel;
    made.capacity = h.capacity;
    made.position = h.position;
    bool stages = s->kernel->nstages > 0;
    made.bytes = stages ? (size_t)s->kernel->nstages * sizeof(attn_state) : (size_t)h.bytes;
    memcpy(made.dims, h.dim, sizeof made.dims);
    if (h.bytes) {
        made.data = state_memory(made.bytes);
        if (!made.data)
            return attn_fail(ATTN_E_MEMORY, "out of memory: %zu bytes of state", made.bytes);
        const char *kept = (const char *)buffer + sizeof h;
        if (!stages)
            memcpy(made.data, kept, made.bytes);
        int rc = stages ? load_parts(&made, kept, (size_t)h.bytes) : ATTN_OK;
        if (rc) {
            attn_state_free(&made);
            return rc;
        }
    }
    attn_state_free(s);
    *s = made;
    return ATTN_OK;
}

/* ---- stepping ---- */

/* The sizes of this step are those the state was made for (n and n_q may differ). */
int
state_check_shape(const attn_state *s, const struct call *c)
{
    for (int d = 0; d < c->k->ndims; d++)
        if (s->data && d != DIM_N && d != DIM_NQ && s->dims[d] != c->slots[d])
            return attn_fail(ATTN_E_STATE, "%s is %lld, the state was made for %lld",
                             c->k->dims[d].name, (long long)c->slots[d], (long long)s->dims[d]);
    return ATTN_OK;
}

/* Memory for the state at its first step; *fresh tells the caller to drop it if the step fails. */
static int
make_memory(attn_state *s, const struct call *c, int64_t bytes, int *fresh)
{
    *fresh = 0;
    if (s->data && bytes != (int64_t)s->bytes)
        return attn_fail(ATTN_E_STATE, "the state has %zu bytes, this kernel keeps %lld", s->bytes,
                         (long long)bytes);
    if (s->data)
        return ATTN_OK;
    if (bytes < 0 || bytes > (int64_t)1 << 46)
        return attn_fail(ATTN_E_SIZE, "the state for these sizes overflows");
    s->data = state_memory((size_t)bytes);
    if (!s->data)
        return attn_fail(ATTN_E_MEMORY, "out of memory: %lld bytes of state", (long long)bytes);
    s->bytes = (size_t)bytes;
    memcpy(s->dims, c->slots, sizeof *s->dims * (size_t)c->k->ndims);
    *fresh = 1;
    return ATTN_OK;
}

static void
drop_memory(attn_state *s)
{
    free(s->data);
    s->data = NULL;
    s->bytes = 0;
}

/* Of k, v and params: row `position` of the sequence is the first that is there. */
static void
shift_tokens(struct call *c, int t, int64_t position, int64_t element)
{
    const attn_tensor *x = &c->k->tensors[t];
    int64_t *slot = call_tensor_slots(c, t);
    for (int a = 0; a < x->rank; a++)
        if (x->dims[a] == DIM_N) /* the last axis is contiguous, whatever a single row says */
            slot[0] -= position * (a == x->rank - 1 ? 1 : slot[1 + a]) * element;
}

static int
step_sums(attn_state *s, struct call *c, const attn_kernel *kernel, attn_exec *exec)
{
    const attn_entry *e = &kernel->entries[1];
    int64_t plan[ATTN_PLAN] = {0}, element = kernel->type == ATTN_TYPE_F64 ? 8 : 4;
    int fresh;
    c->slots[DIM_N] = s->position + c->slots[DIM_NQ];
    e->plan(c->slots, plan);
    int64_t sums = plan[2 + ATTN_MAX_PHASES], made = call_generated_bytes(c), bytes = sums;
    if (made && (made < 0 || sums < 0 || sums > (int64_t)1 << 46))
        bytes = -1;
    else if (made)
        bytes = (sums + LINE - 1) / LINE * LINE + made;
    int rc = make_memory(s, c, bytes, &fresh);
    for (int t = 0; t < kernel->ntensors; t++)
        shift_tokens(c, t, s->position, element);
    if (!rc && made) /* behind the sums, once per sequence */
        call_generate(c, (char *)s->data + bytes - made, s->position == 0);
    if (!rc)
        rc = call_run(c, e, s->data, exec);
    if (rc && rc != ATTN_E_ZERO_ROW) {
        if (fresh)
            drop_memory(s);
        return rc;
    }
    s->position += c->slots[DIM_NQ];
    return rc;
}

/* Bytes of the cache of tensor t, [B, G, capacity, width]; -1 if they overflow. */
static int64_t
cache_bytes(const attn_state *s, const struct call *c, int t)
{
    const int64_t *d = c->slots, element = c->k->type == ATTN_TYPE_F64 ? 8 : 4;
    int64_t width = d[c->k->tensors[t].dims[3]], rows, bytes;
    if (__builtin_mul_overflow(d[DIM_B] * d[DIM_G], s->capacity, &rows) ||
        __builtin_mul_overflow(rows, width * element, &bytes) || bytes > (int64_t)1 << 46)
        return -1;
    return bytes;
}

/* Rows of tensor t to their places in its cache, which the call then reads instead. */
static void
append_rows(const attn_state *s, struct call *c, int t, char *cache)
{
    const int64_t *d = c->slots, element = c->k->type == ATTN_TYPE_F64 ? 8 : 4;
    int64_t *slot = call_tensor_slots(c, t), width = d[c->k->tensors[t].dims[3]];
    for (int64_t b = 0; b < d[DIM_B]; b++)
        for (int64_t g = 0; g < d[DIM_G]; g++)
            for (int64_t r = 0; r < d[DIM_NQ]; r++) {
                int64_t from = b * slot[1] + g * slot[2] + r * slot[3];
                int64_t to = ((b * d[DIM_G] + g) * s->capacity + s->position + r) * width;
                memcpy(cache + to * element, (const char *)(uintptr_t)slot[0] + from * element,
                       (size_t)(width * element));
            }
    slot[0] = (int64_t)(uintptr_t)cache;
    slot[1] = d[DIM_G] * s->capacity * width;
    slot[2] = s->capacity * width;
    slot[3] = width;
}

static int
step_cache(attn_state *s, struct call *c, const attn_kernel *kernel, attn_exec *exec)
{
    int64_t *d = c->slots, bytes = 0;
    int fresh;
    if (d[DIM_NQ] > s->capacity - s->position)
        return attn_fail(ATTN_E_FULL, "the cache holds %lld of %lld tokens, %lld more do not fit",
                         (long long)s->position, (long long)s->capacity, (long long)d[DIM_NQ]);
    for (int t = 0; t < kernel->ntensors; t++) {
        int64_t own = call_is_cached(kernel, t) ? cache_bytes(s, c, t) : 0;
        bytes = own < 0 || bytes < 0 ? -1 : bytes + own;
    }
    int rc = make_memory(s, c, bytes, &fresh);
    if (rc)
        return rc;
    char *cache = s->data;
    for (int t = 0; t < kernel->ntensors; t++)
        if (call_is_cached(kernel, t)) {
            append_rows(s, c, t, cache);
            cache += cache_bytes(s, c, t);
        }
    d[DIM_N] = s->position + d[DIM_NQ];
    rc = call_run(c, &kernel->entries[0], NULL, exec);
    if (rc && rc != ATTN_E_ZERO_ROW) {
        if (fresh)
            drop_memory(s);
        return rc;
    }
    s->position += d[DIM_NQ];
    return rc;
}

int
attn_step(attn_state *s, const attn_kernel *kernel, const DLTensor *const *tensors,
          const double *scalars, attn_exec *exec)
{
    struct call c = {.step = true};
    if (!s || !kernel)
        return attn_fail(ATTN_E_NULL, "the state or the kernel is NULL");
    if (s->kernel != kernel)
        return attn_fail(ATTN_E_STATE,
                         s->kernel ? "the state is one of %s, not of %s"
                                   : "the state was not initialised",
                         s->kernel ? s->kernel->name : "", kernel->name);
    if (kernel->nstages)
        return stages_step(s, tensors, scalars, exec);
    int rc = call_prepare(&c, kernel, 0, tensors, scalars, NULL);
    if (!rc)
        rc = state_check_shape(s, &c);
    if (!rc && c.slots[DIM_NQ] > ((int64_t)1 << 29) - s->position)
        rc = attn_fail(ATTN_E_SIZE, "more than 2^29 tokens");
    if (rc)
        return rc;
    return kernel->flags & ATTN_STEP_STATE ? step_sums(s, &c, kernel, exec)
                                           : step_cache(s, &c, kernel, exec);
}

size_t
state_workspace(const attn_state *s, const DLTensor *const *qkv, const int64_t *dims,
                const attn_exec *exec)
{
    struct call c = {.step = true};
    if (!s || !s->kernel || s->kernel->nstages) {
        attn_fail(ATTN_E_STATE, s && s->kernel ? "steps of a program of stages make their own "
                                                 "workspace: leave attn_exec.workspace NULL"
                                               : "the state was not initialised");
        return 0;
    }
    if (call_sizes(&c, s->kernel, 0, qkv, dims) || state_check_shape(s, &c))
        return 0;
    int sums = !!(s->kernel->flags & ATTN_STEP_STATE);
    int64_t n = s->position + c.slots[DIM_NQ];
    c.slots[DIM_N] = sums || n > s->capacity ? n : s->capacity;
    return call_workspace(&c, &s->kernel->entries[sums], exec);
}

size_t
attn_step_workspace(const attn_state *s, const DLTensor *q, const DLTensor *k, const DLTensor *v)
{
    const DLTensor *qkv[3] = {q, k, v};
    return state_workspace(s, qkv, NULL, NULL);
}
