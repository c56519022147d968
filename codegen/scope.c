/* Statements in their bodies, and the values they share: sizes, arguments, where views begin.
 *
 * The tile IR writes every size out wherever it is used. Each is made once per function, at the
 * outermost place where the loop variables in it are known, which is what LLVM would come to after
 * reading three times as much. Sizes are plain arithmetic that cannot trap, so one that turns out
 * not to be needed does no harm. */
#include "codegen/cg.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/attn.h"

enum { MAX_VIEWS = 32, MAX_SLOTS = 512 };

struct cg_scope {
    val vars[TILE_MAX_VARS];
    int var_depth[TILE_MAX_VARS];
    val *size;                  /* per size expression: its value, where it has been made */
    int *size_depth;
    tx_ref *made;               /* those, in order */
    uint32_t nmade;
    val base[TILE_MAX_BUFS], slot[MAX_SLOTS];
    struct {
        const tile_view *view;
        val origin;
    } views[MAX_VIEWS];         /* of the statement at hand */
    int nviews;
    val *place;                 /* per depth: values are made before this instruction */
    int depth;                  /* of the body at hand; 0 = none */
    val before;                 /* where code goes now; NULL: the end of the block */
};

static int
nesting(const struct tile_stmt *s)
{
    int most = 0;
    for (; s; s = s->next) {
        int d = nesting(s->body) + 1;
        most = d > most ? d : most;
    }
    return most;
}

void
cg_scope_new(struct cg *g)
{
    struct cg_scope *s = g->scope = xmalloc(sizeof *s);
    memset(s, 0, sizeof *s);
    uint32_t n = g->p->nxs, levels = (uint32_t)nesting(g->p->body) + 2;
    s->size = xmalloc(sizeof *s->size * n);
    s->size_depth = xmalloc(sizeof *s->size_depth * n);
    s->made = xmalloc(sizeof *s->made * n);
    s->place = xmalloc(sizeof *s->place * levels);
    s->place[0] = NULL;
}

void
cg_scope_free(struct cg *g)
{
    struct cg_scope *s = g->scope;
    free(s->size);
    free(s->size_depth);
    free(s->made);
    free(s->place);
    free(s);
}

/* A new block follows; values of this depth are made at the end of the one that ends here. */
static void
set_place(struct cg *g, int depth)
{
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(g->ctx, g->fn, "");
    g->scope->place[depth] = LLVMBuildBr(g->b, next);
    LLVMPositionBuilderAtEnd(g->b, next);
}

void
cg_scope_open(struct cg *g)
{
    struct cg_scope *s = g->scope;
    for (uint32_t k = 0; k < g->p->nxs; k++)
        s->size[k] = NULL;
    memset(s->base, 0, sizeof s->base);
    memset(s->slot, 0, sizeof s->slot);
    s->nmade = 0;
    s->nviews = 0;
    set_place(g, 0);
}

void
cg_scope_close(struct cg *g)
{
    g->scope->place[0] = NULL;
}

/* Code goes to a place for a while. */
struct detour {
    LLVMBasicBlockRef here;
    val before;
};

static void
go(struct cg *g, val before, LLVMBasicBlockRef at_end_of)
{
    g->scope->before = before;
    if (before)
        LLVMPositionBuilderBefore(g->b, before);
    else
        LLVMPositionBuilderAtEnd(g->b, at_end_of);
}

static struct detour
leave_for(struct cg *g, int depth)
{
    struct detour d = {LLVMGetInsertBlock(g->b), g->scope->before};
    go(g, g->scope->place[depth], NULL);
    return d;
}

static void
come_back(struct cg *g, struct detour d)
{
    go(g, d.before, d.here);
}

/* ---- bodies ---- */

static cg_stmt_fn *const emitters[TILE_OP_COUNT] = {
    NULL,
#define TILE(name, v, x, n, flags, help) cg_tile_##name,
#include "ir/tile_ops.def"
};

void
cg_statement(struct cg *g, const struct tile_stmt *s)
{
    g->scope->nviews = 0;
    emitters[s->op](g, s);
    g->scope->nviews = 0;
}

void
cg_body(struct cg *g, const struct tile_stmt *body)
{
    struct cg_scope *c = g->scope;
    c->depth++;
    for (const struct tile_stmt *s = body; s; s = s->next) {
        set_place(g, c->depth);
        cg_statement(g, s);
    }
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->nmade; k++) { /* what was made in here is known no more */
        if (c->size_depth[c->made[k]] < c->depth)
            c->made[n++] = c->made[k];
        else
            c->size[c->made[k]] = NULL;
    }
    c->nmade = n;
    c->depth--;
}

void
cg_bind(struct cg *g, uint32_t var, val v)
{
    g->scope->vars[var] = v;
    g->scope->var_depth[var] = g->scope->depth + 1;
}

/* ---- slots ---- */

static val
load_slot(struct cg *g, uint32_t index)
{
    val k = cg_i(g, index), at = LLVMBuildInBoundsGEP2(g->b, g->i64, g->slots, &k, 1, "");
    val v = LLVMBuildLoad2(g->b, g->i64, at, "");
    LLVMSetAlignment(v, 8);
    LLVMSetMetadata(v, LLVMGetMDKindIDInContext(g->ctx, "invariant.load", 14),
                    LLVMMetadataAsValue(g->ctx, LLVMMDNodeInContext2(g->ctx, NULL, 0)));
    return v;
}

val
cg_slot(struct cg *g, uint32_t index)
{
    struct cg_scope *s = g->scope;
    if (!s->place[0] || index >= MAX_SLOTS)
        return load_slot(g, index);
    if (!s->slot[index]) {
        struct detour d = leave_for(g, 0);
        s->slot[index] = load_slot(g, index);
        come_back(g, d);
    }
    return s->slot[index];
}

static uint32_t
tensor_slot(const struct ir_func *f, uint32_t arg)
{
    return f->ndims + arg * ATTN_TENSOR_SLOTS;
}

static uint32_t
scalar_slot(const struct ir_func *f, uint32_t param)
{
    uint32_t k = tensor_slot(f, tile_arg_count(f));
    for (uint32_t i = 0; i < param; i++)
        k += f->params[i].rank == 0;
    return k;
}

uint32_t
cg_status_slot(const struct ir_func *f)
{
    return scalar_slot(f, f->nparams);
}

uint32_t
cg_state_slot(const struct ir_func *f)
{
    return cg_status_slot(f) + 1;
}

val
cg_arg_addr(struct cg *g, uint32_t arg)
{
    return LLVMBuildIntToPtr(g->b, cg_slot(g, tensor_slot(g->f, arg)), g->ptr, "");
}

val
cg_arg_stride(struct cg *g, uint32_t arg, int axis)
{
    return cg_slot(g, tensor_slot(g->f, arg) + 1 + (uint32_t)axis);
}

val
cg_scalar_param(struct cg *g, uint32_t param)
{
    return LLVMBuildBitCast(g->b, cg_slot(g, scalar_slot(g->f, param)), g->f64, "");
}

/* ---- integer expressions ---- */

bool
cg_tx_const(const struct cg *g, tx_ref x, int64_t *v)
{
    return tx_is_num(g->p, x, v);
}

static val
floor_div(struct cg *g, val a, val b)
{
    if (!LLVMIsConstant(b)) /* it may be computed where it is not needed after all */
        b = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, b, cg_i(g, 0), ""), cg_i(g, 1), b,
                            "");
    val q = LLVMBuildSDiv(g->b, a, b, ""), r = LLVMBuildSRem(g->b, a, b, "");
    val neg = LLVMBuildICmp(g->b, LLVMIntSLT, LLVMBuildXor(g->b, a, b, ""), cg_i(g, 0), "");
    val off = LLVMBuildAnd(g->b, neg, LLVMBuildICmp(g->b, LLVMIntNE, r, cg_i(g, 0), ""), "");
    return cg_sub(g, q, LLVMBuildZExt(g->b, off, g->i64, ""));
}

/* a op b, saturated at INT64_MAX: sizes are never negative where this matters. */
static val
saturating(struct cg *g, const char *name, val a, val b)
{
    val args[2] = {a, b};
    val both = cg_call_intrinsic(g, name, &g->i64, 1, args, 2);
    val r = LLVMBuildExtractValue(g->b, both, 0, ""),
        over = LLVMBuildExtractValue(g->b, both, 1, "");
    return LLVMBuildSelect(g->b, over, cg_i(g, INT64_MAX), r, "");
}

/* a op b; saturated where sizes of buffers are planned (g->local is NULL there). */
static val
combine(struct cg *g, enum tx_op op, val a, val b)
{
    switch (op) {
    case TX_ADD:
        return g->local ? cg_add(g, a, b) : saturating(g, "llvm.sadd.with.overflow", a, b);
    case TX_MUL:
        return g->local ? cg_mul(g, a, b) : saturating(g, "llvm.smul.with.overflow", a, b);
    case TX_SUB:
        return cg_sub(g, a, b);
    case TX_FDIV:
        return floor_div(g, a, b);
    case TX_CDIV:
        return cg_sub(g, cg_i(g, 0), floor_div(g, cg_sub(g, cg_i(g, 0), a), b));
    case TX_MIN:
        return cg_min(g, a, b);
    case TX_MAX:
        return cg_max(g, a, b);
    case TX_NONE: case TX_NUM: case TX_DIM: case TX_VAR: case TX_ROWS:
        break;
    }
    ICE("bad integer expression");
}

/* The depth from which on a size is known, once cg_tx has been asked for it. */
static int
depth_of(const struct cg *g, tx_ref ref)
{
    const struct tx *x = &g->p->xs[ref];
    if (x->op == TX_VAR)
        return g->scope->var_depth[x->num];
    return x->op > TX_ROWS && g->scope->place[0] ? g->scope->size_depth[ref] : 0;
}

val
cg_tx(struct cg *g, tx_ref ref)
{
    const struct tx *x = &g->p->xs[ref];
    struct cg_scope *s = g->scope;
    if (x->op == TX_NUM)
        return cg_i(g, x->num);
    if (x->op == TX_DIM)
        return g->dims[x->num];
    if (x->op == TX_VAR)
        return s->vars[x->num];
    if (x->op == TX_ROWS)
        return g->rows[ref];
    if (s->place[0] && s->size[ref])
        return s->size[ref];
    val a = cg_tx(g, x->a), b = cg_tx(g, x->b);
    if (!s->place[0])
        return combine(g, (enum tx_op)x->op, a, b);
    int da = depth_of(g, x->a), db = depth_of(g, x->b), depth = da > db ? da : db;
    struct detour d = leave_for(g, depth);
    s->size[ref] = combine(g, (enum tx_op)x->op, a, b);
    s->size_depth[ref] = depth;
    s->made[s->nmade++] = ref;
    come_back(g, d);
    return s->size[ref];
}

/* ---- views ---- */

bool
cg_is_padded(const struct cg *g, const tile_view *v)
{
    return g->p->bufs[v->buf].kind != BUF_ARG;
}

val
cg_base(struct cg *g, uint32_t buf)
{
    const struct tile_buf *b = &g->p->bufs[buf];
    struct cg_scope *s = g->scope;
    if (s->base[buf])
        return s->base[buf];
    struct detour d = leave_for(g, 0);
    if (b->kind == BUF_ARG) {
        s->base[buf] = cg_arg_addr(g, b->arg);
    } else {
        val from = b->kind == BUF_LOCAL ? g->local : g->shared, at = cg_tx(g, g->offset[buf]);
        if (b->kind == BUF_STATE)
            from = LLVMBuildIntToPtr(g->b, cg_slot(g, cg_state_slot(g->f)), g->ptr, "");
        s->base[buf] = LLVMBuildInBoundsGEP2(g->b, g->i8, from, &at, 1, "");
    }
    come_back(g, d);
    return s->base[buf];
}

val
cg_ld(struct cg *g, uint32_t buf)
{
    return cg_tx(g, g->row_elements[buf]);
}

val
cg_view_ld(struct cg *g, const tile_view *v)
{
    const struct tile_buf *b = &g->p->bufs[v->buf];
    if (b->kind != BUF_ARG)
        return cg_ld(g, v->buf);
    return b->axes[2] == AX_UNIT ? cg_i(g, 0) : cg_arg_stride(g, b->arg, b->axes[2]);
}

val
cg_view_head(struct cg *g, const tile_view *v)
{
    const struct tile_buf *b = &g->p->bufs[v->buf];
    return b->axes[1] == AX_UNIT ? cg_i(g, 0) : cg_arg_stride(g, b->arg, b->axes[1]);
}

/* Address of the first element, at the place where the view's numbers are known. */
static val
make_origin(struct cg *g, const tile_view *v)
{
    const struct tile_buf *b = &g->p->bufs[v->buf];
    bool arg = b->kind == BUF_ARG, plane = !arg && !b->single;
    const tx_ref at[4] = {v->row, v->col, arg || plane ? v->b : 0, arg ? v->h : 0};
    val x[4] = {NULL}, base = cg_base(g, v->buf), ld = cg_view_ld(g, v), step[2] = {NULL};
    int depth = 0;
    for (int k = 0; k < 4; k++)
        if (at[k]) {
            x[k] = cg_tx(g, at[k]);
            depth = depth_of(g, at[k]) > depth ? depth_of(g, at[k]) : depth;
        }
    if (plane)
        step[0] = cg_tx(g, b->rows);
    for (int k = 0; k < 2 && arg; k++)
        step[k] = b->axes[k] == AX_UNIT ? cg_i(g, 0) : cg_arg_stride(g, b->arg, b->axes[k]);
    struct detour d = leave_for(g, depth);
    val off = cg_add(g, cg_mul(g, x[0], ld), x[1]);
    if (plane)
        off = cg_add(g, off, cg_mul(g, cg_mul(g, step[0], ld), x[2]));
    for (int k = 0; k < 2 && arg; k++)
        off = cg_add(g, off, cg_mul(g, x[2 + k], step[k]));
    val r = arg ? cg_io_at(g, base, off) : cg_at(g, base, off);
    come_back(g, d);
    return r;
}

static val
origin(struct cg *g, const tile_view *v)
{
    struct cg_scope *s = g->scope;
    for (int k = 0; k < s->nviews; k++)
        if (s->views[k].view == v)
            return s->views[k].origin;
    val r = make_origin(g, v);
    if (s->nviews < MAX_VIEWS) {
        s->views[s->nviews].view = v;
        s->views[s->nviews++].origin = r;
    }
    return r;
}

val
cg_view_addr(struct cg *g, const tile_view *v, val row, val col)
{
    val off = cg_add(g, cg_mul(g, row, cg_view_ld(g, v)), col), at = origin(g, v);
    return cg_is_padded(g, v) ? cg_at(g, at, off) : cg_io_at(g, at, off);
}
