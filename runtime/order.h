/* The order of numbers, for statements that sort. Called by generated code; not part of the public
 * interface. */
#ifndef ATTN_ORDER_H
#define ATTN_ORDER_H

#include <stdint.h>

/* out[s] = where the s-th least of the n numbers x is, from 0: equal ones in the order in which
 * they come (-0 and 0 are equal), NaN last. A place beyond `most` is NaN. scratch: four rows of n
 * numbers of the type, `stride` apart. f32: at most 2^32 of them. Radix sort: time grows linearly
 * in n, and with the number of bytes in which numbers differ. */
void attn_argsort_f32(const float *x, int64_t n, float *out, float *scratch, int64_t stride,
                      int64_t most);
void attn_argsort_f64(const double *x, int64_t n, double *out, double *scratch, int64_t stride,
                      int64_t most);

#endif
