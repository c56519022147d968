/* Making nodes: hash-consing, and the axes of the result from the rule in ops.def. */
#include "ir/ir.h"

#include <string.h>

/* ---- constants and bindings ---- */

static uint32_t
const_intern(struct ir_func *f, const fmpq_t q)
{
    for (uint32_t k = 0; k < f->nconsts; k++)
        if (fmpq_equal(&f->consts[k], q))
            return k;
    f->consts = arena_grow(f->arena, f->consts, f->nconsts, f->nconsts + 1, &f->cap_consts, sizeof *f->consts);
    fmpq_init(&f->consts[f->nconsts]);
    fmpq_set(&f->consts[f->nconsts], q);
    return f->nconsts++;
}

static uint32_t
binding_intern(struct ir_func *f, const struct ir_binding *b)
{
    for (uint32_t k = 0; k < f->nbindings; k++) {
        const struct ir_binding *x = &f->bindings[k];
        bool same = x->rank == b->rank;
        for (int i = 0; same && i < b->rank; i++)
            same = x->ax[i] == b->ax[i] && (b->ax[i] != AX_UNIT || x->num[i] == b->num[i]);
        if (same)
            return k;
    }
    f->bindings = arena_grow(f->arena, f->bindings, f->nbindings, f->nbindings + 1, &f->cap_bindings,
                             sizeof *f->bindings);
    f->bindings[f->nbindings] = *b;
    return f->nbindings++;
}

/* ---- axes of a result ---- */

static ir_axes
bit(uint8_t axis)
{
    return axis < IR_MAX_AXES ? (ir_axes)1 << axis : 0;
}

static ir_axes
leaf_axes(const struct ir_func *f, enum ir_op op, ir_attr at)
{
    static const uint8_t token[3] = {AX_i, AX_j, AX_j}, entry[3] = {AX_d, AX_d, AX_m};
    if (op == IR_input)
        return bit(AX_b) | bit(AX_h) | bit(token[at.num]) | bit(entry[at.num]);
    if (op == IR_pos)
        return bit(at.axis);
    ir_axes x = 0;
    if (op == IR_param)
        for (int k = 0; k < f->bindings[at.num].rank; k++)
            x |= bit(f->bindings[at.num].ax[k]);
    return x;
}

static ir_axes
result_axes(const struct ir_func *f, enum ir_op op, ir_attr at, const ir_ref *arg)
{
    ir_axes all = 0;
    for (int k = 0; k < ir_ops[op].nargs; k++)
        all |= f->nodes[arg[k]].axes;
    if (ir_ops[op].axes_rule == AXES_leaf)
        return leaf_axes(f, op, at);
    if (ir_ops[op].axes_rule == AXES_same)
        return all;
    if (ir_ops[op].axes_rule == AXES_reduce)
        return all & ~bit(at.axis);
    if (op == IR_rename || op == IR_mono)
        return (all & ~bit(at.axis)) | bit(at.axis2);
    if (op == IR_cat || op == IR_outer)
        return (all & ~bit(at.axis) & ~bit(at.axis2)) | bit((uint8_t)at.id);
    return all; /* roll */
}

/* ---- hash-consing ---- */

static uint32_t
node_hash(uint8_t op, ir_attr at, const ir_ref *arg)
{
    uint32_t w[8] = {op, at.id, (uint32_t)at.num, at.axis, at.axis2, arg[0], arg[1], arg[2]}, h = 2166136261u;
    for (int k = 0; k < 8; k++)
        h = (h ^ w[k]) * 16777619u, h ^= h >> 15;
    return h;
}

static bool
same_node(const struct ir_node *x, uint8_t op, ir_attr at, const ir_ref *arg)
{
    return x->op == op && x->attr.id == at.id && x->attr.num == at.num && x->attr.axis == at.axis &&
           x->attr.axis2 == at.axis2 && x->arg[0] == arg[0] && x->arg[1] == arg[1] && x->arg[2] == arg[2];
}

static void
rehash(struct ir_func *f)
{
    f->hash_size = f->hash_size ? f->hash_size * 2 : 64;
    while (f->hash_size < f->nnodes * 2)
        f->hash_size *= 2;
    f->hash = ARENA_ARRAY(f->arena, uint32_t, f->hash_size);
    for (uint32_t k = 1; k < f->nnodes; k++) {
        uint32_t h = node_hash(f->nodes[k].op, f->nodes[k].attr, f->nodes[k].arg) & (f->hash_size - 1);
        while (f->hash[h])
            h = (h + 1) & (f->hash_size - 1);
        f->hash[h] = k;
    }
}

ir_ref
ir_node(struct ir_func *f, enum ir_op op, ir_attr attr, ir_ref a, ir_ref b, ir_ref c, span_t at)
{
    ir_ref arg[3] = {a, b, c};
    if (f->nnodes * 2 >= f->hash_size)
        rehash(f);
    uint32_t h = node_hash((uint8_t)op, attr, arg) & (f->hash_size - 1);
    for (; f->hash[h]; h = (h + 1) & (f->hash_size - 1))
        if (same_node(&f->nodes[f->hash[h]], (uint8_t)op, attr, arg))
            return f->hash[h];
    for (int k = 0; k < ir_ops[op].nargs; k++)
        if (arg[k] == 0 || arg[k] >= f->nnodes)
            ICE("%s needs %d operands", ir_ops[op].name, ir_ops[op].nargs);
    f->nodes = arena_grow(f->arena, f->nodes, f->nnodes, f->nnodes + 1, &f->cap_nodes, sizeof *f->nodes);
    f->nodes[f->nnodes] = (struct ir_node){
        .op = (uint8_t)op, .nargs = ir_ops[op].nargs, .arg = {a, b, c}, .attr = attr,
        .axes = result_axes(f, op, attr, arg), .span = at};
    f->hash[h] = f->nnodes;
    return f->nnodes++;
}

/* ---- one builder per shape of operation ---- */

static const ir_attr no_attr = {0};

ir_ref
ir_op1(struct ir_func *f, enum ir_op op, ir_ref a, span_t at)
{
    return ir_node(f, op, no_attr, a, 0, 0, at);
}

ir_ref
ir_op2(struct ir_func *f, enum ir_op op, ir_ref a, ir_ref b, span_t at)
{
    return ir_node(f, op, no_attr, a, b, 0, at);
}

ir_ref
ir_select(struct ir_func *f, ir_ref c, ir_ref a, ir_ref b, span_t at)
{
    return ir_node(f, IR_select, no_attr, c, a, b, at);
}

ir_ref
ir_input(struct ir_func *f, int which, span_t at)
{
    return ir_node(f, IR_input, (ir_attr){.num = which}, 0, 0, 0, at);
}

ir_ref
ir_const_q(struct ir_func *f, const fmpq_t q, span_t at)
{
    return ir_node(f, IR_const, (ir_attr){.id = const_intern(f, q)}, 0, 0, 0, at);
}

ir_ref
ir_const_i(struct ir_func *f, long n, long den, span_t at)
{
    fmpq_t q;
    fmpq_init(q);
    fmpz_set_si(fmpq_numref(q), n);
    fmpz_set_si(fmpq_denref(q), den);
    fmpq_canonicalise(q);
    ir_ref r = ir_const_q(f, q, at);
    fmpq_clear(q);
    return r;
}

ir_ref
ir_dimval(struct ir_func *f, uint16_t dim, span_t at)
{
    return ir_node(f, IR_dim, (ir_attr){.id = dim}, 0, 0, 0, at);
}

ir_ref
ir_pos(struct ir_func *f, uint8_t axis, span_t at)
{
    return ir_node(f, IR_pos, (ir_attr){.axis = axis}, 0, 0, 0, at);
}

ir_ref
ir_param_use(struct ir_func *f, uint32_t param, const struct ir_binding *b, span_t at)
{
    struct ir_binding clean = {.rank = b->rank};
    for (int k = 0; k < b->rank; k++) {
        clean.ax[k] = b->ax[k];
        clean.num[k] = b->ax[k] == AX_UNIT ? b->num[k] : 0;
    }
    ir_attr x = {.id = param, .num = (int32_t)binding_intern(f, &clean)};
    return ir_node(f, IR_param, x, 0, 0, 0, at);
}

ir_ref
ir_powi(struct ir_func *f, ir_ref a, int n, span_t at)
{
    return ir_node(f, IR_powi, (ir_attr){.num = n}, a, 0, 0, at);
}

static ir_ref
axis_size_node(struct ir_func *f, uint8_t axis, span_t at)
{
    if (axis < IR_MAX_AXES && f->axes[axis].kind == AXK_BASE)
        return ir_dimval(f, f->axes[axis].dim, at);
    return ir_node(f, IR_size, (ir_attr){.axis = axis}, 0, 0, 0, at);
}

ir_ref
ir_rsum(struct ir_func *f, uint8_t axis, ir_ref a, span_t at)
{
    if (!(f->nodes[a].axes & bit(axis)))
        return ir_op2(f, IR_mul, a, axis_size_node(f, axis, at), at);
    return ir_node(f, IR_rsum, (ir_attr){.axis = axis}, a, 0, 0, at);
}

ir_ref
ir_rmax(struct ir_func *f, uint8_t axis, ir_ref a, span_t at)
{
    return ir_node(f, IR_rmax, (ir_attr){.axis = axis}, a, 0, 0, at);
}

ir_ref
ir_rename(struct ir_func *f, uint8_t from, uint8_t to, ir_ref a, span_t at)
{
    return ir_node(f, IR_rename, (ir_attr){.axis = from, .axis2 = to}, a, 0, 0, at);
}

ir_ref
ir_mono(struct ir_func *f, uint8_t axis, int degree, bool weighted, ir_ref a, span_t at)
{
    if (degree == 1)
        return a;
    ir_attr x = {.id = weighted, .num = degree, .axis = axis, .axis2 = ir_axis_sym(f, axis, degree)};
    return ir_node(f, IR_mono, x, a, 0, 0, at);
}

ir_ref
ir_cat(struct ir_func *f, ir_ref a, uint8_t ax_a, ir_ref b, uint8_t ax_b, span_t at)
{
    ir_attr x = {.id = ir_axis_cat(f, ax_a, ax_b), .axis = ax_a, .axis2 = ax_b};
    return ir_node(f, IR_cat, x, a, b, 0, at);
}

ir_ref
ir_outer(struct ir_func *f, ir_ref a, uint8_t ax_a, ir_ref b, uint8_t ax_b, span_t at)
{
    ir_attr x = {.id = ir_axis_outer(f, ax_a, ax_b), .axis = ax_a, .axis2 = ax_b};
    return ir_node(f, IR_outer, x, a, b, 0, at);
}

ir_ref
ir_roll(struct ir_func *f, uint8_t axis, int shift, ir_ref a, span_t at)
{
    return ir_node(f, IR_roll, (ir_attr){.axis = axis, .num = shift}, a, 0, 0, at);
}

ir_ref
ir_with_args(struct ir_func *f, ir_ref n, const ir_ref arg[3])
{
    struct ir_node x = f->nodes[n];
    return ir_node(f, (enum ir_op)x.op, x.attr, arg[0], x.nargs > 1 ? arg[1] : 0, x.nargs > 2 ? arg[2] : 0,
                   x.span);
}
