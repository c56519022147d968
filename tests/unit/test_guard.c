/* No kernel touches anything outside its tensors and workspaces: see guard.h. */
#include <stdio.h>

#include "guard.h"
#include "kernels.h"
#include "thinned.h"

int
main(void)
{
    static const struct schedule_tuning small = {
        .query_tile = 16, .key_tile = 16, .chunk = 16, .feature_block = 40};
    const bool brief = thinned();
    struct guard_count all = {0, 0};
    const struct cg_target *t;
    for (int k = 0; k < exact_program_count; k++)
        for (int row = 0; (t = native_row(row)) != NULL; row++)
            for (int way = 0; way < (exact_programs[k].several ? 3 : 1); way++) {
                const struct exact_program *p = &exact_programs[k];
                bool wide = way == 2; /* f32 tensors, f64 sums: elements of two sizes */
                char text[512];
                struct native n;
                struct guard_count one = {0, 1};
                snprintf(text, sizeof text, "%s%s", wide ? "state f64; " : "", p->text);
                if (native_open(&n, p->name, text, wide || k % 2 == way ? TYPE_F32 : TYPE_F64, NULL,
                                0, way ? &small : &schedule_default_tuning, t))
                    one = guard_kernel(p, n.kernel, t->name, brief || wide);
                all.passed += one.passed;
                all.failed += one.failed;
                native_close(&n);
            }
    printf("%ld passed, %ld failed\n", all.passed, all.failed);
    return all.failed != 0;
}
