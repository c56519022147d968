/* Choosing target rows from --mcpu and --target. */
#include "codegen/cg.h"

#include <string.h>

#include <llvm-c/TargetMachine.h>

#include "runtime/attn.h"

const struct cg_target cg_targets[] = {
#define TARGET(name, isa, arch, triple, cpu, features, bits, fma, mr, nv, sr, sv) \
    {#name, isa, CG_ARCH_##arch, triple, cpu, features, bits, fma, mr, nv, sr, sv},
#include "codegen/targets.def"
};
const int cg_target_count = sizeof cg_targets / sizeof *cg_targets;

static bool
arch_of(const char *triple, enum cg_arch *arch)
{
    size_t n = strcspn(triple, "-");
    if ((n == 6 && !strncmp(triple, "x86_64", n)) || (n == 5 && !strncmp(triple, "amd64", n)))
        *arch = CG_ARCH_x86_64;
    else if ((n == 7 && !strncmp(triple, "aarch64", n)) || (n == 5 && !strncmp(triple, "arm64", n)))
        *arch = CG_ARCH_aarch64;
    else
        return false;
    return true;
}

/* The strongest row of the family that this machine runs. */
static const struct cg_target *
native_target(enum cg_arch arch)
{
    const struct cg_target *best = NULL;
    int level = attn_isa_level();
    for (int k = 0; k < cg_target_count; k++)
        if (cg_targets[k].arch == arch && cg_targets[k].isa <= level)
            best = &cg_targets[k];
    return best;
}

bool
cg_select_targets(struct arena *a, const char *triple, const char *mcpu, struct cg_options *o,
                  const char **why)
{
    enum cg_arch arch, host;
    char *def = LLVMGetDefaultTargetTriple();
    bool known = arch_of(def, &host);
    LLVMDisposeMessage(def);
    if (!known && !triple) {
        *why = "this machine's architecture is not supported; name one with --target";
        return false;
    }
    arch = host;
    if (triple && !arch_of(triple, &arch)) {
        *why = arena_printf(a, "no target '%s'; the families are x86_64 and aarch64", triple);
        return false;
    }
    o->nvariants = 0;
    if (mcpu && !strcmp(mcpu, "native")) {
        const struct cg_target *t = known && arch == host ? native_target(arch) : NULL;
        if (!t) {
            *why = "--mcpu=native needs a target this machine can run";
            return false;
        }
        o->variant[o->nvariants++] = t;
        return true;
    }
    for (int k = 0; k < cg_target_count; k++) {
        const struct cg_target *t = &cg_targets[k];
        bool named = !mcpu || !strcmp(mcpu, t->name) || !strcmp(mcpu, t->cpu);
        if (t->arch == arch && named)
            o->variant[o->nvariants++] = t;
    }
    if (o->nvariants)
        return true;
    struct str names = {0};
    for (int k = 0; k < cg_target_count; k++)
        if (cg_targets[k].arch == arch)
            str_printf(&names, "%s%s", names.len ? ", " : "", cg_targets[k].cpu);
    *why = arena_printf(a, "no CPU '%s'; known are native, %s", mcpu, str_text(&names));
    str_free(&names);
    return false;
}
