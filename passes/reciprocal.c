/* reciprocal: a division of what comes from tensors by a number made of sizes is a product.
 *
 *     x / c  ->  x * (1/c)          c of constants and dims alone, such as √D
 *
 * 1/c is computed once, where every score would wait for a division. The product may differ in its
 * last bit, so positions alone are divided as before, and nothing is done where a value of tensors
 * is rounded, compared or chosen by: there a last bit decides. A param is no divisor for this: it
 * may be so small that 1/c overflows where x/c does not. */
#include "passes/rewrite.h"

#include <stdlib.h>

static bool
made_of_sizes(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->nargs == 0)
        return x->op == IR_dim || x->op == IR_size || x->op == IR_const || x->op == IR_pi;
    for (int k = 0; k < x->nargs; k++)
        if (!made_of_sizes(f, x->arg[k]))
            return false;
    return (ir_ops[x->op].props & IRP_ELEM) && !(ir_ops[x->op].props & IRP_BOOL);
}

/* True if something of a tensor is below n. */
static bool
reads_tensor(const struct ir_func *f, ir_ref n)
{
    bool *below = ir_below(f, n), any = false;
    for (ir_ref k = 1; k <= n; k++)
        any = any || (below[k] && (f->nodes[k].op == IR_input ||
                                   (f->nodes[k].op == IR_param && f->nodes[k].axes)));
    free(below);
    return any;
}

/* Operations whose results jump. */
static bool
jumps(const struct ir_node *x)
{
    static const uint8_t ops[] = {IR_floor, IR_mod, IR_argmax, IR_argsort, IR_pick};
    for (size_t k = 0; k < sizeof ops; k++)
        if (x->op == ops[k])
            return true;
    return (ir_ops[x->op].props & IRP_BOOL) && x->nargs > 0;
}

static ir_ref
inverse(struct ir_func *f, ir_ref n, span_t at)
{
    fmpq_t q;
    if (f->nodes[n].op != IR_const)
        return ir_op2(f, IR_div, ir_const_i(f, 1, 1, at), n, at);
    fmpq_init(q);
    fmpq_inv(q, ir_const_value(f, n));
    ir_ref r = ir_const_q(f, q, at);
    fmpq_clear(q);
    return r;
}

static ir_ref
multiply(struct ir_func *f, ir_ref n, void *arg)
{
    const struct ir_node x = f->nodes[n];
    (void)arg;
    if (x.op != IR_div || !made_of_sizes(f, x.arg[1]) || ir_is_const(f, x.arg[1], 0) ||
        !reads_tensor(f, x.arg[0]))
        return n;
    return ir_op2(f, IR_mul, x.arg[0], inverse(f, x.arg[1], x.span), x.span);
}

bool
pass_reciprocal(struct ir_func *f, struct pass_context *c)
{
    const bool *live = ir_live(f, c->scratch);
    for (ir_ref n = 1; n < f->nnodes; n++)
        if (live[n] && jumps(&f->nodes[n]) && reads_tensor(f, n))
            return true;
    rewrite_all(f, c->scratch, multiply, NULL);
    return true;
}
