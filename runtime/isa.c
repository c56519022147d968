/* Which instruction set this CPU (and its operating system) runs. */
#include "runtime/attn.h"

#include <stdlib.h>
#include <string.h>

static int
detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt") ||
        !__builtin_cpu_supports("ssse3"))
        return ATTN_ISA_ANY;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
        return ATTN_ISA_X86_V2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return ATTN_ISA_X86_V3;
    return ATTN_ISA_X86_V4;
#elif defined(__aarch64__)
    return ATTN_ISA_NEON;
#else
    return ATTN_ISA_ANY;
#endif
}

int
attn_isa_level(void)
{
    static const struct {
        const char *name;
        int isa;
    } names[] = {{"v2", ATTN_ISA_X86_V2},
                 {"v3", ATTN_ISA_X86_V3},
                 {"v4", ATTN_ISA_X86_V4},
                 {"neon", ATTN_ISA_NEON}};
    int level = detect();
    const char *want = getenv("ATTN_ISA");
    for (unsigned k = 0; want && k < sizeof names / sizeof *names; k++)
        if (!strcmp(want, names[k].name) && names[k].isa < level)
            level = names[k].isa;
    return level;
}
