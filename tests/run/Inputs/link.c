/* Exercises the C interface of a compiled kernel; prints the messages of the failures it provokes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "quadratic.h"

#include "expect.h"

enum { N = 5, D = 6, M = 3 };

static void
backwards(void *ctx, int workers, void (*fn)(void *, int), void *arg)
{
    ++*(int *)ctx;
    for (int w = workers; w-- > 0;)
        fn(arg, w);
}

static void
fill(float *q, float *k, float *v)
{
    for (int i = 0; i < N * D; i++) {
        q[i] = (float)(i % 7) - 3;
        k[i] = (float)(i % 5) - 2;
    }
    for (int i = 0; i < N * M; i++)
        v[i] = (float)(i % 4);
}

/* Heads inside rows, as in an array [b, n, h, d] seen transposed: fine, unless rows overlap. */
static void
interleaved(float *q, float *k, float *v, float *out)
{
    DLTensor tq = ATTN_F32(q, 1, 2, 2, D), tk = ATTN_F32(k, 1, 2, 2, D);
    DLTensor tv = ATTN_F32(v, 1, 2, 2, 2), to = ATTN_F32(out, 1, 2, 2, 2);
    int64_t inside[4] = {8, 2, 4, 1}, overlapping[4] = {8, 2, 3, 1};
    to.strides = inside;
    expect(quadratic_forward(&tq, &tk, &tv, &to, NULL), ATTN_OK);
    to.strides = overlapping;
    expect(quadratic_forward(&tq, &tk, &tv, &to, NULL), ATTN_E_STRIDE);
}

/* Sizes that overflow, tensors elsewhere or askew: refused before any memory is touched. */
static void
absurd(float *k, float *v, DLTensor *tq, DLTensor *tk, DLTensor *tv, DLTensor *to)
{
    const int64_t many = (int64_t)1 << 45;
    int64_t none[4] = {0, 0, 0, 1};
    DLTensor bad = ATTN_F32(k, 1, 1, many, D), long_v = ATTN_F32(v, 1, 1, 1 << 30, M),
             long_k = ATTN_F32(k, 1, 1, 1 << 30, D);
    expect(quadratic_forward(tq, &bad, tv, to, NULL), ATTN_E_SIZE);
    long_k.strides = long_v.strides = none;
    expect(quadratic_forward(tq, &long_k, &long_v, to, NULL), ATTN_E_SIZE);
    bad = *tk;
    bad.device.device_type = kDLCUDA;
    expect(quadratic_forward(tq, &bad, tv, to, NULL), ATTN_E_DEVICE);
    bad = *tk;
    bad.byte_offset = 2;
    expect(quadratic_forward(tq, &bad, tv, to, NULL), ATTN_E_STRIDE);
}

int
main(void)
{
    float q[N * D], k[N * D], v[N * M], out[N * M], again[N * M];
    fill(q, k, v);
    DLTensor tq = ATTN_F32(q, 1, 1, N, D), tk = ATTN_F32(k, 1, 1, N, D),
             tv = ATTN_F32(v, 1, 1, N, M);
    DLTensor to = ATTN_F32(out, 1, 1, N, M), ta = ATTN_F32(again, 1, 1, N, M), bad;
    expect(quadratic_forward(&tq, &tk, &tv, &to, NULL), ATTN_OK);
    for (int i = 0; i < N; i++) {
        double z = 0, acc[M] = {0};
        for (int j = 0; j < N; j++) {
            double s = 1;
            for (int d = 0; d < D; d++)
                s += (double)q[i * D + d] * k[j * D + d];
            z += s * s;
            for (int m = 0; m < M; m++)
                acc[m] += s * s * v[j * M + m];
        }
        for (int m = 0; m < M; m++)
            failures += fabs(acc[m] / z - out[i * M + m]) > 1e-5;
    }
    bad = (DLTensor)ATTN_F32(k, 1, 1, N, 5);
    expect(quadratic_forward(&tq, &bad, &tv, &to, NULL), ATTN_E_SHAPE);
    expect(quadratic_forward(&tq, &tk, NULL, &to, NULL), ATTN_E_NULL);
    bad = tq;
    bad.ndim = 3;
    expect(quadratic_forward(&bad, &tk, &tv, &to, NULL), ATTN_E_RANK);
    bad = (DLTensor)ATTN_F64(v, 1, 1, N, M);
    expect(quadratic_forward(&tq, &tk, &bad, &to, NULL), ATTN_E_TYPE);
    int64_t every_other[4] = {N * D, N * D, D, 2}, flat[4] = {0, 0, 0, 1};
    bad = tq;
    bad.strides = every_other;
    expect(quadratic_forward(&bad, &tk, &tv, &to, NULL), ATTN_E_STRIDE);
    DLTensor q3 = ATTN_F32(q, 1, 3, 1, D), k2 = ATTN_F32(k, 1, 2, 1, D),
             v2 = ATTN_F32(v, 1, 2, 1, M), o3 = ATTN_F32(out, 1, 3, 1, M);
    expect(quadratic_forward(&q3, &k2, &v2, &o3, NULL), ATTN_E_SHAPE);
    bad = to;
    bad.strides = flat;
    expect(quadratic_forward(&tq, &tk, &tv, &bad, NULL), ATTN_E_STRIDE);
    interleaved(q, k, v, again);
    absurd(k, v, &tq, &tk, &tv, &to);
    attn_exec exec = {.workspace = again, .workspace_size = 64, .threads = 1};
    expect(quadratic_forward(&tq, &tk, &tv, &to, &exec), ATTN_E_MEMORY);
    size_t need = quadratic_workspace(&tq, &tk, &tv);
    int calls = 0;
    exec = (attn_exec){.workspace = malloc(need), .workspace_size = need, .threads = 1};
    expect(quadratic_forward(&tq, &tk, &tv, &ta, &exec), ATTN_OK);
    free(exec.workspace);
    exec = (attn_exec){.threads = 3, .parallel_for = backwards, .ctx = &calls, .flags = ATTN_CHECK};
    for (int d = 0; d < D; d++) { /* q2·k = -1 for every key: the row sum is exactly 0 */
        q[2 * D + d] = d == 0 ? -1 : 0;
        for (int j = 0; j < N; j++)
            k[j * D + d] = d == 0 ? 1 : k[j * D + d];
    }
    expect(quadratic_forward(&tq, &tk, &tv, &to, &exec), ATTN_E_ZERO_ROW);
    failures += calls == 0 || exec.zero_row != 2;
    puts(failures ? "unexpected results" : "all statuses as expected");
    return failures != 0;
}
