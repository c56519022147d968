/* Functions of a kernel: one per phase and target, and the plan that sizes workspace and tasks. */
#include "codegen/cg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/attn.h"

void
cg_tile_for(struct cg *g, const struct tile_stmt *s)
{
    struct cg_loop l = cg_loop(g, cg_tx(g, s->x[0]), cg_tx(g, s->x[1]), cg_tx(g, s->x[2]));
    cg_bind(g, s->var[0], l.iv);
    cg_body(g, s->body);
    cg_end(g, &l);
}

void
cg_tile_if(struct cg *g, const struct tile_stmt *s)
{
    val yes = LLVMBuildICmp(g->b, LLVMIntSLT, cg_tx(g, s->x[0]), cg_tx(g, s->x[1]), "");
    LLVMBasicBlockRef after = cg_if(g, yes);
    cg_body(g, s->body);
    cg_fi(g, after);
}

void
cg_tile_let(struct cg *g, const struct tile_stmt *s)
{
    cg_bind(g, s->var[0], cg_tx(g, s->x[0]));
    cg_body(g, s->body);
}

void
cg_tile_scores(struct cg *g, const struct tile_stmt *s)
{
    (void)g;
    (void)s; /* counted by the executor, free here */
}

/* d within +-2^40; 0 where it is NaN, which the caller asks about by itself. */
static val
saturated(struct cg *g, val d, val nan)
{
    double lim = (double)((int64_t)1 << 40);
    val hi = LLVMConstReal(g->f64, lim), lo = LLVMConstReal(g->f64, -lim);
    d = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, d, hi, ""), hi, d, "");
    d = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, d, lo, ""), lo, d, "");
    d = LLVMBuildSelect(g->b, nan, LLVMConstReal(g->f64, 0), d, "");
    return LLVMBuildFPToSI(g->b, d, g->i64, "");
}

/* The node is evaluated as the mask's test of one pair does, in the accumulation type. */
void
cg_tile_bounds(struct cg *g, const struct tile_stmt *s)
{
    struct cg_point at = {.s = s, .row = cg_i(g, 0), .col = cg_i(g, 0)};
    val d = LLVMBuildExtractElement(g->b, cg_expr(g, s->node, &at), LLVMConstInt(g->i32, 0, 0), "");
    if (g->acc != g->f64)
        d = LLVMBuildFPExt(g->b, d, g->f64, "");
    val nan = LLVMBuildFCmp(g->b, LLVMRealUNO, d, d, "");
    for (int k = 0; k < 2; k++) {
        val x = cg_call_intrinsic(g, k ? "llvm.ceil" : "llvm.floor", &g->f64, 1, &d, 1);
        cg_bind(g, s->var[k], saturated(g, x, nan));
    }
    cg_bind(g, s->var[2],
            LLVMBuildSelect(g->b, nan, cg_i(g, (int64_t)1 << 42), cg_i(g, 0), ""));
    cg_body(g, s->body);
}

/* 0 where yes, -1 where no. */
static val
verdict(struct cg *g, val yes)
{
    return LLVMBuildSelect(g->b, yes, cg_i(g, 0), cg_i(g, -1), "");
}

/* Ordered comparisons: nothing is claimed of tiles with a NaN in them. */
void
cg_tile_compare(struct cg *g, const struct tile_stmt *s)
{
    enum ir_op rel = (enum ir_op)s->num[0];
    bool swap = rel == IR_gt || rel == IR_ge, strict = rel == IR_lt || rel == IR_gt;
    LLVMRealPredicate lt = LLVMRealOLT, le = LLVMRealOLE;
    val x[2][2], all, none;
    for (int k = 0; k < 2; k++)
        for (int c = 0; c < 2; c++)
            x[k][c] = cg_load(g, g->acc,
                              cg_view_addr(g, &s->v[k ^ swap], cg_i(g, 0), cg_i(g, c)));
    if (rel == IR_eq || rel == IR_ne) {
        val a = LLVMBuildFCmp(g->b, LLVMRealOEQ, x[0][0], x[0][1], "");
        val b = LLVMBuildFCmp(g->b, LLVMRealOEQ, x[1][0], x[1][1], "");
        val same = LLVMBuildFCmp(g->b, LLVMRealOEQ, x[0][0], x[1][0], "");
        same = LLVMBuildAnd(g->b, LLVMBuildAnd(g->b, a, b, ""), same, "");
        val apart = LLVMBuildOr(g->b, LLVMBuildFCmp(g->b, lt, x[0][1], x[1][0], ""),
                                LLVMBuildFCmp(g->b, lt, x[1][1], x[0][0], ""), "");
        all = rel == IR_eq ? same : apart;
        none = rel == IR_eq ? apart : same;
    } else {
        all = LLVMBuildFCmp(g->b, strict ? lt : le, x[0][1], x[1][0], "");
        none = LLVMBuildFCmp(g->b, strict ? le : lt, x[1][1], x[0][0], "");
    }
    cg_bind(g, s->var[0], verdict(g, all));
    cg_bind(g, s->var[1], verdict(g, LLVMBuildNot(g->b, none, "")));
    cg_body(g, s->body);
}

/* Inside a phase function: task number to loop variables, last one fastest. */
void
cg_tile_phase(struct cg *g, const struct tile_stmt *s)
{
    val task = LLVMGetParam(g->fn, 3), n1 = cg_tx(g, s->x[1]), n2 = cg_tx(g, s->x[2]);
    cg_bind(g, s->var[2], LLVMBuildSRem(g->b, task, n2, ""));
    val rest = LLVMBuildSDiv(g->b, task, n2, "");
    cg_bind(g, s->var[1], LLVMBuildSRem(g->b, rest, n1, ""));
    cg_bind(g, s->var[0], LLVMBuildSDiv(g->b, rest, n1, ""));
    cg_body(g, s->body);
}

static tx_ref
round_up(struct tile_prog *p, tx_ref x, int64_t to)
{
    tx_ref t = tx_num(p, to);
    return tx_op2(p, TX_MUL, tx_op2(p, TX_CDIV, x, t), t);
}

/* Rows of scratch from so many lines on are an odd number of lines apart: else columns of a tile
 * would lie in few sets of the first cache. */
enum { ODD_LINES = 8 };

/* Elements per row of a local or shared buffer. */
static tx_ref
row_elements(struct tile_prog *p, const struct tile_buf *b, int esize)
{
    tx_ref per = tx_num(p, CG_PAD / esize), one = tx_num(p, 1), two = tx_num(p, 2);
    tx_ref lines = tx_op2(p, TX_CDIV, b->cols, per);
    if (b->kind == BUF_LOCAL) {
        tx_ref odd = tx_op2(p, TX_MUL, two, tx_op2(p, TX_FDIV, lines, two));
        odd = tx_op2(p, TX_ADD, odd, one);
        tx_ref wide = tx_op2(p, TX_MIN, one, tx_op2(p, TX_FDIV, lines, tx_num(p, ODD_LINES)));
        tx_ref more = tx_op2(p, TX_MUL, wide, tx_op2(p, TX_SUB, odd, lines));
        lines = tx_op2(p, TX_ADD, lines, more);
    }
    return tx_op2(p, TX_MUL, lines, per);
}

/* Bytes of a local or shared buffer, with room for a vector past its end. */
static tx_ref
buffer_bytes(struct tile_prog *p, const struct tile_buf *b, int esize)
{
    if (b->elem == ELEM_TABLE) { /* a weight and degree-1 offsets per row */
        tx_ref per = tx_op2(p, TX_ADD, tx_num(p, 8), tx_op2(p, TX_MUL, tx_num(p, 4), b->cols));
        return round_up(p, tx_op2(p, TX_MUL, b->rows, per), CG_PAD);
    }
    tx_ref n = tx_op2(p, TX_MUL, b->rows, row_elements(p, b, esize));
    n = tx_op2(p, TX_MUL, tx_op2(p, TX_MUL, n, b->planes), tx_num(p, esize));
    return tx_op2(p, TX_ADD, n, tx_num(p, CG_PAD));
}

/* Where the buffers of each kind lie, one after another. */
static void
place_buffers(struct cg *g)
{
    struct tile_prog *p = (struct tile_prog *)(uintptr_t)g->p; /* only gains expressions */
    g->offset = ARENA_ARRAY(g->m->arena, tx_ref, p->nbufs);
    g->row_elements = ARENA_ARRAY(g->m->arena, tx_ref, p->nbufs);
    for (int kind = 0; kind < 4; kind++)
        g->total[kind] = tx_num(p, 0);
    for (uint32_t k = 1; k < p->nbufs; k++) {
        const struct tile_buf *b = &p->bufs[k];
        if (b->kind == BUF_ARG)
            continue;
        g->offset[k] = g->total[b->kind];
        g->row_elements[k] = row_elements(p, b, g->esize);
        g->total[b->kind] = tx_op2(p, TX_ADD, g->offset[k], buffer_bytes(p, b, g->esize));
    }
}

/* Which arguments the scans of these statements ask for, so that maps need not. */
static void
find_asked(struct cg *g, const struct tile_stmt *s)
{
    for (; s; s = s->next) {
        find_asked(g, s->body);
        for (int k = 0; s->op == TILE_scan && k < tile_ops[s->op].nviews; k++)
            if (tile_ops[s->op].views[k] == 'A' && s->v[k].buf)
                g->asked[g->p->bufs[s->v[k].buf].arg] = true;
    }
}

/* A view of a local buffer, for read_columns. */
static void
note_columns(struct cg *g, const tile_view *v, bool read)
{
    int64_t first;
    if (!v->buf || g->p->bufs[v->buf].kind != BUF_LOCAL)
        return;
    tx_ref *of = &g->read_columns[v->buf];
    if (!tx_is_num(g->p, v->col, &first) || first || (read && *of && *of != v->cols))
        *of = (tx_ref)CG_MIXED;
    else if (read)
        *of = v->cols;
}

static void
find_columns(struct cg *g, const struct tile_stmt *s)
{
    for (; s; s = s->next) {
        find_columns(g, s->body);
        for (int k = 0; k < tile_ops[s->op].nviews; k++)
            note_columns(g, &s->v[k], !strchr("woWT", tile_ops[s->op].views[k]));
        for (uint32_t k = 0; k < s->nbinds; k++)
            note_columns(g, &s->binds[k].view, true);
    }
}

void
cg_prepare(struct cg *g, struct cg_module *m, const struct tile_prog *p, const struct cg_target *t)
{
    memset(g, 0, sizeof *g);
    g->m = m;
    g->ctx = m->ctx;
    g->mod = m->mod;
    g->b = LLVMCreateBuilderInContext(g->ctx);
    g->t = t;
    g->p = p;
    g->f = p->func;
    g->i1 = LLVMInt1TypeInContext(g->ctx);
    g->i8 = LLVMInt8TypeInContext(g->ctx);
    g->i32 = LLVMInt32TypeInContext(g->ctx);
    g->i64 = LLVMInt64TypeInContext(g->ctx);
    g->f64 = LLVMDoubleTypeInContext(g->ctx);
    g->ptr = LLVMPointerTypeInContext(g->ctx, 0);
    g->acc = g->f->acc == TYPE_F64 ? g->f64 : LLVMFloatTypeInContext(g->ctx);
    g->esize = g->f->acc == TYPE_F64 ? 8 : 4;
    g->io = g->f->type == TYPE_F64 ? g->f64 : LLVMFloatTypeInContext(g->ctx);
    g->io_size = g->f->type == TYPE_F64 ? 8 : 4;
    g->vl = t->bits / 8 / g->esize;
    g->vec = LLVMVectorType(g->acc, (unsigned)g->vl);
    g->iovec = LLVMVectorType(g->io, (unsigned)g->vl);
    g->ivec = LLVMVectorType(g->i32, (unsigned)g->vl);
    g->dims = ARENA_ARRAY(m->arena, val, g->f->ndims);
    g->asked = ARENA_ARRAY(m->arena, bool, tile_arg_count(g->f));
    find_asked(g, p->body);
    g->read_columns = ARENA_ARRAY(m->arena, tx_ref, p->nbufs);
    find_columns(g, p->body);
    place_buffers(g);
    g->rows = ARENA_ARRAY(m->arena, val, p->nxs + 64);
    cg_scope_new(g);
}

void
cg_release(struct cg *g)
{
    cg_scope_free(g);
    LLVMDisposeBuilder(g->b);
}

static void
attribute(struct cg *g, val fn, const char *key, const char *value)
{
    LLVMAttributeRef a = LLVMCreateStringAttribute(g->ctx, key, (unsigned)strlen(key), value,
                                                   (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void
flag_attribute(struct cg *g, val fn, LLVMAttributeIndex at, const char *name, uint64_t value)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, at, LLVMCreateEnumAttribute(g->ctx, kind, value));
}

void
cg_attributes(struct cg *g, val fn)
{
    char bits[16];
    snprintf(bits, sizeof bits, "%d", g->t->bits);
    attribute(g, fn, "target-cpu", g->t->cpu);
    if (g->t->features[0])
        attribute(g, fn, "target-features", g->t->features);
    attribute(g, fn, "prefer-vector-width", bits);
    attribute(g, fn, "min-legal-vector-width", bits);
    attribute(g, fn, "no-trapping-math", "true");
    flag_attribute(g, fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind", 0);
    flag_attribute(g, fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "uwtable", 2);
}

/* Sizes of dims: constants where fixed, else read from the slots. */
static void
load_dims(struct cg *g)
{
    for (uint32_t k = 0; k < g->f->ndims; k++)
        g->dims[k] = g->f->dims[k].size > 0 ? cg_i(g, g->f->dims[k].size) : cg_slot(g, k);
}

/* Rows of monomial tables: a call of the runtime, except in degree 2 where it is D/2 + 1. */
static void
load_rows(struct cg *g)
{
    for (uint32_t k = 1; k < g->p->nxs; k++) {
        const struct tx *x = &g->p->xs[k];
        if (x->op != TX_ROWS)
            continue;
        if (x->num == 2) {
            val half = LLVMBuildSDiv(g->b, cg_tx(g, x->a), cg_i(g, 2), "");
            g->rows[k] = cg_add(g, half, cg_i(g, 1));
            continue;
        }
        val null = LLVMConstNull(g->ptr);
        val args[4] = {cg_tx(g, x->a), cg_i(g, x->num), null, null};
        g->rows[k] = cg_call_runtime(g, "attn_monomial_rows", g->i64, args, 4);
    }
}

static val
build_phase(struct cg *g, const struct tile_stmt *s, int number)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s.%d.%s", g->f->name, g->p->entry, number, g->t->name);
    LLVMTypeRef par[4] = {g->ptr, g->ptr, g->ptr, g->i64};
    LLVMTypeRef ty = LLVMFunctionType(LLVMVoidTypeInContext(g->ctx), par, 4, 0);
    g->fn = LLVMAddFunction(g->mod, name, ty);
    LLVMSetLinkage(g->fn, LLVMInternalLinkage);
    cg_attributes(g, g->fn);
    for (unsigned k = 1; k <= 3; k++)
        flag_attribute(g, g->fn, k, "noalias", 0);
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(g->ctx, g->fn, "entry");
    LLVMPositionBuilderAtEnd(g->b, entry);
    g->slots = LLVMGetParam(g->fn, 0);
    g->shared = LLVMGetParam(g->fn, 1);
    g->local = LLVMGetParam(g->fn, 2);
    load_dims(g);
    load_rows(g);
    cg_scope_open(g);
    cg_statement(g, s);
    cg_scope_close(g);
    LLVMBuildRetVoid(g->b);
    return g->fn;
}

int
cg_phases(struct cg *g, val *out)
{
    int n = 0;
    for (const struct tile_stmt *s = g->p->body; s; s = s->next) {
        if (n >= ATTN_MAX_PHASES)
            ICE("more than %d phases", ATTN_MAX_PHASES);
        out[n] = build_phase(g, s, n);
        n++;
    }
    return n;
}

static void
plan_store(struct cg *g, val to, int64_t index, val v)
{
    val k = cg_i(g, index), at = LLVMBuildInBoundsGEP2(g->b, g->i64, to, &k, 1, "");
    LLVMSetAlignment(LLVMBuildStore(g->b, v, at), 8);
}

/* void plan(slots, out): sizes saturate instead of wrapping (g->local is NULL: see cg_tx). */
val
cg_plan(struct cg *g)
{
    char name[256];
    struct tile_prog *p = (struct tile_prog *)(uintptr_t)g->p;
    snprintf(name, sizeof name, "%s.%s.plan", g->f->name, p->entry);
    LLVMTypeRef par[2] = {g->ptr, g->ptr},
                ty = LLVMFunctionType(LLVMVoidTypeInContext(g->ctx), par, 2, 0);
    g->fn = LLVMAddFunction(g->mod, name, ty);
    LLVMSetLinkage(g->fn, LLVMInternalLinkage);
    flag_attribute(g, g->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind", 0);
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->ctx, g->fn, "entry"));
    g->slots = LLVMGetParam(g->fn, 0);
    g->shared = g->local = NULL;
    load_dims(g);
    load_rows(g);
    val out = LLVMGetParam(g->fn, 1);
    plan_store(g, out, 0, cg_tx(g, g->total[BUF_SHARED]));
    plan_store(g, out, 1, cg_tx(g, g->total[BUF_LOCAL]));
    plan_store(g, out, 2 + ATTN_MAX_PHASES, cg_tx(g, g->total[BUF_STATE]));
    if (p->cost)
        plan_store(g, out, 3 + ATTN_MAX_PHASES, cg_tx(g, p->cost));
    int n = 0;
    for (const struct tile_stmt *s = p->body; s; s = s->next) {
        tx_ref tasks = tx_op2(p, TX_MUL, tx_op2(p, TX_MUL, s->x[0], s->x[1]), s->x[2]);
        plan_store(g, out, 2 + n++, cg_tx(g, tasks));
    }
    LLVMBuildRetVoid(g->b);
    return g->fn;
}
