/* Can a program run token by token? What a query computes must not depend on how long the sequence
 * will be, and its sums over keys must be of what came before it. What a param says of each token
 * is read with the token, so a state of fixed size needs it of the new tokens alone; a cache, which
 * holds keys and values, would need it of all. */
#include "passes/schedule.h"

/* A param over the tokens, or NULL. */
static const struct ir_param *
param_of_tokens(const struct ir_func *f)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        for (int i = 0; i < f->params[k].rank && f->params[k].role == PARAM_GIVEN; i++)
            if (ir_is_tokens(f->params[k].dims[i]))
                return &f->params[k];
    return NULL;
}

/* True if n reads the length of the sequence, outside the sums over keys it is made of. */
static bool
reads_length(const struct ir_func *f, ir_ref n, const ir_ref *stop, int nstops)
{
    const struct ir_node *x = &f->nodes[n];
    if (!n)
        return false;
    for (int k = 0; k < nstops; k++)
        if (n == stop[k])
            return false;
    if (x->op == IR_dim && ir_is_tokens((int)x->attr.id))
        return true;
    for (int k = 0; k < x->nargs; k++)
        if (reads_length(f, x->arg[k], stop, nstops))
            return true;
    return false;
}

enum schedule_stepping
schedule_stepping(const struct ir_func *f, const char **why)
{
    const ir_ref sums[3] = {f->root[ROOT_NUM], f->root[ROOT_DEN], f->root[ROOT_ANY]};
    if (f->dims[DIM_N].size > 0) { /* a step sees as many keys as there are by then */
        *why = "n is fixed";
        return STEP_NONE;
    }
    if (reads_length(f, f->root[ROOT_SIM], NULL, 0) ||
        reads_length(f, f->root[ROOT_MASK], NULL, 0) ||
        reads_length(f, f->root[ROOT_OUT], sums, 3)) {
        *why = "it depends on the length of the whole sequence";
        return STEP_NONE;
    }
    if (schedule_is_linear(f) && schedule_has_scan(f))
        return STEP_STATE;
    const struct ir_param *p = param_of_tokens(f);
    if (p && !schedule_is_linear(f)) {
        *why = arena_printf(f->arena,
                            "param %s runs over the whole sequence, of which a cache keeps keys "
                            "and values", p->name);
        return STEP_NONE;
    }
    if (!schedule_is_linear(f))
        return STEP_CACHE;
    *why = "it is kernelized but not causal: every query sees every key";
    return STEP_NONE;
}
