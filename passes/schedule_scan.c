/* Schedule `scan`: kernelized and causal, in linear time.
 *
 *     phase b, state head, feature group:       S = 0
 *         for chunk of positions:
 *             part[queries] = phi(Q) S          what the keys before the chunk contribute
 *             S += phi(K)' [V 1]
 *     phase b, head, query chunk:
 *         acc = sum of part over the groups
 *         P[j,i] = sim where visible            the keys of the chunk itself, pair by pair
 *         acc += P' V, out = acc / den
 *
 * The states of different features never meet, so a head whose rows are too few to occupy a machine
 * is split by features: each group of them walks all chunks with its part of the state and leaves
 * partial sums, which the second phase adds in a fixed order. No work is done twice, as it would be
 * if the chunks of one head were walked by several workers, and how many groups there are depends
 * on the sizes alone, so results do not depend on the number of threads. Query heads that share a
 * key head share its state and the features of its keys.
 *
 * Chunk t holds the query rows [tC, tC + C) and the keys at the same positions; keys before the
 * first query come in chunks with negative t and no queries. */
#include <math.h>

#include "passes/linear.h"
#include "passes/rewrite.h"

enum { WANTED_TASKS = 8 }; /* of the first phase, if the features can be split that far */

struct scan {
    struct linear l;
    bool kept;     /* the states are the caller's, from call to call */
    bool per_head; /* one state per query head */
    uint32_t var_b, var_h, var_g;
    tx_ref heads, group;     /* states per batch; query heads that share one */
    tx_ref groups;           /* tasks per state */
    tx_ref first;            /* position of query row 0: n - n_q */
    uint32_t num, den, seen; /* partial sums of each (b, query head, group) */
    int counter;             /* the block that counts visible keys */
};

static tx_ref
add(struct scan *c, tx_ref a, tx_ref b)
{
    return tx_op2(c->l.s.p, TX_ADD, a, b);
}

static tx_ref
mul(struct scan *c, tx_ref a, tx_ref b)
{
    return tx_op2(c->l.s.p, TX_MUL, a, b);
}

static struct tile_stmt *
stmt_v(struct scan *c, enum tile_op op, tile_view a, tile_view b)
{
    struct tile_stmt *s = tile_stmt_new(c->l.s.p, op);
    s->v[0] = a;
    s->v[1] = b;
    return s;
}

/* ---- states ---- */

/* Table rows and parts of a block with rotated features; false for other kinds. */
static bool
rotated_parts(struct scan *c, const struct block *b, tx_ref *rows, tx_ref *step, tx_ref *width)
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
        b->parts = one;
        b->local = true;
        c->per_head = c->per_head || depends_on_head(l->s.f, b->key) ||
                      (b->decay && depends_on_head(l->s.f, b->decay));
        if (rotated_parts(c, b, &rows, &step, &width))
            b->parts = tx_op2(p, TX_CDIV, rows, step);
        most = tx_op2(p, TX_MAX, most, b->parts);
    }
    tx_ref h = tx_dim(p, DIM_H), g = tx_dim(p, DIM_G);
    c->heads = c->per_head ? h : g;
    c->group = c->per_head ? one : tx_op2(p, TX_FDIV, h, tx_op2(p, TX_MAX, one, g));
    tx_ref tasks = tx_op2(p, TX_MAX, one, mul(c, tx_dim(p, DIM_B), c->heads));
    tx_ref wanted = tx_op2(p, TX_CDIV, tx_num(p, WANTED_TASKS), tasks);
    c->groups = tx_op2(p, TX_MAX, one, tx_op2(p, TX_MIN, wanted, most));
}

/* The part of a block's state that one group owns. */
static void
prepare_state(struct scan *c, struct block *b, int index)
{
    struct linear *l = &c->l;
    struct tile_prog *p = l->s.p;
    tx_ref rows, step, width, count = b->count, one = tx_num(p, 1);
    b->per_head = c->per_head;
    if (rotated_parts(c, b, &rows, &step, &width)) {
        tx_ref per = mul(c, tx_op2(p, TX_CDIV, b->parts, c->groups), step);
        b->row_lo = tx_op2(p, TX_MIN, rows, mul(c, tx_var(p, c->var_g), per));
        b->row_hi = tx_op2(p, TX_MIN, rows, add(c, b->row_lo, per));
        b->base = mul(c, b->row_lo, width);
        count = mul(c, per, width);
    }
    enum tile_buf_kind kind = c->kept ? BUF_STATE : BUF_LOCAL;
    tx_ref planes = c->kept ? mul(c, mul(c, tx_dim(p, DIM_B), c->heads), c->groups) : one;
    if (b->matrix)
        b->state = tile_buf_add(p, arena_printf(p->arena, "state%d", index), kind, ELEM_ACC, planes,
                                count, tx_dim(p, DIM_M));
    if (b->vector)
        b->z = tile_buf_add(p, arena_printf(p->arena, "z%d", index), kind, ELEM_ACC, planes, one,
                            count);
}

static void
make_partial_sums(struct scan *c)
{
    struct tile_prog *p = c->l.s.p;
    tx_ref one = tx_num(p, 1), nq = tx_dim(p, DIM_NQ);
    tx_ref planes = mul(c, mul(c, tx_dim(p, DIM_B), tx_dim(p, DIM_H)), c->groups);
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
    enum { STATE_MOVE = 16, SMALLEST = 32 };
    const struct linear *l = &c->l;
    int64_t d = l->s.f->dims[DIM_D].size, m = l->s.f->dims[DIM_M].size, features = 0, n;
    bool channels = false;
    for (int k = 0; k < l->nblocks; k++) {
        channels = channels || (l->block[k].decay && ir_vector_axes(l->s.f, l->block[k].decay));
        if (!tx_is_num(l->s.p, l->block[k].count, &n) || !d || !m)
            features = -1;
        features = features < 0 ? -1 : features + n;
    }
    if (t->chunk != schedule_default_tuning.chunk)
        return t->chunk;
    if (channels) /* a decay per channel costs a power per pair and channel */
        return SMALLEST / 2;
    if (features < 0)
        return t->chunk;
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

/* The current queries' rows of a partial sum of one group, as a matrix or as a row. */
static tile_view
partial_view(struct scan *c, uint32_t buf, tx_ref group)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), h = add(c, mul(c, s->at[0], tx_dim(p, DIM_H)), s->at[1]);
    tx_ref plane = add(c, mul(c, h, c->groups), group);
    if (buf == c->num)
        return linear_shared_view(&c->l, buf, plane, s->at[2], zero, s->ni, tx_dim(p, DIM_M));
    return linear_shared_view(&c->l, buf, plane, zero, s->at[2], tx_num(p, 1), s->ni);
}

/* ---- first phase: along the chunks ---- */

/* Positions of the chunk whose first query row is `row` (negative before the first query). */
static void
set_chunk(struct scan *c, tx_ref row)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), next = add(c, row, s->max_ni), from = add(c, c->first, row);
    s->at[2] = tx_op2(p, TX_MAX, row, zero);
    s->ni = tx_op2(p, TX_MAX, zero,
                   tx_op2(p, TX_SUB, tx_op2(p, TX_MIN, tx_dim(p, DIM_NQ), next), s->at[2]));
    s->at[3] = tx_op2(p, TX_MAX, from, zero);
    tx_ref to = tx_op2(p, TX_MIN, tx_dim(p, DIM_N), add(c, c->first, next));
    s->nj = tx_op2(p, TX_MAX, zero, tx_op2(p, TX_SUB, to, s->at[3]));
}

/* Puts what belongs to group 0 alone under a condition. */
static void
add_for_group(struct scan *c, const struct block *b, struct stmt_list *work, struct stmt_list *out)
{
    struct tile_prog *p = c->l.s.p;
    if (b->kind == BLOCK_ROTATED || !work->first) {
        stmt_splice(out, work);
        return;
    }
    struct tile_stmt *only = tile_stmt_new(p, TILE_if);
    only->x[0] = tx_var(p, c->var_g);
    only->x[1] = tx_num(p, 1);
    only->body = work->first;
    stmt_add(out, only);
}

/* seen += z of the counter, for every query. */
static void
read_counter(struct scan *c, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    const struct block *b = &c->l.block[c->counter];
    tile_view ones = view_of(local_buf(s, "a", one, s->max_ni), zero, zero, one, s->ni, zero);
    struct stmt_list work = {0};
    stmt_add(&work, stmt_v(c, TILE_ones, ones, (tile_view){0}));
    struct tile_stmt *m = stmt_v(c, TILE_matmul, partial_view(c, c->seen, tx_var(p, c->var_g)),
                                 linear_z_view(&c->l, b, zero, zero, one));
    m->v[2] = ones;
    stmt_add(&work, m);
    add_for_group(c, b, &work, out);
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
    tx_ref lo = mul(c, state, c->group);
    sched_start(s, &mixed);
    s->at[1] = tx_var(p, var);
    tile_view sums = partial_view(c, c->num, g), den = partial_view(c, c->den, g);
    stmt_add(&body, stmt_v(c, TILE_zero, sums, (tile_view){0}));
    stmt_add(&body, stmt_v(c, TILE_zero, den, (tile_view){0}));
    stmt_add(&body, stmt_v(c, TILE_zero, partial_view(c, c->seen, g), (tile_view){0}));
    for (int k = 0; k < c->l.nterms; k++) {
        struct stmt_list work = {0};
        if (done[k])
            continue;
        linear_read_terms(&c->l, k, done, sums, den, &work);
        stmt_splice(&body, &s->query);
        add_for_group(c, &c->l.block[c->l.term[k].block], &work, &tiles);
    }
    read_counter(c, &tiles);
    stmt_splice(&body, &tiles);
    stmt_add(out, stmt_for(s, var, lo, add(c, lo, c->group), tx_num(p, 1), &body));
}

/* S += phi(K)' [V 1] */
static void
update_chunk(struct scan *c, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct stmt_list all = {0}, mixed = {0}, none = {0};
    sched_start(s, &mixed);
    s->at[1] = mul(c, tx_var(p, c->var_h), c->group);
    for (int k = 0; k < c->l.nblocks; k++) {
        struct block *b = &c->l.block[k];
        struct stmt_list work = {0};
        tx_ref rows, step, width, zero = tx_num(p, 0);
        linear_decay_state(&c->l, b, &work);
        if (rotated_parts(c, b, &rows, &step, &width)) {
            uint32_t var = tile_var_add(p, arena_printf(p->arena, "t%u", p->nvars));
            struct stmt_list part = {0};
            linear_key_part(&c->l, b, zero, tx_var(p, var), &part, &none, &none);
            /* a group without rows starts where they end, which may be within a part */
            stmt_add(&work, stmt_for(s, var, tx_op2(p, TX_CDIV, b->row_lo, step),
                                     tx_op2(p, TX_CDIV, b->row_hi, step), tx_num(p, 1), &part));
        } else {
            linear_key_part(&c->l, b, zero, zero, &work, &none, &none);
        }
        stmt_splice(out, &s->query);
        stmt_splice(out, &s->key);
        add_for_group(c, b, &work, &all);
    }
    stmt_splice(out, &all);
}

static void
add_state_phase(struct scan *c, struct stmt_list *phases)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0}, chunk = {0};
    tx_ref zero = tx_num(p, 0), h = tx_var(p, c->var_h);
    uint32_t var = tile_var_add(p, "chunk");
    s->at[0] = tx_var(p, c->var_b);
    s->hk = h;
    if (c->per_head)
        s->hk = tx_op2(p, TX_FDIV, mul(c, h, tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    if (c->kept)
        c->l.plane = add(c, mul(c, add(c, mul(c, s->at[0], c->heads), h), c->groups),
                         tx_var(p, c->var_g));
    for (int k = 0; k < c->l.nblocks && !c->kept; k++) {
        uint32_t buf[2] = {c->l.block[k].state, c->l.block[k].z};
        for (int i = 0; i < 2; i++)
            if (buf[i])
                stmt_add(&body, stmt_v(c, TILE_zero, view_all(s, buf[i]), (tile_view){0}));
    }
    set_chunk(c, tx_var(p, var));
    read_chunk(c, &chunk);
    update_chunk(c, &chunk);
    tx_ref before = tx_op2(p, TX_CDIV, tx_op2(p, TX_MAX, c->first, zero), s->max_ni);
    tx_ref lo = c->kept ? zero : tx_op2(p, TX_SUB, zero, mul(c, before, s->max_ni));
    stmt_add(&body, stmt_for(s, var, lo, tx_dim(p, DIM_NQ), s->max_ni, &chunk));
    ph->var[0] = c->var_b;
    ph->var[1] = c->var_h;
    ph->var[2] = c->var_g;
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = c->heads;
    ph->x[2] = c->groups;
    ph->body = body.first;
    stmt_add(phases, ph);
}

/* ---- second phase: inside the chunks ---- */

/* dst = sum over the groups of their partial sums. */
static void
gather_parts(struct scan *c, uint32_t buf, tile_view dst, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "g%u", p->nvars));
    struct stmt_list body = {0};
    stmt_add(out, stmt_v(c, TILE_zero, dst, (tile_view){0}));
    stmt_add(&body, stmt_v(c, TILE_add, dst, partial_view(c, buf, tx_var(p, var))));
    stmt_add(out, stmt_for(s, var, tx_num(p, 0), c->groups, tx_num(p, 1), &body));
}

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

/* True if n is computed through joined, outer or monomial vectors. */
static bool
has_features(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_cat || x->op == IR_outer || x->op == IR_mono)
        return true;
    for (int k = 0; k < x->nargs; k++)
        if (has_features(f, x->arg[k]))
            return true;
    return false;
}

/* The similarity of one pair as it costs least: as written, or by its dots if it was written by
 * features. */
static ir_ref
pair_similarity(const struct ir_func *f)
{
    bool by_dots = f->root[ROOT_PAIR] && has_features(f, f->root[ROOT_SIM]);
    return by_dots ? f->root[ROOT_PAIR] : f->root[ROOT_SIM];
}

/* acc += P' V for the chunk's own keys; inf and NaN reach only the rows that see them. */
static void
add_pairs(struct scan *c, tile_view acc, tile_view den, tile_view count)
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
    stmt_add(s->mixed, stmt_v(c, TILE_clean, clean, v));
    struct tile_stmt *m = stmt_v(c, TILE_matmul, acc, p);
    m->v[2] = clean;
    m->num[0] = 1;
    stmt_add(s->mixed, m);
    struct tile_stmt *x = stmt_v(c, TILE_patch, acc, p);
    x->v[2] = v;
    x->v[3] = seen;
    stmt_add(s->mixed, x);
}

static void
add_output(struct scan *c, tile_view acc, tile_view den, tile_view count, struct stmt_list *out)
{
    struct sched *s = &c->l.s;
    struct ir_func *f = s->f;
    sched_start(s, out);
    s->at[3] = tx_num(s->p, 0);
    hold(s, f->root[ROOT_NUM], acc, AX_i, AX_m);
    hold(s, c->l.block[c->counter].vector, count, AX_UNIT, AX_i);
    if (f->root[ROOT_DEN])
        hold(s, f->root[ROOT_DEN], den, AX_UNIT, AX_i);
    schedule_output(s, view_arg(s, 3, s->at[2], s->ni), out);
}

static void
add_pair_phase(struct scan *c, struct stmt_list *phases)
{
    struct sched *s = &c->l.s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0}, mixed = {0};
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1), m = tx_dim(p, DIM_M);
    ph->var[0] = tile_var_add(p, "b");
    ph->var[1] = tile_var_add(p, "h");
    ph->var[2] = tile_var_add(p, "t");
    sched_start(s, &mixed);
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->hk = tx_op2(p, TX_FDIV, mul(c, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    set_chunk(c, mul(c, tx_var(p, ph->var[2]), s->max_ni));
    tile_view acc = view_of(local_buf(s, "acc", s->max_ni, m), zero, zero, s->ni, m, zero);
    tile_view den = view_of(local_buf(s, "den", one, s->max_ni), zero, zero, one, s->ni, zero);
    tile_view count = view_of(local_buf(s, "seen", one, s->max_ni), zero, zero, one, s->ni, zero);
    gather_parts(c, c->num, acc, &body);
    gather_parts(c, c->den, den, &body);
    gather_parts(c, c->seen, count, &body);
    add_pairs(c, acc, den, count);
    stmt_splice(&body, &s->query);
    stmt_splice(&body, &s->key);
    stmt_splice(&body, &mixed);
    add_output(c, acc, den, count, &body);
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = tx_dim(p, DIM_H);
    ph->x[2] = tx_op2(p, TX_CDIV, tx_dim(p, DIM_NQ), s->max_ni);
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
    prepare_groups(c);
    l->s.max_ni = l->s.max_nj = tx_num(p, chunk_size(c, t));
    for (int k = 0; k < l->nblocks; k++)
        prepare_state(c, &l->block[k], k);
    make_partial_sums(c);
    add_state_phase(c, &phases);
    add_pair_phase(c, &phases);
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
