/* C += A * B on tiles, by a register-tiled micro-kernel.
 *
 *     matmul(c, ldc, a, ars, acs, b, ldb, m, n, k, set, next, step, rows, bytes, share)
 *                                                            c[m,n] += a[m,k] b[k,n], set: =
 *
 * Element (i, p) of A is a[i*ars + p*acs] (either stride may be 1: stored as it is or transposed);
 * B and C are row-major and may be read and written in whole vectors past column n (rows are
 * padded). The micro-kernel holds mr x nv vectors of C in registers: per step of k it loads nv
 * vectors of B and mr broadcast numbers of A for mr*nv multiply-adds. Sums run over k in order,
 * from zero, and are added to C at the end, so the result depends on the extents alone. Without a
 * step of k, C is left as it is.
 *
 * A few rows (one query per head, or those of a group) are a matter of reading B, which memory
 * gives at half the speed in narrow strips: they take wide ones, and on narrow vectors FEW_STEPS
 * steps at a time, whose sums are added to C.
 *
 * Memory is idle meanwhile: before each whole block, `share` rows are asked for of what comes next,
 * `rows` rows of `bytes` bytes, from `next` on `step` bytes apart. The strips and rows of a block
 * are too many streams for the machine to see by itself, and asked for at once, a tile would be
 * waited for. */
#include "codegen/cg.h"

#include <string.h>

enum { MAX_MR = 16, MAX_NV = 8, FEW_ROWS = 8, FEW_VECTORS = 8, FEW_STEPS = 16 };
enum { OPERANDS = 11, ARGS = OPERANDS + 5, LEAST_ASKED = 128 };

struct mm_args {
    val c, ldc, a, ars, acs, b, ldb, m, n, k, set, next, step, rows, bytes, share;
    val asked;                   /* the number of rows so far, a variable */
};

/* The k loop and update of an mr x nv block at (row, col). Of B, what comes `ahead` elements later
 * is asked for; NULL: nothing. */
static void
micro_kernel(struct cg *g, const struct mm_args *x, val row, val col, int mr, int nv, val ahead)
{
    val a0 = cg_at(g, x->a, cg_mul(g, row, x->ars)), b0 = cg_at(g, x->b, col);
    val ai[MAX_MR], acc[MAX_MR][MAX_NV], next[MAX_MR][MAX_NV], zero = cg_splat_f(g, 0);
    for (int i = 0; i < mr; i++)
        ai[i] = i ? cg_mul(g, x->ars, cg_i(g, i)) : cg_i(g, 0);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(g->ctx, g->fn, "");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(g->ctx, g->fn, "");
    LLVMBuildBr(g->b, body); /* the caller guarantees k > 0 */
    LLVMPositionBuilderAtEnd(g->b, body);
    val p = LLVMBuildPhi(g->b, g->i64, ""), ap = LLVMBuildPhi(g->b, g->ptr, "");
    val bp = LLVMBuildPhi(g->b, g->ptr, "");
    LLVMAddIncoming(p, (val *)(uintptr_t)&x->k, &from, 1);
    LLVMAddIncoming(ap, &a0, &from, 1);
    LLVMAddIncoming(bp, &b0, &from, 1);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++) {
            acc[i][j] = LLVMBuildPhi(g->b, g->vec, "");
            LLVMAddIncoming(acc[i][j], &zero, &from, 1);
        }
    val bv[MAX_NV];
    for (int j = 0; j < nv; j++)
        bv[j] = cg_load(g, g->vec, cg_at(g, bp, cg_i(g, (int64_t)j * g->vl)));
    for (int at = 0; ahead && at < nv * g->vl; at += CG_PAD / g->esize)
        cg_prefetch(g, cg_at(g, cg_at(g, bp, ahead), cg_i(g, at)), false, 2);
    for (int i = 0; i < mr; i++) {
        val av = cg_splat(g, cg_load(g, g->acc, cg_at(g, ap, ai[i])));
        for (int j = 0; j < nv; j++)
            next[i][j] = cg_fma(g, av, bv[j], acc[i][j]);
    }
    val p1 = cg_sub(g, p, cg_i(g, 1)), ap1 = cg_at(g, ap, x->acs), bp1 = cg_at(g, bp, x->ldb);
    LLVMAddIncoming(p, &p1, &body, 1);
    LLVMAddIncoming(ap, &ap1, &body, 1);
    LLVMAddIncoming(bp, &bp1, &body, 1);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++)
            LLVMAddIncoming(acc[i][j], &next[i][j], &body, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, p1, cg_i(g, 0), ""), body, done);
    LLVMPositionBuilderAtEnd(g->b, done);
    val at[MAX_MR];
    for (int i = 0; i < mr; i++) {
        val r = i ? cg_add(g, row, cg_i(g, i)) : row;
        at[i] = cg_at(g, x->c, cg_add(g, cg_mul(g, r, x->ldc), col));
    }
    for (int set = 0; set < 2; set++) {
        val now = LLVMBuildICmp(g->b, set ? LLVMIntNE : LLVMIntEQ, x->set, cg_i(g, 0), "");
        LLVMBasicBlockRef after = cg_if(g, now);
        for (int i = 0; i < mr; i++)
            for (int j = 0; j < nv; j++) {
                val to = cg_at(g, at[i], cg_i(g, (int64_t)j * g->vl)), sum = next[i][j];
                if (!set)
                    sum = LLVMBuildFAdd(g->b, cg_load(g, g->vec, to), sum, "");
                cg_store(g, sum, to);
            }
        cg_fi(g, after);
    }
}

/* Where blocks of mr rows end: where fewer are left, or 8 that are two blocks of 4. */
static val
rows_end(struct cg *g, val m, int mr)
{
    val end = cg_sub(g, m, cg_i(g, mr - 1)), eight = cg_i(g, 8);
    if (mr <= 4 || mr >= 8)
        return end;
    val rest = LLVMBuildURem(g->b, m, cg_i(g, mr), "");
    val two = LLVMBuildICmp(g->b, LLVMIntEQ, rest, cg_i(g, 8 - mr), "");
    return cg_sub(g, end, LLVMBuildSelect(g->b, two, eight, cg_i(g, 0), ""));
}

/* What a block asks for. */
static void
ask_rows(struct cg *g, const struct mm_args *x)
{
    val from = cg_load(g, g->i64, x->asked), to = cg_min(g, cg_add(g, from, x->share), x->rows);
    struct cg_loop r = cg_loop(g, from, to, cg_i(g, 1));
    struct cg_loop line = cg_loop(g, cg_i(g, 0), x->bytes, cg_i(g, CG_PAD));
    val on = cg_add(g, cg_mul(g, r.iv, x->step), line.iv);
    cg_prefetch(g, LLVMBuildGEP2(g->b, g->i8, x->next, &on, 1, ""), false, 2);
    cg_end(g, &line);
    cg_end(g, &r);
    cg_store(g, to, x->asked);
}

/* All rows of one block of nv vectors of columns: mr at a time, then 4, then single ones. */
static void
column_block(struct cg *g, val col, int nv, void *arg)
{
    const struct mm_args *x = arg;
    val row = cg_i(g, 0);
    for (int mr = g->t->mr; mr >= 1; mr = mr > 4 ? 4 : mr > 1) {
        struct cg_loop l = cg_loop(g, row, rows_end(g, x->m, mr), cg_i(g, mr));
        if (mr == g->t->mr && nv == g->t->nv)
            ask_rows(g, x);
        micro_kernel(g, x, l.iv, col, mr, nv, NULL);
        cg_end(g, &l);
        row = l.iv;
    }
}

/* The rows against a strip of B at `col`. Of B, what comes `ahead` elements later is asked for with
 * the first of them. */
static void
few_block(struct cg *g, const struct mm_args *x, val col, val ahead)
{
    val row = cg_i(g, 0), none = cg_i(g, 0);
    for (int mr = g->t->nv > 2 ? 2 : 1; mr >= 1; mr--) {
        struct cg_loop r = cg_loop(g, row, cg_sub(g, x->m, cg_i(g, mr - 1)), cg_i(g, mr));
        val first = LLVMBuildICmp(g->b, LLVMIntEQ, r.iv, cg_i(g, 0), "");
        micro_kernel(g, x, r.iv, col, mr, FEW_VECTORS,
                     ahead ? LLVMBuildSelect(g->b, first, ahead, none, "") : NULL);
        cg_end(g, &r);
        row = r.iv;
    }
}

/* A few rows against strips of B as wide as the registers allow; returns the first column left.
 * On narrow vectors B is read several times, once for every row or two: then FEW_STEPS rows of B at
 * a time, which stay near, and the next are asked for unless one strip is the whole row. */
static val
few_rows(struct cg *g, const struct mm_args *x)
{
    bool narrow = g->t->bits < 512;
    val zero = cg_i(g, 0), width = cg_i(g, (int64_t)FEW_VECTORS * g->vl);
    val few = LLVMBuildICmp(g->b, LLVMIntSLE, x->m, cg_i(g, FEW_ROWS), "");
    val end = LLVMBuildSelect(g->b, few, x->n, zero, "");
    val whole = cg_mul(g, LLVMBuildSDiv(g->b, end, width, ""), width);
    val steps = narrow ? cg_i(g, FEW_STEPS) : x->k;
    struct mm_args part = *x;
    val several = LLVMBuildICmp(g->b, LLVMIntSGT, x->n, width, ""), ahead = NULL;
    if (narrow)
        ahead = LLVMBuildSelect(g->b, several, cg_mul(g, x->ldb, steps), zero, "");
    struct cg_loop k = cg_loop(g, zero, LLVMBuildSelect(g->b, few, x->k, zero, ""), steps);
    struct cg_loop l = cg_loop(g, zero, whole, width);
    part.a = cg_at(g, x->a, cg_mul(g, k.iv, x->acs));
    part.b = cg_at(g, x->b, cg_mul(g, k.iv, x->ldb));
    part.k = cg_min(g, cg_sub(g, x->k, k.iv), steps);
    val first = LLVMBuildICmp(g->b, LLVMIntEQ, k.iv, zero, "");
    part.set = LLVMBuildSelect(g->b, first, x->set, zero, "");
    few_block(g, &part, l.iv, ahead);
    cg_end(g, &l);
    cg_end(g, &k);
    return whole;
}

static val
build_matmul(struct cg *g)
{
    LLVMTypeRef p = g->ptr, i = g->i64;
    LLVMTypeRef par[ARGS] = {p, i, p, i, i, p, i, i, i, i, i, p, i, i, i, i};
    LLVMBasicBlockRef back;
    val outer, q[ARGS];
    val fn = cg_open_function(g, "matmul", par, ARGS, &outer, &back);
    if (!back)
        return fn;
    LLVMGetParams(fn, q);
    struct mm_args x = {q[0], q[1], q[2],  q[3],  q[4],  q[5],  q[6],  q[7], q[8],
                        q[9], q[10], q[11], q[12], q[13], q[14], q[15], NULL};
    LLVMBasicBlockRef some = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSGT, x.k, cg_i(g, 0), ""));
    x.asked = cg_var(g, g->i64, cg_i(g, 0));
    cg_column_blocks(g, few_rows(g, &x), x.n, g->t->nv, column_block, &x);
    cg_fi(g, some);
    cg_close_function(g, outer, back);
    return fn;
}

/* asked: next, step, rows, bytes and share. */
static void
call(struct cg *g, const val *operands, const val *asked)
{
    val fn = build_matmul(g), args[ARGS];
    memcpy(args, operands, OPERANDS * sizeof *args);
    memcpy(args + OPERANDS, asked, (ARGS - OPERANDS) * sizeof *args);
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, ARGS, "");
}

void
cg_call_matmul(struct cg *g, const val *operands)
{
    val zero = cg_i(g, 0);
    const val nothing[] = {LLVMConstNull(g->ptr), zero, zero, zero, zero};
    call(g, operands, nothing);
}

/* The rows of the view, shared out to the whole blocks of an m x n result. Short ones are not worth
 * a loop each. */
static void
ask_view(struct cg *g, const tile_view *v, val m, val n, val *asked)
{
    val one = cg_i(g, 1), size = cg_i(g, g->io_size), bytes = cg_mul(g, cg_tx(g, v->cols), size);
    val down = LLVMBuildSDiv(g->b, m, cg_i(g, g->t->mr), "");
    val across = LLVMBuildSDiv(g->b, n, cg_i(g, (int64_t)g->t->nv * g->vl), "");
    val blocks = cg_max(g, cg_mul(g, down, across), one);
    val some = LLVMBuildICmp(g->b, LLVMIntSGE, bytes, cg_i(g, LEAST_ASKED), "");
    val rows = LLVMBuildSelect(g->b, some, cg_tx(g, v->rows), cg_i(g, 0), "");
    asked[0] = cg_view_addr(g, v, cg_i(g, 0), cg_i(g, 0));
    asked[1] = cg_mul(g, cg_view_ld(g, v), size);
    asked[2] = rows;
    asked[3] = bytes;
    asked[4] = LLVMBuildSDiv(g->b, cg_sub(g, cg_add(g, rows, blocks), one), blocks, "");
}

void
cg_tile_matmul(struct cg *g, const struct tile_stmt *s)
{
    const tile_view *v = s->v;
    val zero = cg_i(g, 0), one = cg_i(g, 1), lda = cg_view_ld(g, &v[1]);
    val m = cg_tx(g, v[0].rows), n = cg_tx(g, v[0].cols), k = cg_tx(g, v[2].rows);
    bool transposed = s->num[0] == 1;
    const val args[OPERANDS] = {
        cg_view_addr(g, &v[0], zero, zero), cg_view_ld(g, &v[0]),
        cg_view_addr(g, &v[1], zero, zero), transposed ? one : lda, transposed ? lda : one,
        cg_view_addr(g, &v[2], zero, zero), cg_view_ld(g, &v[2]),
        m, n, k, cg_i(g, s->num[1])};
    if (v[3].buf) {
        val asked[ARGS - OPERANDS];
        ask_view(g, &v[3], m, n, asked);
        call(g, args, asked);
    } else {
        cg_call_matmul(g, args);
    }
    if (s->num[1]) {
        LLVMBasicBlockRef after = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSLE, k, zero, ""));
        cg_tile_zero(g, s);
        cg_fi(g, after);
    }
}
