/* Schedule `scan` token by token: each state is read in one way, and sums either do not decay or by
 * a factor of each token, which scales the state before the token is added: nothing is ever divided
 * by, so a factor may be 0 and a sequence as long as it likes.
 *
 *     phase b, state head, feature group:       S = 0
 *         for chunk of positions:
 *             for token of it:                  S += phi(k)' [v 1], acc = phi(q) S
 *             first chunk, if terms can cancel: acc from the pairs themselves
 *             out = acc / den, or with several groups: partial sums
 *     phase b, head, query chunk:               the partial sums added in order, the output
 *
 * Statement `scan` keeps a block of S in registers for all tokens of the chunk and reads it right
 * after each of them, so no pair of tokens is ever formed, and a step over a kept state goes
 * through it once. The query heads that share a state are planes of the tiles: one update, several
 * reads.
 *
 * With few features, memory takes as long as the sums do. Statements that only copy wait for it,
 * statement `scan` does not, so it asks for the values of the next chunk and for the rows where
 * this one's output goes. */
#include "passes/rewrite.h"
#include "passes/scan.h"

/* What the current chunk has summed up: a plane per query head, the number of keys but once. */
struct sums {
    tile_view acc, den, seen;      /* the last two spread over columns */
};

/* The term that reads a block, or NULL. */
static const struct term *
reader(const struct scan *c, int block)
{
    for (int k = 0; k < c->l.nterms; k++)
        if (c->l.term[k].block == block)
            return &c->l.term[k];
    return NULL;
}

/* True if some sum decays by a factor of each token: then token by token is the only way. */
static bool
is_gated(const struct scan *c)
{
    for (int k = 0; k < c->l.nblocks; k++)
        if (c->l.block[k].decay && has_axis(c->l.s.f, c->l.block[k].decay, AX_j))
            return true;
    return false;
}

/* Terms that read a block in another way than the first one get a copy of it. */
static void
part_readers(struct scan *c)
{
    struct linear *l = &c->l;
    for (int k = 0; k < l->nterms; k++) {
        int own = l->term[k].block;
        for (int j = 0; j < k && own == l->term[k].block; j++)
            if (l->term[j].block == own && (l->term[j].query != l->term[k].query ||
                                            l->term[j].values == l->term[k].values))
                own = l->nblocks;
        if (own < l->nblocks)
            continue;
        if (own == MAX_BLOCKS)
            ICE("more than %d groups of features", MAX_BLOCKS);
        l->block[own] = l->block[l->term[k].block];
        l->nblocks++;
        for (int j = k, old = l->term[k].block; j < l->nterms; j++)
            if (l->term[j].block == old && l->term[j].query == l->term[k].query)
                l->term[j].block = own;
    }
}

bool
scan_can_walk(struct scan *c)
{
    if (is_gated(c)) {
        part_readers(c);
        return true;
    }
    for (int k = 0; k < c->l.nblocks; k++)
        if (c->l.block[k].decay)
            return false;
    for (int k = 0; k < c->l.nterms; k++) /* for both, or each for one of its own */
        for (int j = 0; j < k; j++)
            if (c->l.term[j].block == c->l.term[k].block &&
                (c->l.term[j].query != c->l.term[k].query ||
                 c->l.term[j].values == c->l.term[k].values))
                return false;
    return true;
}

/* ---- heads ---- */

/* A loop over the query heads of the state, where there can be several. */
static void
each_head(struct scan *c, uint32_t var, struct stmt_list *body)
{
    struct sched *s = &c->l.s;
    if (!s->planes || !body->first)
        return;
    tx_ref lo = scan_mul(c, tx_var(s->p, c->var_h), c->group);
    struct tile_stmt *f = stmt_for(s, var, lo, scan_add(c, lo, c->group), tx_num(s->p, 1), body);
    *body = (struct stmt_list){f, f};
}

/* The current head is that of the loop. */
static uint32_t
open_heads(struct scan *c)
{
    struct sched *s = &c->l.s;
    tx_ref state = tx_var(s->p, c->var_h), lo = scan_mul(c, state, c->group);
    uint32_t var = 0;
    int64_t one;
    s->at[1] = lo;
    if (!tx_is_num(s->p, c->group, &one) || one != 1) {
        var = tile_var_add(s->p, arena_printf(s->p->arena, "h%u", s->p->nvars));
        s->at[1] = tx_var(s->p, var);
        s->planes = c->group;
        s->plane = tx_op2(s->p, TX_SUB, s->at[1], lo);
        s->any_head = lo;
    }
    return var;
}

/* ---- one chunk ---- */

/* Statement `scan` or `scansum`: of the operands with a plane per head, the first plane. */
static void
add_scan(struct scan *c, enum tile_op op, tile_view to, tile_view state, tile_view q, tile_view k,
         bool turned, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_stmt *t = scan_stmt(c, op, to, state);
    t->v[2] = q;
    t->v[0].b = t->v[2].b = tx_num(s->p, 0);
    t->v[3] = k;
    t->x[0] = s->planes ? s->planes : tx_num(s->p, 1);
    t->num[0] = turned;
    stmt_add(out, t);
}

/* V, copied into rows that lie together. */
static tile_view
values(struct scan *c)
{
    struct sched *s = &c->l.s;
    return c->l.key_mask ? linear_visible_values(&c->l)
                         : vector_tile(s, ir_input(s->f, 2, nowhere), AX_m);
}

/* seen += the number of visible keys, of which the state keeps a count of its own. */
static void
count_keys(struct scan *c, const struct sums *sums, tile_view keys, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    tx_ref one = tx_num(s->p, 1), zero = tx_num(s->p, 0);
    tile_view ones = local_tile(s, "one", false, one, s->max_ni, one, s->ni);
    tile_view tally = linear_shared_view(&c->l, c->tally, c->l.plane ? c->l.plane : zero, zero,
                                         zero, one, one);
    stmt_add(out, scan_stmt(c, TILE_ones, ones, (tile_view){0}));
    add_scan(c, TILE_scansum, sums->seen, tally, ones, keys, true, out);
    out->last->x[0] = one;
}

/* What the block's state fades by at each token: a row over tokens, or a row per token. */
static tile_view
gates(struct scan *c, const struct block *b)
{
    struct sched *s = &c->l.s;
    tx_ref one = tx_num(s->p, 1);
    bool vector = ir_vector_axes(s->f, b->decay) != 0;
    if (ir_side_of(s->f, b->decay) == SIDE_KEY)
        return vector ? vector_tile(s, b->decay, b->axis) : scalar_row(s, b->decay);
    tile_view v = vector ? local_tile(s, "g", false, s->max_nj, b->count, s->nj, b->count)
                         : local_tile(s, "g", false, one, s->max_nj, one, s->nj);
    stmt_add(&s->key, map_new(s, TILE_map, v, b->decay, vector ? AX_j : AX_UNIT,
                              vector ? b->axis : AX_j, v.rows, v.cols));
    return v;
}

/* The last statement of the list, a scan, fades its state as the block does. */
static void
add_gates(struct scan *c, const struct block *b, tile_view g, struct stmt_list *out)
{
    if (!b->decay)
        return;
    out->last->v[tile_ops[out->last->op].nviews - 1] = g;
    out->last->num[1] = ir_vector_axes(c->l.s.f, b->decay) ? 2 : 1;
}

/* The rows of v and out that the last statement of the list, a scan, asks for. */
static void
add_asks(struct scan *c, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    if (!c->asks)
        return;
    c->asks = false;
    out->last->v[5] = view_next_keys(s, 2);
    out->last->v[6] = view_arg(s, 3, s->at[2], s->ni);
    if (s->planes)
        out->last->v[6].h = s->any_head;
}

/* One part of a block: its features of keys and queries, then the sums. */
static void
walk_part(struct scan *c, int index, tx_ref lo, uint32_t head, const struct sums *sums,
          struct stmt_list *out)
{
    struct linear *l = &c->l;
    struct block *b = &l->block[index];
    const struct term *t = reader(c, index);
    struct stmt_list features = {0};
    struct query_features q = {0};
    bool turned = b->kind == BLOCK_ONE;
    tx_ref zero = tx_num(l->s.p, 0);
    tile_view g = b->decay ? gates(c, b) : (tile_view){0};
    struct key_features k = linear_key_features(l, b, lo, out);
    if (t) {
        q = linear_query_features(l, t, lo, &features);
        each_head(c, head, &features);
        stmt_splice(out, &features);
    }
    if (b->matrix) {
        tile_view v = values(c);
        add_scan(c, TILE_scan, sums->acc, linear_state_view(l, b, zero, k.at, k.count), q.tile,
                 k.tile, turned, out);
        out->last->v[4] = v;
        add_gates(c, b, g, out);
        if (!turned) /* the scan of a single number is too short */
            add_asks(c, out);
    }
    if (c->summed[index]) {
        add_scan(c, TILE_scansum, sums->den, linear_z_view(l, b, zero, k.at, k.count), q.tile,
                 k.tile, turned, out);
        add_gates(c, b, g, out);
    }
    if (index == c->counter)
        count_keys(c, sums, k.tile, out);
}

/* Blocks whose features are split among the groups. */
static void
walk_rotated(struct scan *c, uint32_t head, const struct sums *sums, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    tx_ref rows, step, width;
    for (int k = 0; k < c->l.nblocks; k++) {
        struct block *b = &c->l.block[k];
        struct stmt_list work = {0};
        if (!scan_rotated(c, b, &rows, &step, &width))
            continue;
        uint32_t var = tile_var_add(s->p, arena_printf(s->p->arena, "t%u", s->p->nvars));
        walk_part(c, k, tx_var(s->p, var), head, sums, &work);
        stmt_add(out, stmt_for(s, var, b->row_lo, b->row_hi, step, &work));
    }
}

/* The other blocks, which belong to group 0 with all tiles that only they need. */
static void
walk_whole(struct scan *c, uint32_t head, const struct sums *sums, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct stmt_list work = {0}, body = {0};
    tx_ref zero = tx_num(s->p, 0);
    for (int k = 0; k < c->l.nblocks; k++)
        if (c->l.block[k].kind != BLOCK_ROTATED)
            walk_part(c, k, zero, head, sums, &work);
    each_head(c, head, &s->query);
    stmt_splice(&body, &s->query);
    stmt_splice(&body, &s->key);
    stmt_splice(&body, &work);
    if (body.first)
        stmt_add(out, stmt_if(s, tx_var(s->p, c->var_g), tx_num(s->p, 1), &body));
}

/* What is spread over columns as a row of sums. */
static tile_view
gathered(struct scan *c, tile_view spread, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    tx_ref one = tx_num(s->p, 1), lanes = tx_num(s->p, TILE_LANES);
    tile_view row = local_tile(s, "z", false, one, s->max_ni, one, s->ni);
    tile_view ones = local_tile(s, "one", false, one, lanes, one, lanes);
    stmt_add(out, scan_stmt(c, TILE_zero, row, (tile_view){0}));
    stmt_add(out, scan_stmt(c, TILE_ones, ones, (tile_view){0}));
    struct tile_stmt *dot = scan_stmt(c, TILE_rowdot, row, spread);
    dot->v[2] = ones;
    stmt_add(out, dot);
    return row;
}

/* A row of the first chunk sees few keys, so its terms may cancel to almost nothing where those of
 * later rows do not: these rows are summed anew from the pairs themselves, by group 0. */
static void
repair_first(struct scan *c, tile_view acc, tile_view den, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct stmt_list pairs = {0}, own = {0}, first = {0};
    tx_ref one = tx_num(p, 1);
    if (!s->f->root[ROOT_PAIR] || features_nonneg(s->f, s->f->root[ROOT_PAIR]))
        return;
    tile_view count = local_tile(s, "seen", false, one, s->max_ni, one, s->ni);
    s->mixed = &pairs;
    scan_add_pairs(c, acc, den, count);
    stmt_splice(&own, &s->query);
    stmt_splice(&own, &s->key);
    stmt_splice(&own, &pairs);
    stmt_add(&first, scan_stmt(c, TILE_zero, acc, (tile_view){0}));
    stmt_add(&first, scan_stmt(c, TILE_zero, den, (tile_view){0}));
    stmt_add(&first, scan_stmt(c, TILE_zero, count, (tile_view){0}));
    stmt_add(&first, stmt_if(s, tx_var(p, c->var_g), one, &own));
    stmt_add(out, stmt_if(s, s->at[3], one, &first));
}

/* The output of one head where there is one group, else what its sums are so far. */
static void
finish(struct scan *c, const struct sums *sums, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct stmt_list store = {0}, whole = {0};
    const tile_view from[3] = {sums->acc, gathered(c, sums->den, out),
                               gathered(c, sums->seen, out)};
    const uint32_t to[3] = {c->num, c->den, c->seen};
    repair_first(c, from[0], from[1], out);
    int64_t groups;
    bool known = tx_is_num(s->p, c->groups, &groups);
    for (int k = 0; k < 3; k++)
        stmt_add(&store, scan_stmt(c, TILE_copy,
                                   scan_partial(c, to[k], tx_var(s->p, c->var_g)), from[k]));
    scan_output(c, from[0], from[1], from[2], &whole);
    if (known) {
        stmt_splice(out, groups > 1 ? &store : &whole);
        return;
    }
    stmt_add(out, stmt_if(s, tx_num(s->p, 1), c->groups, &store));
    stmt_add(out, stmt_if(s, c->groups, tx_num(s->p, 2), &whole));
}

static void
walk_chunk(struct scan *c, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct stmt_list first = {0}, split = {0}, mixed = {0}, last = {0};
    sched_start(s, &mixed);
    c->asks = true;
    for (int k = 0; k < c->l.nblocks; k++)
        c->asks = c->asks && c->l.block[k].kind != BLOCK_ROTATED;
    uint32_t head = open_heads(c);
    tx_ref lanes = tx_num(p, TILE_LANES), m = tx_dim(p, DIM_M);
    struct sums sums = {local_tile(s, "acc", true, s->max_ni, m, s->ni, m),
                        local_tile(s, "den", true, s->max_ni, lanes, s->ni, lanes),
                        local_tile(s, "seen", false, s->max_ni, lanes, s->ni, lanes)};
    stmt_add(&first, scan_stmt(c, TILE_zero, sums.acc, (tile_view){0}));
    stmt_add(&first, scan_stmt(c, TILE_zero, sums.den, (tile_view){0}));
    walk_rotated(c, head, &sums, &split);
    stmt_splice(&first, &s->query);
    each_head(c, head, &first);
    stmt_add(out, scan_stmt(c, TILE_zero, sums.seen, (tile_view){0}));
    stmt_splice(out, &first);
    stmt_splice(out, &s->key);
    stmt_splice(out, &split);
    walk_whole(c, head, &sums, out);
    finish(c, &sums, &last);
    each_head(c, head, &last);
    stmt_splice(out, &last);
}

void
scan_walk_phases(struct scan *c, struct stmt_list *phases)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    scan_state_phase(c, walk_chunk, phases);
    s->planes = s->plane = s->any_head = 0;
    tx_ref several = tx_op2(p, TX_MIN, tx_num(p, 1), tx_op2(p, TX_SUB, c->groups, tx_num(p, 1)));
    scan_query_phase(c, several, scan_output, phases);
}
