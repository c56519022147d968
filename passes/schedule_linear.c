/* Schedule `linear`: kernelized, every query sees every key.
 *
 *     phase table:                      rotation tables of the monomials (degree >= 2)
 *     phase b, key head, feature block: for key chunk:  F[j,f] = phi(K);  state[f,m] += F' V;  z[f] += sum F
 *     phase b, head, query chunk:       for feature block: F[i,f] = phi(Q); acc[i,m] += F state; den += F z
 *                                       out = acc / den
 *
 * The feature map is never stored: a block of it exists for one chunk of tokens. In the key phase each
 * task owns a block of features and walks all keys, so the state needs no reduction between
 * threads and the result does not depend on their number; a block of state stays in L1.
 * Monomials of degree p >= 2 come in rotation order: row t of the table gives D features
 * x[a]*x[a+s2]*..., full-width multiplications without remainder. */
#include "passes/schedule.h"

enum { MAX_BLOCKS = 64, MAX_TERMS = 96 };

enum block_kind {
    BLOCK_ONE,     /* one number per token */
    BLOCK_VECTOR,  /* a vector expression as it stands */
    BLOCK_ROTATED, /* monomials of degree >= 2 of one vector */
    BLOCK_OUTER    /* products of the entries of two feature vectors */
};

/* One group of features: the key-side node and what is summed from it. */
struct block {
    ir_ref key;              /* B: [j] or [j, f] */
    uint8_t axis;            /* f, AX_UNIT for BLOCK_ONE */
    enum block_kind kind;
    ir_ref matrix, vector;   /* rsum[j](B*v), rsum[j](B); 0 when not needed */
    uint32_t state, z;       /* shared buffers */
    bool per_head;           /* one state per query head, not per key head */
    tx_ref count, parts;     /* features; tasks */
};

/* One term of num or den: query factor times what was summed over keys. */
struct term {
    ir_ref query;            /* A: [i] or [i, f]; 0: the number 1 */
    int block;               /* -1: A alone (the sum of a constant over keys is n times it) */
    bool values;
};

struct linear {
    struct sched s;
    struct block block[MAX_BLOCKS];
    int nblocks;
    struct term term[MAX_TERMS];
    int nterms;
    struct { int degree; uint8_t axis; uint32_t buf; } table[16];
    int ntables;
    ir_ref key_mask;         /* a mask that depends on the key alone, or 0 */
};

static const span_t nowhere = {0, 0};

/* ---- reading the rewritten function ---- */

static bool
is_key_side_sum(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    return x->op == IR_rsum && x->attr.axis == AX_j && !(f->nodes[x->arg[0]].axes >> AX_i & 1);
}

bool
schedule_is_linear(const struct ir_func *f)
{
    ir_ref sums[MAX_TERMS];
    int n = outer_key_sums(f, f->root[ROOT_OUT], sums, MAX_TERMS);
    if (f->kernelize == KERNELIZE_NONE || n > MAX_TERMS)
        return false;
    for (int k = 0; k < n; k++)
        if (!is_key_side_sum(f, sums[k]))
            return false;
    return true;
}

/* The block of features behind rsum[j](B * v) or rsum[j](B); found or made. */
static int
block_of(struct linear *l, ir_ref sum, uint8_t axis, bool *values)
{
    struct ir_func *f = l->s.f;
    ir_ref fac[32], rest[32];
    int n = product_factors(f, f->nodes[sum].arg[0], fac, 32), m = 0;
    *values = false;
    for (int k = 0; k < n; k++) {
        const struct ir_node *x = &f->nodes[fac[k]];
        if (x->op == IR_input && x->attr.num == 2 && !*values)
            *values = true;
        else
            rest[m++] = fac[k];
    }
    ir_ref key = product_of(f, rest, m);
    int b = 0;
    while (b < l->nblocks && !(l->block[b].key == key && l->block[b].axis == axis))
        b++;
    if (b == l->nblocks) {
        if (b == MAX_BLOCKS)
            ICE("more than %d groups of features", MAX_BLOCKS);
        l->block[l->nblocks++] = (struct block){.key = key, .axis = axis};
    }
    *(*values ? &l->block[b].matrix : &l->block[b].vector) = sum;
    return b;
}

/* One summand of num or den, as A * rsum[j](B [v]) possibly under rsum[f]. */
static void
add_term(struct linear *l, ir_ref n)
{
    struct ir_func *f = l->s.f;
    uint8_t axis = AX_UNIT;
    if (f->nodes[n].op == IR_rsum && f->nodes[n].attr.axis != AX_j) {
        axis = f->nodes[n].attr.axis;
        n = f->nodes[n].arg[0];
    }
    ir_ref fac[32], query[32], sum = 0;
    int nf = product_factors(f, n, fac, 32), m = 0;
    for (int k = 0; k < nf; k++) {
        if (!sum && is_key_side_sum(f, fac[k]))
            sum = fac[k];
        else
            query[m++] = fac[k];
    }
    if (l->nterms == MAX_TERMS)
        ICE("more than %d terms", MAX_TERMS);
    struct term *t = &l->term[l->nterms++];
    t->block = sum ? block_of(l, sum, axis, &t->values) : -1;
    t->query = m ? product_of(f, query, m) : 0;
}

static void
add_terms(struct linear *l, ir_ref n)
{
    const struct ir_node *x = &l->s.f->nodes[n];
    if (x->op == IR_add) {
        add_terms(l, x->arg[0]);
        add_terms(l, l->s.f->nodes[n].arg[1]);
    } else {
        add_term(l, n);
    }
}

/* ---- features ---- */

/* The factors of a feature expression: token scalars and constants, and at most one structure. */
static ir_ref
split_scale(struct linear *l, ir_ref n, uint8_t axis, ir_ref *scale)
{
    struct ir_func *f = l->s.f;
    ir_ref fac[32], scalars[32], vectors[32];
    int nf = product_factors(f, n, fac, 32), ns = 0, nv = 0;
    for (int k = 0; k < nf; k++) {
        if (axis != AX_UNIT && (f->nodes[fac[k]].axes >> axis & 1))
            vectors[nv++] = fac[k];
        else
            scalars[ns++] = fac[k];
    }
    *scale = ns ? product_of(f, scalars, ns) : 0;
    return nv ? product_of(f, vectors, nv) : 0;
}

static enum block_kind
kind_of(struct linear *l, ir_ref n, uint8_t axis)
{
    ir_ref scale;
    if (axis == AX_UNIT)
        return BLOCK_ONE;
    const struct ir_node *x = &l->s.f->nodes[split_scale(l, n, axis, &scale)];
    bool rotates = x->op == IR_mono && x->attr.num >= 2 && x->attr.id != 2;
    return rotates ? BLOCK_ROTATED : x->op == IR_outer ? BLOCK_OUTER : BLOCK_VECTOR;
}

static uint32_t
table_for(struct linear *l, uint8_t axis, int degree)
{
    struct sched *s = &l->s;
    for (int k = 0; k < l->ntables; k++)
        if (l->table[k].degree == degree && l->table[k].axis == axis)
            return l->table[k].buf;
    if (l->ntables == 16)
        ICE("more than 16 monomial tables");
    tx_ref size = tx_axis(s->p, axis), rows = tx_rows(s->p, size, degree);
    const char *name = arena_printf(s->p->arena, "rot%d", l->ntables);
    uint32_t b = tile_buf_add(s->p, name, BUF_SHARED, ELEM_TABLE, tx_num(s->p, 1), rows,
                              tx_num(s->p, degree));
    l->table[l->ntables].degree = degree;
    l->table[l->ntables].axis = axis;
    l->table[l->ntables++].buf = b;
    return b;
}

/* Rotated features take size*rows columns. */
static tx_ref
rotated_count(struct linear *l, const struct ir_node *mono)
{
    struct tile_prog *p = l->s.p;
    tx_ref size = tx_axis(p, mono->attr.axis);
    return tx_op2(p, TX_MUL, tx_rows(p, size, mono->attr.num), size);
}

static tx_ref
feature_count(struct linear *l, ir_ref n, uint8_t axis)
{
    struct ir_func *f = l->s.f;
    ir_ref scale;
    if (axis == AX_UNIT)
        return tx_num(l->s.p, 1);
    ir_ref v = split_scale(l, n, axis, &scale);
    const struct ir_node *x = &f->nodes[v];
    if (kind_of(l, n, axis) == BLOCK_ROTATED)
        return rotated_count(l, x);
    if (x->op == IR_outer) {
        tx_ref a = feature_count(l, x->arg[0], x->attr.axis);
        return tx_op2(l->s.p, TX_MUL, a, feature_count(l, f->nodes[v].arg[1], f->nodes[v].attr.axis2));
    }
    return tx_axis(l->s.p, axis);
}

static struct stmt_list *
side_list(struct linear *l, ir_ref n)
{
    return ir_side_of(l->s.f, n) == SIDE_KEY ? &l->s.key : &l->s.query;
}

/* The vector twice in a row, for rotated reads; kept per chunk. */
static tile_view
doubled_tile(struct linear *l, ir_ref n, uint8_t axis, bool key)
{
    struct sched *s = &l->s;
    tx_ref zero = tx_num(s->p, 0), size = tx_axis(s->p, axis);
    tx_ref twice = tx_op2(s->p, TX_ADD, size, size), rows = key ? s->nj : s->ni;
    uint32_t buf = local_buf(s, "w", key ? s->max_nj : s->max_ni, twice);
    tile_view dst = view_of(buf, zero, zero, rows, twice, zero);
    struct tile_stmt *d = tile_stmt_new(s->p, TILE_double);
    d->v[0] = dst;
    if (s->f->nodes[n].op == IR_input)
        d->v[1] = view_arg(s, key ? 1 : 0, s->at[key ? 3 : 2], rows);
    else
        d->v[1] = vector_tile(s, n, axis);
    stmt_add(side_list(l, n), d);
    return dst;
}

static struct tile_stmt *
features_new(struct linear *l, const struct ir_node *mono, tile_view dst, tile_view doubled, tx_ref lo,
             tx_ref hi, bool weighted)
{
    struct tile_stmt *t = tile_stmt_new(l->s.p, TILE_features);
    uint32_t table = table_for(l, mono->attr.axis, mono->attr.num);
    t->v[0] = dst;
    t->v[1] = doubled;
    t->v[2] = view_all(&l->s, table);
    t->x[0] = lo;
    t->x[1] = hi;
    t->x[2] = tx_axis(l->s.p, mono->attr.axis);
    t->num[0] = mono->attr.num;
    t->num[1] = weighted;
    return t;
}

/* All features of n for the current chunk, unblocked (parts of outer products; plain vectors). */
static tile_view
whole_tile(struct linear *l, ir_ref n, uint8_t axis, bool key)
{
    struct sched *s = &l->s;
    ir_ref scale, v = split_scale(l, n, axis, &scale);
    const struct ir_node x = s->f->nodes[v];
    enum block_kind kind = kind_of(l, n, axis);
    tx_ref zero = tx_num(s->p, 0), count = feature_count(l, n, axis), rows = key ? s->nj : s->ni;
    if (kind == BLOCK_VECTOR)
        return vector_tile(s, n, axis);
    uint32_t buf = local_buf(s, "f", key ? s->max_nj : s->max_ni, count);
    tile_view dst = view_of(buf, zero, zero, rows, count, zero);
    if (kind == BLOCK_ROTATED) {
        tile_view doubled = doubled_tile(l, x.arg[0], x.attr.axis, key);
        tx_ref all = tx_rows(s->p, tx_axis(s->p, x.attr.axis), x.attr.num);
        stmt_add(side_list(l, n), features_new(l, &x, dst, doubled, zero, all, x.attr.id == 1));
    } else {
        struct tile_stmt *o = tile_stmt_new(s->p, TILE_outer);
        o->v[0] = dst;
        o->v[1] = whole_tile(l, x.arg[0], x.attr.axis, key);
        o->v[2] = whole_tile(l, x.arg[1], x.attr.axis2, key);
        stmt_add(side_list(l, n), o);
    }
    if (scale) {
        bool neutral = ir_side_of(s->f, scale) == SIDE_NEUTRAL;
        struct tile_stmt *r = tile_stmt_new(s->p, neutral ? TILE_scale : TILE_rowscale);
        r->v[0] = dst;
        r->v[1] = scalar_row(s, scale);
        stmt_add(side_list(l, n), r);
    }
    return dst;
}

/* ---- phases ---- */

static void
add_table_phase(struct linear *l, struct stmt_list *phases)
{
    struct tile_prog *p = l->s.p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0};
    for (int k = 0; k < l->ntables; k++) {
        struct tile_stmt *t = tile_stmt_new(p, TILE_table);
        t->v[0] = view_all(&l->s, l->table[k].buf);
        t->x[0] = tx_axis(p, l->table[k].axis);
        t->num[0] = l->table[k].degree;
        stmt_add(&body, t);
    }
    for (int k = 0; k < 3; k++) {
        ph->var[k] = tile_var_add(p, "once");
        ph->x[k] = tx_num(p, 1);
    }
    ph->body = body.first;
    stmt_add(phases, ph);
}

/* Rows of the rotation table per task of the key phase. */
static tx_ref
rows_per_part(struct linear *l, const struct ir_node *mono)
{
    struct tile_prog *p = l->s.p;
    tx_ref want = tx_op2(p, TX_FDIV, tx_num(p, l->s.t->feature_block), tx_axis(p, mono->attr.axis));
    return tx_op2(p, TX_MAX, tx_num(p, 1), want);
}

static const struct ir_node *
mono_of(struct linear *l, ir_ref n, uint8_t axis)
{
    ir_ref scale;
    return &l->s.f->nodes[split_scale(l, n, axis, &scale)];
}

static void
prepare_block(struct linear *l, struct block *b, int index)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    b->kind = kind_of(l, b->key, b->axis);
    b->count = feature_count(l, b->key, b->axis);
    b->per_head = depends_on_head(s->f, b->key);
    b->parts = tx_num(p, 1);
    if (b->kind == BLOCK_ROTATED) {
        const struct ir_node mono = *mono_of(l, b->key, b->axis);
        tx_ref rows = tx_rows(p, tx_axis(p, mono.attr.axis), mono.attr.num);
        b->parts = tx_op2(p, TX_CDIV, rows, rows_per_part(l, &mono));
        table_for(l, mono.attr.axis, mono.attr.num);
    }
    tx_ref heads = tx_dim(p, b->per_head ? DIM_H : DIM_G);
    tx_ref planes = tx_op2(p, TX_MUL, tx_dim(p, DIM_B), heads);
    if (b->matrix)
        b->state = tile_buf_add(p, arena_printf(p->arena, "state%d", index), BUF_SHARED, ELEM_ACC,
                                planes, b->count, tx_dim(p, DIM_M));
    if (b->vector)
        b->z = tile_buf_add(p, arena_printf(p->arena, "z%d", index), BUF_SHARED, ELEM_ACC, planes,
                            tx_num(p, 1), b->count);
}

/* Columns [col, col+cols) of z, or rows of the state, of the current plane. */
static tile_view
shared_view(struct linear *l, uint32_t buf, tx_ref plane, tx_ref row, tx_ref col, tx_ref rows,
            tx_ref cols)
{
    tile_view v = view_of(buf, row, col, rows, cols, tx_num(l->s.p, 0));
    v.b = plane;
    return v;
}

/* V of the current chunk, with rows that a key mask hides zeroed (0 * NaN must not leak). */
static tile_view
visible_values(struct linear *l)
{
    struct sched *s = &l->s;
    struct ir_func *f = s->f;
    if (!l->key_mask)
        return value_tile(s);
    ir_ref v = ir_select(f, l->key_mask, ir_input(f, 2, nowhere), ir_const_i(f, 0, 1, nowhere), nowhere);
    return vector_tile(s, v, AX_m);
}

/* F for the key chunk and what is summed from it, for one block; appended to `work`. */
static void
key_block_body(struct linear *l, struct block *b, tx_ref plane, tx_ref part, struct stmt_list *work,
               struct stmt_list *before, struct stmt_list *after)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1), m = tx_dim(p, DIM_M);
    tx_ref at = zero, count = b->count;
    tile_view features = {0}, table = {0};
    ir_ref scale = 0;
    tx_ref lo = 0, width = 0;
    if (b->kind == BLOCK_ROTATED) {
        ir_ref v = split_scale(l, b->key, b->axis, &scale);
        const struct ir_node mono = s->f->nodes[v];
        width = tx_axis(p, mono.attr.axis);
        tx_ref step = rows_per_part(l, &mono), rows = tx_rows(p, width, mono.attr.num);
        lo = tx_op2(p, TX_MUL, part, step);
        tx_ref hi = tx_op2(p, TX_MIN, rows, tx_op2(p, TX_ADD, lo, step));
        at = tx_op2(p, TX_MUL, lo, width);
        count = tx_op2(p, TX_MUL, tx_op2(p, TX_SUB, hi, lo), width);
        uint32_t buf = local_buf(s, "f", s->max_nj, tx_op2(p, TX_MUL, step, width));
        features = view_of(buf, zero, zero, s->nj, count, zero);
        tile_view doubled = doubled_tile(l, mono.arg[0], mono.attr.axis, true);
        struct tile_stmt *t = features_new(l, &mono, features, doubled, lo, hi, false);
        if (mono.attr.id == 1)
            table = t->v[2];
        stmt_add(work, t);
    } else if (b->kind != BLOCK_ONE) {
        features = whole_tile(l, b->key, b->axis, true);
    }
    bool one_row = b->kind == BLOCK_ONE;
    tile_view row = one_row ? scalar_row(s, b->key) : (tile_view){0};
    if (one_row && ir_side_of(s->f, b->key) == SIDE_NEUTRAL) { /* a constant: one per key */
        row = view_of(local_buf(s, "c", one, s->max_nj), zero, zero, one, s->nj, zero);
        stmt_add(&s->key, map_new(s, TILE_map, row, b->key, AX_UNIT, AX_j, one, s->nj));
    }
    if (scale && ir_side_of(s->f, scale) == SIDE_KEY) {
        struct tile_stmt *r = tile_stmt_new(p, TILE_rowscale);
        r->v[0] = features;
        r->v[1] = scalar_row(s, scale);
        stmt_add(work, r);
        scale = 0;
    }
    tile_view st = b->matrix ? shared_view(l, b->state, plane, at, zero, count, m) : (tile_view){0};
    tile_view z = b->vector ? shared_view(l, b->z, plane, zero, at, one, count) : (tile_view){0};
    tile_view both[2] = {st, z};
    for (int k = 0; k < 2; k++) {
        if (!both[k].buf)
            continue;
        struct tile_stmt *c = tile_stmt_new(p, TILE_zero);
        c->v[0] = both[k];
        stmt_add(before, c);
    }
    if (b->matrix) {
        struct tile_stmt *mm = tile_stmt_new(p, TILE_matmul);
        mm->v[0] = st;
        mm->v[1] = one_row ? row : features;
        mm->v[2] = visible_values(l);
        mm->num[0] = !one_row;
        stmt_add(work, mm);
    }
    if (b->vector) {
        struct tile_stmt *c;
        if (one_row) {
            c = map_new(s, TILE_rowsum, z, b->key, AX_UNIT, AX_j, one, s->nj);
        } else {
            c = tile_stmt_new(p, TILE_colsum);
            c->v[0] = z;
            c->v[1] = features;
        }
        stmt_add(work, c);
    }
    /* what is the same for all keys is applied once, to the sums */
    for (int k = 0; k < 2; k++) {
        if (!both[k].buf)
            continue;
        if (table.buf) {
            struct tile_stmt *w = tile_stmt_new(p, TILE_weights);
            w->v[0] = both[k];
            w->v[1] = table;
            w->x[0] = lo;
            w->x[1] = width;
            w->num[0] = k; /* 1: features run along the columns */
            stmt_add(after, w);
        }
        if (scale) {
            struct tile_stmt *c = tile_stmt_new(p, TILE_scale);
            tile_view sc = scalar_row(s, scale);
            c->v[0] = both[k];
            c->v[1] = sc;
            stmt_add(after, c);
        }
    }
}

/* if (first <= part < end) { before; chunk loop; after } */
static struct tile_stmt *
key_block(struct linear *l, struct block *b, tx_ref plane, tx_ref part, tx_ref first, tx_ref end)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct stmt_list work = {0}, before = {0}, after = {0}, body = {0}, all = {0};
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "j%u", p->nvars));
    s->nheld = 0;
    s->query = s->key = (struct stmt_list){0};
    s->mixed = &work;
    s->at[3] = tx_var(p, var);
    s->nj = tx_op2(p, TX_MIN, s->max_nj, tx_op2(p, TX_SUB, tx_dim(p, DIM_N), s->at[3]));
    key_block_body(l, b, plane, tx_op2(p, TX_SUB, part, first), &work, &before, &after);
    stmt_splice(&body, &s->key);
    stmt_splice(&body, &work);
    stmt_splice(&all, &s->query);
    stmt_splice(&all, &before);
    stmt_add(&all, stmt_for(s, var, tx_num(p, 0), tx_dim(p, DIM_N), s->max_nj, &body));
    stmt_splice(&all, &after);
    struct tile_stmt *below = tile_stmt_new(p, TILE_if), *above = tile_stmt_new(p, TILE_if);
    below->x[0] = part;
    below->x[1] = end;
    below->body = above;
    above->x[0] = first;
    above->x[1] = tx_op2(p, TX_ADD, part, tx_num(p, 1));
    above->body = all.first;
    return below;
}

/* All blocks of one kind of head (per key head, or per query head) in one phase. */
static void
add_key_phase(struct linear *l, bool per_head, struct stmt_list *phases)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0};
    tx_ref first = tx_num(p, 0), heads = tx_dim(p, per_head ? DIM_H : DIM_G);
    ph->var[0] = tile_var_add(p, arena_printf(p->arena, "b%u", p->nvars));
    ph->var[1] = tile_var_add(p, arena_printf(p->arena, "h%u", p->nvars));
    ph->var[2] = tile_var_add(p, arena_printf(p->arena, "t%u", p->nvars));
    s->at[0] = tx_var(p, ph->var[0]);
    s->at[1] = tx_var(p, ph->var[1]);
    s->at[2] = tx_num(p, 0);
    s->hk = s->at[1];
    if (per_head)
        s->hk = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, s->at[1], tx_dim(p, DIM_G)), tx_dim(p, DIM_H));
    tx_ref plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, s->at[0], heads), s->at[1]);
    for (int k = 0; k < l->nblocks; k++) {
        struct block *b = &l->block[k];
        if (b->per_head != per_head)
            continue;
        tx_ref end = tx_op2(p, TX_ADD, first, b->parts);
        stmt_add(&body, key_block(l, b, plane, tx_var(p, ph->var[2]), first, end));
        first = end;
    }
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = heads;
    ph->x[2] = first;
    ph->body = body.first;
    if (body.first)
        stmt_add(phases, ph);
}

/* acc += A state (or den += A z) for one term; F was formed by the caller. */
static struct tile_stmt *
read_out(struct linear *l, const struct term *t, tile_view features, bool across, tile_view acc, tx_ref at,
         tx_ref count)
{
    struct tile_prog *p = l->s.p;
    const struct block *b = &l->block[t->block];
    tx_ref heads = tx_dim(p, b->per_head ? DIM_H : DIM_G), zero = tx_num(p, 0), one = tx_num(p, 1);
    tx_ref head = b->per_head ? l->s.at[1] : l->s.hk;
    tx_ref plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, l->s.at[0], heads), head);
    struct tile_stmt *m = tile_stmt_new(p, t->values || across ? TILE_matmul : TILE_rowdot);
    m->v[0] = acc;
    m->v[1] = features;
    if (t->values) {
        m->v[2] = shared_view(l, b->state, plane, at, zero, count, tx_dim(p, DIM_M));
        m->num[0] = across; /* one number per query, stored as a row */
    } else {
        m->v[2] = shared_view(l, b->z, plane, zero, at, one, count);
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
    struct tile_stmt *m = map_new(s, TILE_mapsum, (tile_view){0}, t->query, AX_UNIT, AX_i, one, s->ni);
    m->v[1] = den;
    stmt_splice(out, &s->query);
    stmt_add(out, m);
}

/* Both terms (num and den) that share a query factor and a block read the same features. */
static void
query_block(struct linear *l, int first, bool *done, tile_view acc, tile_view den, struct stmt_list *out)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    const struct term *t = &l->term[first];
    const struct block *b = &l->block[t->block];
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    struct stmt_list work = {0};
    tile_view f;
    tx_ref at = zero, count = b->count, lo = 0, step = 0, rows = 0;
    uint32_t var = 0;
    bool across = b->kind == BLOCK_ONE, loop = b->kind == BLOCK_ROTATED;
    s->mixed = &work;
    if (across) {
        ir_ref one_node = t->query ? t->query : ir_const_i(s->f, 1, 1, nowhere);
        f = view_of(local_buf(s, "a", one, s->max_ni), zero, zero, one, s->ni, zero);
        stmt_add(&work, map_new(s, TILE_map, f, one_node, AX_UNIT, AX_i, one, s->ni));
    } else if (loop) {
        ir_ref scale, v = split_scale(l, t->query, b->axis, &scale);
        const struct ir_node mono = s->f->nodes[v];
        var = tile_var_add(p, arena_printf(p->arena, "r%u", p->nvars));
        tx_ref width = tx_axis(p, mono.attr.axis);
        step = rows_per_part(l, &mono);
        rows = tx_rows(p, width, mono.attr.num);
        lo = tx_var(p, var);
        tx_ref hi = tx_op2(p, TX_MIN, rows, tx_op2(p, TX_ADD, lo, step));
        at = tx_op2(p, TX_MUL, lo, width);
        count = tx_op2(p, TX_MUL, tx_op2(p, TX_SUB, hi, lo), width);
        uint32_t buf = local_buf(s, "f", s->max_ni, tx_op2(p, TX_MUL, step, width));
        f = view_of(buf, zero, zero, s->ni, count, zero);
        tile_view doubled = doubled_tile(l, mono.arg[0], mono.attr.axis, false);
        stmt_add(&work, features_new(l, &mono, f, doubled, lo, hi, mono.attr.id == 1));
        if (scale) {
            struct tile_stmt *r = tile_stmt_new(p, TILE_rowscale);
            bool neutral = ir_side_of(s->f, scale) == SIDE_NEUTRAL;
            r->op = neutral ? TILE_scale : TILE_rowscale;
            r->v[0] = f;
            r->v[1] = scalar_row(s, scale);
            stmt_add(&work, r);
        }
    } else { /* in the order the key side was summed in */
        f = b->kind == BLOCK_VECTOR ? vector_tile(s, t->query, b->axis) : whole_tile(l, t->query, b->axis, false);
    }
    for (int k = first; k < l->nterms; k++) {
        if (l->term[k].block != t->block || l->term[k].query != t->query || done[k])
            continue;
        done[k] = true;
        stmt_add(&work, read_out(l, &l->term[k], f, across, l->term[k].values ? acc : den, at, count));
    }
    stmt_splice(out, &s->query);
    if (loop)
        stmt_add(out, stmt_for(s, var, zero, rows, step, &work));
    else
        stmt_splice(out, &work);
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
        tx_ref heads = tx_dim(p, b->per_head ? DIM_H : DIM_G), head = b->per_head ? s->at[1] : s->hk;
        tx_ref plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, s->at[0], heads), head);
        hold(s, b->vector, shared_view(l, b->z, plane, zero, zero, one, one), AX_UNIT, AX_UNIT);
    }
}

static void
add_query_phase(struct linear *l, struct stmt_list *phases)
{
    struct sched *s = &l->s;
    struct tile_prog *p = s->p;
    struct ir_func *f = s->f;
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    struct stmt_list body = {0}, init = {0}, tail = {0};
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1), m = tx_dim(p, DIM_M);
    bool done[MAX_TERMS] = {false};
    ph->var[0] = tile_var_add(p, "b");
    ph->var[1] = tile_var_add(p, "h");
    ph->var[2] = tile_var_add(p, "t");
    s->nheld = 0;
    s->query = s->key = (struct stmt_list){0};
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
        else if (!done[k])
            query_block(l, k, done, acc, den, &body);
    hold(s, f->root[ROOT_NUM], acc, AX_i, AX_m);
    hold_plain_sums(l);
    if (f->root[ROOT_DEN])
        hold(s, f->root[ROOT_DEN], den, AX_UNIT, AX_i);
    if (f->root[ROOT_DEN] && f->normalize_is_sum) {
        struct tile_stmt *c = tile_stmt_new(p, TILE_checkzero);
        c->v[0] = den;
        for (int k = 0; k < 4; k++)
            c->at[k] = s->at[k];
        stmt_add(&tail, c);
    }
    s->mixed = &tail;
    struct tile_stmt *out = map_new(s, TILE_map, view_arg(s, 3, s->at[2], s->ni), f->root[ROOT_OUT], AX_i,
                                    AX_m, s->ni, m);
    stmt_splice(&body, &s->query);
    stmt_splice(&body, &tail);
    stmt_add(&body, out);
    stmt_splice(&init, &body);
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = tx_dim(p, DIM_H);
    ph->x[2] = tx_op2(p, TX_CDIV, tx_dim(p, DIM_NQ), s->max_ni);
    ph->body = init.first;
    stmt_add(phases, ph);
}

/* Sums the output reads outside num and den become blocks without terms. */
static void
add_plain_sums(struct linear *l)
{
    struct ir_func *f = l->s.f;
    ir_ref sums[MAX_TERMS];
    bool values;
    int n = f->root[ROOT_ANY] ? outer_key_sums(f, f->root[ROOT_ANY], sums, MAX_TERMS) : 0;
    for (int k = 0; k < n; k++)
        block_of(l, sums[k], AX_UNIT, &values);
}

struct tile_prog *
schedule_linear(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d)
{
    struct tile_prog *p = tile_new(a, f, "forward", "linear");
    struct linear *l = ARENA_NEW(a, struct linear);
    struct stmt_list phases = {0};
    l->s = (struct sched){.p = p, .f = f, .d = d, .t = t};
    l->s.max_ni = l->s.max_nj = tx_num(p, t->chunk);
    l->key_mask = f->root[ROOT_MASK];
    add_terms(l, f->root[ROOT_NUM]);
    if (f->root[ROOT_DEN])
        add_terms(l, f->root[ROOT_DEN]);
    add_plain_sums(l);
    for (int k = 0; k < l->nblocks; k++)
        prepare_block(l, &l->block[k], k);
    add_key_phase(l, false, &phases);
    add_key_phase(l, true, &phases);
    add_query_phase(l, &phases);
    if (l->ntables) {
        struct stmt_list all = {0};
        add_table_phase(l, &all);
        stmt_splice(&all, &phases);
        phases = all;
    }
    p->body = phases.first;
    return p;
}

struct tile_prog *
schedule_forward(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d)
{
    return schedule_is_linear(f) ? schedule_linear(a, f, t, d) : schedule_stream(a, f, t, d);
}
