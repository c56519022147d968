/* Schedule `scan`: kernelized and causal, in linear time.
 *
 *     phase b, state head, feature group:       S = 0
 *         for chunk of positions:               S += phi(K)' [V 1], and what queries read from S
 *     phase b, head, query chunk:               the sum over the groups, the output
 *
 * The states of different features never meet, so a head whose rows are too few to occupy a machine
 * is split by features: each group of them walks all chunks with its part of the state and leaves
 * partial sums, which the second phase adds in a fixed order. No work is done twice, as it would be
 * if the chunks of one head were walked by several workers, and how many groups there are depends
 * on the sizes alone, so results do not depend on the number of threads. Query heads that share a
 * key head share its state and the features of its keys.
 *
 * How a chunk is done: token by token (scan_walk.c), or where sums decay pair by pair
 * (scan_pairs.c). Chunk t holds the query rows [tC, tC + C) and the keys at the same positions;
 * keys before the first query come in chunks with negative t and no queries. */
#include <math.h>

#include "passes/rewrite.h"
#include "passes/scan.h"

/* Tasks of the first phase, if the features can be split that far: each leaves partial sums of the
 * size of the output. */
enum { WANTED_TASKS = 4 };

tx_ref
scan_add(struct scan *c, tx_ref a, tx_ref b)
{
    return tx_op2(c->l.s.p, TX_ADD, a, b);
}

tx_ref
scan_mul(struct scan *c, tx_ref a, tx_ref b)
{
    return tx_op2(c->l.s.p, TX_MUL, a, b);
}

struct tile_stmt *
scan_stmt(struct scan *c, enum tile_op op, tile_view a, tile_view b)
{
    struct tile_stmt *s = tile_stmt_new(c->l.s.p, op);
    s->v[0] = a;
    s->v[1] = b;
    return s;
}

/* ---- states ---- */

bool
scan_rotated(struct scan *c, const struct block *b, tx_ref *rows, tx_ref *step, tx_ref *width)
{
    ir_ref scale;
    if (b->kind != BLOCK_ROTATED)
        return false;
    const struct ir_node mono = c->l.s.f->nodes[linear_split_scale(&c->l, b->key, b->axis, &scale)];
    *width = tx_axis(c->l.s.p, mono.attr.axis);
    *rows = tx_rows(c->l.s.p, *width, mono.attr.num);
    *step = linear_rows_per_part(&c->l, &mono);
    linear_table_for(&c->l, mono.attr.axis, mono.attr.num);
    return true;
}

/* Kinds and sizes of all blocks, and from them the number of groups. */
static void
prepare_groups(struct scan *c)
{
    struct linear *l = &c->l;
    struct tile_prog *p = l->s.p;
    tx_ref rows, step, width, most = tx_num(p, 1), one = most;
    for (int k = 0; k < l->nblocks; k++) {
        struct block *b = &l->block[k];
        b->kind = linear_kind_of(l, b->key, b->axis);
        b->count = linear_feature_count(l, b->key, b->axis);
        b->local = true;
        c->per_head = c->per_head || depends_on_head(l->s.f, b->key) ||
                      (b->decay && depends_on_head(l->s.f, b->decay));
        if (scan_rotated(c, b, &rows, &step, &width))
            most = tx_op2(p, TX_MAX, most, rows);
    }
    tx_ref h = tx_dim(p, DIM_H), g = tx_dim(p, DIM_G);
    c->heads = c->per_head ? h : g;
    c->group = c->per_head ? one : tx_op2(p, TX_FDIV, h, tx_op2(p, TX_MAX, one, g));
    tx_ref tasks = tx_op2(p, TX_MAX, one, scan_mul(c, tx_dim(p, DIM_B), c->heads));
    tx_ref wanted = tx_op2(p, TX_CDIV, tx_num(p, WANTED_TASKS), tasks);
    c->groups = tx_op2(p, TX_MAX, one, tx_op2(p, TX_MIN, wanted, most));
}

/* A kept state has one for each task, a local one is that of the task at hand. */
static tx_ref
state_planes(struct scan *c)
{
    struct tile_prog *p = c->l.s.p;
    return c->kept ? scan_mul(c, scan_mul(c, tx_dim(p, DIM_B), c->heads), c->groups) : tx_num(p, 1);
}

/* The part of a block's state that one group owns. */
static void
prepare_state(struct scan *c, struct block *b, int index)
{
    struct linear *l = &c->l;
    struct tile_prog *p = l->s.p;
    tx_ref rows, step, width, count = b->count, one = tx_num(p, 1);
    b->per_head = c->per_head;
    if (scan_rotated(c, b, &rows, &step, &width)) {
        tx_ref per = tx_op2(p, TX_CDIV, rows, c->groups);
        b->row_lo = tx_op2(p, TX_MIN, rows, scan_mul(c, tx_var(p, c->var_g), per));
        b->row_hi = tx_op2(p, TX_MIN, rows, scan_add(c, b->row_lo, per));
        b->base = scan_mul(c, b->row_lo, width);
        count = scan_mul(c, per, width);
    }
    enum tile_buf_kind kind = c->kept ? BUF_STATE : BUF_LOCAL;
    tx_ref planes = state_planes(c);
    if (b->matrix)
        b->state = tile_buf_add(p, arena_printf(p->arena, "state%d", index), kind, ELEM_ACC, planes,
                                count, tx_dim(p, DIM_M));
    if (c->walks ? c->summed[index] : b->vector != 0)
        b->z = tile_buf_add(p, arena_printf(p->arena, "z%d", index), kind, ELEM_ACC, planes, one,
                            count);
}

static void
make_partial_sums(struct scan *c)
{
    struct tile_prog *p = c->l.s.p;
    tx_ref one = tx_num(p, 1), nq = tx_dim(p, DIM_NQ);
    tx_ref planes = scan_mul(c, scan_mul(c, tx_dim(p, DIM_B), tx_dim(p, DIM_H)), c->groups);
    c->num = tile_buf_add(p, "num", BUF_SHARED, ELEM_ACC, planes, nq, tx_dim(p, DIM_M));
    c->den = tile_buf_add(p, "den", BUF_SHARED, ELEM_ACC, planes, one, nq);
    c->seen = tile_buf_add(p, "seen", BUF_SHARED, ELEM_ACC, planes, one, nq);
}

/* Tokens per chunk. Per token, a chunk of C costs 2 C (D+M) operations on pairs and its share of
 * loading and storing the state, d' (M+1) / C; an element moved through the cache costs as much as
 * about STATE_MOVE operations. Sizes known only at run time get the default. */
static int
chunk_size(struct scan *c, const struct schedule_tuning *t)
{
    enum { STATE_MOVE = 16, SMALLEST = 32, WALKED = 48, USUAL = 128 };
    const struct linear *l = &c->l;
    int64_t d = l->s.f->dims[DIM_D].size, m = l->s.f->dims[DIM_M].size, features = 0, n;
    bool channels = false;
    for (int k = 0; k < l->nblocks; k++) {
        channels = channels || (l->block[k].decay && ir_vector_axes(l->s.f, l->block[k].decay));
        if (!tx_is_num(l->s.p, l->block[k].count, &n) || !d || !m)
            features = -1;
        features = features < 0 ? -1 : features + n;
    }
    if (t->chunk)
        return t->chunk;
    if (c->walks) /* features, values and results of a chunk share the first two caches */
        return WALKED;
    if (channels) /* a decay per channel costs a power per pair and channel */
        return SMALLEST / 2;
    if (features < 0)
        return USUAL;
    int best = SMALLEST;
    double least = INFINITY;
    for (int size = SMALLEST; size <= 256; size *= 2) {
        double cost = 2.0 * size * (double)(d + m) +
                      (double)STATE_MOVE * (double)features * (double)(m + 1) / size;
        if (cost < least) {
            best = size;
            least = cost;
        }
    }
    return best;
}

tile_view
scan_partial(struct scan *c, uint32_t buf, tx_ref group)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0);
    tx_ref h = scan_add(c, scan_mul(c, s->at[0], tx_dim(p, DIM_H)), s->at[1]);
    tx_ref plane = scan_add(c, scan_mul(c, h, c->groups), group);
    if (buf == c->num)
        return linear_shared_view(&c->l, buf, plane, s->at[2], zero, s->ni, tx_dim(p, DIM_M));
    return linear_shared_view(&c->l, buf, plane, zero, s->at[2], tx_num(p, 1), s->ni);
}

/* ---- first phase: along the chunks ---- */

void
scan_set_chunk(struct scan *c, tx_ref row)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), next = scan_add(c, row, s->max_ni);
    tx_ref from = scan_add(c, c->first, row);
    s->at[2] = tx_op2(p, TX_MAX, row, zero);
    s->ni = tx_op2(p, TX_MAX, zero,
                   tx_op2(p, TX_SUB, tx_op2(p, TX_MIN, tx_dim(p, DIM_NQ), next), s->at[2]));
    s->at[3] = tx_op2(p, TX_MAX, from, zero);
    tx_ref to = tx_op2(p, TX_MIN, tx_dim(p, DIM_N), scan_add(c, c->first, next));
    s->nj = tx_op2(p, TX_MAX, zero, tx_op2(p, TX_SUB, to, s->at[3]));
}

void
scan_for_group(struct scan *c, const struct block *b, struct stmt_list *work, struct stmt_list *out)
{
    struct tile_prog *p = c->l.s.p;
    if (b->kind == BLOCK_ROTATED || !work->first) {
        stmt_splice(out, work);
        return;
    }
    stmt_add(out, stmt_if(&c->l.s, tx_var(p, c->var_g), tx_num(p, 1), work));
}

void
scan_state_phase(struct scan *c, void (*chunk)(struct scan *c, struct stmt_list *out),
                 struct stmt_list *phases)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0}, work = {0};
    tx_ref zero = tx_num(p, 0), h = tx_var(p, c->var_h);
    uint32_t var = tile_var_add(p, "chunk");
    s->at[0] = tx_var(p, c->var_b);
    s->hk = h;
    if (c->per_head)
        s->hk = tx_op2(p, TX_FDIV, scan_mul(c, h, tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    if (c->kept)
        c->l.plane = scan_add(c, scan_mul(c, scan_add(c, scan_mul(c, s->at[0], c->heads), h),
                                          c->groups),
                              tx_var(p, c->var_g));
    for (int k = 0; k <= c->l.nblocks && !c->kept; k++) {
        bool tally = k == c->l.nblocks;
        uint32_t buf[2] = {tally ? c->tally : c->l.block[k].state, tally ? 0 : c->l.block[k].z};
        for (int i = 0; i < 2; i++)
            if (buf[i])
                stmt_add(&body, scan_stmt(c, TILE_zero, view_all(s, buf[i]), (tile_view){0}));
    }
    scan_set_chunk(c, tx_var(p, var));
    chunk(c, &work);
    tx_ref before = tx_op2(p, TX_CDIV, tx_op2(p, TX_MAX, c->first, zero), s->max_ni);
    tx_ref lo = c->kept ? zero : tx_op2(p, TX_SUB, zero, scan_mul(c, before, s->max_ni));
    stmt_add(&body, stmt_for(s, var, lo, tx_dim(p, DIM_NQ), s->max_ni, &work));
    ph->var[0] = c->var_b;
    ph->var[1] = c->var_h;
    ph->var[2] = c->var_g;
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = c->heads;
    ph->x[2] = c->groups;
    ph->body = body.first;
    stmt_add(phases, ph);
}

/* ---- second phase: the chunks of each query head ---- */

void
scan_gather(struct scan *c, uint32_t buf, tile_view dst, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "g%u", p->nvars));
    struct stmt_list body = {0};
    stmt_add(out, scan_stmt(c, TILE_zero, dst, (tile_view){0}));
    stmt_add(&body, scan_stmt(c, TILE_add, dst, scan_partial(c, buf, tx_var(p, var))));
    stmt_add(out, stmt_for(s, var, tx_num(p, 0), c->groups, tx_num(p, 1), &body));
}

void
scan_output(struct scan *c, tile_view acc, tile_view den, tile_view count, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct ir_func *f = s->f;
    sched_start(s, out);
    s->at[3] = tx_num(s->p, 0);
    hold(s, f->root[ROOT_NUM], acc, AX_i, AX_m);
    hold(s, c->l.block[c->counter].vector, count, AX_UNIT, AX_i);
    if (f->root[ROOT_DEN])
        hold(s, f->root[ROOT_DEN], den, AX_UNIT, AX_i);
    schedule_results(s, out);
}

void
scan_query_phase(struct scan *c, tx_ref tasks,
                 void (*work)(struct scan *c, tile_view acc, tile_view den, tile_view count,
                              struct stmt_list *out),
                 struct stmt_list *phases)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0}, mixed = {0};
    tx_ref one = tx_num(p, 1), m = tx_dim(p, DIM_M);
    ph->var[0] = tile_var_add(p, "b");
    ph->var[1] = tile_var_add(p, "h");
    ph->var[2] = tile_var_add(p, "t");
    sched_start(s, &mixed);
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->hk = tx_op2(p, TX_FDIV, scan_mul(c, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    scan_set_chunk(c, scan_mul(c, tx_var(p, ph->var[2]), s->max_ni));
    tile_view acc = local_tile(s, "acc", false, s->max_ni, m, s->ni, m);
    tile_view den = local_tile(s, "den", false, one, s->max_ni, one, s->ni);
    tile_view count = local_tile(s, "seen", false, one, s->max_ni, one, s->ni);
    scan_gather(c, c->num, acc, &body);
    scan_gather(c, c->den, den, &body);
    scan_gather(c, c->seen, count, &body);
    work(c, acc, den, count, &body);
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = tx_dim(p, DIM_H);
    ph->x[2] = scan_mul(c, tasks, tx_op2(p, TX_CDIV, tx_dim(p, DIM_NQ), s->max_ni));
    ph->body = body.first;
    stmt_add(phases, ph);
}

/* kept: the entry `step`, which goes on from the caller's state. Positions then start at n - n_q,
 * and row r of k and v is that of the key at position r: the caller passes a view into the whole
 * sequence of which only the new rows exist. */
static struct tile_prog *
build(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d,
      bool kept)
{
    struct tile_prog *p = tile_new(a, f, kept ? "step" : "forward", "scan");
    struct scan *c = ARENA_NEW(a, struct scan);
    struct linear *l = &c->l;
    struct stmt_list phases = {0}, tables = {0};
    l->s = (struct sched){.p = p, .f = f, .d = d, .t = t};
    l->running = true;
    c->kept = kept;
    l->key_mask = pass_mask_parts(f, f->root[ROOT_MASK]).key;
    c->first = tx_op2(p, TX_SUB, tx_dim(p, DIM_N), tx_dim(p, DIM_NQ));
    c->var_b = tile_var_add(p, "b");
    c->var_h = tile_var_add(p, "h");
    c->var_g = tile_var_add(p, "g");
    linear_add_terms(l, f->root[ROOT_NUM]);
    if (f->root[ROOT_DEN])
        linear_add_terms(l, f->root[ROOT_DEN]);
    c->counter = linear_add_plain_sums(l);
    c->walks = l->by_token = scan_can_walk(c);
    prepare_groups(c);
    p->period = chunk_size(c, t);
    l->s.max_ni = l->s.max_nj = tx_num(p, p->period);
    for (int k = 0; k < l->nterms; k++)
        c->summed[l->term[k].block] = c->summed[l->term[k].block] || !l->term[k].values;
    for (int k = 0; k < l->nblocks; k++)
        prepare_state(c, &l->block[k], k);
    if (c->walks)
        c->tally = tile_buf_add(p, "tally", kept ? BUF_STATE : BUF_LOCAL, ELEM_ACC,
                                state_planes(c), tx_num(p, 1), tx_num(p, 1));
    make_partial_sums(c);
    (c->walks ? scan_walk_phases : scan_pair_phases)(c, &phases);
    if (l->ntables) /* which tables there are is known now */
        linear_add_table_phase(l, &tables);
    stmt_splice(&tables, &phases);
    p->body = tables.first;
    return p;
}

struct tile_prog *
schedule_scan(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d)
{
    return build(a, f, t, d, false);
}

struct tile_prog *
schedule_step(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d)
{
    struct tile_prog *p = build(a, f, t, d, true);
    tile_compact(p);
    return p;
}
