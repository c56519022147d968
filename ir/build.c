/* Making nodes: axes are computed from the operands, and a node that exists is found again.
 *
 * Nothing is simplified here, so what a pass builds is what it gets; the exceptions are those the
 * header states (a sum over an axis that is not there, a monomial of degree 1, equal renames). */
#include "ir/detail.h"

#include <stdlib.h>
#include <string.h>

#ifdef ATTNC_STRESS
enum { HASH_FIRST = 2 };
#else
enum { HASH_FIRST = 256 };
#endif

static inline ir_axes
bit(unsigned axis)
{
    return axis == AX_UNIT ? 0 : (ir_axes)1 << axis;
}

/* ---- hash-consing ---- */

static uint32_t
mix(uint32_t h, uint32_t x)
{
    h = (h ^ x) * 0x9e3779b1u;
    return h ^ h >> 15;
}

/* By value where the attribute names an interned thing, so that the thing is found through it. */
static uint32_t
attr_hash(const struct ir_func *f, const struct ir_node *n)
{
    const uint32_t prime = 4294967291u;
    uint32_t h = n->op;
    if (n->op == IR_const) {
        const fmpq *q = f->consts + n->attr.id;
        h = mix(h, (uint32_t)fmpz_fdiv_ui(&q->num, prime));
        return mix(h, (uint32_t)fmpz_fdiv_ui(&q->den, prime));
    }
    h = mix(h, n->attr.id);
    if (n->op == IR_param) {
        const struct ir_binding *b = &f->bindings[n->attr.num];
        for (int k = 0; k < b->rank; k++)
            h = mix(mix(h, b->ax[k]), (uint32_t)b->num[k]);
        return h;
    }
    h = mix(h, (uint32_t)n->attr.num);
    return mix(h, (uint32_t)n->attr.axis << 8 | n->attr.axis2);
}

static uint32_t
node_hash(const struct ir_func *f, const struct ir_node *n)
{
    uint32_t h = attr_hash(f, n);
    for (int k = 0; k < 3; k++)
        h = mix(h, n->arg[k]);
    return h;
}

static bool
same_node(const struct ir_func *f, const struct ir_node *x, const struct ir_node *y)
{
    (void)f;
    return x->op == y->op && x->arg[0] == y->arg[0] && x->arg[1] == y->arg[1] &&
           x->arg[2] == y->arg[2] && x->attr.id == y->attr.id && x->attr.num == y->attr.num &&
           x->attr.axis == y->attr.axis && x->attr.axis2 == y->attr.axis2;
}

static void
rehash(struct ir_func *f)
{
    uint32_t size = f->hash_size ? f->hash_size * 2 : HASH_FIRST;
    f->hash = ARENA_ARRAY(f->arena, uint32_t, size);
    f->hash_size = size;
    for (ir_ref n = 1; n < f->nnodes; n++) {
        uint32_t k = node_hash(f, &f->nodes[n]) & (size - 1);
        while (f->hash[k])
            k = (k + 1) & (size - 1);
        f->hash[k] = n;
    }
}

typedef bool same_fn(const struct ir_func *f, const struct ir_node *x, const struct ir_node *y);

/* The slot of the node that is the same as n, or the empty slot where it belongs. */
static uint32_t
find_slot(struct ir_func *f, const struct ir_node *n, same_fn *same)
{
    while ((uint64_t)f->nnodes * 2 > f->hash_size)
        rehash(f);
    uint32_t mask = f->hash_size - 1, k = node_hash(f, n) & mask;
    while (f->hash[k] && !same(f, &f->nodes[f->hash[k]], n))
        k = (k + 1) & mask;
    return k;
}

static ir_ref
intern_node(struct ir_func *f, const struct ir_node *n)
{
    uint32_t slot = find_slot(f, n, same_node);
    if (f->hash[slot]) {
        struct ir_node *old = &f->nodes[f->hash[slot]];
        if (old->span.end == 0)
            old->span = n->span;
        return f->hash[slot];
    }
    f->nodes = arena_grow(f->arena, f->nodes, f->nnodes, f->nnodes + 1, &f->cap_nodes,
                          sizeof *f->nodes);
    f->nodes[f->nnodes] = *n;
    f->hash[slot] = f->nnodes;
    return f->nnodes++;
}

/* ---- axes of a result ---- */

static ir_axes
binding_axes(const struct ir_binding *b)
{
    ir_axes axes = 0;
    for (int k = 0; k < b->rank; k++)
        axes |= bit(b->ax[k]);
    return axes;
}

static ir_axes
leaf_axes(const struct ir_func *f, enum ir_op op, ir_attr at)
{
    static const uint8_t input_axes[3][4] = {
        {AX_b, AX_h, AX_i, AX_d}, {AX_b, AX_h, AX_j, AX_d}, {AX_b, AX_h, AX_j, AX_m}};
    ir_axes axes = 0;
    if (op == IR_input)
        for (int k = 0; k < 4; k++)
            axes |= bit(input_axes[at.num][k]);
    else if (op == IR_param)
        axes = binding_axes(&f->bindings[at.num]);
    else if (op == IR_pos)
        axes = bit(at.axis);
    return axes;
}

/* Of the operations that take some axes away and put another there. */
static ir_axes
shape_axes(const struct ir_op_info *info, ir_attr at, ir_axes all)
{
    ir_axes parts = bit(at.axis), result = bit(at.axis2);
    if (info->attr == ATTR_CAT || info->attr == ATTR_OUTER) {
        parts |= bit(at.axis2);
        result = bit(at.id);
    } else if (info->attr == ATTR_ROLL || info->attr == ATTR_AXIS) {
        result = parts;
    }
    return (all & ~parts) | result;
}

ir_axes
ir_node_axes(const struct ir_func *f, const struct ir_node *n)
{
    const struct ir_op_info *info = &ir_ops[n->op];
    ir_axes all = 0;
    for (int k = 0; k < n->nargs; k++)
        all |= f->nodes[n->arg[k]].axes;
    switch ((enum ir_axes_rule)info->axes_rule) {
    case AXES_leaf:
        return leaf_axes(f, (enum ir_op)n->op, n->attr);
    case AXES_same:
        return all;
    case AXES_reduce:
        return all & ~bit(n->attr.axis);
    case AXES_scan:
        return (all & ~bit(AX_j)) | bit(AX_i);
    case AXES_decay:
        return all | bit(AX_i) | bit(AX_j);
    case AXES_shape:
        return shape_axes(info, n->attr, all);
    }
    return all;
}

/* ---- nodes ---- */

ir_ref
ir_node(struct ir_func *f, enum ir_op op, ir_attr attr, ir_ref a, ir_ref b, ir_ref c, span_t at)
{
    struct ir_node n = {.op = (uint8_t)op, .nargs = ir_ops[op].nargs, .arg = {a, b, c},
                        .attr = attr, .span = at};
    for (int k = 0; k < 3; k++)
        if ((k < n.nargs) != (n.arg[k] != 0) || n.arg[k] >= f->nnodes)
            ICE("operand %d of %s is %%%u", k, ir_ops[op].name, n.arg[k]);
    n.axes = ir_node_axes(f, &n);
    return intern_node(f, &n);
}

ir_ref
ir_op1(struct ir_func *f, enum ir_op op, ir_ref a, span_t at)
{
    return ir_node(f, op, (ir_attr){0}, a, 0, 0, at);
}

ir_ref
ir_op2(struct ir_func *f, enum ir_op op, ir_ref a, ir_ref b, span_t at)
{
    return ir_node(f, op, (ir_attr){0}, a, b, 0, at);
}

ir_ref
ir_select(struct ir_func *f, ir_ref c, ir_ref a, ir_ref b, span_t at)
{
    return ir_node(f, IR_select, (ir_attr){0}, c, a, b, at);
}

ir_ref
ir_input(struct ir_func *f, int which, span_t at)
{
    return ir_node(f, IR_input, (ir_attr){.num = which}, 0, 0, 0, at);
}

static bool
same_const(const struct ir_func *f, const struct ir_node *x, const struct ir_node *y)
{
    return x->op == IR_const && fmpq_equal(f->consts + x->attr.id, f->consts + y->attr.id);
}

/* The value becomes the newest constant; if a node has it already, it is dropped again. */
ir_ref
ir_const_q(struct ir_func *f, const fmpq_t q, span_t at)
{
    uint32_t id = f->nconsts;
    f->consts = arena_grow(f->arena, f->consts, id, id + 1, &f->cap_consts, sizeof *f->consts);
    fmpq_init(f->consts + id);
    fmpq_set(f->consts + id, q);
    struct ir_node n = {.op = IR_const, .attr.id = id};
    uint32_t slot = find_slot(f, &n, same_const);
    if (f->hash[slot]) {
        fmpq_clear(f->consts + id);
        n.attr.id = f->nodes[f->hash[slot]].attr.id;
    } else {
        f->nconsts++;
    }
    return ir_node(f, IR_const, n.attr, 0, 0, 0, at);
}

ir_ref
ir_const_i(struct ir_func *f, long num, long den, span_t at)
{
    if (den == 0)
        ICE("constant %ld/0", num);
    fmpq_t q;
    fmpq_init(q);
    fmpz_set_si(fmpq_numref(q), num);
    fmpz_set_si(fmpq_denref(q), den);
    fmpq_canonicalise(q);
    ir_ref n = ir_const_q(f, q, at);
    fmpq_clear(q);
    return n;
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

/* The same binding with everything that does not count set to zero. */
static struct ir_binding
clean_binding(const struct ir_binding *b)
{
    struct ir_binding c = {.rank = b->rank};
    for (int k = 0; k < b->rank; k++) {
        c.ax[k] = b->ax[k];
        c.num[k] = b->ax[k] == AX_UNIT ? b->num[k] : 0;
    }
    return c;
}

static bool
same_use(const struct ir_func *f, const struct ir_node *x, const struct ir_node *y)
{
    if (x->op != IR_param || x->attr.id != y->attr.id)
        return false;
    const struct ir_binding *p = &f->bindings[x->attr.num], *q = &f->bindings[y->attr.num];
    return memcmp(p->ax, q->ax, sizeof p->ax) == 0 && memcmp(p->num, q->num, sizeof p->num) == 0;
}

/* As with constants: the binding is dropped again if the param is already used this way. */
ir_ref
ir_param_use(struct ir_func *f, uint32_t param, const struct ir_binding *b, span_t at)
{
    if (param >= f->nparams || b->rank != f->params[param].rank || b->rank > IR_MAX_RANK)
        ICE("param %u used with %d indices", param, b->rank);
    uint32_t id = f->nbindings;
    f->bindings = arena_grow(f->arena, f->bindings, id, id + 1, &f->cap_bindings,
                             sizeof *f->bindings);
    f->bindings[id] = clean_binding(b);
    struct ir_node n = {.op = IR_param, .attr = {.id = param, .num = (int32_t)id}};
    uint32_t slot = find_slot(f, &n, same_use);
    if (f->hash[slot])
        n.attr.num = f->nodes[f->hash[slot]].attr.num;
    else
        f->nbindings++;
    return ir_node(f, IR_param, n.attr, 0, 0, 0, at);
}

ir_ref
ir_powi(struct ir_func *f, ir_ref a, int n, span_t at)
{
    return ir_node(f, IR_powi, (ir_attr){.num = n}, a, 0, 0, at);
}

ir_ref
ir_rsum(struct ir_func *f, uint8_t axis, ir_ref a, span_t at)
{
    if (f->nodes[a].axes & bit(axis))
        return ir_node(f, IR_rsum, (ir_attr){.axis = axis}, a, 0, 0, at);
    ir_ref size = ir_node(f, IR_size, (ir_attr){.axis = axis}, 0, 0, 0, at);
    return ir_op2(f, IR_mul, a, size, at);
}

ir_ref
ir_rmax(struct ir_func *f, uint8_t axis, ir_ref a, span_t at)
{
    if (!(f->nodes[a].axes & bit(axis)))
        return a;
    return ir_node(f, IR_rmax, (ir_attr){.axis = axis}, a, 0, 0, at);
}

ir_ref
ir_argmax(struct ir_func *f, uint8_t axis, ir_ref a, span_t at)
{
    return ir_node(f, IR_argmax, (ir_attr){.axis = axis}, a, 0, 0, at);
}

ir_ref
ir_argsort(struct ir_func *f, uint8_t axis, ir_ref a, span_t at)
{
    return ir_node(f, IR_argsort, (ir_attr){.axis = axis}, a, 0, 0, at);
}

ir_ref
ir_pick(struct ir_func *f, uint8_t axis, ir_ref a, ir_ref index, span_t at)
{
    return ir_node(f, IR_pick, (ir_attr){.axis = axis}, a, index, 0, at);
}

ir_ref
ir_scan(struct ir_func *f, ir_ref x, ir_ref g, span_t at)
{
    return ir_op2(f, IR_scan, x, g, at);
}

/* A leaf over axis i as one over j. */
static ir_ref
leaf_at_key(struct ir_func *f, ir_ref n)
{
    const struct ir_node x = f->nodes[n];
    if (x.op == IR_pos)
        return ir_pos(f, AX_j, x.span);
    if (x.op != IR_param)
        ICE("%s has no value at a key", ir_ops[x.op].name);
    struct ir_binding b = f->bindings[x.attr.num];
    for (int k = 0; k < b.rank; k++)
        b.ax[k] = b.ax[k] == AX_i ? AX_j : b.ax[k];
    return ir_param_use(f, x.attr.id, &b, x.span);
}

ir_ref
ir_at_key(struct ir_func *f, ir_ref n)
{
    ir_ref *map = xmalloc(sizeof *map * (n + 1));
    memset(map, 0, sizeof *map * (n + 1));
    map[n] = n;
    for (ir_ref k = n; k > 0; k--) /* what it is made of, as far as that varies over i */
        for (int i = 0; map[k] && i < f->nodes[k].nargs; i++)
            if (f->nodes[f->nodes[k].arg[i]].axes & bit(AX_i))
                map[f->nodes[k].arg[i]] = 1;
    for (ir_ref k = 1; k <= n; k++) {
        ir_ref arg[3] = {0};
        if (!map[k] || !(f->nodes[k].axes & bit(AX_i)))
            continue;
        for (int i = 0; i < f->nodes[k].nargs; i++) {
            ir_ref a = f->nodes[k].arg[i];
            arg[i] = f->nodes[a].axes & bit(AX_i) ? map[a] : a;
        }
        map[k] = f->nodes[k].nargs ? ir_with_args(f, k, arg) : leaf_at_key(f, k);
    }
    ir_ref r = map[n];
    free(map);
    return r;
}

ir_ref
ir_rename(struct ir_func *f, uint8_t from, uint8_t to, ir_ref a, span_t at)
{
    if (from == to || !(f->nodes[a].axes & bit(from)))
        return a;
    return ir_node(f, IR_rename, (ir_attr){.axis = from, .axis2 = to}, a, 0, 0, at);
}

ir_ref
ir_mono(struct ir_func *f, uint8_t axis, int degree, bool weighted, ir_ref a, span_t at)
{
    if (degree == 1)
        return a;
    ir_attr m = {.id = weighted, .num = degree, .axis = axis};
    m.axis2 = ir_axis_sym(f, axis, degree);
    return ir_node(f, IR_mono, m, a, 0, 0, at);
}

ir_ref
ir_cat(struct ir_func *f, ir_ref a, uint8_t ax_a, ir_ref b, uint8_t ax_b, span_t at)
{
    ir_attr c = {.id = ir_axis_cat(f, ax_a, ax_b), .axis = ax_a, .axis2 = ax_b};
    return ir_node(f, IR_cat, c, a, b, 0, at);
}

ir_ref
ir_outer(struct ir_func *f, ir_ref a, uint8_t ax_a, ir_ref b, uint8_t ax_b, span_t at)
{
    ir_attr o = {.id = ir_axis_outer(f, ax_a, ax_b), .axis = ax_a, .axis2 = ax_b};
    return ir_node(f, IR_outer, o, a, b, 0, at);
}

ir_ref
ir_roll(struct ir_func *f, uint8_t axis, int shift, ir_ref a, span_t at)
{
    return ir_node(f, IR_roll, (ir_attr){.num = shift, .axis = axis}, a, 0, 0, at);
}

ir_ref
ir_turn(struct ir_func *f, uint8_t axis, enum ir_pairs pairs, ir_ref a, span_t at)
{
    return ir_node(f, IR_turn, (ir_attr){.num = (int32_t)pairs, .axis = axis}, a, 0, 0, at);
}

ir_ref
ir_with_args(struct ir_func *f, ir_ref n, const ir_ref arg[3])
{
    struct ir_node old = f->nodes[n];
    ir_ref a[3] = {0};
    for (int k = 0; k < old.nargs; k++)
        a[k] = arg[k];
    if (old.op == IR_rsum) /* the new operand may not have the axis any more */
        return ir_rsum(f, old.attr.axis, a[0], old.span);
    if (old.op == IR_rmax)
        return ir_rmax(f, old.attr.axis, a[0], old.span);
    return ir_node(f, (enum ir_op)old.op, old.attr, a[0], a[1], a[2], old.span);
}

/* ---- looking at nodes ---- */

bool
ir_is_const(const struct ir_func *f, ir_ref n, long value)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op != IR_const)
        return false;
    const fmpq *q = f->consts + x->attr.id;
    return fmpz_is_one(&q->den) && fmpz_equal_si(&q->num, value);
}

const fmpq *
ir_const_value(const struct ir_func *f, ir_ref n)
{
    if (f->nodes[n].op != IR_const)
        ICE("%%%u is %s, not a constant", n, ir_ops[f->nodes[n].op].name);
    return f->consts + f->nodes[n].attr.id;
}

bool *
ir_below(const struct ir_func *f, ir_ref n)
{
    bool *below = xmalloc(n + 1);
    memset(below, 0, n + 1);
    below[n] = true;
    for (ir_ref k = n; k > 0; k--)
        for (int i = 0; i < f->nodes[k].nargs && below[k]; i++)
            below[f->nodes[k].arg[i]] = true;
    return below;
}

bool *
ir_live(const struct ir_func *f, struct arena *a)
{
    bool *live = ARENA_ARRAY(a, bool, f->nnodes);
    for (int r = 0; r < ROOT_COUNT; r++)
        live[f->root[r]] = true;
    for (ir_ref n = f->nnodes; n-- > 1;)
        for (int k = 0; k < f->nodes[n].nargs && live[n]; k++)
            live[f->nodes[n].arg[k]] = true;
    live[0] = false;
    return live;
}

void
ir_map_roots(struct ir_func *f, const ir_ref *map)
{
    for (int r = 0; r < ROOT_COUNT; r++)
        f->root[r] = f->root[r] ? map[f->root[r]] : 0;
}
