/* The logarithm of the row sums as a second result of a function: root lse and its tensor. */
#include "ir/ir.h"

static const span_t nowhere = {0, 0};

int
ir_lse_param(const struct ir_func *f)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k].role == PARAM_OUTPUT)
            return (int)k;
    return -1;
}

/* A row that sees nothing has the logarithm of 0, whatever its query holds. */
static void
make_roots(struct ir_func *f)
{
    ir_ref sim = f->root[ROOT_SIM], mask = f->root[ROOT_MASK];
    span_t at = f->nodes[sim].span;
    ir_ref zero = ir_const_i(f, 0, 1, nowhere);
    ir_ref z = ir_rsum(f, AX_j, mask ? ir_select(f, mask, sim, zero, at) : sim, at);
    f->root[ROOT_DEN] = z;
    f->root[ROOT_LSE] = ir_op1(f, IR_log, ir_select(f, f->root[ROOT_ANY], z, zero, at), at);
}

uint32_t
ir_lse_add(struct ir_func *f, const char *name)
{
    struct ir_param p = {.role = PARAM_OUTPUT, .rank = 3, .dims = {DIM_B, DIM_H, DIM_NQ}};
    while (ir_param_find(f, name) >= 0)
        name = arena_printf(f->arena, "%s'", name);
    p.name = name;
    make_roots(f);
    uint32_t at = ir_param_add(f, &p);
    if (at == 0 || f->params[at - 1].source == SOURCE_GIVEN)
        return at;
    p = f->params[at]; /* no node reads random weights yet: that is for pass approximate */
    f->params[at] = f->params[at - 1];
    f->params[at - 1] = p;
    f->weights = at;
    return at - 1;
}
