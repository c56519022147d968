/* Schedule `linear`: kernelized, every query sees every key.
 *
 *     phase table:                             rotation tables of the monomials (degree >= 2)
 *     phase b, key head, feature block:
 *         for key chunk:  F[j,f] = phi(K);     state[f,m] += F' V;  z[f] += sum F
 *     phase b, head, query chunk:
 *         for feature block: F[i,f] = phi(Q);  acc[i,m] += F state;  den += F z
 *         out = acc / den
 *
 * The feature map is never stored: a block of it exists for one chunk of tokens. In the key phase
 * each task owns a block of features and walks all keys, so the state needs no reduction between
 * threads and the result does not depend on their number; a block of state stays in L1.
 * Monomials of degree p >= 2 come in rotation order: row t of the table gives D features
 * x[a]*x[a+s2]*..., full-width multiplications without remainder. */
#include "passes/linear.h"

enum { CHUNK = 64 }; /* a block of features of so many tokens, and their values, fill 128 KB */

/* acc += A state (or den += A z) for one term; F was formed by the caller. */
static struct tile_stmt *
read_out(struct linear *l, const struct term *t, tile_view features, bool across, tile_view acc,
         tx_ref at, tx_ref count)
{
    const struct block *b = &l->block[t->block];
    tx_ref plane = linear_query_plane(l, b);
    struct tile_stmt *m = tile_stmt_new(l->s.p, t->values || across ? TILE_matmul : TILE_rowdot);
    m->v[0] = acc;
    m->v[1] = features;
    if (t->values) {
        m->v[2] = linear_state_view(l, b, plane, at, count);
        m->num[0] = across; /* one number per query, stored as a row */
    } else {
        m->v[2] = linear_z_view(l, b, plane, at, count);
        if (across) { /* den[1, i] += z[1,1] * row[1, i] */
            m->v[1] = m->v[2];
            m->v[2] = features;
        }
    }
    return m;
}

/* den += A for a term that sums nothing. */
static void
query_alone(struct linear *l, const struct term *t, tile_view den, struct stmt_list *out)
{
    struct sched *s = &l->s;
    tx_ref one = tx_num(s->p, 1);
    s->mixed = out;
    struct tile_stmt *m = map_new(s, TILE_mapsum, (tile_view){0}, t->query, AX_UNIT, AX_i, one,
                                  s->ni);
    m->v[1] = den;
    stmt_splice(out, &s->query);
    stmt_add(out, m);
}

/* The factor of all features of a rotated block: the query's, and what of the key's is the same for
 * all keys if that was not put into the sums. *weighted: so do the monomials' weights. */
static ir_ref
query_scale(struct linear *l, const struct block *b, ir_ref scale, bool *weighted)
{
    ir_ref key_scale;
    if (!l->running)
        return scale;
    const struct ir_node mono = l->s.f->nodes[linear_split_scale(l, b->key, b->axis, &key_scale)];
    *weighted = *weighted || mono.attr.id == 1;
    if (!key_scale || ir_side_of(l->s.f, key_scale) == SIDE_KEY)
        return scale;
    return scale ? ir_op2(l->s.f, IR_mul, scale, key_scale, nowhere) : key_scale;
}

/* Rotated features: rows [lo, hi) of the table. */
static void
rotated_queries(struct linear *l, const struct term *t, tx_ref lo, struct stmt_list *work,
                struct query_features *q)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    const struct block *b = &l->block[t->block];
    ir_ref scale, v = linear_split_scale(l, t->query, b->axis, &scale);
    const struct ir_node mono = s->f->nodes[v];
    bool weighted = mono.attr.id == 1;
    scale = query_scale(l, b, scale, &weighted);
    tx_ref width = tx_axis(p, mono.attr.axis), step = linear_rows_per_part(l, &mono);
    tx_ref rows = b->row_hi ? b->row_hi : tx_rows(p, width, mono.attr.num);
    tx_ref hi = tx_op2(p, TX_MIN, rows, tx_op2(p, TX_ADD, lo, step));
    q->at = tx_op2(p, TX_MUL, lo, width);
    q->count = tx_op2(p, TX_MUL, tx_op2(p, TX_SUB, hi, lo), width);
    q->tile = local_tile(s, "f", true, s->max_ni, tx_op2(p, TX_MUL, step, width), s->ni, q->count);
    tile_view doubled = linear_doubled_tile(l, mono.arg[0], mono.attr.axis, false);
    stmt_add(work, linear_features_new(l, &mono, q->tile, doubled, lo, hi, weighted));
    if (!scale)
        return;
    bool neutral = ir_side_of(s->f, scale) == SIDE_NEUTRAL;
    struct tile_stmt *r = tile_stmt_new(p, neutral ? TILE_scale : TILE_rowscale);
    r->v[0] = q->tile;
    r->v[1] = scalar_row(s, scale);
    stmt_add(work, r);
}

struct query_features
linear_query_features(struct linear *l, const struct term *t, tx_ref lo, struct stmt_list *work)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    const struct block *b = &l->block[t->block];
    tx_ref one = tx_num(p, 1);
    struct query_features q = {.at = tx_num(p, 0), .count = b->count};
    ir_ref query = t->query ? t->query : ir_const_i(s->f, 1, 1, nowhere);
    if (b->kind == BLOCK_ONE) {
        q.tile = local_tile(s, "a", true, one, s->max_ni, one, s->ni);
        stmt_add(work, map_new(s, TILE_map, q.tile, query, AX_UNIT, AX_i, one, s->ni));
    } else if (b->kind == BLOCK_ROTATED) {
        rotated_queries(l, t, lo, work, &q);
    } else { /* in the order the key side was summed in */
        q.tile = b->kind == BLOCK_VECTOR ? vector_tile(s, t->query, b->axis)
                                         : linear_whole_tile(l, t->query, b->axis, false);
    }
    q.tile = linear_decay_features(l, b, query, false, q.tile, work);
    return q;
}

/* Both terms (num and den) that share a query factor and a block read the same features. */
void
linear_read_terms(struct linear *l, int first, bool *done, tile_view acc, tile_view den,
                  struct stmt_list *out)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    const struct term *t = &l->term[first];
    const struct block *b = &l->block[t->block];
    tx_ref zero = tx_num(p, 0), lo = zero;
    struct stmt_list work = {0};
    uint32_t var = 0;
    bool across = b->kind == BLOCK_ONE, loop = b->kind == BLOCK_ROTATED;
    s->mixed = &work;
    if (loop) {
        var = tile_var_add(p, arena_printf(p->arena, "r%u", p->nvars));
        lo = tx_var(p, var);
    }
    struct query_features q = linear_query_features(l, t, lo, &work);
    for (int k = first; k < l->nterms; k++) {
        if (l->term[k].block != t->block || l->term[k].query != t->query || done[k])
            continue;
        done[k] = true;
        stmt_add(&work, read_out(l, &l->term[k], q.tile, across, l->term[k].values ? acc : den,
                                 q.at, q.count));
    }
    if (loop) {
        ir_ref scale;
        const struct ir_node mono = s->f->nodes[linear_split_scale(l, t->query, b->axis, &scale)];
        tx_ref rows = b->row_hi ? b->row_hi
                                : tx_rows(p, tx_axis(p, mono.attr.axis), mono.attr.num);
        stmt_add(out, stmt_for(s, var, b->row_lo ? b->row_lo : zero, rows,
                               linear_rows_per_part(l, &mono), &work));
    } else {
        stmt_splice(out, &work);
    }
}

static void
add_zero(struct linear *l, tile_view v, struct stmt_list *list)
{
    struct tile_stmt *z = tile_stmt_new(l->s.p, TILE_zero);
    z->v[0] = v;
    stmt_add(list, z);
}

/* Sums over keys that the output uses directly (the count of visible keys) are read as they are. */
static void
hold_plain_sums(struct linear *l)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1), zero = tx_num(p, 0);
    for (int k = 0; k < l->nblocks; k++) {
        const struct block *b = &l->block[k];
        if (b->kind != BLOCK_ONE || !b->vector)
            continue;
        hold(s, b->vector, linear_z_view(l, b, linear_query_plane(l, b), zero, one), AX_UNIT,
             AX_UNIT);
    }
}

static void
add_query_phase(struct linear *l, struct stmt_list *phases)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct ir_func *f = s->f;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0}, init = {0};
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1), m = tx_dim(p, DIM_M);
    bool done[MAX_TERMS] = {false};
    ph->var[0] = tile_var_add(p, "b");
    ph->var[1] = tile_var_add(p, "h");
    ph->var[2] = tile_var_add(p, "t");
    sched_start(s, NULL);
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->at[2] = tx_op2(p, TX_MUL, tx_var(p, ph->var[2]), s->max_ni);
    s->at[3] = zero;
    s->ni = tx_op2(p, TX_MIN, s->max_ni, tx_op2(p, TX_SUB, tx_dim(p, DIM_NQ), s->at[2]));
    s->hk = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    tile_view acc = view_of(local_buf(s, "acc", s->max_ni, m), zero, zero, s->ni, m, zero);
    tile_view den = view_of(local_buf(s, "den", one, s->max_ni), zero, zero, one, s->ni, zero);
    add_zero(l, acc, &init);
    add_zero(l, den, &init);
    for (int k = 0; k < l->nterms; k++)
        if (l->term[k].block < 0)
            query_alone(l, &l->term[k], den, &body);
        else if (!done[k]) {
            struct stmt_list work = {0};
            linear_read_terms(l, k, done, acc, den, &work);
            stmt_splice(&body, &s->query);
            stmt_splice(&body, &work);
        }
    hold(s, f->root[ROOT_NUM], acc, AX_i, AX_m);
    hold_plain_sums(l);
    if (f->root[ROOT_DEN])
        hold(s, f->root[ROOT_DEN], den, AX_UNIT, AX_i);
    schedule_results(s, &body);
    stmt_splice(&init, &body);
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = tx_dim(p, DIM_H);
    ph->x[2] = tx_op2(p, TX_CDIV, tx_dim(p, DIM_NQ), s->max_ni);
    ph->body = init.first;
    stmt_add(phases, ph);
}

int
linear_add_plain_sums(struct linear *l)
{
    struct ir_func *f = l->s.f;
    ir_ref sums[MAX_TERMS];
    bool values;
    int n = f->root[ROOT_ANY] ? outer_key_sums(f, f->root[ROOT_ANY], sums, MAX_TERMS) : 0, b = -1;
    for (int k = 0; k < n; k++)
        b = linear_block_of(l, sums[k], AX_UNIT, &values);
    return b;
}

struct tile_prog *
schedule_linear(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d)
{
    struct tile_prog *p = tile_new(a, f, "forward", "linear");
    struct linear *l = ARENA_NEW(a, struct linear);
    struct stmt_list phases = {0};
    l->s = (struct sched){.p = p, .f = f, .d = d, .t = t};
    p->period = t->chunk ? t->chunk : CHUNK;
    l->s.max_ni = l->s.max_nj = tx_num(p, p->period);
    l->key_mask = f->root[ROOT_MASK];
    linear_add_terms(l, f->root[ROOT_NUM]);
    if (f->root[ROOT_DEN])
        linear_add_terms(l, f->root[ROOT_DEN]);
    linear_add_plain_sums(l);
    for (int k = 0; k < l->nblocks; k++)
        linear_prepare_block(l, &l->block[k]);
    linear_make_states(l);
    linear_add_key_phase(l, false, &phases);
    linear_add_key_phase(l, true, &phases);
    add_query_phase(l, &phases);
    if (l->ntables) {
        struct stmt_list all = {0};
        linear_add_table_phase(l, &all);
        stmt_splice(&all, &phases);
        phases = all;
    }
    p->body = phases.first;
    return p;
}

struct tile_prog *
schedule_forward(struct arena *a, struct ir_func *f, const struct schedule_tuning *t,
                 struct diag *d)
{
    struct tile_prog *p = f->contraction          ? schedule_contract(a, f, t, d)
                          : !schedule_is_linear(f) ? schedule_stream(a, f, t, d)
                          : schedule_has_scan(f) ? schedule_scan(a, f, t, d)
                                                 : schedule_linear(a, f, t, d);
    if (p)
        tile_compact(p);
    return p;
}
