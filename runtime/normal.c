/* Random weights that are the same on every machine: standard normal numbers from a counter, and
 * orthogonal rows made of them.
 *
 * Only integers and + - * / sqrt of doubles in a fixed order, none of them contracted to a fused
 * multiply-add, and no function of a C library. Number i of a seed does not depend on how many are
 * drawn. The inverse of the normal distribution is algorithm AS 241 (Wichura 1988, PPND16), with a
 * relative error of about 1e-16. */
#include "runtime/attn.h"

#include <math.h>
#include <string.h>

#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize("fp-contract=off")
#endif

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t
mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In (0, 1): the middle of one of 2^52 intervals, exactly. */
static double
uniform(uint64_t seed, uint64_t i)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    uint64_t z = mix(mix(seed + golden) + (i + 1) * golden);
    return ((double)(z >> 12) + 0.5) * 0x1p-52;
}

/* log x for 0 < x < 1: x = m 2^e with m near 1, and log m = 2 artanh((m - 1)/(m + 1)). */
static double
logarithm(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 52) - 1022; /* x is positive and normal */
    bits = (bits & 0x000fffffffffffffu) | 0x3fe0000000000000u;
    double m, sum = 0;
    memcpy(&m, &bits, sizeof m); /* 1/2 <= m < 1 */
    if (m < 0.7071067811865476) {
        m = m + m;
        e--;
    }
    double s = (m - 1) / (m + 1), t = s * s;
    for (int k = 23; k >= 1; k -= 2)
        sum = sum * t + 1 / (double)k;
    return (double)e * 0.6931471805599453 + 2 * s * sum;
}

/* c[0] + c[1] x + ... + c[7] x^7 */
static double
polynomial(const double *c, double x)
{
    double sum = c[7];
    for (int k = 6; k >= 0; k--)
        sum = sum * x + c[k];
    return sum;
}

/* Numerators and denominators for the middle, the sides and the tails. */
static const double ratio[3][2][8] = {
    {{3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
      1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
      3.3430575583588128105e+4, 2.5090809287301226727e+3},
     {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
      2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
      5.2264952788528545610e+3}},
    {{1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
      3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
      2.27238449892691845833e-2, 7.74545014278341407640e-4},
     {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
      1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
      1.05075007164441684324e-9}},
    {{6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
      2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
      2.71155556874348757815e-5, 2.01033439929228813265e-7},
     {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
      7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
      2.04426310338993978564e-15}},
};

static double
quotient(int which, double x)
{
    return polynomial(ratio[which][0], x) / polynomial(ratio[which][1], x);
}

static double
normal(uint64_t seed, uint64_t i)
{
    double p = uniform(seed, i), q = p - 0.5;
    if (q >= -0.425 && q <= 0.425)
        return q * quotient(0, 0.180625 - q * q);
    double r = sqrt(-logarithm(q < 0 ? p : 1 - p));
    double x = r <= 5 ? quotient(1, r - 1.6) : quotient(2, r - 5);
    return q < 0 ? -x : x;
}

static double
dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum = sum + a[k] * b[k];
    return sum;
}

/* Makes row `at` of the block orthogonal to those before it, which have length 1, and itself of
 * length 1. Returns the length it had. */
static double
orthogonalise(double *block, int64_t at, int64_t n)
{
    double *row = block + at * n, length = sqrt(dot(row, row, n));
    for (int64_t k = 0; k < at; k++) {
        const double *u = block + k * n;
        double c = dot(row, u, n);
        for (int64_t d = 0; d < n; d++)
            row[d] = row[d] - c * u[d];
    }
    double rest = sqrt(dot(row, row, n));
    for (int64_t d = 0; d < n; d++)
        row[d] = rest > 0 ? row[d] / rest : 0;
    return length;
}

static void
put(void *out, int type, int64_t at, double x)
{
    if (type == ATTN_TYPE_F64)
        ((double *)out)[at] = x;
    else
        ((float *)out)[at] = (float)x;
}

void
attn_random_weights(int source, int type, uint64_t seed, int64_t rows, int64_t cols, double *block,
                    void *out)
{
    int64_t high = rows < cols ? rows : cols;
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r % high; /* in its block of as many rows as can be orthogonal */
        double *row = block + at * cols, length = 1;
        for (int64_t d = 0; d < cols; d++)
            row[d] = normal(seed, (uint64_t)r * (uint64_t)cols + (uint64_t)d);
        if (source == ATTN_ORTHOGONAL)
            length = orthogonalise(block, at, cols);
        for (int64_t d = 0; d < cols; d++)
            put(out, type, d * rows + r, length * row[d]);
    }
}
