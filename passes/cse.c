/* cse: a + b and b + a become one node. Nodes that are equal to the letter already are one
 * (hash-consing), and dead nodes are never printed, scheduled or compiled; what remains is the
 * order of operands. */
#include "passes/rewrite.h"

static ir_ref
order_operands(struct ir_func *f, ir_ref n, void *arg)
{
    const struct ir_node x = f->nodes[n];
    (void)arg;
    if (!(ir_ops[x.op].props & IRP_COMM) || x.arg[0] <= x.arg[1])
        return n;
    ir_ref swapped[3] = {x.arg[1], x.arg[0], 0};
    return ir_with_args(f, n, swapped);
}

bool
pass_cse(struct ir_func *f, struct pass_context *c)
{
    rewrite_all(f, c->scratch, order_operands, NULL);
    return true;
}
