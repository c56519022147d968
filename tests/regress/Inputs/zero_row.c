/* Prints the status under ATTN_CHECK without a visible key, and with keys whose weights are 0. */
#include <stdio.h>

#include KERNEL

int
main(void)
{
    float q[2] = {1, 0}, k[6] = {-1, 0, -1, 0, -1, 0}, v[3] = {1, 2, 3}, out[1];
    DLTensor Q = ATTN_F32(q, 1, 1, 1, 2), K = ATTN_F32(k, 1, 1, 3, 2), V = ATTN_F32(v, 1, 1, 3, 1),
             O = ATTN_F32(out, 1, 1, 1, 1);
    attn_exec exec = {.flags = ATTN_CHECK};
    int hidden = FORWARD(&Q, &K, &V, &O, 0, &exec);
    printf("%d ", out[0] == 0 ? hidden : -1);
    printf("%d\n", FORWARD(&Q, &K, &V, &O, 3, &exec));
    return 0;
}
