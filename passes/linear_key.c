/* Schedule `linear`: the phases that walk the keys and sum features times values. */
#include "passes/linear.h"

/* Rows of the rotation table per task of the key phase. */
tx_ref
linear_rows_per_part(struct linear *l, const struct ir_node *mono)
{
    struct tile_prog *p = l->s.p;
    tx_ref want = tx_op2(p, TX_FDIV, tx_num(p, l->s.t->feature_block), tx_axis(p, mono->attr.axis));
    return tx_op2(p, TX_MAX, tx_num(p, 1), want);
}

static const struct ir_node *
mono_of(struct linear *l, ir_ref n, uint8_t axis)
{
    ir_ref scale;
    return &l->s.f->nodes[linear_split_scale(l, n, axis, &scale)];
}

void
linear_prepare_block(struct linear *l, struct block *b)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    b->kind = linear_kind_of(l, b->key, b->axis);
    b->count = linear_feature_count(l, b->key, b->axis);
    b->per_head = depends_on_head(s->f, b->key);
    b->parts = tx_num(p, 1);
    if (b->kind == BLOCK_ROTATED) {
        const struct ir_node mono = *mono_of(l, b->key, b->axis);
        tx_ref rows = tx_rows(p, tx_axis(p, mono.attr.axis), mono.attr.num);
        b->parts = tx_op2(p, TX_CDIV, rows, linear_rows_per_part(l, &mono));
        linear_table_for(l, mono.attr.axis, mono.attr.num);
    }
}

/* Tasks of a key phase: at least so many, if there are that many blocks of tokens to share. */
enum { WANTED_TASKS = 8, SPLIT_CHUNKS = 4 };

static tx_ref
heads_of(struct linear *l, bool per_head)
{
    return tx_dim(l->s.p, per_head ? DIM_H : DIM_G);
}

void
linear_make_states(struct linear *l)
{
    struct tile_prog *p = l->s.p;
    tx_ref one = tx_num(p, 1), zero = tx_num(p, 0), parts[2] = {zero, zero};
    tx_ref least = tx_op2(p, TX_MUL, tx_num(p, SPLIT_CHUNKS), l->s.max_nj);
    for (int k = 0; k < l->nblocks; k++)
        parts[l->block[k].per_head] = tx_op2(p, TX_ADD, parts[l->block[k].per_head],
                                             l->block[k].parts);
    for (int k = 0; k < 2; k++) {
        tx_ref tasks = tx_op2(p, TX_MUL, tx_op2(p, TX_MUL, tx_dim(p, DIM_B), heads_of(l, k)),
                              parts[k]);
        tx_ref want = tx_op2(p, TX_CDIV, tx_num(p, WANTED_TASKS), tx_op2(p, TX_MAX, one, tasks));
        tx_ref most = tx_op2(p, TX_FDIV, tx_dim(p, DIM_N), least);
        l->splits[k] = tx_op2(p, TX_MAX, one, tx_op2(p, TX_MIN, want, most));
    }
    for (int k = 0; k < l->nblocks; k++) {
        struct block *b = &l->block[k];
        tx_ref planes = tx_op2(p, TX_MUL, tx_dim(p, DIM_B), heads_of(l, b->per_head));
        planes = tx_op2(p, TX_MUL, planes, l->splits[b->per_head]);
        if (b->matrix)
            b->state = tile_buf_add(p, arena_printf(p->arena, "state%d", k), BUF_SHARED, ELEM_ACC,
                                    planes, b->count, tx_dim(p, DIM_M));
        if (b->vector)
            b->z = tile_buf_add(p, arena_printf(p->arena, "z%d", k), BUF_SHARED, ELEM_ACC, planes,
                                one, b->count);
    }
}

/* Columns [col, col+cols) of z, or rows of the state, of the current plane. */
tile_view
linear_shared_view(struct linear *l, uint32_t buf, tx_ref plane, tx_ref row, tx_ref col,
                   tx_ref rows, tx_ref cols)
{
    tile_view v = view_of(buf, row, col, rows, cols, tx_num(l->s.p, 0));
    v.b = plane;
    return v;
}

static tx_ref
own_plane(struct linear *l)
{
    return l->plane ? l->plane : tx_num(l->s.p, 0);
}

tile_view
linear_state_view(struct linear *l, const struct block *b, tx_ref plane, tx_ref at, tx_ref count)
{
    struct tile_prog *p = l->s.p;
    tx_ref row = b->base ? tx_op2(p, TX_SUB, at, b->base) : at, zero = tx_num(p, 0);
    return linear_shared_view(l, b->state, b->local ? own_plane(l) : plane, row, zero, count,
                              tx_dim(p, DIM_M));
}

tile_view
linear_z_view(struct linear *l, const struct block *b, tx_ref plane, tx_ref at, tx_ref count)
{
    struct tile_prog *p = l->s.p;
    tx_ref col = b->base ? tx_op2(p, TX_SUB, at, b->base) : at, zero = tx_num(p, 0);
    return linear_shared_view(l, b->z, b->local ? own_plane(l) : plane, zero, col, tx_num(p, 1),
                              count);
}

tx_ref
linear_query_plane(struct linear *l, const struct block *b)
{
    struct tile_prog *p = l->s.p;
    tx_ref plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, l->s.at[0], heads_of(l, b->per_head)),
                          b->per_head ? l->s.at[1] : l->s.hk);
    tx_ref splits = l->splits[b->per_head];
    return splits ? tx_op2(p, TX_MUL, plane, splits) : plane;
}

/* Rows of V up to so long are read in place. Products read longer ones in strips, which do not
 * come from memory like a stream; a copy does. */
enum { IN_PLACE = 64 };

/* V of the current key tile, copied where that is better or vectors could run past its rows. */
static tile_view
value_tile(struct sched *s)
{
    tile_view v = view_arg(s, 2, s->at[3], s->nj);
    int64_t m;
    if (s->f->acc == s->f->type && tx_is_num(s->p, v.cols, &m) && m % TILE_LANES == 0 &&
        m <= IN_PLACE)
        return v;
    tx_ref zero = tx_num(s->p, 0);
    struct tile_stmt *c = tile_stmt_new(s->p, TILE_copy);
    c->v[0] = view_of(local_buf(s, "v", s->max_nj, v.cols), zero, zero, s->nj, v.cols, zero);
    c->v[1] = v;
    stmt_add(&s->key, c);
    return c->v[0];
}

tile_view
linear_visible_values(struct linear *l)
{
    struct sched *s = &l->s;
    struct ir_func *f = s->f;
    if (!l->key_mask)
        return value_tile(s);
    ir_ref v = ir_select(f, l->key_mask, ir_input(f, 2, nowhere), ir_const_i(f, 0, 1, nowhere),
                         nowhere);
    return vector_tile(s, v, AX_m);
}

static struct tile_stmt *
zero_new(struct tile_prog *p, tile_view v)
{
    struct tile_stmt *z = tile_stmt_new(p, TILE_zero);
    z->v[0] = v;
    return z;
}

/* A part of the rotation table: its rows from lo on give the block's features. */
static void
rotated_features(struct linear *l, struct block *b, tx_ref lo, struct stmt_list *work,
                 struct key_features *k)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0);
    const struct ir_node mono = s->f->nodes[linear_split_scale(l, b->key, b->axis, &k->scale)];
    k->width = tx_axis(p, mono.attr.axis);
    tx_ref step = linear_rows_per_part(l, &mono);
    tx_ref rows = b->row_hi ? b->row_hi : tx_rows(p, k->width, mono.attr.num);
    k->lo = lo;
    tx_ref hi = tx_op2(p, TX_MIN, rows, tx_op2(p, TX_ADD, k->lo, step));
    k->at = tx_op2(p, TX_MUL, k->lo, k->width);
    k->count = tx_op2(p, TX_MUL, tx_op2(p, TX_SUB, hi, k->lo), k->width);
    uint32_t buf = local_buf(s, "f", s->max_nj, tx_op2(p, TX_MUL, step, k->width));
    k->tile = view_of(buf, zero, zero, s->nj, k->count, zero);
    tile_view doubled = linear_doubled_tile(l, mono.arg[0], mono.attr.axis, true);
    struct tile_stmt *t = linear_features_new(l, &mono, k->tile, doubled, k->lo, hi, false);
    if (mono.attr.id == 1)
        k->weights = t->v[2];
    stmt_add(work, t);
    if (k->scale && ir_side_of(s->f, k->scale) == SIDE_KEY) {
        struct tile_stmt *r = tile_stmt_new(p, TILE_rowscale);
        r->v[0] = k->tile;
        r->v[1] = scalar_row(s, k->scale);
        stmt_add(work, r);
        k->scale = 0;
    }
}

/* One number per key of the chunk, as a row. */
static tile_view
number_row(struct linear *l, ir_ref n)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    tile_view row = scalar_row(s, n);
    if (ir_side_of(s->f, n) == SIDE_NEUTRAL) { /* a constant: one per key */
        row = view_of(local_buf(s, "c", one, s->max_nj), zero, zero, one, s->nj, zero);
        stmt_add(&s->key, map_new(s, TILE_map, row, n, AX_UNIT, AX_j, one, s->nj));
    }
    return row;
}

/* What is the same for all keys is applied once, to the finished sums v. */
static void
weigh_sums(struct linear *l, const struct key_features *k, tile_view v, bool along_columns,
           struct stmt_list *after)
{
    struct tile_prog *p = l->s.p;
    if (l->running)
        return;
    if (k->weights.buf) {
        struct tile_stmt *w = tile_stmt_new(p, TILE_weights);
        w->v[0] = v;
        w->v[1] = k->weights;
        w->x[0] = k->lo;
        w->x[1] = k->width;
        w->num[0] = along_columns;
        stmt_add(after, w);
    }
    if (k->scale) {
        struct tile_stmt *c = tile_stmt_new(p, TILE_scale);
        tile_view sc = scalar_row(&l->s, k->scale);
        c->v[0] = v;
        c->v[1] = sc;
        stmt_add(after, c);
    }
}

/* v0 += the sum of a row, v0 still to be set. */
static struct tile_stmt *
row_total(struct linear *l, tile_view row, struct stmt_list *work)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    tile_view ones = view_of(local_buf(s, "one", one, s->max_nj), zero, zero, one, s->nj, zero);
    struct tile_stmt *o = tile_stmt_new(p, TILE_ones), *t = tile_stmt_new(p, TILE_rowdot);
    o->v[0] = ones;
    stmt_add(work, o);
    t->v[1] = row;
    t->v[2] = ones;
    return t;
}

struct key_features
linear_key_features(struct linear *l, struct block *b, tx_ref lo, struct stmt_list *work)
{
    struct key_features k = {.at = tx_num(l->s.p, 0), .count = b->count};
    if (b->kind == BLOCK_ROTATED)
        rotated_features(l, b, lo, work, &k);
    else if (b->kind == BLOCK_ONE)
        k.tile = number_row(l, b->key);
    else
        k.tile = linear_whole_tile(l, b->key, b->axis, true);
    k.tile = linear_decay_features(l, b, b->key, true, k.tile, work);
    return k;
}

void
linear_key_part(struct linear *l, struct block *b, tx_ref plane, tx_ref lo,
                struct stmt_list *work, struct stmt_list *before, struct stmt_list *after)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1);
    bool one_row = b->kind == BLOCK_ONE;
    struct key_features k = linear_key_features(l, b, lo, work);
    if (b->matrix) {
        tile_view st = linear_state_view(l, b, plane, k.at, k.count);
        struct tile_stmt *mm = tile_stmt_new(p, TILE_matmul);
        stmt_add(before, zero_new(p, st));
        mm->v[0] = st;
        mm->v[1] = k.tile;
        mm->v[2] = linear_visible_values(l);
        mm->num[0] = !one_row;
        if (b->kind == BLOCK_VECTOR)
            mm->v[3] = view_next_keys(s, 2);
        stmt_add(work, mm);
        weigh_sums(l, &k, st, false, after);
    }
    if (b->vector) {
        tile_view z = linear_z_view(l, b, plane, k.at, k.count);
        struct tile_stmt *c = !one_row ? tile_stmt_new(p, TILE_colsum)
                              : b->decay ? row_total(l, k.tile, work)
                                         : map_new(s, TILE_rowsum, z, b->key, AX_UNIT, AX_j, one,
                                                   s->nj);
        stmt_add(before, zero_new(p, z));
        c->v[0] = z;
        if (!one_row)
            c->v[1] = k.tile;
        stmt_add(work, c);
        weigh_sums(l, &k, z, true, after);
    }
}

/* if (first <= part < end) { before; chunk loop over keys [from, to); after } */
static struct tile_stmt *
key_block(struct linear *l, struct block *b, tx_ref plane, tx_ref part, tx_ref first, tx_ref end,
          tx_ref from, tx_ref to)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct stmt_list work = {0}, before = {0}, after = {0}, body = {0}, all = {0};
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "j%u", p->nvars));
    sched_start(s, &work);
    s->at[3] = tx_var(p, var);
    s->nj = tx_op2(p, TX_MIN, s->max_nj, tx_op2(p, TX_SUB, tx_dim(p, DIM_N), s->at[3]));
    tx_ref number = tx_op2(p, TX_SUB, part, first);
    if (b->kind == BLOCK_ROTATED)
        number = tx_op2(p, TX_MUL, number, linear_rows_per_part(l, mono_of(l, b->key, b->axis)));
    linear_key_part(l, b, plane, number, &work, &before, &after);
    stmt_splice(&body, &s->key);
    stmt_splice(&body, &work);
    stmt_splice(&all, &s->query);
    stmt_splice(&all, &before);
    stmt_add(&all, stmt_for(s, var, from, to, s->max_nj, &body));
    stmt_splice(&all, &after);
    struct stmt_list above = {0};
    stmt_add(&above, stmt_if(s, first, tx_op2(p, TX_ADD, part, tx_num(p, 1)), &all));
    return stmt_if(s, part, end, &above);
}

/* Where split number `split` of the keys begins: at a chunk. */
static tx_ref
split_begin(struct linear *l, tx_ref split, tx_ref splits)
{
    struct tile_prog *p = l->s.p;
    tx_ref chunks = tx_op2(p, TX_CDIV, tx_dim(p, DIM_N), l->s.max_nj);
    tx_ref before = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, chunks, split), splits);
    return tx_op2(p, TX_MIN, tx_dim(p, DIM_N), tx_op2(p, TX_MUL, before, l->s.max_nj));
}

/* Adds the sums of all splits up, in order. */
static void
add_merge_phase(struct linear *l, bool per_head, struct stmt_list *phases)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    tx_ref splits = l->splits[per_head], one = tx_num(p, 1), zero = tx_num(p, 0);
    struct stmt_list body = {0}, sum = {0};
    int64_t known;
    if (tx_is_num(p, splits, &known) && known == 1)
        return;
    for (int k = 0; k < 3; k++)
        ph->var[k] = tile_var_add(p, arena_printf(p->arena, "m%u", p->nvars));
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "s%u", p->nvars));
    tx_ref plane = tx_op2(p, TX_MUL, tx_var(p, ph->var[0]), heads_of(l, per_head));
    plane = tx_op2(p, TX_MUL, tx_op2(p, TX_ADD, plane, tx_var(p, ph->var[1])), splits);
    for (int k = 0; k < l->nblocks; k++) {
        const struct block *b = &l->block[k];
        uint32_t buf[2] = {b->state, b->z};
        for (int i = 0; i < 2 && b->per_head == per_head; i++) {
            if (!buf[i])
                continue;
            struct tile_stmt *a = tile_stmt_new(p, TILE_add);
            tx_ref rows = i ? one : b->count, cols = i ? b->count : tx_dim(p, DIM_M);
            a->v[0] = linear_shared_view(l, buf[i], plane, zero, zero, rows, cols);
            a->v[1] = a->v[0];
            a->v[1].b = tx_op2(p, TX_ADD, plane, tx_var(p, var));
            stmt_add(&sum, a);
        }
    }
    if (!sum.first)
        return;
    stmt_add(&body, stmt_for(s, var, one, splits, one, &sum));
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = heads_of(l, per_head);
    ph->x[2] = tx_op2(p, TX_MIN, one, tx_op2(p, TX_SUB, splits, one));
    ph->body = body.first;
    stmt_add(phases, ph);
}

/* All blocks of one kind of head (per key head, or per query head) in one phase. */
void
linear_add_key_phase(struct linear *l, bool per_head, struct stmt_list *phases)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0};
    tx_ref first = tx_num(p, 0), heads = heads_of(l, per_head), splits = l->splits[per_head];
    ph->var[0] = tile_var_add(p, arena_printf(p->arena, "b%u", p->nvars));
    ph->var[1] = tile_var_add(p, arena_printf(p->arena, "h%u", p->nvars));
    ph->var[2] = tile_var_add(p, arena_printf(p->arena, "t%u", p->nvars));
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->at[2] = tx_num(p, 0);
    s->hk = s->at[1];
    if (per_head)
        s->hk = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    tx_ref task = tx_var(p, ph->var[2]), part = tx_op2(p, TX_FDIV, task, splits);
    tx_ref split = tx_op2(p, TX_SUB, task, tx_op2(p, TX_MUL, part, splits));
    tx_ref from = split_begin(l, split, splits);
    tx_ref to = split_begin(l, tx_op2(p, TX_ADD, split, tx_num(p, 1)), splits);
    tx_ref plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, s->at[0], heads), s->at[1]);
    plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, plane, splits), split);
    for (int k = 0; k < l->nblocks; k++) {
        struct block *b = &l->block[k];
        if (b->per_head != per_head)
            continue;
        tx_ref end = tx_op2(p, TX_ADD, first, b->parts);
        stmt_add(&body, key_block(l, b, plane, part, first, end, from, to));
        first = end;
    }
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = heads;
    ph->x[2] = tx_op2(p, TX_MUL, first, splits);
    ph->body = body.first;
    if (!body.first)
        return;
    stmt_add(phases, ph);
    add_merge_phase(l, per_head, phases);
}
