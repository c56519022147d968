/* Inside schedule stream: what the loops (schedule_stream.c) and the statements for one tile of
 * keys (stream_tile.c) both know. */
#ifndef ATTNC_PASSES_STREAM_H
#define ATTNC_PASSES_STREAM_H

#include "passes/rows.h"

enum { MAX_SUMS = 16 };

/* One sum over keys: weights w, times v if `values`; or a maximum. */
struct key_sum {
    ir_ref node, weight;
    bool values, maximum, count;
    uint32_t buf;          /* acc [queries, M] or a row [1, queries] */
    uint32_t part;         /* the same of each split: shared, a plane each */
};

struct stream {
    struct sched s;
    ir_ref mask, one;
    bool dots;             /* queries and keys meet in dot products alone */
    struct key_sum sum[MAX_SUMS];
    int nsums;
    uint32_t var_b, var_i;
    tx_ref head;           /* the one at hand */
    uint32_t var_splits, var_split;
    struct rows rows;
    tx_ref splits;         /* of the keys, 1 where there are tasks enough */
    struct stmt_list init;
    tile_view values;      /* a copy of those of the tile at hand, if there is one */
    struct kept_keys kept;
};

struct tile_stmt *stream_stmt(struct stream *st, enum tile_op op, tile_view a, tile_view b);
/* The sum of the query tile at hand. */
tile_view stream_sum(struct stream *st, const struct key_sum *ks);
/* The node as it reads where every key of the tile is visible. */
ir_ref stream_visible(struct stream *st, ir_ref n, bool full);
/* The statements for one key tile, on s->mixed; full: all of it is visible. */
void stream_tile(struct stream *st, bool full);
/* The same of a tile all of which is visible: forms for few queries and for many. */
void stream_full_tile(struct stream *st, struct stmt_list *out);
/* Forgets tiles of pairs, and those of the key side unless keep_keys: they belong to one body. */
void stream_forget(struct sched *s, bool keep_keys);

#endif
