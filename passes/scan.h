/* The scan schedule, shared by its files: states and their groups (schedule_scan.c), sums read
 * token by token (scan_walk.c) or chunk by chunk with the pairs inside (scan_pairs.c). */
#ifndef ATTNC_PASSES_SCAN_H
#define ATTNC_PASSES_SCAN_H

#include "passes/linear.h"

struct scan {
    struct linear l;
    bool kept;     /* the states are the caller's, from call to call */
    bool per_head; /* one state per query head */
    bool walks;    /* token by token, else chunk by chunk */
    uint32_t var_b, var_h, var_g;
    tx_ref heads, group;     /* states per batch; query heads that share one */
    tx_ref groups;           /* tasks per state */
    tx_ref first;            /* position of query row 0: n - n_q */
    uint32_t num, den, seen; /* partial sums of each (b, query head, group) */
    int counter;             /* the block that counts visible keys */
    uint32_t tally;          /* walks: how many those were so far */
    bool asks;               /* walks: some scan of the chunk is to ask for rows still */
    bool summed[MAX_BLOCKS]; /* walks: the sum of the block's features is part of the divisor */
};

/* ---- schedule_scan.c ---- */
tx_ref scan_add(struct scan *c, tx_ref a, tx_ref b);
tx_ref scan_mul(struct scan *c, tx_ref a, tx_ref b);
/* A statement with two views. */
struct tile_stmt *scan_stmt(struct scan *c, enum tile_op op, tile_view a, tile_view b);
/* Table rows and parts of a block with rotated features; false for other kinds. */
bool scan_rotated(struct scan *c, const struct block *b, tx_ref *rows, tx_ref *step, tx_ref *width);
/* The current queries' rows of a partial sum of one group, as a matrix or as a row. */
tile_view scan_partial(struct scan *c, uint32_t buf, tx_ref group);
/* Positions of the chunk whose first query row is `row` (negative before the first query). */
void scan_set_chunk(struct scan *c, tx_ref row);
/* Puts what belongs to group 0 alone under a condition. */
void scan_for_group(struct scan *c, const struct block *b, struct stmt_list *work,
                    struct stmt_list *out);
/* The first phase: every state along all chunks, `chunk` being what is done with one. */
void scan_state_phase(struct scan *c, void (*chunk)(struct scan *c, struct stmt_list *out),
                      struct stmt_list *phases);
/* dst = sum over the groups of their partial sums. */
void scan_gather(struct scan *c, uint32_t buf, tile_view dst, struct stmt_list *out);
/* The output of the current queries from their sums. */
void scan_output(struct scan *c, tile_view acc, tile_view den, tile_view count,
                 struct stmt_list *out);
/* A phase over the query chunks of every query head, whose body is `body`. */
void scan_query_phase(struct scan *c, tx_ref tasks,
                      void (*body)(struct scan *c, tile_view acc, tile_view den, tile_view count,
                                   struct stmt_list *out),
                      struct stmt_list *phases);

/* ---- scan_walk.c, scan_pairs.c ---- */
/* Whether the sums can be read token by token; if they must, terms may get blocks of their own. */
bool scan_can_walk(struct scan *c);
void scan_walk_phases(struct scan *c, struct stmt_list *phases);
void scan_pair_phases(struct scan *c, struct stmt_list *phases);
/* acc += P' V, den and count += the row sums, for the chunk's own keys; inf and NaN reach only the
 * rows that see them. Statements go to the lists of the schedule. */
void scan_add_pairs(struct scan *c, tile_view acc, tile_view den, tile_view count);

#endif
