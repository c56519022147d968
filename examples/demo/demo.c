/* Runs a compiled attention over a real text.
 *
 * Every byte of the file is one token. Its query, key and value are a fixed pseudo-random vector
 * per byte value, turned by its position, so that the same file always gives the same numbers. The
 * linear and the direct kernel of (q·k + 1)^2 must agree, and both must agree with a plain f64
 * loop. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "quadratic.h"
#include "quadratic_direct.h"

enum { D = 64, REPEATS = 3, CHECKED_ROWS = 32 };

static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A number in [-1, 1) that depends on the byte, the coordinate and the role (q, k, v). */
static float
byte_number(unsigned byte, unsigned d, unsigned role)
{
    uint64_t z = (byte * 3u + role) * 0x9e3779b97f4a7c15u + d * 0xd1342543de82ef95u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (float)((double)(z >> 40) / (1 << 23) - 1);
}

static void
embed(const unsigned char *text, int64_t n, unsigned role, float *out)
{
    for (int64_t i = 0; i < n; i++)
        for (unsigned d = 0; d < D; d++) {
            double turn = (double)i / pow(10000, 2.0 * (d / 2) / D);
            out[i * D + d] = 0.25f * (byte_number(text[i], d, role) +
                                      (float)(d % 2 ? cos(turn) : sin(turn)) * 0.5f);
        }
}

static double
best_time(int (*fn)(const DLTensor *, const DLTensor *, const DLTensor *, DLTensor *, attn_exec *),
          const DLTensor *q, const DLTensor *k, const DLTensor *v, DLTensor *out, attn_exec *exec)
{
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double t = seconds();
        if (fn(q, k, v, out, exec)) {
            fprintf(stderr, "demo: %s\n", attn_message());
            exit(1);
        }
        t = seconds() - t;
        best = t < best ? t : best;
    }
    return best;
}

/* Largest relative difference to a literal f64 evaluation, on rows spread over the text. */
static double
reference_error(const float *q, const float *k, const float *v, const float *out, int64_t n)
{
    double worst = 0, scale = 0;
    for (int64_t row = 0; row < n; row += n / CHECKED_ROWS + 1) {
        double z = 0, acc[D] = {0};
        for (int64_t j = 0; j < n; j++) {
            double s = 1;
            for (int d = 0; d < D; d++)
                s += (double)q[row * D + d] * k[j * D + d];
            z += s * s;
            for (int d = 0; d < D; d++)
                acc[d] += s * s * v[j * D + d];
        }
        for (int d = 0; d < D; d++) {
            double e = fabs(acc[d] / z - out[row * D + d]);
            worst = e > worst ? e : worst;
            scale = fabs(acc[d] / z) > scale ? fabs(acc[d] / z) : scale;
        }
    }
    return worst / scale;
}

static unsigned char *
read_text(const char *path, int64_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    unsigned char *text = malloc((size_t)*n + 1);
    if (!text || fread(text, 1, (size_t)*n, f) != (size_t)*n || *n == 0) {
        fprintf(stderr, "demo: cannot read %s\n", path);
        exit(1);
    }
    fclose(f);
    return text;
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: demo FILE\n");
        return 2;
    }
    int64_t n;
    unsigned char *text = read_text(argv[1], &n);
    size_t bytes = (size_t)n * D * sizeof(float);
    float *q = malloc(bytes), *k = malloc(bytes), *v = malloc(bytes), *linear = malloc(bytes),
          *direct = malloc(bytes);
    if (!q || !k || !v || !linear || !direct) {
        fprintf(stderr, "demo: out of memory\n");
        return 1;
    }
    embed(text, n, 0, q);
    embed(text, n, 1, k);
    embed(text, n, 2, v);
    DLTensor tq = ATTN_F32(q, 1, 1, n, D), tk = ATTN_F32(k, 1, 1, n, D),
             tv = ATTN_F32(v, 1, 1, n, D);
    DLTensor tl = ATTN_F32(linear, 1, 1, n, D), td = ATTN_F32(direct, 1, 1, n, D);
    attn_exec one = {.threads = 1};
    double a = best_time(quadratic_forward, &tq, &tk, &tv, &tl, &one);
    double b = best_time(quadratic_direct_forward, &tq, &tk, &tv, &td, &one);
    double worst = 0;
    for (int64_t i = 0; i < n * D; i++)
        worst = fabs((double)linear[i] - direct[i]) > worst ? fabs((double)linear[i] - direct[i])
                                                            : worst;
    double features = (D + 1) * (D + 2) / 2.0;
    printf("\n%s: %lld tokens, D = M = %d, one thread\n", argv[1], (long long)n, D);
    printf("  kernelized  %9.3f ms  %6.1f GFLOP/s\n", a * 1e3,
           4 * (double)n * features * (D + 1) / a * 1e-9);
    printf("  direct      %9.3f ms  %6.1f GFLOP/s\n", b * 1e3,
           4 * (double)n * (double)n * D / b * 1e-9);
    printf("  speed-up    %9.2f x\n", b / a);
    double el = reference_error(q, k, v, linear, n), ed = reference_error(q, k, v, direct, n);
    printf("  error against f64: kernelized %.1e, direct %.1e; largest difference %.1e\n", el, ed,
           worst);
    free(text);
    free(q);
    free(k);
    free(v);
    free(linear);
    free(direct);
    return el < 1e-4 && ed < 1e-4 ? 0 : 1;
}
