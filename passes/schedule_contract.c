/* Schedule `contract`: one statement of index notation, out[b,h,i,m] of tensor params.
 *
 *     phase b, h, tile of rows and columns:
 *         every sum of products:      acc[i,m] = 0
 *             for block of depth:     B[s,m] packed;  acc += A[i,s] B[s,m]
 *         out[i,m] = what the statement says of the sums and of single entries
 *
 * Where factors under a sum vary over rows and others over columns, it is a matrix product; a sum
 * that varies over one of them alone is added up along it; any other is added entry by entry. Sums
 * may be nested: what an outer one multiplies is a tile of an inner one, so no intermediate tensor
 * is stored. */
#include "passes/contract.h"

/* Extents of a tile: rows are the query tile. */
enum { COLUMNS = 256, DEPTH = 256, MAX_SUMS = 6, MAX_LEAVES = 64 };

bool
contract_varies(const struct contract *c, ir_ref n, uint8_t axis)
{
    return axis != AX_UNIT && has_axis(c->s.f, n, axis);
}

struct span_of
contract_one(struct contract *c)
{
    tx_ref zero = tx_num(c->s.p, 0), one = tx_num(c->s.p, 1);
    return (struct span_of){.axis = AX_UNIT, .from = zero, .count = one, .max = one};
}

static void
add(struct contract *c, struct tile_stmt *s)
{
    stmt_add(c->to, s);
}

void
contract_refuse(struct contract *c, ir_ref n, const char *what)
{
    if (!c->failed)
        diag_error(c->s.d, c->s.f->nodes[n].span, "%s", what);
    c->failed = true;
}

tile_view
contract_scratch(struct contract *c, const char *what, const struct span_of *r,
                 const struct span_of *k)
{
    return local_tile(&c->s, what, false, r->max, k->max, r->count, k->count);
}

/* ---- entries of tensors ---- */

bool
contract_view(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k,
            tile_view *v)
{
    struct tile_prog *p = c->s.p;
    const struct ir_func *f = c->s.f;
    const struct ir_node *x = &f->nodes[n];
    const struct ir_binding *b = &f->bindings[x->attr.num];
    uint8_t axes[4] = {AX_UNIT, AX_UNIT, AX_UNIT, AX_UNIT};
    tx_ref at[4], zero = tx_num(p, 0), one = tx_num(p, 1);
    bool taken[4] = {false, false, contract_varies(c, n, r->axis), contract_varies(c, n, k->axis)};
    for (int s = 0; s < 4; s++)
        at[s] = s == 2 && taken[2] ? r->from : s == 3 && taken[3] ? k->from : zero;
    for (int i = 0; i < b->rank; i++) {
        uint8_t ax = b->ax[i];
        int slot = ax == AX_UNIT ? 4 : ax == r->axis ? 2 : ax == k->axis ? 3 : 4;
        tx_ref index = ax == AX_UNIT ? tx_num(p, b->num[i]) : c->index[ax];
        for (int s = 0; s < 4 && slot == 4; s++)
            if (!taken[s] && (s == 3) == (i == b->rank - 1 && !taken[3]))
                slot = s;
        if (slot == 4 || (slot == 3 && i != b->rank - 1))
            return false;
        if (!taken[slot] || axes[slot] != AX_UNIT)
            at[slot] = index;
        taken[slot] = true;
        axes[slot] = (uint8_t)i;
    }
    *v = (tile_view){.buf = tile_arg_axes(p, tile_param_arg(f, x->attr.id), axes),
                     .b = at[0], .h = at[1], .row = at[2], .col = at[3],
                     .rows = contract_varies(c, n, r->axis) ? r->count : one,
                     .cols = contract_varies(c, n, k->axis) ? k->count : one};
    return true;
}

/* A tile whose rows and columns are both not the tensor's last axis: column by column. */
static tile_view
gathered(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    struct tile_prog *p = c->s.p;
    tile_view dst = contract_scratch(c, "g", r, k), one = dst, src;
    struct span_of none = contract_one(c);
    const char *name = arena_printf(p->arena, "g%d", c->depth_names++);
    uint32_t var = tile_var_add(p, name);
    tx_ref at = tx_var(p, var), before = c->index[k->axis];
    c->index[k->axis] = tx_op2(p, TX_ADD, k->from, at);
    if (!contract_view(c, n, r, &none, &src))
        ICE("tensor %s cannot be read column by column", c->s.f->params[0].name);
    c->index[k->axis] = before;
    one.col = at;
    one.cols = none.count;
    struct tile_stmt *copy = tile_stmt_new(p, TILE_copy);
    copy->v[0] = one;
    copy->v[1] = src;
    struct stmt_list body = {copy, copy};
    add(c, stmt_for(&c->s, var, tx_num(p, 0), k->count, tx_num(p, 1), &body));
    return dst;
}

/* Holds the entries of tensor n for a tile: as they lie, turned, or gathered. */
static void
hold_tensor(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    bool rows = contract_varies(c, n, r->axis), cols = contract_varies(c, n, k->axis);
    tile_view v;
    struct span_of none = contract_one(c);
    if (rows && !cols && contract_view(c, n, &none, r, &v)) {
        hold(&c->s, n, v, AX_UNIT, r->axis);
    } else if (contract_view(c, n, r, k, &v)) {
        hold(&c->s, n, v, rows ? r->axis : AX_UNIT, cols ? k->axis : AX_UNIT);
    } else if (rows && cols && contract_view(c, n, k, r, &v)) {
        struct tile_stmt *t = tile_stmt_new(c->s.p, TILE_transpose);
        t->v[0] = contract_scratch(c, "t", r, k);
        t->v[1] = v;
        add(c, t);
        hold(&c->s, n, t->v[0], r->axis, k->axis);
    } else if (rows && cols) {
        hold(&c->s, n, gathered(c, n, r, k), r->axis, k->axis);
    } else { /* columns alone, not the last axis: as rows of one column, turned */
        tile_view g = gathered(c, n, &none, k);
        hold(&c->s, n, g, AX_UNIT, k->axis);
    }
}

/* ---- sums ---- */

static void sum_tile(struct contract *c, ir_ref n, const struct span_of *r,
                     const struct span_of *k);

/* Holds n, the pairs of its operand turned. */
static void
turn_tile(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    const struct ir_node x = c->s.f->nodes[n];
    struct span_of none = contract_one(c);
    bool rows = contract_varies(c, n, r->axis);
    struct tile_stmt *t = tile_stmt_new(c->s.p, TILE_turn);
    t->v[0] = contract_scratch(c, "t", rows ? r : &none, k);
    t->v[1] = contract_scratch(c, "o", rows ? r : &none, k);
    t->num[0] = x.attr.num;
    add(c, contract_map(c, TILE_map, t->v[1], x.arg[0], rows ? r : &none, k));
    add(c, t);
    hold(&c->s, n, t->v[0], rows ? r->axis : AX_UNIT, k->axis);
}

/* What a map cannot evaluate by itself, and how a tile of it is made. */
static contract_hold_fn *const hold_fns[IR_OP_COUNT] = {
    [IR_rsum] = sum_tile,        [IR_turn] = turn_tile,        [IR_rmax] = contract_best,
    [IR_argmax] = contract_best, [IR_pick] = contract_pick,    [IR_argsort] = contract_argsort,
};

/* Has everything below n held that a map over r and k cannot evaluate by itself. */
static void
ready(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    const struct ir_node x = c->s.f->nodes[n];
    if (c->failed || held_find(&c->s, n))
        return;
    if (hold_fns[x.op]) {
        hold_fns[x.op](c, n, r, k);
        return;
    }
    if (x.op == IR_param && c->s.f->params[x.attr.id].rank)
        hold_tensor(c, n, r, k);
    else if (x.nargs && !(ir_ops[x.op].props & IRP_ELEM))
        ICE("op %s in a contraction", ir_ops[x.op].name);
    for (int i = 0; i < x.nargs; i++)
        ready(c, x.arg[i], r, k);
}

struct tile_stmt *
contract_map(struct contract *c, enum tile_op op, tile_view v0, ir_ref n, const struct span_of *r,
         const struct span_of *k)
{
    uint32_t before = c->s.nheld;
    ready(c, n, r, k);
    if (c->failed)
        return tile_stmt_new(c->s.p, TILE_zero);
    struct tile_stmt *m = map_new(&c->s, op, v0, n, r->axis, k->axis, r->count, k->count);
    m->at[2] = r->axis == AX_i   ? r->from
               : k->axis == AX_i ? k->from
               : c->index[AX_i]  ? c->index[AX_i] : tx_num(c->s.p, 0);
    c->s.nheld = before;
    return m;
}

/* The sums of a nest and the factors under them. */
struct nest {
    uint8_t axis[MAX_SUMS];
    int naxes;
    ir_ref factor[PASS_MAX_FACTORS];
    int n;
};

/* Sums of sums are one; a sum within a product is a factor of it. */
static bool
flatten(struct contract *c, ir_ref n, struct nest *t)
{
    const struct ir_func *f = c->s.f;
    ir_ref top = n;
    for (; f->nodes[n].op == IR_rsum; n = f->nodes[n].arg[0]) {
        if (t->naxes == MAX_SUMS) {
            contract_refuse(c, n, "more than 6 indexes are summed at once");
            return false;
        }
        t->axis[t->naxes++] = f->nodes[n].attr.axis;
    }
    t->n = product_factors(c->s.f, n, t->factor, PASS_MAX_FACTORS);
    if (f->nodes[t->factor[t->n - 1]].op == IR_mul) {
        contract_refuse(c, top, "more than 64 factors under a sum");
        return false;
    }
    return true;
}

/* The axis to sum in blocks, last in the list: the one along which most tensors lie. */
static void
choose_depth(struct contract *c, struct nest *t)
{
    const struct ir_func *f = c->s.f;
    int best = t->naxes - 1, most = -1;
    for (int k = t->naxes - 1; k >= 0; k--) {
        int lie = 0;
        for (int i = 0; i < t->n; i++) {
            const struct ir_node *x = &f->nodes[t->factor[i]];
            const struct ir_binding *b = x->op == IR_param ? &f->bindings[x->attr.num] : NULL;
            lie += b && b->rank && b->ax[b->rank - 1] == t->axis[k];
        }
        if (lie > most)
            most = lie, best = k;
    }
    uint8_t last = t->axis[t->naxes - 1];
    t->axis[t->naxes - 1] = t->axis[best];
    t->axis[best] = last;
}

/* A[i,s] as an operand of matmul: as it lies in its tensor where that is possible. */
static tile_view
left_operand(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *s,
             int *turned)
{
    const struct ir_func *f = c->s.f;
    tile_view v;
    bool plain = f->nodes[n].op == IR_param && f->acc == f->type &&
                 contract_varies(c, n, s->axis) && contract_varies(c, n, r->axis);
    *turned = 0;
    if (plain && contract_view(c, n, r, s, &v))
        return v;
    if (plain && contract_view(c, n, s, r, &v)) {
        *turned = 1;
        return v;
    }
    v = contract_scratch(c, "a", r, s);
    add(c, contract_map(c, TILE_map, v, n, r, s));
    return v;
}

/* One entry of a sum that is no matrix product, added to acc. */
static void
add_entry(struct contract *c, tile_view acc, ir_ref n, const struct span_of *r,
          const struct span_of *k)
{
    struct tile_stmt *a = tile_stmt_new(c->s.p, TILE_add);
    a->v[0] = acc;
    a->v[1] = contract_scratch(c, "e", r, k);
    add(c, contract_map(c, TILE_map, a->v[1], n, r, k));
    add(c, a);
}

/* One block of depth of a sum, added to acc. */
static void
add_block(struct contract *c, tile_view acc, ir_ref a, ir_ref b, const struct span_of *r,
          const struct span_of *k, const struct span_of *s)
{
    struct tile_stmt *m;
    struct span_of none = contract_one(c);
    if (a && b) {
        m = tile_stmt_new(c->s.p, TILE_matmul);
        m->v[0] = acc;
        m->v[1] = left_operand(c, a, r, s, &m->num[0]);
        m->v[2] = contract_scratch(c, "b", s, k);
        add(c, contract_map(c, TILE_map, m->v[2], b, s, k));
    } else if (b) {
        m = contract_map(c, TILE_mapsum, (tile_view){0}, b, s, k);
        m->v[1] = acc;
    } else {
        m = contract_map(c, TILE_rowsum, acc, a, r->axis == AX_UNIT ? &none : r, s);
    }
    add(c, m);
}

/* The factors of one side as a product; 0: none. A factor that varies over neither side goes to the
 * columns, if they have one. False if a factor varies over both: the sum is no matrix product. */
static bool
sides(struct contract *c, const struct nest *t, const struct span_of *r, const struct span_of *k,
      ir_ref side[2])
{
    ir_ref fac[2][PASS_MAX_FACTORS];
    int n[2] = {0, 0};
    bool column = false;
    for (int i = 0; i < t->n; i++) {
        bool rows = contract_varies(c, t->factor[i], r->axis);
        bool cols = contract_varies(c, t->factor[i], k->axis);
        column = column || cols;
        if (rows && cols)
            return false;
        if (rows || cols)
            fac[cols][n[cols]++] = t->factor[i];
    }
    for (int i = 0; i < t->n; i++) {
        bool none = !contract_varies(c, t->factor[i], r->axis) &&
                    !contract_varies(c, t->factor[i], k->axis);
        int to = column;
        if (none)
            fac[to][n[to]++] = t->factor[i];
    }
    for (int i = 0; i < 2; i++)
        side[i] = n[i] ? product_of(c->s.f, fac[i], n[i]) : 0;
    return true;
}

/* Loops over the axes of a nest around body: all but the last one by one, that in steps of step. */
static void
loop_nest(struct contract *c, const struct nest *t, const uint32_t *var, tx_ref step,
          struct stmt_list *body)
{
    struct tile_prog *p = c->s.p;
    tx_ref zero = tx_num(p, 0), one = tx_num(p, 1);
    for (int i = t->naxes - 1; i >= 0; i--) {
        struct tile_stmt *loop = stmt_for(&c->s, var[i], zero, tx_axis(p, t->axis[i]),
                                          i == t->naxes - 1 ? step : one, body);
        *body = (struct stmt_list){loop, loop};
        c->index[t->axis[i]] = 0;
    }
    add(c, body->first);
}

/* Holds the sum n for a tile over r and k. */
static void
sum_tile(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    struct tile_prog *p = c->s.p;
    struct nest t = {.naxes = 0};
    ir_ref side[2] = {0, 0};
    tx_ref one = tx_num(p, 1);
    if (!flatten(c, n, &t))
        return;
    bool product = sides(c, &t, r, k, side);
    choose_depth(c, &t);
    bool rows = contract_varies(c, n, r->axis), cols = contract_varies(c, n, k->axis);
    struct span_of none = contract_one(c);
    struct span_of R = rows ? *r : none, K = cols ? *k : none;
    tile_view acc = rows && !cols ? contract_scratch(c, "z", &none, &R)
                                  : contract_scratch(c, "z", &R, &K);
    struct tile_stmt *clear = tile_stmt_new(p, TILE_zero);
    clear->v[0] = acc;
    add(c, clear);
    struct stmt_list body = {0}, *outer = c->to;
    uint32_t var[MAX_SUMS];
    for (int i = 0; i < t.naxes; i++)
        var[i] = tile_var_add(p, arena_printf(p->arena, "s%d", c->depth_names++));
    for (int i = 0; i + product < t.naxes; i++)
        c->index[t.axis[i]] = tx_var(p, var[i]);
    uint8_t last = t.axis[t.naxes - 1];
    tx_ref from = tx_var(p, var[t.naxes - 1]), size = tx_axis(p, last);
    tx_ref max = product ? tx_num(p, DEPTH) : one;
    struct span_of s = {last, from, tx_op2(p, TX_MIN, max, tx_op2(p, TX_SUB, size, from)),
                        tx_op2(p, TX_MIN, max, size)};
    c->to = &body;
    if (product)
        add_block(c, acc, side[0], side[1], &R, &K, &s);
    else
        add_entry(c, acc, product_of(c->s.f, t.factor, t.n), &R, &K);
    c->to = outer;
    loop_nest(c, &t, var, max, &body);
    hold(&c->s, n, acc, rows && cols ? r->axis : AX_UNIT,
         cols ? k->axis : rows ? r->axis : AX_UNIT);
}

/* ---- the program ---- */

static tx_ref
tiles_across(struct contract *c)
{
    struct tile_prog *p = c->s.p;
    return c->whole ? tx_num(p, 1)
                    : tx_op2(p, TX_CDIV, tx_dim(p, DIM_M), tx_num(p, COLUMNS));
}

/* Tiles of a function that turns pairs of entries, sorts along its columns or reads places there
 * have all columns; those that are sorted are rows, of which every task has one. */
static void
choose_tile(struct contract *c, struct arena *a)
{
    const struct ir_func *f = c->s.f;
    const bool *live = ir_live(f, a);
    c->tall = tx_num(c->s.p, c->s.t->query_tile);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        if (live[n] && (x->op == IR_turn || x->op == IR_argsort ||
                        (x->op == IR_pos && x->attr.axis == AX_m)))
            c->whole = true;
        if (live[n] && x->op == IR_argsort)
            c->tall = tx_num(c->s.p, 1);
    }
}

/* The tile number of a task as first row and column; the body sees both. */
static void
place_tile(struct contract *c, tx_ref tile, struct span_of *r, struct span_of *k)
{
    struct tile_prog *p = c->s.p;
    tx_ref rows = tx_dim(p, DIM_NQ), cols = tx_dim(p, DIM_M);
    tx_ref tall = c->tall, wide = c->whole ? cols : tx_num(p, COLUMNS);
    tx_ref across = tiles_across(c), down = tx_op2(p, TX_FDIV, tile, across);
    tx_ref over = tx_op2(p, TX_SUB, tile, tx_op2(p, TX_MUL, down, across));
    tx_ref row = tx_op2(p, TX_MUL, down, tall), col = tx_op2(p, TX_MUL, over, wide);
    *r = (struct span_of){AX_i, row, tx_op2(p, TX_MIN, tall, tx_op2(p, TX_SUB, rows, row)),
                          tx_op2(p, TX_MIN, tall, rows)};
    *k = (struct span_of){AX_m, col, tx_op2(p, TX_MIN, wide, tx_op2(p, TX_SUB, cols, col)),
                          tx_op2(p, TX_MIN, wide, cols)};
}

struct tile_prog *
schedule_contract(struct arena *a, struct ir_func *f, const struct schedule_tuning *t,
                  struct diag *d)
{
    struct contract *c = ARENA_NEW(a, struct contract);
    struct tile_prog *p = tile_new(a, f, "forward", "contract");
    struct stmt_list body = {0};
    struct span_of r, k;
    c->s = (struct sched){.p = p, .f = f, .d = d, .t = t};
    choose_tile(c, a);
    sched_start(&c->s, &body);
    c->to = &body;
    struct tile_stmt *phase = tile_stmt_new(p, TILE_phase);
    static const char *const names[] = {"b", "h", "t"};
    for (int i = 0; i < 3; i++)
        phase->var[i] = tile_var_add(p, names[i]);
    phase->x[0] = tx_dim(p, DIM_B);
    phase->x[1] = tx_dim(p, DIM_H);
    phase->x[2] = tx_op2(p, TX_MUL,
                         tx_op2(p, TX_CDIV, tx_dim(p, DIM_NQ), c->tall),
                         tiles_across(c));
    place_tile(c, tx_var(p, phase->var[2]), &r, &k);
    c->index[AX_b] = c->s.at[0] = tx_var(p, phase->var[0]);
    c->index[AX_h] = c->s.at[1] = c->s.hk = tx_var(p, phase->var[1]);
    c->s.at[2] = r.from;
    c->s.at[3] = tx_num(p, 0);
    c->s.ni = r.count;
    c->s.max_ni = r.max;
    tile_view out = view_arg(&c->s, 3, r.from, r.count);
    out.col = k.from;
    out.cols = k.count;
    add(c, contract_map(c, TILE_map, out, f->root[ROOT_OUT], &r, &k));
    phase->body = body.first;
    p->body = phase;
    return c->failed ? NULL : p;
}
