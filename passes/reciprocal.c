/* reciprocal: a division of what comes from tensors by a number made of sizes is a product.
 *
 *     x / c  ->  x * (1/c)          c a product of dims and constants, such as √D
 *
 * 1/c is computed once, where every score would wait for a division. The product may differ in its
 * last bit, so positions alone are divided as before, and nothing is done where a value of tensors
 * is rounded, compared or chosen by: there a last bit decides. A param is no divisor for this: it
 * may be so small that 1/c overflows where x/c does not. */
#include "passes/rewrite.h"

#include <stdlib.h>

enum { MAX_LEAVES = 3, MAX_BITS = 30 };

/* How many dims and constants n is a product of, under roots too; more than MAX_LEAVES if it is
 * anything else. Of so few, of so many bits, neither it nor its inverse leaves any type. */
static int
sizes_in(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_dim || x->op == IR_size || x->op == IR_pi)
        return 1;
    if (x->op == IR_const) {
        const fmpq *q = ir_const_value(f, n);
        bool small = fmpz_bits(fmpq_numref(q)) <= MAX_BITS && fmpz_bits(fmpq_denref(q)) <= MAX_BITS;
        return small && !fmpq_is_zero(q) ? 1 : MAX_LEAVES + 1;
    }
    if (x->op == IR_sqrt)
        return sizes_in(f, x->arg[0]);
    return x->op == IR_mul ? sizes_in(f, x->arg[0]) + sizes_in(f, x->arg[1]) : MAX_LEAVES + 1;
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
    if (x.op != IR_div || sizes_in(f, x.arg[1]) > MAX_LEAVES || !reads_tensor(f, x.arg[0]))
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
