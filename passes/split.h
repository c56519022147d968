/* Separation: a similarity as a polynomial in things that belong to one side.
 *
 * A one-sided subexpression is opaque: one atom, whatever it computes. What pairs a query with a
 * key must be built from +, -, *, whole powers, sums over vector axes and division by one-sided
 * values; then it is an exact polynomial over Q whose variables are
 *
 *     scalars   of the query, of the key, or of neither
 *     roots     sqrt(p) of a constant or a dimension, with t^2 reduced to p
 *     dots      rsum[axis](a * b), a a query vector, b a key vector; under causal also
 *               rsum[axis](a * b * decay), a decay per channel
 *     angles    cos and sin of a + b become those of a and of b by the addition theorems
 *     decays    under causal, g^(i - j) for a g that is the same for all tokens, and decay(g) for
 *               one of each token: never split into g^i and g^-j, which leave every range, but kept
 *               for a recurrence
 *
 * Anything else that mixes both sides is reported where it stands. */
#ifndef ATTNC_PASSES_SPLIT_H
#define ATTNC_PASSES_SPLIT_H

#include <flint/fmpq_mpoly.h>

#include "passes/rewrite.h"

enum { SPLIT_MAX_ATOMS = 48, SPLIT_MAX_DEGREE = 16, SPLIT_MAX_LENGTH = 1 << 14 };

enum split_kind { ATOM_SCALAR, ATOM_ROOT, ATOM_DOT, ATOM_DECAY };

struct split_atom {
    enum split_kind kind;
    enum ir_side side;     /* SIDE_MIXED for a dot */
    ir_ref node;           /* its value */
    uint8_t axis;          /* DOT: summed over */
    ir_ref q, k;           /* DOT: the two vectors */
    ir_ref g;              /* DECAY: g; DOT: that of each channel, or 0 */
    int square;            /* ROOT of a dimension: the atom that t^2 is, else -1 */
    int inverse;           /* the atom that is 1/this (of a size), or -1 */
    fmpq_t value;          /* ROOT of a constant: t^2 */
};

typedef fmpq_mpoly_struct split_poly;

struct split {
    struct ir_func *f;
    struct diag *diag;
    fmpq_mpoly_ctx_t ctx;
    struct split_atom atom[SPLIT_MAX_ATOMS];
    int natoms;
    split_poly **pool;     /* every polynomial made, released together */
    size_t npool, cap_pool;
    struct { ir_ref node; split_poly *p; } *memo;
    size_t nmemo, cap_memo;
    ir_ref *ranges;        /* powers whose exponent was split (range warning given) */
    size_t nranges, cap_ranges;
    bool failed;           /* an error was reported */
    bool causal;           /* only pairs with j <= i count: decays are recognised */
};

/* Starts an analysis of f; errors go to d. */
void split_init(struct split *s, struct ir_func *f, struct diag *d);
void split_free(struct split *s);
/* The scalar node as a polynomial, or NULL after an error was reported at the node in the way. */
split_poly *split_scalar(struct split *s, ir_ref n);
/* 1/n for a scalar node, likewise. */
split_poly *split_inverse(struct split *s, ir_ref n);
/* The polynomial as a node. */
ir_ref split_node(struct split *s, const split_poly *p, span_t at);
/* One term: coefficient and exponents of the atoms. */
void split_term(const struct split *s, const split_poly *p, slong i, fmpq_t c, ulong *exps);

/* ---- polynomials (results live until split_free; NULL in, NULL out) ---- */
split_poly *poly_const(struct split *s, const fmpq_t q);
split_poly *poly_int(struct split *s, slong i);
split_poly *poly_atom(struct split *s, int atom);
split_poly *poly_add(struct split *s, const split_poly *a, const split_poly *b);
split_poly *poly_neg(struct split *s, const split_poly *a);
split_poly *poly_mul(struct split *s, const split_poly *a, const split_poly *b, span_t at);
split_poly *poly_pow(struct split *s, const split_poly *a, ulong e, span_t at);
split_poly *poly_one_term(struct split *s, const fmpq_t c, const ulong *exps);

/* The atom for a one-sided scalar node; -1 after an error. */
int split_atom_scalar(struct split *s, ir_ref n);

/* ---- split_vector.c ---- */
/* rsum[axis](n) for a mixed n. */
split_poly *split_sum(struct split *s, uint8_t axis, ir_ref n, span_t at);
/* Splits the mixed exponent e of exp(e) or base^e: part[0] and part[1] become its query side (with
 * what is neutral) and key side, part[2] the factor of i - j if `decays`, 0 where there is none.
 * False (nothing reported) if a term pairs both;
 * *culprit is then its text. vector: the axis e may have, or AX_UNIT. */
bool split_exponent(struct split *s, ir_ref e, uint8_t vector, bool decays, ir_ref part[3],
                    const char **culprit);
/* The same of a scalar e whose terms that pair both sides are no hindrance: *pairs is their sum, or
 * 0. False after an error. */
bool split_exponent_pairs(struct split *s, ir_ref e, ir_ref part[3], ir_ref *pairs);
/* The decay per position of exp(e) or base^e with part[2] of its exponent split off. */
ir_ref split_decay(struct split *s, const struct ir_node *x, ir_ref rate);
/* Says once that powers with split exponents can leave the range of the type. */
void split_range_warning(struct split *s, ir_ref n);

/* ---- split_angle.c ---- */
/* cos or sin (node n) of a scalar, one-sided or mixed. */
split_poly *split_angle(struct split *s, ir_ref n);
/* The angle of node n, cos or sin: its query side (with what is neutral) and its key side, each
 * with a first term that is positive, negated for that where minus says so; 0 where there is none.
 * False after an error. axis: that the angle may have, or AX_UNIT. */
bool split_angle_parts(struct split *s, ir_ref n, uint8_t axis, ir_ref part[2], bool minus[2]);

/* ---- split_error.c ---- */
/* Reports that node n pairs query and key in a way that has no finite feature map; culprit (or
 * NULL) is the text of the pairing term inside it. Always returns NULL. */
split_poly *split_stop(struct split *s, ir_ref n, const char *culprit);

#endif
