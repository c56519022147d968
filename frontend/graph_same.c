/* Statements that need no stage: what they define is a tensor that is there already. The reference
 * of `attnc check` is of the program without them, so it cannot tell if that is wrong. */
#include "frontend/graph.h"

#include <string.h>

#include "ir/tile.h"

/* The shell's param whose entries a statement repeats, index by index, or -1. */
static int
copied_param(const struct graph_stage *s, const uint8_t *axes, int rank)
{
    const struct ir_func *f = s->f;
    const struct ir_node *x = &f->nodes[f->root[ROOT_OUT]];
    if (x->op != IR_param || f->params[x->attr.id].rank != rank)
        return -1;
    const struct ir_binding *b = &f->bindings[x->attr.num];
    for (int k = 0; k < rank; k++)
        if (b->ax[k] != axes[k]) /* a constant index is no axis */
            return -1;
    return s->tensor[tile_param_arg(f, x->attr.id)];
}

static bool
same_nodes(const struct ir_func *f, const struct ir_func *g)
{
    if (f->nnodes != g->nnodes || f->nbindings != g->nbindings || f->nconsts != g->nconsts ||
        f->naxes != g->naxes || f->root[ROOT_OUT] != g->root[ROOT_OUT])
        return false;
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n], *y = &g->nodes[n];
        if (x->op != y->op || memcmp(x->arg, y->arg, sizeof x->arg) || x->attr.id != y->attr.id ||
            x->attr.num != y->attr.num || x->attr.axis != y->attr.axis ||
            x->attr.axis2 != y->attr.axis2)
            return false;
    }
    for (uint32_t k = 0; k < f->nconsts; k++)
        if (!fmpq_equal(f->consts + k, g->consts + k))
            return false;
    for (uint32_t k = 0; k < f->nbindings; k++) {
        const struct ir_binding *x = &f->bindings[k], *y = &g->bindings[k];
        if (x->rank != y->rank || memcmp(x->ax, y->ax, x->rank * sizeof *x->ax) ||
            memcmp(x->num, y->num, x->rank * sizeof *x->num))
            return false;
    }
    for (uint32_t k = 0; k < f->naxes; k++) {
        const struct ir_axis *x = &f->axes[k], *y = &g->axes[k];
        if (x->kind != y->kind || x->p != y->p || x->r != y->r || x->dim != y->dim ||
            x->num != y->num)
            return false;
    }
    return true;
}

/* The same function of the same tensors and numbers, over the same dims. */
static bool
same_stage(const struct graph_stage *s, const struct graph_stage *t)
{
    const struct ir_func *f = s->f, *g = t->f;
    if (!f->contraction || !g->contraction || f->nparams != g->nparams || f->ndims != g->ndims)
        return false;
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k].rank != g->params[k].rank ||
            memcmp(f->params[k].dims, g->params[k].dims, sizeof f->params[k].dims))
            return false;
    for (uint32_t k = 4; k < tile_arg_count(f); k++)
        if (s->tensor[k] != t->tensor[k])
            return false;
    return !memcmp(s->scalar, t->scalar, sizeof s->scalar) &&
           !memcmp(s->dim, t->dim, f->ndims * sizeof *s->dim) && same_nodes(f, g);
}

int
graph_same(const struct graph_build *b, const struct graph_stage *s, const uint8_t *axes,
           const uint16_t *dims, int rank)
{
    const struct ir_func *shell = b->g->shell;
    int p = copied_param(s, axes, rank);
    for (int k = 0; k < b->g->nstages && p < 0; k++)
        if (same_stage(s, b->g->stage[k]))
            p = b->g->stage[k]->tensor[3];
    bool same = p >= 0 && shell->params[p].rank == rank &&
                !memcmp(shell->params[p].dims, dims, (size_t)rank * sizeof *dims);
    return same ? p : -1;
}
