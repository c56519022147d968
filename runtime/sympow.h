/* Monomial features of one vector, for the rare similarities that keep them in order. Called by
 * generated code; not part of the public interface. */
#ifndef ATTN_SYMPOW_H
#define ATTN_SYMPOW_H

#include <stdint.h>

/* out receives the C(D+p-1, p) monomials x[a1]*...*x[ap], a1 <= ... <= ap, in lexicographic order
 * of the index tuples. mode 0: as they are; 1: times the multinomial p!/alpha!; 2: times its square
 * root, so that the features of x and y have the inner product (x . y)^p. p is at most 16. */
void attn_monomials_f32(const float *x, int64_t D, int64_t p, int64_t mode, float *out);
void attn_monomials_f64(const double *x, int64_t D, int64_t p, int64_t mode, double *out);

#endif
