/* Schedule `contract`, operations of order: the greatest along an axis, entries at computed places,
 * sorting. */
#include "passes/contract.h"

#include <string.h>

enum { BLOCK = 64 }; /* entries of the axis at a time, of which the greatest is looked for */

/* ---- loops over one axis of the tile, entry by entry ---- */

struct one_by_one {
    bool on;
    uint32_t var;
    struct span_of *span;         /* one entry in the body */
    struct span_of all;
    tx_ref index;                 /* of the axis, around the loop */
    struct stmt_list body, *outer;
    struct tile_bind *held;       /* what is held of all entries is of no use to one */
    uint32_t nheld;
};

/* What comes next is for one entry of *span, which becomes that of no axis; and which entry of the
 * tile that is. */
static tx_ref
open_loop(struct contract *c, struct one_by_one *l, bool on, struct span_of *span)
{
    *l = (struct one_by_one){.on = on, .span = span, .all = *span, .outer = c->to};
    if (!on)
        return tx_num(c->s.p, 0);
    l->var = tile_var_add(c->s.p, arena_printf(c->s.p->arena, "o%d", c->depth_names++));
    l->index = c->index[span->axis];
    c->index[span->axis] = tx_op2(c->s.p, TX_ADD, span->from, tx_var(c->s.p, l->var));
    *span = contract_one(c);
    l->nheld = c->s.nheld;
    l->held = ARENA_ARRAY(c->s.p->arena, struct tile_bind, l->nheld + 1);
    memcpy(l->held, c->s.held, sizeof *l->held * l->nheld);
    c->s.nheld = 0;
    return tx_var(c->s.p, l->var);
}

/* To be called after open_loop, and after the lists of all loops are open. */
static void
close_loop(struct contract *c, struct one_by_one *l)
{
    if (!l->on)
        return;
    struct tile_prog *p = c->s.p;
    c->to = l->outer;
    stmt_add(c->to, stmt_for(&c->s, l->var, tx_num(p, 0), l->all.count, tx_num(p, 1), &l->body));
    *l->span = l->all;
    c->index[l->all.axis] = l->index;
    memcpy(c->s.held, l->held, sizeof *l->held * l->nheld);
    c->s.nheld = l->nheld;
}

/* The entry of a tile that the loops are at: `row` and `col` where they loop. */
static tile_view
entry_of(struct contract *c, tile_view v, const struct one_by_one *rows, tx_ref row,
         const struct one_by_one *cols, tx_ref col)
{
    tx_ref one = tx_num(c->s.p, 1);
    if (rows->on)
        v.row = row, v.rows = one;
    if (cols->on)
        v.col = col, v.cols = one;
    return v;
}

/* ---- entries at computed places ---- */

/* The whole of an axis. */
static struct span_of
all_of(struct contract *c, uint8_t axis)
{
    tx_ref size = tx_axis(c->s.p, axis);
    return (struct span_of){axis, tx_num(c->s.p, 0), size, size};
}

/* dst = n over r and k, where the place does not vary over k, nor what it is picked from over r. */
static void
pick_rows(struct contract *c, ir_ref n, tile_view dst, const struct span_of *r,
          const struct span_of *k)
{
    const struct ir_node x = c->s.f->nodes[n];
    const struct ir_node *from = &c->s.f->nodes[x.arg[0]];
    struct span_of all = all_of(c, x.attr.axis), one = contract_one(c);
    struct tile_stmt *s = tile_stmt_new(c->s.p, TILE_pick);
    bool tensor = from->op == IR_param && c->s.f->params[from->attr.id].rank;
    s->v[0] = dst;
    s->v[2] = contract_scratch(c, "x", &one, r);
    stmt_add(c->to, contract_map(c, TILE_map, s->v[2], x.arg[1], &one, r));
    if (!tensor || !contract_view(c, x.arg[0], &all, k, &s->v[1])) {
        s->v[1] = contract_scratch(c, "w", &all, k);
        stmt_add(c->to, contract_map(c, TILE_map, s->v[1], x.arg[0], &all, k));
    }
    stmt_add(c->to, s);
}

/* True if n is a tensor that lies along another axis than this one. */
static bool
lies_elsewhere(const struct contract *c, ir_ref n, uint8_t axis)
{
    const struct ir_node *x = &c->s.f->nodes[n];
    if (x->op != IR_param || !contract_varies(c, n, axis))
        return false;
    const struct ir_binding *b = &c->s.f->bindings[x->attr.num];
    return b->ax[b->rank - 1] != axis;
}

void
contract_pick(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    const struct ir_node x = c->s.f->nodes[n];
    bool rows = contract_varies(c, n, r->axis), cols = contract_varies(c, n, k->axis);
    bool each = contract_varies(c, x.arg[1], k->axis); /* column has a place of its own */
    struct span_of R = rows ? *r : contract_one(c), K = cols ? *k : contract_one(c);
    struct one_by_one down, across;
    if (each && c->s.f->nodes[x.arg[0]].op == IR_pick && contract_varies(c, x.arg[0], r->axis) &&
        !contract_varies(c, x.arg[0], k->axis)) { /* made anew for every column */
        contract_refuse(c, n, "two indexes are computed here, of different indexes of the result: "
                              "pick one after the other, in statements of their own");
        return;
    }
    tile_view dst = contract_scratch(c, "p", &R, &K);
    tx_ref row = open_loop(c, &down, rows && (each || contract_varies(c, x.arg[0], r->axis)), &R);
    tx_ref col = open_loop(c, &across, each || lies_elsewhere(c, x.arg[0], k->axis), &K);
    c->to = across.on ? &across.body : down.on ? &down.body : c->to;
    pick_rows(c, n, entry_of(c, dst, &down, row, &across, col), &R, &K);
    if (across.on && down.on)
        across.outer = &down.body;
    close_loop(c, &across);
    close_loop(c, &down);
    hold(&c->s, n, dst, rows ? r->axis : AX_UNIT, cols ? k->axis : AX_UNIT);
}

/* ---- the greatest ---- */

void
contract_best(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    struct tile_prog *p = c->s.p;
    const struct ir_node x = c->s.f->nodes[n];
    bool rows = contract_varies(c, n, r->axis), cols = contract_varies(c, n, k->axis);
    struct span_of one = contract_one(c), R = rows && cols ? *r : one;
    struct span_of V = cols ? *k : rows ? *r : one;
    struct one_by_one down, none = {.on = false};
    tile_view top = contract_scratch(c, "m", &R, &V), place = {0};
    if (x.op == IR_argmax)
        place = contract_scratch(c, "p", &R, &V);
    tile_view whole = place.buf ? place : top;
    tx_ref row = open_loop(c, &down, rows && cols, &R);
    c->to = down.on ? &down.body : c->to;
    top = entry_of(c, top, &down, row, &none, row);
    place = place.buf ? entry_of(c, place, &down, row, &none, row) : place;
    struct tile_stmt *low = tile_stmt_new(p, TILE_lowest), *zero = tile_stmt_new(p, TILE_zero);
    low->v[0] = top;
    zero->v[0] = place;
    stmt_add(c->to, low);
    if (place.buf)
        stmt_add(c->to, zero);
    tx_ref size = tx_axis(p, x.attr.axis), step = tx_num(p, BLOCK);
    uint32_t var = tile_var_add(p, arena_printf(p->arena, "o%d", c->depth_names++));
    tx_ref from = tx_var(p, var), left = tx_op2(p, TX_SUB, size, from);
    struct span_of T = {x.attr.axis, from, tx_op2(p, TX_MIN, step, left),
                        tx_op2(p, TX_MIN, step, size)};
    struct tile_stmt *best = tile_stmt_new(p, TILE_best);
    struct stmt_list body = {0}, *outer = c->to;
    c->to = &body;
    best->v[0] = place;
    best->v[1] = top;
    best->v[2] = contract_scratch(c, "w", &T, &V);
    best->x[0] = from;
    stmt_add(c->to, contract_map(c, TILE_map, best->v[2], x.arg[0], &T, &V));
    stmt_add(c->to, best);
    c->to = outer;
    stmt_add(c->to, stmt_for(&c->s, var, tx_num(p, 0), size, step, &body));
    close_loop(c, &down);
    hold(&c->s, n, whole, rows && cols ? r->axis : AX_UNIT, V.axis);
}

/* ---- sorting ---- */

void
contract_argsort(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k)
{
    struct tile_prog *p = c->s.p;
    const struct ir_node x = c->s.f->nodes[n];
    struct span_of R = contract_varies(c, n, r->axis) ? *r : contract_one(c), four = R;
    if (k->axis != x.attr.axis) {
        contract_refuse(c, n, "argsort is of all entries, and this needs them one by one: give it "
                              "a statement of its own");
        return;
    }
    four.count = four.max = tx_num(p, 4);
    struct tile_stmt *s = tile_stmt_new(p, TILE_argsort);
    s->v[0] = contract_scratch(c, "o", &R, k);
    s->v[1] = contract_scratch(c, "t", &R, k);
    s->v[2] = contract_scratch(c, "k", &four, k);
    stmt_add(c->to, contract_map(c, TILE_map, s->v[1], x.arg[0], &R, k));
    stmt_add(c->to, s);
    hold(&c->s, n, s->v[0], R.axis, k->axis);
}
