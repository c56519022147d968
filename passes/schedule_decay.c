/* Decays over pairs of tokens: the product of the gates of the tokens between a key and a query.
 *
 * In a tile of keys and queries it is made key by key from the last one on, each the product of the
 * key after it times one gate; what lies between the tile and the first query is one number per
 * channel (statement `product`). Nothing is ever divided, so gates may be 0 and products may
 * underflow where they should. */
#include "passes/rewrite.h"
#include "passes/schedule.h"

/* The gates of all tokens of the current head. */
static tile_view
whole_gates(struct sched *s, ir_ref g, uint8_t axis)
{
    struct tile_prog *p = s->p;
    tx_ref n = tx_dim(p, DIM_N), one = tx_num(p, 1), zero = tx_num(p, 0);
    tx_ref rows = axis == AX_UNIT ? one : n, cols = axis == AX_UNIT ? n : tx_axis(p, axis);
    uint32_t k = 0;
    while (k < s->ngates && !(s->gates[k].node == g && s->gates[k].axis == axis))
        k++;
    if (k == s->ngates) {
        tx_ref planes = tx_op2(p, TX_MUL, tx_dim(p, DIM_B), tx_dim(p, DIM_H));
        uint32_t buf = tile_buf_add(p, arena_printf(p->arena, "gates%u", k), BUF_SHARED, ELEM_ACC,
                                    planes, rows, cols);
        s->gates = arena_grow(p->arena, s->gates, k, k + 1, &s->cap_gates, sizeof *s->gates);
        s->gates[s->ngates++] = (struct sched_gate){g, axis, buf};
    }
    tile_view v = view_of(s->gates[k].buf, zero, zero, rows, cols, zero);
    v.b = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, s->at[0], tx_dim(p, DIM_H)), s->at[1]);
    return v;
}

/* Those of the key tile. */
static tile_view
tile_gates(struct sched *s, ir_ref g, uint8_t axis)
{
    tx_ref one = tx_num(s->p, 1);
    bool row = axis == AX_UNIT;
    tx_ref cols = row ? s->nj : tx_axis(s->p, axis);
    tile_view v = local_tile(s, "g", false, row ? one : s->max_nj, row ? s->max_nj : cols,
                             row ? one : s->nj, cols);
    stmt_add(&s->key, map_new(s, TILE_map, v, g, row ? AX_UNIT : AX_j, row ? AX_j : axis, v.rows,
                              v.cols));
    return v;
}

/* The product of the gates after the key tile up to the first query. */
static tile_view
between(struct sched *s, tile_view gates, bool row, tx_ref from, tx_ref query)
{
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1), cols = row ? one : gates.cols;
    struct tile_stmt *m = tile_stmt_new(p, TILE_product);
    tx_ref to = tx_op2(p, TX_MIN, tx_op2(p, TX_ADD, query, one), row ? gates.cols : gates.rows);
    tx_ref count = tx_op2(p, TX_MAX, tx_num(p, 0), tx_op2(p, TX_SUB, to, from));
    m->v[0] = local_tile(s, "b", false, one, cols, one, cols);
    m->v[1] = gates;
    *(row ? &m->v[1].col : &m->v[1].row) = from;
    *(row ? &m->v[1].cols : &m->v[1].rows) = count;
    m->num[0] = row;
    stmt_add(s->mixed, m);
    return m->v[0];
}

/* A tile of the decay g, of vectors summed over the axis with what there is of q and k. */
static void
add_faded(struct sched *s, ir_ref n, ir_ref g, uint8_t axis, ir_ref q, ir_ref k)
{
    struct tile_prog *p = s->p;
    bool row = axis == AX_UNIT;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    tile_view dst = view_of(local_buf(s, "s", s->max_nj, s->max_ni), zero, zero, s->nj, s->ni,
                            zero);
    struct tile_stmt *m = tile_stmt_new(p, TILE_faded);
    m->v[0] = dst;
    if (!row) {
        m->v[1] = k ? vector_tile(s, k, axis) : (tile_view){0};
        m->v[2] = q ? schedule_transposed(s, q, axis) : (tile_view){0};
    }
    tile_view gates = s->whole_gates ? whole_gates(s, g, axis) : tile_gates(s, g, axis);
    tx_ref query = tx_op2(p, TX_ADD, s->at[2],
                          tx_op2(p, TX_SUB, tx_dim(p, DIM_N), tx_dim(p, DIM_NQ)));
    m->x[0] = s->whole_gates ? s->at[3] : zero;
    m->x[1] = s->whole_gates ? query : tx_op2(p, TX_SUB, query, s->at[3]);
    m->x[2] = s->step ? s->step : one;
    m->num[0] = row;
    m->v[4] = between(s, gates, row, tx_op2(p, TX_ADD, m->x[0], s->nj), m->x[1]);
    m->v[3] = gates;
    stmt_add(s->mixed, m);
    hold(s, n, dst, AX_j, AX_i);
}

bool
schedule_decay(struct sched *s, ir_ref n)
{
    struct ir_func *f = s->f;
    const struct ir_node x = f->nodes[n];
    ir_ref fac[PASS_MAX_FACTORS], q = 0, k = 0, g = 0;
    if (x.op == IR_decay && !ir_vector_axes(f, n)) {
        add_faded(s, n, x.arg[0], AX_UNIT, 0, 0);
        return true;
    }
    if (x.op != IR_rsum)
        return false;
    int count = product_factors(f, x.arg[0], fac, PASS_MAX_FACTORS);
    for (int i = 0; i < count; i++) {
        enum ir_side side = ir_side_of(f, fac[i]);
        ir_ref base = side == SIDE_MIXED ? pass_decay_base(f, fac[i]) : 0;
        if (side == SIDE_MIXED && (!base || !has_axis(f, base, AX_j)))
            return false;
        ir_ref *to = base ? &g : side == SIDE_KEY ? &k : &q;
        ir_ref factor = base ? base : fac[i];
        *to = *to ? pass_mul(f, *to, factor, x.span) : factor;
    }
    if (!g)
        return false;
    add_faded(s, n, g, x.attr.axis, q, k);
    return true;
}

void
schedule_gates(struct sched *s, struct stmt_list *phases)
{
    struct tile_prog *p = s->p;
    struct stmt_list body = {0}, mixed = {0};
    tx_ref n = tx_dim(p, DIM_N);
    if (!s->ngates)
        return;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    ph->var[0] = tile_var_add(p, "b");
    ph->var[1] = tile_var_add(p, "h");
    ph->var[2] = tile_var_add(p, "t");
    sched_start(s, &mixed);
    s->planes = s->plane = s->any_head = s->step = 0;
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->hk = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    s->at[3] = tx_op2(p, TX_MUL, tx_var(p, ph->var[2]), s->max_nj);
    s->nj = tx_op2(p, TX_MIN, s->max_nj, tx_op2(p, TX_SUB, n, s->at[3]));
    for (uint32_t k = 0; k < s->ngates; k++) {
        const struct sched_gate gate = s->gates[k];
        bool row = gate.axis == AX_UNIT;
        tile_view v = whole_gates(s, gate.node, gate.axis);
        *(row ? &v.col : &v.row) = s->at[3];
        *(row ? &v.cols : &v.rows) = s->nj;
        stmt_add(&mixed, map_new(s, TILE_map, v, gate.node, row ? AX_UNIT : AX_j,
                                 row ? AX_j : gate.axis, v.rows, v.cols));
    }
    stmt_splice(&body, &s->query);
    stmt_splice(&body, &s->key);
    stmt_splice(&body, &mixed);
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = tx_dim(p, DIM_H);
    ph->x[2] = tx_op2(p, TX_CDIV, n, s->max_nj);
    ph->body = body.first;
    stmt_add(phases, ph);
}
