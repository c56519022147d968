/* state_type save|load FILE: saves a state after one token; loads one and prints what is said. */
#include <stdio.h>
#include <string.h>

#include "sums.h"

int
main(int argc, char **argv)
{
    static char bytes[1 << 16];
    float x[4] = {1, 2, 3, 4}, out[4];
    DLTensor q = ATTN_F32(x, 1, 1, 1, 4), o = ATTN_F32(out, 1, 1, 1, 4);
    attn_state s;
    int save = argc == 3 && !strcmp(argv[1], "save");
    FILE *f = argc == 3 ? fopen(argv[2], save ? "wb" : "rb") : NULL;
    if (!f || attn_state_init(&s, &sums_kernel, 0))
        return 2;
    if (save) {
        size_t n = attn_state_saved_size(&s);
        if (sums_step(&s, &q, &q, &q, &o, NULL) || (n = attn_state_saved_size(&s)) > sizeof bytes ||
            attn_state_save(&s, bytes, n) || fwrite(bytes, 1, n, f) != n)
            return 3;
        printf("tensors of %d bits, sums of %d, %zu bytes\n", sums_kernel.type ? 64 : 32,
               sums_kernel.state ? 64 : 32, s.bytes);
    } else {
        size_t n = fread(bytes, 1, sizeof bytes, f);
        printf("%s\n", attn_state_load(&s, bytes, n) ? attn_message() : "loaded");
    }
    attn_state_free(&s);
    return fclose(f) != 0;
}
