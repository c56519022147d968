/* What several passes need: rebuilding with substitution, products, sums over pairs. */
#ifndef ATTNC_PASSES_REWRITE_H
#define ATTNC_PASSES_REWRITE_H

#include "passes/passes.h"

enum {
    PASS_MAX_FACTORS = 64,
    PASS_MAX_TERMS = 96,             /* groups of features of one similarity */
    PASS_MAX_FEATURES = 1 << 22      /* entries of the feature map, when the sizes are fixed */
};

/* Called for a node whose operands were rewritten already; returns what stands for it. */
typedef ir_ref rewrite_fn(struct ir_func *f, ir_ref n, void *arg);

/* Rebuilds everything the roots reach, operands first, through fn, and moves the roots. True if a
 * root changed. */
bool rewrite_all(struct ir_func *f, struct arena *scratch, rewrite_fn *fn, void *arg);
/* Puts `to` in the place of `from` in every root but ROOT_SIM, ROOT_MASK and ROOT_PAIR (what
 * the user wrote stays readable there). True if a root changed. */
bool rewrite_replace(struct ir_func *f, struct arena *scratch, ir_ref from, ir_ref to);

/* All weights of a row have become exp(-shift) of what they were: in num / den that cancels, in the
 * logarithm of the row sum it is taken back. */
void rewrite_shifted(struct ir_func *f, ir_ref shift, span_t at);

/* Flattens a tree of multiplications; returns how many factors (at most PASS_MAX_FACTORS). */
int pass_factors(const struct ir_func *f, ir_ref n, ir_ref *out);
/* Their product; 1 for none, and factors that are 1 are dropped. */
ir_ref pass_product(struct ir_func *f, const ir_ref *factors, int n, span_t at);
ir_ref pass_mul(struct ir_func *f, ir_ref a, ir_ref b, span_t at);

/* The weight w of num = rsum[j](w * v), or 0 if num has another form. */
ir_ref pass_weight(struct ir_func *f);
/* The similarity inside w = select(mask, sim, 0) or w = sim. */
ir_ref pass_weight_sim(const struct ir_func *f, ir_ref w);

/* The product of g over the tokens after the key up to the query, g^(i - j) where g is the same for
 * all of them: the node, and its g if n is one, else 0. */
ir_ref pass_decay(struct ir_func *f, ir_ref g, span_t at);
ir_ref pass_decay_base(const struct ir_func *f, ir_ref n);

/* One summand rsum[axis](a * b * pass_decay(g)), or without the sum where axis is AX_UNIT; a is
 * free of keys, b and g of queries; g is 0 where there is no decay. */
struct pair_term {
    ir_ref a, b, g;
    uint8_t axis;
};
/* Reads n as a sum of such products. Returns how many, or -1 with *stop set to the node that is
 * none (out holds at most PASS_MAX_TERMS). */
int pair_terms(struct ir_func *f, ir_ref n, struct pair_term *out, ir_ref *stop);

/* A mask as a conjunction: causal (j <= i, however written), what depends on the key alone, and the
 * rest. Each part is 0 where there is none. */
struct mask_parts {
    bool causal;
    ir_ref key, rest;
};
struct mask_parts pass_mask_parts(struct ir_func *f, ir_ref mask);

/* The fixed number of entries of an axis, or -1 while a dimension of it is a run-time size. */
int64_t axis_fixed_size(const struct ir_func *f, uint8_t axis);
/* The size as a formula in the dimensions: "D", "D*(D+1)/2". */
const char *axis_formula(const struct ir_func *f, uint8_t axis);
bool has_axis(const struct ir_func *f, ir_ref n, uint8_t axis);
/* ir_print_math into the function's arena. */
const char *math_text(const struct ir_func *f, ir_ref n);

/* True if n > 0 is proven. */
bool proven_positive(const struct ir_func *f, ir_ref n);
/* True if n, a polynomial of dots, is proven to be >= 0 feature by feature: none of the products
 * that its powers and dots multiply out to can be negative, so that sums of them never cancel. */
bool features_nonneg(const struct ir_func *f, ir_ref n);

/* True if a and b (which must have the same dims and params) compute the same `out` on random
 * inputs of the given sizes: exactly, in GF(2^61 - 1), or within a tolerance in f64 where the
 * programs use functions the field does not have. *why names the first difference, or what could
 * not be evaluated (then the result is true). Static or arena text. */
bool passes_agree(const struct ir_func *a, const struct ir_func *b, const int64_t *dims,
                  uint64_t seed, const char **why);

pass_fn pass_shapes, pass_fold, pass_cse, pass_approximate, pass_expand, pass_kernelize,
    pass_reassociate, pass_online, pass_positivity, pass_reciprocal;

#endif
