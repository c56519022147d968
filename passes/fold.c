/* fold: exact arithmetic on constants, and operations that change nothing.
 *
 *     x * 1, x + 0, x^1, -(-x), select(true, a, b)  ->  x, x, x, x, a
 *
 * 0 * x is kept: x may be inf or NaN. Nothing is reordered. */
#include "passes/rewrite.h"

static bool
both_const(const struct ir_func *f, const struct ir_node *x)
{
    return f->nodes[x->arg[0]].op == IR_const && f->nodes[x->arg[1]].op == IR_const;
}

static ir_ref
fold_pair(struct ir_func *f, ir_ref n)
{
    const struct ir_node x = f->nodes[n];
    fmpq_t q;
    bool done = true;
    fmpq_init(q);
    const fmpq *a = ir_const_value(f, x.arg[0]), *b = ir_const_value(f, x.arg[1]);
    if (x.op == IR_add)
        fmpq_add(q, a, b);
    else if (x.op == IR_sub)
        fmpq_sub(q, a, b);
    else if (x.op == IR_mul)
        fmpq_mul(q, a, b);
    else if (x.op == IR_div && !fmpq_is_zero(b))
        fmpq_div(q, a, b);
    else
        done = false;
    ir_ref r = done && fmpz_bits(fmpq_numref(q)) < 4096 ? ir_const_q(f, q, x.span) : n;
    fmpq_clear(q);
    return r;
}

static ir_ref
fold_node(struct ir_func *f, ir_ref n, void *arg)
{
    const struct ir_node x = f->nodes[n];
    (void)arg;
    if (x.nargs == 2 && both_const(f, &x))
        return fold_pair(f, n);
    if (x.op == IR_neg && f->nodes[x.arg[0]].op == IR_neg)
        return f->nodes[x.arg[0]].arg[0];
    if (x.op == IR_powi && x.attr.num == 1)
        return x.arg[0];
    if ((x.op == IR_mul || x.op == IR_div) && ir_is_const(f, x.arg[1], 1))
        return x.arg[0];
    if (x.op == IR_mul && ir_is_const(f, x.arg[0], 1))
        return x.arg[1];
    if ((x.op == IR_add || x.op == IR_sub) && ir_is_const(f, x.arg[1], 0))
        return x.arg[0];
    if (x.op == IR_add && ir_is_const(f, x.arg[0], 0))
        return x.arg[1];
    if (x.op == IR_select && f->nodes[x.arg[0]].op == IR_const)
        return ir_is_const(f, x.arg[0], 0) ? x.arg[2] : x.arg[1];
    return n;
}

bool
pass_fold(struct ir_func *f, struct pass_context *c)
{
    rewrite_all(f, c->scratch, fold_node, NULL);
    return true;
}
