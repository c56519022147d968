/* Running a kernel in this process: the same object bytes as a file would get, linked in memory. */
#include "codegen/cg.h"

#include <stdlib.h>
#include <string.h>

#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

#include "runtime/attn.h"
#include "runtime/order.h"
#include "runtime/sympow.h"

struct cg_jit {
    LLVMOrcLLJITRef jit;
};

/* What generated code may call; libc's memory functions come with it. */
static const struct {
    const char *name;
    uintptr_t at;
} symbols[] = {
    {"attn_launch", (uintptr_t)attn_launch},
    {"attn_step", (uintptr_t)attn_step},
    {"attn_workspace", (uintptr_t)attn_workspace},
    {"attn_stages_workspace", (uintptr_t)attn_stages_workspace},
    {"attn_monomial_rows", (uintptr_t)attn_monomial_rows},
    {"attn_monomials_f32", (uintptr_t)attn_monomials_f32},
    {"attn_monomials_f64", (uintptr_t)attn_monomials_f64},
    {"attn_argsort_f32", (uintptr_t)attn_argsort_f32},
    {"attn_argsort_f64", (uintptr_t)attn_argsort_f64},
    {"memset", (uintptr_t)memset},
    {"memcpy", (uintptr_t)memcpy},
};

static bool
failed(struct cg_module *m, LLVMErrorRef e, const char **why)
{
    if (!e)
        return false;
    char *text = LLVMGetErrorMessage(e);
    *why = arena_strdup(m->arena, text);
    LLVMDisposeErrorMessage(text);
    return true;
}

static LLVMErrorRef
define_symbols(LLVMOrcLLJITRef j)
{
    enum { N = sizeof symbols / sizeof *symbols };
    LLVMOrcCSymbolMapPair pair[N];
    for (int k = 0; k < N; k++) {
        LLVMJITSymbolFlags flags = {
            LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0};
        pair[k].Name = LLVMOrcLLJITMangleAndIntern(j, symbols[k].name);
        pair[k].Sym = (LLVMJITEvaluatedSymbol){(LLVMOrcExecutorAddress)symbols[k].at, flags};
    }
    return LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(j), LLVMOrcAbsoluteSymbols(pair, N));
}

const struct attn_kernel *
cg_jit_compile(struct cg_module *m, struct cg_jit **out, const char **why)
{
    char *data;
    size_t size;
    LLVMOrcLLJITRef j = NULL;
    LLVMOrcExecutorAddress at = 0;
    if (!cg_emit(m, CG_OBJECT, &data, &size, why))
        return NULL;
    LLVMMemoryBufferRef buf = LLVMCreateMemoryBufferWithMemoryRangeCopy(data, size, "kernel");
    free(data);
    if (failed(m, LLVMOrcCreateLLJIT(&j, NULL), why)) {
        LLVMDisposeMemoryBuffer(buf);
        return NULL;
    }
    const char *name = arena_printf(m->arena, "%s_kernel", m->func->name);
    if (failed(m, define_symbols(j), why) ||
        failed(m, LLVMOrcLLJITAddObjectFile(j, LLVMOrcLLJITGetMainJITDylib(j), buf), why) ||
        failed(m, LLVMOrcLLJITLookup(j, &at, name), why)) {
        LLVMConsumeError(LLVMOrcDisposeLLJIT(j));
        return NULL;
    }
    *out = xmalloc(sizeof **out);
    (*out)->jit = j;
    return (const struct attn_kernel *)(uintptr_t)at;
}

void
cg_jit_free(struct cg_jit *jit)
{
    if (!jit)
        return;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->jit));
    free(jit);
}
