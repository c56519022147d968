/* From the axis IR to the tile IR: one builder per schedule.
 *
 * A builder decides loops and tiles; the shared part (schedule.c) answers one question for it:
 * "have the values of this node in a tile". Statements go to one of three lists that the builder
 * splices where they belong: what depends on the query tile only, what depends on the key tile
 * only or on both. */
#ifndef ATTNC_PASSES_SCHEDULE_H
#define ATTNC_PASSES_SCHEDULE_H

#include "ir/tile.h"

/* Tile extents (tokens). The query tile is a multiple of every vector length. */
struct schedule_tuning {
    int query_tile, key_tile;      /* stream */
    int chunk;                     /* linear, scan; 0: what suits them */
    int feature_block;             /* linear, scan: features at a time */
};
extern const struct schedule_tuning schedule_default_tuning;

/* Builds the forward schedule the function's form calls for: linear where every sum over keys is
 * free of the query, else stream. f gains nodes but keeps its roots. NULL after a diagnostic. */
struct tile_prog *schedule_forward(struct arena *a, struct ir_func *f,
                                   const struct schedule_tuning *t, struct diag *d);

/* ---- shared by the builders ---- */

/* A list of statements under construction. */
struct stmt_list {
    struct tile_stmt *first, *last;
};

enum { SCHED_MAX_HELD = 2048, SCHED_MAX_TURNED = 64 };

/* Up to so many queries, vectors over queries would be mostly empty. */
enum { FEW_QUERIES = 8 };

struct sched {
    struct tile_prog *p;
    struct ir_func *f;
    struct diag *d;
    const struct schedule_tuning *t;
    struct stmt_list query, key;      /* where one-sided tiles are filled */
    struct stmt_list *mixed;          /* where tiles over i and j are filled */
    struct tile_bind held[SCHED_MAX_HELD]; /* nodes whose values a tile has */
    uint32_t nheld;
    struct tile_bind turned[SCHED_MAX_TURNED]; /* query vectors with queries across */
    uint32_t nturned;
    tx_ref at[4];                     /* b, h, first query row, first key row of the current tile */
    tx_ref step;                      /* queries from row to row of a query tile; 0 = none: 1 */
    tx_ref ni, nj;                    /* valid rows of the query and key tile */
    tx_ref max_ni, max_nj;            /* their maximal extents */
    tx_ref hk;                        /* key head of the current query head */
    tx_ref planes, plane;             /* where several heads are at work: what is kept per head has
                                       * so many planes, this one is the current head's; 0: one */
    tx_ref any_head;                  /* what the key side says for h then, on which it does not
                                       * depend; 0: at[1] */
    struct kept_keys *kept;           /* of schedule stream; NULL: key vectors are made per tile */
    int names;                        /* counter for buffer names */
    /* What tiles of pairs are made for: few queries, down with the keys across, or many, across; or
     * any number, across. */
    enum { QUERIES_ANY, QUERIES_FEW, QUERIES_MANY } queries;
    bool whole_gates;                 /* gates are those of all tokens, in shared buffers that
                                       * schedule_gates fills; else of the key tile, which ends with
                                       * the last query */
    struct sched_gate *gates;
    uint32_t ngates;
    size_t cap_gates;
};

/* The factors of every token that a decay multiplies: [tokens, axis], or a row of numbers. */
struct sched_gate {
    ir_ref node;
    uint8_t axis;
    uint32_t buf;
};

void stmt_add(struct stmt_list *l, struct tile_stmt *s);
void stmt_splice(struct stmt_list *l, struct stmt_list *tail);
/* A `for` over [lo, hi) by step whose body is *body; returns the statement. */
struct tile_stmt *stmt_for(struct sched *s, uint32_t var, tx_ref lo, tx_ref hi, tx_ref step,
                           struct stmt_list *body);

/* `if lo < hi` around *body; returns the statement. */
struct tile_stmt *stmt_if(struct sched *s, tx_ref lo, tx_ref hi, struct stmt_list *body);

/* `let var = x` around *body; *body becomes that statement. */
void stmt_let(struct sched *s, uint32_t var, tx_ref x, struct stmt_list *body);

tile_view view_all(struct sched *s, uint32_t buf); /* plane 0, maximal extents */
tile_view view_of(uint32_t buf, tx_ref row, tx_ref col, tx_ref rows, tx_ref cols, tx_ref zero);
/* Tokens [row, row+rows) of tensor argument arg for the current b and its head. */
tile_view view_arg(struct sched *s, uint32_t arg, tx_ref row, tx_ref rows);
/* Of k or v, the tile after the one at hand; no rows after the last. */
tile_view view_next_keys(struct sched *s, uint32_t arg);

/* A fresh local buffer rows x cols, named after what it is for. */
uint32_t local_buf(struct sched *s, const char *what, tx_ref rows, tx_ref cols);
/* The first rows x cols of a fresh one of max_rows x max_cols; kept: from key tile to key tile. */
tile_view local_tile(struct sched *s, const char *what, bool kept, tx_ref max_rows, tx_ref max_cols,
                     tx_ref rows, tx_ref cols);

/* A fresh tile of the pairs at hand: [keys, queries], or of few queries [queries, keys]. */
tile_view local_pairs(struct sched *s, const char *what);

/* A fresh place for tiles: nothing is held, both sides' lists are empty. */
void sched_start(struct sched *s, struct stmt_list *mixed);

/* Records that view holds node over (row_axis, col_axis). */
void hold(struct sched *s, ir_ref node, tile_view view, uint8_t row_axis, uint8_t col_axis);
/* The bind that holds node, or NULL. */
const struct tile_bind *held_find(const struct sched *s, ir_ref node);

/* Makes a map-like statement: node over rows (row_axis) and cols (col_axis) into v0, with every
 * node it needs held (tiles are filled as a side effect), and the binds attached. */
struct tile_stmt *map_new(struct sched *s, enum tile_op op, tile_view v0, ir_ref node,
                          uint8_t row_axis, uint8_t col_axis, tx_ref rows, tx_ref cols);

/* A tile [tokens, entries] of a one-sided vector node over axis a, filled on its side's list. */
tile_view vector_tile(struct sched *s, ir_ref node, uint8_t axis);
/* Fills dst, whose rows are tokens, on list l, with such a vector. */
void vector_into(struct sched *s, ir_ref node, uint8_t axis, tile_view dst, uint8_t tokens,
                 struct stmt_list *l);
/* ---- vectors of keys that are made once for all queries (stream_keys.c) ---- */
enum { MAX_KEPT = 16 };
struct kept_keys {
    struct tile_bind at[MAX_KEPT];    /* node, its buffer in shared memory, its axes */
    int n;
    tx_ref keep;                      /* 1 where they are made once, 0 where in every tile */
};
/* True if such a vector costs enough to be kept. */
bool kept_wants(const struct sched *s, ir_ref node);
/* Its tile, copied from what was kept or made anew, as the sizes have it; on s->key. */
tile_view kept_tile(struct sched *s, ir_ref node, uint8_t axis);
/* Appends the phase that makes them. Nothing is held afterwards. */
void kept_phase(struct sched *s, uint32_t var_b, struct stmt_list *phases);

/* Fills and holds a tile [keys, queries], of few queries [queries, keys], of a sum over a vector
 * axis that pairs both sides. (schedule_pairs.c) */
void schedule_pair_sum(struct sched *s, ir_ref n);
/* True if n pairs queries and keys by dot products alone, which few queries need. */
bool schedule_pairs_are_dots(struct sched *s, ir_ref n);
/* Fills and holds a tile [keys, queries] of a decay, or of a sum over a vector axis of a decay
 * times vectors of either side; false if n is no such sum. (schedule_decay.c) */
bool schedule_decay(struct sched *s, ir_ref n);
/* The tiles of the gates that whole_gates needs: a phase that goes before all others. */
void schedule_gates(struct sched *s, struct stmt_list *phases);
/* The operand of a dot on the query side as [axis, queries]. (schedule_pairs.c) */
tile_view schedule_transposed(struct sched *s, ir_ref node, uint8_t axis);
/* One row [1, tokens] of a one-sided scalar node. */
tile_view scalar_row(struct sched *s, ir_ref node);

/* The end of a query tile, appended to *out: the report of rows whose sum is 0 although they see a
 * key, the output into dst, and root lse into a row, where there is one. The sums the function
 * reads are held. (schedule_output.c) */
void schedule_output(struct sched *s, tile_view dst, tile_view lse, struct stmt_list *out);
/* The same, into the arguments at the current place. */
void schedule_results(struct sched *s, struct stmt_list *out);

/* Splits a product into factors (mul trees flattened); returns how many, at most max. */
int product_factors(const struct ir_func *f, ir_ref n, ir_ref *out, int max);
ir_ref product_of(struct ir_func *f, const ir_ref *factors, int n);
/* node with every occurrence of from replaced by to, except inside sums over keys. */
ir_ref node_subst(struct ir_func *f, ir_ref node, ir_ref from, ir_ref to);
/* True if n or a node below it passes the test. */
typedef bool node_test(const struct ir_func *f, ir_ref n);
bool node_any(const struct ir_func *f, ir_ref n, node_test *test);
/* True if n reads something per query head other than the inputs themselves. */
bool depends_on_head(const struct ir_func *f, ir_ref n);
/* All reductions over axis j that root reaches from the outside: not those inside another one.
 * Returns how many. */
int outer_key_sums(const struct ir_func *f, ir_ref root, ir_ref *out, int max);
/* Those that the results need: roots out and lse. */
int result_key_sums(const struct ir_func *f, ir_ref *out, int max);

struct tile_prog *schedule_stream(struct arena *a, struct ir_func *f,
                                  const struct schedule_tuning *t, struct diag *d);
struct tile_prog *schedule_linear(struct arena *a, struct ir_func *f,
                                  const struct schedule_tuning *t, struct diag *d);
struct tile_prog *schedule_scan(struct arena *a, struct ir_func *f,
                                const struct schedule_tuning *t, struct diag *d);
/* The entry `step` of a scan: the same, from a state that the caller keeps from call to call. */
struct tile_prog *schedule_step(struct arena *a, struct ir_func *f,
                                const struct schedule_tuning *t, struct diag *d);
/* A function that is a contraction: sums of products over indexes, and functions of them. */
struct tile_prog *schedule_contract(struct arena *a, struct ir_func *f,
                                    const struct schedule_tuning *t, struct diag *d);
/* How a program runs token by token: with a state of fixed size, over a cache of keys and values,
 * or not at all, with *why in words. */
enum schedule_stepping { STEP_NONE, STEP_STATE, STEP_CACHE };
enum schedule_stepping schedule_stepping(const struct ir_func *f, const char **why);

/* True if every sum over keys in f is free of the query, or a prefix sum of something that is. */
bool schedule_is_linear(const struct ir_func *f);
/* True if some sum over keys is a prefix sum: of the linear schedules, scan applies. */
bool schedule_has_scan(const struct ir_func *f);

#endif
