/* Polynomials in one value: their signs and roots, exactly. */
#ifndef ATTNC_PASSES_ROOTS_H
#define ATTNC_PASSES_ROOTS_H

#include <flint/fmpz_poly.h>

#include "ir/ir.h"

/* P >= 0 for every real argument. */
bool poly_nonnegative(const fmpz_poly_t p);
/* The largest real root to a millionth: *n with (*n - 1)/10^6 < root <= *n/10^6. False if there is
 * none, or none that an int64_t holds. */
bool poly_largest_root(const fmpz_poly_t p, int64_t *n);
/* *n/10^6 as a decimal, in arena a. */
const char *millionths(struct arena *a, int64_t n);

/* Reads n as P(x)/c, P with integer coefficients, c > 0, in one value x, which is no constant: x is
 * the result, 0 if n is no such polynomial of degree 1 to 64. */
ir_ref as_polynomial_in_one(const struct ir_func *f, ir_ref n, fmpz_poly_t p);

#endif
