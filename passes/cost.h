/* What a program costs: exact polynomials in its sizes, read off the axis IR.
 *
 * The algorithm is the function after the passes, each node evaluated once over its axes:
 *
 *     FLOPs     one per operation and element, so that a multiply-add is two; a function (exp, ...)
 *               is one and also a call. What a mask hides is not computed. A node that varies over
 *               queries and keys costs the mask's area, one that reads keys alone is computed once
 *               per key head. A prefix sum adds each key once. Free: masks and counts of the keys
 *               they show, and what reads sizes and scalar params alone.
 *     bytes     what must move: inputs read once, the output written once, sums over keys that
 *               outlive a query (the state) written and read once
 *     space     what is kept besides inputs and output: the state, or all scores of the mask's area
 *     state     what a step finds and leaves: the sums, or the keys and values so far
 *
 * docs/cost.md tells the conventions to users. */
#ifndef ATTNC_PASSES_COST_H
#define ATTNC_PASSES_COST_H

#include <flint/fmpq_mpoly.h>
#include <flint/fmpq_poly.h>

#include "ir/ir.h"
#include "passes/fuse.h"

typedef fmpq_mpoly_struct cost_poly;

enum cost_quantity {
    COST_FLOPS, COST_CALLS, COST_BYTES, COST_SPACE, COST_STATE, COST_QUANTITIES
};
extern const char *const cost_names[COST_QUANTITIES]; /* "flops" "calls" ... */

/* ---- cost_poly.c: polynomials in the sizes of a function ---- */

/* The variables are the function's dims, then its params (a mask may have scalar ones), then two
 * numbers that a mask decides: `area`, the pairs of query and key that one head sees, and `seen`,
 * the keys that the last query sees. Every polynomial lives until cost_ring_free. */
struct cost_ring {
    fmpq_mpoly_ctx_t ctx;
    const struct ir_func *f;
    struct arena *arena;
    slong nvars, area, seen; /* how many variables, and the two of the mask */
    cost_poly **dim;         /* what stands for each dim: itself, a number, or another dim */
    cost_poly **pool;
    size_t npool, cap_pool;
};

void cost_ring_init(struct cost_ring *r, const struct ir_func *f, struct arena *a);
void cost_ring_free(struct cost_ring *r);
cost_poly *cost_poly_new(struct cost_ring *r);               /* 0 */
cost_poly *cost_poly_num(struct cost_ring *r, slong n);
cost_poly *cost_poly_var(struct cost_ring *r, slong var);
const char *cost_var_name(const struct cost_ring *r, slong var);
/* The entries of an axis of f, which has the ring's dims, e.g. D(D + 1)/2 of sym(d,2). */
cost_poly *cost_axis_size(struct cost_ring *r, const struct ir_func *f, uint8_t axis);
/* *to += scale * a * b */
void cost_add_mul(struct cost_ring *r, cost_poly *to, slong scale, const cost_poly *a,
                  const cost_poly *b);
/* The least common multiple of positive numbers. */
int64_t cost_lcm(int64_t a, int64_t b);
/* *to *= the polynomial in var that is 1 at x[k] and 0 at the other places of x[0..n) */
void cost_times_basis(struct cost_ring *r, cost_poly *to, slong var, const int64_t *x, int n,
                      int k);
/* p with variable var replaced by the polynomial x. */
cost_poly *cost_subst(struct cost_ring *r, const cost_poly *p, slong var, const cost_poly *x);
/* True if p varies with var. */
bool cost_has_var(const struct cost_ring *r, const cost_poly *p, slong var);

/* The value at sizes of the variables. */
void cost_value(struct cost_ring *r, const cost_poly *p, const int64_t *at, fmpq_t out);
/* p as a polynomial in n alone, the other sizes as given. */
void cost_in_n(struct cost_ring *r, const cost_poly *p, const int64_t *at, fmpq_poly_t out);

/* ---- cost_print.c: polynomials as text ---- */

/* Exactly, factored over Q: "4*B*H*n*(M + 1)*(D + 1)*(D + 2)/2", with · for products and ² for
 * powers; ascii: with * and ^. */
void cost_print(struct cost_ring *r, const cost_poly *p, bool ascii, struct str *out);
/* The terms no other term outgrows, up to constants: "B*H*n²*(D + M)"; ascii as above. */
void cost_print_theta(struct cost_ring *r, const cost_poly *p, bool ascii, struct str *out);
/* p / q in lowest terms. */
void cost_print_ratio(struct cost_ring *r, const cost_poly *p, const cost_poly *q, bool ascii,
                      struct str *out);

/* ---- cost_area.c: how many pairs a mask shows ---- */

/* The area of f's mask as a polynomial p; NULL, with why in words, if there is none or it was not
 * found. */
struct cost_area {
    cost_poly *p;
    const char *why;
    const char *where;       /* for which sizes it holds: "n >= 16, n a multiple of 4"; NULL: all */
    int64_t from, multiple;  /* n from which on, and what it is a multiple of */
    bool last, ordered;      /* ordered: n_q <= n */
    slong *with;             /* variables besides n, whose weighted sum n must reach; -1 ends */
    int64_t *weight;
    slong *only;             /* variables that must have the values value[]; -1 ends */
    int64_t *value;
};
/* Over n_q queries and n keys (rect: else n_q is n), or of the last query alone. Found by counting
 * at small sizes and checked at others; first for all values of the numbers that the mask reads,
 * then for those in at that are known. */
void cost_area_find(struct cost_ring *r, struct ir_func *f, bool last, bool rect,
                    const int64_t *at, const bool *known, struct cost_area *out);
bool cost_area_holds(const struct cost_area *a, const int64_t *at);
/* The n it holds from, for these values of the variables. */
int64_t cost_area_from(const struct cost_area *a, const int64_t *at);
/* Counts the pairs (last: the keys of the last query) at sizes of the variables; -1 if that would
 * take too long or needs tensors. */
int64_t cost_area_count(struct cost_ring *r, const struct ir_func *f, bool last, const int64_t *at);
/* How much of each tile of tq queries and tk keys is visible with n queries and keys: row by row, 0
 * nothing, 1 some, 2 all; false if that depends on what only a run knows. n is at most 1 << 13. */
bool cost_mask_tiles(struct cost_ring *r, const struct ir_func *f, const int64_t *at, int64_t n,
                     int64_t tq, int64_t tk, uint8_t *out);
/* Which nodes f's mask is made of, of f->nnodes. */
bool *cost_mask_nodes(struct cost_ring *r, const struct ir_func *f);
/* Why the area cannot be known before run time, or NULL. */
const char *cost_mask_unknown(struct cost_ring *r, const struct ir_func *f);
/* f with only what its mask says of positions and numbers, of conditions that all must hold: it
 * shows at least as much. NULL if that is nothing; ir_func_free releases it. */
struct ir_func *cost_mask_of_positions(struct cost_ring *r, const struct ir_func *f);

/* ---- cost_reach.c: where a mask's numbers are behind ---- */

/* The lines on which the mask f (nodes in used) changes, i - j = 5 say, have the mask's numbers as
 * offsets; they meet nowhere further out than the sum of all offsets, and of the period of all that
 * repeats, times the slopes. INFINITY
 * where positions go through functions that this does not follow. The constant `large` counts as
 * `instead`, if not 0. */
double cost_reach(struct cost_ring *r, const struct ir_func *f, const bool *used,
                  const int64_t *at, int64_t large, int64_t instead);
/* The same of all of the mask; 0 if there is none. */
double cost_mask_reach(struct cost_ring *r, const struct ir_func *f, const int64_t *at);

/* ---- cost_axis.c: the algorithm ---- */

enum cost_entry { COST_FORWARD, COST_STEP_STATE, COST_STEP_CACHE };
struct cost {
    cost_poly *q[COST_QUANTITIES];
};

/* The cost of one entry of f, a function after the passes whose dims and params are the ring's;
 * done: without what a fused attention finds done, or NULL. */
void cost_axis(struct cost_ring *r, const struct ir_func *f, enum cost_entry entry,
               const struct fuse_done *done, struct cost *out);
/* FLOPs and calls of each node that counts, in order, for a report: *nodes from the arena. */
struct cost_line {
    ir_ref node;
    cost_poly *flops;
};
uint32_t cost_lines(struct cost_ring *r, const struct ir_func *f, enum cost_entry entry,
                    struct cost_line **lines);

/* ---- cost_tile.c: the generated code ---- */

struct tile_prog;
/* What the tiles of a program do at sizes of the variables (all dims and scalar params of its
 * function known): false with *why where that depends on tensors or takes long to count.
 * q[COST_SPACE] is workspace without the padding of rows to whole vectors; q[COST_STATE] what the
 * caller keeps. */
bool cost_tile_count(struct cost_ring *r, const struct tile_prog *p, const int64_t *at,
                     int64_t q[COST_QUANTITIES], const char **why);

/* The same as polynomials in B, H = G, n = n_q, D and M: interpolated from counts at multiples of
 * `tile` tokens (0: at one token, a step over a state; one_query: of n alone, a step over a cache)
 * and checked at other sizes. where says for
 * which sizes they hold; a polynomial that was not found is NULL. False with why in words if not
 * even the FLOPs are one. Workspace is that of one task. */
struct cost_tiles {
    struct cost cost;
    const char *where, *why;
};
bool cost_tile(struct cost_ring *r, const struct tile_prog *p, const int64_t *at, const bool *known,
               const struct cost *algorithm, int64_t tile, bool one_query, struct cost_tiles *out);

/* ---- cost_cross.c: crossovers ---- */

/* From n on (up to the next crossover) a costs less than b (sign < 0) or more (sign > 0). */
struct cost_crossover {
    int64_t n;
    int sign;
};
enum { COST_MAX_CROSSOVERS = 16 };
/* All changes of who is cheaper over n = from, from + 1, ... (from >= 1); the first entry is for
 * the first n at which the two differ. Returns how many; 0: equal for every n. */
int cost_cross(const fmpq_poly_t a, const fmpq_poly_t b, int64_t from,
               struct cost_crossover out[COST_MAX_CROSSOVERS]);

#endif
