/* reassociate: the sum over keys moves inside the sum over features.
 *
 *     rsum[j](rsum[f](A(i,f) * B(j,f)) * v(j,m))   ->   rsum[f](A(i,f) * rsum[j](B(j,f) * v(j,m)))
 *
 * Under causal the inner sum is a prefix sum, scan(B * v, 1), whose value at i is the state after
 * the keys 0..i. Linear in n instead of quadratic. It is taken whenever kernelize asks for it;
 * below the crossover it is the slower of the two, so a remark says where that is when the sizes
 * are known. */
#include "passes/rewrite.h"

static const span_t nowhere = {0, 0};

/* A * (sum over the keys of B [* v]) under the sum over the term's features. */
static ir_ref
move_sum(struct ir_func *f, const struct pair_term *t, const struct mask_parts *m, bool values,
         span_t at)
{
    ir_ref b = t->b;
    if (m->key)
        b = ir_select(f, m->key, b, ir_const_i(f, 0, 1, nowhere), at);
    if (values)
        b = pass_mul(f, b, ir_input(f, 2, nowhere), at);
    ir_ref g = t->g ? t->g : ir_const_i(f, 1, 1, nowhere);
    ir_ref s = m->causal ? ir_scan(f, b, g, at)
                         : ir_rsum(f, AX_j, b, at);
    ir_ref p = pass_mul(f, t->a, s, at);
    return t->axis == AX_UNIT ? p : ir_rsum(f, t->axis, p, at);
}

/* The number of visible keys, which decides about empty rows, is a prefix sum too. */
static void
move_count(struct ir_func *f, const struct mask_parts *m, struct pass_context *c)
{
    ir_ref one = ir_const_i(f, 1, 1, nowhere), zero = ir_const_i(f, 0, 1, nowhere);
    if (!m->causal)
        return;
    ir_ref count = ir_rsum(f, AX_j, ir_select(f, f->root[ROOT_MASK], one, zero, nowhere), nowhere);
    ir_ref seen = m->key ? ir_select(f, m->key, one, zero, nowhere) : one;
    rewrite_replace(f, c->scratch, count, ir_scan(f, seen, one, nowhere));
}

bool
pass_reassociate(struct ir_func *f, struct pass_context *c)
{
    struct pair_term t[PASS_MAX_TERMS];
    ir_ref stop, w = pass_weight(f), num = f->root[ROOT_NUM], den = f->root[ROOT_DEN],
                 part[2] = {0, 0};
    if (f->kernelize == KERNELIZE_NONE)
        return true;
    struct mask_parts mask = pass_mask_parts(f, f->root[ROOT_MASK]);
    int n = pair_terms(f, pass_weight_sim(f, w), t, &stop);
    span_t at = f->nodes[num].span;
    for (int values = 0; values < 2; values++)
        for (int k = 0; k < n; k++) {
            ir_ref x = move_sum(f, &t[k], &mask, values, at);
            part[values] = part[values] ? ir_op2(f, IR_add, part[values], x, at) : x;
        }
    c->why->before = math_text(f, num);
    c->why->after = math_text(f, part[1]);
    rewrite_replace(f, c->scratch, num, part[1]);
    if (den)
        rewrite_replace(f, c->scratch, den, part[0]);
    move_count(f, &mask, c);
    if (f->kernelize == KERNELIZE_EXACT)
        diag_remark(c->diag, f->kernelize_span,
                    "linear time; for short sequences the direct form does less: attnc cost says "
                    "from which length on this pays");
    return true;
}
