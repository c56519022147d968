/* Prints a hash of the bits of random weights for some shapes and seeds, as weights.py does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/attn.h"

int
main(void)
{
    static const struct {
        int64_t rows, cols;
        int orthogonal;
        uint64_t seed;
    } cases[] = {{1, 1, 0, 0},  {1, 1, 1, 1},   {7, 3, 0, 1},
                 {7, 3, 1, 1},  {3, 8, 1, 9},   {70, 16, 0, 2},
                 {70, 16, 1, (uint64_t)1 << 53}, {300, 5, 1, 123456789}};
    static double w[2000], block[2000];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t rows = cases[k].rows, cols = cases[k].cols;
        uint64_t h = 0xcbf29ce484222325u;
        attn_random_weights(cases[k].orthogonal ? ATTN_ORTHOGONAL : ATTN_NORMAL, ATTN_TYPE_F64,
                            cases[k].seed, rows, cols, block, w);
        for (int64_t i = 0; i < rows * cols * 8; i++)
            h = (h ^ ((const unsigned char *)w)[i]) * 0x100000001b3u;
        printf("%" PRId64 " %" PRId64 " %d %" PRIu64 " %016" PRIx64 "\n", rows, cols,
               cases[k].orthogonal, cases[k].seed, h);
    }
    return 0;
}
