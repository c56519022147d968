/* Angles: cos and sin of a sum, taken apart by the addition theorems.
 *
 *     cos(a + b) = cos a * cos b - sin a * sin b          a of the query, b of the key
 *     sin(a + b) = sin a * cos b + cos a * sin b
 *
 * Both sides are written with a positive first term, cos(-x) = cos x and sin(-x) = -sin x, so that
 * equal angles become equal atoms however they were written. */
#include "passes/split.h"

#include <stdlib.h>

static ir_ref
unsigned_walk(struct ir_func *f, ir_ref n, ir_ref *memo)
{
    const struct ir_node x = f->nodes[n];
    if (memo[n])
        return memo[n];
    memo[n] = n;
    if (x.op == IR_neg || x.op == IR_abs)
        return memo[n] = unsigned_walk(f, x.arg[0], memo);
    if (x.op != IR_mul && x.op != IR_div)
        return n;
    ir_ref a = unsigned_walk(f, x.arg[0], memo), b = unsigned_walk(f, x.arg[1], memo);
    if (a != x.arg[0] || b != x.arg[1])
        memo[n] = ir_op2(f, (enum ir_op)x.op, a, b, x.span);
    return memo[n];
}

/* n without what its sign alone depends on: cos(w * |i - j|) is cos(w * (i - j)). */
static ir_ref
unsigned_angle(struct ir_func *f, ir_ref n)
{
    ir_ref *memo = xmalloc(sizeof *memo * f->nnodes);
    for (uint32_t k = 0; k < f->nnodes; k++)
        memo[k] = 0;
    ir_ref r = unsigned_walk(f, n, memo);
    free(memo);
    return r;
}

/* True if the first factor of the first term of a sum made by split_node is negative. */
static bool
starts_negative(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    while (x->op == IR_add || x->op == IR_mul)
        x = &f->nodes[x->arg[0]];
    return x->op == IR_const && fmpq_sgn(f->consts + x->attr.id) < 0;
}

bool
split_angle_parts(struct split *s, ir_ref n, uint8_t axis, ir_ref part[2], bool minus[2])
{
    const struct ir_node x = s->f->nodes[n];
    ir_ref angle = x.op == IR_cos ? unsigned_angle(s->f, x.arg[0]) : x.arg[0];
    ir_ref plus[3], negated[3], opposite = ir_op1(s->f, IR_neg, angle, x.span);
    const char *culprit = NULL;
    if (!split_exponent(s, angle, axis, false, plus, &culprit) ||
        !split_exponent(s, opposite, axis, false, negated, &culprit)) {
        split_stop(s, n, culprit);
        return false;
    }
    for (int k = 0; k < 2; k++) {
        minus[k] = plus[k] && starts_negative(s->f, plus[k]);
        part[k] = minus[k] ? negated[k] : plus[k];
    }
    return true;
}

/* cos or sin of one side as an atom; of nothing, 1 or 0. */
static split_poly *
turn(struct split *s, enum ir_op op, ir_ref part, bool minus, span_t at)
{
    if (!part)
        return poly_int(s, op == IR_cos);
    split_poly *p = poly_atom(s, split_atom_scalar(s, ir_op1(s->f, op, part, at)));
    return minus && op == IR_sin ? poly_neg(s, p) : p;
}

split_poly *
split_angle(struct split *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    const enum ir_op op = (enum ir_op)x.op, other = op == IR_cos ? IR_sin : IR_cos;
    ir_ref part[2];
    bool minus[2];
    if (!split_angle_parts(s, n, AX_UNIT, part, minus))
        return NULL;
    split_poly *a = poly_mul(s, turn(s, op, part[0], minus[0], x.span),
                             turn(s, IR_cos, part[1], minus[1], x.span), x.span);
    split_poly *b = poly_mul(s, turn(s, other, part[0], minus[0], x.span),
                             turn(s, IR_sin, part[1], minus[1], x.span), x.span);
    return poly_add(s, a, op == IR_cos ? poly_neg(s, b) : b);
}
