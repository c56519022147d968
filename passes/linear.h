/* The linear schedule, shared by its files: features (linear_features.c), the key phases that sum
 * over keys (linear_key.c), the query phase that reads the sums (schedule_linear.c). */
#ifndef ATTNC_PASSES_LINEAR_H
#define ATTNC_PASSES_LINEAR_H

#include "passes/rewrite.h"
#include "passes/schedule.h"

/* expand diagnoses more than PASS_MAX_TERMS groups of features; what follows from them fits. */
enum { MAX_BLOCKS = PASS_MAX_TERMS + 8, MAX_TERMS = 2 * PASS_MAX_TERMS + 8 };

enum block_kind {
    BLOCK_ONE,     /* one number per token */
    BLOCK_VECTOR,  /* a vector expression as it stands */
    BLOCK_ROTATED, /* monomials of degree >= 2 of one vector */
    BLOCK_OUTER    /* products of the entries of two feature vectors */
};

/* One group of features: the key-side node and what is summed from it. */
struct block {
    ir_ref key;              /* B: [j] or [j, f] */
    uint8_t axis;            /* f, AX_UNIT for BLOCK_ONE */
    enum block_kind kind;
    ir_ref matrix, vector;   /* rsum[j](B*v), rsum[j](B); 0 when not needed */
    uint32_t state, z;       /* shared buffers */
    bool per_head;           /* one state per query head, not per key head */
    tx_ref count, parts;     /* features; tasks */
    ir_ref decay;            /* of a prefix sum: the factor per position, or 0 */
    bool local;              /* the state belongs to one task: no planes */
    tx_ref row_lo, row_hi;   /* BLOCK_ROTATED: the rows of its table this task owns; 0: all */
    tx_ref base;             /* the first feature its state holds; 0: feature 0 */
};

/* One term of num or den: query factor times what was summed over keys. */
struct term {
    ir_ref query;            /* A: [i] or [i, f]; 0: the number 1 */
    int block;               /* -1: A alone (the sum of a constant over keys is n times it) */
    bool values;
};

struct linear {
    struct sched s;
    struct block block[MAX_BLOCKS];
    int nblocks;
    struct term term[MAX_TERMS];
    int nterms;
    struct { int degree; uint8_t axis; uint32_t buf; } table[16];
    int ntables;
    ir_ref key_mask;         /* a mask that depends on the key alone, or 0 */
    tx_ref plane;            /* of the states of the current task, where they are kept; else 0 */
    tx_ref splits[2];        /* linear: tasks that share the keys of a block, of those with a state
                              * per key head and per query head: as many planes, the sum is in the
                              * first; 0: 1 */
    bool running;            /* sums are read while they grow: common factors go to the query */
    bool by_token;           /* decays are left to the statements that go token by token */
};

static const span_t nowhere = {0, 0};

/* linear_features.c */
/* The block of features behind rsum[j](B * v) or rsum[j](B); found or made. */
int linear_block_of(struct linear *l, ir_ref sum, uint8_t axis, bool *values);

void linear_add_terms(struct linear *l, ir_ref n);

/* The factors of a feature expression: token scalars and constants, and at most one structure. */
ir_ref linear_split_scale(struct linear *l, ir_ref n, uint8_t axis, ir_ref *scale);

enum block_kind linear_kind_of(struct linear *l, ir_ref n, uint8_t axis);

uint32_t linear_table_for(struct linear *l, uint8_t axis, int degree);

tx_ref linear_feature_count(struct linear *l, ir_ref n, uint8_t axis);

/* The vector twice in a row, for rotated reads; kept per chunk. */
tile_view linear_doubled_tile(struct linear *l, ir_ref n, uint8_t axis, bool key);

struct tile_stmt *linear_features_new(struct linear *l, const struct ir_node *mono, tile_view dst,
                                      tile_view doubled, tx_ref lo, tx_ref hi, bool weighted);

/* All features of n for the current chunk, unblocked (parts of outer products; plain vectors). */
tile_view linear_whole_tile(struct linear *l, ir_ref n, uint8_t axis, bool key);

void linear_add_table_phase(struct linear *l, struct stmt_list *phases);

/* Rows of the rotation table per task of the key phase. */
tx_ref linear_rows_per_part(struct linear *l, const struct ir_node *mono);

void linear_prepare_block(struct linear *l, struct block *b);
/* The shared buffers of all blocks. */
void linear_make_states(struct linear *l);

/* Columns [col, col+cols) of z, or rows of the state, of the current plane. */
tile_view linear_shared_view(struct linear *l, uint32_t buf, tx_ref plane, tx_ref row, tx_ref col,
                             tx_ref rows, tx_ref cols);

/* Rows [at, at+count) of the block's state, columns of its z: feature numbers. */
tile_view linear_state_view(struct linear *l, const struct block *b, tx_ref plane, tx_ref at,
                            tx_ref count);
tile_view linear_z_view(struct linear *l, const struct block *b, tx_ref plane, tx_ref at,
                        tx_ref count);
/* The plane of the block's sums that the current query head reads. */
tx_ref linear_query_plane(struct linear *l, const struct block *b);

/* The features of one block for one key chunk, and what multiplies their sums. */
struct key_features {
    tile_view tile;          /* [tokens, features]; BLOCK_ONE: [1, tokens] */
    tile_view weights;       /* of the monomials, or unset */
    ir_ref scale;            /* the same for all keys, or 0 */
    tx_ref lo, width;        /* first table row, entries per row (BLOCK_ROTATED) */
    tx_ref at, count;        /* first feature, how many */
};

/* Those of one part of a block; of a rotated one, of the rows of its table from lo on. */
struct key_features linear_key_features(struct linear *l, struct block *b, tx_ref lo,
                                        struct stmt_list *work);
/* The query features that term t multiplies the sums of its block by; of a rotated block, those of
 * the table rows from lo on that make up a part. BLOCK_ONE: [1, tokens]. */
struct query_features {
    tile_view tile;
    tx_ref at, count;        /* first feature, how many */
};
struct query_features linear_query_features(struct linear *l, const struct term *t, tx_ref lo,
                                            struct stmt_list *work);
/* V of the current chunk, with rows that a key mask hides zeroed (0 * NaN must not leak). */
tile_view linear_visible_values(struct linear *l);

/* F for the key chunk and what is summed from it, for one part of a block: `before` clears the
 * sums, `work` adds one chunk, `after` weighs the finished sums (nothing if l->running). */
void linear_key_part(struct linear *l, struct block *b, tx_ref plane, tx_ref lo,
                     struct stmt_list *work, struct stmt_list *before, struct stmt_list *after);

/* Adds to acc and den what the terms that share the query factor and block of term `first` read
 * from the sums; marks them done. The tiles it needs of the queries are on the query list.
 * (schedule_linear.c) */
void linear_read_terms(struct linear *l, int first, bool *done, tile_view acc, tile_view den,
                       struct stmt_list *out);

/* The sum over keys that the function's `any` reads becomes a block without terms: its number, or
 * -1 where there is none. */
int linear_add_plain_sums(struct linear *l);

/* ---- linear_decay.c: what a decay multiplies; nothing where the block has none ---- */

/* The features f of `node` for the chunk, times the decay up to the end of the chunk (keys) or from
 * the state (queries). The result may be another tile. */
tile_view linear_decay_features(struct linear *l, const struct block *b, ir_ref node, bool key,
                                tile_view f, struct stmt_list *work);
/* The whole state, before it takes in the chunk. */
void linear_decay_state(struct linear *l, const struct block *b, struct stmt_list *out);

/* All blocks of one kind of head (per key head, or per query head) in one phase. */
void linear_add_key_phase(struct linear *l, bool per_head, struct stmt_list *phases);

#endif
