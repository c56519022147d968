/* A dimension that only a param has: no workspace can be told from q, k and v. */
#include <stdio.h>

#include "projected.h"

static float x[2 * 9 * 4], out[2 * 9 * 4], p[300 * 4];

int
main(void)
{
    DLTensor q = ATTN_F32(x, 1, 2, 9, 4), o = ATTN_F32(out, 1, 2, 9, 4);
    DLTensor P = {.data = p,
                  .device = {kDLCPU, 0},
                  .ndim = 2,
                  .dtype = {kDLFloat, 32, 1},
                  .shape = (int64_t[]){300, 4}};
    size_t need = projected_workspace(&q, &q, &q);
    printf("%zu bytes: %s\n", need, need ? "" : attn_message());
    printf("status %d without a workspace\n", projected_forward(&q, &q, &q, &o, &P, NULL));
    if (need) {
        char memory[4 << 20] __attribute__((aligned(64)));
        attn_exec exec = {.workspace = memory, .workspace_size = need};
        printf("status %d with it\n", projected_forward(&q, &q, &q, &o, &P, &exec));
    }
    return 0;
}
