/* Schedule `scan` chunk by chunk: sums that decay, and states that are read in several ways.
 *
 * What the keys before a chunk contribute is read from the state at its beginning; the keys of the
 * chunk itself are met pair by pair, so that decays need no power of g but of a distance. */
#include "passes/rewrite.h"
#include "passes/scan.h"

/* seen += z of the counter, for every query. */
static void
read_counter(struct scan *c, tile_view seen, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    const struct block *b = &c->l.block[c->counter];
    tile_view ones = view_of(local_buf(s, "a", one, s->max_ni), zero, zero, one, s->ni, zero);
    struct stmt_list work = {0};
    stmt_add(&work, scan_stmt(c, TILE_ones, ones, (tile_view){0}));
    struct tile_stmt *m = scan_stmt(c, TILE_matmul, seen,
                                    linear_z_view(&c->l, b, zero, zero, one));
    m->v[2] = ones;
    stmt_add(&work, m);
    scan_for_group(c, b, &work, out);
}

/* for each query head of the state: its partial sums = phi(Q) S */
static void
read_chunk(struct scan *c, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct stmt_list body = {0}, tiles = {0}, mixed = {0};
    bool done[MAX_TERMS] = {false};
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "h%u", p->nvars));
    tx_ref state = tx_var(p, c->var_h), g = tx_var(p, c->var_g);
    tx_ref lo = scan_mul(c, state, c->group);
    sched_start(s, &mixed);
    s->at[1] = tx_var(p, var);
    tx_ref one = tx_num(p, 1);
    tile_view sums = scan_partial(c, c->num, g), row[2]; /* own: products fill whole vectors */
    const uint32_t shared[2] = {c->den, c->seen};
    stmt_add(&body, scan_stmt(c, TILE_zero, sums, (tile_view){0}));
    for (int k = 0; k < 2; k++) {
        row[k] = local_tile(s, k ? "seen" : "den", false, one, s->max_ni, one, s->ni);
        stmt_add(&body, scan_stmt(c, TILE_zero, row[k], (tile_view){0}));
    }
    for (int k = 0; k < c->l.nterms; k++) {
        struct stmt_list work = {0};
        if (done[k])
            continue;
        linear_read_terms(&c->l, k, done, sums, row[0], &work);
        stmt_splice(&body, &s->query);
        scan_for_group(c, &c->l.block[c->l.term[k].block], &work, &tiles);
    }
    read_counter(c, row[1], &tiles);
    stmt_splice(&body, &tiles);
    for (int k = 0; k < 2; k++)
        stmt_add(&body, scan_stmt(c, TILE_copy, scan_partial(c, shared[k], g), row[k]));
    stmt_add(out, stmt_for(s, var, lo, scan_add(c, lo, c->group), tx_num(p, 1), &body));
}

/* S += phi(K)' [V 1] */
static void
update_chunk(struct scan *c, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct stmt_list all = {0}, mixed = {0}, none = {0};
    sched_start(s, &mixed);
    s->at[1] = scan_mul(c, tx_var(p, c->var_h), c->group);
    for (int k = 0; k < c->l.nblocks; k++) {
        struct block *b = &c->l.block[k];
        struct stmt_list work = {0};
        tx_ref rows, step, width, zero = tx_num(p, 0);
        linear_decay_state(&c->l, b, &work);
        if (scan_rotated(c, b, &rows, &step, &width)) {
            uint32_t var = tile_var_add(p, arena_printf(p->arena, "t%u", p->nvars));
            struct stmt_list part = {0};
            linear_key_part(&c->l, b, zero, tx_var(p, var), &part, &none, &none);
            stmt_add(&work, stmt_for(s, var, b->row_lo, b->row_hi, step, &part));
        } else {
            linear_key_part(&c->l, b, zero, zero, &work, &none, &none);
        }
        stmt_splice(out, &s->query);
        stmt_splice(out, &s->key);
        scan_for_group(c, b, &work, &all);
    }
    stmt_splice(out, &all);
}

static void
walk_chunk(struct scan *c, struct stmt_list *out)
{
    read_chunk(c, out);
    update_chunk(c, out);
}

/* ---- second phase: inside the chunks ---- */

/* Column sums of a tile over (keys, queries) into `row`; returns the tile. */
static tile_view
pair_tile(struct scan *c, const char *name, ir_ref node, tile_view row)
{
    struct sched *s = &c->l.s;
    tx_ref zero = tx_num(s->p, 0);
    tile_view tile = view_of(local_buf(s, name, s->max_nj, s->max_ni), zero, zero, s->nj, s->ni,
                             zero);
    struct tile_stmt *m = map_new(s, TILE_mapsum, tile, node, AX_j, AX_i, s->nj, s->ni);
    m->v[1] = row;
    stmt_add(s->mixed, m);
    return tile;
}

/* True if n is computed through joined, outer or monomial vectors, or through a decay. */
static bool
has_features(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_cat || x->op == IR_outer || x->op == IR_mono || x->op == IR_decay)
        return true;
    for (int k = 0; k < x->nargs; k++)
        if (has_features(f, x->arg[k]))
            return true;
    return false;
}

/* The similarity of one pair as it costs least: as written, or by its dots if it was written by
 * features. Decays of vectors are in dots only there. */
static ir_ref
pair_similarity(const struct ir_func *f)
{
    bool by_dots = f->root[ROOT_PAIR] && has_features(f, f->root[ROOT_SIM]);
    return by_dots ? f->root[ROOT_PAIR] : f->root[ROOT_SIM];
}

void
scan_add_pairs(struct scan *c, tile_view acc, tile_view den, tile_view count)
{
    struct sched *s = &c->l.s;
    struct ir_func *f = s->f;
    ir_ref one = ir_const_i(f, 1, 1, nowhere), none = ir_const_i(f, 0, 1, nowhere);
    ir_ref mask = f->root[ROOT_MASK];
    tx_ref zero = tx_num(s->p, 0), cols = tx_dim(s->p, DIM_M);
    tile_view seen = pair_tile(c, "m", ir_select(f, mask, one, none, nowhere), count);
    tile_view p = pair_tile(c, "p", ir_select(f, mask, pair_similarity(f), none, nowhere), den);
    tile_view v = view_arg(s, 2, s->at[3], s->nj);
    tile_view clean = view_of(local_buf(s, "v", s->max_nj, cols), zero, zero, s->nj, cols, zero);
    stmt_add(s->mixed, scan_stmt(c, TILE_clean, clean, v));
    struct tile_stmt *m = scan_stmt(c, TILE_matmul, acc, p);
    m->v[2] = clean;
    m->num[0] = 1;
    stmt_add(s->mixed, m);
    struct tile_stmt *x = scan_stmt(c, TILE_patch, acc, p);
    x->v[2] = v;
    x->v[3] = seen;
    stmt_add(s->mixed, x);
}

static void
finish(struct scan *c, tile_view acc, tile_view den, tile_view count, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    scan_add_pairs(c, acc, den, count);
    stmt_splice(out, &s->query);
    stmt_splice(out, &s->key);
    stmt_splice(out, s->mixed);
    scan_output(c, acc, den, count, out);
}

void
scan_pair_phases(struct scan *c, struct stmt_list *phases)
{
    scan_state_phase(c, walk_chunk, phases);
    scan_query_phase(c, tx_num(c->l.s.p, 1), finish, phases);
}
