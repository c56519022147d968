/* The rules of the axis IR, checked: what the passes may rely on and must keep.
 *
 * ir_check_node judges one node on its own, so that the reader can refuse a node before it is made;
 * ir_verify adds what concerns the whole function: tables, order, axes, roots. */
#include "ir/detail.h"

#include <string.h>

static bool
has_axis(const struct ir_func *f, ir_ref n, uint32_t axis)
{
    return axis < f->naxes && (f->nodes[n].axes >> axis & 1);
}

static const char *
axis_text(const struct ir_func *f, uint8_t axis, struct arena *a)
{
    struct str s = {0};
    ir_print_axis(f, axis, &s);
    const char *text = arena_strdup(a, str_text(&s));
    str_free(&s);
    return text;
}

/* ---- extents ---- */

static uint8_t
strip_copies(const struct ir_func *f, uint8_t axis)
{
    while (axis != AX_UNIT && f->axes[axis].kind == AXK_COPY)
        axis = f->axes[axis].p;
    return axis;
}

/* Whether an axis may run over an index of a dim: its own dim, an equal fixed size, positions of
 * queries over keys, query heads over key heads. */
static bool
runs_over(const struct ir_func *f, uint8_t axis, uint16_t dim)
{
    uint8_t base = strip_copies(f, axis);
    const struct ir_axis *x = &f->axes[base];
    if (x->kind == AXK_BASE && x->dim == dim)
        return true;
    if ((base == AX_i && dim == DIM_N) || (base == AX_h && dim == DIM_G))
        return true;
    return f->dims[dim].size > 0 && ir_axis_fixed(f, base) == f->dims[dim].size;
}

static bool
same_extent(const struct ir_func *f, uint8_t p, uint8_t r)
{
    uint8_t x = strip_copies(f, p), y = strip_copies(f, r);
    return x == y || (ir_axis_fixed(f, x) >= 0 && ir_axis_fixed(f, x) == ir_axis_fixed(f, y));
}

/* ---- attributes ---- */

const char *
ir_check_binding(const struct ir_func *f, uint32_t param, const struct ir_binding *b,
                 struct arena *a)
{
    const struct ir_param *p = &f->params[param];
    if (b->rank != p->rank)
        return arena_printf(a, "param %s has %d indices, is used with %d", p->name, p->rank,
                            b->rank);
    for (int k = 0; k < b->rank; k++) {
        const struct ir_dim *dim = &f->dims[p->dims[k]];
        if (b->ax[k] == AX_UNIT) {
            if (b->num[k] < 0 || (dim->size && b->num[k] >= dim->size))
                return arena_printf(a, "index %d of param %s is %d, outside its dimension %s",
                                    k + 1, p->name, b->num[k], dim->name);
        } else if (b->ax[k] >= f->naxes) {
            return arena_printf(a, "index %d of param %s is no axis", k + 1, p->name);
        } else if (!runs_over(f, b->ax[k], p->dims[k])) {
            return arena_printf(a, "index %d of param %s runs over %s, axis %s does not", k + 1,
                                p->name, dim->name, axis_text(f, b->ax[k], a));
        }
    }
    return NULL;
}

/* A bit per field of ir_attr that an attribute kind uses: id 1, num 2, axis 4, axis2 8. */
static const uint8_t attr_fields[] = {
    [ATTR_NONE] = 0,   [ATTR_INPUT] = 2,   [ATTR_PARAM] = 3, [ATTR_RAT] = 1,
    [ATTR_DIM] = 1,    [ATTR_INT] = 2,     [ATTR_AXIS] = 4,  [ATTR_RENAME] = 12,
    [ATTR_MONO] = 15,  [ATTR_CAT] = 13,    [ATTR_OUTER] = 13, [ATTR_ROLL] = 6,
};

static const char *
check_fields(const struct ir_func *f, ir_attr at, uint8_t used)
{
    if ((!(used & 1) && at.id) || (!(used & 2) && at.num) || (!(used & 4) && at.axis) ||
        (!(used & 8) && at.axis2))
        return "a field the operation does not use is not zero";
    bool unit = used == attr_fields[ATTR_CAT];
    if (((used & 4) && at.axis >= f->naxes && !(unit && at.axis == AX_UNIT)) ||
        ((used & 8) && at.axis2 >= f->naxes && !(unit && at.axis2 == AX_UNIT)))
        return "an axis does not exist";
    return NULL;
}

static const char *
check_leaf(const struct ir_func *f, const struct ir_node *n, struct arena *a)
{
    ir_attr at = n->attr;
    if (n->op == IR_input && (at.num < 0 || at.num > 2))
        return "there are three inputs";
    if (n->op == IR_param) {
        if (at.id >= f->nparams || at.num < 0 || (uint32_t)at.num >= f->nbindings)
            return "the param or its binding does not exist";
        if (f->params[at.id].role == PARAM_OUTPUT)
            return "an output is only written";
        return ir_check_binding(f, at.id, &f->bindings[at.num], a);
    }
    if (n->op == IR_const &&
        (at.id >= f->nconsts || !fmpq_is_canonical(f->consts + at.id)))
        return "the constant does not exist or is not in lowest terms";
    if (n->op == IR_dim && at.id >= f->ndims)
        return "the dimension does not exist";
    return NULL;
}

/* ---- operations on axes ---- */

static const char *
check_unary_shape(const struct ir_func *f, const struct ir_node *n, struct arena *a)
{
    ir_attr at = n->attr;
    const char *from = axis_text(f, at.axis, a);
    if (!has_axis(f, n->arg[0], at.axis))
        return arena_printf(a, "the operand has no axis %s", from);
    if (n->op == IR_argsort)
        return NULL;
    if (n->op == IR_turn)
        return at.num < PAIRS_NEIGHBOURS || at.num > PAIRS_HALVES ? "the pairs are 0 or 1" : NULL;
    if (n->op == IR_roll)
        return at.num < -IR_MAX_ROLL || at.num > IR_MAX_ROLL ? "the shift is too large" : NULL;
    const char *to = axis_text(f, at.axis2, a);
    if (has_axis(f, n->arg[0], at.axis2))
        return arena_printf(a, "the operand has axis %s already", to);
    if (n->op == IR_rename)
        return same_extent(f, at.axis, at.axis2)
                   ? NULL : arena_printf(a, "axes %s and %s differ in size", from, to);
    const struct ir_axis *x = &f->axes[at.axis2];
    if (at.num < 2 || at.num > IR_MAX_DEGREE)
        return arena_printf(a, "degree is %d, must be from 2 to %d", at.num, IR_MAX_DEGREE);
    if (at.id > 2 || x->kind != AXK_SYM || x->p != at.axis || x->num != at.num)
        return "the result axis is not that of the monomials";
    return NULL;
}

/* One operand of cat or outer: has its own axis, and neither the other's nor the result's. */
static const char *
check_part(const struct ir_func *f, ir_ref arg, uint8_t own, uint8_t other, uint32_t result,
           struct arena *a)
{
    if (own != AX_UNIT && !has_axis(f, arg, own))
        return arena_printf(a, "an operand has no axis %s", axis_text(f, own, a));
    if (other != own && other != AX_UNIT && has_axis(f, arg, other))
        return arena_printf(a, "an operand also has axis %s", axis_text(f, other, a));
    if (has_axis(f, arg, result))
        return arena_printf(a, "an operand has axis %s already", axis_text(f, (uint8_t)result, a));
    return NULL;
}

static const char *
check_pair_shape(const struct ir_func *f, const struct ir_node *n, struct arena *a)
{
    ir_attr at = n->attr;
    int kind = n->op == IR_cat ? AXK_CAT : AXK_OUTER;
    if (at.id >= f->naxes || f->axes[at.id].kind != kind || f->axes[at.id].p != at.axis ||
        f->axes[at.id].r != at.axis2)
        return "the result axis is not that of its parts";
    const char *why = check_part(f, n->arg[0], at.axis, at.axis2, at.id, a);
    return why ? why : check_part(f, n->arg[1], at.axis2, at.axis, at.id, a);
}

const char *
ir_check_node(const struct ir_func *f, const struct ir_node *n, struct arena *a)
{
    const struct ir_op_info *info = &ir_ops[n->op];
    const char *why = check_fields(f, n->attr, attr_fields[info->attr]);
    if (why)
        return why;
    switch ((enum ir_axes_rule)info->axes_rule) {
    case AXES_leaf:
        return check_leaf(f, n, a);
    case AXES_reduce:
        if (!has_axis(f, n->arg[0], n->attr.axis))
            return arena_printf(a, "the operand has no axis %s", axis_text(f, n->attr.axis, a));
        if (info->nargs > 1 && has_axis(f, n->arg[1], n->attr.axis))
            return arena_printf(a, "the index varies over axis %s", axis_text(f, n->attr.axis, a));
        return NULL;
    case AXES_scan:
        if (has_axis(f, n->arg[0], AX_i) || has_axis(f, n->arg[1], AX_i))
            return "what is summed or the decay varies over i";
        return NULL;
    case AXES_decay:
        return has_axis(f, n->arg[0], AX_i) ? "the factor of a token varies over i" : NULL;
    case AXES_shape:
        return info->nargs == 1 ? check_unary_shape(f, n, a) : check_pair_shape(f, n, a);
    case AXES_same:
        if (n->op == IR_powi && (n->attr.num < -IR_MAX_POWER || n->attr.num > IR_MAX_POWER))
            return "the exponent is too large";
        return NULL;
    }
    return NULL;
}

/* ---- the whole function ---- */

/* True if param k has the form of the one that receives root lse. */
static bool
is_lse(const struct ir_func *f, uint32_t k)
{
    const struct ir_param *p = &f->params[k];
    return p->role == PARAM_OUTPUT && ir_lse_param(f) == (int)k && !f->contraction &&
           p->source == SOURCE_GIVEN && p->rank == 3 && p->dims[0] == DIM_B &&
           p->dims[1] == DIM_H && p->dims[2] == DIM_NQ;
}

static const char *
check_tables(const struct ir_func *f, struct arena *a)
{
    bool made = false; /* a param was */
    if (f->ndims < DIM_USER || f->nnodes < 1)
        return "the standard dimensions or node 0 are missing";
    for (uint32_t k = 0; k < f->ndims; k++) {
        if (f->dims[k].size < 0)
            return arena_printf(a, "dimension %s has size %lld", f->dims[k].name,
                                (long long)f->dims[k].size);
        if (ir_dim_find(f, f->dims[k].name) != (int)k)
            return arena_printf(a, "there are two dimensions %s", f->dims[k].name);
    }
    for (uint32_t k = 0; k < f->nparams; k++) {
        const struct ir_param *p = &f->params[k];
        if (p->rank > IR_MAX_RANK || (p->rank && p->has_default))
            return arena_printf(a, "param %s: bad rank, or a default for a tensor", p->name);
        if (p->source >= SOURCE_COUNT || (p->source != SOURCE_GIVEN && p->rank != 2) ||
            p->seed < 0 || p->seed > IR_MAX_SEED)
            return arena_printf(a, "param %s: only a matrix is made from a seed", p->name);
        made = made || p->source != SOURCE_GIVEN;
        if (made && p->rank && p->source == SOURCE_GIVEN)
            return arena_printf(a, "param %s: one that is made comes after those that are given",
                                p->name);
        if (p->role != PARAM_GIVEN && !is_lse(f, k))
            return arena_printf(a, "output %s: there is one, over B, H and n_q", p->name);
        for (int i = 0; i < p->rank; i++)
            if (p->dims[i] >= f->ndims)
                return arena_printf(a, "param %s: dimension %d does not exist", p->name, i + 1);
        if (ir_param_find(f, p->name) != (int)k)
            return arena_printf(a, "there are two params %s", p->name);
    }
    return NULL;
}

static const char *
check_axes(const struct ir_func *f, struct arena *a)
{
    if (f->naxes < AX_FIRST_FREE)
        return "the standard axes are missing";
    if (ir_axes_full(f))
        return arena_printf(a, "more than %d axes", IR_MAX_AXES - 1);
    for (uint32_t k = 0; k < f->naxes; k++) {
        const struct ir_axis *x = &f->axes[k];
        bool pair = x->kind == AXK_OUTER || x->kind == AXK_CAT;
        bool unit = x->kind == AXK_CAT;
        bool bad = x->kind > AXK_CAT || (x->kind == AXK_BASE && x->dim >= f->ndims) ||
                   (x->kind != AXK_BASE && x->p >= k && !(unit && x->p == AX_UNIT)) ||
                   (pair && x->r >= k && !(unit && x->r == AX_UNIT)) ||
                   (x->kind == AXK_SYM && (x->num < 2 || x->num > IR_MAX_DEGREE)) ||
                   (x->kind == AXK_COPY && (x->num < 1 || x->num > IR_MAX_COPY));
        if (bad)
            return arena_printf(a, "axis %s is not well formed", x->name);
    }
    return NULL;
}

static const char *
check_nodes(const struct ir_func *f, struct arena *a)
{
    for (ir_ref k = 1; k < f->nnodes; k++) {
        const struct ir_node *n = &f->nodes[k];
        if (n->op == IR_NONE || n->op >= IR_OP_COUNT || n->nargs != ir_ops[n->op].nargs)
            return arena_printf(a, "%%%u: operation %d with %d operands", k, n->op, n->nargs);
        for (int i = 0; i < 3; i++)
            if (i < n->nargs ? n->arg[i] == 0 || n->arg[i] >= k : n->arg[i] != 0)
                return arena_printf(a, "%%%u = %s: operand %d is %%%u", k, ir_ops[n->op].name,
                                    i + 1, n->arg[i]);
        const char *why = ir_check_node(f, n, a);
        if (!why && n->axes != ir_node_axes(f, n))
            why = "its axes do not follow from its operands";
        if (why)
            return arena_printf(a, "%%%u = %s: %s", k, ir_ops[n->op].name, why);
    }
    return NULL;
}

static const char *
check_roots(const struct ir_func *f, struct arena *a)
{
    const ir_axes row = (ir_axes)1 << AX_b | (ir_axes)1 << AX_h | (ir_axes)1 << AX_i;
    const ir_axes key = (ir_axes)1 << AX_j, value = (ir_axes)1 << AX_m;
    const ir_axes allowed[ROOT_COUNT] = {
        [ROOT_OUT] = row | value, [ROOT_NUM] = row | value, [ROOT_DEN] = row,
        [ROOT_SIM] = row | key,   [ROOT_MASK] = row | key,  [ROOT_ANY] = row,
        [ROOT_PAIR] = row | key,  [ROOT_LSE] = row,
    };
    if ((f->root[ROOT_LSE] != 0) != (ir_lse_param(f) >= 0))
        return "root lse and the tensor that receives it go together";
    for (int r = 0; r < ROOT_COUNT; r++) {
        if (f->root[r] >= f->nnodes)
            return arena_printf(a, "root %s is %%%u, there are %u nodes", ir_root_names[r],
                                f->root[r], f->nnodes - 1);
        ir_axes extra = f->nodes[f->root[r]].axes & ~allowed[r];
        if (f->root[r] && extra)
            return arena_printf(a, "root %s = %%%u varies over axis %s", ir_root_names[r],
                                f->root[r], axis_text(f, (uint8_t)__builtin_ctzll(extra), a));
    }
    if ((unsigned)f->row_sum > POS_POSITIVE || (unsigned)f->type > TYPE_F64 ||
        (unsigned)f->acc > TYPE_F64 || f->acc < f->type ||
        (unsigned)f->kernelize > KERNELIZE_RANDOM ||
        (f->kernelize == KERNELIZE_RANDOM &&
         (f->weights >= f->nparams || f->params[f->weights].rank != 2)) ||
        (f->kernelize == KERNELIZE_TAYLOR && (f->degree < 1 || f->degree > IR_MAX_TAYLOR)))
        return "the type, kernelize or what is known of the row sum has no meaning";
    return NULL;
}

const char *
ir_verify(const struct ir_func *f, struct arena *a)
{
    static const char *(*const checks[])(const struct ir_func *, struct arena *) = {
        check_tables, check_axes, check_nodes, check_roots};
    for (size_t k = 0; k < sizeof checks / sizeof *checks; k++) {
        const char *why = checks[k](f, a);
        if (why)
            return why;
    }
    return NULL;
}
