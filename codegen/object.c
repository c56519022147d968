/* The LLVM side of a compilation: context, target machine, optimisation, output. */
#include "codegen/cg.h"

#include <stdlib.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>

/* Hand-vectorised code needs registers and scheduling, not vectorisers. */
static const char pipeline[] =
    "function(simplifycfg,sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(licm),early-cse<memssa>,simplifycfg),globaldce";

/* Addresses come from the tiles as the micro-kernels want them. Loop strength reduction takes half
 * of the time of compiling and a fifth of the object and rarely gains a few percent
 * (bench/NOTES.md). */
static const char *const options[] = {"attnc", "--disable-lsr"};

const char *
cg_llvm_version(void)
{
    return LLVM_VERSION_STRING;
}

void
cg_init_llvm(void)
{
    static bool done = false;
    if (done)
        return;
    done = true;
    LLVMParseCommandLineOptions(sizeof options / sizeof *options, options, NULL);
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
}

static LLVMTargetMachineRef
target_machine(const struct cg_target *t)
{
    char *err = NULL;
    LLVMTargetRef target;
    if (LLVMGetTargetFromTriple(t->triple, &target, &err))
        ICE("LLVM does not know %s: %s", t->triple, err);
    const char *cpu = t->arch == CG_ARCH_x86_64 ? "x86-64" : "generic";
    LLVMTargetMachineRef tm = LLVMCreateTargetMachine(
        target, t->triple, cpu, "", LLVMCodeGenLevelAggressive, LLVMRelocPIC, LLVMCodeModelDefault);
    if (!tm)
        ICE("no target machine for %s", t->triple);
    return tm;
}

static void
check_module(struct cg_module *m)
{
    char *err = NULL;
    if (LLVMVerifyModule(m->mod, LLVMReturnStatusAction, &err))
        ICE("generated code is not valid: %s", err);
    LLVMDisposeMessage(err);
}

static void
optimise(struct cg_module *m)
{
    LLVMTargetMachineRef tm = target_machine(m->base);
    LLVMPassBuilderOptionsRef po = LLVMCreatePassBuilderOptions();
    LLVMErrorRef e = m->opt_level > 0 ? LLVMRunPasses(m->mod, pipeline, tm, po) : NULL;
    if (e)
        ICE("optimisation failed: %s", LLVMGetErrorMessage(e));
    LLVMDisposePassBuilderOptions(po);
    LLVMDisposeTargetMachine(tm);
}

/* The functions of a kernel, and its description. */
static val
build_programs(struct cg_module *m, const struct tile_prog *const *progs, int nprogs,
               const struct cg_options *o, enum cg_stepping stepping)
{
    val **phases = ARENA_ARRAY(m->arena, val *, nprogs * CG_MAX_VARIANTS);
    val *plans = ARENA_ARRAY(m->arena, val, nprogs);
    for (int e = 0; e < nprogs; e++) {
        struct cg g;
        for (int v = 0; v < o->nvariants; v++) {
            phases[e * CG_MAX_VARIANTS + v] = ARENA_ARRAY(m->arena, val, 16);
            cg_prepare(&g, m, progs[e], o->variant[v]);
            cg_phases(&g, phases[e * CG_MAX_VARIANTS + v]);
            cg_release(&g);
        }
        cg_prepare(&g, m, progs[e], o->variant[0]);
        plans[e] = cg_plan(&g);
        cg_release(&g);
    }
    return cg_describe(m, progs, nprogs, o, stepping, phases, plans);
}

static struct cg_module *
new_module(struct arena *a, const struct ir_func *f, const struct cg_options *o)
{
    cg_init_llvm();
    struct cg_module *m = ARENA_NEW(a, struct cg_module);
    m->arena = a;
    m->func = f;
    m->base = o->variant[0];
    m->opt_level = o->opt_level;
    m->ctx = LLVMContextCreate();
    m->mod = LLVMModuleCreateWithNameInContext(m->func->name, m->ctx);
    LLVMSetTarget(m->mod, m->base->triple);
    LLVMTargetMachineRef tm = target_machine(m->base);
    LLVMTargetDataRef dl = LLVMCreateTargetDataLayout(tm);
    LLVMSetModuleDataLayout(m->mod, dl);
    LLVMDisposeTargetData(dl);
    LLVMDisposeTargetMachine(tm);
    return m;
}

static struct cg_module *
finish(struct cg_module *m)
{
    check_module(m);
    optimise(m);
    check_module(m);
    return m;
}

struct cg_module *
cg_build(struct arena *a, const struct tile_prog *const *progs, int nprogs,
         const struct cg_options *o)
{
    struct cg_module *m = new_module(a, progs[0]->func, o);
    cg_export(m, build_programs(m, progs, nprogs, o, o->stepping), o->stepping);
    return finish(m);
}

struct cg_module *
cg_build_graph(struct arena *a, const struct graph *g, const struct cg_stage *stages,
               const struct cg_options *o)
{
    struct cg_module *m = new_module(a, g->shell, o);
    val kernels[GRAPH_MAX_STAGES];
    for (int k = 0; k < g->nstages; k++) {
        m->func = stages[k].progs[0]->func;
        kernels[k] = build_programs(m, stages[k].progs, stages[k].nprogs, o, stages[k].stepping);
        LLVMSetLinkage(kernels[k], LLVMInternalLinkage);
    }
    m->func = g->shell;
    cg_export_graph(m, g, kernels, o->stepping);
    return finish(m);
}

void
cg_free(struct cg_module *m)
{
    if (!m)
        return;
    LLVMDisposeModule(m->mod);
    LLVMContextDispose(m->ctx);
}

bool
cg_emit(struct cg_module *m, enum cg_output kind, char **data, size_t *size, const char **why)
{
    if (kind == CG_LLVM) {
        char *text = LLVMPrintModuleToString(m->mod);
        *size = strlen(text);
        *data = xmalloc(*size + 1);
        memcpy(*data, text, *size + 1);
        LLVMDisposeMessage(text);
        return true;
    }
    LLVMTargetMachineRef tm = target_machine(m->base);
    LLVMMemoryBufferRef buf = NULL;
    char *err = NULL;
    LLVMCodeGenFileType type = kind == CG_OBJECT ? LLVMObjectFile : LLVMAssemblyFile;
    LLVMModuleRef copy = LLVMCloneModule(m->mod); /* code generation changes the module */
    bool failed = LLVMTargetMachineEmitToMemoryBuffer(tm, copy, type, &err, &buf);
    LLVMDisposeModule(copy);
    LLVMDisposeTargetMachine(tm);
    if (failed) {
        *why = arena_strdup(m->arena, err);
        LLVMDisposeMessage(err);
        return false;
    }
    *size = LLVMGetBufferSize(buf);
    *data = xmalloc(*size + 1);
    memcpy(*data, LLVMGetBufferStart(buf), *size);
    (*data)[*size] = 0;
    LLVMDisposeMemoryBuffer(buf);
    return true;
}
