/* What an object exports: the constant description (attn_kernel of runtime/attn.h) and one wrapper
 * per entry point that gathers its arguments and calls attn_launch. */
#include "codegen/cg.h"

#include <stdio.h>
#include <string.h>

#include "runtime/attn.h"

struct abi {
    struct cg_module *m;
    LLVMContextRef ctx;
    LLVMTypeRef i32, i64, f64, ptr;
};

static val
c32(struct abi *x, int64_t v)
{
    return LLVMConstInt(x->i32, (unsigned long long)v, 1);
}

static val
c64(struct abi *x, int64_t v)
{
    return LLVMConstInt(x->i64, (unsigned long long)v, 1);
}

static val
internal_global(struct abi *x, const char *name, val init)
{
    val g = LLVMAddGlobal(x->m->mod, LLVMTypeOf(init), name);
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    return g;
}

static val
text(struct abi *x, const char *s)
{
    val t = LLVMConstStringInContext(x->ctx, s, (unsigned)strlen(s), 0);
    val g = internal_global(x, "text", t);
    LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
    return g;
}

static val
record(struct abi *x, val *fields, unsigned n)
{
    return LLVMConstStructInContext(x->ctx, fields, n, 0);
}

/* A private constant array of n records; a null pointer when n is 0. */
static val
table(struct abi *x, const char *name, val *rows, uint32_t n)
{
    if (!n)
        return LLVMConstNull(x->ptr);
    return internal_global(x, name, LLVMConstArray2(LLVMTypeOf(rows[0]), rows, n));
}

static val
dims_table(struct abi *x)
{
    const struct ir_func *f = x->m->func;
    val *rows = ARENA_ARRAY(x->m->arena, val, f->ndims);
    for (uint32_t k = 0; k < f->ndims; k++) {
        val fields[2] = {text(x, f->dims[k].name), c64(x, f->dims[k].size)};
        rows[k] = record(x, fields, 2);
    }
    return table(x, "dims", rows, f->ndims);
}

static val
tensor_row(struct abi *x, const char *name, int rank, bool output, const uint16_t *dims)
{
    val axes[ATTN_MAX_RANK];
    for (int k = 0; k < ATTN_MAX_RANK; k++)
        axes[k] = c32(x, k < rank ? dims[k] : 0);
    val fields[4] = {text(x, name), c32(x, rank), c32(x, output),
                     LLVMConstArray2(x->i32, axes, ATTN_MAX_RANK)};
    return record(x, fields, 4);
}

static val
tensors_table(struct abi *x)
{
    static const struct {
        const char *name;
        uint16_t dims[4];
    } fixed[4] = {{"q", {DIM_B, DIM_H, DIM_NQ, DIM_D}}, {"k", {DIM_B, DIM_G, DIM_N, DIM_D}},
                  {"v", {DIM_B, DIM_G, DIM_N, DIM_M}}, {"out", {DIM_B, DIM_H, DIM_NQ, DIM_M}}};
    const struct ir_func *f = x->m->func;
    uint32_t n = tile_arg_count(f);
    val *rows = ARENA_ARRAY(x->m->arena, val, n);
    for (uint32_t k = 0; k < 4; k++)
        rows[k] = tensor_row(x, fixed[k].name, 4, k == 3, fixed[k].dims);
    for (uint32_t k = 4; k < n; k++) {
        const struct ir_param *p = &f->params[tile_arg_param(f, k)];
        rows[k] = tensor_row(x, p->name, p->rank, false, p->dims);
    }
    return table(x, "tensors", rows, n);
}

static uint32_t
scalar_count(const struct ir_func *f)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->nparams; k++)
        n += f->params[k].rank == 0;
    return n;
}

static val
scalars_table(struct abi *x)
{
    const struct ir_func *f = x->m->func;
    uint32_t n = 0;
    val *rows = ARENA_ARRAY(x->m->arena, val, f->nparams);
    for (uint32_t k = 0; k < f->nparams; k++) {
        const struct ir_param *p = &f->params[k];
        if (p->rank)
            continue;
        val fields[4] = {text(x, p->name), c32(x, p->has_default), c32(x, 0),
                         LLVMConstReal(x->f64, p->value)};
        rows[n++] = record(x, fields, 4);
    }
    return table(x, "scalars", rows, n);
}

static val
entries_table(struct abi *x, const struct tile_prog *const *progs, int nprogs,
              const struct cg_options *o, val *const *phases, const val *plans)
{
    val *rows = ARENA_ARRAY(x->m->arena, val, nprogs);
    for (int e = 0; e < nprogs; e++) {
        val variants[CG_MAX_VARIANTS];
        int count = 0;
        for (const struct tile_stmt *s = progs[e]->body; s; s = s->next)
            count++;
        for (int v = 0; v < o->nvariants; v++) {
            val fns[ATTN_MAX_PHASES];
            for (int k = 0; k < ATTN_MAX_PHASES; k++)
                fns[k] = k < count ? phases[e * CG_MAX_VARIANTS + v][k] : LLVMConstNull(x->ptr);
            val fields[3] = {c32(x, o->variant[v]->isa), c32(x, 0),
                             LLVMConstArray2(x->ptr, fns, ATTN_MAX_PHASES)};
            variants[v] = record(x, fields, 3);
        }
        val fields[6] = {text(x, progs[e]->entry), text(x, progs[e]->schedule), c32(x, count),
                         c32(x, o->nvariants), plans[e],
                         table(x, "variants", variants, (uint32_t)o->nvariants)};
        rows[e] = record(x, fields, 6);
    }
    return table(x, "entries", rows, (uint32_t)nprogs);
}

/* True if a live node indexes a param by query position. */
static bool
needs_positions(const struct tile_prog *p, struct arena *a)
{
    const struct ir_func *f = p->func;
    const bool *live = tile_live(p, a);
    for (uint32_t k = 1; k < f->nnodes; k++)
        if (live[k] && f->nodes[k].op == IR_param && f->params[f->nodes[k].attr.id].rank &&
            (f->nodes[k].axes >> AX_i & 1))
            return true;
    return false;
}

/* A wrapper NAME_entry([state,] q, k, v, out, params..., exec) that gathers its arguments and calls
 * a function of the runtime with (first, second, tensors, scalars, exec). For attn_launch these are
 * kernel and entry number, for attn_step state and kernel. */
static void
entry_wrapper(struct abi *x, val kernel, const char *entry, int number, bool step)
{
    const struct ir_func *f = x->m->func;
    uint32_t nt = tile_arg_count(f), ns = scalar_count(f), n = 0, first = step;
    LLVMTypeRef *par = ARENA_ARRAY(x->m->arena, LLVMTypeRef, 6 + f->nparams);
    for (; n < 4 + first; n++)
        par[n] = x->ptr;
    for (uint32_t k = 0; k < f->nparams; k++)
        par[n++] = f->params[k].rank ? x->ptr : x->f64;
    par[n++] = x->ptr;
    LLVMTypeRef ty = LLVMFunctionType(x->i32, par, n, 0);
    val fn = LLVMAddFunction(x->m->mod, arena_printf(x->m->arena, "%s_%s", f->name, entry), ty);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(x->ctx);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(x->ctx, fn, "entry"));
    val tensors = LLVMBuildAlloca(b, LLVMArrayType2(x->ptr, nt), "");
    val scalars = LLVMBuildAlloca(b, LLVMArrayType2(x->f64, ns ? ns : 1), "");
    uint32_t t = 0, s = 0;
    for (uint32_t k = first; k + 1 < n; k++) {
        bool tensor = LLVMTypeOf(LLVMGetParam(fn, k)) == x->ptr;
        val at = c64(x, tensor ? t++ : s++);
        val slot = LLVMBuildInBoundsGEP2(b, tensor ? x->ptr : x->f64, tensor ? tensors : scalars,
                                         &at, 1, "");
        LLVMBuildStore(b, LLVMGetParam(fn, k), slot);
    }
    const char *callee = step ? "attn_step" : "attn_launch";
    LLVMTypeRef lp[5] = {x->ptr, step ? x->ptr : x->i32, x->ptr, x->ptr, x->ptr},
                lt = LLVMFunctionType(x->i32, lp, 5, 0);
    val launch = LLVMGetNamedFunction(x->m->mod, callee);
    if (!launch)
        launch = LLVMAddFunction(x->m->mod, callee, lt);
    val args[5] = {step ? LLVMGetParam(fn, 0) : kernel, step ? kernel : c32(x, number), tensors,
                   scalars, LLVMGetParam(fn, n - 1)};
    LLVMBuildRet(b, LLVMBuildCall2(b, lt, launch, args, 5, ""));
    LLVMDisposeBuilder(b);
}

/* size_t NAME_workspace(q, k, v) */
static void
workspace_wrapper(struct abi *x, val kernel)
{
    LLVMTypeRef par[5] = {x->ptr, x->i32, x->ptr, x->ptr, x->ptr};
    LLVMTypeRef ty = LLVMFunctionType(x->i64, par + 2, 3, 0),
                rt = LLVMFunctionType(x->i64, par, 5, 0);
    val fn = LLVMAddFunction(x->m->mod, arena_printf(x->m->arena, "%s_workspace", x->m->func->name),
                             ty);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(x->ctx);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(x->ctx, fn, "entry"));
    val callee = LLVMAddFunction(x->m->mod, "attn_workspace", rt);
    val args[5] = {kernel, c32(x, 0), LLVMGetParam(fn, 0), LLVMGetParam(fn, 1),
                   LLVMGetParam(fn, 2)};
    LLVMBuildRet(b, LLVMBuildCall2(b, rt, callee, args, 5, ""));
    LLVMDisposeBuilder(b);
}

static int
type_code(enum ir_type t)
{
    return t == TYPE_F64 ? ATTN_TYPE_F64 : ATTN_TYPE_F32;
}

void
cg_describe(struct cg_module *m, const struct tile_prog *const *progs, int nprogs,
            const struct cg_options *o, val *const *phases, const val *plans)
{
    const struct ir_func *f = m->func;
    struct abi x = {m, m->ctx, LLVMInt32TypeInContext(m->ctx), LLVMInt64TypeInContext(m->ctx),
                    LLVMDoubleTypeInContext(m->ctx), LLVMPointerTypeInContext(m->ctx, 0)};
    bool positions = false;
    for (int e = 0; e < nprogs; e++)
        positions = positions || needs_positions(progs[e], m->arena);
    int flags = (positions ? ATTN_NEEDS_POSITIONS : 0) |
                (o->stepping == CG_STEP_CACHE   ? ATTN_STEP_CACHE
                 : o->stepping == CG_STEP_STATE ? ATTN_STEP_STATE
                                                : 0) |
                (nprogs > 1 && progs[nprogs - 1]->cost ? ATTN_CHOOSES : 0);
    val fields[13] = {c32(&x, ATTN_ABI),
                      c32(&x, type_code(f->type)),
                      c32(&x, type_code(f->acc)),
                      c32(&x, flags),
                      c32(&x, f->ndims),
                      c32(&x, tile_arg_count(f)),
                      c32(&x, scalar_count(f)),
                      c32(&x, nprogs),
                      text(&x, f->name),
                      dims_table(&x),
                      tensors_table(&x),
                      scalars_table(&x),
                      entries_table(&x, progs, nprogs, o, phases, plans)};
    val init = record(&x, fields, 13);
    val kernel = LLVMAddGlobal(m->mod, LLVMTypeOf(init),
                               arena_printf(m->arena, "%s_kernel", f->name));
    LLVMSetInitializer(kernel, init);
    LLVMSetGlobalConstant(kernel, 1);
    entry_wrapper(&x, kernel, "forward", 0, false);
    if (o->stepping)
        entry_wrapper(&x, kernel, "step", 0, true);
    workspace_wrapper(&x, kernel);
}
