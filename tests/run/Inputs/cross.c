/* The kernels of tests/unit/exact.c, linked in, between guard pages. With a folder as argument (and
 * built with -DWRITE, without kernels): writes their programs there, one file for each type; mix is
 * f32 tensors with f64 sums. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/guard.h"

#ifdef WRITE
int
main(int argc, char **argv)
{
    static const char *const types[3][2] = {
        {"f32", ""}, {"f64", "type f64; "}, {"mix", "state f64; "}};
    for (int k = 0; k < 3 * exact_program_count && argc > 1; k++) {
        const struct exact_program *p = &exact_programs[k / 3];
        const char *const *type = types[k % 3];
        char path[4096];
        if (k % 3 == 2 && !p->several)
            continue;
        snprintf(path, sizeof path, "%s/%s_%s.attn", argv[1], p->name, type[0]);
        FILE *f = fopen(path, "w");
        if (!f || fprintf(f, "%s%s\n", type[1], p->text) < 0 || fclose(f))
            return 1;
    }
    return 0;
}
#else
#include "kernels.h" /* extern const attn_kernel ...; *const kernels[] = {...} */

int
main(void)
{
    struct guard_count all = {0, 0};
    int found = 0;
    for (unsigned k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (int i = 0; i < exact_program_count; i++) {
            const struct exact_program *p = &exact_programs[i];
            size_t n = strlen(p->name);
            if (strncmp(kernels[k]->name, p->name, n) || kernels[k]->name[n] != '_' ||
                strlen(kernels[k]->name) != n + 4)
                continue;
            struct guard_count one = guard_kernel(p, kernels[k], "cross", true);
            all.passed += one.passed;
            all.failed += one.failed;
            found++;
        }
    printf("%d kernels: %ld passed, %ld failed\n", found, all.passed, all.failed);
    return all.failed != 0;
}
#endif
