/* What an object exports: the constant description (attn_kernel of runtime/attn.h) and one wrapper
 * per entry point that gathers its arguments and calls attn_launch. */
#include "codegen/cg.h"

#include <stdio.h>
#include <string.h>

#include "runtime/attn.h"

_Static_assert((int)TILE_MAX_PHASES == (int)ATTN_MAX_PHASES, "both count phases of an entry");

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
tensor_row(struct abi *x, const struct ir_param *p, int rank, int role)
{
    val axes[ATTN_MAX_RANK];
    for (int k = 0; k < ATTN_MAX_RANK; k++)
        axes[k] = c32(x, k < rank ? p->dims[k] : 0);
    val fields[7] = {text(x, p->name), c32(x, rank), c32(x, role),
                     LLVMConstArray2(x->i32, axes, ATTN_MAX_RANK), c32(x, p->source), c32(x, 0),
                     c64(x, p->seed)};
    return record(x, fields, 7);
}

static val
tensors_table(struct abi *x)
{
    const struct ir_func *f = x->m->func;
    uint32_t n = tile_arg_count(f);
    val *rows = ARENA_ARRAY(x->m->arena, val, n);
    for (uint32_t k = 0; k < n; k++) {
        const struct ir_param *p = tile_arg_decl(f, k);
        bool absent = f->contraction && k < 3; /* no attention */
        rows[k] = tensor_row(x, p, absent ? 0 : p->rank,
                             p->role == PARAM_OUTPUT ? ATTN_OUTPUT : ATTN_INPUT);
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
    for (uint32_t k = 1; k < f->nnodes && !f->contraction; k++) {
        if (!live[k] || f->nodes[k].op != IR_param || !(f->nodes[k].axes >> AX_i & 1))
            continue;
        const struct ir_param *x = &f->params[f->nodes[k].attr.id];
        if (x->rank && x->role == PARAM_GIVEN)
            return true;
    }
    return false;
}

/* ---- kernels ---- */

static int
type_code(enum ir_type t)
{
    return t == TYPE_F64 ? ATTN_TYPE_F64 : ATTN_TYPE_F32;
}

/* What of a kernel's description differs between one attention and a program of stages. */
struct description {
    int flags, tensors, entries, stages;
    val tensor_table, entry_table, stage_table;
};

static val
kernel_global(struct abi *x, const char *name, const struct description *d)
{
    const struct ir_func *f = x->m->func;
    val fields[16] = {c32(x, ATTN_ABI),
                      c32(x, type_code(f->type)),
                      c32(x, type_code(f->acc)),
                      c32(x, d->flags),
                      c32(x, f->ndims),
                      c32(x, d->tensors),
                      c32(x, scalar_count(f)),
                      c32(x, d->entries),
                      text(x, f->name),
                      dims_table(x),
                      d->tensor_table,
                      scalars_table(x),
                      d->entry_table,
                      c32(x, d->stages),
                      c32(x, 0),
                      d->stage_table};
    val init = record(x, fields, 16);
    val kernel = LLVMAddGlobal(x->m->mod, LLVMTypeOf(init), name);
    LLVMSetInitializer(kernel, init);
    LLVMSetGlobalConstant(kernel, 1);
    return kernel;
}

static struct abi
abi_of(struct cg_module *m)
{
    return (struct abi){m, m->ctx, LLVMInt32TypeInContext(m->ctx), LLVMInt64TypeInContext(m->ctx),
                        LLVMDoubleTypeInContext(m->ctx), LLVMPointerTypeInContext(m->ctx, 0)};
}

val
cg_describe(struct cg_module *m, const struct tile_prog *const *progs, int nprogs,
            const struct cg_options *o, enum cg_stepping stepping, val *const *phases,
            const val *plans)
{
    const struct ir_func *f = m->func;
    struct abi x = abi_of(m);
    bool positions = false;
    for (int e = 0; e < nprogs; e++)
        positions = positions || needs_positions(progs[e], m->arena);
    int flags = (positions ? ATTN_NEEDS_POSITIONS : 0) |
                (stepping == CG_STEP_CACHE   ? ATTN_STEP_CACHE
                 : stepping == CG_STEP_STATE ? ATTN_STEP_STATE
                                             : 0) |
                (f->contraction ? ATTN_CONTRACTION : 0) |
                (nprogs > 1 && progs[nprogs - 1]->cost ? ATTN_CHOOSES : 0);
    struct description d = {.flags = flags,
                            .tensors = (int)tile_arg_count(f),
                            .entries = nprogs,
                            .tensor_table = tensors_table(&x),
                            .entry_table = entries_table(&x, progs, nprogs, o, phases, plans),
                            .stage_table = LLVMConstNull(x.ptr)};
    return kernel_global(&x, arena_printf(m->arena, "%s_kernel", f->name), &d);
}

/* ---- what C calls ---- */

/* Arguments of an entry: tensors and scalars as they are declared. */
struct arguments {
    bool tensor[4 + IR_MAX_TENSORS + IR_MAX_SCALARS];
    uint32_t n, tensors, scalars;
};

static void
argument(struct arguments *a, bool tensor)
{
    a->tensor[a->n++] = tensor;
    *(tensor ? &a->tensors : &a->scalars) += 1;
}

/* A wrapper NAME_entry([state,] arguments..., exec) that gathers its arguments and calls a function
 * of the runtime with (first, second, tensors, scalars, exec). For attn_launch these are kernel and
 * entry number, for attn_step state and kernel. */
static void
entry_wrapper(struct abi *x, val kernel, const char *entry, const struct arguments *a, bool step)
{
    uint32_t n = 0, first = step;
    LLVMTypeRef *par = ARENA_ARRAY(x->m->arena, LLVMTypeRef, a->n + 2);
    if (step)
        par[n++] = x->ptr;
    for (uint32_t k = 0; k < a->n; k++)
        par[n++] = a->tensor[k] ? x->ptr : x->f64;
    par[n++] = x->ptr;
    LLVMTypeRef ty = LLVMFunctionType(x->i32, par, n, 0);
    val fn = LLVMAddFunction(x->m->mod, arena_printf(x->m->arena, "%s_%s", x->m->func->name, entry),
                             ty);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(x->ctx);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(x->ctx, fn, "entry"));
    val tensors = LLVMBuildAlloca(b, LLVMArrayType2(x->ptr, a->tensors), "");
    val scalars = LLVMBuildAlloca(b, LLVMArrayType2(x->f64, a->scalars ? a->scalars : 1), "");
    uint32_t t = 0, s = 0;
    for (uint32_t k = 0; k < a->n; k++) {
        val at = c64(x, a->tensor[k] ? t++ : s++);
        val slot = LLVMBuildInBoundsGEP2(b, a->tensor[k] ? x->ptr : x->f64,
                                         a->tensor[k] ? tensors : scalars, &at, 1, "");
        LLVMBuildStore(b, LLVMGetParam(fn, k + first), slot);
    }
    const char *callee = step ? "attn_step" : "attn_launch";
    LLVMTypeRef lp[5] = {x->ptr, step ? x->ptr : x->i32, x->ptr, x->ptr, x->ptr},
                lt = LLVMFunctionType(x->i32, lp, 5, 0);
    val launch = LLVMGetNamedFunction(x->m->mod, callee);
    if (!launch)
        launch = LLVMAddFunction(x->m->mod, callee, lt);
    val args[5] = {step ? LLVMGetParam(fn, 0) : kernel, step ? kernel : c32(x, 0), tensors,
                   scalars, LLVMGetParam(fn, n - 1)};
    LLVMBuildRet(b, LLVMBuildCall2(b, lt, launch, args, 5, ""));
    LLVMDisposeBuilder(b);
}

/* size_t NAME_workspace(n tensors) calls a function of the runtime: attn_workspace(kernel, 0, q, k,
 * v), or attn_stages_workspace(kernel, tensors). */
static void
workspace_wrapper(struct abi *x, val kernel, uint32_t n, bool stages)
{
    LLVMTypeRef *par = ARENA_ARRAY(x->m->arena, LLVMTypeRef, n + 2);
    val *args = ARENA_ARRAY(x->m->arena, val, n + 2);
    for (uint32_t k = 0; k < n + 2; k++)
        par[k] = x->ptr;
    const char *name = arena_printf(x->m->arena, "%s_workspace", x->m->func->name);
    val fn = LLVMAddFunction(x->m->mod, name, LLVMFunctionType(x->i64, par, n, 0));
    LLVMBuilderRef b = LLVMCreateBuilderInContext(x->ctx);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(x->ctx, fn, "entry"));
    val list = stages ? LLVMBuildAlloca(b, LLVMArrayType2(x->ptr, n), "") : NULL;
    args[0] = kernel;
    args[1] = stages ? list : c32(x, 0);
    par[1] = stages ? x->ptr : x->i32;
    for (uint32_t k = 0; k < n; k++) {
        val at = c64(x, k);
        args[2 + k] = LLVMGetParam(fn, k);
        if (stages)
            LLVMBuildStore(b, args[2 + k],
                           LLVMBuildInBoundsGEP2(b, x->ptr, list, &at, 1, ""));
    }
    uint32_t count = stages ? 2 : n + 2;
    LLVMTypeRef rt = LLVMFunctionType(x->i64, par, count, 0);
    val callee = LLVMAddFunction(x->m->mod, stages ? "attn_stages_workspace" : "attn_workspace",
                                 rt);
    LLVMBuildRet(b, LLVMBuildCall2(b, rt, callee, args, count, ""));
    LLVMDisposeBuilder(b);
}

void
cg_export(struct cg_module *m, val kernel, enum cg_stepping stepping)
{
    struct abi x = abi_of(m);
    struct arguments a = {.n = 0};
    for (int k = 0; k < 4; k++)
        argument(&a, true);
    for (uint32_t k = 0; k < m->func->nparams; k++)
        if (m->func->params[k].source == SOURCE_GIVEN) /* those that are made come last */
            argument(&a, m->func->params[k].rank > 0);
    entry_wrapper(&x, kernel, "forward", &a, false);
    if (stepping)
        entry_wrapper(&x, kernel, "step", &a, true);
    workspace_wrapper(&x, kernel, 3, false);
}

/* ---- programs of several stages ---- */

/* The number of a param among the tensors, or among the scalars, of the shell. */
static int
place_of(const struct ir_func *shell, int param)
{
    int n = 0;
    for (int k = 0; k < param; k++)
        n += (shell->params[k].rank > 0) == (shell->params[param].rank > 0);
    return param < 0 ? -1 : n;
}

static val
index_list(struct abi *x, const struct ir_func *shell, const int16_t *list, uint32_t n, bool dims)
{
    val *rows = ARENA_ARRAY(x->m->arena, val, n);
    for (uint32_t k = 0; k < n; k++)
        rows[k] = c32(x, dims ? list[k] : place_of(shell, list[k]));
    return table(x, "list", rows, n);
}

void
cg_export_graph(struct cg_module *m, const struct graph *g, const val *kernels,
                enum cg_stepping stepping)
{
    static const int roles[] = {[PARAM_GIVEN] = ATTN_INPUT, [PARAM_INPUT] = ATTN_INPUT,
                                [PARAM_OUTPUT] = ATTN_OUTPUT, [PARAM_BETWEEN] = ATTN_BETWEEN};
    const struct ir_func *f = g->shell;
    struct abi x = abi_of(m);
    struct arguments a = {.n = 0};
    uint32_t tensors = 0, arguments = graph_argument_count(g);
    val *rows = ARENA_ARRAY(m->arena, val, f->nparams), stages[GRAPH_MAX_STAGES];
    for (uint32_t k = 0; k < f->nparams; k++) {
        const struct ir_param *p = &f->params[k];
        if (k < arguments)
            argument(&a, p->rank > 0);
        if (p->rank)
            rows[tensors++] = tensor_row(&x, p, p->rank, roles[p->role]);
    }
    for (int k = 0; k < g->nstages; k++) {
        const struct graph_stage *s = g->stage[k];
        val fields[4] = {kernels[k], index_list(&x, f, s->tensor, tile_arg_count(s->f), false),
                         index_list(&x, f, s->scalar, scalar_count(s->f), false),
                         index_list(&x, f, s->dim, s->f->ndims, true)};
        stages[k] = record(&x, fields, 4);
    }
    struct description d = {.flags = stepping ? ATTN_STEP_STAGES : 0,
                            .tensors = (int)tensors,
                            .stages = g->nstages,
                            .tensor_table = table(&x, "tensors", rows, tensors),
                            .entry_table = LLVMConstNull(x.ptr),
                            .stage_table = table(&x, "stages", stages, (uint32_t)g->nstages)};
    val kernel = kernel_global(&x, arena_printf(m->arena, "%s_kernel", f->name), &d);
    entry_wrapper(&x, kernel, "forward", &a, false);
    if (stepping)
        entry_wrapper(&x, kernel, "step", &a, true);
    workspace_wrapper(&x, kernel, a.tensors, true);
}
