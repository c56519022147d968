/* What the rows of a query tile are: queries of one head, or the heads of a group.
 *
 * In decoding there is one query per head. With grouped-query attention all heads of a group read
 * the same keys and values, so they are the rows of one tile: each key and value is loaded once for
 * the group, and vector lanes that one query would leave empty hold its neighbours. Whether it is
 * so is known when the kernel is called; the same code serves both, with rows that are `step`
 * queries and `fold` heads apart. Programs in which heads differ by more than their queries do not
 * fold. */
#include "passes/rows.h"

/* Values per head or per query position: a tile whose rows are heads has no place for them. */
static bool
rows_differ(const struct ir_func *f)
{
    struct arena *scratch = arena_new();
    const bool *live = ir_live(f, scratch);
    ir_axes per_row = (ir_axes)1 << AX_h | (ir_axes)1 << AX_i;
    bool differ = false;
    for (ir_ref n = 1; n < f->nnodes && !differ; n++) {
        const struct ir_node *x = &f->nodes[n];
        differ = live[n] && ((x->op == IR_pos && x->attr.axis == AX_h) ||
                             (x->op == IR_param && (x->axes & per_row)));
    }
    arena_free(scratch);
    return differ;
}

void
rows_open(struct rows *r, struct sched *s)
{
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    tx_ref nq = tx_dim(p, DIM_NQ), h = tx_dim(p, DIM_H), g = tx_dim(p, DIM_G);
    tx_ref spare = tx_op2(p, TX_SUB, h, g), single = tx_op2(p, TX_SUB, tx_num(p, 2), nq);
    r->fold = zero;
    if (!rows_differ(s->f)) /* n_q < 2 and G < H */
        r->fold = tx_op2(p, TX_MIN, tx_op2(p, TX_MAX, zero, tx_op2(p, TX_MIN, one, single)),
                         tx_op2(p, TX_MAX, zero, tx_op2(p, TX_MIN, one, spare)));
    int64_t never = 1;
    r->may_fold = !tx_is_num(p, r->fold, &never) || never;
    tx_ref size = tx_op2(p, TX_FDIV, h, tx_op2(p, TX_MAX, one, g));
    r->group = tx_op2(p, TX_ADD, one,
                      tx_op2(p, TX_MUL, r->fold, tx_op2(p, TX_SUB, size, one)));
    r->heads = tx_op2(p, TX_SUB, h, tx_op2(p, TX_MUL, r->fold, spare));
    r->count = tx_op2(p, TX_MUL, nq, r->group);
    r->tiles = tx_op2(p, TX_CDIV, r->count, s->max_ni);
    if (r->may_fold) {
        r->var_fold = tile_var_add(p, "fold");
        r->var_group = tile_var_add(p, "group");
    }
}

void
rows_select(const struct rows *r, struct sched *s, tx_ref h, tx_ref tile)
{
    struct tile_prog *p = s->p;
    tx_ref row = tx_op2(p, TX_MUL, tile, s->max_ni), count = tx_dim(p, DIM_NQ);
    s->at[1] = h;
    s->at[2] = row;
    if (r->may_fold) {
        tx_ref fold = tx_var(p, r->var_fold), group = tx_var(p, r->var_group);
        s->step = tx_op2(p, TX_SUB, tx_num(p, 1), fold);
        s->at[1] = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, h, group), tx_op2(p, TX_MUL, fold, row));
        s->at[2] = tx_op2(p, TX_MUL, s->step, row);
        count = tx_op2(p, TX_MUL, count, group);
    }
    s->ni = tx_op2(p, TX_MIN, s->max_ni, tx_op2(p, TX_SUB, count, row));
    s->hk = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
}

/* for row of the tile: one of its two copies, the tensor's or the local tile's, from the other. */
static struct tile_stmt *
copy_rows(const struct rows *r, struct sched *s, uint32_t arg, tile_view local, bool to_local)
{
    struct tile_prog *p = s->p;
    struct stmt_list body = {0};
    uint32_t var = tile_var_add(p, "row");
    tx_ref row = tx_var(p, var), one = tx_num(p, 1);
    tx_ref query = tx_op2(p, TX_ADD, s->at[2], tx_op2(p, TX_MUL, s->step, row));
    tile_view theirs = view_arg(s, arg, query, one), ours = local;
    theirs.h = tx_op2(p, TX_ADD, s->at[1], tx_op2(p, TX_MUL, tx_var(p, r->var_fold), row));
    ours.row = row;
    ours.rows = one;
    struct tile_stmt *c = tile_stmt_new(p, TILE_copy);
    c->v[0] = to_local ? ours : theirs;
    c->v[1] = to_local ? theirs : ours;
    stmt_add(&body, c);
    return stmt_for(s, var, tx_num(p, 0), s->ni, one, &body);
}

static tile_view
local_rows(struct sched *s, const char *what, tx_ref cols)
{
    tx_ref zero = tx_num(s->p, 0);
    return view_of(local_buf(s, what, s->max_ni, cols), zero, zero, s->ni, cols, zero);
}

void
rows_load(const struct rows *r, struct sched *s)
{
    if (!r->may_fold)
        return;
    tile_view q = local_rows(s, "q", tx_dim(s->p, DIM_D));
    stmt_add(&s->query, copy_rows(r, s, 0, q, true));
    hold(s, ir_input(s->f, 0, (span_t){0, 0}), q, AX_i, AX_d);
}

void
rows_output(const struct rows *r, struct sched *s, struct stmt_list *out)
{
    if (!r->may_fold) {
        schedule_output(s, view_arg(s, 3, s->at[2], s->ni), out);
        return;
    }
    tile_view o = local_rows(s, "o", tx_dim(s->p, DIM_M));
    schedule_output(s, o, out);
    stmt_add(out, copy_rows(r, s, 3, o, false));
}

void
rows_close(const struct rows *r, struct sched *s, struct stmt_list *body)
{
    if (!r->may_fold)
        return;
    stmt_let(s, r->var_group, r->group, body);
    stmt_let(s, r->var_fold, r->fold, body);
}
