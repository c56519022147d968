/* The pipeline on the axis IR: every row of passes.def, in order, each verified. */
#ifndef ATTNC_PASSES_PASSES_H
#define ATTNC_PASSES_PASSES_H

#include "ir/ir.h"

/* Facts a pass needs, gives, breaks. */
enum pass_facts {
    FACT_NONE = 0,
    FACT_SHAPED = 1,     /* sizes of all axes known to be consistent */
    FACT_FOLDED = 2,     /* constants folded, trivial operations removed */
    FACT_SPLIT = 4,      /* sim is a sum of rsum[f](A*B), A on the query side, B on the key side */
    FACT_LINEAR = 8,     /* no value varies over i and j together */
    FACT_STABLE = 16,    /* exponentials are relative to a running maximum */
    FACT_SIGNED = 32,    /* row_sum is filled in */
    FACT_WRITTEN = 64    /* what was written is computed: broken by a pass that approximates it */
};

/* What derivation found, for explain. Strings live in the function's arena. */
struct derivation {
    const char *approximation; /* what stands for what, where it is good, or NULL */
    const char *expansion;   /* "1 + 2·(q·k) + (q·k)^2", by degree, exact coefficients */
    const char *phi_q, *phi_k; /* the feature maps as formulas */
    const char *features;    /* d' as a formula in the dims: "1 + D + D*(D+1)/2" */
    const char *proof;       /* how the identity was proven: "3 monomials ... agree", or NULL */
    const char *before, *after; /* the rewrite */
    int blocks;              /* terms of the split */
    bool cancels;            /* the terms of the expanded row sum can be of both signs */
};

struct pass_context {
    struct diag *diag;
    struct derivation *why;  /* filled in by the passes that derive something */
    struct arena *scratch;   /* emptied after each pass */
    struct str *stats;       /* "pass: what happened" lines for --stats, or NULL */
    struct ir_func **meaning; /* where a pass that breaks FACT_WRITTEN and changed anything leaves a
                              * copy of what is to be computed from then on, or NULL */
};

/* A pass changes f in place (nodes are only added; roots are moved). It returns false after
 * reporting an error to the user; it never fails silently. */
typedef bool pass_fn(struct ir_func *f, struct pass_context *c);

struct pass {
    const char *name;
    pass_fn *run;
    uint32_t needs, gives, breaks;
    const char *help;
};
extern const struct pass pass_table[];
extern const int pass_count;

struct pass_options {
    const char *only;         /* --passes=a,b: run just these, in this order; NULL: all */
    const char *print_after;  /* a pass name, or "all", or NULL */
    bool print_changed;       /* print after each pass that changed something */
    const char *stop_after;
    bool time, check_each;
    FILE *dump;               /* where prints go */
};

/* Runs the pipeline. False after an error was reported. Unknown pass names are reported. */
bool passes_run(struct ir_func *f, const struct pass_options *o, struct pass_context *c);

/* Proves or refutes l == r as functions of the entries of q, k and the params, exactly.
 * 1: identical; 0: differs, with *why (arena of f) a sentence naming the first differing monomial
 * and both coefficients; -1: cannot decide, *why says what stops it. (passes/prove.c) */
int prove_equal(struct ir_func *f, ir_ref l, ir_ref r, const char **why);

#endif
