#include "runtime/order.h"

#include <stdbool.h>
#include <string.h>

enum { RADIX = 256, FEW = 32 };

/* Whole numbers in the order of the floats: the sign bit flipped, of negative ones all bits. */
#define ARGSORT(name, type, bits, top)                                                        \
    static bits key_##name(type x)                                                            \
    {                                                                                         \
        bits k;                                                                               \
        if (x != x)                                                                           \
            return (bits)-1;                                                                  \
        x += 0; /* -0 is 0 */                                                                 \
        memcpy(&k, &x, sizeof k);                                                             \
        return k >> (top) ? ~k : k | (bits)1 << (top);                                        \
    }                                                                                         \
                                                                                              \
    /* By insertion. */                                                                       \
    static void few_##name(bits *key, bits *place, int64_t n)                                 \
    {                                                                                         \
        for (int64_t i = 1; i < n; i++) {                                                     \
            bits k = key[i], p = place[i];                                                    \
            int64_t at = i;                                                                   \
            for (; at > 0 && key[at - 1] > k; at--) {                                         \
                key[at] = key[at - 1];                                                        \
                place[at] = place[at - 1];                                                    \
            }                                                                                 \
            key[at] = k;                                                                      \
            place[at] = p;                                                                    \
        }                                                                                     \
    }                                                                                         \
                                                                                              \
    /* One byte after another, the lowest first; one that is the same in all is passed over.  \
     * Returns which of the two pairs of rows has the result. */                              \
    static int many_##name(bits *const key[2], bits *const place[2], int64_t n)               \
    {                                                                                         \
        int from = 0;                                                                         \
        for (unsigned shift = 0; shift < 8 * sizeof(bits); shift += 8) {                      \
            int64_t first[RADIX] = {0}, sum = 0;                                              \
            for (int64_t i = 0; i < n; i++)                                                   \
                first[key[from][i] >> shift & (RADIX - 1)]++;                                 \
            if (first[key[from][0] >> shift & (RADIX - 1)] == n)                              \
                continue;                                                                     \
            for (int d = 0; d < RADIX; d++) {                                                 \
                int64_t count = first[d];                                                     \
                first[d] = sum;                                                               \
                sum += count;                                                                 \
            }                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                 \
                int64_t to = first[key[from][i] >> shift & (RADIX - 1)]++;                    \
                key[!from][to] = key[from][i];                                                \
                place[!from][to] = place[from][i];                                            \
            }                                                                                 \
            from = !from;                                                                     \
        }                                                                                     \
        return from;                                                                          \
    }                                                                                         \
                                                                                              \
    void attn_argsort_##name(const type *x, int64_t n, type *out, type *scratch,              \
                             int64_t stride, int64_t most)                                    \
    {                                                                                         \
        bits *row[4];                                                                         \
        for (int k = 0; k < 4; k++)                                                           \
            row[k] = (bits *)(void *)(scratch + k * stride);                                  \
        bits *const key[2] = {row[0], row[2]}, *const place[2] = {row[1], row[3]};            \
        int at = 0;                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                     \
            key[0][i] = key_##name(x[i]);                                                     \
            place[0][i] = (bits)i;                                                            \
        }                                                                                     \
        if (n <= FEW)                                                                         \
            few_##name(key[0], place[0], n);                                                  \
        else                                                                                  \
            at = many_##name(key, place, n);                                                  \
        for (int64_t i = 0; i < n; i++) {                                                     \
            bool beyond = (int64_t)place[at][i] > most;                                       \
            out[i] = beyond ? (type)__builtin_nan("") : (type)place[at][i];                   \
        }                                                                                     \
    }

ARGSORT(f32, float, uint32_t, 31)
ARGSORT(f64, double, uint64_t, 63)
