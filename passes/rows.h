/* Which heads a task of schedule `stream` takes, and what the rows of its query tiles are
 * (passes/stream_rows.c). */
#ifndef ATTNC_PASSES_ROWS_H
#define ATTNC_PASSES_ROWS_H

#include "passes/schedule.h"

/* The sizes are functions of the dims alone. */
struct rows {
    bool may_fold;           /* false: the rows of a tile are always queries of one head */
    bool may_share;          /* false: a task has one head */
    tx_ref fold;             /* 1 where the rows are heads, else 0 */
    tx_ref group;            /* query heads that are rows of one tile */
    tx_ref heads;            /* per batch; those that are rows of one tile count as one */
    tx_ref width, blocks;    /* of these, per key head; tasks per key head */
    tx_ref tasks;            /* per batch and query tile */
    tx_ref count, tiles;     /* rows of a head, and query tiles */
    uint32_t var_task;       /* number of the task; of the head without sharing */
    uint32_t var_head;       /* the head at hand */
    uint32_t var_fold, var_group;
    uint32_t var_key_head, var_first, var_end; /* may_share: what the task has */
};

/* Decides from function and sizes. s->max_ni is set. */
void rows_open(struct rows *r, struct sched *s);

/* Sets s to query tile number `tile` of one head: origin, step and valid rows. */
void rows_select(const struct rows *r, struct sched *s, tx_ref head, tx_ref tile);

/* The same for a task: the head at hand, in rows_each, or the first outside of it. */
void rows_select_task(const struct rows *r, struct sched *s, tx_ref tile);

/* `for` each head of the task around *body, unless there is one. */
void rows_each(const struct rows *r, struct sched *s, struct stmt_list *body);

/* The queries of the tile in a local one, held: what depends on q reads that. First on s->query. */
void rows_load(const struct rows *r, struct sched *s);

/* The end of a tile: schedule_output, to the places its rows belong. */
void rows_output(const struct rows *r, struct sched *s, struct stmt_list *out);

/* Put the variables that the others use around a body, of one head or of a task. */
void rows_close(const struct rows *r, struct sched *s, struct stmt_list *body);
void rows_close_task(const struct rows *r, struct sched *s, struct stmt_list *body);

#endif
