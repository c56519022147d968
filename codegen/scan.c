/* Prefix sums of outer products, read while they grow: state += k[t]' v[t], out[t] += q[t] state.
 *
 *     scan(out, ldo, po, s, lds, q, ldq, pq, k, ldk, v, ldv, heads, n, f, m, g, ldg,
 *          a0, la0, n0, a1, la1, n1, pa1)
 *
 * The micro-kernel holds sr x sv vectors of the state in registers while it walks the n tokens:
 * per token it loads sv vectors of V and of the result, and 2 sr numbers, for 2 sr sv
 * multiply-adds. Nothing is computed that a causal sum does not need, the state goes through memory
 * once per chunk, and a single token (n = 1) updates it and reads it in one pass. Feature f of
 * token t is q[t*ldq + f], that of head h lies h*pq further on, and its results h*po. Rows of out,
 * s and v are padded: whole vectors may run past column m.
 *
 * With gates the state is first multiplied by g[t*ldg], or row f of it by g[t*ldg + f].
 *
 * Memory would be idle meanwhile: for each block and token one line is asked for of what comes
 * next, at a0 + t*la0 bytes for the first n0 blocks, each a line further on, then at a1 + t*la1 for
 * n1 blocks per head, pa1 bytes from head to head. Asked for at once, they would be waited for.
 * Blocks that are not whole count as if all were like them, so some lines are not asked for.
 *
 * A step over a few tokens waits for the state instead, which is asked for some way on: narrow
 * blocks do not look like a stream to the machine, and states of heads follow one another, so while
 * one is begun its rows arrive. A single token that one head reads goes along the rows of the
 * state, as wide as registers hold the result: each block would wait for the one before to store
 * it. Sums are in the same order.
 *
 * Each kind of gates is a function of its own, so is the walk along keys that no query reads, and
 * so is asking. */
#include "codegen/cg.h"

#include <stdio.h>

enum { MAX_SR = 8, MAX_SV = 8, ARGS = 25, FEW_TOKENS = 8, STATE_AHEAD = 32768,
       ROW_VECTORS = 8 };
enum gates { GATES_NONE, GATES_TOKEN, GATES_FEATURE };

struct scan_args {
    val out, ldo, po, s, lds, q, ldq, pq, k, ldk, v, ldv, heads, n, f, m, g, ldg, a0, la0, n0, a1,
        la1, n1, pa1;
    enum gates gates;
    bool reads;                  /* there are queries */
    bool asks;                   /* for rows of arguments, meanwhile */
};

/* A loop that runs count > 0 times, with pointers that advance. */
struct walk {
    LLVMBasicBlockRef body;
    val i, p[6];
};

static struct walk
walk_open(struct cg *g, val count, const val *start, int n)
{
    struct walk w = {.body = LLVMAppendBasicBlockInContext(g->ctx, g->fn, "")};
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    LLVMBuildBr(g->b, w.body);
    LLVMPositionBuilderAtEnd(g->b, w.body);
    w.i = LLVMBuildPhi(g->b, g->i64, "");
    LLVMAddIncoming(w.i, &count, &from, 1);
    for (int k = 0; k < n; k++) {
        w.p[k] = LLVMBuildPhi(g->b, g->ptr, "");
        LLVMAddIncoming(w.p[k], (val *)(uintptr_t)&start[k], &from, 1);
    }
    return w;
}

static void
walk_close(struct cg *g, struct walk *w, const val *next, int n)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(g->ctx, g->fn, "");
    val i = cg_sub(g, w->i, cg_i(g, 1));
    LLVMAddIncoming(w->i, &i, &here, 1);
    for (int k = 0; k < n; k++)
        LLVMAddIncoming(w->p[k], (val *)(uintptr_t)&next[k], &here, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, i, cg_i(g, 0), ""), w->body, done);
    LLVMPositionBuilderAtEnd(g->b, done);
}

/* A block of the state while it is in registers. */
struct block {
    int sr, sv;
    val row, col;
    val state[MAX_SR][MAX_SV];
};

static val
state_addr(struct cg *g, const struct scan_args *x, const struct block *b, int i, int j)
{
    val row = cg_add(g, b->row, cg_i(g, i)), col = cg_add(g, b->col, cg_i(g, (int64_t)j * g->vl));
    return cg_at(g, x->s, cg_add(g, cg_mul(g, row, x->lds), col));
}

/* The number of row i of the block at a token. */
static val
feature(struct cg *g, val token, int i)
{
    return cg_splat(g, cg_load(g, g->acc, cg_at(g, token, cg_i(g, i))));
}

/* The block as it is before a token is added: of the state so far, what its gates leave. */
static void
fade_block(struct cg *g, const struct scan_args *x, struct block *b, val gate)
{
    val all = x->gates == GATES_TOKEN ? feature(g, gate, 0) : NULL;
    for (int i = 0; i < b->sr && x->gates; i++) {
        val by = all ? all : feature(g, gate, i);
        for (int j = 0; j < b->sv; j++)
            b->state[i][j] = LLVMBuildFMul(g->b, b->state[i][j], by, "");
    }
}

/* out of each head += its features times the block. */
static void
read_block(struct cg *g, const struct scan_args *x, const struct block *b, val out, val q)
{
    const val start[2] = {out, q};
    struct walk w = walk_open(g, x->heads, start, 2);
    val sum[MAX_SV], at[MAX_SV];
    for (int j = 0; j < b->sv; j++) {
        at[j] = cg_at(g, w.p[0], cg_i(g, (int64_t)j * g->vl));
        sum[j] = cg_load(g, g->vec, at[j]);
    }
    for (int i = 0; i < b->sr; i++) {
        val a = feature(g, w.p[1], i);
        for (int j = 0; j < b->sv; j++)
            sum[j] = cg_fma(g, a, b->state[i][j], sum[j]);
    }
    for (int j = 0; j < b->sv; j++)
        cg_store(g, sum[j], at[j]);
    const val next[2] = {cg_at(g, w.p[0], x->po), cg_at(g, w.p[1], x->pq)};
    walk_close(g, &w, next, 2);
}

/* The lines that a block asks for: of the first token, and how many bytes further on the next. */
struct ask {
    val at, step;
};

static val
bytes_on(struct cg *g, val at, val bytes)
{
    return LLVMBuildGEP2(g->b, g->i8, at, &bytes, 1, ""); /* past the end of a tensor, perhaps */
}

/* Of more than a few tokens. */
static struct ask
ask_of_many(struct cg *g, const struct scan_args *x, const struct block *b)
{
    val zero = cg_i(g, 0), sr = cg_i(g, b->sr), sv = cg_i(g, (int64_t)b->sv * g->vl);
    val down = LLVMBuildUDiv(g->b, cg_add(g, x->f, cg_i(g, b->sr - 1)), sr, "");
    val number = cg_add(g, LLVMBuildUDiv(g->b, b->row, sr, ""),
                        cg_mul(g, LLVMBuildUDiv(g->b, b->col, sv, ""), down));
    val after = cg_sub(g, number, x->n0), lines = cg_max(g, x->n1, cg_i(g, 1));
    val head = LLVMBuildSDiv(g->b, after, lines, "");
    val line = cg_mul(g, LLVMBuildSRem(g->b, after, lines, ""), cg_i(g, CG_PAD));
    val one = LLVMBuildICmp(g->b, LLVMIntSLT, number, x->n0, "");
    val two = LLVMBuildICmp(g->b, LLVMIntSLT, after, cg_mul(g, x->n1, x->heads), "");
    val at[2] = {bytes_on(g, x->a0, cg_mul(g, number, cg_i(g, CG_PAD))),
                 bytes_on(g, x->a1, cg_add(g, cg_mul(g, head, x->pa1), line))};
    struct ask none = {x->v, zero}; /* a line that is there */
    struct ask a = {LLVMBuildSelect(g->b, two, at[1], none.at, ""),
                    LLVMBuildSelect(g->b, two, x->la1, none.step, "")};
    return (struct ask){LLVMBuildSelect(g->b, one, at[0], a.at, ""),
                        LLVMBuildSelect(g->b, one, x->la0, a.step, "")};
}

static struct ask
ask_of_block(struct cg *g, const struct scan_args *x, const struct block *b)
{
    val at = cg_var(g, g->ptr, x->v), step = cg_var(g, g->i64, cg_i(g, 0));
    val many = LLVMBuildICmp(g->b, LLVMIntSGT, x->n, cg_i(g, FEW_TOKENS), "");
    LLVMBasicBlockRef after = cg_if(g, many);
    struct ask ask = ask_of_many(g, x, b);
    LLVMBuildStore(g->b, ask.at, at);
    LLVMBuildStore(g->b, ask.step, step);
    cg_fi(g, after);
    return (struct ask){LLVMBuildLoad2(g->b, g->ptr, at, ""),
                        LLVMBuildLoad2(g->b, g->i64, step, "")};
}

/* Few tokens: the lines STATE_AHEAD bytes further on in the states. */
static void
ask_for_states(struct cg *g, const struct scan_args *x, const struct block *b)
{
    val few = LLVMBuildICmp(g->b, LLVMIntSLE, x->n, cg_i(g, FEW_TOKENS), "");
    LLVMBasicBlockRef after = cg_if(g, few);
    for (int i = 0; i < b->sr; i++)
        for (int at = 0; at < b->sv * g->vl * g->esize; at += CG_PAD)
            cg_prefetch(g, bytes_on(g, state_addr(g, x, b, i, 0), cg_i(g, STATE_AHEAD + at)), false,
                        2);
    cg_fi(g, after);
}

static void
micro_kernel(struct cg *g, const struct scan_args *x, val row, val col, int sr, int sv)
{
    struct block b = {.sr = sr, .sv = sv, .row = row, .col = col};
    val first[MAX_SR][MAX_SV], v[MAX_SV];
    ask_for_states(g, x, &b);
    for (int i = 0; i < sr; i++)
        for (int j = 0; j < sv; j++)
            first[i][j] = cg_load(g, g->vec, state_addr(g, x, &b, i, j));
    const struct ask ask = x->asks ? ask_of_block(g, x, &b) : (struct ask){NULL, NULL};
    const val start[6] = {cg_at(g, x->out, col), cg_at(g, x->q, row), cg_at(g, x->k, row),
                          cg_at(g, x->v, col),
                          x->gates == GATES_FEATURE ? cg_at(g, x->g, row) : x->g, ask.at};
    const int pointers = x->asks ? 6 : x->gates ? 5 : 4;
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    struct walk w = walk_open(g, x->n, start, pointers);
    val old[MAX_SR][MAX_SV];
    for (int i = 0; i < sr; i++)
        for (int j = 0; j < sv; j++) {
            b.state[i][j] = old[i][j] = LLVMBuildPhi(g->b, g->vec, "");
            LLVMAddIncoming(old[i][j], &first[i][j], &from, 1);
        }
    if (x->asks)
        cg_prefetch(g, w.p[5], false, 2);
    fade_block(g, x, &b, w.p[4]);
    for (int j = 0; j < sv; j++)
        v[j] = cg_load(g, g->vec, cg_at(g, w.p[3], cg_i(g, (int64_t)j * g->vl)));
    for (int i = 0; i < sr; i++) {
        val a = feature(g, w.p[2], i);
        for (int j = 0; j < sv; j++)
            b.state[i][j] = cg_fma(g, a, v[j], b.state[i][j]);
    }
    if (x->reads)
        read_block(g, x, &b, w.p[0], w.p[1]);
    const val next[6] = {cg_at(g, w.p[0], x->ldo), cg_at(g, w.p[1], x->ldq),
                         cg_at(g, w.p[2], x->ldk), cg_at(g, w.p[3], x->ldv),
                         pointers > 4 ? cg_at(g, w.p[4], x->ldg) : NULL,
                         x->asks ? bytes_on(g, w.p[5], ask.step) : NULL};
    LLVMBasicBlockRef last = LLVMGetInsertBlock(g->b);
    for (int i = 0; i < sr; i++)
        for (int j = 0; j < sv; j++)
            LLVMAddIncoming(old[i][j], &b.state[i][j], &last, 1);
    walk_close(g, &w, next, pointers);
    for (int i = 0; i < sr; i++)
        for (int j = 0; j < sv; j++)
            cg_store(g, b.state[i][j], state_addr(g, x, &b, i, j));
}

/* One token and one head that reads: row after row of a strip of the state, the result in
 * registers. */
static void
one_token(struct cg *g, val col, int sv, void *arg)
{
    const struct scan_args *x = arg;
    val out[ROW_VECTORS], sum[ROW_VECTORS], sums[ROW_VECTORS];
    val values = cg_at(g, x->v, col), result = cg_at(g, x->out, col);
    for (int j = 0; j < sv; j++)
        out[j] = cg_at(g, result, cg_i(g, (int64_t)j * g->vl));
    for (int j = 0; j < sv; j++)
        sum[j] = cg_load(g, g->vec, out[j]);
    const val start[4] = {cg_at(g, x->s, col), x->k, x->q, x->g}, one = cg_i(g, 1);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    struct walk w = walk_open(g, x->f, start, 4);
    for (int j = 0; j < sv; j++) {
        sums[j] = LLVMBuildPhi(g->b, g->vec, "");
        LLVMAddIncoming(sums[j], &sum[j], &from, 1);
    }
    for (int at = 0; at < sv * g->vl * g->esize; at += CG_PAD)
        cg_prefetch(g, bytes_on(g, w.p[0], cg_i(g, STATE_AHEAD + at)), false, 2);
    val k = feature(g, w.p[1], 0), q = feature(g, w.p[2], 0);
    val gate = x->gates ? feature(g, w.p[3], 0) : NULL;
    for (int j = 0; j < sv; j++) {
        val on = cg_i(g, (int64_t)j * g->vl), s = cg_at(g, w.p[0], on);
        val v = cg_load(g, g->vec, cg_at(g, values, on)), state = cg_load(g, g->vec, s);
        if (gate)
            state = LLVMBuildFMul(g->b, state, gate, "");
        state = cg_fma(g, k, v, state);
        cg_store(g, state, s);
        sum[j] = cg_fma(g, q, state, sums[j]);
    }
    for (int j = 0; j < sv; j++)
        LLVMAddIncoming(sums[j], &sum[j], &w.body, 1);
    const val next[4] = {cg_at(g, w.p[0], x->lds), cg_at(g, w.p[1], one), cg_at(g, w.p[2], one),
                         x->gates == GATES_FEATURE ? cg_at(g, w.p[3], one) : w.p[3]};
    walk_close(g, &w, next, 4);
    for (int j = 0; j < sv; j++)
        cg_store(g, sum[j], out[j]);
}

static void
column_block(struct cg *g, val col, int sv, void *arg)
{
    const struct scan_args *x = arg;
    val row = cg_i(g, 0);
    for (int sr = g->t->sr; sr >= 1; sr = sr > 1 ? 1 : 0) {
        struct cg_loop l = cg_loop(g, row, cg_sub(g, x->f, cg_i(g, sr - 1)), cg_i(g, sr));
        micro_kernel(g, x, l.iv, col, sr, sv);
        cg_end(g, &l);
        row = l.iv;
    }
}

/* Whether there is a token and a head, which the walks rely on. */
static LLVMBasicBlockRef
if_any(struct cg *g, val n, val heads)
{
    val zero = cg_i(g, 0), some = LLVMBuildICmp(g->b, LLVMIntSGT, n, zero, "");
    return cg_if(g, LLVMBuildAnd(g->b, some, LLVMBuildICmp(g->b, LLVMIntSGT, heads, zero, ""), ""));
}

static val
build_scan(struct cg *g, enum gates gates, bool reads, bool asks)
{
    static const char *const kinds[3] = {"", ".token", ".feature"};
    char name[64];
    snprintf(name, sizeof name, "scan%s%s%s", reads ? "" : ".keys", kinds[gates],
             asks ? ".ahead" : "");
    LLVMTypeRef p = g->ptr, i = g->i64;
    LLVMTypeRef par[ARGS] = {p, i, i, p, i, p, i, i, p, i, p, i, i, i, i, i, p, i,
                             p, i, i, p, i, i, i};
    LLVMBasicBlockRef back;
    val outer, q[ARGS], fn = cg_open_function(g, name, par, ARGS, &outer, &back);
    if (!back)
        return fn;
    LLVMGetParams(fn, q);
    struct scan_args x = {q[0],  q[1],  q[2],  q[3],  q[4],  q[5],  q[6],  q[7],  q[8],
                          q[9],  q[10], q[11], q[12], q[13], q[14], q[15], q[16], q[17],
                          q[18], q[19], q[20], q[21], q[22], q[23], q[24], gates, reads, asks};
    LLVMBasicBlockRef some = if_any(g, x.n, x.heads);
    val from = cg_i(g, 0), one = cg_i(g, 1);
    if (reads) {
        val single = LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, x.n, one, ""),
                                  LLVMBuildICmp(g->b, LLVMIntEQ, x.heads, one, ""), "");
        single = LLVMBuildAnd(g->b, single, LLVMBuildICmp(g->b, LLVMIntSGT, x.f, from, ""), "");
        val columns = LLVMBuildSelect(g->b, single, x.m, from, "");
        from = columns;
        cg_column_blocks(g, cg_i(g, 0), columns, ROW_VECTORS, one_token, &x);
    }
    cg_column_blocks(g, from, x.m, g->t->sv, column_block, &x);
    cg_fi(g, some);
    cg_close_function(g, outer, back);
    return fn;
}

/* ---- sums of features: z += k[t], out[t] += q[t] . z, spread over the lanes of a vector ---- */

enum { SUM_ARGS = 14, SUM_VECTORS = 4 };

struct sum_args {
    val out, ldo, po, z, q, ldq, pq, k, ldk, heads, n, f, g, ldg;
    enum gates gates;
};

static val
sum_load(struct cg *g, val at, int j, val mask)
{
    val x = cg_load(g, g->vec, cg_at(g, at, cg_i(g, (int64_t)j * g->vl)));
    return mask ? LLVMBuildSelect(g->b, mask, x, cg_splat_f(g, 0), "") : x;
}

/* Vector j of the sums times its gates. */
static val
sum_fade(struct cg *g, const struct sum_args *x, val z, val gate, int j, val mask)
{
    if (x->gates == GATES_NONE)
        return z;
    val by = x->gates == GATES_TOKEN ? feature(g, gate, 0) : sum_load(g, gate, j, mask);
    return LLVMBuildFMul(g->b, z, by, "");
}

/* All tokens for nv vectors of features, the last of which may be partial (mask). */
static void
sum_block(struct cg *g, const struct sum_args *x, val col, int nv, val mask)
{
    val z = cg_at(g, x->z, col), first[SUM_VECTORS], old[SUM_VECTORS], now[SUM_VECTORS];
    for (int j = 0; j < nv; j++)
        first[j] = sum_load(g, z, j, mask);
    const val start[4] = {x->out, cg_at(g, x->q, col), cg_at(g, x->k, col),
                          x->gates == GATES_FEATURE ? cg_at(g, x->g, col) : x->g};
    const int pointers = x->gates ? 4 : 3;
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    struct walk w = walk_open(g, x->n, start, pointers);
    for (int j = 0; j < nv; j++) {
        old[j] = LLVMBuildPhi(g->b, g->vec, "");
        LLVMAddIncoming(old[j], &first[j], &from, 1);
    }
    for (int j = 0; j < nv; j++)
        now[j] = LLVMBuildFAdd(g->b, sum_fade(g, x, old[j], w.p[3], j, mask),
                               sum_load(g, w.p[2], j, mask), "");
    const val heads[2] = {w.p[0], w.p[1]};
    struct walk h = walk_open(g, x->heads, heads, 2);
    val sum = cg_load(g, g->vec, h.p[0]);
    for (int j = 0; j < nv; j++)
        sum = cg_fma(g, sum_load(g, h.p[1], j, mask), now[j], sum);
    cg_store(g, sum, h.p[0]);
    const val more[2] = {cg_at(g, h.p[0], x->po), cg_at(g, h.p[1], x->pq)};
    walk_close(g, &h, more, 2);
    const val next[4] = {cg_at(g, w.p[0], x->ldo), cg_at(g, w.p[1], x->ldq),
                         cg_at(g, w.p[2], x->ldk), x->gates ? cg_at(g, w.p[3], x->ldg) : NULL};
    LLVMBasicBlockRef last = LLVMGetInsertBlock(g->b);
    for (int j = 0; j < nv; j++)
        LLVMAddIncoming(old[j], &now[j], &last, 1);
    walk_close(g, &w, next, pointers);
    for (int j = 0; j < nv; j++) /* past a partial vector others may have theirs */
        cg_store_lanes(g, now[j], cg_at(g, z, cg_i(g, (int64_t)j * g->vl)), mask);
}

static val
build_scansum(struct cg *g, enum gates gates)
{
    static const char *const names[3] = {"scansum", "scansum.token", "scansum.feature"};
    LLVMTypeRef p = g->ptr, i = g->i64;
    LLVMTypeRef par[SUM_ARGS] = {p, i, i, p, p, i, i, p, i, i, i, i, p, i};
    LLVMBasicBlockRef back;
    val outer, q[SUM_ARGS], fn = cg_open_function(g, names[gates], par, SUM_ARGS, &outer, &back);
    if (!back)
        return fn;
    LLVMGetParams(fn, q);
    struct sum_args x = {q[0], q[1], q[2], q[3],  q[4],  q[5],  q[6], q[7],
                         q[8], q[9], q[10], q[11], q[12], q[13], gates};
    LLVMBasicBlockRef some = if_any(g, x.n, x.heads);
    val col = cg_i(g, 0);
    for (int nv = SUM_VECTORS; nv >= 1; nv -= SUM_VECTORS - 1) {
        int64_t step = (int64_t)nv * g->vl;
        struct cg_loop l = cg_loop(g, col, cg_sub(g, x.f, cg_i(g, step - 1)), cg_i(g, step));
        sum_block(g, &x, l.iv, nv, NULL);
        cg_end(g, &l);
        col = l.iv;
    }
    LLVMBasicBlockRef rest = cg_if(g, LLVMBuildICmp(g->b, LLVMIntSLT, col, x.f, ""));
    sum_block(g, &x, col, 1, cg_mask(g, cg_sub(g, x.f, col)));
    cg_fi(g, rest);
    cg_fi(g, some);
    cg_close_function(g, outer, back);
    return fn;
}

/* ---- statements ---- */

/* Operands of a scan: of keys and queries the first that meet, and how many do. */
struct operands {
    const struct tile_stmt *s;
    bool turned;                 /* one feature, tokens across */
    val queries, keys;           /* before the first that meet */
    val both, features;
};

static struct operands
operands_of(struct cg *g, const struct tile_stmt *s)
{
    const tile_view *q = &s->v[2], *k = &s->v[3];
    struct operands o = {.s = s, .turned = s->num[0] == 1};
    val nq = cg_tx(g, o.turned ? q->cols : q->rows), nk = cg_tx(g, o.turned ? k->cols : k->rows);
    o.both = cg_min(g, nq, nk);
    o.queries = cg_sub(g, nq, o.both);
    o.keys = cg_sub(g, nk, o.both);
    o.features = cg_tx(g, o.turned ? k->rows : k->cols);
    return o;
}

/* Elements from plane to plane of a view's buffer. */
static val
plane_size(struct cg *g, const tile_view *v)
{
    const struct tile_buf *b = &g->p->bufs[v->buf];
    return b->single ? cg_i(g, 0) : cg_mul(g, cg_tx(g, b->rows), cg_ld(g, v->buf));
}

/* Where token t of an operand begins, and how far apart tokens are. */
static val
token_addr(struct cg *g, const struct operands *o, int which, val t)
{
    val zero = cg_i(g, 0);
    return cg_view_addr(g, &o->s->v[which], o->turned ? zero : t, o->turned ? t : zero);
}

static val
token_step(struct cg *g, const struct operands *o, int which)
{
    return o->turned ? cg_i(g, 1) : cg_view_ld(g, &o->s->v[which]);
}

/* Where the gate of token t begins, and how far apart those of two tokens are. */
struct gate_rows {
    enum gates kind;
    val at, step;
};

static struct gate_rows
gate_rows(struct cg *g, const struct tile_stmt *s, val t)
{
    const tile_view *v = &s->v[tile_ops[s->op].nviews - 1];
    val zero = cg_i(g, 0);
    if (s->num[1] == GATES_NONE)
        return (struct gate_rows){GATES_NONE, LLVMConstNull(g->ptr), zero};
    bool row = s->num[1] == GATES_TOKEN;
    return (struct gate_rows){(enum gates)s->num[1],
                              cg_view_addr(g, v, row ? zero : t, row ? t : zero),
                              row ? cg_i(g, 1) : cg_view_ld(g, v)};
}

/* Rows that are asked for: where they begin, bytes from row to row, lines per row, bytes from head
 * to head. Without rows there is no line. */
struct ask_rows {
    val at, step, lines, heads;
};

static struct ask_rows
ask_rows(struct cg *g, const tile_view *v)
{
    val zero = cg_i(g, 0), size = cg_i(g, g->io_size);
    if (!v->buf)
        return (struct ask_rows){LLVMConstNull(g->ptr), zero, zero, zero};
    val bytes = cg_add(g, cg_mul(g, cg_tx(g, v->cols), size), cg_i(g, CG_PAD - 1));
    val lines = LLVMBuildUDiv(g->b, bytes, cg_i(g, CG_PAD), "");
    val some = LLVMBuildICmp(g->b, LLVMIntSGT, cg_tx(g, v->rows), zero, "");
    return (struct ask_rows){cg_view_addr(g, v, zero, zero), cg_mul(g, cg_view_ld(g, v), size),
                             LLVMBuildSelect(g->b, some, lines, zero, ""),
                             cg_mul(g, cg_view_head(g, v), size)};
}

/* scan over n tokens from query row `query` and key `key` on. */
static void
call_scan(struct cg *g, const struct operands *o, val query, val key, val n, bool reads)
{
    const tile_view *v = o->s->v;
    val zero = cg_i(g, 0);
    struct gate_rows gate = gate_rows(g, o->s, key);
    struct ask_rows one = ask_rows(g, &v[5]), two = ask_rows(g, &v[6]);
    val fn = build_scan(g, gate.kind, reads, reads && (v[5].buf || v[6].buf));
    val args[ARGS] = {
        cg_view_addr(g, &v[0], query, zero), cg_view_ld(g, &v[0]), plane_size(g, &v[0]),
        cg_view_addr(g, &v[1], zero, zero), cg_view_ld(g, &v[1]),
        token_addr(g, o, 2, query), token_step(g, o, 2), plane_size(g, &v[2]),
        token_addr(g, o, 3, key), token_step(g, o, 3),
        cg_view_addr(g, &v[4], key, zero), cg_view_ld(g, &v[4]),
        cg_tx(g, o->s->x[0]), n, o->features, cg_tx(g, v[1].cols), gate.at, gate.step,
        one.at, one.step, one.lines, two.at, two.step, two.lines, two.heads};
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, ARGS, "");
}

/* The product of features and values of the tokens that meet no one. */
static void
lone_tokens(struct cg *g, const struct operands *o)
{
    const tile_view *v = o->s->v;
    val zero = cg_i(g, 0), one = cg_i(g, 1), m = cg_tx(g, v[1].cols);
    val state = cg_view_addr(g, &v[1], zero, zero), lds = cg_view_ld(g, &v[1]);
    struct cg_loop h = cg_loop(g, zero, cg_tx(g, o->s->x[0]), one);
    val q = cg_at(g, token_addr(g, o, 2, zero), cg_mul(g, h.iv, plane_size(g, &v[2])));
    val out = cg_at(g, cg_view_addr(g, &v[0], zero, zero), cg_mul(g, h.iv, plane_size(g, &v[0])));
    val read[11] = {out, cg_view_ld(g, &v[0]), q, token_step(g, o, 2), one, state, lds,
                    o->queries, m, o->features, zero};
    cg_call_matmul(g, read);
    cg_end(g, &h);
    if (o->s->num[1]) { /* one after the other */
        call_scan(g, o, zero, zero, o->keys, false);
        return;
    }
    val add[11] = {state, lds, token_addr(g, o, 3, zero), one, token_step(g, o, 3),
                   cg_view_addr(g, &v[4], zero, zero), cg_view_ld(g, &v[4]), o->features, m,
                   o->keys, zero};
    cg_call_matmul(g, add);
}

void
cg_tile_scan(struct cg *g, const struct tile_stmt *s)
{
    struct operands o = operands_of(g, s);
    lone_tokens(g, &o);
    call_scan(g, &o, o.queries, o.keys, o.both, true);
}

/* Sums of tokens that meet no one, or of one feature. */
struct sum_job {
    const struct operands *o;
    val token, head, acc;
};

/* The gates of a token for a vector of features. */
static val
gate_lanes(struct cg *g, const struct tile_stmt *s, val token, val col, val mask)
{
    struct gate_rows gate = gate_rows(g, s, token);
    return gate.kind == GATES_TOKEN ? feature(g, gate.at, 0)
                                    : cg_get(g, &s->v[4], token, col, mask);
}

static void
key_column(struct cg *g, val col, val mask, void *arg)
{
    struct sum_job *j = arg;
    const tile_view *v = j->o->s->v;
    val zero = cg_i(g, 0), z = cg_get(g, &v[1], zero, col, mask);
    if (j->o->s->num[1])
        z = LLVMBuildFMul(g->b, z, gate_lanes(g, j->o->s, j->token, col, mask), "");
    z = LLVMBuildFAdd(g->b, z, cg_get(g, &v[3], j->token, col, mask), "");
    cg_put(g, z, &v[1], zero, col, mask);
}

static void
query_column(struct cg *g, val col, val mask, void *arg)
{
    struct sum_job *j = arg;
    const tile_view *v = j->o->s->v;
    val at = cg_view_addr(g, &v[2], j->token, col), z = cg_get(g, &v[1], cg_i(g, 0), col, mask);
    val q = cg_load(g, g->vec, cg_at(g, at, cg_mul(g, j->head, plane_size(g, &v[2]))));
    if (mask)
        q = LLVMBuildSelect(g->b, mask, q, cg_splat_f(g, 0), "");
    cg_store(g, cg_fma(g, q, z, cg_load(g, g->vec, j->acc)), j->acc);
}

static void
add_key(struct cg *g, const struct operands *o, val t)
{
    const tile_view *v = o->s->v;
    if (!o->turned) {
        struct sum_job j = {.o = o, .token = t};
        cg_columns(g, o->features, key_column, &j);
        return;
    }
    val zero = cg_i(g, 0), to = cg_view_addr(g, &v[1], zero, zero);
    val k = cg_load(g, g->acc, cg_view_addr(g, &v[3], zero, t)), z = cg_load(g, g->acc, to);
    if (o->s->num[1])
        z = LLVMBuildFMul(g->b, z, cg_load(g, g->acc, gate_rows(g, o->s, t).at), "");
    cg_store(g, LLVMBuildFAdd(g->b, z, k, ""), to);
}

static void
read_query(struct cg *g, const struct operands *o, val t)
{
    const tile_view *v = o->s->v;
    val zero = cg_i(g, 0), sum;
    struct cg_loop h = cg_loop(g, zero, cg_tx(g, o->s->x[0]), cg_i(g, 1));
    if (o->turned) {
        val at = cg_at(g, cg_view_addr(g, &v[2], zero, t), cg_mul(g, h.iv, plane_size(g, &v[2])));
        val z = cg_load(g, g->acc, cg_view_addr(g, &v[1], zero, zero));
        sum = LLVMBuildFMul(g->b, cg_load(g, g->acc, at), z, "");
    } else {
        struct sum_job j = {o, t, h.iv, cg_var(g, g->vec, cg_splat_f(g, 0))};
        cg_columns(g, o->features, query_column, &j);
        sum = cg_hsum(g, cg_load(g, g->vec, j.acc));
    }
    val to = cg_view_addr(g, &v[0], t, zero);
    to = cg_at(g, to, cg_mul(g, h.iv, plane_size(g, &v[0])));
    cg_store(g, LLVMBuildFAdd(g->b, cg_load(g, g->acc, to), sum, ""), to);
    cg_end(g, &h);
}

void
cg_tile_scansum(struct cg *g, const struct tile_stmt *s)
{
    struct operands o = operands_of(g, s);
    val zero = cg_i(g, 0), one = cg_i(g, 1);
    struct cg_loop l = cg_loop(g, zero, o.queries, one);
    read_query(g, &o, l.iv);
    cg_end(g, &l);
    l = cg_loop(g, zero, o.keys, one);
    add_key(g, &o, l.iv);
    cg_end(g, &l);
    if (o.turned) {
        l = cg_loop(g, zero, o.both, one);
        add_key(g, &o, cg_add(g, l.iv, o.keys));
        read_query(g, &o, cg_add(g, l.iv, o.queries));
        cg_end(g, &l);
        return;
    }
    const tile_view *v = s->v;
    struct gate_rows gate = gate_rows(g, s, o.keys);
    val fn = build_scansum(g, gate.kind);
    val args[SUM_ARGS] = {cg_view_addr(g, &v[0], o.queries, zero), cg_view_ld(g, &v[0]),
                          plane_size(g, &v[0]), cg_view_addr(g, &v[1], zero, zero),
                          token_addr(g, &o, 2, o.queries), token_step(g, &o, 2),
                          plane_size(g, &v[2]), token_addr(g, &o, 3, o.keys),
                          token_step(g, &o, 3), cg_tx(g, s->x[0]), o.both, o.features,
                          gate.at, gate.step};
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, SUM_ARGS, "");
}
