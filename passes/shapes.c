/* shapes: sizes that the program fixes must fit together, whatever the tensors bring; and a decay
 * goes from keys to later queries.
 *
 *     dim G = 3; dim H = 8;      error: H = 8 must be a multiple of G = 3 */
#include "passes/rewrite.h"
#include "passes/schedule.h"

/* True if x sums a product of a decay and of vectors of either side. */
static bool
is_faded_dot(const struct ir_func *f, const struct ir_node *x)
{
    ir_ref fac[PASS_MAX_FACTORS];
    int n = x->op == IR_rsum ? product_factors(f, x->arg[0], fac, PASS_MAX_FACTORS) : 0;
    for (int k = 0; k < n; k++)
        if (ir_side_of(f, fac[k]) == SIDE_MIXED && f->nodes[fac[k]].op != IR_decay)
            return false;
    return n > 0;
}

/* Pair by pair, a decay per channel is only computed within a dot product. */
static bool
decays_are_in_dots(const struct ir_func *f, struct pass_context *c)
{
    const bool *live = ir_live(f, c->scratch);
    ir_ref *inside = ARENA_ARRAY(c->scratch, ir_ref, f->nnodes); /* the decay that n is made of */
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        if (x->op == IR_decay && ir_vector_axes(f, n))
            inside[n] = n;
        for (int k = 0; k < x->nargs; k++)
            inside[n] = inside[n] ? inside[n] : inside[x->arg[k]];
        if (!inside[n] || !live[n] || x->op == IR_decay || x->op == IR_mul)
            continue;
        if (!is_faded_dot(f, x)) {
            diag_error(c->diag, f->nodes[inside[n]].span,
                       "a decay per channel must be a factor of a dot product");
            diag_note(c->diag, (span_t){0, 0}, "for example (%s * q)·k",
                      math_text(f, inside[n]));
            return false;
        }
        inside[n] = 0;
    }
    return true;
}

static bool
decays_have_place(struct ir_func *f, struct pass_context *c)
{
    const ir_ref mask = f->root[ROOT_MASK];
    const bool causal = pass_mask_parts(f, mask).causal, *live = ir_live(f, c->scratch);
    bool *below = ARENA_ARRAY(c->scratch, bool, f->nnodes); /* what the mask is made of */
    below[mask] = mask != 0;
    for (ir_ref n = f->nnodes; n-- > 1;) {
        const struct ir_node *x = &f->nodes[n];
        for (int k = 0; k < x->nargs; k++)
            below[x->arg[k]] = below[x->arg[k]] || below[n];
        if (x->op != IR_decay || !live[n] || (causal && !below[n]))
            continue;
        diag_error(c->diag, x->span, below[n] ? "a mask cannot depend on a decay"
                                              : "decay runs from a key to a later query: it needs "
                                                "`causal;`");
        return false;
    }
    return true;
}

bool
pass_shapes(struct ir_func *f, struct pass_context *c)
{
    int64_t h = f->dims[DIM_H].size, g = f->dims[DIM_G].size;
    if (h > 0 && g > 0 && h % g) {
        diag_error(c->diag, (span_t){0, 0}, "H is %lld, must be a multiple of G = %lld",
                   (long long)h, (long long)g);
        return false;
    }
    for (uint8_t a = 0; a < f->naxes && a < IR_MAX_AXES; a++) {
        int64_t n = axis_fixed_size(f, a);
        if (f->axes[a].kind != AXK_BASE && n > PASS_MAX_FEATURES) {
            diag_error(c->diag, (span_t){0, 0}, "a vector has %lld entries (%s), the limit is %d",
                       (long long)n, axis_formula(f, a), PASS_MAX_FEATURES);
            return false;
        }
    }
    return decays_have_place(f, c) && (f->kernelize == KERNELIZE_EXACT || decays_are_in_dots(f, c));
}
