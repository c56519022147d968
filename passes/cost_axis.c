/* The algorithm's cost: every node of the axis IR that the output needs, once. */
#include "passes/cost.h"

#include "ir/tile.h"

/* What a node reads: inputs, tensor params, something of the query head. Conditions that hide keys
 * do not count: what they hide is not computed. */
enum { READS_Q = 1, READS_K = 2, READS_V = 4, READS_TENSOR = 8, READS_HEAD = 16 };
enum { READS_INPUT = READS_Q | READS_K | READS_V, READS_VALUE = READS_INPUT | READS_TENSOR };

struct count {
    struct cost_ring *r;
    const struct ir_func *f;
    enum cost_entry entry;
    struct fuse_done done;
    uint8_t *reads;
    bool *needed;
    cost_poly *queries, *keys, *pairs; /* how many of each an entry meets, per head */
};

static bool
has_axis(const struct ir_node *x, uint8_t axis)
{
    return x->axes >> axis & 1;
}

/* A choice by a mask: what is hidden is not computed, and choosing costs nothing. */
static bool
is_masked(const struct count *c, const struct ir_node *x)
{
    return x->op == IR_select && !(c->reads[x->arg[0]] & READS_INPUT);
}

static uint8_t
reads_of(const struct count *c, const struct ir_node *x)
{
    uint8_t reads = 0;
    if (x->op == IR_input)
        return (uint8_t)(READS_Q << x->attr.num);
    if (x->op == IR_param) {
        const struct ir_binding *b = &c->f->bindings[x->attr.num];
        for (int k = 0; k < b->rank; k++)
            reads |= b->ax[k] == AX_h ? READS_TENSOR | READS_HEAD : READS_TENSOR;
        return reads;
    }
    for (int k = is_masked(c, x) ? 1 : 0; k < x->nargs; k++)
        reads |= c->reads[x->arg[k]];
    return reads;
}

static void
need(struct count *c, ir_ref n)
{
    const struct ir_node *x = &c->f->nodes[n];
    if (c->needed[n] || (c->done.node && c->done.node[n]))
        return;
    c->needed[n] = true;
    for (int k = is_masked(c, x) ? 1 : 0; k < x->nargs; k++)
        need(c, x->arg[k]);
}

static void
count_init(struct count *c, struct cost_ring *r, const struct ir_func *f, enum cost_entry entry,
           const struct fuse_done *done)
{
    bool step = entry != COST_FORWARD;
    *c = (struct count){.r = r, .f = f, .entry = entry};
    if (done)
        c->done = *done;
    c->reads = ARENA_ARRAY(r->arena, uint8_t, f->nnodes);
    c->needed = ARENA_ARRAY(r->arena, bool, f->nnodes);
    for (ir_ref n = 1; n < f->nnodes; n++)
        c->reads[n] = reads_of(c, &f->nodes[n]);
    need(c, f->root[ROOT_OUT]);
    if (f->root[ROOT_LSE])
        need(c, f->root[ROOT_LSE]);
    c->queries = step ? cost_poly_num(r, 1) : r->dim[DIM_NQ];
    c->keys = entry == COST_STEP_STATE   ? cost_poly_num(r, 1)
              : entry == COST_STEP_CACHE ? cost_poly_var(r, r->seen)
                                         : r->dim[DIM_N];
    c->pairs = step ? c->keys : cost_poly_var(r, r->area);
}

/* How many elements a value over these axes has that reads this. */
static cost_poly *
elements(const struct count *c, ir_axes axes, uint8_t reads)
{
    const ir_axes i = (ir_axes)1 << AX_i, j = (ir_axes)1 << AX_j;
    cost_poly *size = cost_poly_num(c->r, 1);
    if ((axes & i) && (axes & j)) {
        fmpq_mpoly_mul(size, size, c->pairs, c->r->ctx);
        axes &= ~(i | j);
    }
    for (; axes; axes &= axes - 1) {
        uint8_t a = (uint8_t)__builtin_ctzll(axes);
        bool shared = (reads & READS_INPUT) && !(reads & (READS_Q | READS_HEAD));
        const cost_poly *s = a == AX_b   ? c->r->dim[DIM_B]
                             : a == AX_h ? c->r->dim[shared ? DIM_G : DIM_H]
                             : a == AX_i ? c->queries
                             : a == AX_j ? c->keys
                                         : cost_axis_size(c->r, c->f, a);
        fmpq_mpoly_mul(size, size, s, c->r->ctx);
    }
    return size;
}

/* Operations per element, and the axes those elements run over; 0: free. */
static int
operations(const struct count *c, ir_ref n, ir_axes *axes)
{
    const struct ir_node *x = &c->f->nodes[n];
    const ir_axes i = (ir_axes)1 << AX_i, j = (ir_axes)1 << AX_j;
    *axes = x->axes;
    if (is_masked(c, x))
        return 0;
    if (c->f->contraction && x->op == IR_rsum && c->f->nodes[x->arg[0]].op == IR_rsum)
        return 0; /* one sum over both axes */
    if (x->op == IR_rsum || x->op == IR_rmax) {
        *axes = c->f->nodes[x->arg[0]].axes;
        return c->reads[n] & READS_VALUE ? ir_ops[x->op].flops : 0;
    }
    if (x->op == IR_scan) { /* each key is added once, after the sum so far has decayed */
        *axes = (c->f->nodes[x->arg[0]].axes & ~i) | j;
        return !(c->reads[n] & READS_VALUE) ? 0 : ir_is_const(c->f, x->arg[1], 1) ? 1 : 2;
    }
    if (x->op == IR_mono)
        return x->attr.num - 1 + (x->attr.id != 0);
    return x->axes && x->nargs ? ir_ops[x->op].flops : 0;
}

static cost_poly *
node_flops(const struct count *c, ir_ref n)
{
    ir_axes axes;
    int each = operations(c, n, &axes);
    cost_poly *p = each ? elements(c, axes, c->reads[n]) : cost_poly_new(c->r);
    fmpq_mpoly_scalar_mul_si(p, p, each, c->r->ctx);
    return p;
}

uint32_t
cost_lines(struct cost_ring *r, const struct ir_func *f, enum cost_entry entry,
           struct cost_line **lines)
{
    struct count c;
    uint32_t n = 0;
    count_init(&c, r, f, entry, NULL);
    *lines = ARENA_ARRAY(r->arena, struct cost_line, f->nnodes);
    for (ir_ref k = 1; k < f->nnodes; k++)
        if (c.needed[k]) {
            (*lines)[n] = (struct cost_line){k, node_flops(&c, k)};
            n += !fmpq_mpoly_is_zero((*lines)[n].flops, r->ctx);
        }
    return n;
}

/* ---- memory ---- */

/* Numbers in the sums over keys that outlive a query. */
static cost_poly *
sums(const struct count *c)
{
    const ir_axes i = (ir_axes)1 << AX_i, j = (ir_axes)1 << AX_j;
    cost_poly *all = cost_poly_new(c->r);
    for (ir_ref n = 1; n < c->f->nnodes; n++) {
        const struct ir_node *x = &c->f->nodes[n];
        bool sum = (x->op == IR_rsum && x->attr.axis == AX_j) || x->op == IR_scan;
        ir_axes axes = x->nargs ? c->f->nodes[x->arg[0]].axes : 0;
        if (c->needed[n] && sum && (c->reads[n] & READS_VALUE) && !(axes & i))
            fmpq_mpoly_add(all, all, elements(c, axes & ~j, c->reads[n]), c->r->ctx);
    }
    return all;
}

/* Entries of a tensor param; a step over a state is given those of the new token. */
static cost_poly *
param_size(const struct count *c, const struct ir_param *p)
{
    cost_poly *size = cost_poly_num(c->r, 1);
    for (int k = 0; k < p->rank; k++)
        fmpq_mpoly_mul(size, size, p->dims[k] == DIM_N ? c->keys : c->r->dim[p->dims[k]],
                       c->r->ctx);
    return size;
}

/* Entries of a key and of a value of one head, of those that are read and not done. */
static cost_poly *
key_width(const struct count *c, const bool *done)
{
    cost_poly *width = cost_poly_new(c->r);
    uint8_t reads = c->reads[c->f->root[ROOT_OUT]];
    if ((reads & READS_K) && !done[1])
        fmpq_mpoly_add(width, width, c->r->dim[DIM_D], c->r->ctx);
    if ((reads & READS_V) && !done[2])
        fmpq_mpoly_add(width, width, c->r->dim[DIM_M], c->r->ctx);
    return width;
}

/* Numbers of q, k, v, out, lse and tensor params that are read or written. */
static cost_poly *
tensors(const struct count *c)
{
    struct cost_ring *r = c->r;
    const bool *live = ir_live(c->f, r->arena);
    const bool query = (c->reads[c->f->root[ROOT_OUT]] & READS_Q) && !c->done.read[0];
    cost_poly *all = cost_poly_new(r), *t = cost_poly_new(r), *rows = cost_poly_new(r);
    bool cache = c->entry == COST_STEP_CACHE;
    fmpq_mpoly_set(t, r->dim[DIM_M], r->ctx);
    if (query)
        fmpq_mpoly_add(t, t, r->dim[DIM_D], r->ctx);
    fmpq_mpoly_add_si(t, t, c->f->root[ROOT_LSE] != 0, r->ctx);
    fmpq_mpoly_mul(t, t, c->queries, r->ctx);
    fmpq_mpoly_mul(t, t, r->dim[DIM_H], r->ctx);
    fmpq_mpoly_mul(rows, c->keys, r->dim[DIM_G], r->ctx);
    cost_add_mul(r, t, 1, rows, key_width(c, c->done.read));
    if (cache) /* which the new token is read for, and written to */
        cost_add_mul(r, t, 2, r->dim[DIM_G], key_width(c, c->done.kept));
    cost_add_mul(r, all, 1, t, r->dim[DIM_B]);
    bool *used = ARENA_ARRAY(r->arena, bool, c->f->nparams + 1);
    for (ir_ref n = 1; n < c->f->nnodes; n++)
        if (live[n] && c->f->nodes[n].op == IR_param)
            used[c->f->nodes[n].attr.id] = true;
    for (uint32_t k = 0; k < c->f->nparams; k++)
        if (used[k] && c->f->params[k].rank && !c->done.read[tile_param_arg(c->f, k)])
            fmpq_mpoly_add(all, all, param_size(c, &c->f->params[k]), r->ctx);
    return all;
}

static bool
compares_pairs(const struct count *c)
{
    for (ir_ref n = 1; n < c->f->nnodes; n++)
        if (c->needed[n] && has_axis(&c->f->nodes[n], AX_i) && has_axis(&c->f->nodes[n], AX_j))
            return true;
    return false;
}

void
cost_axis(struct cost_ring *r, const struct ir_func *f, enum cost_entry entry,
          const struct fuse_done *done, struct cost *out)
{
    struct count c;
    count_init(&c, r, f, entry, done);
    cost_poly **q = out->q, *kept = sums(&c);
    for (int k = 0; k < COST_QUANTITIES; k++)
        q[k] = cost_poly_new(r);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        if (!c.needed[n])
            continue;
        const cost_poly *flops = node_flops(&c, n);
        fmpq_mpoly_add(q[COST_FLOPS], q[COST_FLOPS], flops, r->ctx);
        if (ir_ops[f->nodes[n].op].props & IRP_TRANS)
            fmpq_mpoly_add(q[COST_CALLS], q[COST_CALLS], flops, r->ctx);
    }
    fmpq_mpoly_scalar_mul_si(kept, kept, ir_type_bytes[f->acc], r->ctx);
    fmpq_mpoly_scalar_mul_si(q[COST_BYTES], tensors(&c), ir_type_bytes[f->type], r->ctx);
    cost_add_mul(r, q[COST_BYTES], 2, kept, cost_poly_num(r, 1));
    if (entry != COST_STEP_STATE)
        fmpq_mpoly_set(q[COST_SPACE], kept, r->ctx);
    if (compares_pairs(&c))
        cost_add_mul(r, q[COST_SPACE], ir_type_bytes[f->acc],
                     elements(&c, (ir_axes)1 << AX_b | (ir_axes)1 << AX_h | (ir_axes)1 << AX_i |
                                      (ir_axes)1 << AX_j, READS_Q), cost_poly_num(r, 1));
    fmpq_mpoly_set(q[COST_STATE], kept, r->ctx);
    if (entry == COST_STEP_CACHE) { /* all n keys and values are kept, whichever are seen */
        cost_poly *cache = cost_poly_new(r);
        fmpq_mpoly_mul(cache, r->dim[DIM_G], key_width(&c, c.done.kept), r->ctx);
        fmpq_mpoly_mul(cache, cache, r->dim[DIM_N], r->ctx);
        fmpq_mpoly_zero(q[COST_STATE], r->ctx);
        cost_add_mul(r, q[COST_STATE], ir_type_bytes[f->type], cache, r->dim[DIM_B]);
    }
}
