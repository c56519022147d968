/* What --stats says of a run: pairs of query and key compared, pairs visible, operations. */
#include <stdio.h>

#include "frontend/driver/driver.h"

enum { VISIBLE_BUDGET = 400000000 };

/* Pairs the mask of the program as written shows, row by row; -1 if that would take too long. */
static int64_t
visible_pairs(struct ir_func *f, const struct interp_input *in)
{
    const int64_t *d = in->dims;
    span_t at = {0, 0};
    ir_ref mask = f->root[ROOT_MASK];
    int64_t rows = d[DIM_B] * d[DIM_H] * d[DIM_NQ], sum = 0;
    const char *why = NULL;
    if (!mask)
        return rows * d[DIM_N];
    if ((double)rows * (double)d[DIM_N] > VISIBLE_BUDGET)
        return -1;
    ir_ref one = ir_const_i(f, 1, 1, at), zero = ir_const_i(f, 0, 1, at);
    ir_ref count = ir_rsum(f, AX_j, ir_select(f, mask, one, zero, at), at);
    for (int64_t k = 0; k < rows; k++) {
        num seen;
        if (!interp_rows(f, count, in, k / d[DIM_NQ] / d[DIM_H], k / d[DIM_NQ] % d[DIM_H],
                         k % d[DIM_NQ], 1, &seen, &why))
            return -1;
        sum += (int64_t)seen.f;
    }
    return sum;
}

void
stats_report(struct unit *u, const struct interp_input *in)
{
    struct tile_count c;
    const char *why = NULL;
    const int64_t *d = in->dims;
    if (!tile_count(u->prog, in, &c, &why)) {
        fprintf(stderr, "stats: not counted: %s\n", why);
        return;
    }
    fprintf(stderr, "cost at B=%lld H=%lld n_q=%lld n=%lld D=%lld M=%lld: ", (long long)d[DIM_B],
            (long long)d[DIM_H], (long long)d[DIM_NQ], (long long)d[DIM_N], (long long)d[DIM_D],
            (long long)d[DIM_M]);
    if (c.scores) {
        int64_t seen = visible_pairs(u->meaning, in);
        fprintf(stderr, "%lld scores computed, ", (long long)c.scores);
        if (seen >= 0)
            fprintf(stderr, "%lld visible, ", (long long)seen);
        fprintf(stderr, "%lld pairs in all, ",
                (long long)(d[DIM_B] * d[DIM_H] * d[DIM_NQ] * d[DIM_N]));
    }
    fprintf(stderr, "%lld floating-point operations\n", (long long)(2 * c.mul_add + c.other));
}
