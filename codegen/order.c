/* Statements of order: the greatest of a column, entries at computed places, sorting. */
#include "codegen/cg.h"

/* Places are numbers: beyond this one they are not all there in the type of tensors. */
static int64_t
last_place(const struct cg *g)
{
    return g->f->type == TYPE_F32 ? (int64_t)1 << 24 : (int64_t)1 << 53;
}

/* ---- best: NaN is greatest, and the first of equal ones stays ---- */

static void
best_column(struct cg *g, val col, val mask, void *arg)
{
    const struct tile_stmt *s = arg;
    const tile_view *place = s->v[0].buf ? &s->v[0] : NULL;
    val zero = cg_i(g, 0), top = cg_var(g, g->vec, cg_get(g, &s->v[1], zero, col, mask));
    val at = place ? cg_var(g, g->vec, cg_get(g, place, zero, col, mask)) : NULL;
    struct cg_loop r = cg_loop(g, zero, cg_tx(g, s->v[2].rows), cg_i(g, 1));
    val x = cg_get(g, &s->v[2], r.iv, col, mask), old = cg_load(g, g->vec, top);
    val more = LLVMBuildAnd(g->b, LLVMBuildFCmp(g->b, LLVMRealUGT, x, old, ""),
                            LLVMBuildFCmp(g->b, LLVMRealORD, old, old, ""), "");
    cg_store(g, LLVMBuildSelect(g->b, more, x, old, ""), top);
    if (place) {
        val n = cg_add(g, cg_tx(g, s->x[0]), r.iv), row = LLVMBuildSIToFP(g->b, n, g->acc, "");
        val held = LLVMBuildICmp(g->b, LLVMIntSLE, n, cg_i(g, last_place(g)), "");
        row = LLVMBuildSelect(g->b, held, row, LLVMConstReal(g->acc, __builtin_nan("")), "");
        val before = cg_load(g, g->vec, at);
        cg_store(g, LLVMBuildSelect(g->b, more, cg_splat(g, row), before, ""), at);
    }
    cg_end(g, &r);
    cg_put(g, cg_load(g, g->vec, top), &s->v[1], zero, col, mask);
    if (place)
        cg_put(g, cg_load(g, g->vec, at), place, zero, col, mask);
}

void
cg_tile_best(struct cg *g, const struct tile_stmt *s)
{
    cg_columns(g, cg_tx(g, s->v[2].cols), best_column, (void *)(uintptr_t)s);
}

/* ---- pick ---- */

struct pick_job {
    const struct tile_stmt *s;
    val row, from;       /* from: the row that is picked, NULL: none, all is NaN */
};

static void
pick_column(struct cg *g, val col, val mask, void *arg)
{
    const struct pick_job *j = arg;
    val x = j->from ? cg_get(g, &j->s->v[1], j->from, col, mask)
                    : cg_splat_f(g, __builtin_nan(""));
    cg_put(g, x, &j->s->v[0], j->row, col, mask);
}

/* The number x as an i64; of what has none some other number, and never poison. */
static val
whole_number(struct cg *g, val x)
{
    LLVMTypeRef over[2] = {g->i64, g->acc};
    return cg_call_intrinsic(g, "llvm.fptosi.sat", over, 2, &x, 1);
}

void
cg_tile_pick(struct cg *g, const struct tile_stmt *s)
{
    val zero = cg_i(g, 0), cols = cg_tx(g, s->v[0].cols), size = cg_tx(g, s->v[1].rows);
    struct cg_loop r = cg_loop(g, zero, cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val x = cg_load(g, g->acc, cg_view_addr(g, &s->v[2], zero, r.iv)), n = whole_number(g, x);
    val same = LLVMBuildFCmp(g->b, LLVMRealOEQ, LLVMBuildSIToFP(g->b, n, g->acc, ""), x, "");
    val inside = LLVMBuildICmp(g->b, LLVMIntULT, n, size, ""); /* not negative either */
    val held = LLVMBuildICmp(g->b, LLVMIntSLE, size, cg_i(g, last_place(g)), "");
    val ok = LLVMBuildAnd(g->b, LLVMBuildAnd(g->b, same, inside, ""), held, "");
    LLVMBasicBlockRef after = cg_if(g, ok);
    struct pick_job found = {s, r.iv, n}, none = {s, r.iv, NULL};
    cg_columns(g, cols, pick_column, &found);
    cg_fi(g, after);
    after = cg_if(g, LLVMBuildNot(g->b, ok, ""));
    cg_columns(g, cols, pick_column, &none);
    cg_fi(g, after);
    cg_end(g, &r);
}

/* ---- argsort: the runtime's code ---- */

void
cg_tile_argsort(struct cg *g, const struct tile_stmt *s)
{
    const char *name = g->esize == 4 ? "attn_argsort_f32" : "attn_argsort_f64";
    val zero = cg_i(g, 0);
    struct cg_loop r = cg_loop(g, zero, cg_tx(g, s->v[0].rows), cg_i(g, 1));
    val args[6] = {cg_view_addr(g, &s->v[1], r.iv, zero), cg_tx(g, s->v[1].cols),
                   cg_view_addr(g, &s->v[0], r.iv, zero), cg_view_addr(g, &s->v[2], zero, zero),
                   cg_view_ld(g, &s->v[2]), cg_i(g, last_place(g))};
    cg_call_runtime(g, name, NULL, args, 6);
    cg_end(g, &r);
}
