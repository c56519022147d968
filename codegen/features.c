/* Monomial features of token vectors, formed a block at a time with vector code.
 *
 * In rotation order one row of the table is a full-width product of rotations of the vector, read
 * from a copy that holds it twice: no index arithmetic per feature and no triangular remainder.
 * When the width is no multiple of the vector length, each row overruns into the next, which is
 * written after it. A table in memory: the weights of all rows (double), then degree-1 offsets
 * (int32) per row. */
#include "codegen/cg.h"

#include "runtime/attn.h"

static val
table_weight(struct cg *g, const tile_view *table, val row)
{
    val at = LLVMBuildInBoundsGEP2(g->b, g->f64, cg_base(g, table->buf), &row, 1, "");
    val d = LLVMBuildLoad2(g->b, g->f64, at, "");
    return g->acc == g->f64 ? d : LLVMBuildFPTrunc(g->b, d, g->acc, "");
}

static val
table_offsets(struct cg *g, const tile_view *table)
{
    val rows = cg_tx(g, g->p->bufs[table->buf].rows);
    return LLVMBuildInBoundsGEP2(g->b, g->f64, cg_base(g, table->buf), &rows, 1, "");
}

static val
table_offset(struct cg *g, val offsets, val row, int degree, int k)
{
    val at = cg_add(g, cg_mul(g, row, cg_i(g, degree - 1)), cg_i(g, k));
    val v = LLVMBuildLoad2(g->b, g->i32, LLVMBuildInBoundsGEP2(g->b, g->i32, offsets, &at, 1, ""),
                           "");
    return LLVMBuildSExt(g->b, v, g->i64, "");
}

void
cg_tile_table(struct cg *g, const struct tile_stmt *s)
{
    val args[4] = {cg_tx(g, s->x[0]), cg_i(g, s->num[0]), table_offsets(g, &s->v[0]),
                   cg_base(g, s->v[0].buf)};
    cg_call_runtime(g, "attn_monomial_rows", g->i64, args, 4);
}

void
cg_tile_features(struct cg *g, const struct tile_stmt *s)
{
    int degree = s->num[0];
    val lo = cg_tx(g, s->x[0]), hi = cg_tx(g, s->x[1]), width = cg_tx(g, s->x[2]),
        zero = cg_i(g, 0);
    val offsets = table_offsets(g, &s->v[2]), off[16];
    struct cg_loop token = cg_loop(g, zero, cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val x = cg_view_addr(g, &s->v[1], token.iv, zero),
        out = cg_view_addr(g, &s->v[0], token.iv, zero);
    struct cg_loop row = cg_loop(g, lo, hi, cg_i(g, 1));
    for (int k = 0; k + 1 < degree; k++)
        off[k] = table_offset(g, offsets, row.iv, degree, k);
    val weight = s->num[1] ? cg_splat(g, table_weight(g, &s->v[2], row.iv)) : NULL;
    val at = cg_at(g, out, cg_mul(g, cg_sub(g, row.iv, lo), width));
    struct cg_loop a = cg_loop(g, zero, width, cg_i(g, g->vl));
    val f = cg_load(g, g->vec, cg_at(g, x, a.iv));
    for (int k = 0; k + 1 < degree; k++) {
        val y = cg_load(g, g->vec, cg_at(g, x, cg_add(g, a.iv, off[k])));
        f = LLVMBuildFMul(g->b, f, y, "");
    }
    if (weight)
        f = LLVMBuildFMul(g->b, f, weight, "");
    cg_store(g, f, cg_at(g, at, a.iv));
    cg_end(g, &a);
    cg_end(g, &row);
    cg_end(g, &token);
}

struct weights_job {
    const tile_view *v;
    val row, from, factor;
};

static void
weights_column(struct cg *g, val col, val mask, void *arg)
{
    struct weights_job *j = arg;
    val at = j->from ? cg_add(g, j->from, col) : col, x = cg_get(g, j->v, j->row, at, mask);
    cg_put(g, LLVMBuildFMul(g->b, x, j->factor, ""), j->v, j->row, at, mask);
}

/* Row t of the table covers `width` features: rows of the state, or columns of a vector. */
void
cg_tile_weights(struct cg *g, const struct tile_stmt *s)
{
    val width = cg_tx(g, s->x[1]), lo = cg_tx(g, s->x[0]), zero = cg_i(g, 0);
    bool across = s->num[0] == 1;
    val count = LLVMBuildSDiv(g->b, cg_tx(g, across ? s->v[0].cols : s->v[0].rows), width, "");
    struct cg_loop t = cg_loop(g, zero, count, cg_i(g, 1));
    val w = cg_splat(g, table_weight(g, &s->v[1], cg_add(g, lo, t.iv))),
        first = cg_mul(g, t.iv, width);
    if (across) {
        struct weights_job j = {&s->v[0], zero, first, w};
        cg_columns(g, width, weights_column, &j);
    } else {
        struct cg_loop a = cg_loop(g, zero, width, cg_i(g, 1));
        struct weights_job j = {&s->v[0], cg_add(g, first, a.iv), NULL, w};
        cg_columns(g, cg_tx(g, s->v[0].cols), weights_column, &j);
        cg_end(g, &a);
    }
    cg_end(g, &t);
}

struct outer_job {
    const struct tile_stmt *s;
    val row, from, factor;
};

static void
outer_column(struct cg *g, val col, val mask, void *arg)
{
    struct outer_job *j = arg;
    val x = LLVMBuildFMul(g->b, cg_get(g, &j->s->v[2], j->row, col, mask), j->factor, "");
    cg_put(g, x, &j->s->v[0], j->row, cg_add(g, j->from, col), mask);
}

void
cg_tile_outer(struct cg *g, const struct tile_stmt *s)
{
    val zero = cg_i(g, 0), inner = cg_tx(g, s->v[2].cols);
    struct cg_loop r = cg_loop(g, zero, cg_tx(g, s->v[0].rows), cg_i(g, 1));
    struct cg_loop e = cg_loop(g, zero, cg_tx(g, s->v[1].cols), cg_i(g, 1));
    val f = cg_splat(g, cg_load(g, g->acc, cg_view_addr(g, &s->v[1], r.iv, e.iv)));
    struct outer_job j = {s, r.iv, cg_mul(g, e.iv, inner), f};
    cg_columns(g, inner, outer_column, &j);
    cg_end(g, &e);
    cg_end(g, &r);
}

/* Lexicographic monomials of one vector: the runtime's scalar code, for similarities that keep
 * them. */
void
cg_tile_mono(struct cg *g, const struct tile_stmt *s)
{
    const char *name = g->esize == 4 ? "attn_monomials_f32" : "attn_monomials_f64";
    val zero = cg_i(g, 0);
    struct cg_loop r = cg_loop(g, zero, cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val args[5] = {cg_view_addr(g, &s->v[1], r.iv, zero), cg_tx(g, s->v[1].cols),
                   cg_i(g, s->num[0]), cg_i(g, s->num[1]), cg_view_addr(g, &s->v[0], r.iv, zero)};
    cg_call_runtime(g, name, NULL, args, 5);
    cg_end(g, &r);
}
