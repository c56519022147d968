/* Tiles over pairs of tokens, keys down and queries across: dot products, and sums of anything else
 * that pairs a query vector with a key vector. */
#include "passes/schedule.h"

tile_view
schedule_transposed(struct sched *s, ir_ref node, uint8_t axis)
{
    tx_ref n = tx_axis(s->p, axis);
    const struct ir_node *x = &s->f->nodes[node];
    for (uint32_t k = 0; k < s->nturned; k++)
        if (s->turned[k].node == node && s->turned[k].row_axis == axis)
            return s->turned[k].view;
    tile_view src = x->op == IR_input && !held_find(s, node) ? view_arg(s, 0, s->at[2], s->ni)
                                                             : vector_tile(s, node, axis);
    tile_view dst = local_tile(s, "t", true, n, s->max_ni, n, s->ni);
    if (s->nturned < SCHED_MAX_TURNED) /* else it is made again */
        s->turned[s->nturned++] = (struct tile_bind){node, dst, axis, AX_i};
    if (ir_side_of(s->f, node) == SIDE_NEUTRAL) { /* the same for every query */
        stmt_add(&s->query, map_new(s, TILE_map, dst, node, axis, AX_i, n, s->ni));
        return dst;
    }
    struct tile_stmt *t = tile_stmt_new(s->p, TILE_transpose);
    t->v[0] = dst;
    t->v[1] = src;
    stmt_add(&s->query, t);
    return dst;
}

/* If rsum[axis](n) is a dot of a query-side and a key-side vector, the two. */
static bool
dot_operands(struct sched *s, ir_ref n, ir_ref *qv, ir_ref *kv)
{
    ir_ref fac[16], q[16], k[16];
    int nf = product_factors(s->f, n, fac, 16), nq = 0, nk = 0;
    for (int i = 0; i < nf; i++) {
        enum ir_side side = ir_side_of(s->f, fac[i]);
        if (side == SIDE_MIXED)
            return false;
        if (side == SIDE_KEY)
            k[nk++] = fac[i];
        else
            q[nq++] = fac[i];
    }
    if (!nk || !nq)
        return false;
    *qv = product_of(s->f, q, nq);
    *kv = product_of(s->f, k, nk);
    return true;
}

/* Vector operands of a general sum over pairs: queries transposed, keys as they are. */
static void
hold_pair_vectors(struct sched *s, ir_ref n, uint8_t axis)
{
    enum ir_side side = ir_side_of(s->f, n);
    if (held_find(s, n) || !(ir_vector_axes(s->f, n) >> axis & 1))
        return;
    if (side == SIDE_QUERY) {
        hold(s, n, schedule_transposed(s, n, axis), axis, AX_i);
        return;
    }
    if (side == SIDE_KEY) {
        vector_tile(s, n, axis);
        return;
    }
    for (int k = 0; k < s->f->nodes[n].nargs; k++)
        hold_pair_vectors(s, s->f->nodes[n].arg[k], axis);
}

bool
schedule_pairs_are_dots(struct sched *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    ir_ref qv, kv;
    if (ir_side_of(s->f, n) != SIDE_MIXED || x.nargs == 0)
        return true;
    if (!(ir_ops[x.op].props & IRP_ELEM))
        return x.op == IR_rsum && dot_operands(s, x.arg[0], &qv, &kv);
    for (int k = 0; k < x.nargs; k++)
        if (!schedule_pairs_are_dots(s, x.arg[k]))
            return false;
    return true;
}

/* The same product of few queries, whose vectors lie along the axis. */
static struct tile_stmt *
dots_new(struct sched *s, tile_view dst, tile_view rows, tile_view columns)
{
    struct tile_stmt *d = tile_stmt_new(s->p, TILE_dots);
    d->v[0] = dst;
    d->v[1] = rows;
    d->v[2] = columns;
    return d;
}

/* dst = the products of key and query vectors; neutral or one-sided factors without the axis are
 * spread over it by the tiles. */
static void
add_dots(struct sched *s, tile_view dst, ir_ref qv, ir_ref kv, uint8_t axis)
{
    struct tile_prog *p = s->p;
    struct tile_stmt *m = tile_stmt_new(p, TILE_matmul);
    bool direct = s->f->nodes[kv].op == IR_input && s->f->acc == s->f->type;
    tile_view keys = direct ? view_arg(s, 1, s->at[3], s->nj) : vector_tile(s, kv, axis);
    if (s->queries == QUERIES_FEW) {
        stmt_add(s->mixed, dots_new(s, dst, vector_tile(s, qv, axis), keys));
        return;
    }
    m->v[0] = dst;
    m->num[1] = 1;
    m->v[2] = schedule_transposed(s, qv, axis);
    m->v[1] = keys;
    if (direct) /* else the statement that forms them does */
        m->v[3] = view_next_keys(s, 1);
    struct stmt_list many = {0}, few = {0};
    stmt_add(&many, m);
    if (s->queries == QUERIES_MANY) {
        stmt_splice(s->mixed, &many);
        return;
    }
    stmt_add(&few, dots_new(s, dst, keys, vector_tile(s, qv, axis)));
    stmt_add(s->mixed, stmt_if(s, s->ni, tx_num(p, FEW_QUERIES + 1), &few));
    stmt_add(s->mixed, stmt_if(s, tx_num(p, FEW_QUERIES), s->ni, &many));
}

void
schedule_pair_sum(struct sched *s, ir_ref n)
{
    const struct ir_node x = s->f->nodes[n];
    if (schedule_decay(s, n))
        return;
    if (x.op != IR_rsum)
        ICE("op %s over pairs of tokens is not scheduled", ir_ops[x.op].name);
    uint8_t axis = x.attr.axis;
    bool few = s->queries == QUERIES_FEW;
    tile_view dst = local_pairs(s, "s");
    ir_ref qv, kv;
    if (dot_operands(s, x.arg[0], &qv, &kv)) {
        add_dots(s, dst, qv, kv, axis);
    } else if (few) {
        ICE("few queries that are paired by more than dot products");
    } else {
        hold_pair_vectors(s, x.arg[0], axis);
        struct tile_stmt *m = map_new(s, TILE_mixsum, dst, x.arg[0], AX_j, AX_i, s->nj, s->ni);
        m->red_axis = axis;
        m->depth = tx_axis(s->p, axis);
        stmt_add(s->mixed, m);
    }
    hold(s, n, dst, few ? AX_i : AX_j, few ? AX_j : AX_i);
}

