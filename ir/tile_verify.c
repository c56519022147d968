/* What every tile program must satisfy before it is run or compiled. */
#include "ir/tile.h"

struct checker {
    const struct tile_prog *p;
    struct arena *a;
    bool bound[TILE_MAX_VARS];
    const char *error;
};

static void
fail(struct checker *c, const struct tile_stmt *s, const char *what)
{
    if (!c->error)
        c->error = arena_printf(c->a, "%s: %s", tile_ops[s->op].name, what);
}

static void
check_x(struct checker *c, const struct tile_stmt *s, tx_ref ref)
{
    const struct tx *x = &c->p->xs[ref];
    if (ref == 0 || ref >= c->p->nxs) {
        fail(c, s, "an integer operand is missing");
        return;
    }
    if (x->op == TX_VAR && !c->bound[x->num])
        fail(c, s,
             arena_printf(c->a, "loop variable %s is used outside its loop", c->p->vars[x->num]));
    if (x->a)
        check_x(c, s, x->a);
    if (x->b)
        check_x(c, s, x->b);
}

static void
check_view(struct checker *c, const struct tile_stmt *s, const tile_view *v, bool optional)
{
    if (v->buf == 0 || v->buf >= c->p->nbufs) {
        if (!(optional && v->buf == 0))
            fail(c, s, "a view operand is missing");
        return;
    }
    const tx_ref xs[] = {v->row, v->col, v->rows, v->cols};
    for (int k = 0; k < 4; k++)
        check_x(c, s, xs[k]);
    int kind = c->p->bufs[v->buf].kind;
    if (kind != BUF_LOCAL)
        check_x(c, s, v->b);
    if (kind == BUF_ARG)
        check_x(c, s, v->h);
}

/* Every node below n must be bound, elementwise, or a leaf a map can read. */
static void
check_node(struct checker *c, const struct tile_stmt *s, ir_ref n)
{
    const struct ir_func *f = c->p->func;
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].node == n)
            return;
    if (n == 0 || n >= f->nnodes) {
        fail(c, s, "a node is missing");
        return;
    }
    const struct ir_node *x = &f->nodes[n];
    if (x->nargs && !(ir_ops[x->op].props & IRP_ELEM))
        fail(c, s, arena_printf(c->a, "%%%u (%s) is not held by any tile", n, ir_ops[x->op].name));
    for (int k = 0; k < x->nargs; k++)
        check_node(c, s, x->arg[k]);
}

static void
check_map(struct checker *c, const struct tile_stmt *s)
{
    const tx_ref xs[] = {s->rows, s->cols, s->at[0], s->at[1], s->at[2], s->at[3], s->at[4]};
    for (int k = 0; k < 7; k++)
        check_x(c, s, xs[k]);
    if (s->op == TILE_mixsum)
        check_x(c, s, s->depth);
    for (uint32_t k = 0; k < s->nbinds; k++)
        check_view(c, s, &s->binds[k].view, false);
    check_node(c, s, s->node);
}

static void
check_body(struct checker *c, const struct tile_stmt *s, int depth)
{
    for (; s && !c->error; s = s->next) {
        const struct tile_op_info *info = &tile_ops[s->op];
        if (s->op == TILE_NONE || s->op >= TILE_OP_COUNT || (s->op == TILE_phase) != (depth == 0)) {
            fail(c, s, "phases belong at the top, everything else inside one");
            return;
        }
        for (int k = 0; k < info->nindex; k++)
            check_x(c, s, s->x[k]);
        for (int k = 0; k < info->nviews; k++)
            check_view(c, s, &s->v[k],
                       (s->op == TILE_mapsum && k == 0) || (s->op == TILE_checkzero && k == 1));
        if (info->flags & TF_MAP)
            check_map(c, s);
        if (info->flags & TF_BODY) {
            for (int k = 0; k < 3 && s->var[k]; k++)
                c->bound[s->var[k]] = true;
            check_body(c, s->body, depth + 1);
            for (int k = 0; k < 3 && s->var[k]; k++)
                c->bound[s->var[k]] = false;
        }
    }
}

const char *
tile_verify(const struct tile_prog *p, struct arena *a)
{
    struct checker c = {.p = p, .a = a};
    for (uint32_t k = 1; k < p->nbufs; k++)
        if (!p->bufs[k].planes || !p->bufs[k].rows || !p->bufs[k].cols)
            return arena_printf(a, "buffer %s has no extents", p->bufs[k].name);
    check_body(&c, p->body, 0);
    return c.error;
}
