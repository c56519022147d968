/* Scores of few queries: C = A B', dot products of rows, lanes along the rows.
 *
 *     dots(c, ldc, a, lda, b, ldb, m, n, k)      c[i,j] = sum over p of a[i*lda + p] b[j*ldb + p]
 *     dots_turned                                c[j,i] =
 *
 * With one query per head, or one per head of a group, the vectors of `matmul` would be mostly
 * empty. Here the rows of A (keys, streamed from memory) and of B (queries) are read in whole
 * vectors. Several rows of A at a time share what is loaded of B, but come from memory at a third
 * of the speed unless they were asked for before. */
#include "codegen/cg.h"

enum { ROWS = 4, QUERIES = 4, UNROLL = 4, DOTS_ARGS = 9 };

/* Rows of A that several of B meet are asked for so many rows before: there is time between loads.
 * With one of B the loads are all there is to do, and asking for more takes their place: then a row
 * of A is read to its end before the next one. */
enum { AHEAD = 128 };

struct dots_args {
    val c, ldc, a, lda, b, ldb, m, n, k;
    bool turned;
};

/* Sums of neighbouring lanes of x, then of y. */
static val
pair_sums(struct cg *g, val x, val y)
{
    val even[64], odd[64], poison = LLVMGetPoison(g->vec);
    bool same = x == y;
    for (int k = 0; k < g->vl; k++) {
        even[k] = LLVMConstInt(g->i32, (unsigned)(2 * k), 0);
        odd[k] = LLVMConstInt(g->i32, (unsigned)(2 * k + 1), 0);
        if (same && 2 * k >= g->vl)
            even[k] = odd[k] = LLVMGetPoison(g->i32);
    }
    val e = LLVMConstVector(even, (unsigned)g->vl), o = LLVMConstVector(odd, (unsigned)g->vl);
    return LLVMBuildFAdd(g->b, LLVMBuildShuffleVector(g->b, x, same ? poison : y, e, ""),
                         LLVMBuildShuffleVector(g->b, x, same ? poison : y, o, ""), "");
}

/* acc[0..n) to vectors whose lanes are the sums of each: lane l of vector v is the sum of
 * acc[v * vl + l]; where n is less than vl the lanes repeat. n is a power of two. */
static void
sum_lanes(struct cg *g, val *acc, int n)
{
    for (int width = g->vl; width > 1; width /= 2) {
        if (n == 1) {
            acc[0] = pair_sums(g, acc[0], acc[0]);
            continue;
        }
        for (int k = 0; k < n / 2; k++)
            acc[k] = pair_sums(g, acc[2 * k], acc[2 * k + 1]);
        n /= 2;
    }
}

/* The sums of n accumulators to memory: `run` of them one after another, each such run `apart`
 * elements from the one before. */
static void
store_sums(struct cg *g, val *acc, int n, int run, val at, val apart)
{
    val lanes[64];
    sum_lanes(g, acc, n);
    for (int k = 0; k < n; k += run)
        for (int i = 0; i < run; i += g->vl) {
            int count = run - i < g->vl ? run - i : g->vl, from = (k + i) % g->vl;
            for (int l = 0; l < count; l++)
                lanes[l] = LLVMConstInt(g->i32, (unsigned)(from + l), 0);
            val part = acc[(k + i) / g->vl];
            if (count < g->vl)
                part = LLVMBuildShuffleVector(g->b, part, LLVMGetPoison(g->vec),
                                              LLVMConstVector(lanes, (unsigned)count), "");
            cg_store(g, part, cg_at(g, at, cg_add(g, cg_mul(g, apart, cg_i(g, k / run)),
                                                  cg_i(g, i))));
        }
}

/* Some rows of A with some of B: accumulators and positions are variables, which become registers.
 * The sums that are neighbours in C are neighbours here. */
struct block {
    const struct dots_args *x;
    val a, b, acc[ROWS * QUERIES];
    int rows, cols;
};

static val *
sum_of(struct block *k, int i, int j)
{
    return &k->acc[k->x->turned ? j * k->rows + i : i * k->cols + j];
}

/* Some vectors along the rows. Rows are found from one position, not by a pointer each: those
 * would not all stay in registers. */
static void
add_products(struct cg *g, struct block *k, int vectors, val mask)
{
    val at = LLVMBuildLoad2(g->b, g->ptr, k->a, ""), bt = LLVMBuildLoad2(g->b, g->ptr, k->b, "");
    for (int v = 0; v < vectors; v++) {
        val on = cg_i(g, (int64_t)v * g->vl), a[ROWS];
        for (int i = 0; i < k->rows; i++) {
            val row = cg_at(g, at, cg_mul(g, k->x->lda, cg_i(g, i)));
            a[i] = cg_load_lanes(g, cg_at(g, row, on), mask);
            if (k->cols == QUERIES && v * g->vl * g->esize % CG_PAD == 0)
                cg_prefetch(g, cg_at(g, row, cg_add(g, on, cg_mul(g, k->x->lda,
                                                                  cg_i(g, AHEAD)))), false, 2);
        }
        for (int j = 0; j < k->cols; j++) {
            val row = cg_at(g, bt, cg_mul(g, k->x->ldb, cg_i(g, j)));
            val b = cg_load_lanes(g, cg_at(g, row, on), mask);
            for (int i = 0; i < k->rows; i++) {
                val *sum = sum_of(k, i, j);
                cg_store(g, cg_fma(g, a[i], b, cg_load(g, g->vec, *sum)), *sum);
            }
        }
    }
    val step = cg_i(g, (int64_t)vectors * g->vl);
    LLVMBuildStore(g->b, cg_at(g, at, step), k->a);
    LLVMBuildStore(g->b, cg_at(g, bt, step), k->b);
}

/* Products of `rows` rows of A from row i on with `cols` rows of B from row j on. */
static void
block(struct cg *g, const struct dots_args *x, val i, val j, int rows, int cols)
{
    struct block k = {.x = x, .rows = rows, .cols = cols};
    int n = rows * cols, unroll = rows > 1 ? 1 : UNROLL;
    val sum[ROWS * QUERIES], from = cg_i(g, 0);
    k.a = cg_var(g, g->ptr, cg_at(g, x->a, cg_mul(g, i, x->lda)));
    k.b = cg_var(g, g->ptr, cg_at(g, x->b, cg_mul(g, j, x->ldb)));
    for (int c = 0; c < n; c++)
        k.acc[c] = cg_var(g, g->vec, cg_splat_f(g, 0));
    for (int vectors = unroll; vectors >= 1; vectors = vectors > 1) {
        val step = cg_i(g, (int64_t)vectors * g->vl);
        struct cg_loop l = cg_loop(g, from, cg_sub(g, x->k, cg_sub(g, step, cg_i(g, 1))), step);
        add_products(g, &k, vectors, NULL);
        cg_end(g, &l);
        from = l.iv;
    }
    LLVMBasicBlockRef rest = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSLT, from, x->k, ""));
    add_products(g, &k, 1, cg_mask(g, cg_sub(g, x->k, from)));
    cg_fi(g, rest);
    for (int c = 0; c < n; c++)
        sum[c] = cg_load(g, g->vec, k.acc[c]);
    val at = x->turned ? cg_add(g, cg_mul(g, j, x->ldc), i) : cg_add(g, cg_mul(g, i, x->ldc), j);
    store_sums(g, sum, n, x->turned ? rows : cols, cg_at(g, x->c, at), x->ldc);
}

/* `rows` rows of A from row i on with all of B. */
static void
row_block(struct cg *g, const struct dots_args *x, val i, int rows)
{
    val four = cg_i(g, QUERIES), one = cg_i(g, 1);
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_sub(g, x->n, cg_sub(g, four, one)), four);
    block(g, x, i, l.iv, rows, QUERIES);
    cg_end(g, &l);
    struct cg_loop r = cg_loop(g, i, cg_add(g, i, cg_i(g, rows)), one); /* one after another */
    l = cg_loop(g, l.iv, x->n, one);
    block(g, x, r.iv, l.iv, 1, 1);
    cg_end(g, &l);
    cg_end(g, &r);
}

static val
build_dots(struct cg *g, bool turned)
{
    LLVMTypeRef p = g->ptr, i = g->i64, par[DOTS_ARGS] = {p, i, p, i, p, i, i, i, i};
    LLVMBasicBlockRef back;
    const char *name = turned ? "dots_turned" : "dots";
    val outer, q[DOTS_ARGS], fn = cg_open_function(g, name, par, DOTS_ARGS, &outer, &back);
    if (!back)
        return fn;
    LLVMGetParams(fn, q);
    struct dots_args x = {q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7], q[8], turned};
    val row = cg_i(g, 0);
    for (int rows = g->t->nv > 2 ? ROWS : 2; rows >= 1; rows = rows > 1) {
        struct cg_loop l = cg_loop(g, row, cg_sub(g, x.m, cg_i(g, rows - 1)), cg_i(g, rows));
        row_block(g, &x, l.iv, rows);
        cg_end(g, &l);
        row = l.iv;
    }
    cg_close_function(g, outer, back);
    return fn;
}

/* What comes from memory is A: of a tile and an argument, that is the argument. */
void
cg_tile_dots(struct cg *g, const struct tile_stmt *s)
{
    const tile_view *v = s->v;
    bool turned = g->p->bufs[v[2].buf].kind == BUF_ARG && g->p->bufs[v[1].buf].kind != BUF_ARG;
    const tile_view *a = &v[turned ? 2 : 1], *b = &v[turned ? 1 : 2];
    val zero = cg_i(g, 0), fn = build_dots(g, turned);
    val args[DOTS_ARGS] = {cg_view_addr(g, &v[0], zero, zero), cg_view_ld(g, &v[0]),
                           cg_view_addr(g, a, zero, zero), cg_view_ld(g, a),
                           cg_view_addr(g, b, zero, zero), cg_view_ld(g, b),
                           cg_tx(g, a->rows), cg_tx(g, b->rows), cg_tx(g, v[1].cols)};
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, DOTS_ARGS, "");
}
