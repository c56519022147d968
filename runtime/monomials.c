/* Monomials of degree p in D variables up to rotation of the variables.
 *
 * A multiset of size p on Z_D is given, up to rotation, by the cyclic sequence of gaps between its
 * sorted elements; the representative is the rotation whose gap sequence is lexicographically
 * least. */
#include "runtime/attn.h"

#include <stdbool.h>
#include <stddef.h>

enum { MAX_DEGREE = 16 };
static const int64_t SATURATED = (int64_t)1 << 40;

static int64_t
gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* Burnside: the average over rotations by s of the multisets they fix, which are unions of whole
 * cycles. */
static int64_t
count_rows(int64_t D, int64_t p)
{
    double total = 0;
    int64_t exact = 0;
    for (int64_t s = 0; s < D; s++) {
        int64_t g = s ? gcd(s, D) : D, length = D / g, pick, c = 1;
        if (p % length)
            continue;
        pick = p / length;
        double approx = 1;
        for (int64_t k = 1; k <= pick; k++) {
            approx = approx * (double)(g + k - 1) / (double)k;
            if (approx > 0x1p62 / (double)(g + MAX_DEGREE))
                return SATURATED;
            c = c * (g + k - 1) / k;
        }
        total += approx;
        if (total > 0x1p62)
            return SATURATED;
        exact += c;
    }
    exact /= D;
    return exact > SATURATED ? SATURATED : exact;
}

struct walk {
    int64_t p, count;
    int64_t gap[MAX_DEGREE];
    int32_t *offsets;
    double *weight;
};

/* Period of the gap sequence if no rotation of it is smaller, else 0. */
static int64_t
least_rotation_period(const struct walk *w)
{
    for (int64_t r = 1; r < w->p; r++) {
        int order = 0;
        for (int64_t k = 0; k < w->p && !order; k++) {
            int64_t x = w->gap[k], y = w->gap[(k + r) % w->p];
            order = x < y ? -1 : x > y;
        }
        if (order > 0)
            return 0;
        if (order == 0)
            return r;
    }
    return w->p;
}

static void
emit(struct walk *w)
{
    int64_t period = least_rotation_period(w), at = 0, run = 1;
    double weight = 1;
    if (!period)
        return;
    for (int64_t k = 1; k < w->p; k++) {
        at += w->gap[k - 1];
        if (w->offsets)
            w->offsets[w->count * (w->p - 1) + k - 1] = (int32_t)at;
        run = w->gap[k - 1] == 0 ? run + 1 : 1;
        weight = weight * (double)(k + 1) / (double)run;
    }
    /* the least rotation starts with its longest run of zeros, so no run wraps around */
    if (w->weight)
        w->weight[w->count] = weight * (double)period / (double)w->p;
    w->count++;
}

static void
walk(struct walk *w, int64_t k, int64_t left)
{
    if (k == w->p - 1) {
        w->gap[k] = left;
        emit(w);
        return;
    }
    for (w->gap[k] = 0; w->gap[k] <= left; w->gap[k]++)
        walk(w, k + 1, left - w->gap[k]);
}

int64_t
attn_monomial_rows(int64_t D, int64_t p, int32_t *offsets, double *weight)
{
    struct walk w = {.p = p, .offsets = offsets, .weight = weight};
    if (D < 1 || p < 1 || p > MAX_DEGREE)
        return 0;
    if (!offsets && !weight)
        return p == 1 ? 1 : count_rows(D, p);
    if (p == 1)
        w.gap[0] = D;
    walk(&w, 0, D);
    return w.count;
}
