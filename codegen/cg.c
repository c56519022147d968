/* Small builders over the LLVM C API: integers, addresses, loops, masked memory. */
#include "codegen/cg.h"

#include <stdio.h>
#include <string.h>

#include <llvm/Config/llvm-config.h>

#include "runtime/attn.h"

val
cg_i(struct cg *g, int64_t v)
{
    return LLVMConstInt(g->i64, (unsigned long long)v, 1);
}

val
cg_add(struct cg *g, val a, val b)
{
    return LLVMBuildAdd(g->b, a, b, "");
}

val
cg_sub(struct cg *g, val a, val b)
{
    return LLVMBuildSub(g->b, a, b, "");
}

val
cg_mul(struct cg *g, val a, val b)
{
    return LLVMBuildMul(g->b, a, b, "");
}

val
cg_min(struct cg *g, val a, val b)
{
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, a, b, ""), a, b, "");
}

val
cg_max(struct cg *g, val a, val b)
{
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, a, b, ""), a, b, "");
}

val
cg_at(struct cg *g, val base, val index)
{
    return LLVMBuildInBoundsGEP2(g->b, g->acc, base, &index, 1, "");
}

val
cg_load(struct cg *g, LLVMTypeRef ty, val addr)
{
    val v = LLVMBuildLoad2(g->b, ty, addr, "");
    LLVMSetAlignment(v, ty == g->vec || ty == g->acc ? (unsigned)g->esize : 4);
    return v;
}

void
cg_store(struct cg *g, val v, val addr)
{
    LLVMSetAlignment(LLVMBuildStore(g->b, v, addr), (unsigned)g->esize);
}

val
cg_splat(struct cg *g, val scalar)
{
    val v = LLVMBuildInsertElement(g->b, LLVMGetPoison(g->vec), scalar, LLVMConstInt(g->i32, 0, 0),
                                   "");
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(g->vec), LLVMConstNull(g->ivec), "");
}

val
cg_splat_f(struct cg *g, double v)
{
    val lanes[64], c = LLVMConstReal(g->acc, v);
    for (int k = 0; k < g->vl; k++)
        lanes[k] = c;
    return LLVMConstVector(lanes, (unsigned)g->vl);
}

val
cg_call_intrinsic(struct cg *g, const char *name, LLVMTypeRef *ov, unsigned nov, val *args,
                  unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id)
        ICE("LLVM has no intrinsic %s", name);
    val fn = LLVMGetIntrinsicDeclaration(g->mod, id, ov, nov);
    LLVMTypeRef ty = LLVMIntrinsicGetType(g->ctx, id, ov, nov);
    return LLVMBuildCall2(g->b, ty, fn, args, n, "");
}

val
cg_call_runtime(struct cg *g, const char *name, LLVMTypeRef result, val *args, unsigned n)
{
    LLVMTypeRef par[8];
    for (unsigned k = 0; k < n; k++)
        par[k] = LLVMTypeOf(args[k]);
    LLVMTypeRef ty = LLVMFunctionType(result ? result : LLVMVoidTypeInContext(g->ctx), par, n, 0);
    val fn = LLVMGetNamedFunction(g->mod, name);
    if (!fn)
        fn = LLVMAddFunction(g->mod, name, ty);
    return LLVMBuildCall2(g->b, ty, fn, args, n, "");
}

val
cg_fma(struct cg *g, val a, val b, val c)
{
    LLVMTypeRef ty = LLVMTypeOf(a);
    val args[3] = {a, b, c};
    if (g->t->fma)
        return cg_call_intrinsic(g, "llvm.fma", &ty, 1, args, 3);
    return LLVMBuildFAdd(g->b, LLVMBuildFMul(g->b, a, b, ""), c, "");
}

static val
lane_numbers(struct cg *g)
{
    val lanes[64];
    for (int k = 0; k < g->vl; k++)
        lanes[k] = LLVMConstInt(g->i32, (unsigned)k, 0);
    return LLVMConstVector(lanes, (unsigned)g->vl);
}

val
cg_mask(struct cg *g, val count)
{
    val c = LLVMBuildTrunc(g->b, cg_min(g, count, cg_i(g, g->vl)), g->i32, "");
    val v = LLVMBuildInsertElement(g->b, LLVMGetPoison(g->ivec), c, LLVMConstInt(g->i32, 0, 0), "");
    v = LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(g->ivec), LLVMConstNull(g->ivec), "");
    return LLVMBuildICmp(g->b, LLVMIntSLT, lane_numbers(g), v, "");
}

/* LLVM 22 took the alignment operand out of the masked intrinsics and into an attribute. */
static val
masked_call(struct cg *g, const char *name, LLVMTypeRef *ov, val *args, int align_at, unsigned n,
            int size)
{
    val a[4];
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++) {
        if (LLVM_VERSION_MAJOR < 22 && (int)i == align_at)
            a[k++] = LLVMConstInt(g->i32, (unsigned)size, 0);
        a[k++] = args[i];
    }
    val call = cg_call_intrinsic(g, name, ov, 2, a, k);
    if (LLVM_VERSION_MAJOR >= 22) {
        unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
        LLVMAttributeRef at = LLVMCreateEnumAttribute(g->ctx, kind, (uint64_t)size);
        LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)align_at, at);
    }
    return call;
}

static val
masked_load(struct cg *g, LLVMTypeRef type, int size, val addr, val mask)
{
    LLVMTypeRef ov[2] = {type, g->ptr};
    val args[3] = {addr, mask, LLVMConstNull(type)};
    return masked_call(g, "llvm.masked.load", ov, args, 1, 3, size);
}

static void
masked_store(struct cg *g, LLVMTypeRef type, int size, val v, val addr, val mask)
{
    LLVMTypeRef ov[2] = {type, g->ptr};
    val args[3] = {v, addr, mask};
    masked_call(g, "llvm.masked.store", ov, args, 2, 3, size);
}

static val
gather(struct cg *g, LLVMTypeRef element, LLVMTypeRef type, int size, val base, val index, val mask)
{
    LLVMTypeRef pv = LLVMVectorType(g->ptr, (unsigned)g->vl);
    LLVMTypeRef ov[2] = {type, pv};
    val ptrs = LLVMBuildGEP2(g->b, element, base, &index, 1, "");
    if (!mask)
        mask = LLVMConstAllOnes(LLVMVectorType(g->i1, (unsigned)g->vl));
    val args[3] = {ptrs, mask, LLVMConstNull(type)};
    return masked_call(g, "llvm.masked.gather", ov, args, 1, 3, size);
}

val
cg_gather(struct cg *g, val base, val index, val mask)
{
    return gather(g, g->acc, g->vec, g->esize, base, index, mask);
}

val
cg_load_lanes(struct cg *g, val addr, val mask)
{
    return mask ? masked_load(g, g->vec, g->esize, addr, mask) : cg_load(g, g->vec, addr);
}

void
cg_store_lanes(struct cg *g, val v, val addr, val mask)
{
    if (mask)
        masked_store(g, g->vec, g->esize, v, addr, mask);
    else
        cg_store(g, v, addr);
}

/* ---- tensors ---- */

/* acc or vec from io or iovec, and back: nothing to do where they are the same. */
static val
widen(struct cg *g, val x)
{
    if (g->io == g->acc)
        return x;
    return LLVMBuildFPExt(g->b, x, LLVMTypeOf(x) == g->io ? g->acc : g->vec, "");
}

static val
narrow(struct cg *g, val x)
{
    if (g->io == g->acc)
        return x;
    return LLVMBuildFPTrunc(g->b, x, LLVMTypeOf(x) == g->acc ? g->io : g->iovec, "");
}

val
cg_io_at(struct cg *g, val base, val index)
{
    return LLVMBuildInBoundsGEP2(g->b, g->io, base, &index, 1, "");
}

static val
io_load(struct cg *g, LLVMTypeRef type, val addr)
{
    val v = LLVMBuildLoad2(g->b, type, addr, "");
    LLVMSetAlignment(v, (unsigned)g->io_size);
    return widen(g, v);
}

val
cg_io_load(struct cg *g, val addr, val mask)
{
    return mask ? widen(g, masked_load(g, g->iovec, g->io_size, addr, mask))
                : io_load(g, g->iovec, addr);
}

val
cg_io_load_one(struct cg *g, val addr)
{
    return io_load(g, g->io, addr);
}

val
cg_io_gather(struct cg *g, val base, val index, val mask)
{
    return widen(g, gather(g, g->io, g->iovec, g->io_size, base, index, mask));
}

val
cg_get(struct cg *g, const tile_view *v, val row, val col, val mask)
{
    val addr = cg_view_addr(g, v, row, col);
    if (!cg_is_padded(g, v))
        return cg_io_load(g, addr, mask);
    return cg_load_lanes(g, addr, mask);
}

val
cg_get_one(struct cg *g, const tile_view *v, val row, val col)
{
    val addr = cg_view_addr(g, v, row, col);
    return cg_is_padded(g, v) ? cg_load(g, g->acc, addr) : cg_io_load_one(g, addr);
}

void
cg_put(struct cg *g, val x, const tile_view *v, val row, val col, val mask)
{
    val addr = cg_view_addr(g, v, row, col);
    bool tensor = !cg_is_padded(g, v);
    int size = tensor ? g->io_size : g->esize;
    if (tensor)
        x = narrow(g, x);
    if (mask)
        masked_store(g, tensor ? g->iovec : g->vec, size, x, addr, mask);
    else
        LLVMSetAlignment(LLVMBuildStore(g->b, x, addr), (unsigned)size);
}

void
cg_prefetch(struct cg *g, val addr, bool write, int near)
{
    val args[4] = {addr, LLVMConstInt(g->i32, write, 0), LLVMConstInt(g->i32, (unsigned)near, 0),
                   LLVMConstInt(g->i32, 1, 0)}; /* data */
    cg_call_intrinsic(g, "llvm.prefetch", &g->ptr, 1, args, 4);
}

/* The lanes of v from `half` on, in front. */
static val
upper_lanes(struct cg *g, val v, int half)
{
    val idx[64];
    for (int k = 0; k < g->vl; k++)
        idx[k] = LLVMConstInt(g->i32, (unsigned)(k < half ? k + half : k), 0);
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(g->vec),
                                  LLVMConstVector(idx, (unsigned)g->vl), "");
}

val
cg_hsum(struct cg *g, val v)
{
    for (int half = g->vl / 2; half >= 1; half /= 2)
        v = LLVMBuildFAdd(g->b, v, upper_lanes(g, v, half), "");
    return LLVMBuildExtractElement(g->b, v, LLVMConstInt(g->i32, 0, 0), "");
}

val
cg_hmax(struct cg *g, val v, LLVMRealPredicate than)
{
    for (int half = g->vl / 2; half >= 1; half /= 2) {
        val u = upper_lanes(g, v, half);
        v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, than, u, v, ""), u, v, "");
    }
    return LLVMBuildExtractElement(g->b, v, LLVMConstInt(g->i32, 0, 0), "");
}

void
cg_column_blocks(struct cg *g, val from, val columns, int widest,
                 void (*fn)(struct cg *, val, int, void *), void *arg)
{
    for (int vectors = widest; vectors >= 1; vectors /= 2) {
        /* the narrowest block also takes a partial vector */
        int64_t need = vectors > 1 ? (int64_t)vectors * g->vl - 1 : 0;
        struct cg_loop l = cg_loop(g, from, cg_sub(g, columns, cg_i(g, need)),
                                   cg_i(g, (int64_t)vectors * g->vl));
        fn(g, l.iv, vectors, arg);
        cg_end(g, &l);
        from = l.iv;
    }
}

static LLVMBasicBlockRef
new_block(struct cg *g)
{
    return LLVMAppendBasicBlockInContext(g->ctx, g->fn, "");
}

struct cg_loop
cg_loop(struct cg *g, val lo, val hi, val step)
{
    struct cg_loop l = {
        .head = new_block(g), .body = new_block(g), .done = new_block(g), .step = step};
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    LLVMBuildBr(g->b, l.head);
    LLVMPositionBuilderAtEnd(g->b, l.head);
    l.iv = LLVMBuildPhi(g->b, g->i64, "");
    LLVMAddIncoming(l.iv, &lo, &from, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, l.iv, hi, ""), l.body, l.done);
    LLVMPositionBuilderAtEnd(g->b, l.body);
    return l;
}

void
cg_end(struct cg *g, struct cg_loop *l)
{
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    val next = LLVMBuildNSWAdd(g->b, l->iv, l->step, "");
    LLVMBuildBr(g->b, l->head);
    LLVMAddIncoming(l->iv, &next, &from, 1);
    LLVMPositionBuilderAtEnd(g->b, l->done);
}

val
cg_var(struct cg *g, LLVMTypeRef ty, val init)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b), entry = LLVMGetEntryBasicBlock(g->fn);
    val first = LLVMGetFirstInstruction(entry);
    if (first)
        LLVMPositionBuilderBefore(g->b, first);
    else
        LLVMPositionBuilderAtEnd(g->b, entry);
    val v = LLVMBuildAlloca(g->b, ty, "");
    LLVMPositionBuilderAtEnd(g->b, here);
    cg_store(g, init, v);
    return v;
}

LLVMBasicBlockRef
cg_if(struct cg *g, val cond)
{
    LLVMBasicBlockRef yes = new_block(g), after = new_block(g);
    LLVMBuildCondBr(g->b, cond, yes, after);
    LLVMPositionBuilderAtEnd(g->b, yes);
    return after;
}

void
cg_fi(struct cg *g, LLVMBasicBlockRef after)
{
    LLVMBuildBr(g->b, after);
    LLVMPositionBuilderAtEnd(g->b, after);
}

/* ---- functions ---- */

val
cg_open_function(struct cg *g, const char *what, LLVMTypeRef *par, unsigned n, val *outer,
                 LLVMBasicBlockRef *back)
{
    char name[32];
    snprintf(name, sizeof name, "%s.%s", what, g->t->name);
    val fn = LLVMGetNamedFunction(g->mod, name);
    *back = NULL;
    if (fn)
        return fn;
    fn = LLVMAddFunction(g->mod, name,
                         LLVMFunctionType(LLVMVoidTypeInContext(g->ctx), par, n, 0));
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    cg_attributes(g, fn);
    *back = LLVMGetInsertBlock(g->b);
    *outer = g->fn;
    g->fn = fn;
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->ctx, fn, "entry"));
    return fn;
}

void
cg_close_function(struct cg *g, val outer, LLVMBasicBlockRef back)
{
    LLVMBuildRetVoid(g->b);
    g->fn = outer;
    LLVMPositionBuilderAtEnd(g->b, back);
}
