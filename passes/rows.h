/* The rows of a query tile: queries of one head, or the heads of a group (passes/stream_rows.c). */
#ifndef ATTNC_PASSES_ROWS_H
#define ATTNC_PASSES_ROWS_H

#include "passes/schedule.h"

struct rows {
    bool may_fold;           /* false: always queries of one head */
    tx_ref fold;             /* 1 where the rows are heads, else 0: a function of the sizes */
    tx_ref group;            /* heads of a task: all of a group, or 1 */
    tx_ref heads, count;     /* tasks per batch and tile number; rows of each in all tiles */
    tx_ref tiles;
    uint32_t var_fold, var_group;
};

/* Decides from function and sizes. s->max_ni is set. */
void rows_open(struct rows *r, struct sched *s);

/* Sets s to tile number `tile` of task head `h`: origin, step and valid rows. */
void rows_select(const struct rows *r, struct sched *s, tx_ref h, tx_ref tile);

/* The queries of the tile in a local one, held: what depends on q reads that. First on s->query. */
void rows_load(const struct rows *r, struct sched *s);

/* The end of a tile: schedule_output, to the places its rows belong. */
void rows_output(const struct rows *r, struct sched *s, struct stmt_list *out);

/* Puts the variables that the others use around a task. */
void rows_close(const struct rows *r, struct sched *s, struct stmt_list *body);

#endif
