/* Rotary embedding (Su et al. 2021, eq. 34): pairs of entries turned by angles that grow with the
 * position, the pair t of a vector of length D by p * base^(-2t/D).
 *
 *     rope(x, p)  =  x * cos(a) + turn(x) * sin(a),     a = p * base^(-2t/D)
 *
 * Nothing in it is an operation of its own but the turn and the index of an entry, so everything
 * the compiler knows of products, angles and one-sided values holds for it. */
#include <string.h>

#include "frontend/sema.h"

enum { DEFAULT_BASE = 10000 };

/* Twice the number of the pair that an entry belongs to, per entry. */
static ir_ref
twice_pair(struct ir_func *f, enum ir_pairs pairs, ir_ref entry, ir_ref half, span_t at)
{
    ir_ref two = ir_const_i(f, 2, 1, at);
    if (pairs == PAIRS_NEIGHBOURS)
        return ir_op2(f, IR_sub, entry, ir_op2(f, IR_mod, entry, two, at), at);
    ir_ref first = ir_op2(f, IR_lt, entry, half, at);
    ir_ref pair = ir_select(f, first, entry, ir_op2(f, IR_sub, entry, half, at), at);
    return ir_op2(f, IR_mul, two, pair, at);
}

/* The frequency of every entry; that of a last entry without partner is 0. */
static ir_ref
frequencies(struct sema *s, enum ir_pairs pairs, uint8_t axis, ir_ref base, span_t at)
{
    struct ir_func *f = s->f;
    int64_t fixed = ir_axis_fixed(f, axis);
    ir_ref entry = ir_pos(f, axis, at), two = ir_const_i(f, 2, 1, at);
    ir_ref size = fixed > 0 ? ir_const_i(f, fixed, 1, at)
                            : ir_node(f, IR_size, (ir_attr){.axis = axis}, 0, 0, 0, at);
    ir_ref half = fixed > 0 ? ir_const_i(f, fixed / 2, 1, at)
                            : ir_op1(f, IR_floor, ir_op2(f, IR_div, size, two, at), at);
    ir_ref power = ir_op2(f, IR_div, twice_pair(f, pairs, entry, half, at), size, at);
    ir_ref each = ir_op2(f, IR_pow, base, ir_op1(f, IR_neg, power, at), at);
    if (fixed > 0)
        return each;
    ir_ref paired = ir_op2(f, IR_lt, entry, ir_op2(f, IR_mul, two, half, at), at);
    return ir_select(f, paired, each, ir_const_i(f, 0, 1, at), at);
}

struct value
sema_rope(struct sema *s, const struct ast_expr *e, enum ir_pairs pairs, struct value x)
{
    struct ir_func *f = s->f;
    span_t at = e->span;
    ir_ref p = sema_number(s, e->arg[1], arena_printf(s->arena, "the position of %s", e->name));
    ir_ref base = e->nargs < 3 ? ir_const_i(f, DEFAULT_BASE, 1, at)
                               : sema_number(s, e->arg[2],
                                             arena_printf(s->arena, "the base of %s", e->name));
    if (!p || !base)
        return value_bad;
    if (f->nodes[base].op == IR_const && fmpq_sgn(ir_const_value(f, base)) <= 0) {
        diag_error(s->diag, e->arg[2]->span, "the base of %s must be above 0", e->name);
        return value_bad;
    }
    if (ir_axis_fixed(f, x.axis) % 2 == 1) {
        diag_error(s->diag, e->arg[0]->span, "%s turns pairs of entries; the length is odd: %s",
                   e->name, sema_describe(s, &x));
        return value_bad;
    }
    ir_ref angle = ir_op2(f, IR_mul, p, frequencies(s, pairs, x.axis, base, at), at);
    ir_ref turned = ir_turn(f, x.axis, pairs, x.node, at);
    ir_ref along = ir_op2(f, IR_mul, x.node, ir_op1(f, IR_cos, angle, at), at);
    ir_ref across = ir_op2(f, IR_mul, turned, ir_op1(f, IR_sin, angle, at), at);
    return value_like(x, ir_op2(f, IR_add, along, across, at));
}
