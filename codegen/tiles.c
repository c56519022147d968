/* Statements on whole tiles that evaluate no node: zeroing, copies, scaling, features, repairs. */
#include "codegen/cg.h"

#include "runtime/attn.h"

/* ---- filling ---- */

struct fill_job {
    const struct tile_stmt *s;
    val row;
    double value;
};

static void
fill_column(struct cg *g, val col, val mask, void *arg)
{
    struct fill_job *j = arg;
    cg_put(g, cg_splat_f(g, j->value), &j->s->v[0], j->row, col, mask);
}

static void
fill(struct cg *g, const struct tile_stmt *s, double value)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct fill_job j = {s, l.iv, value};
    cg_columns(g, cg_tx(g, s->v[0].cols), fill_column, &j);
    cg_end(g, &l);
}

void
cg_tile_zero(struct cg *g, const struct tile_stmt *s)
{
    fill(g, s, 0);
}

void
cg_tile_ones(struct cg *g, const struct tile_stmt *s)
{
    fill(g, s, 1);
}

void
cg_tile_lowest(struct cg *g, const struct tile_stmt *s)
{
    fill(g, s, -__builtin_inf());
}

/* ---- row by row, vector by vector ---- */

/* dst[row, col..] = fn(of what is there in v0 and v1); v1 may be one row for all. */
struct row_job {
    const struct tile_stmt *s;
    val row, number;
    bool first_row;          /* v1 is a single row over the same columns */
    enum { COPY, ADD, SCALE_BY_NUMBER, SCALE_BY_ROW } what;
};

static void
row_column(struct cg *g, val col, val mask, void *arg)
{
    struct row_job *j = arg;
    const tile_view *v = j->s->v;
    val r;
    if (j->what == COPY || j->what == ADD) {
        r = cg_get(g, &v[1], j->row, col, mask);
    } else {
        val x = cg_get(g, &v[0], j->row, col, mask);
        val y = j->what == SCALE_BY_ROW ? cg_get(g, &v[1], cg_i(g, 0), col, mask) : j->number;
        r = LLVMBuildFMul(g->b, x, y, "");
    }
    if (j->what == ADD)
        r = LLVMBuildFAdd(g->b, cg_get(g, &v[0], j->row, col, mask), r, "");
    cg_put(g, r, &v[0], j->row, col, mask);
}

void
cg_tile_copy(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct row_job j = {.s = s, .row = l.iv, .what = COPY};
    cg_columns(g, cg_tx(g, s->v[0].cols), row_column, &j);
    cg_end(g, &l);
}

void
cg_tile_add(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct row_job j = {.s = s, .row = l.iv, .what = ADD};
    cg_columns(g, cg_tx(g, s->v[0].cols), row_column, &j);
    cg_end(g, &l);
}

void
cg_tile_colscale(struct cg *g, const struct tile_stmt *s)
{
    struct row_job j = {.s = s, .row = cg_i(g, 0), .what = SCALE_BY_ROW};
    cg_columns(g, cg_tx(g, s->v[0].cols), row_column, &j);
}

/* Rows whose factor is 1 are left alone: most are, once a running maximum has settled. */
void
cg_tile_rowscale(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val f = cg_load(g, g->acc, cg_view_addr(g, &s->v[1], cg_i(g, 0), l.iv));
    LLVMBasicBlockRef after = cg_if(
        g, LLVMBuildFCmp(g->b, LLVMRealUNE, f, LLVMConstReal(g->acc, 1), ""));
    struct row_job j = {.s = s, .row = l.iv, .number = cg_splat(g, f), .what = SCALE_BY_NUMBER};
    cg_columns(g, cg_tx(g, s->v[0].cols), row_column, &j);
    cg_fi(g, after);
    cg_end(g, &l);
}

void
cg_tile_scale(struct cg *g, const struct tile_stmt *s)
{
    val f = cg_splat(g, cg_load(g, g->acc, cg_view_addr(g, &s->v[1], cg_i(g, 0), cg_i(g, 0))));
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct row_job j = {.s = s, .row = l.iv, .number = f, .what = SCALE_BY_NUMBER};
    cg_columns(g, cg_tx(g, s->v[0].cols), row_column, &j);
    cg_end(g, &l);
}

/* v0[c, r] = v1[r, c], number by number: done once per tile of queries. */
void
cg_tile_transpose(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop r = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].cols), cg_i(g, 1));
    struct cg_loop c = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val v = cg_get_one(g, &s->v[1], r.iv, c.iv);
    cg_store(g, v, cg_view_addr(g, &s->v[0], c.iv, r.iv));
    cg_end(g, &c);
    cg_end(g, &r);
}

struct double_job {
    const struct tile_stmt *s;
    val row, width;
};

static void
double_column(struct cg *g, val col, val mask, void *arg)
{
    struct double_job *j = arg;
    val x = cg_get(g, &j->s->v[1], j->row, col, mask);
    for (int k = 0; k < 2; k++)
        cg_put(g, x, &j->s->v[0], j->row, k ? cg_add(g, col, j->width) : col, mask);
}

void
cg_tile_double(struct cg *g, const struct tile_stmt *s)
{
    val width = cg_tx(g, s->v[1].cols);
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct double_job j = {s, l.iv, width};
    cg_columns(g, width, double_column, &j);
    cg_end(g, &l);
}

/* ---- running maximum: t = max(m, new); scale = exp(m - t), 1 where both are equal ---- */

static void
running_column(struct cg *g, val col, val mask, void *arg)
{
    const struct tile_stmt *s = arg;
    struct vm vm = {.ctx = g->ctx, .mod = g->mod, .b = g->b, .ty = g->vec, .fma = g->t->fma != 0,
                    .avx512 = g->t->bits == 512};
    val zero = cg_i(g, 0), addr = cg_view_addr(g, &s->v[0], zero, col);
    val old = cg_load(g, g->vec, addr), fresh = cg_get(g, &s->v[1], zero, col, mask);
    val t = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, old, fresh, ""), old, fresh, "");
    val e = vm_emit(&vm, IR_exp, LLVMBuildFSub(g->b, old, t, ""), NULL);
    e = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOEQ, old, t, ""), cg_splat_f(g, 1), e,
                        "");
    cg_store(g, t, addr);
    cg_store(g, e, cg_view_addr(g, &s->v[2], zero, col));
}

void
cg_tile_running(struct cg *g, const struct tile_stmt *s)
{
    cg_columns(g, cg_tx(g, s->v[0].cols), running_column, (void *)(uintptr_t)s);
}

/* ---- reductions of tiles ---- */

static void
colsum_column(struct cg *g, val col, val mask, void *arg)
{
    const struct tile_stmt *s = arg;
    val acc[4], step = cg_i(g, 4), rows = cg_tx(g, s->v[1].rows);
    for (int k = 0; k < 4; k++)
        acc[k] = cg_var(g, g->vec, cg_splat_f(g, 0));
    val whole = cg_mul(g, LLVMBuildSDiv(g->b, rows, step, ""), step);
    struct cg_loop l = cg_loop(g, cg_i(g, 0), whole, step);
    for (int k = 0; k < 4; k++) {
        val x = cg_load(g, g->vec, cg_view_addr(g, &s->v[1], cg_add(g, l.iv, cg_i(g, k)), col));
        cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->vec, acc[k]), x, ""), acc[k]);
    }
    cg_end(g, &l);
    l = cg_loop(g, whole, rows, cg_i(g, 1));
    val x = cg_load(g, g->vec, cg_view_addr(g, &s->v[1], l.iv, col));
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->vec, acc[0]), x, ""), acc[0]);
    cg_end(g, &l);
    val a[4];
    for (int k = 0; k < 4; k++)
        a[k] = cg_load(g, g->vec, acc[k]);
    val sum = LLVMBuildFAdd(g->b, LLVMBuildFAdd(g->b, a[0], a[1], ""),
                            LLVMBuildFAdd(g->b, a[2], a[3], ""), "");
    val old = cg_get(g, &s->v[0], cg_i(g, 0), col, mask);
    cg_put(g, LLVMBuildFAdd(g->b, old, sum, ""), &s->v[0], cg_i(g, 0), col, mask);
}

void
cg_tile_colsum(struct cg *g, const struct tile_stmt *s)
{
    cg_columns(g, cg_tx(g, s->v[1].cols), colsum_column, (void *)(uintptr_t)s);
}

struct rowdot_job {
    const struct tile_stmt *s;
    val row, acc;
};

static void
rowdot_column(struct cg *g, val col, val mask, void *arg)
{
    struct rowdot_job *j = arg;
    val x = cg_get(g, &j->s->v[1], j->row, col, mask);
    val y = cg_get(g, &j->s->v[2], cg_i(g, 0), col, mask);
    cg_store(g, cg_fma(g, x, y, cg_load(g, g->vec, j->acc)), j->acc);
}

void
cg_tile_rowdot(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[1].rows), cg_i(g, 1));
    struct rowdot_job j = {s, l.iv, cg_var(g, g->vec, cg_splat_f(g, 0))};
    cg_columns(g, cg_tx(g, s->v[1].cols), rowdot_column, &j);
    val addr = cg_view_addr(g, &s->v[0], cg_i(g, 0), l.iv);
    val sum = cg_hsum(g, cg_load(g, g->vec, j.acc));
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->acc, addr), sum, ""), addr);
    cg_end(g, &l);
}

/* ---- inf and NaN in values that some rows must not see ---- */

struct finite_job {
    const tile_view *v;
    val row, acc;
};

/* acc += x*0, which is NaN exactly where x is not finite. */
static void
finite_column(struct cg *g, val col, val mask, void *arg)
{
    struct finite_job *j = arg;
    val x = LLVMBuildFMul(g->b, cg_get(g, j->v, j->row, col, mask), cg_splat_f(g, 0), "");
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->vec, j->acc), x, ""), j->acc);
}

/* i1: row `row` of v holds no inf or NaN. */
static val
row_is_finite(struct cg *g, const tile_view *v, val row)
{
    struct finite_job j = {v, row, cg_var(g, g->vec, cg_splat_f(g, 0))};
    cg_columns(g, cg_tx(g, v->cols), finite_column, &j);
    val sum = cg_hsum(g, cg_load(g, g->vec, j.acc));
    return LLVMBuildFCmp(g->b, LLVMRealORD, sum, sum, "");
}

void
cg_tile_clean(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val ok = row_is_finite(g, &s->v[1], l.iv), cols = cg_tx(g, s->v[0].cols);
    struct row_job copy = {.s = s, .row = l.iv, .what = COPY};
    cg_columns(g, cols, row_column, &copy);
    LLVMBasicBlockRef after = cg_if(g, LLVMBuildNot(g->b, ok, ""));
    struct fill_job zero = {s, l.iv, 0};
    cg_columns(g, cols, fill_column, &zero);
    cg_fi(g, after);
    cg_end(g, &l);
}

struct patch_job {
    const struct tile_stmt *s;
    val key, row, weight;
};

static void
patch_column(struct cg *g, val col, val mask, void *arg)
{
    struct patch_job *j = arg;
    const tile_view *v = j->s->v;
    val x = cg_get(g, &v[2], j->key, col, mask), old = cg_get(g, &v[0], j->row, col, mask);
    cg_put(g, cg_fma(g, j->weight, x, old), &v[0], j->row, col, mask);
}

void
cg_tile_patch(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop key = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[2].rows), cg_i(g, 1));
    val bad = LLVMBuildNot(g->b, row_is_finite(g, &s->v[2], key.iv), "");
    LLVMBasicBlockRef after = cg_if(g, bad);
    struct cg_loop row = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val seen = cg_load(g, g->acc, cg_view_addr(g, &s->v[3], key.iv, row.iv));
    LLVMBasicBlockRef hidden = cg_if(
        g, LLVMBuildFCmp(g->b, LLVMRealUNE, seen, LLVMConstReal(g->acc, 0), ""));
    val w = cg_splat(g, cg_load(g, g->acc, cg_view_addr(g, &s->v[1], key.iv, row.iv)));
    struct patch_job j = {s, key.iv, row.iv, w};
    cg_columns(g, cg_tx(g, s->v[0].cols), patch_column, &j);
    cg_fi(g, hidden);
    cg_end(g, &row);
    cg_fi(g, after);
    cg_end(g, &key);
}

/* ---- reporting rows whose normaliser is zero ---- */

void
cg_tile_checkzero(struct cg *g, const struct tile_stmt *s)
{
    val slot = cg_slot(g, cg_status_slot(g->f)), zero = cg_i(g, 0);
    val keys = LLVMBuildICmp(g->b, LLVMIntSGT, g->dims[DIM_N], zero, "");
    val asked = LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntNE, slot, zero, ""), keys, "");
    LLVMBasicBlockRef after = cg_if(g, asked);
    val where = LLVMBuildIntToPtr(g->b, slot, g->ptr, ""), fz = LLVMConstReal(g->acc, 0);
    struct cg_loop l = cg_loop(g, zero, cg_tx(g, s->v[0].cols), cg_i(g, 1));
    val z = cg_load(g, g->acc, cg_view_addr(g, &s->v[0], zero, l.iv));
    val hit = LLVMBuildFCmp(g->b, LLVMRealOEQ, z, fz, "");
    if (s->v[1].buf) {
        val seen = cg_load(g, g->acc, cg_view_addr(g, &s->v[1], zero, l.iv));
        hit = LLVMBuildAnd(g->b, hit, LLVMBuildFCmp(g->b, LLVMRealOGT, seen, fz, ""), "");
    }
    LLVMBasicBlockRef next = cg_if(g, hit);
    val row = cg_add(g, cg_mul(g, cg_tx(g, s->at[0]), g->dims[DIM_H]), cg_tx(g, s->at[1]));
    row = cg_add(g, cg_mul(g, row, g->dims[DIM_NQ]), cg_add(g, cg_tx(g, s->at[2]), l.iv));
    LLVMBuildAtomicRMW(g->b, LLVMAtomicRMWBinOpMin, where, row, LLVMAtomicOrderingMonotonic, 0);
    cg_fi(g, next);
    cg_end(g, &l);
    cg_fi(g, after);
}

/* ---- quarter turns of pairs ---- */

struct turn_job {
    const struct tile_stmt *s;
    val row, half;     /* half: how far apart the two of a pair are, NULL: neighbours */
};

/* -y, x, -y, x ... of x, y, x, y ...; past the valid lanes there are zeros. */
static val
turn_neighbours(struct cg *g, val v)
{
    val lanes[64];
    for (int k = 0; k < g->vl; k++)
        lanes[k] = LLVMConstInt(g->i32, (unsigned)(k % 2 ? k - 1 : g->vl + k + 1), 0);
    val order = LLVMConstVector(lanes, (unsigned)g->vl);
    return LLVMBuildShuffleVector(g->b, v, LLVMBuildFNeg(g->b, v, ""), order, "");
}

static void
turn_column(struct cg *g, val col, val mask, void *arg)
{
    const struct turn_job *j = arg;
    const tile_view *v = j->s->v;
    val x = cg_get(g, &v[1], j->row, col, mask);
    if (!j->half) {
        cg_put(g, turn_neighbours(g, x), &v[0], j->row, col, mask);
        return;
    }
    val other = cg_add(g, col, j->half), y = cg_get(g, &v[1], j->row, other, mask);
    cg_put(g, LLVMBuildFNeg(g->b, y, ""), &v[0], j->row, col, mask);
    cg_put(g, x, &v[0], j->row, other, mask);
}

void
cg_tile_turn(struct cg *g, const struct tile_stmt *s)
{
    val cols = cg_tx(g, s->v[1].cols), half = LLVMBuildSDiv(g->b, cols, cg_i(g, 2), "");
    val odd = LLVMBuildICmp(g->b, LLVMIntNE, cols, cg_mul(g, half, cg_i(g, 2)), "");
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct turn_job j = {s, l.iv, s->num[0] == 1 ? half : NULL};
    cg_columns(g, j.half ? half : cols, turn_column, &j);
    if (j.half) {
        LLVMBasicBlockRef after = cg_if(g, odd);
        val last = cg_view_addr(g, &s->v[0], l.iv, cg_sub(g, cols, cg_i(g, 1)));
        cg_store(g, LLVMConstReal(g->acc, 0), last);
        cg_fi(g, after);
    }
    cg_end(g, &l);
}
