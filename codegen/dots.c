/* Scores of few queries: C = A B', dot products of rows, lanes along the rows.
 *
 *     dots(c, ldc, a, lda, b, ldb, m, n, k)      c[i,j] = sum over p of a[i*lda + p] b[j*ldb + p]
 *
 * With one query per head, or one per head of a group, the vectors of `matmul` would be mostly
 * empty. Here the rows of A (keys, streamed from memory) and of B (queries) are read in whole
 * vectors. A block holds as many products as half of the registers, which are then summed up across
 * the lanes together. */
#include "codegen/cg.h"

enum { BLOCK_QUERIES = 4, MAX_BLOCK = 16, DOTS_ARGS = 9 };

struct dots_args {
    val c, ldc, a, lda, b, ldb, m, n, k;
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

/* acc[0..n) to vectors whose lanes are the sums of each; n is a power of two. Returns how many
 * vectors: lane l of vector v is the sum of acc[v * vl + l]. */
static int
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
    return n;
}

/* count lanes of v from lane `first`, to memory. */
static void
store_lanes(struct cg *g, val v, int first, int count, val at)
{
    val lanes[64];
    for (int k = 0; k < count; k++)
        lanes[k] = LLVMConstInt(g->i32, (unsigned)(first + k), 0);
    val part = count == g->vl ? v
                              : LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(g->vec),
                                                       LLVMConstVector(lanes, (unsigned)count), "");
    cg_store(g, part, at);
}

/* Accumulators and the positions in both matrices: variables, which become registers. */
struct block {
    const struct dots_args *x;
    val a, b, acc[MAX_BLOCK];
    int rows, cols;
};

/* One vector along the rows. Rows are found from one position each, not by a pointer each: those
 * would not all stay in registers. */
static void
add_products(struct cg *g, const struct block *k, val mask)
{
    val b[BLOCK_QUERIES], at = LLVMBuildLoad2(g->b, g->ptr, k->a, "");
    val bt = LLVMBuildLoad2(g->b, g->ptr, k->b, "");
    for (int j = 0; j < k->cols; j++)
        b[j] = cg_load_lanes(g, cg_at(g, bt, cg_mul(g, k->x->ldb, cg_i(g, j))), mask);
    for (int i = 0; i < k->rows; i++) {
        val a = cg_load_lanes(g, cg_at(g, at, cg_mul(g, k->x->lda, cg_i(g, i))), mask);
        for (int j = 0; j < k->cols; j++) {
            val acc = k->acc[i * k->cols + j];
            cg_store(g, cg_fma(g, a, b[j], cg_load(g, g->vec, acc)), acc);
        }
    }
    LLVMBuildStore(g->b, cg_at(g, at, cg_i(g, g->vl)), k->a);
    LLVMBuildStore(g->b, cg_at(g, bt, cg_i(g, g->vl)), k->b);
}

static void
whole_rows(struct cg *g, const struct block *k)
{
    val vl = cg_i(g, g->vl), whole = cg_mul(g, LLVMBuildSDiv(g->b, k->x->k, vl, ""), vl);
    struct cg_loop l = cg_loop(g, cg_i(g, 0), whole, vl);
    add_products(g, k, NULL);
    cg_end(g, &l);
    LLVMBasicBlockRef rest = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSLT, whole, k->x->k, ""));
    add_products(g, k, cg_mask(g, cg_sub(g, k->x->k, whole)));
    cg_fi(g, rest);
}

/* Products of `rows` rows of A from row i on with `cols` rows of B from row j on. */
static void
block(struct cg *g, const struct dots_args *x, val i, val j, int rows, int cols)
{
    struct block k = {.x = x, .rows = rows, .cols = cols};
    val sum[MAX_BLOCK];
    int n = rows * cols;
    k.a = cg_var(g, g->ptr, cg_at(g, x->a, cg_mul(g, i, x->lda)));
    k.b = cg_var(g, g->ptr, cg_at(g, x->b, cg_mul(g, j, x->ldb)));
    for (int p = 0; p < n; p++)
        k.acc[p] = cg_var(g, g->vec, cg_splat_f(g, 0));
    whole_rows(g, &k);
    for (int p = 0; p < n; p++)
        sum[p] = cg_load(g, g->vec, k.acc[p]);
    sum_lanes(g, sum, n);
    for (int r = 0; r < rows; r++) {
        val row = cg_add(g, i, cg_i(g, r)), at = cg_add(g, cg_mul(g, row, x->ldc), j);
        int lane = r * cols % g->vl;
        store_lanes(g, sum[r * cols / g->vl], lane, cols, cg_at(g, x->c, at));
    }
}

/* All rows of B against `most` rows of A (or one): four at a time, the last ones one by one. */
static void
rows_of_b(struct cg *g, const struct dots_args *x, val i, int most)
{
    val zero = cg_i(g, 0), four = cg_i(g, BLOCK_QUERIES);
    int half = most > 1 ? most / 2 : 1;
    struct cg_loop l = cg_loop(g, zero, cg_sub(g, x->n, cg_i(g, BLOCK_QUERIES - 1)), four);
    for (int r = 0; r < most; r += half)
        block(g, x, cg_add(g, i, cg_i(g, r)), l.iv, half, BLOCK_QUERIES);
    cg_end(g, &l);
    l = cg_loop(g, l.iv, x->n, cg_i(g, 1));
    block(g, x, i, l.iv, most, 1);
    cg_end(g, &l);
}

static val
build_dots(struct cg *g)
{
    LLVMTypeRef p = g->ptr, i = g->i64, par[DOTS_ARGS] = {p, i, p, i, p, i, i, i, i};
    LLVMBasicBlockRef back;
    val outer, q[DOTS_ARGS], fn = cg_open_function(g, "dots", par, DOTS_ARGS, &outer, &back);
    if (!back)
        return fn;
    LLVMGetParams(fn, q);
    struct dots_args x = {q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7], q[8]};
    int most = g->t->nv > 2 ? 8 : 4; /* half as many by four: half of the registers */
    struct cg_loop l = cg_loop(g, cg_i(g, 0), cg_sub(g, x.m, cg_i(g, most - 1)), cg_i(g, most));
    rows_of_b(g, &x, l.iv, most);
    cg_end(g, &l);
    l = cg_loop(g, l.iv, x.m, cg_i(g, 1));
    rows_of_b(g, &x, l.iv, 1);
    cg_end(g, &l);
    cg_close_function(g, outer, back);
    return fn;
}

void
cg_tile_dots(struct cg *g, const struct tile_stmt *s)
{
    val zero = cg_i(g, 0), fn = build_dots(g);
    const tile_view *v = s->v;
    val args[DOTS_ARGS] = {cg_view_addr(g, &v[0], zero, zero), cg_view_ld(g, &v[0]),
                           cg_view_addr(g, &v[1], zero, zero), cg_view_ld(g, &v[1]),
                           cg_view_addr(g, &v[2], zero, zero), cg_view_ld(g, &v[2]),
                           cg_tx(g, v[0].rows), cg_tx(g, v[0].cols), cg_tx(g, v[1].cols)};
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, DOTS_ARGS, "");
}
