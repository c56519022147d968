/* The part that all schedule builders share: filling tiles with the values of nodes.
 *
 * A map statement evaluates elementwise nodes, constants, positions, params and inputs by itself;
 * everything else it meets (reductions over a vector, concatenations, monomials, ...) is first put
 * in a tile of its own and bound. One-sided scalars that are costly are bound too, so that they
 * are computed once per token and not once per pair. */
#include "passes/schedule.h"

#include <stdlib.h>
#include <string.h>

const struct schedule_tuning schedule_default_tuning = {
    .query_tile = 64, .key_tile = 128, .chunk = 0, .feature_block = 384};

/* True if the value of n is another for each head of a group: all but that of keys and what they
 * share. */
static bool
per_head(const struct sched *s, ir_ref n)
{
    enum ir_side side = ir_side_of(s->f, n);
    return side & SIDE_QUERY || (side == SIDE_NEUTRAL && depends_on_head(s->f, n));
}

/* ---- lists, views, buffers ---- */

void
stmt_add(struct stmt_list *l, struct tile_stmt *s)
{
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

void
stmt_splice(struct stmt_list *l, struct stmt_list *tail)
{
    if (!tail->first)
        return;
    if (l->last)
        l->last->next = tail->first;
    else
        l->first = tail->first;
    l->last = tail->last;
    *tail = (struct stmt_list){0};
}

struct tile_stmt *
stmt_for(struct sched *s, uint32_t var, tx_ref lo, tx_ref hi, tx_ref step, struct stmt_list *body)
{
    struct tile_stmt *f = tile_stmt_new(s->p, TILE_for);
    f->var[0] = var;
    f->x[0] = lo;
    f->x[1] = hi;
    f->x[2] = step;
    f->body = body->first;
    return f;
}

struct tile_stmt *
stmt_if(struct sched *s, tx_ref lo, tx_ref hi, struct stmt_list *body)
{
    struct tile_stmt *test = tile_stmt_new(s->p, TILE_if);
    test->x[0] = lo;
    test->x[1] = hi;
    test->body = body->first;
    return test;
}

void
stmt_let(struct sched *s, uint32_t var, tx_ref x, struct stmt_list *body)
{
    struct tile_stmt *l = tile_stmt_new(s->p, TILE_let);
    l->var[0] = var;
    l->x[0] = x;
    l->body = body->first;
    *body = (struct stmt_list){l, l};
}

tile_view
view_all(struct sched *s, uint32_t buf)
{
    tx_ref zero = tx_num(s->p, 0);
    return view_of(buf, zero, zero, s->p->bufs[buf].rows, s->p->bufs[buf].cols, zero);
}

tile_view
view_of(uint32_t buf, tx_ref row, tx_ref col, tx_ref rows, tx_ref cols, tx_ref zero)
{
    return (tile_view){.buf = buf, .b = zero, .h = zero, .row = row, .col = col, .rows = rows,
                       .cols = cols};
}

tile_view
view_arg(struct sched *s, uint32_t arg, tx_ref row, tx_ref rows)
{
    uint32_t buf = tile_arg(s->p, arg);
    bool across = s->p->bufs[buf].axes[2] == AX_UNIT; /* tokens are its columns */
    tx_ref zero = tx_num(s->p, 0), one = tx_num(s->p, 1);
    tile_view v = across ? view_of(buf, zero, row, one, rows, 0)
                         : view_of(buf, row, zero, rows, s->p->bufs[buf].cols, 0);
    v.b = s->at[0];
    v.h = arg == 1 || arg == 2 ? s->hk : s->at[1];
    return v;
}

tile_view
view_next_keys(struct sched *s, uint32_t arg)
{
    struct tile_prog *p = s->p;
    tx_ref n = tx_dim(p, DIM_N);
    tx_ref next = tx_op2(p, TX_MIN, n, tx_op2(p, TX_ADD, s->at[3], s->max_nj));
    return view_arg(s, arg, next, tx_op2(p, TX_MIN, tx_op2(p, TX_SUB, n, next), s->max_nj));
}

static uint32_t
new_local(struct sched *s, const char *what, tx_ref planes, tx_ref rows, tx_ref cols)
{
    const char *name = arena_printf(s->p->arena, "%s%d", what, s->names++);
    return tile_buf_add(s->p, name, BUF_LOCAL, ELEM_ACC, planes, rows, cols);
}

uint32_t
local_buf(struct sched *s, const char *what, tx_ref rows, tx_ref cols)
{
    return new_local(s, what, tx_num(s->p, 1), rows, cols);
}

tile_view
local_tile(struct sched *s, const char *what, bool kept, tx_ref max_rows, tx_ref max_cols,
           tx_ref rows, tx_ref cols)
{
    tx_ref zero = tx_num(s->p, 0);
    bool several = kept && s->planes;
    uint32_t buf = new_local(s, what, several ? s->planes : tx_num(s->p, 1), max_rows, max_cols);
    tile_view v = view_of(buf, zero, zero, rows, cols, zero);
    if (several)
        v.b = s->plane;
    return v;
}

/* ---- held nodes ---- */

tile_view
local_pairs(struct sched *s, const char *what)
{
    tx_ref zero = tx_num(s->p, 0);
    if (s->queries == QUERIES_FEW)
        return view_of(local_buf(s, what, tx_num(s->p, FEW_QUERIES), s->max_nj), zero, zero, s->ni,
                       s->nj, zero);
    return view_of(local_buf(s, what, s->max_nj, s->max_ni), zero, zero, s->nj, s->ni, zero);
}

void
sched_start(struct sched *s, struct stmt_list *mixed)
{
    s->nheld = s->nturned = 0;
    s->query = s->key = (struct stmt_list){0};
    s->mixed = mixed;
}

void
hold(struct sched *s, ir_ref node, tile_view view, uint8_t row_axis, uint8_t col_axis)
{
    if (s->nheld >= SCHED_MAX_HELD)
        ICE("more than %d tiles held at once", SCHED_MAX_HELD);
    s->held[s->nheld++] = (struct tile_bind){node, view, row_axis, col_axis};
}

const struct tile_bind *
held_find(const struct sched *s, ir_ref node)
{
    for (uint32_t k = s->nheld; k-- > 0;)
        if (s->held[k].node == node)
            return &s->held[k];
    return NULL;
}

/* ---- looking at nodes ---- */

int
product_factors(const struct ir_func *f, ir_ref n, ir_ref *out, int max)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op != IR_mul || max < 2) {
        out[0] = n;
        return 1;
    }
    int k = product_factors(f, x->arg[0], out, max - 1);
    return k + product_factors(f, x->arg[1], out + k, max - k);
}

ir_ref
product_of(struct ir_func *f, const ir_ref *factors, int n)
{
    ir_ref r = n ? factors[0] : ir_const_i(f, 1, 1, (span_t){0, 0});
    for (int k = 1; k < n; k++)
        r = ir_op2(f, IR_mul, r, factors[k],
                   span_join(f->nodes[r].span, f->nodes[factors[k]].span));
    return r;
}

static bool
is_key_sum(const struct ir_node *x)
{
    return x->op == IR_scan || ((x->op == IR_rsum || x->op == IR_rmax) && x->attr.axis == AX_j);
}

static ir_ref
subst_walk(struct ir_func *f, ir_ref n, ir_ref from, ir_ref to, ir_ref *memo)
{
    if (n == 0 || n == from)
        return n ? to : 0;
    if (is_key_sum(&f->nodes[n]))
        return n;
    if (memo[n])
        return memo[n];
    ir_ref arg[3] = {0, 0, 0};
    bool same = true;
    for (int k = 0; k < f->nodes[n].nargs; k++) {
        arg[k] = subst_walk(f, f->nodes[n].arg[k], from, to, memo);
        same = same && arg[k] == f->nodes[n].arg[k];
    }
    ir_ref r = same ? n : ir_with_args(f, n, arg);
    if (f->nodes[n].op == IR_select && ir_is_const(f, arg[0], 1))
        r = arg[1];
    memo[n] = r;
    return r;
}

ir_ref
node_subst(struct ir_func *f, ir_ref node, ir_ref from, ir_ref to)
{
    ir_ref *memo = xmalloc(sizeof *memo * f->nnodes);
    for (uint32_t k = 0; k < f->nnodes; k++)
        memo[k] = 0;
    ir_ref r = subst_walk(f, node, from, to, memo);
    free(memo);
    return r;
}

static bool
any_walk(const struct ir_func *f, ir_ref n, node_test *test, bool *seen)
{
    const struct ir_node *x = &f->nodes[n];
    if (n == 0 || seen[n])
        return false;
    seen[n] = true;
    if (test(f, n))
        return true;
    for (int k = 0; k < x->nargs; k++)
        if (any_walk(f, x->arg[k], test, seen))
            return true;
    return false;
}

bool
node_any(const struct ir_func *f, ir_ref n, node_test *test)
{
    bool *seen = xmalloc(f->nnodes);
    memset(seen, 0, f->nnodes);
    bool found = any_walk(f, n, test, seen);
    free(seen);
    return found;
}

static bool
reads_head(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    return (x->op == IR_pos && x->attr.axis == AX_h) ||
           (x->op == IR_param && (x->axes >> AX_h & 1));
}

bool
depends_on_head(const struct ir_func *f, ir_ref n)
{
    return node_any(f, n, reads_head);
}

static int
collect_key_sums(const struct ir_func *f, ir_ref n, ir_ref *out, int count, int max, bool *seen)
{
    const struct ir_node *x = &f->nodes[n];
    if (n == 0 || seen[n])
        return count;
    seen[n] = true;
    if (is_key_sum(x)) {
        if (count < max)
            out[count] = n;
        return count + 1;
    }
    for (int k = 0; k < x->nargs; k++)
        count = collect_key_sums(f, x->arg[k], out, count, max, seen);
    return count;
}

static int
key_sums_of(const struct ir_func *f, const ir_ref *roots, int nroots, ir_ref *out, int max)
{
    bool *seen = xmalloc(f->nnodes);
    int n = 0;
    memset(seen, 0, f->nnodes);
    for (int k = 0; k < nroots; k++)
        n = collect_key_sums(f, roots[k], out, n, max, seen);
    free(seen);
    return n;
}

int
outer_key_sums(const struct ir_func *f, ir_ref root, ir_ref *out, int max)
{
    return key_sums_of(f, &root, 1, out, max);
}

int
result_key_sums(const struct ir_func *f, ir_ref *out, int max)
{
    const ir_ref roots[2] = {f->root[ROOT_OUT], f->root[ROOT_LSE]};
    return key_sums_of(f, roots, 2, out, max);
}

/* ---- filling tiles ---- */

static tile_view token_vectors(struct sched *s, ir_ref node, uint8_t axis, uint8_t tokens,
                               tx_ref rows);

static struct stmt_list *
list_for(struct sched *s, ir_ref n)
{
    switch (ir_side_of(s->f, n)) {
    case SIDE_NEUTRAL: case SIDE_QUERY:
        return &s->query;
    case SIDE_KEY:
        return &s->key;
    case SIDE_MIXED:
        return s->mixed;
    }
    ICE("bad side");
}

/* The token axis of a one-sided node, with the extents of its tile. */
static uint8_t
token_axis(struct sched *s, ir_ref n, tx_ref *valid, tx_ref *max)
{
    enum ir_side side = ir_side_of(s->f, n);
    *valid = side == SIDE_KEY ? s->nj : side == SIDE_QUERY ? s->ni : tx_num(s->p, 1);
    *max = side == SIDE_KEY ? s->max_nj : side == SIDE_QUERY ? s->max_ni : *valid;
    return side == SIDE_KEY ? AX_j : side == SIDE_QUERY ? AX_i : AX_UNIT;
}

static bool
costly(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if ((ir_ops[x->op].props & IRP_TRANS) || x->op == IR_div || x->op == IR_sqrt)
        return true;
    for (int k = 0; k < x->nargs; k++)
        if (costly(f, x->arg[k]))
            return true;
    return false;
}

/* What an angle is not made of: inputs, and what is no function entry by entry. Under sin and cos
 * the rest, positions, sizes, numbers and params, is not put in tiles: code has it in f64 there. */
static bool
is_no_angle(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    return x->op == IR_input || (x->nargs && !(ir_ops[x->op].props & IRP_ELEM));
}

/* A maximum over keys grows from tile to tile: what is made of it belongs to the pairs at hand. */
static bool
is_running(const struct ir_func *f, ir_ref n)
{
    return f->nodes[n].op == IR_rmax && f->nodes[n].attr.axis == AX_j;
}

struct bind_list {
    struct tile_bind *at;
    uint32_t n, cap;
};

static void
bind_add(struct sched *s, struct bind_list *l, const struct tile_bind *b)
{
    for (uint32_t k = 0; k < l->n; k++)
        if (l->at[k].node == b->node)
            return;
    size_t cap = l->cap;
    l->at = arena_grow(s->p->arena, l->at, l->n, l->n + 1, &cap, sizeof *l->at);
    l->cap = (uint32_t)cap;
    l->at[l->n++] = *b;
}

/* Has everything below n that a map over (row, col) cannot evaluate by itself held and bound. */
static void
gather_binds(struct sched *s, ir_ref n, uint8_t row, uint8_t col, ir_ref top, struct bind_list *l)
{
    const struct tile_bind *b = held_find(s, n);
    ir_axes vec = ir_vector_axes(s->f, n);
    if (b && n != top) {
        bind_add(s, l, b);
        return;
    }
    enum ir_op op = (enum ir_op)s->f->nodes[n].op;
    enum ir_side side = ir_side_of(s->f, n);
    if (ir_ops[op].nargs == 0)
        return;
    bool elementwise = (ir_ops[op].props & IRP_ELEM) != 0;
    bool pairwise = (row == AX_i || row == AX_j) && (col == AX_i || col == AX_j);
    bool once = elementwise && !vec && side != SIDE_MIXED && pairwise && costly(s->f, n) &&
                !node_any(s->f, n, is_running);
    if (n != top && (!elementwise || once)) {
        if (side == SIDE_MIXED)
            schedule_pair_sum(s, n);
        else if (vec)
            vector_tile(s, n, (uint8_t)__builtin_ctzll(vec));
        else
            scalar_row(s, n);
        b = held_find(s, n);
        bind_add(s, l, b);
        return;
    }
    if ((op == IR_sin || op == IR_cos) && !node_any(s->f, s->f->nodes[n].arg[0], is_no_angle))
        return;
    for (int k = 0; k < ir_ops[op].nargs; k++)
        gather_binds(s, s->f->nodes[n].arg[k], row, col, top, l);
}

/* As map_new; a node that is itself held or a reduction is read through its bind. */
struct tile_stmt *
map_new(struct sched *s, enum tile_op op, tile_view v0, ir_ref node, uint8_t row_axis,
        uint8_t col_axis, tx_ref rows, tx_ref cols)
{
    struct bind_list l = {0};
    const struct tile_bind *b = held_find(s, node);
    if (b)
        bind_add(s, &l, b);
    else
        gather_binds(s, node, row_axis, col_axis,
                     (ir_ops[s->f->nodes[node].op].props & IRP_ELEM) ? node : 0, &l);
    struct tile_stmt *m = tile_stmt_new(s->p, op);
    m->v[0] = v0;
    m->node = node;
    m->row_axis = row_axis;
    m->col_axis = col_axis;
    m->rows = rows;
    m->cols = cols;
    enum ir_side side = ir_side_of(s->f,
                                   node); /* what does not vary over tokens is not in their loop */
    m->at[0] = s->at[0];
    m->at[1] = s->any_head && !per_head(s, node) ? s->any_head : s->at[1];
    m->at[2] = side & SIDE_QUERY ? s->at[2] : tx_num(s->p, 0);
    m->at[3] = side & SIDE_KEY ? s->at[3] : tx_num(s->p, 0);
    m->at[4] = s->hk;
    m->at[5] = side & SIDE_QUERY ? s->step : 0;
    m->binds = l.at;
    m->nbinds = l.n;
    return m;
}

/* A reduction over a vector axis to one number per token. */
static void
fill_row_sum(struct sched *s, ir_ref n, tile_view dst, uint8_t tokens, tx_ref valid)
{
    struct stmt_list *l = list_for(s, n);
    const struct ir_node x = s->f->nodes[n];
    if (x.op != IR_rsum && x.op != IR_rmax)
        ICE("op %s over a vector is not scheduled", ir_ops[x.op].name);
    enum tile_op op = x.op == IR_rsum ? TILE_rowsum : TILE_rowmax;
    struct tile_stmt *m = map_new(s, op, dst, x.arg[0], tokens, x.attr.axis, valid,
                                  tx_axis(s->p, x.attr.axis));
    if (op == TILE_rowsum) {
        struct tile_stmt *z = tile_stmt_new(s->p, TILE_zero);
        z->v[0] = dst;
        stmt_add(l, z);
    }
    stmt_add(l, m);
}

tile_view
scalar_row(struct sched *s, ir_ref node)
{
    const struct tile_bind *b = held_find(s, node);
    if (b)
        return b->view;
    tx_ref valid, max, one = tx_num(s->p, 1);
    uint8_t tokens = token_axis(s, node, &valid, &max);
    tile_view v = local_tile(s, "r", per_head(s, node), one, max, one, valid);
    if (ir_ops[s->f->nodes[node].op].props & IRP_ELEM || s->f->nodes[node].nargs == 0) {
        struct tile_stmt *m = map_new(s, TILE_map, v, node, AX_UNIT, tokens, one, valid);
        stmt_add(list_for(s, node), m);
    } else {
        fill_row_sum(s, node, v, tokens, valid);
    }
    hold(s, node, v, AX_UNIT, tokens);
    return v;
}

/* dst[r, c0 .. c0+count) of a view. */
static tile_view
columns(struct sched *s, tile_view v, tx_ref from, tx_ref count)
{
    v.col = tx_op2(s->p, TX_ADD, v.col, from);
    v.cols = count;
    return v;
}

static void
fill_roll(struct sched *s, const struct ir_node *x, tile_view dst, struct stmt_list *l)
{
    struct tile_prog *p = s->p;
    tile_view src = vector_tile(s, x->arg[0], x->attr.axis);
    tx_ref n = tx_axis(p, x->attr.axis), shift = tx_num(p, x->attr.num), zero = tx_num(p, 0);
    tx_ref t = tx_op2(p, TX_SUB, shift, tx_op2(p, TX_MUL, n, tx_op2(p, TX_FDIV, shift, n)));
    tx_ref rest = tx_op2(p, TX_SUB, n, t);
    struct tile_stmt *a = tile_stmt_new(p, TILE_copy), *b = tile_stmt_new(p, TILE_copy);
    a->v[0] = columns(s, dst, zero, rest);
    a->v[1] = columns(s, src, t, rest);
    b->v[0] = columns(s, dst, rest, t);
    b->v[1] = columns(s, src, zero, t);
    stmt_add(l, a);
    stmt_add(l, b);
}

static void
fill_turn(struct sched *s, const struct ir_node *x, tile_view dst, struct stmt_list *l)
{
    struct tile_stmt *t = tile_stmt_new(s->p, TILE_turn);
    t->v[0] = dst;
    t->v[1] = vector_tile(s, x->arg[0], x->attr.axis);
    t->num[0] = x->attr.num;
    stmt_add(l, t);
}

static void
fill_cat(struct sched *s, const struct ir_node *x, tile_view dst, uint8_t tokens,
         struct stmt_list *l)
{
    uint8_t ax[2] = {x->attr.axis, x->attr.axis2};
    tx_ref at = tx_num(s->p, 0);
    for (int k = 0; k < 2; k++) {
        tx_ref n = tx_axis(s->p, ax[k]);
        tile_view part = columns(s, dst, at, n);
        if (ax[k] == AX_UNIT) /* one number per token: a column */
            stmt_add(l, map_new(s, TILE_map, part, x->arg[k], tokens, AX_UNIT, dst.rows, n));
        else
            vector_into(s, x->arg[k], ax[k], part, tokens, l);
        at = tx_op2(s->p, TX_ADD, at, n);
    }
}

/* The node may vary over fewer axes than dst has. */
void
vector_into(struct sched *s, ir_ref node, uint8_t axis, tile_view dst, uint8_t tokens,
            struct stmt_list *l)
{
    const struct ir_node x = s->f->nodes[node];
    if ((ir_ops[x.op].props & IRP_ELEM) || x.nargs == 0 || held_find(s, node)) {
        stmt_add(l, map_new(s, TILE_map, dst, node, tokens, axis, dst.rows, dst.cols));
    } else if (x.op == IR_cat) {
        fill_cat(s, &x, dst, tokens, l);
    } else if (ir_side_of(s->f, node) == SIDE_NEUTRAL && tokens != AX_UNIT) {
        vector_tile(s, node, axis); /* once, then spread over the tokens */
        stmt_add(l, map_new(s, TILE_map, dst, node, tokens, axis, dst.rows, dst.cols));
    } else if (x.op == IR_roll) {
        fill_roll(s, &x, dst, l);
    } else if (x.op == IR_turn) {
        fill_turn(s, &x, dst, l);
    } else if (x.op == IR_outer || x.op == IR_mono) {
        struct tile_stmt *o = tile_stmt_new(s->p, x.op == IR_outer ? TILE_outer : TILE_mono);
        o->v[0] = dst;
        o->v[1] = token_vectors(s, x.arg[0], x.attr.axis, tokens, dst.rows);
        if (x.op == IR_outer)
            o->v[2] = token_vectors(s, x.arg[1], x.attr.axis2, tokens, dst.rows);
        o->num[0] = x.op == IR_mono ? x.attr.num : 0;
        o->num[1] = x.op == IR_mono ? (int32_t)x.attr.id : 0;
        stmt_add(l, o);
    } else if (x.op == IR_rsum) { /* a matrix times a vector */
        struct tile_stmt *m = map_new(s, TILE_mixsum, dst, x.arg[0], tokens, axis, dst.rows,
                                      dst.cols);
        m->red_axis = x.attr.axis;
        m->depth = tx_axis(s->p, x.attr.axis);
        stmt_add(l, m);
    } else {
        ICE("op %s is not scheduled as a vector", ir_ops[x.op].name);
    }
}

/* A tile of node with one row per token, also where the node is the same for all tokens. */
static tile_view
token_vectors(struct sched *s, ir_ref node, uint8_t axis, uint8_t tokens, tx_ref rows)
{
    tx_ref cols = tx_axis(s->p, axis);
    if (ir_side_of(s->f, node) != SIDE_NEUTRAL || tokens == AX_UNIT)
        return vector_tile(s, node, axis);
    tx_ref max = tokens == AX_j ? s->max_nj : s->max_ni;
    tile_view v = local_tile(s, "u", tokens != AX_j, max, cols, rows, cols);
    vector_into(s, node, axis, v, tokens, tokens == AX_j ? &s->key : &s->query);
    return v;
}

tile_view
vector_tile(struct sched *s, ir_ref node, uint8_t axis)
{
    tx_ref valid, max;
    uint8_t tokens = token_axis(s, node, &valid, &max);
    for (uint32_t k = s->nheld; k-- > 0;) /* pairs hold query vectors the other way round */
        if (s->held[k].node == node && s->held[k].row_axis == tokens &&
            s->held[k].col_axis == axis)
            return s->held[k].view;
    if (s->f->nodes[node].op == IR_rename) { /* the same tile under another axis name */
        tile_view v = vector_tile(s, s->f->nodes[node].arg[0], s->f->nodes[node].attr.axis);
        hold(s, node, v, tokens, axis);
        return v;
    }
    if (s->kept && kept_wants(s, node))
        return kept_tile(s, node, axis);
    tx_ref cols = tx_axis(s->p, axis);
    tile_view v = local_tile(s, "x", per_head(s, node), max, cols, valid, cols);
    vector_into(s, node, axis, v, tokens, list_for(s, node));
    hold(s, node, v, tokens, axis);
    return v;
}
