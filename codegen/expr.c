/* Values of axis-IR nodes at one point of a map: a vector over the column axis.
 *
 * Positions and sizes stay integers as long as only + - mod and comparisons use them, so masks are
 * exact for any length: of 32 bits, or of 64 where whole constants could make sums leave those.
 * Everything else is the accumulation type, but for the arguments of sin and cos that positions
 * make large: those are f64. Subexpressions that do not depend on the row are hoisted by LLVM's
 * loop-invariant code motion. */
#include "codegen/cg.h"

#include <stdlib.h>
#include <string.h>

#include "ir/interp.h"

struct expr {
    struct cg *g;
    const struct cg_point *at;
    val *memo;             /* per node */
    LLVMTypeRef vec;       /* of the values: g->vec, or as many f64 */
    struct expr *tensors;  /* where vec is wider: what reads memory, in g->vec */
    struct expr *angles;   /* where it is not: the arguments of sin and cos, made on first use */
};

static val ev(struct expr *e, ir_ref n);

/* A constant of the type at hand. */
static val
number(struct expr *e, double v)
{
    val lanes[64], c = LLVMConstReal(LLVMGetElementType(e->vec), v);
    for (int k = 0; k < e->g->vl; k++)
        lanes[k] = c;
    return LLVMConstVector(lanes, (unsigned)e->g->vl);
}

static val
splat_i32(struct cg *g, val i64)
{
    val s = LLVMBuildTrunc(g->b, i64, g->i32, "");
    val v = LLVMBuildInsertElement(g->b, LLVMGetPoison(g->ivec), s, LLVMConstInt(g->i32, 0, 0), "");
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(g->ivec), LLVMConstNull(g->ivec), "");
}

static val
iota(struct cg *g)
{
    val lanes[64];
    for (int k = 0; k < g->vl; k++)
        lanes[k] = LLVMConstInt(g->i32, (unsigned)k, 0);
    return LLVMConstVector(lanes, (unsigned)g->vl);
}

/* A distance along an axis of tokens: neighbours on axis i are at[5] apart. */
static val
stepped(struct expr *e, uint8_t axis, val distance)
{
    tx_ref step = axis == AX_i ? e->at->s->at[5] : 0;
    return step ? cg_mul(e->g, distance, cg_tx(e->g, step)) : distance;
}

/* The scalar index of an axis at this point; the column axis gives that of lane 0. */
static val
axis_index(struct expr *e, uint8_t axis)
{
    struct cg *g = e->g;
    const struct tile_stmt *s = e->at->s;
    val local = axis == s->row_axis ? e->at->row : axis == s->col_axis ? e->at->col
              : axis == s->red_axis ? e->at->red : NULL;
    if (axis == AX_b || axis == AX_h)
        return cg_tx(g, s->at[axis == AX_b ? 0 : 1]);
    if (axis == AX_i || axis == AX_j) {
        val origin = cg_tx(g, s->at[axis == AX_i ? 2 : 3]);
        return local ? cg_add(g, origin, stepped(e, axis, local)) : origin;
    }
    if (!local)
        ICE("axis %s is not part of this map", g->f->axes[axis].name);
    return local;
}

/* Position of a token: query rows count from n - n_q. */
static val
position(struct expr *e, uint8_t axis)
{
    struct cg *g = e->g;
    val x = axis_index(e, axis);
    return axis == AX_i ? cg_add(g, x, cg_sub(g, g->dims[DIM_N], g->dims[DIM_NQ])) : x;
}

/* ---- integers ---- */

static bool
is_integer_constant(const struct ir_func *f, ir_ref n)
{
    if (f->nodes[n].op != IR_const)
        return false;
    const fmpq *q = ir_const_value(f, n);
    return fmpz_is_one(fmpq_denref(q)) && fmpz_bits(fmpq_numref(q)) <= 28;
}

/* The most that positions, sizes and whole constants under + - neg, and mod by a constant > 0, can
 * come to for lengths below 2^29; -1 if n is anything else. *most: the same on the way there. */
static int64_t
integer_bound(const struct ir_func *f, ir_ref n, int64_t *most)
{
    const struct ir_node *x = &f->nodes[n];
    int64_t a, b = 0;
    if (x->op == IR_pos || x->op == IR_dim) {
        a = ((int64_t)1 << 29) - 1;
    } else if (is_integer_constant(f, n)) {
        a = llabs(fmpz_get_si(fmpq_numref(ir_const_value(f, n))));
    } else if (x->op == IR_mod) {
        if (!is_integer_constant(f, x->arg[1]) || fmpq_sgn(ir_const_value(f, x->arg[1])) <= 0 ||
            integer_bound(f, x->arg[0], most) < 0)
            return -1;
        a = integer_bound(f, x->arg[1], most);
    } else if (x->op == IR_neg || x->op == IR_add || x->op == IR_sub) {
        a = integer_bound(f, x->arg[0], most);
        b = x->op == IR_neg ? 0 : integer_bound(f, x->arg[1], most);
    } else {
        return -1;
    }
    if (a < 0 || b < 0 || a + b > (int64_t)1 << 60)
        return -1;
    *most = a + b > *most ? a + b : *most;
    return a + b;
}

static bool
is_integer(const struct ir_func *f, ir_ref n)
{
    int64_t most = 0;
    return integer_bound(f, n, &most) >= 0;
}

/* 32 bits where they hold all of n and m, else 64. */
static LLVMTypeRef
integer_type(struct cg *g, ir_ref n, ir_ref m)
{
    int64_t most = 0;
    integer_bound(g->f, n, &most);
    integer_bound(g->f, m, &most);
    return most <= INT32_MAX ? g->ivec : LLVMVectorType(g->i64, (unsigned)g->vl);
}

static val
splat_int(struct cg *g, LLVMTypeRef type, val i64)
{
    if (type == g->ivec)
        return splat_i32(g, i64);
    val v = LLVMBuildInsertElement(g->b, LLVMGetPoison(type), i64, LLVMConstInt(g->i32, 0, 0), "");
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(type), LLVMConstNull(g->ivec), "");
}

static val
ev_int(struct expr *e, ir_ref n, LLVMTypeRef type)
{
    struct cg *g = e->g;
    const struct ir_node *x = &g->f->nodes[n];
    if (x->op == IR_const)
        return splat_int(g, type, cg_i(g, fmpz_get_si(fmpq_numref(ir_const_value(g->f, n)))));
    if (x->op == IR_dim)
        return splat_int(g, type, g->dims[x->attr.id]);
    if (x->op == IR_pos) {
        val v = splat_int(g, type, position(e, x->attr.axis));
        if (x->attr.axis != e->at->s->col_axis)
            return v;
        val lanes = LLVMBuildZExtOrBitCast(g->b, iota(g), type, "");
        val step = splat_int(g, type, stepped(e, x->attr.axis, cg_i(g, 1)));
        return LLVMBuildAdd(g->b, v, LLVMBuildMul(g->b, lanes, step, ""), "");
    }
    val a = ev_int(e, x->arg[0], type);
    if (x->op == IR_neg)
        return LLVMBuildNeg(g->b, a, "");
    val b = ev_int(e, x->arg[1], type);
    if (x->op == IR_mod) { /* b > 0: a negative remainder is one b too low */
        val r = LLVMBuildSRem(g->b, a, b, "");
        val sign = splat_int(g, type, cg_i(g, type == g->ivec ? 31 : 63));
        val low = LLVMBuildAnd(g->b, LLVMBuildAShr(g->b, r, sign, ""), b, "");
        return LLVMBuildAdd(g->b, r, low, "");
    }
    return x->op == IR_add ? LLVMBuildAdd(g->b, a, b, "") : LLVMBuildSub(g->b, a, b, "");
}

/* ---- leaves in memory ---- */

/* Elements `stride` apart, as indexes of a gather. */
static val
lane_indexes(struct expr *e, val stride)
{
    struct cg *g = e->g;
    LLVMTypeRef lv = LLVMVectorType(g->i64, (unsigned)g->vl);
    val s = LLVMBuildInsertElement(g->b, LLVMGetPoison(lv), stride, LLVMConstInt(g->i32, 0, 0), "");
    s = LLVMBuildShuffleVector(g->b, s, LLVMGetPoison(lv), LLVMConstNull(g->ivec), "");
    return LLVMBuildMul(g->b, LLVMBuildZExt(g->b, iota(g), lv, ""), s, "");
}

/* The tile that holds n, or NULL. */
static const struct tile_bind *
bind_of(const struct expr *e, ir_ref n)
{
    for (uint32_t k = 0; k < e->at->s->nbinds; k++)
        if (e->at->s->binds[k].node == n)
            return &e->at->s->binds[k];
    return NULL;
}

static val
ev_bind(struct expr *e, const struct tile_bind *b)
{
    struct cg *g = e->g;
    uint8_t col = e->at->s->col_axis;
    val zero = cg_i(g, 0), ix[2];
    uint8_t ax[2] = {b->row_axis, b->col_axis};
    for (int k = 0; k < 2; k++)
        ix[k] = ax[k] == AX_UNIT ? zero
              : ax[k] == e->at->s->row_axis ? e->at->row
              : ax[k] == col ? e->at->col
              : ax[k] == e->at->s->red_axis ? e->at->red : NULL;
    if (!ix[0] || !ix[1])
        ICE("a bound tile runs over an axis the map does not have");
    bool tensor = !cg_is_padded(g, &b->view); /* padded rows: whole vectors are safe */
    if (col != AX_UNIT && b->col_axis == col)
        return cg_get(g, &b->view, ix[0], ix[1], tensor ? e->at->lanes : NULL);
    if (col != AX_UNIT && b->row_axis == col) {
        val addr = cg_view_addr(g, &b->view, ix[0], ix[1]);
        val at = lane_indexes(e, cg_view_ld(g, &b->view));
        return tensor ? cg_io_gather(g, addr, at, e->at->lanes)
                      : cg_gather(g, addr, at, e->at->lanes);
    }
    return cg_splat(g, cg_get_one(g, &b->view, ix[0], ix[1]));
}

/* One tensor element per lane: address from the axes' indexes and the tensor's strides. */
static val
ev_tensor(struct expr *e, uint32_t arg, int rank, const uint8_t *axes, const int32_t *nums,
          bool by_position, bool key_head)
{
    struct cg *g = e->g;
    const struct tile_stmt *s = e->at->s;
    val addr = cg_arg_addr(g, arg), off = cg_i(g, 0), lane_stride = NULL;
    bool unit = false;
    for (int k = 0; k < rank; k++) {
        val stride = k == rank - 1 ? cg_i(g, 1) : cg_arg_stride(g, arg, k), index;
        if (axes[k] == AX_UNIT)
            index = cg_i(g, nums[k]);
        else if (axes[k] == AX_h && key_head)
            index = cg_tx(g, s->at[4]);
        else
            index = by_position ? position(e, axes[k]) : axis_index(e, axes[k]);
        off = cg_add(g, off, cg_mul(g, index, stride));
        if (axes[k] == s->col_axis && axes[k] != AX_UNIT) {
            unit = k == rank - 1 && !lane_stride && !(axes[k] == AX_i && s->at[5]);
            stride = stepped(e, axes[k], stride);
            lane_stride = lane_stride ? cg_add(g, lane_stride, stride) : stride;
        }
    }
    addr = cg_io_at(g, addr, off);
    if (!lane_stride)
        return cg_splat(g, cg_io_load_one(g, addr));
    if (unit && e->at->next && !g->asked[arg] && rank == 4 && axes[2] == s->row_axis)
        cg_prefetch(g, cg_io_at(g, addr, cg_mul(g, e->at->next, cg_arg_stride(g, arg, 2))), false,
                    2);
    return unit ? cg_io_load(g, addr, e->at->lanes)
                : cg_io_gather(g, addr, lane_indexes(e, lane_stride), e->at->lanes);
}

static val
ev_input(struct expr *e, int which)
{
    uint8_t axes[4] = {AX_b, AX_h, which == 0 ? AX_i : AX_j, which == 2 ? AX_m : AX_d};
    return ev_tensor(e, (uint32_t)which, 4, axes, NULL, false, which != 0);
}

static val
ev_param(struct expr *e, const struct ir_node *x)
{
    struct cg *g = e->g;
    const struct ir_binding *b = &g->f->bindings[x->attr.num];
    if (g->f->params[x->attr.id].rank == 0) {
        val d = cg_scalar_param(g, x->attr.id), none = LLVMGetPoison(e->vec);
        d = e->vec != g->vec || g->acc == g->f64 ? d : LLVMBuildFPTrunc(g->b, d, g->acc, "");
        d = LLVMBuildInsertElement(g->b, none, d, LLVMConstInt(g->i32, 0, 0), "");
        return LLVMBuildShuffleVector(g->b, d, none, LLVMConstNull(g->ivec), "");
    }
    const struct ir_param *p = &g->f->params[x->attr.id];
    bool input = p->role == PARAM_INPUT; /* as q, k and v: rows, and of keys their heads */
    return ev_tensor(e, tile_param_arg(g->f, x->attr.id), b->rank, b->ax, b->num, !input,
                     input && p->dims[1] == DIM_G);
}

/* ---- operations ---- */

static const struct {
    uint8_t op;
    LLVMRealPredicate real;
    LLVMIntPredicate whole;
} relations[] = {
    {IR_lt, LLVMRealOLT, LLVMIntSLT}, {IR_le, LLVMRealOLE, LLVMIntSLE},
    {IR_gt, LLVMRealOGT, LLVMIntSGT}, {IR_ge, LLVMRealOGE, LLVMIntSGE},
    {IR_eq, LLVMRealOEQ, LLVMIntEQ},  {IR_ne, LLVMRealUNE, LLVMIntNE},
};

/* A truth value as an i1 vector. */
static val
ev_truth(struct expr *e, ir_ref n)
{
    struct cg *g = e->g;
    const struct ir_node x = g->f->nodes[n];
    for (unsigned k = 0; k < sizeof relations / sizeof *relations; k++) {
        if (x.op != relations[k].op)
            continue;
        if (is_integer(g->f, x.arg[0]) && is_integer(g->f, x.arg[1])) {
            LLVMTypeRef type = integer_type(g, x.arg[0], x.arg[1]);
            val a = ev_int(e, x.arg[0], type), b = ev_int(e, x.arg[1], type);
            return LLVMBuildICmp(g->b, relations[k].whole, a, b, "");
        }
        val a = ev(e, x.arg[0]), b = ev(e, x.arg[1]);
        return LLVMBuildFCmp(g->b, relations[k].real, a, b, "");
    }
    if (x.op == IR_not)
        return LLVMBuildNot(g->b, ev_truth(e, x.arg[0]), "");
    if (x.op == IR_and || x.op == IR_or) {
        val a = ev_truth(e, x.arg[0]), b = ev_truth(e, x.arg[1]);
        return x.op == IR_and ? LLVMBuildAnd(g->b, a, b, "") : LLVMBuildOr(g->b, a, b, "");
    }
    val v = ev(e, n); /* a constant, or a truth value kept as a number */
    return LLVMBuildFCmp(g->b, LLVMRealUNE, v, number(e, 0), "");
}

static val
ev_powi(struct expr *e, const struct ir_node *x)
{
    struct cg *g = e->g;
    int n = x->attr.num < 0 ? -x->attr.num : x->attr.num;
    val base = ev(e, x->arg[0]), r = NULL;
    for (; n; n >>= 1) {
        if (n & 1)
            r = r ? LLVMBuildFMul(g->b, r, base, "") : base;
        if (n > 1)
            base = LLVMBuildFMul(g->b, base, base, "");
    }
    if (!r)
        r = number(e, 1);
    return x->attr.num < 0 ? LLVMBuildFDiv(g->b, number(e, 1), r, "") : r;
}

/* elu(y) + 1 is y + 1 or exp(y): without the care that elu takes of its values near 0. NULL: x is
 * not of that form. */
static val
ev_elu_plus_one(struct expr *e, struct vm *vm, const struct ir_node *x)
{
    struct cg *g = e->g;
    for (int k = 0; k < 2; k++) {
        ir_ref n = x->arg[k];
        if (g->f->nodes[n].op != IR_elu || !ir_is_const(g->f, x->arg[!k], 1) || bind_of(e, n))
            continue;
        val y = ev(e, g->f->nodes[n].arg[0]), up = LLVMBuildFAdd(g->b, y, number(e, 1), "");
        val positive = LLVMBuildFCmp(g->b, LLVMRealOGT, y, number(e, 0), "");
        return LLVMBuildSelect(g->b, positive, up, vm_emit(vm, IR_exp, y, NULL), "");
    }
    return NULL;
}

static bool
position_walk(const struct expr *e, ir_ref n, bool *seen)
{
    const struct ir_node *x = &e->g->f->nodes[n];
    if (seen[n] || bind_of(e, n))
        return false;
    seen[n] = true;
    for (int k = 0; k < x->nargs; k++)
        if (position_walk(e, x->arg[k], seen))
            return true;
    return x->op == IR_pos;
}

/* True if n is made of positions, as far as it is not read from a tile. */
static bool
reads_position(const struct expr *e, ir_ref n)
{
    bool *seen = xmalloc(e->g->f->nnodes);
    memset(seen, 0, e->g->f->nnodes);
    bool found = position_walk(e, n, seen);
    free(seen);
    return found;
}

/* sin or cos of what grows with positions: the argument in f64. NULL: any other node. */
static val
ev_angle(struct expr *e, struct vm *vm, const struct ir_node *x)
{
    struct cg *g = e->g;
    bool narrow = e->vec == g->vec && g->acc != g->f64;
    if ((x->op != IR_sin && x->op != IR_cos) || !narrow || !reads_position(e, x->arg[0]))
        return NULL;
    if (!e->angles) {
        struct expr *w = e->angles = xmalloc(sizeof *w);
        *w = (struct expr){g, e->at, xmalloc(sizeof(val) * g->f->nnodes),
                           LLVMVectorType(g->f64, (unsigned)g->vl), e, NULL};
        for (uint32_t k = 0; k < g->f->nnodes; k++)
            w->memo[k] = NULL;
    }
    return vm_angle(vm, (enum ir_op)x->op, ev(e->angles, x->arg[0]));
}

static val
ev_elementwise(struct expr *e, const struct ir_node *x)
{
    struct cg *g = e->g;
    struct vm vm = {.ctx = g->ctx, .mod = g->mod, .b = g->b, .ty = e->vec, .fma = g->t->fma != 0,
                    .avx512 = g->t->bits == 512};
    val simpler = x->op == IR_add ? ev_elu_plus_one(e, &vm, x) : ev_angle(e, &vm, x);
    if (simpler)
        return simpler;
    if (x->op == IR_powi)
        return ev_powi(e, x);
    if (x->op == IR_select) {
        val c = ev_truth(e, x->arg[0]), a = ev(e, x->arg[1]), b = ev(e, x->arg[2]);
        return LLVMBuildSelect(g->b, c, a, b, "");
    }
    val a = ev(e, x->arg[0]), b = x->nargs > 1 ? ev(e, x->arg[1]) : NULL;
    if (x->op == IR_add)
        return LLVMBuildFAdd(g->b, a, b, "");
    if (x->op == IR_sub)
        return LLVMBuildFSub(g->b, a, b, "");
    if (x->op == IR_mul)
        return LLVMBuildFMul(g->b, a, b, "");
    if (x->op == IR_div)
        return LLVMBuildFDiv(g->b, a, b, "");
    if (x->op == IR_neg)
        return LLVMBuildFNeg(g->b, a, "");
    if (x->op == IR_mod) { /* a - b*floor(a/b) */
        val whole = vm_emit(&vm, IR_floor, LLVMBuildFDiv(g->b, a, b, ""), NULL);
        return LLVMBuildFSub(g->b, a, LLVMBuildFMul(g->b, b, whole, ""), "");
    }
    return vm_emit(&vm, (enum ir_op)x->op, a, b);
}

static val
ev_leaf(struct expr *e, ir_ref n, const struct ir_node *x)
{
    struct cg *g = e->g;
    if (x->op == IR_input)
        return ev_input(e, x->attr.num);
    if (x->op == IR_param)
        return ev_param(e, x);
    if (x->op == IR_const)
        return number(e, num_from_q(NUM_F64, ir_const_value(g->f, n)).f);
    if (x->op == IR_pi)
        return number(e, num_pi(NUM_F64).f);
    if (x->op == IR_ninf)
        return number(e, -__builtin_inf());
    if (x->op == IR_size) {
        tx_ref t = tx_axis((struct tile_prog *)(uintptr_t)g->p, x->attr.axis);
        LLVMTypeRef type = LLVMVectorType(g->i64, (unsigned)g->vl);
        return LLVMBuildSIToFP(g->b, splat_int(g, type, cg_tx(g, t)), e->vec, "");
    }
    ICE("op %s is not bound to a tile", ir_ops[x->op].name);
}

static val
ev(struct expr *e, ir_ref n)
{
    struct cg *g = e->g;
    const struct ir_node x = g->f->nodes[n];
    if (e->memo[n])
        return e->memo[n];
    val v = NULL;
    const struct tile_bind *b = bind_of(e, n);
    bool memory = b || x.op == IR_input || (x.op == IR_param && g->f->params[x.attr.id].rank > 0);
    if (memory && e->tensors)
        v = LLVMBuildFPExt(g->b, ev(e->tensors, n), e->vec, "");
    else if (b)
        v = ev_bind(e, b);
    if (!v && x.op != IR_const && is_integer(g->f, n))
        v = LLVMBuildSIToFP(g->b, ev_int(e, n, integer_type(g, n, n)), e->vec, "");
    else if (!v && (ir_ops[x.op].props & IRP_BOOL))
        v = LLVMBuildSelect(g->b, ev_truth(e, n), number(e, 1), number(e, 0), "");
    else if (!v && (ir_ops[x.op].props & IRP_ELEM))
        v = ev_elementwise(e, &x);
    else if (!v)
        v = ev_leaf(e, n, &x);
    e->memo[n] = v;
    return v;
}

val
cg_expr(struct cg *g, ir_ref node, const struct cg_point *at)
{
    struct expr e = {g, at, xmalloc(sizeof(val) * g->f->nnodes), g->vec, NULL, NULL};
    for (uint32_t k = 0; k < g->f->nnodes; k++)
        e.memo[k] = NULL;
    val v = ev(&e, node);
    if (e.angles)
        free(e.angles->memo);
    free(e.angles);
    free(e.memo);
    return v;
}
