/* Decay in the schedule `scan`: every power of g is that of a distance within one chunk.
 *
 * The state S holds the sums relative to the last key before the chunk, c - 1. A query at i reads
 * g^(i - c + 1) S; a key at j enters as g^(e - 1 - j) with e the end of the chunk, and the old
 * state as g^(e - c) S. No exponent is negative, so nothing leaves the range of the type whatever g
 * <= 1 and the length. All three are the node g^(i - j), evaluated with one of its positions held
 * fixed. */
#include "passes/linear.h"
#include "passes/rewrite.h"

/* The fixed position: the last key before the chunk for queries, the last of the chunk for keys. */
static void
fix_position(struct linear *l, bool key)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1);
    if (key) {
        tx_ref last = tx_op2(p, TX_SUB, tx_op2(p, TX_ADD, s->at[3], s->nj), one);
        s->at[2] = tx_op2(p, TX_SUB, last, tx_op2(p, TX_SUB, tx_dim(p, DIM_N), tx_dim(p, DIM_NQ)));
    } else {
        s->at[3] = tx_op2(p, TX_SUB, s->at[3], one);
    }
}

/* g^distance as one row over the tokens, for each chunk. */
static tile_view
decay_row(struct linear *l, ir_ref d, bool key, struct stmt_list *out)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1), n = key ? s->nj : s->ni;
    uint32_t buf = local_buf(s, "g", one, key ? s->max_nj : s->max_ni);
    tile_view row = view_of(buf, zero, zero, one, n, zero);
    stmt_add(out, map_new(s, TILE_map, row, d, AX_UNIT, key ? AX_j : AX_i, one, n));
    return row;
}

/* A tile of the extents of f that nothing else reads. */
static tile_view
own_tile(struct linear *l, const struct block *b, bool key, tile_view f)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), max = key ? s->max_nj : s->max_ni;
    bool one = b->kind == BLOCK_ONE;
    uint32_t buf = local_buf(s, "d", one ? tx_num(p, 1) : max, one ? max : b->count);
    return view_of(buf, zero, zero, f.rows, f.cols, zero);
}

static struct tile_stmt *
two_views(struct tile_prog *p, enum tile_op op, tile_view a, tile_view b)
{
    struct tile_stmt *t = tile_stmt_new(p, op);
    t->v[0] = a;
    t->v[1] = b;
    return t;
}

tile_view
linear_decay_features(struct linear *l, const struct block *b, ir_ref node, bool key,
                      tile_view f, struct stmt_list *work)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    if (!b->decay || l->by_token)
        return f;
    tx_ref at[2] = {s->at[2], s->at[3]};
    ir_ref d = pass_decay(s->f, b->decay, nowhere);
    bool shared = b->kind == BLOCK_ONE || b->kind == BLOCK_VECTOR; /* others may read f */
    tile_view to = shared ? own_tile(l, b, key, f) : f;
    fix_position(l, key);
    if (ir_vector_axes(s->f, b->decay)) {
        if (b->kind != BLOCK_VECTOR)
            ICE("a decay per channel of a feature that is no vector");
        ir_ref product = ir_op2(s->f, IR_mul, node, d, nowhere);
        stmt_add(work, map_new(s, TILE_map, to, product, key ? AX_j : AX_i, b->axis, f.rows,
                               f.cols));
    } else {
        tile_view row = decay_row(l, d, key, key ? &s->key : &s->query);
        if (shared)
            stmt_add(work, two_views(p, TILE_copy, to, f));
        stmt_add(work,
                 two_views(p, b->kind == BLOCK_ONE ? TILE_colscale : TILE_rowscale, to, row));
    }
    s->at[2] = at[0];
    s->at[3] = at[1];
    return to;
}

void
linear_decay_state(struct linear *l, const struct block *b, struct stmt_list *out)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    if (!b->decay)
        return;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1), at = s->at[2];
    ir_ref d = pass_decay(s->f, b->decay, nowhere);
    bool vector = ir_vector_axes(s->f, b->decay) != 0;
    tx_ref cols = vector ? b->count : one;
    tile_view g = view_of(local_buf(s, "g", one, cols), zero, zero, one, cols, zero);
    s->at[2] = tx_op2(p, TX_SUB, tx_op2(p, TX_ADD, s->at[3], s->nj),
                      tx_op2(p, TX_SUB, tx_dim(p, DIM_N), tx_dim(p, DIM_NQ)));
    stmt_add(out, map_new(s, TILE_map, g, d, AX_UNIT, vector ? b->axis : AX_UNIT, one, cols));
    s->at[2] = at;
    uint32_t buf[2] = {b->state, b->z};
    for (int k = 0; k < 2; k++) {
        if (!buf[k])
            continue;
        enum tile_op op = !vector ? TILE_scale : k ? TILE_colscale : TILE_rowscale;
        struct tile_stmt *r = tile_stmt_new(p, op);
        r->v[0] = view_all(s, buf[k]);
        r->v[0].b = l->plane ? l->plane : zero;
        r->v[1] = g;
        stmt_add(out, r);
    }
}
