/* The end of a query tile: what was summed over the keys becomes the results of the function. */
#include "passes/schedule.h"

/* The report of rows whose sum is 0 although they see a key. */
static void
report_zero_rows(struct sched *s, struct stmt_list *out)
{
    struct ir_func *f = s->f;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    const struct tile_bind *den = f->root[ROOT_DEN] ? held_find(s, f->root[ROOT_DEN]) : NULL;
    if (!den || !f->normalize_is_sum)
        return;
    struct tile_stmt *z = tile_stmt_new(p, TILE_checkzero);
    z->v[0] = den->view;
    if (f->root[ROOT_MASK]) {
        tile_view seen = view_of(local_buf(s, "any", one, s->max_ni), zero, zero, one, s->ni,
                                 zero);
        stmt_add(out, map_new(s, TILE_map, seen, f->root[ROOT_ANY], AX_UNIT, AX_i, one, s->ni));
        z->v[1] = seen;
    }
    for (int k = 0; k < 4; k++)
        z->at[k] = s->at[k];
    stmt_add(out, z);
}

void
schedule_output(struct sched *s, tile_view dst, tile_view lse, struct stmt_list *out)
{
    const struct ir_func *f = s->f;
    struct tile_prog *p = s->p;
    struct stmt_list own = {0};
    s->mixed = &own;
    report_zero_rows(s, &own);
    stmt_add(&own, map_new(s, TILE_map, dst, f->root[ROOT_OUT], AX_i, AX_m, s->ni,
                           tx_dim(p, DIM_M)));
    if (lse.buf)
        stmt_add(&own, map_new(s, TILE_map, lse, f->root[ROOT_LSE], AX_UNIT, AX_i, tx_num(p, 1),
                               s->ni));
    stmt_splice(out, &s->query);
    stmt_splice(out, &own);
}

void
schedule_results(struct sched *s, struct stmt_list *out)
{
    uint32_t lse = tile_lse_arg(s->f);
    schedule_output(s, view_arg(s, 3, s->at[2], s->ni),
                    lse ? view_arg(s, lse, s->at[2], s->ni) : (tile_view){0}, out);
}
