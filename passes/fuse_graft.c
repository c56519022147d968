/* A function and its tile program as part of another: every name becomes that of the other. */
#include "passes/fuse.h"

#include <string.h>

/* ---- axes and nodes ---- */

static uint8_t
axis_of(const struct graft *g, uint8_t axis)
{
    return axis == AX_UNIT ? AX_UNIT : g->axis[axis];
}

/* Parts come before what is made of them. */
static void
graft_axes(struct graft *g)
{
    for (uint8_t k = 0; k < g->from->naxes; k++) {
        const struct ir_axis *x = &g->from->axes[k];
        uint8_t p = x->kind == AXK_BASE ? 0 : axis_of(g, x->p);
        if (k <= AX_j) /* of batch, heads, queries and keys: both have the same */
            g->axis[k] = k;
        else if (x->kind == AXK_BASE)
            g->axis[k] = ir_axis_base(g->to, g->dim[x->dim]);
        else if (x->kind == AXK_COPY)
            g->axis[k] = ir_axis_copy(g->to, p, x->num);
        else if (x->kind == AXK_SYM)
            g->axis[k] = ir_axis_sym(g->to, p, x->num);
        else if (x->kind == AXK_OUTER)
            g->axis[k] = ir_axis_outer(g->to, p, axis_of(g, x->r));
        else
            g->axis[k] = ir_axis_cat(g->to, p, axis_of(g, x->r));
    }
}

/* A query, key or value tensor of to. */
static ir_ref
input_node(struct ir_func *to, uint32_t arg, span_t at)
{
    if (arg < 3)
        return ir_input(to, (int)arg, at);
    uint32_t param = tile_arg_param(to, arg);
    const uint16_t *dims = to->params[param].dims;
    struct ir_binding b = {.rank = 4, .ax = {AX_b, AX_h, dims[2] == DIM_NQ ? AX_i : AX_j}};
    b.ax[3] = ir_axis_base(to, dims[3]);
    return ir_param_use(to, param, &b, at);
}

static ir_ref
param_node(struct graft *g, const struct ir_node *x)
{
    const struct ir_param *p = &g->from->params[x->attr.id];
    struct ir_binding b = g->from->bindings[x->attr.num];
    if (!p->rank)
        return ir_param_use(g->to, g->scalar[x->attr.id], &b, x->span);
    uint32_t arg = g->arg[tile_param_arg(g->from, x->attr.id)];
    if (p->role == PARAM_INPUT)
        return input_node(g->to, arg, x->span);
    for (int k = 0; k < b.rank; k++)
        b.ax[k] = axis_of(g, b.ax[k]);
    return ir_param_use(g->to, tile_arg_param(g->to, arg), &b, x->span);
}

/* What a node carries, in the names of to. */
static ir_attr
attr_of(const struct graft *g, const struct ir_node *x)
{
    ir_attr at = x->attr;
    switch ((enum ir_attr_kind)ir_ops[x->op].attr) {
    case ATTR_DIM:
        at.id = g->dim[at.id];
        break;
    case ATTR_CAT:
    case ATTR_OUTER:
        at.id = axis_of(g, (uint8_t)at.id);
        at.axis = axis_of(g, at.axis);
        at.axis2 = axis_of(g, at.axis2);
        break;
    case ATTR_RENAME:
    case ATTR_MONO:
        at.axis = axis_of(g, at.axis);
        at.axis2 = axis_of(g, at.axis2);
        break;
    case ATTR_AXIS:
    case ATTR_ROLL:
        at.axis = axis_of(g, at.axis);
        break;
    case ATTR_NONE:
    case ATTR_INPUT:
    case ATTR_PARAM:
    case ATTR_RAT:
    case ATTR_INT:
        break;
    }
    return at;
}

static ir_ref
graft_node(struct graft *g, const struct ir_node *x)
{
    if (x->op == IR_input)
        return input_node(g->to, g->arg[x->attr.num], x->span);
    if (x->op == IR_param)
        return param_node(g, x);
    if (x->op == IR_const)
        return ir_const_q(g->to, g->from->consts + x->attr.id, x->span);
    ir_ref arg[3] = {0};
    for (int k = 0; k < x->nargs; k++)
        arg[k] = g->node[x->arg[k]];
    return ir_node(g->to, (enum ir_op)x->op, attr_of(g, x), arg[0], arg[1], arg[2], x->span);
}

bool
graft_nodes(struct graft *g, const struct tile_prog *of)
{
    const bool *live = tile_live(of, g->to->arena);
    g->node = ARENA_ARRAY(g->to->arena, ir_ref, g->from->nnodes);
    graft_axes(g);
    for (ir_ref n = 1; n < g->from->nnodes; n++)
        if (live[n])
            g->node[n] = graft_node(g, &g->from->nodes[n]);
    return !ir_axes_full(g->to);
}

/* ---- programs ---- */

struct body {
    const struct graft *g;
    const struct tile_prog *from;
    struct tile_prog *to;
    tx_ref *size;
    uint32_t *buf, *var;
};

static tx_ref
size_of(struct body *b, tx_ref ref)
{
    const struct tx *x = &b->from->xs[ref];
    if (!ref || b->size[ref])
        return b->size[ref];
    tx_ref r = 0;
    if (x->op == TX_NUM)
        r = tx_num(b->to, x->num);
    else if (x->op == TX_DIM)
        r = tx_dim(b->to, b->g->dim[x->num]);
    else if (x->op == TX_VAR)
        r = tx_var(b->to, b->var[x->num]);
    else if (x->op == TX_ROWS)
        r = tx_rows(b->to, size_of(b, x->a), (int)x->num);
    else
        r = tx_op2(b->to, (enum tx_op)x->op, size_of(b, x->a), size_of(b, x->b));
    return b->size[ref] = r;
}

static void
graft_size(struct tile_prog *p, tx_ref *x, void *arg)
{
    (void)p;
    *x = size_of(arg, *x);
}

/* A name that no buffer of p has, nor an argument. */
static const char *
free_name(struct tile_prog *p, const char *name)
{
    bool taken = tile_arg_find(p->func, name) >= 0;
    for (uint32_t k = 1; k < p->nbufs; k++)
        if (taken || !strcmp(p->bufs[k].name, name))
            return free_name(p, arena_printf(p->arena, "%s'", name));
    return name;
}

static void
graft_buffers(struct body *b)
{
    for (uint32_t k = 1; k < b->from->nbufs; k++) {
        const struct tile_buf *x = &b->from->bufs[k];
        if (x->kind == BUF_ARG)
            b->buf[k] = tile_arg(b->to, b->g->arg[x->arg]);
        else
            b->buf[k] = tile_buf_add(b->to, free_name(b->to, x->name), x->kind, x->elem,
                                     size_of(b, x->planes), size_of(b, x->rows),
                                     size_of(b, x->cols));
    }
}

static struct tile_stmt *
graft_list(struct body *b, const struct tile_stmt *s)
{
    struct tile_stmt *first = NULL, **end = &first;
    for (; s; s = s->next, end = &(*end)->next) {
        struct tile_stmt *t = *end = tile_stmt_new(b->to, (enum tile_op)s->op);
        *t = *s;
        t->binds = ARENA_ARRAY(b->to->arena, struct tile_bind, s->nbinds);
        for (uint32_t k = 0; k < s->nbinds; k++)
            t->binds[k] = s->binds[k];
        /* sizes while views still name the buffers of from, which tell what they have */
        tile_each_size_of((struct tile_prog *)(uintptr_t)b->from, t, graft_size, b);
        t->row_axis = axis_of(b->g, s->row_axis);
        t->col_axis = axis_of(b->g, s->col_axis);
        t->red_axis = axis_of(b->g, s->red_axis);
        t->node = b->g->node[s->node];
        for (int k = 0; k < tile_ops[s->op].nviews; k++)
            t->v[k].buf = b->buf[s->v[k].buf];
        for (int k = 0; k < 3; k++)
            t->var[k] = b->var[s->var[k]];
        for (uint32_t k = 0; k < s->nbinds; k++) {
            t->binds[k].node = b->g->node[s->binds[k].node];
            t->binds[k].view.buf = b->buf[s->binds[k].view.buf];
            t->binds[k].row_axis = axis_of(b->g, s->binds[k].row_axis);
            t->binds[k].col_axis = axis_of(b->g, s->binds[k].col_axis);
        }
        t->body = graft_list(b, s->body);
        t->next = NULL;
    }
    return first;
}

struct tile_stmt *
graft_body(const struct graft *g, const struct tile_prog *of, struct tile_prog *p)
{
    struct body b = {g, of, p, ARENA_ARRAY(p->arena, tx_ref, of->nxs),
                     ARENA_ARRAY(p->arena, uint32_t, of->nbufs),
                     ARENA_ARRAY(p->arena, uint32_t, of->nvars)};
    for (uint32_t k = 1; k < of->nvars; k++)
        b.var[k] = tile_var_add(p, of->vars[k]);
    graft_buffers(&b);
    return graft_list(&b, of->body);
}
