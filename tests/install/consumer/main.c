/* Two tokens, by hand: equal keys mean plain averaging of the values. */
#include <math.h>
#include <stdio.h>

#include "model.h"

int
main(void)
{
    float q[8] = {1, 2, 3, 4, 4, 3, 2, 1}, k[8] = {1, 0, 1, 0, 1, 0, 1, 0}, v[4] = {1, 2, 3, 6},
          out[4];
    DLTensor tq = ATTN_F32(q, 1, 1, 2, 4), tk = ATTN_F32(k, 1, 1, 2, 4),
             tv = ATTN_F32(v, 1, 1, 2, 2);
    DLTensor to = ATTN_F32(out, 1, 1, 2, 2), wrong = ATTN_F32(k, 1, 1, 2, 3);
    if (model_forward(&tq, &tk, &tv, &to, NULL)) {
        puts(attn_message());
        return 1;
    }
    if (fabsf(out[0] - 2) > 1e-6f || fabsf(out[3] - 4) > 1e-6f)
        return 2;
    return model_forward(&tq, &wrong, &tv, &to, NULL) == ATTN_E_SHAPE ? 0 : 3;
}
