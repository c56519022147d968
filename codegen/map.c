/* Statements that evaluate a node over a tile, columns in vectors. Where rows are summed, and where
 * they are pairs of tokens, they are looped over inside, four at a time: sums stay in registers,
 * their order is fixed, and what queries alone decide is evaluated once per column. Vectors of
 * tokens are walked as they lie in memory. */
#include "codegen/cg.h"

#include <stdlib.h>
#include <string.h>

enum { UNROLL = 4 };

/* What one map statement does with each value. */
struct map_job {
    const struct tile_stmt *s;
    enum { KEEP, SUM, MAX } reduce;
    bool store;
    val next;                  /* as in struct cg_point */
};

void
cg_columns(struct cg *g, val cols, void (*fn)(struct cg *, val, val, void *), void *arg)
{
    val vl = cg_i(g, g->vl);
    val whole = cg_mul(g, LLVMBuildSDiv(g->b, cols, vl, ""), vl);
    if (whole != cg_i(g, 0)) { /* constants are unique */
        struct cg_loop l = cg_loop(g, cg_i(g, 0), whole, vl);
        fn(g, l.iv, NULL, arg);
        cg_end(g, &l);
    }
    if (whole == cols)
        return;
    LLVMBasicBlockRef after = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSLT, whole, cols, ""));
    fn(g, whole, cg_mask(g, cg_sub(g, cols, whole)), arg);
    cg_fi(g, after);
}

static val
maximum(struct cg *g, val a, val b)
{
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, a, b, ""), a, b, "");
}

static val
combine(struct cg *g, const struct map_job *j, val a, val b)
{
    return j->reduce == SUM ? LLVMBuildFAdd(g->b, a, b, "") : maximum(g, a, b);
}

/* Rows r .. r+count at one column, into the accumulators. */
static void
map_rows(struct cg *g, const struct map_job *j, val r, val col, val mask, int count, val *acc)
{
    const struct tile_stmt *s = j->s;
    for (int k = 0; k < count; k++) {
        val row = k ? cg_add(g, r, cg_i(g, k)) : r;
        struct cg_point at = {.s = s, .row = row, .col = col, .red = NULL, .lanes = mask,
                              .next = j->next};
        val v = cg_expr(g, s->node, &at);
        if (j->store)
            cg_put(g, v, &s->v[0], row, col, mask);
        if (j->next && !cg_is_padded(g, &s->v[0]) && !g->asked[g->p->bufs[s->v[0].buf].arg])
            cg_prefetch(g, cg_view_addr(g, &s->v[0], cg_add(g, row, j->next), col), true, 2);
        if (j->reduce != KEEP)
            cg_store(g, combine(g, j, cg_load(g, g->vec, acc[k]), v), acc[k]);
    }
}

static void
map_column(struct cg *g, val col, val mask, void *arg)
{
    const struct map_job *j = arg;
    const struct tile_stmt *s = j->s;
    val rows = cg_tx(g, s->rows), step = cg_i(g, UNROLL), acc[UNROLL] = {NULL};
    val zero = cg_splat_f(g, j->reduce == MAX ? -__builtin_inf() : 0);
    for (int k = 0; k < UNROLL && j->reduce != KEEP; k++)
        acc[k] = cg_var(g, g->vec, zero);
    val whole = cg_mul(g, LLVMBuildSDiv(g->b, rows, step, ""), step);
    struct cg_loop l = cg_loop(g, cg_i(g, 0), whole, step);
    map_rows(g, j, l.iv, col, mask, UNROLL, acc);
    cg_end(g, &l);
    l = cg_loop(g, whole, rows, cg_i(g, 1));
    map_rows(g, j, l.iv, col, mask, 1, acc);
    cg_end(g, &l);
    if (j->reduce == KEEP)
        return;
    val a[UNROLL];
    for (int k = 0; k < UNROLL; k++)
        a[k] = cg_load(g, g->vec, acc[k]);
    val all = combine(g, j, combine(g, j, a[0], a[1]), combine(g, j, a[2], a[3]));
    const tile_view *dst = &s->v[j->reduce == SUM ? 1 : 0];
    if (j->reduce == SUM)
        all = LLVMBuildFAdd(g->b, cg_get(g, dst, cg_i(g, 0), col, NULL), all, "");
    cg_put(g, all, dst, cg_i(g, 0), col, mask);
}

struct row_map {
    const struct map_job *j;
    val row;
};

static void
row_map_column(struct cg *g, val col, val mask, void *arg)
{
    struct row_map *r = arg;
    map_rows(g, r->j, r->row, col, mask, 1, NULL);
}

static bool
column_walk(const struct ir_func *f, ir_ref n, ir_axes columns, bool *seen)
{
    const struct ir_node *x = &f->nodes[n];
    if (seen[n])
        return false;
    seen[n] = true;
    if ((ir_ops[x->op].props & IRP_TRANS) && x->axes == columns)
        return true;
    for (int k = 0; k < x->nargs; k++)
        if (column_walk(f, x->arg[k], columns, seen))
            return true;
    return false;
}

/* True if the node has a function of the column alone in it, such as the frequencies of rope: it is
 * evaluated once for all rows if those are looped over inside. */
static bool
has_column_function(const struct cg *g, const struct tile_stmt *s)
{
    if (s->col_axis == AX_UNIT)
        return false;
    bool *seen = xmalloc(g->f->nnodes);
    memset(seen, 0, g->f->nnodes);
    bool found = column_walk(g->f, s->node, (ir_axes)1 << s->col_axis, seen);
    free(seen);
    return found;
}

/* ---- columns past the last ---- */

/* Whether the row goes on in scratch, from its first column on in whole vectors. */
static bool
is_scratch(const struct cg *g, const tile_view *v)
{
    int64_t col;
    return !v->buf || (g->p->bufs[v->buf].kind == BUF_LOCAL && tx_is_num(g->p, v->col, &col) &&
                       col == 0);
}

/* Whether past the columns there is scratch that no view reads. */
static bool
can_write_past(const struct cg *g, const tile_view *v)
{
    tx_ref read = g->read_columns[v->buf]; /* 0 if there is no buffer */
    return is_scratch(g, v) && (!read || read == v->cols);
}

/* Whether the node can be evaluated past the last column of s: it reads scratch there, or nothing.
 */
static bool
can_run_past(const struct cg *g, const struct tile_stmt *s, ir_ref n, bool *seen)
{
    const struct ir_node *x = &g->f->nodes[n];
    if (seen[n] || !(x->axes >> s->col_axis & 1))
        return true;
    seen[n] = true;
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].node == n)
            return s->binds[k].row_axis != s->col_axis && is_scratch(g, &s->binds[k].view);
    bool ok = x->op == IR_pos || (ir_ops[x->op].props & IRP_ELEM);
    for (int k = 0; k < x->nargs; k++)
        ok = ok && can_run_past(g, s, x->arg[k], seen);
    return ok;
}

/* The columns of s, tokens, in vectors; the last is whole, too, where what it holds past the last
 * token is scratch: a partial one would be the same code once more. */
static void
token_columns(struct cg *g, const struct map_job *j)
{
    const struct tile_stmt *s = j->s;
    val cols = cg_tx(g, s->cols), vl = cg_i(g, g->vl);
    bool *seen = xmalloc(g->f->nnodes);
    memset(seen, 0, g->f->nnodes);
    if ((s->col_axis == AX_i || s->col_axis == AX_j) && can_write_past(g, &s->v[0]) &&
        can_write_past(g, &s->v[1]) && can_run_past(g, s, s->node, seen)) {
        val up = cg_add(g, cols, cg_i(g, g->vl - 1));
        cols = cg_mul(g, LLVMBuildSDiv(g->b, up, vl, ""), vl);
        struct cg_loop l = cg_loop(g, cg_i(g, 0), cols, vl);
        map_column(g, l.iv, NULL, (void *)(uintptr_t)j);
        cg_end(g, &l);
    } else {
        cg_columns(g, cols, map_column, (void *)(uintptr_t)j);
    }
    free(seen);
}

void
cg_tile_map(struct cg *g, const struct tile_stmt *s)
{
    struct map_job j = {.s = s, .reduce = KEEP, .store = true};
    val cols = cg_tx(g, s->cols);
    bool by_rows = !has_column_function(g, s);
    if (by_rows && s->row_axis != AX_UNIT && s->col_axis != AX_i && s->col_axis != AX_j) {
        struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->rows), cg_i(g, 1));
        j.next = cg_tx(g, s->rows);
        struct row_map r = {&j, l.iv};
        cg_columns(g, cols, row_map_column, &r);
        cg_end(g, &l);
        return;
    }
    token_columns(g, &j);
}

void
cg_tile_mapsum(struct cg *g, const struct tile_stmt *s)
{
    struct map_job j = {.s = s, .reduce = SUM, .store = s->v[0].buf != 0};
    token_columns(g, &j);
}

void
cg_tile_colmax(struct cg *g, const struct tile_stmt *s)
{
    struct map_job j = {.s = s, .reduce = MAX};
    token_columns(g, &j);
}

/* ---- the extremes of a tile ---- */

/* *acc = v where v compares to it so; mask: the valid lanes, NULL for all. */
static void
keep_extreme(struct cg *g, val v, val mask, LLVMRealPredicate than, val acc)
{
    val old = cg_load(g, g->vec, acc), take = LLVMBuildFCmp(g->b, than, v, old, "");
    if (mask)
        take = LLVMBuildAnd(g->b, take, mask, "");
    cg_store(g, LLVMBuildSelect(g->b, take, v, old, ""), acc);
}

struct minmax_job {
    const struct tile_stmt *s;
    val row, acc[2], nan; /* least, greatest; NaN if there is one, else 0 */
};

static void
minmax_column(struct cg *g, val col, val mask, void *arg)
{
    struct minmax_job *j = arg;
    struct cg_point at = {.s = j->s, .row = j->row, .col = col, .red = NULL, .lanes = mask};
    val v = cg_expr(g, j->s->node, &at), nan = cg_load(g, g->vec, j->nan);
    val bad = LLVMBuildFCmp(g->b, LLVMRealUNO, v, v, "");
    if (mask)
        bad = LLVMBuildAnd(g->b, bad, mask, "");
    cg_store(g, LLVMBuildSelect(g->b, bad, v, nan, ""), j->nan);
    for (int k = 0; k < 2; k++) {
        keep_extreme(g, v, mask, k ? LLVMRealOGT : LLVMRealOLT, j->acc[k]);
    }
}

void
cg_tile_minmax(struct cg *g, const struct tile_stmt *s)
{
    struct minmax_job j = {.s = s, .nan = cg_var(g, g->vec, cg_splat_f(g, 0))};
    for (int k = 0; k < 2; k++)
        j.acc[k] = cg_var(g, g->vec, cg_splat_f(g, k ? -__builtin_inf() : __builtin_inf()));
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->rows), cg_i(g, 1));
    j.row = l.iv;
    cg_columns(g, cg_tx(g, s->cols), minmax_column, &j);
    cg_end(g, &l);
    val nan = cg_hsum(g, cg_load(g, g->vec, j.nan));
    for (int k = 0; k < 2; k++) {
        val v = cg_load(g, g->vec, j.acc[k]), r = cg_hmax(g, v, k ? LLVMRealOGT : LLVMRealOLT);
        cg_store(g, LLVMBuildFAdd(g->b, r, nan, ""),
                 cg_view_addr(g, &s->v[0], cg_i(g, 0), cg_i(g, k)));
    }
}

/* ---- sums along columns ---- */

struct rowsum_job {
    const struct tile_stmt *s;
    val row, acc;
};

static void
rowsum_column(struct cg *g, val col, val mask, void *arg)
{
    struct rowsum_job *j = arg;
    struct cg_point at = {.s = j->s, .row = j->row, .col = col, .red = NULL, .lanes = mask};
    val v = cg_expr(g, j->s->node, &at);
    if (mask)
        v = LLVMBuildSelect(g->b, mask, v, cg_splat_f(g, 0), "");
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->vec, j->acc), v, ""), j->acc);
}

/* v0 is one row; element r of it receives the sum of row r. */
void
cg_tile_rowsum(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->rows), cg_i(g, 1));
    struct rowsum_job j = {s, l.iv, cg_var(g, g->vec, cg_splat_f(g, 0))};
    cg_columns(g, cg_tx(g, s->cols), rowsum_column, &j);
    val addr = cg_view_addr(g, &s->v[0], cg_i(g, 0), l.iv);
    val sum = cg_hsum(g, cg_load(g, g->vec, j.acc));
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->acc, addr), sum, ""), addr);
    cg_end(g, &l);
}

static void
rowmax_column(struct cg *g, val col, val mask, void *arg)
{
    struct rowsum_job *j = arg;
    struct cg_point at = {.s = j->s, .row = j->row, .col = col, .red = NULL, .lanes = mask};
    keep_extreme(g, cg_expr(g, j->s->node, &at), mask, LLVMRealOGT, j->acc);
}

/* v0 is one row; element r of it receives the largest value of row r. */
void
cg_tile_rowmax(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->rows), cg_i(g, 1));
    struct rowsum_job j = {s, l.iv, cg_var(g, g->vec, cg_splat_f(g, -__builtin_inf()))};
    cg_columns(g, cg_tx(g, s->cols), rowmax_column, &j);
    val most = cg_hmax(g, cg_load(g, g->vec, j.acc), LLVMRealOGT);
    cg_store(g, most, cg_view_addr(g, &s->v[0], cg_i(g, 0), l.iv));
    cg_end(g, &l);
}

/* ---- sums over a third axis ---- */

struct mixsum_job {
    const struct tile_stmt *s;
};

static void
mixsum_column(struct cg *g, val col, val mask, void *arg)
{
    const struct tile_stmt *s = ((struct mixsum_job *)arg)->s;
    struct cg_loop rows = cg_loop(g, cg_i(g, 0), cg_tx(g, s->rows), cg_i(g, 1));
    val acc = cg_var(g, g->vec, cg_splat_f(g, 0));
    struct cg_loop red = cg_loop(g, cg_i(g, 0), cg_tx(g, s->depth), cg_i(g, 1));
    struct cg_point at = {.s = s, .row = rows.iv, .col = col, .red = red.iv, .lanes = mask};
    val v = cg_expr(g, s->node, &at);
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->vec, acc), v, ""), acc);
    cg_end(g, &red);
    cg_put(g, cg_load(g, g->vec, acc), &s->v[0], rows.iv, col, mask);
    cg_end(g, &rows);
}

void
cg_tile_mixsum(struct cg *g, const struct tile_stmt *s)
{
    struct mixsum_job j = {s};
    cg_columns(g, cg_tx(g, s->cols), mixsum_column, &j);
}
