/* A program of several stages: attentions, and statements of index notation around them.
 *
 *     input x[b,n,F];  q[b,h,i,d] = x[b,i,f] * Wq[f,h,d];  ...  sim = ...;  output y[...] = ...;
 *
 * Every stage is a function of its own (ir/ir.h) with one result; stages meet in tensors. The shell
 * is a function without nodes: it has the dims of the whole, and as params, in the order of the
 * call, its inputs, outputs, tensor and scalar params, then the tensors in between. Stages come in
 * an order in which each reads what those before it made. */
#ifndef ATTNC_IR_GRAPH_H
#define ATTNC_IR_GRAPH_H

#include "ir/ir.h"

enum { GRAPH_MAX_STAGES = 64, GRAPH_MAX_ARGS = 4 + IR_MAX_TENSORS };

struct graph_stage {
    struct ir_func *f;               /* attention, or f->contraction */
    const char *name;                /* the tensor it makes */
    span_t span;
    /* Which param of the shell each of its tensors is (q, k, v, out, then tensor params; -1: it has
     * none), each of its scalars, and which dim each of its dims is (-1: none). */
    int16_t tensor[GRAPH_MAX_ARGS], scalar[IR_MAX_SCALARS], dim[IR_MAX_DIMS];
};

struct graph {
    struct ir_func *shell;
    struct graph_stage *stage[GRAPH_MAX_STAGES];
    int nstages;
};

/* The shell's params that are arguments of a call: all but those in between. */
static inline uint32_t
graph_argument_count(const struct graph *g)
{
    uint32_t n = 0;
    while (n < g->shell->nparams && g->shell->params[n].role != PARAM_BETWEEN)
        n++;
    return n;
}

#endif
