/* Vectors of keys that cost functions or matrix products (a rotary embedding, W @ k): schedule
 * stream meets every key once per query tile, so they are made once, in a phase of their own, and
 * copied into the key tiles.
 *
 *     phase b, g, key tile:   kept[b*G + g; j, :] = node
 *     in every key tile:      if keep: x = kept[...]  else: x = node
 *
 * Whether that pays is a function of the sizes: a few queries over many keys make what they see. */
#include "passes/schedule.h"

/* A function or a matrix product per entry of a vector. */
static bool
costs_per_entry(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    return ir_side_of(f, n) == SIDE_KEY && ir_vector_axes(f, n) &&
           ((ir_ops[x->op].props & IRP_TRANS) || x->op == IR_rsum);
}

static const struct tile_bind *
find(const struct kept_keys *k, ir_ref node)
{
    for (int i = 0; i < k->n; i++)
        if (k->at[i].node == node)
            return &k->at[i];
    return NULL;
}

bool
kept_wants(const struct sched *s, ir_ref node)
{
    const struct kept_keys *k = s->kept;
    int64_t keep;
    if (find(k, node))
        return true;
    return k->n < MAX_KEPT && ir_side_of(s->f, node) == SIDE_KEY && !depends_on_head(s->f, node) &&
           !(tx_is_num(s->p, k->keep, &keep) && !keep) &&
           node_any(s->f, node, costs_per_entry);
}

/* The rows of the key tile at hand of what is kept. */
static tile_view
kept_view(struct sched *s, const struct tile_bind *b)
{
    struct tile_prog *p = s->p;
    tile_view v = b->view;
    v.b = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, s->at[0], tx_dim(p, DIM_G)), s->hk);
    v.row = s->at[3];
    v.rows = s->nj;
    return v;
}

static const struct tile_bind *
keep(struct sched *s, ir_ref node, uint8_t axis)
{
    struct kept_keys *k = s->kept;
    struct tile_prog *p = s->p;
    if (find(k, node))
        return find(k, node);
    tx_ref planes = tx_op2(p, TX_MUL, tx_dim(p, DIM_B), tx_dim(p, DIM_G)), zero = tx_num(p, 0);
    tx_ref rows = tx_dim(p, DIM_N), cols = tx_axis(p, axis);
    uint32_t buf = tile_buf_add(p, arena_printf(p->arena, "keys%d", s->names++), BUF_SHARED,
                                ELEM_ACC, tx_op2(p, TX_MUL, planes, k->keep), rows, cols);
    k->at[k->n] = (struct tile_bind){node, view_of(buf, zero, zero, rows, cols, zero), AX_j, axis};
    return &k->at[k->n++];
}

tile_view
kept_tile(struct sched *s, ir_ref node, uint8_t axis)
{
    struct tile_prog *p = s->p;
    struct kept_keys *k = s->kept;
    tx_ref one = tx_num(p, 1), zero = tx_num(p, 0), cols = tx_axis(p, axis);
    tile_view v = local_tile(s, "x", false, s->max_nj, cols, s->nj, cols);
    struct stmt_list before = s->key, anew = {0}, copy = {0};
    const uint32_t held = s->nheld;
    const struct tile_bind *b = keep(s, node, axis);
    s->kept = NULL; /* its parts are made with it */
    s->key = (struct stmt_list){0};
    vector_into(s, node, axis, v, AX_j, &s->key);
    anew = s->key;
    s->key = before;
    s->kept = k;
    s->nheld = held; /* and hold nothing where it is copied */
    struct tile_stmt *c = tile_stmt_new(p, TILE_copy);
    c->v[0] = v;
    c->v[1] = kept_view(s, b);
    stmt_add(&copy, c);
    stmt_add(&s->key, stmt_if(s, k->keep, one, &anew));
    stmt_add(&s->key, stmt_if(s, zero, k->keep, &copy));
    hold(s, node, v, AX_j, axis);
    return v;
}

void
kept_phase(struct sched *s, uint32_t var_b, struct stmt_list *phases)
{
    struct tile_prog *p = s->p;
    struct kept_keys *k = s->kept;
    const tx_ref planes = s->planes, any_head = s->any_head;
    struct stmt_list body = {0}, none = {0};
    if (!k->n)
        return;
    uint32_t g = tile_var_add(p, "keys"), t = tile_var_add(p, "tile");
    sched_start(s, &none);
    s->kept = NULL;
    s->planes = s->any_head = 0;
    s->hk = tx_var(p, g);
    s->at[1] = tx_num(p, 0);
    s->at[3] = tx_op2(p, TX_MUL, tx_var(p, t), s->max_nj);
    s->nj = tx_op2(p, TX_MIN, s->max_nj, tx_op2(p, TX_SUB, tx_dim(p, DIM_N), s->at[3]));
    for (int i = 0; i < k->n; i++)
        vector_into(s, k->at[i].node, k->at[i].col_axis, kept_view(s, &k->at[i]), AX_j, &s->key);
    stmt_splice(&body, &s->query);
    stmt_splice(&body, &s->key);
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    ph->var[0] = var_b;
    ph->var[1] = g;
    ph->var[2] = t;
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = tx_dim(p, DIM_G);
    ph->x[2] = tx_op2(p, TX_MUL, tx_op2(p, TX_CDIV, tx_dim(p, DIM_N), s->max_nj), k->keep);
    ph->body = body.first;
    stmt_add(phases, ph);
    sched_start(s, &none);
    s->planes = planes;
    s->any_head = any_head;
}
