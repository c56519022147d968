/* The statements of schedule stream for one tile of keys: scores, weights, sums. Tiles of pairs lie
 * with the queries across, so that lanes are queries; those of few queries, of which whole vectors
 * would be mostly empty, with the keys across. */
#include "passes/stream.h"

static const span_t nowhere = {0, 0};

struct tile_stmt *
stream_stmt(struct stream *st, enum tile_op op, tile_view a, tile_view b)
{
    struct tile_stmt *s = tile_stmt_new(st->s.p, op);
    s->v[0] = a;
    s->v[1] = b;
    return s;
}

tile_view
stream_sum(struct stream *st, const struct key_sum *ks)
{
    struct sched *s = &st->s;
    tx_ref zero = tx_num(s->p, 0), one = tx_num(s->p, 1);
    tile_view v = ks->values ? view_of(ks->buf, zero, zero, s->ni, tx_dim(s->p, DIM_M), zero)
                             : view_of(ks->buf, zero, zero, one, s->ni, zero);
    v.b = s->planes ? s->plane : zero;
    return v;
}

ir_ref
stream_visible(struct stream *st, ir_ref n, bool full)
{
    return full && st->mask ? node_subst(st->s.f, n, st->mask, st->one) : n;
}

/* max = max(max, column maxima); what was accumulated relative to the old one is rescaled. */
static void
emit_running_max(struct stream *st, const struct key_sum *ks, bool full)
{
    struct sched *s = &st->s;
    tx_ref zero = tx_num(s->p, 0), one = tx_num(s->p, 1);
    ir_ref score = stream_visible(st, ks->weight, full);
    tile_view t = view_of(local_buf(s, "tmax", one, s->max_ni), zero, zero, one, s->ni, zero);
    tile_view alpha = view_of(local_buf(s, "scale", one, s->max_ni), zero, zero, one, s->ni, zero);
    struct tile_stmt *m = s->queries == QUERIES_FEW
                              ? map_new(s, TILE_rowmax, t, score, AX_i, AX_j, s->ni, s->nj)
                              : map_new(s, TILE_colmax, t, score, AX_j, AX_i, s->nj, s->ni);
    stmt_add(s->mixed, m);
    struct tile_stmt *r = stream_stmt(st, TILE_running, stream_sum(st, ks), t);
    r->v[2] = alpha;
    stmt_add(s->mixed, r);
    for (int k = 0; k < st->nsums; k++) {
        const struct key_sum *other = &st->sum[k];
        if (other->maximum || other->count)
            continue;
        enum tile_op op = other->values ? TILE_rowscale : TILE_colscale;
        stmt_add(s->mixed, stream_stmt(st, op, stream_sum(st, other), alpha));
    }
    hold(s, ks->node, stream_sum(st, ks), AX_UNIT, AX_i);
}

/* The weights w of few queries: rows are summed from the tile, if there is one. */
static void
emit_few_weights(struct sched *s, ir_ref w, tile_view tile, tile_view row)
{
    if (tile.buf)
        stmt_add(s->mixed, map_new(s, TILE_map, tile, w, AX_i, AX_j, s->ni, s->nj));
    if (!row.buf)
        return;
    if (tile.buf)
        hold(s, w, tile, AX_i, AX_j);
    stmt_add(s->mixed, map_new(s, TILE_rowsum, row, w, AX_i, AX_j, s->ni, s->nj));
    s->nheld -= tile.buf != 0; /* many queries have another tile of it */
}

/* The weights of one sum as a tile, with the row sum if another sum has the same weights. */
static tile_view
emit_weights(struct stream *st, const struct key_sum *ks, bool full)
{
    struct sched *s = &st->s;
    ir_ref w = stream_visible(st, ks->weight, full);
    tile_view tile = {0}, row = {0};
    if (ks->values)
        tile = local_pairs(s, "p");
    for (int k = 0; k < st->nsums; k++)
        if (!st->sum[k].values && !st->sum[k].maximum && st->sum[k].weight == ks->weight)
            row = stream_sum(st, &st->sum[k]);
    if (s->queries == QUERIES_FEW) {
        emit_few_weights(s, w, tile, row);
        return tile;
    }
    struct tile_stmt *m = map_new(s, row.buf ? TILE_mapsum : TILE_map, tile, w, AX_j, AX_i, s->nj,
                                  s->ni);
    m->v[1] = row;
    stmt_add(s->mixed, m);
    return tile;
}

static struct tile_stmt *
product_new(struct stream *st, const struct key_sum *ks, tile_view p, tile_view v)
{
    struct tile_stmt *m = stream_stmt(st, TILE_matmul, stream_sum(st, ks), p);
    m->v[2] = v;
    if (st->s.queries != QUERIES_FEW) {
        m->num[0] = 1;
        m->v[3] = view_next_keys(&st->s, 2);
    }
    return m;
}

/* acc += P' V. V is read where it lies if its rows are whole vectors, else from a copy, which is
 * made once per tile of keys: where that is known at run time only, both are there. */
static void
emit_values(struct stream *st, const struct key_sum *ks, tile_view p)
{
    struct sched *s = &st->s;
    struct tile_prog *pr = s->p;
    tile_view v = view_arg(s, 2, s->at[3], s->nj);
    tx_ref zero = tx_num(pr, 0), lanes = tx_num(pr, TILE_LANES), one = tx_num(pr, 1);
    tx_ref whole = tx_op2(pr, TX_MUL, tx_op2(pr, TX_FDIV, v.cols, lanes), lanes);
    tx_ref rest = tx_op2(pr, TX_SUB, v.cols, whole);
    int64_t known = 0;
    bool direct = s->f->acc == s->f->type;
    if (direct && tx_is_num(pr, rest, &known) && known == 0) {
        stmt_add(s->mixed, product_new(st, ks, p, v));
        return;
    }
    bool both = direct && known == 0;
    struct stmt_list copy = {0}, padded = {0}, where_it_lies = {0};
    if (!st->values.buf) {
        st->values = view_of(local_buf(s, "v", s->max_nj, v.cols), zero, zero, s->nj, v.cols, zero);
        stmt_add(&copy, stream_stmt(st, TILE_copy, st->values, v));
        if (both)
            stmt_add(&s->key, stmt_if(s, zero, rest, &copy));
        else
            stmt_splice(&s->key, &copy);
    }
    stmt_add(&padded, product_new(st, ks, p, st->values));
    stmt_add(&where_it_lies, product_new(st, ks, p, v));
    if (!both) {
        stmt_splice(s->mixed, &padded);
        return;
    }
    stmt_add(s->mixed, stmt_if(s, zero, rest, &padded));
    stmt_add(s->mixed, stmt_if(s, rest, one, &where_it_lies));
}

/* The same in a partly visible tile, where a key may hold inf or NaN that some rows must not see.
 */
static void
emit_seen_values(struct stream *st, const struct key_sum *ks, tile_view p, tile_view seen)
{
    struct sched *s = &st->s;
    tx_ref zero = tx_num(s->p, 0), cols = tx_dim(s->p, DIM_M);
    tile_view v = view_arg(s, 2, s->at[3], s->nj);
    tile_view clean = view_of(local_buf(s, "v", s->max_nj, cols), zero, zero, s->nj, cols, zero);
    stmt_add(s->mixed, stream_stmt(st, TILE_clean, clean, v));
    stmt_add(s->mixed, product_new(st, ks, p, clean));
    struct tile_stmt *x = stream_stmt(st, TILE_patch, stream_sum(st, ks), p);
    x->v[2] = v;
    x->v[3] = seen;
    stmt_add(s->mixed, x);
}

/* 1 where visible, with the number of visible keys per query counted if the program asks. */
static tile_view
emit_seen(struct stream *st)
{
    struct sched *s = &st->s;
    struct ir_func *f = s->f;
    ir_ref w = ir_select(f, st->mask, st->one, ir_const_i(f, 0, 1, nowhere), nowhere);
    tile_view tile = local_pairs(s, "m");
    tile_view row = {0};
    for (int k = 0; k < st->nsums; k++)
        if (st->sum[k].count)
            row = stream_sum(st, &st->sum[k]);
    struct tile_stmt *m = map_new(s, row.buf ? TILE_mapsum : TILE_map, tile, w, AX_j, AX_i, s->nj,
                                  s->ni);
    m->v[1] = row;
    stmt_add(s->mixed, m);
    return tile;
}

void
stream_tile(struct stream *st, bool full)
{
    struct sched *s = &st->s;
    tile_view seen = {0};
    if (st->mask && !full)
        seen = emit_seen(st);
    for (int k = 0; k < st->nsums; k++) {
        const struct key_sum *ks = &st->sum[k];
        if (ks->count && full) {
            struct tile_stmt *one = stream_stmt(st, TILE_ones, stream_sum(st, ks), (tile_view){0});
            stmt_add(s->mixed, one);
        } else if (ks->maximum) {
            emit_running_max(st, ks, full);
        } else if (ks->values) {
            tile_view p = emit_weights(st, ks, full);
            if (full)
                emit_values(st, ks, p);
            else
                emit_seen_values(st, ks, p, seen);
        } else if (!ks->count) {
            bool with_values = false;
            for (int j = 0; j < st->nsums; j++)
                with_values = with_values || (st->sum[j].values && st->sum[j].weight == ks->weight);
            if (!with_values)
                emit_weights(st, ks, full);
        }
    }
}

void
stream_forget(struct sched *s, bool keep_keys)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->nheld; k++) {
        enum ir_side side = ir_side_of(s->f, s->held[k].node);
        bool keep = keep_keys ? side != SIDE_MIXED : !(side & SIDE_KEY);
        if (keep && s->f->nodes[s->held[k].node].op != IR_rmax)
            s->held[n++] = s->held[k];
    }
    s->nheld = n;
}

void
stream_full_tile(struct stream *st, struct stmt_list *out)
{
    struct sched *s = &st->s;
    struct stmt_list few = {0}, many = {0};
    if (!st->dots) {
        s->mixed = out;
        stream_tile(st, true);
        return;
    }
    s->queries = QUERIES_FEW;
    s->mixed = &few;
    stream_tile(st, true);
    stream_forget(s, true);
    s->queries = QUERIES_MANY;
    s->mixed = &many;
    stream_tile(st, true);
    s->queries = QUERIES_ANY;
    stmt_add(out, stmt_if(s, s->ni, tx_num(s->p, FEW_QUERIES + 1), &few));
    stmt_add(out, stmt_if(s, tx_num(s->p, FEW_QUERIES), s->ni, &many));
}
