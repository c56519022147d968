/* online: a similarity with one exponential factor is computed relative to the largest exponent of
 * its row.
 *
 *     w = select(mask, exp(e) * r, 0)  ->  select(mask, exp(e - max_j e) * r, 0)     in num and den
 *
 * The factor exp(-max) cancels in num / den, so no finite score overflows. (Milakov & Gimelshein,
 * "Online normalizer calculation for softmax".) With another normaliser it would not cancel: then a
 * remark. */
#include "passes/rewrite.h"

static const span_t nowhere = {0, 0};

/* The one exp among the factors of sim, or -1. */
static int
exp_factor(const struct ir_func *f, const ir_ref *fac, int n)
{
    int found = -1;
    for (int k = 0; k < n; k++)
        if (f->nodes[fac[k]].op == IR_exp && has_axis(f, fac[k], AX_j)) {
            if (found >= 0)
                return -1;
            found = k;
        }
    return found;
}

bool
pass_online(struct ir_func *f, struct pass_context *c)
{
    ir_ref fac[PASS_MAX_FACTORS], w = pass_weight(f), mask = f->root[ROOT_MASK];
    if (!w)
        return true;
    ir_ref sim = pass_weight_sim(f, w);
    span_t at = f->nodes[sim].span;
    int n = pass_factors(f, sim, fac), k = exp_factor(f, fac, n);
    if (k < 0)
        return true;
    if (!f->normalize_is_sum) {
        diag_remark(c->diag, at,
                    "exponentials are not made relative to the row's maximum: normalize is not z");
        return true;
    }
    ir_ref e = f->nodes[fac[k]].arg[0];
    ir_ref low = ir_node(f, IR_ninf, (ir_attr){0}, 0, 0, 0, nowhere);
    ir_ref top = ir_rmax(f, AX_j, mask ? ir_select(f, mask, e, low, at) : e, at);
    fac[k] = ir_op1(f, IR_exp, ir_op2(f, IR_sub, e, top, at), at);
    ir_ref rel = pass_product(f, fac, n, at);
    if (mask)
        rel = ir_select(f, mask, rel, ir_const_i(f, 0, 1, nowhere), at);
    rewrite_replace(f, c->scratch, w, rel);
    rewrite_shifted(f, top, at);
    return true;
}
