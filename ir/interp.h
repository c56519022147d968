/* The meaning of the axis IR: a slow, literal evaluator, the oracle of every test.
 *
 * It runs over one of two number domains: f64, or the prime field GF(2^61 - 1), in which any
 * algebraic rewrite that is wrong differs with overwhelming probability (Schwartz-Zippel) and no
 * tolerance is involved. In the field, sqrt(x) is x^((p+1)/4) (multiplicative, and a root
 * wherever one exists; its square is -x elsewhere, as for x = 3) and functions that are not
 * algebraic are a fixed hash of (function, argument); comparisons compare representatives; the
 * "real" numbers -inf and exp have no homomorphism there, so programs with rmax are validated in
 * f64 instead. */
#ifndef ATTNC_IR_INTERP_H
#define ATTNC_IR_INTERP_H

#include "ir/ir.h"

typedef union num {
    double f;
    uint64_t u;
} num;

enum num_domain { NUM_F64, NUM_GF };
#define GF_P ((uint64_t)0x1fffffffffffffff) /* 2^61 - 1 */

/* ir/num.c: one elementwise operation on numbers of a domain (powi takes n in attr.num). */
num num_apply(enum num_domain dom, enum ir_op op, ir_attr attr, num a, num b, num c);
num num_from_q(enum num_domain dom, const fmpq_t q);
num num_from_i(enum num_domain dom, int64_t i);
/* π: of the field, a number like any other, as π is the root of no polynomial over Q. */
num num_pi(enum num_domain dom);
/* A number as a double; of the field, the whole number of least magnitude that it stands for. */
double num_to_f(enum num_domain dom, num a);
num num_add(enum num_domain dom, num a, num b);
num num_mul(enum num_domain dom, num a, num b);
num num_max(enum num_domain dom, num a, num b);
/* The monomials of degree p of n numbers, lexicographic; mode as in op mono (ir_attr.id). */
void num_monomials(enum num_domain dom, int p, uint32_t mode, const num *x, int64_t step, int64_t n,
                   num *out, int64_t out_step);

/* Every pair of n numbers by a quarter turn, as in op turn. */
void num_turn(enum num_domain dom, bool halves, const num *x, int64_t step, int64_t n, num *out,
              int64_t out_step);

/* Of numbers of f64, as in ops argmax, argsort and pick: whether x comes before what was greatest
 * so far; the places of n numbers in order; the place below n that x is, or -1. */
bool num_is_greater(num x, num greatest);
void num_argsort(const num *x, int64_t step, int64_t n, num *out, int64_t out_step);
int64_t num_place(num x, int64_t n);

/* The values of a run. Tensors are dense, row-major: q [B,H,n_q,D] k [B,G,n,D] v [B,G,n,M];
 * params in their declared shape (rank 0: one number). Query head h reads key head h*G/H.
 * Nothing is copied; all must outlive the run. */
struct interp_input {
    enum num_domain dom;
    const int64_t *dims;          /* size of every dim of the function */
    const num *q, *k, *v;
    const num *const *params;
};

/* Evaluates a root (or any node whose axes are within b h i m) at every entry: out is dense over
 * the axes the node has, in the order b h i m. Returns false with *why set (static text) if the
 * sizes are inconsistent or too large to evaluate. */
bool interp_node(const struct ir_func *f, ir_ref node, const struct interp_input *in, num *out,
                 const char **why);

/* The same for query rows [row, row+rows) of one (b, h) only: out is [rows, M] (or [rows]).
 * Cost is that of the rows asked for plus the key side once. */
bool interp_rows(const struct ir_func *f, ir_ref node, const struct interp_input *in, int64_t b,
                 int64_t h, int64_t row, int64_t rows, num *out, const char **why);

#endif
