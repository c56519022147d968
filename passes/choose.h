/* Kernels with two forms: the cost of each, by which a run chooses. */
#ifndef ATTNC_PASSES_CHOOSE_H
#define ATTNC_PASSES_CHOOSE_H

#include "ir/tile.h"
#include "passes/cost.h"

/* What one FLOP of a schedule takes, in thousandths of a FLOP at the peak: 1 to 1000000. */
struct choose_rate {
    char schedule[16];
    int64_t cost;
};
enum { CHOOSE_MAX_RATES = 8, CHOOSE_CALL_FLOPS = 12 }; /* a function counts as so many */
struct choose_rates {
    struct choose_rate at[CHOOSE_MAX_RATES];
    int n;
};
/* The usual ones, measured. */
void choose_rates_init(struct choose_rates *r);
/* NULL if there is no such schedule. */
struct choose_rate *choose_rate_find(struct choose_rates *r, const char *schedule);

/* Sets the cost of both forms of a program: the algorithm's FLOPs (functions counting several)
 * times the rate of its schedule. Their functions have the same dims, params and mask. */
void choose_between(struct arena *a, struct tile_prog *kernelized, struct tile_prog *direct,
                    struct choose_rates *rates);

#endif
