/* Schedule `linear`: the rewritten function as terms and blocks of features, and their tiles. */
#include "passes/linear.h"

/* ---- reading the rewritten function ---- */

static bool
is_key_side_sum(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    return x->op == IR_scan ||
           (x->op == IR_rsum && x->attr.axis == AX_j && !(f->nodes[x->arg[0]].axes >> AX_i & 1));
}

bool
schedule_is_linear(const struct ir_func *f)
{
    ir_ref sums[MAX_TERMS];
    int n = result_key_sums(f, sums, MAX_TERMS);
    if (f->kernelize == KERNELIZE_NONE || n > MAX_TERMS)
        return false;
    for (int k = 0; k < n; k++)
        if (!is_key_side_sum(f, sums[k]))
            return false;
    return true;
}

bool
schedule_has_scan(const struct ir_func *f)
{
    ir_ref sums[MAX_TERMS];
    int n = result_key_sums(f, sums, MAX_TERMS);
    for (int k = 0; k < n && k < MAX_TERMS; k++)
        if (f->nodes[sums[k]].op == IR_scan)
            return true;
    return false;
}

/* The block of features behind rsum[j](B * v) or rsum[j](B); found or made. */
int
linear_block_of(struct linear *l, ir_ref sum, uint8_t axis, bool *values)
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
    ir_ref decay = f->nodes[sum].op == IR_scan ? f->nodes[sum].arg[1] : 0;
    if (decay && ir_is_const(f, decay, 1))
        decay = 0;
    int b = 0;
    while (b < l->nblocks && !(l->block[b].key == key && l->block[b].axis == axis &&
                               l->block[b].decay == decay))
        b++;
    if (b == l->nblocks) {
        if (b == MAX_BLOCKS)
            ICE("more than %d groups of features", MAX_BLOCKS);
        l->block[l->nblocks++] = (struct block){.key = key, .axis = axis, .decay = decay};
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
    t->block = sum ? linear_block_of(l, sum, axis, &t->values) : -1;
    t->query = m ? product_of(f, query, m) : 0;
}

void
linear_add_terms(struct linear *l, ir_ref n)
{
    const struct ir_node *x = &l->s.f->nodes[n];
    if (x->op == IR_add) {
        linear_add_terms(l, x->arg[0]);
        linear_add_terms(l, l->s.f->nodes[n].arg[1]);
    } else {
        add_term(l, n);
    }
}

/* ---- features ---- */

/* The factors of a feature expression: token scalars and constants, and at most one structure. */
ir_ref
linear_split_scale(struct linear *l, ir_ref n, uint8_t axis, ir_ref *scale)
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

enum block_kind
linear_kind_of(struct linear *l, ir_ref n, uint8_t axis)
{
    ir_ref scale;
    if (axis == AX_UNIT)
        return BLOCK_ONE;
    const struct ir_node *x = &l->s.f->nodes[linear_split_scale(l, n, axis, &scale)];
    bool rotates = x->op == IR_mono && x->attr.num >= 2 && x->attr.id != 2;
    return rotates ? BLOCK_ROTATED : x->op == IR_outer ? BLOCK_OUTER : BLOCK_VECTOR;
}

uint32_t
linear_table_for(struct linear *l, uint8_t axis, int degree)
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

tx_ref
linear_feature_count(struct linear *l, ir_ref n, uint8_t axis)
{
    struct ir_func *f = l->s.f;
    ir_ref scale;
    if (axis == AX_UNIT)
        return tx_num(l->s.p, 1);
    ir_ref v = linear_split_scale(l, n, axis, &scale);
    const struct ir_node *x = &f->nodes[v];
    if (linear_kind_of(l, n, axis) == BLOCK_ROTATED)
        return rotated_count(l, x);
    if (x->op == IR_outer) {
        tx_ref a = linear_feature_count(l, x->arg[0], x->attr.axis);
        return tx_op2(l->s.p, TX_MUL, a,
                      linear_feature_count(l, f->nodes[v].arg[1], f->nodes[v].attr.axis2));
    }
    return tx_axis(l->s.p, axis);
}

static struct stmt_list *
side_list(struct linear *l, ir_ref n)
{
    return ir_side_of(l->s.f, n) == SIDE_KEY ? &l->s.key : &l->s.query;
}

/* The vector twice in a row, for rotated reads; kept per chunk. */
tile_view
linear_doubled_tile(struct linear *l, ir_ref n, uint8_t axis, bool key)
{
    struct sched *s = &l->s;
    tx_ref size = tx_axis(s->p, axis);
    tx_ref twice = tx_op2(s->p, TX_ADD, size, size), rows = key ? s->nj : s->ni;
    tile_view dst = local_tile(s, "w", !key, key ? s->max_nj : s->max_ni, twice, rows, twice);
    struct tile_stmt *d = tile_stmt_new(s->p, TILE_double);
    d->v[0] = dst;
    if (s->f->nodes[n].op == IR_input)
        d->v[1] = view_arg(s, key ? 1 : 0, s->at[key ? 3 : 2], rows);
    else
        d->v[1] = vector_tile(s, n, axis);
    stmt_add(side_list(l, n), d);
    return dst;
}

struct tile_stmt *
linear_features_new(struct linear *l, const struct ir_node *mono, tile_view dst, tile_view doubled,
             tx_ref lo, tx_ref hi, bool weighted)
{
    struct tile_stmt *t = tile_stmt_new(l->s.p, TILE_features);
    uint32_t table = linear_table_for(l, mono->attr.axis, mono->attr.num);
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
tile_view
linear_whole_tile(struct linear *l, ir_ref n, uint8_t axis, bool key)
{
    struct sched *s = &l->s;
    ir_ref scale, v = linear_split_scale(l, n, axis, &scale);
    const struct ir_node x = s->f->nodes[v];
    enum block_kind kind = linear_kind_of(l, n, axis);
    tx_ref zero = tx_num(s->p, 0), count = linear_feature_count(l, n, axis),
           rows = key ? s->nj : s->ni;
    if (kind == BLOCK_VECTOR)
        return vector_tile(s, n, axis);
    tile_view dst = local_tile(s, "f", !key, key ? s->max_nj : s->max_ni, count, rows, count);
    if (kind == BLOCK_ROTATED) {
        tile_view doubled = linear_doubled_tile(l, x.arg[0], x.attr.axis, key);
        tx_ref all = tx_rows(s->p, tx_axis(s->p, x.attr.axis), x.attr.num);
        stmt_add(side_list(l, n),
                 linear_features_new(l, &x, dst, doubled, zero, all, x.attr.id == 1));
    } else {
        struct tile_stmt *o = tile_stmt_new(s->p, TILE_outer);
        o->v[0] = dst;
        o->v[1] = linear_whole_tile(l, x.arg[0], x.attr.axis, key);
        o->v[2] = linear_whole_tile(l, x.arg[1], x.attr.axis2, key);
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

void
linear_add_table_phase(struct linear *l, struct stmt_list *phases)
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
    for (int k = 0; k < 3; k++)
        ph->x[k] = tx_num(p, 1);
    ph->body = body.first;
    stmt_add(phases, ph);
}
