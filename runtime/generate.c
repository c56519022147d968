/* Tensors that no caller gives: random weights, made in the memory of a call or of a state. */
#include "runtime/call.h"

enum { LINE = 64 };

/* Rows and columns of W from the tensor, which holds its transpose: [columns, rows]. */
static int64_t
extent(const struct call *c, int t, int axis)
{
    return c->slots[c->k->tensors[t].dims[axis]];
}

static int64_t
in_lines(int64_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* Bytes of tensor t, then of the block of rows that it is made in; -1 if they overflow. */
static int64_t
tensor_bytes(const struct call *c, int t, int64_t *block)
{
    int64_t cols = extent(c, t, 0), rows = extent(c, t, 1), n;
    if (__builtin_mul_overflow(cols, rows, &n) || n > (int64_t)1 << 40)
        return -1;
    *block = in_lines((rows < cols ? rows : cols) * cols * 8);
    return in_lines(n * (c->k->type == ATTN_TYPE_F64 ? 8 : 4));
}

int
call_check_generated(struct call *c)
{
    for (int t = 0; t < c->k->ntensors; t++) {
        const attn_tensor *x = &c->k->tensors[t];
        int64_t *slot = call_tensor_slots(c, t);
        for (int a = 0; x->source != ATTN_GIVEN && a < 2; a++)
            if (extent(c, t, a) < 1)
                return attn_fail(ATTN_E_SHAPE, "%s is made with %s = %lld, must be at least 1",
                                 x->name, c->k->dims[x->dims[a]].name, (long long)extent(c, t, a));
        if (x->source != ATTN_GIVEN) {
            slot[0] = 0;
            slot[1] = extent(c, t, 1);
            slot[2] = 1;
        }
    }
    return ATTN_OK;
}

int64_t
call_generated_bytes(const struct call *c)
{
    int64_t all = 0, block = 0;
    for (int t = 0; t < c->k->ntensors; t++) {
        if (c->k->tensors[t].source == ATTN_GIVEN)
            continue;
        int64_t n = tensor_bytes(c, t, &block);
        if (n < 0 || all > (int64_t)1 << 46)
            return -1;
        all += n + block;
    }
    return all;
}

void
call_generate(struct call *c, char *memory, bool fill)
{
    for (int t = 0; t < c->k->ntensors; t++) {
        const attn_tensor *x = &c->k->tensors[t];
        int64_t block = 0, n;
        if (x->source == ATTN_GIVEN)
            continue;
        n = tensor_bytes(c, t, &block);
        call_tensor_slots(c, t)[0] = (int64_t)(uintptr_t)memory;
        if (fill)
            attn_random_weights(x->source, c->k->type, x->seed, extent(c, t, 1), extent(c, t, 0),
                                (double *)(void *)(memory + n), memory);
        memory += n + block;
    }
    c->generated = true;
}
