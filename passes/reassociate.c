/* reassociate: the sum over keys moves inside the sum over features.
 *
 *     rsum[j](rsum[f](A(i,f) * B(j,f)) * v(j,m))   ->   rsum[f](A(i,f) * rsum[j](B(j,f) * v(j,m)))
 *
 * Linear in n instead of quadratic. It is taken whenever kernelize asks for it; below the crossover
 * it is the slower of the two, so a remark says where that is when the sizes are known. */
#include "passes/rewrite.h"

static const span_t nowhere = {0, 0};

/* A * rsum[j](B [* v]) under the sum over the term's features. */
static ir_ref
move_sum(struct ir_func *f, const struct pair_term *t, bool values, span_t at)
{
    ir_ref mask = f->root[ROOT_MASK], b = t->b;
    if (mask)
        b = ir_select(f, mask, b, ir_const_i(f, 0, 1, nowhere), at);
    if (values)
        b = pass_mul(f, b, ir_input(f, 2, nowhere), at);
    ir_ref s = ir_rsum(f, AX_j, b, at), p = pass_mul(f, t->a, s, at);
    return t->axis == AX_UNIT ? p : ir_rsum(f, t->axis, p, at);
}

/* 4 n d' (M+1) against 2 n^2 (D+M) + n^2: the n where they meet. */
static void
remark_crossover(struct ir_func *f, const struct pair_term *t, int n, struct pass_context *c)
{
    double features = 0, d = (double)f->dims[DIM_D].size, m = (double)f->dims[DIM_M].size;
    for (int k = 0; k < n; k++)
        features += (double)axis_fixed_size(f, t[k].axis);
    if (d <= 0 || m <= 0)
        diag_remark(c->diag, f->kernelize_span,
                    "linear time; for short sequences the direct form is faster (fix D and "
                    "M to see from which length the rewrite pays)");
    else
        diag_remark(c->diag, f->kernelize_span,
                    "linear time pays from about n = %.0f; below, the direct form does less",
                    2 * features * (m + 1) / (d + m));
}

bool
pass_reassociate(struct ir_func *f, struct pass_context *c)
{
    struct pair_term t[PASS_MAX_TERMS];
    ir_ref stop, w = pass_weight(f), num = f->root[ROOT_NUM], den = f->root[ROOT_DEN],
                 part[2] = {0, 0};
    if (f->kernelize == KERNELIZE_NONE)
        return true;
    int n = pair_terms(f, pass_weight_sim(f, w), t, &stop);
    span_t at = f->nodes[num].span;
    for (int values = 0; values < 2; values++)
        for (int k = 0; k < n; k++) {
            ir_ref x = move_sum(f, &t[k], values, at);
            part[values] = part[values] ? ir_op2(f, IR_add, part[values], x, at) : x;
        }
    c->why->before = math_text(f, num);
    c->why->after = math_text(f, part[1]);
    rewrite_replace(f, c->scratch, num, part[1]);
    if (den)
        rewrite_replace(f, c->scratch, den, part[0]);
    remark_crossover(f, t, n, c);
    return true;
}
