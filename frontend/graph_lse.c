/* NAME_lse: the logarithms of the row sums of attention NAME, a tensor that is made where something
 * reads it. */
#include "frontend/graph.h"

#include <string.h>

#include "ir/tile.h"

/* The attention whose row sums a name asks for, or NULL. */
static const struct graph_block *
block_of(const struct graph_build *b, const char *name)
{
    static const char suffix[] = "_lse";
    size_t n = strlen(name), m = sizeof suffix - 1;
    for (int k = 0; k < b->nblocks && n > m && !strcmp(name + n - m, suffix); k++)
        if (strlen(b->block[k].name) == n - m && !strncmp(b->block[k].name, name, n - m))
            return &b->block[k];
    return NULL;
}

struct graph_tensor *
graph_find_lse(struct graph_build *b, const char *name, int block)
{
    const struct graph_block *of = block_of(b, name);
    bool taken = graph_definition(b, block, name) || ir_dim_find(b->g->shell, name) >= 0;
    if (!of || taken || b->ntensors == GRAPH_MAX_TENSORS)
        return NULL;
    struct graph_tensor *t = &b->tensor[b->ntensors++];
    *t = (struct graph_tensor){.name = name, .scope = -1, .param = -1, .lse_of = of};
    return t;
}

/* The stage that makes this param of the shell. */
static struct graph_stage *
stage_of(struct graph_build *b, int param)
{
    for (int k = 0; k < b->g->nstages; k++)
        if (b->g->stage[k]->tensor[3] == param)
            return b->g->stage[k];
    ICE("no stage makes param %d", param);
}

/* The arguments of the stage from number `at` on make room for one. */
static void
insert_tensor(struct graph_stage *s, uint32_t at, int param)
{
    for (uint32_t k = GRAPH_MAX_ARGS - 1; k > at; k--)
        s->tensor[k] = s->tensor[k - 1];
    s->tensor[at] = (int16_t)param;
}

int
graph_make_lse(struct graph_build *b, struct graph_tensor *t)
{
    struct graph_tensor *of = graph_find(b, t->lse_of->name, -1);
    if (of->active && of->param < 0) {
        graph_circle(b, t);
        return -1;
    }
    int p = graph_make(b, of);
    if (p < 0)
        return -1;
    struct graph_stage *s = stage_of(b, p);
    if (tile_arg_count(s->f) == GRAPH_MAX_ARGS) {
        diag_error(b->base->diag, t->lse_of->at->span,
                   "the attention reads %d tensors, which leaves none for %s", IR_MAX_TENSORS,
                   t->name);
        return -1;
    }
    const uint16_t dims[3] = {(uint16_t)s->dim[DIM_B], (uint16_t)s->dim[DIM_H],
                              (uint16_t)s->dim[DIM_NQ]};
    int lse = graph_result_param(b, t, dims, 3);
    insert_tensor(s, tile_param_arg(s->f, ir_lse_add(s->f, t->name)), lse);
    return lse;
}
