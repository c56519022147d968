/* Decays over tiles of pairs: products of gates, queries across the lanes of a vector, keys from
 * the last one down, so that each is the one after it times one gate. */
#include "codegen/cg.h"

/* ---- the product of the rows, or of one row ---- */

struct product {
    const struct tile_stmt *s;
    val acc;
};

static void
multiply(struct cg *g, val acc, val x)
{
    cg_store(g, LLVMBuildFMul(g->b, cg_load(g, g->vec, acc), x, ""), acc);
}

static void
product_of_rows(struct cg *g, val col, val mask, void *arg)
{
    const struct tile_stmt *s = arg;
    val acc = cg_var(g, g->vec, cg_splat_f(g, 1));
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_tx(g, s->v[1].rows), cg_i(g, 1));
    multiply(g, acc, cg_get(g, &s->v[1], l.iv, col, mask));
    cg_end(g, &l);
    cg_put(g, cg_load(g, g->vec, acc), &s->v[0], cg_i(g, 0), col, mask);
}

static void
product_of_row(struct cg *g, val col, val mask, void *arg)
{
    const struct product *p = arg;
    val x = cg_get(g, &p->s->v[1], cg_i(g, 0), col, mask);
    multiply(g, p->acc, mask ? LLVMBuildSelect(g->b, mask, x, cg_splat_f(g, 1), "") : x);
}

void
cg_tile_product(struct cg *g, const struct tile_stmt *s)
{
    if (!s->num[0]) {
        cg_columns(g, cg_tx(g, s->v[0].cols), product_of_rows, (void *)(uintptr_t)s);
        return;
    }
    struct product p = {s, cg_var(g, g->vec, cg_splat_f(g, 1))};
    cg_columns(g, cg_tx(g, s->v[1].cols), product_of_row, &p);
    val all = cg_load(g, g->vec, p.acc), one = NULL;
    for (int k = 0; k < g->vl; k++) {
        val x = LLVMBuildExtractElement(g->b, all, LLVMConstInt(g->i32, (unsigned)k, 0), "");
        one = one ? LLVMBuildFMul(g->b, one, x, "") : x;
    }
    cg_store(g, one, cg_view_addr(g, &s->v[0], cg_i(g, 0), cg_i(g, 0)));
}

/* ---- a tile ---- */

struct fade {
    const struct tile_stmt *s;
    val col, mask;               /* the queries at hand */
    val first, last, end;        /* their first and last position; the token after the tile */
    val channel;
    val acc;                     /* per query: the product of the gates so far */
};

static val
gate(struct cg *g, const struct fade *f, val token)
{
    const tile_view *v = &f->s->v[3];
    val at = f->s->num[0] ? cg_view_addr(g, v, cg_i(g, 0), token)
                          : cg_view_addr(g, v, token, f->channel);
    return cg_splat(g, cg_load(g, g->acc, at));
}

/* The queries that come before the token keep their product, others take in its gate. */
static void
take_gate(struct cg *g, const struct fade *f, val token)
{
    val old = cg_load(g, g->vec, f->acc), x = LLVMBuildFMul(g->b, old, gate(g, f, token), "");
    val before = cg_sub(g, token, f->first); /* lanes, where queries are at different places */
    val together = LLVMBuildICmp(g->b, LLVMIntEQ, cg_tx(g, f->s->x[2]), cg_i(g, 0), "");
    val all = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, before, cg_i(g, 0), ""),
                              cg_i(g, g->vl), cg_i(g, 0), "");
    before = cg_max(g, cg_i(g, 0), LLVMBuildSelect(g->b, together, all, before, ""));
    cg_store(g, LLVMBuildSelect(g->b, cg_mask(g, before), old, x, ""), f->acc);
}

/* Key row r from the product so far. */
static void
put_row(struct cg *g, const struct fade *f, val r)
{
    const tile_view *v = f->s->v;
    val x = cg_load(g, g->vec, f->acc), zero = cg_i(g, 0);
    if (f->s->num[0]) {
        cg_put(g, x, &v[0], r, f->col, f->mask);
        return;
    }
    if (v[1].buf)
        x = LLVMBuildFMul(g->b, x, cg_splat(g, cg_get_one(g, &v[1], r, f->channel)), "");
    val first = LLVMBuildICmp(g->b, LLVMIntEQ, f->channel, zero, "");
    val sum = LLVMBuildSelect(g->b, first, cg_splat_f(g, 0),
                              cg_get(g, &v[0], r, f->col, f->mask), "");
    if (v[2].buf)
        x = LLVMBuildFMul(g->b, x, cg_get(g, &v[2], f->channel, f->col, f->mask), "");
    cg_put(g, LLVMBuildFAdd(g->b, sum, x, ""), &v[0], r, f->col, f->mask);
}

/* All keys for one vector of queries and one channel. */
static void
fade_channel(struct cg *g, struct fade *f)
{
    val zero = cg_i(g, 0), one = cg_i(g, 1), rows = cg_tx(g, f->s->v[0].rows);
    val between = cg_load(g, g->acc, cg_view_addr(g, &f->s->v[4], zero, f->channel));
    f->acc = cg_var(g, g->vec, cg_splat(g, between));
    val from = cg_max(g, f->end, cg_add(g, cg_tx(g, f->s->x[1]), one));
    struct cg_loop l = cg_loop(g, from, cg_add(g, f->last, one), one);
    take_gate(g, f, l.iv);
    cg_end(g, &l);
    val bottom = cg_sub(g, rows, one);
    put_row(g, f, bottom);
    l = cg_loop(g, zero, bottom, one);
    val r = cg_sub(g, cg_sub(g, bottom, one), l.iv);
    take_gate(g, f, cg_add(g, cg_add(g, cg_tx(g, f->s->x[0]), r), one));
    put_row(g, f, r);
    cg_end(g, &l);
}

static void
fade_columns(struct cg *g, val col, val mask, void *arg)
{
    const struct tile_stmt *s = arg;
    val zero = cg_i(g, 0), one = cg_i(g, 1), step = cg_tx(g, s->x[2]);
    val query = cg_tx(g, s->x[1]), most = cg_sub(g, cg_tx(g, s->v[0].cols), one);
    val last = cg_min(g, most, cg_add(g, col, cg_i(g, g->vl - 1)));
    struct fade f = {.s = s, .col = col, .mask = mask, .channel = zero,
                     .first = cg_add(g, query, cg_mul(g, step, col)),
                     .last = cg_add(g, query, cg_mul(g, step, last)),
                     .end = cg_add(g, cg_tx(g, s->x[0]), cg_tx(g, s->v[0].rows))};
    if (s->num[0]) {
        fade_channel(g, &f);
        return;
    }
    struct cg_loop l = cg_loop(g, zero, cg_tx(g, s->v[3].cols), one);
    f.channel = l.iv;
    fade_channel(g, &f);
    cg_end(g, &l);
}

void
cg_tile_faded(struct cg *g, const struct tile_stmt *s)
{
    val zero = cg_i(g, 0), rows = cg_tx(g, s->v[0].rows);
    LLVMBasicBlockRef any = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSGT, rows, zero, ""));
    cg_columns(g, cg_tx(g, s->v[0].cols), fade_columns, (void *)(uintptr_t)s);
    cg_fi(g, any);
}
