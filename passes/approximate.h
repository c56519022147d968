/* Inside pass approximate: the one exponential that is approximated. */
#ifndef ATTNC_PASSES_APPROXIMATE_H
#define ATTNC_PASSES_APPROXIMATE_H

#include "passes/split.h"

struct approximation {
    struct ir_func *f;
    struct pass_context *c;
    struct split s;
    ir_ref sim;            /* the similarity it is in */
    ir_ref from;           /* exp(...) */
    ir_ref part[3], pairs; /* of its exponent: split_exponent_pairs */
    ir_ref shift;          /* what stands for it is exp(-shift), of a whole row, of that; 0: 1 */
};

/* What stands for exp of the exponent without its decay: sum over r of the products of random
 * features. 0 after an error. (random_features.c) */
ir_ref random_features(struct approximation *a, span_t at);

#endif
