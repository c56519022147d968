/* Which key tiles a tile of queries can see, derived from the mask expression.
 *
 * The mask becomes a tree of predicates whose leaves are understood: an affine bound on positions,
 * a residue, or a comparison of a query's value with a key's value. Two questions are answered from
 * it with integer expressions. "Which keys can this tile of queries see at all?" is a union of
 * ranges, so that everything between a window and a few global tokens is never visited. "What of
 * this tile of keys?" is three-valued: all pairs visible, none, or some; only the last is tested
 * pair by pair. Values in tensors are known at run time only: a phase of its own records the least
 * and the greatest of every tile once per call. */
#ifndef ATTNC_PASSES_MASK_H
#define ATTNC_PASSES_MASK_H

#include "passes/schedule.h"

enum pred_kind {
    PRED_TRUE, PRED_FALSE,
    PRED_UNKNOWN,  /* nothing is known of it: tested pair by pair */
    PRED_AND, PRED_OR,
    PRED_BELOW,    /* e <= 0 */
    PRED_RESIDUE,  /* mod(e, modulus) < width */
    PRED_VALUES    /* value[index] */
};

/* cj*j + ci*i + rest + sign*S: positions, an integer, and at most one run-time number S, which need
 * not be whole. */
struct affine {
    int64_t cj, ci;
    tx_ref rest;
    int sign, scalar;        /* scalar: index into mask.scalar; sign 0: none */
};

struct pred {
    enum pred_kind kind;
    bool negate, strict;     /* RESIDUE, VALUES: the opposite;  BELOW: e < 0 */
    struct pred *a, *b;
    struct affine e;
    int64_t modulus, width;
    int value;
};

enum { MASK_MAX_SCALARS = 8, MASK_MAX_VALUES = 4, MASK_MAX_RANGES = 6 };
/* Variables of a walk: 4 to make tiles of a range, 4 for each exchange of the sort, 3 to join. */
enum { MASK_MAX_WALK = MASK_MAX_RANGES * (7 + 2 * (MASK_MAX_RANGES - 1)) };

/* The extremes of a one-sided value over each tile of its side. */
struct mask_summary {
    ir_ref node;
    uint32_t buf;            /* shared: [planes, tiles, 2] */
    tx_ref plane;            /* of the task at hand */
};

struct mask_value {
    enum ir_op rel;
    struct mask_summary query, key;
    uint32_t all, may;       /* variables that statement `compare` sets */
};

/* A number known when the kernel is called: statement `bounds` sets the variables. */
struct mask_scalar {
    ir_ref node;
    uint32_t floor, ceil, unknown;
    struct tile_stmt *read;
};

struct mask {
    struct sched *s;
    struct pred *root;
    struct mask_scalar scalar[MASK_MAX_SCALARS];
    struct mask_value value[MASK_MAX_VALUES];
    int nscalars, nvalues;
    tx_ref first, last;      /* positions of the query tile, inclusive */
};

/* Integers of the mask's tile program. */
tx_ref mask_num(const struct mask *m, int64_t v);
tx_ref mask_op(const struct mask *m, enum tx_op o, tx_ref a, tx_ref b);

/* Understands a mask (0 sees everything), before the schedule holds any tile. */
struct mask *mask_new(struct sched *s, ir_ref root, tx_ref first, tx_ref last);

/* Keys [lo, hi); 0 is unbounded. */
struct mask_range {
    tx_ref lo, hi;
};
struct mask_ranges {
    int n;
    struct mask_range at[MASK_MAX_RANGES];
};
/* Every key that a query of the tile can see is in one of them. */
struct mask_ranges mask_ranges(const struct mask *m);

/* all >= 0: every query of the tile sees each of the keys j .. j+nj-1; may < 0: none sees any. */
struct mask_class {
    tx_ref all, may;
};
struct mask_class mask_classify(const struct mask *m, tx_ref j, tx_ref nj);

/* A walk over the key tiles that meet one of the ranges: step k of `count` visits tile number
 * `tile`, which is an expression of the step; no tile is visited twice. */
struct mask_walk {
    tx_ref count, tile;
    bool bounded;            /* some tiles may not be visited */
    uint32_t nvars, vars[MASK_MAX_WALK];
    tx_ref x[MASK_MAX_WALK];
};
struct mask_walk mask_walk(const struct mask *m, tx_ref step);

/* ---- statements; each of the first three puts itself around *body ---- */
/* The variables a walk needs. */
void mask_open_walk(const struct mask *m, const struct mask_walk *w, struct stmt_list *body);
/* The run-time numbers of the mask: once per task. */
void mask_read_scalars(const struct mask *m, struct stmt_list *body);
/* What the summaries say of key tile number `tile` and the task's queries. */
void mask_read_summaries(const struct mask *m, tx_ref tile, struct stmt_list *body);
/* Phases that summarise the compared values, tile by tile. The schedule's tile is left as it is. */
void mask_summarise(struct mask *m, struct stmt_list *phases);

#endif
