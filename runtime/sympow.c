#include "runtime/sympow.h"

#include <math.h>

enum { MAX_DEGREE = 16 };

/* p!/alpha! of a non-decreasing index tuple, scaled for the mode. */
static double
tuple_weight(const int64_t *a, int64_t p, int64_t mode)
{
    double w = 1;
    int64_t run = 1;
    if (mode == 0)
        return 1;
    for (int64_t k = 1; k < p; k++) {
        run = a[k] == a[k - 1] ? run + 1 : 1;
        w = w * (double)(k + 1) / (double)run;
    }
    return mode == 2 ? sqrt(w) : w;
}

/* Advances to the next non-decreasing tuple over 0..D-1; 0 at the end. */
static int
next_tuple(int64_t *a, int64_t p, int64_t D)
{
    int64_t k = p - 1;
    while (k >= 0 && a[k] == D - 1)
        k--;
    if (k < 0)
        return 0;
    int64_t v = a[k] + 1;
    for (; k < p; k++)
        a[k] = v;
    return 1;
}

#define MONOMIALS(name, type)                                                 \
    void name(const type *x, int64_t D, int64_t p, int64_t mode, type *out)   \
    {                                                                         \
        int64_t a[MAX_DEGREE] = {0};                                          \
        if (D < 1 || p < 1 || p > MAX_DEGREE)                                 \
            return;                                                           \
        do {                                                                  \
            type f = (type)tuple_weight(a, p, mode);                          \
            for (int64_t k = 0; k < p; k++)                                   \
                f *= x[a[k]];                                                 \
            *out++ = f;                                                       \
        } while (next_tuple(a, p, D));                                        \
    }

MONOMIALS(attn_monomials_f32, float)
MONOMIALS(attn_monomials_f64, double)
