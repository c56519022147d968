/* The one quantity a similarity is a polynomial of. */
#ifndef ATTNC_PASSES_SCORE_H
#define ATTNC_PASSES_SCORE_H

#include <flint/fmpz_poly.h>

#include "passes/split.h"

/* sim = c * P(y) with c > 0: y is a product of powers of atoms, one of them a dot. */
struct score {
    fmpz_poly_t p;
    int dot;
    bool free;   /* y takes every value: but for the dot it is made of what no token changes */
    bool root[SPLIT_MAX_ATOMS]; /* atoms that y has a root of: they must be >= 0 */
    ir_ref node; /* y; 0 if it is not to be written down without other roots than of sizes */
};

/* False if p is no such polynomial. Release with score_clear either way. */
bool score_find(struct split *s, const split_poly *p, struct score *out);
void score_clear(struct score *x);

#endif
