/* The statements a mask needs: the walk over its key tiles, run-time numbers, summaries. */
#include "passes/mask.h"

/* x within lo..hi. */
static tx_ref
clamp(const struct mask *m, tx_ref x, tx_ref lo, tx_ref hi)
{
    return mask_op(m, TX_MAX, lo, mask_op(m, TX_MIN, x, hi));
}

/* ---- the walk ---- */

/* A name for x, so that expressions stay trees of small size. */
static tx_ref
named(const struct mask *m, struct mask_walk *w, const char *what, tx_ref x)
{
    struct tile_prog *p = m->s->p;
    int64_t v;
    if (tx_is_num(p, x, &v) || p->xs[x].op == TX_VAR || p->xs[x].op == TX_DIM)
        return x;
    if (w->nvars == sizeof w->vars / sizeof *w->vars)
        ICE("a walk over %d ranges of keys needs too many variables", MASK_MAX_RANGES);
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "%s%u", what, w->nvars));
    w->vars[w->nvars] = var;
    w->x[w->nvars++] = x;
    return tx_var(p, var);
}

/* A range of keys as tiles [from, to), empty if it is. */
static void
as_tiles(const struct mask *m, struct mask_walk *w, struct mask_range r, tx_ref *from, tx_ref *to)
{
    tx_ref n = tx_dim(m->s->p, DIM_N), zero = mask_num(m, 0), step = m->s->max_nj;
    tx_ref lo = r.lo ? named(m, w, "lo", clamp(m, r.lo, zero, n)) : zero;
    tx_ref hi = r.hi ? named(m, w, "hi", clamp(m, r.hi, zero, n)) : n;
    *from = named(m, w, "from", mask_op(m, TX_FDIV, lo, step));
    tx_ref len = mask_op(m, TX_SUB, mask_op(m, TX_CDIV, hi, step), *from);
    if (r.lo || r.hi) /* times 0 where hi <= lo */
        len = mask_op(m, TX_MUL, len, clamp(m, mask_op(m, TX_SUB, hi, lo), zero, mask_num(m, 1)));
    *to = named(m, w, "to", mask_op(m, TX_ADD, *from, len));
}

/* Ranges cover the same tiles when their beginnings and their ends are sorted independently: how
 * many are open at a tile depends on both sorted lists alone. Sorted, each goes on where the one
 * before it ended, and the walk jumps over the gaps. */
struct mask_walk
mask_walk(const struct mask *m, tx_ref step)
{
    struct mask_ranges r = mask_ranges(m);
    struct mask_walk w = {.bounded = !(r.n == 1 && !r.at[0].lo && !r.at[0].hi)};
    tx_ref from[MASK_MAX_RANGES], to[MASK_MAX_RANGES], zero = mask_num(m, 0), one = mask_num(m, 1);
    for (int k = 0; k < r.n; k++)
        as_tiles(m, &w, r.at[k], &from[k], &to[k]);
    for (int k = 0; k < r.n; k++)
        for (int i = 0; i + 1 < r.n - k; i++)
            for (int end = 0; end < 2; end++) {
                tx_ref *x = end ? to : from, a = x[i], b = x[i + 1];
                x[i] = named(m, &w, "min", mask_op(m, TX_MIN, a, b));
                x[i + 1] = named(m, &w, "max", mask_op(m, TX_MAX, a, b));
            }
    w.count = zero;
    w.tile = step;
    for (int k = 0; k < r.n; k++) {
        tx_ref begin = k ? named(m, &w, "begin", mask_op(m, TX_MAX, from[k], to[k - 1])) : from[0];
        tx_ref gap = k ? named(m, &w, "gap", mask_op(m, TX_SUB, begin, to[k - 1])) : begin;
        if (k) { /* the gap lies behind the steps counted so far */
            tx_ref past = mask_op(m, TX_ADD, mask_op(m, TX_SUB, step, w.count), one);
            gap = mask_op(m, TX_MUL, gap, clamp(m, past, zero, one));
        }
        w.tile = mask_op(m, TX_ADD, w.tile, gap);
        w.count = named(m, &w, "count",
                        mask_op(m, TX_ADD, w.count, mask_op(m, TX_SUB, to[k], begin)));
    }
    return w;
}

void
mask_open_walk(const struct mask *m, const struct mask_walk *w, struct stmt_list *body)
{
    for (uint32_t k = w->nvars; k-- > 0;)
        stmt_let(m->s, w->vars[k], w->x[k], body);
}

/* ---- numbers known at run time ---- */

void
mask_read_scalars(const struct mask *m, struct stmt_list *body)
{
    for (int k = m->nscalars; k-- > 0;) {
        struct tile_stmt *b = m->scalar[k].read;
        b->body = body->first;
        *body = (struct stmt_list){b, b};
    }
}

/* ---- summaries ---- */

static tile_view
summary_view(const struct mask *m, const struct mask_summary *x, tx_ref tile)
{
    tx_ref zero = mask_num(m, 0), one = mask_num(m, 1);
    return view_of(x->buf, tile, zero, one, mask_num(m, 2), x->plane);
}

void
mask_read_summaries(const struct mask *m, tx_ref tile, struct stmt_list *body)
{
    struct sched *s = m->s;
    for (int k = 0; k < m->nvalues; k++) {
        const struct mask_value *x = &m->value[k];
        struct tile_stmt *c = tile_stmt_new(s->p, TILE_compare);
        c->v[0] = summary_view(m, &x->query, mask_op(m, TX_FDIV, s->at[2], s->max_ni));
        c->v[1] = summary_view(m, &x->key, tile);
        c->num[0] = (int32_t)x->rel;
        c->var[0] = x->all;
        c->var[1] = x->may;
        c->body = body->first;
        *body = (struct stmt_list){c, c};
    }
}

/* The planes of a summary, one for each batch and head it depends on; that of the task at hand. */
static tx_ref
set_plane(const struct mask *m, struct mask_summary *x)
{
    struct tile_prog *p = m->s->p;
    ir_axes axes = m->s->f->nodes[x->node].axes;
    bool b = axes >> AX_b & 1, h = axes >> AX_h & 1;
    tx_ref one = mask_num(m, 1), heads = tx_dim(p, DIM_H);
    x->plane = b && h ? mask_op(m, TX_ADD, mask_op(m, TX_MUL, m->s->at[0], heads), m->s->at[1])
               : b    ? m->s->at[0]
               : h    ? m->s->at[1]
                      : mask_num(m, 0);
    return mask_op(m, TX_MUL, b ? tx_dim(p, DIM_B) : one, h ? heads : one);
}

/* One task per batch, head and tile of the side. */
static struct tile_stmt *
summary_phase(struct mask *m, bool key)
{
    struct sched *s = m->s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0};
    tx_ref one = mask_num(m, 1), n = tx_dim(p, key ? DIM_N : DIM_NQ);
    tx_ref step = key ? s->max_nj : s->max_ni, tiles = mask_op(m, TX_CDIV, n, step);
    ir_axes axes = 0;
    ph->var[0] = tile_var_add(p, "b");
    ph->var[1] = tile_var_add(p, "h");
    ph->var[2] = tile_var_add(p, "t");
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->step = s->any_head = s->planes = 0;
    s->hk = mask_num(m, 0); /* inputs are no part of these values */
    tx_ref tile = tx_var(p, ph->var[2]), row = mask_op(m, TX_MUL, tile, step);
    tx_ref count = mask_op(m, TX_MIN, step, mask_op(m, TX_SUB, n, row));
    s->at[key ? 3 : 2] = row;
    for (int k = 0; k < m->nvalues; k++) {
        struct mask_summary *x = key ? &m->value[k].key : &m->value[k].query;
        const char *name = arena_printf(p->arena, "%s%d", key ? "keys" : "queries", s->names++);
        tx_ref planes = set_plane(m, x);
        x->buf = tile_buf_add(p, name, BUF_SHARED, ELEM_ACC, planes, tiles, mask_num(m, 2));
        axes |= s->f->nodes[x->node].axes;
        stmt_add(&body, map_new(s, TILE_minmax, summary_view(m, x, tile), x->node, AX_UNIT,
                                key ? AX_j : AX_i, one, count));
    }
    ph->x[0] = axes >> AX_b & 1 ? tx_dim(p, DIM_B) : one;
    ph->x[1] = axes >> AX_h & 1 ? tx_dim(p, DIM_H) : one;
    ph->x[2] = tiles;
    ph->body = body.first;
    return ph;
}

void
mask_summarise(struct mask *m, struct stmt_list *phases)
{
    struct sched *s = m->s;
    const struct sched saved = *s;
    for (int key = 0; key < 2 && m->nvalues; key++) {
        stmt_add(phases, summary_phase(m, key != 0));
        int names = s->names;
        *s = saved;
        s->names = names;
        for (int k = 0; k < m->nvalues; k++) /* as the main phase sees them */
            set_plane(m, key ? &m->value[k].key : &m->value[k].query);
    }
}
