/* Which heads a task takes, and what the rows of its query tiles are.
 *
 * With grouped-query attention the heads of a group read the same keys and values. A task takes up
 * to SHARED_HEADS of them and goes with all of them through one key tile before it goes on to the
 * next, so a tile and what is computed from keys alone are loaded and made once. In decoding, with
 * one query per head, the heads of a group are the rows of one query tile, which also fills the
 * vector lanes that one query would leave empty. Whether it is so is known when the kernel is
 * called; the same code serves both, with rows that are `step` queries and `fold` heads apart.
 *
 * Not every program can: tiles whose rows are heads have no place for values per head or per query
 * position, and what several heads share must not depend on the head. */
#include "passes/rows.h"

enum { SHARED_HEADS = 4 };

/* Values per head or per query position, or of keys per head; or a mask per head. */
static void
judge(const struct ir_func *f, bool *rows_differ, bool *keys_differ)
{
    struct arena *scratch = arena_new();
    const bool *live = ir_live(f, scratch);
    ir_axes per_row = (ir_axes)1 << AX_h | (ir_axes)1 << AX_i;
    *rows_differ = false;
    *keys_differ = f->root[ROOT_MASK] && depends_on_head(f, f->root[ROOT_MASK]);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        if (!live[n])
            continue;
        if ((x->op == IR_pos && x->attr.axis == AX_h) ||
            (x->op == IR_param && (x->axes & per_row)))
            *rows_differ = true;
        if (ir_side_of(f, n) == SIDE_KEY && depends_on_head(f, n))
            *keys_differ = true;
    }
    arena_free(scratch);
}

/* 1 where n_q < 2 and G < H, else 0. */
static tx_ref
folds(struct tile_prog *p)
{
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    tx_ref spare = tx_op2(p, TX_SUB, tx_dim(p, DIM_H), tx_dim(p, DIM_G));
    tx_ref single = tx_op2(p, TX_SUB, tx_num(p, 2), tx_dim(p, DIM_NQ));
    return tx_op2(p, TX_MUL, tx_op2(p, TX_MAX, zero, tx_op2(p, TX_MIN, one, single)),
                  tx_op2(p, TX_MAX, zero, tx_op2(p, TX_MIN, one, spare)));
}

void
rows_open(struct rows *r, struct sched *s)
{
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1), h = tx_dim(p, DIM_H), g = tx_dim(p, DIM_G);
    tx_ref size = tx_op2(p, TX_FDIV, h, tx_op2(p, TX_MAX, one, g));
    tx_ref others = tx_op2(p, TX_SUB, size, one);
    bool rows_differ, keys_differ;
    int64_t v = 1;
    judge(s->f, &rows_differ, &keys_differ);
    r->fold = rows_differ ? tx_num(p, 0) : folds(p);
    r->may_fold = !tx_is_num(p, r->fold, &v) || v;
    r->may_share = !keys_differ && !(tx_is_num(p, size, &v) && v < 2);
    r->group = tx_op2(p, TX_ADD, one, tx_op2(p, TX_MUL, r->fold, others));
    r->heads = tx_op2(p, TX_SUB, h, tx_op2(p, TX_MUL, r->fold, tx_op2(p, TX_SUB, h, g)));
    r->width = tx_op2(p, TX_SUB, size, tx_op2(p, TX_MUL, r->fold, others));
    r->blocks = tx_op2(p, TX_CDIV, r->width, tx_num(p, SHARED_HEADS));
    r->count = tx_op2(p, TX_MUL, tx_dim(p, DIM_NQ), r->group);
    r->tiles = tx_op2(p, TX_CDIV, r->count, s->max_ni);
    r->tasks = r->may_share ? tx_op2(p, TX_MUL, g, r->blocks) : r->heads;
    r->var_fold = r->may_fold ? tile_var_add(p, "fold") : 0;
    r->var_group = r->may_fold ? tile_var_add(p, "group") : 0;
    r->var_task = tile_var_add(p, "h");
    r->var_head = r->may_share ? tile_var_add(p, "head") : r->var_task;
    r->var_key_head = r->may_share ? tile_var_add(p, "g") : 0;
    r->var_first = r->may_share ? tile_var_add(p, "first") : 0;
    r->var_end = r->may_share ? tile_var_add(p, "end") : 0;
}

void
rows_select(const struct rows *r, struct sched *s, tx_ref head, tx_ref tile)
{
    struct tile_prog *p = s->p;
    tx_ref row = tx_op2(p, TX_MUL, tile, s->max_ni), count = tx_dim(p, DIM_NQ);
    s->at[1] = head;
    s->at[2] = row;
    if (r->may_fold) {
        tx_ref fold = tx_var(p, r->var_fold), group = tx_var(p, r->var_group);
        s->step = tx_op2(p, TX_SUB, tx_num(p, 1), fold);
        s->at[1] = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, head, group), tx_op2(p, TX_MUL, fold, row));
        s->at[2] = tx_op2(p, TX_MUL, s->step, row);
        count = tx_op2(p, TX_MUL, count, group);
    }
    s->ni = tx_op2(p, TX_MIN, s->max_ni, tx_op2(p, TX_SUB, count, row));
    s->hk = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    if (s->planes) {
        s->plane = tx_num(p, 0);
        s->any_head = 0;
    }
}

void
rows_select_task(const struct rows *r, struct sched *s, tx_ref tile)
{
    struct tile_prog *p = s->p;
    rows_select(r, s, tx_var(p, r->var_head), tile);
    if (!r->may_share)
        return;
    s->planes = tx_num(p, SHARED_HEADS); /* a number: offsets in scratch memory stay constants */
    s->plane = tx_op2(p, TX_SUB, tx_var(p, r->var_head), tx_var(p, r->var_first));
    s->any_head = tx_var(p, r->var_first);
    if (r->may_fold)
        s->any_head = tx_op2(p, TX_MUL, s->any_head, tx_var(p, r->var_group));
    s->hk = tx_var(p, r->var_key_head);
}

void
rows_each(const struct rows *r, struct sched *s, struct stmt_list *body)
{
    struct tile_prog *p = s->p;
    if (!r->may_share || !body->first)
        return;
    struct tile_stmt *each = stmt_for(s, r->var_head, tx_var(p, r->var_first),
                                      tx_var(p, r->var_end), tx_num(p, 1), body);
    *body = (struct stmt_list){each, each};
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
    bool across = arg > 3; /* queries are the columns of both */
    theirs.h = tx_op2(p, TX_ADD, s->at[1], tx_op2(p, TX_MUL, tx_var(p, r->var_fold), row));
    *(across ? &ours.col : &ours.row) = row;
    *(across ? &ours.cols : &ours.rows) = one;
    struct tile_stmt *c = tile_stmt_new(p, TILE_copy);
    c->v[0] = to_local ? ours : theirs;
    c->v[1] = to_local ? theirs : ours;
    stmt_add(&body, c);
    return stmt_for(s, var, tx_num(p, 0), s->ni, one, &body);
}

void
rows_load(const struct rows *r, struct sched *s)
{
    tx_ref d = tx_dim(s->p, DIM_D);
    if (!r->may_fold)
        return;
    tile_view q = local_tile(s, "q", true, s->max_ni, d, s->ni, d);
    stmt_add(&s->query, copy_rows(r, s, 0, q, true));
    hold(s, ir_input(s->f, 0, (span_t){0, 0}), q, AX_i, AX_d);
}

void
rows_output(const struct rows *r, struct sched *s, struct stmt_list *out)
{
    tx_ref m = tx_dim(s->p, DIM_M), one = tx_num(s->p, 1);
    uint32_t arg = tile_lse_arg(s->f);
    if (!r->may_fold) {
        schedule_results(s, out);
        return;
    }
    tile_view o = local_tile(s, "o", false, s->max_ni, m, s->ni, m), lse = {0};
    if (arg)
        lse = local_tile(s, "lse", false, one, s->max_ni, one, s->ni);
    schedule_output(s, o, lse, out);
    stmt_add(out, copy_rows(r, s, 3, o, false));
    if (arg)
        stmt_add(out, copy_rows(r, s, arg, lse, false));
}

void
rows_close(const struct rows *r, struct sched *s, struct stmt_list *body)
{
    if (!r->may_fold)
        return;
    stmt_let(s, r->var_group, r->group, body);
    stmt_let(s, r->var_fold, r->fold, body);
}

void
rows_close_task(const struct rows *r, struct sched *s, struct stmt_list *body)
{
    struct tile_prog *p = s->p;
    if (r->may_share) {
        tx_ref most = tx_num(p, SHARED_HEADS), task = tx_var(p, r->var_task);
        tx_ref g = tx_var(p, r->var_key_head), base = tx_op2(p, TX_MUL, g, r->width);
        tx_ref next = tx_op2(p, TX_ADD, tx_var(p, r->var_first), most);
        stmt_let(s, r->var_end, tx_op2(p, TX_MIN, next, tx_op2(p, TX_ADD, base, r->width)), body);
        tx_ref block = tx_op2(p, TX_SUB, task, tx_op2(p, TX_MUL, g, r->blocks));
        stmt_let(s, r->var_first, tx_op2(p, TX_ADD, base, tx_op2(p, TX_MUL, most, block)), body);
        stmt_let(s, r->var_key_head, tx_op2(p, TX_FDIV, task, r->blocks), body);
    }
    rows_close(r, s, body);
}
