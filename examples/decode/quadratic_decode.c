/* A million tokens, one by one, in constant memory.
 *
 * The causal quadratic kernel keeps sums over the features of the keys instead of the keys, so the
 * state after the last token is as large as after the first. That nothing is lost is checked on
 * the last token: its output must be what a plain f64 loop over the whole history gives, whose keys
 * and values are made a second time from their numbers. */
#include <math.h>

#include "quadratic_causal.h"
#include "tokens.h"

enum { D = 16, M = 16, TOKENS = 1000000, LEAST = 1000, MAY_GROW_KIB = 256 };

/* Error and allowance, relative to the largest entry of the output. */
struct judgement {
    double error, bound;
};

/* The last output against the definition. Each sum has taken n rounded additions in f32; their
 * errors are independent, so relative to the sum of absolute values about 2^-24 * sqrt(n) is
 * expected at most. One token of n that is lost or seen twice changes it by 1/n, which is more up
 * to some 60,000 tokens. */
static struct judgement
judge(int64_t n, const float *out)
{
    float q[D], k[D], v[M];
    double z = 0, acc[M] = {0}, size[M] = {0}, scale = 0;
    struct judgement x = {0, 0};
    token_row(n - 1, QUERY, D, q);
    for (int64_t j = 0; j < n; j++) {
        double s = 1;
        token_row(j, KEY, D, k);
        token_row(j, VALUE, M, v);
        for (int d = 0; d < D; d++)
            s += (double)q[d] * k[d];
        z += s * s;
        for (int m = 0; m < M; m++) {
            acc[m] += s * s * v[m];
            size[m] += s * s * fabs((double)v[m]);
        }
    }
    for (int m = 0; m < M; m++) {
        double error = fabs(acc[m] / z - out[m]);
        x.error = error <= x.error ? x.error : error; /* a NaN stays */
        x.bound = fmax(x.bound, ldexp(sqrt((double)n), -24) * (size[m] + fabs(acc[m])) / z);
        scale = fmax(scale, fabs(acc[m] / z));
    }
    x.error /= scale;
    x.bound /= scale;
    return x;
}

int
main(int argc, char **argv)
{
    int64_t n = token_count(argc, argv, LEAST, TOKENS);
    float q[D], k[D], v[M], out[M];
    DLTensor tq = ATTN_F32(q, 1, 1, 1, D), tk = ATTN_F32(k, 1, 1, 1, D),
             tv = ATTN_F32(v, 1, 1, 1, M), to = ATTN_F32(out, 1, 1, 1, M);
    attn_exec exec = {.threads = 1};
    attn_state s;
    want(attn_state_init(&s, &quadratic_causal_kernel, 0), ATTN_OK);
    exec.workspace_size = attn_step_workspace(&s, &tq, &tk, &tv);
    exec.workspace = memory(exec.workspace_size);
    long early = 0;
    double t = seconds();
    for (int64_t i = 0; i < n; i++) {
        token_row(i, QUERY, D, q);
        token_row(i, KEY, D, k);
        token_row(i, VALUE, M, v);
        want(quadratic_causal_step(&s, &tq, &tk, &tv, &to, &exec), ATTN_OK);
        if (i + 1 == n / 100)
            early = resident_kib();
    }
    t = seconds() - t;
    long late = resident_kib();
    struct judgement x = judge(n, out);
    int constant = late - early <= MAY_GROW_KIB, right = x.error <= x.bound;
    printf("(q·k + 1)^2, causal, one by one, D = M = %d, one thread\n", D);
    printf("  tokens           %lld, %.0f tokens/s\n", (long long)s.position, (double)n / t);
    printf("  state            %zu bytes; keys and values would be %lld\n", s.bytes,
           (long long)n * (D + M) * (long long)sizeof(float));
    printf("  resident memory  %ld KiB after %lld tokens, %ld KiB at the end: %s\n", early,
           (long long)n / 100, late, constant ? "constant" : "IT GREW");
    printf("  last token       error against f64 %.1e, at most %.1e expected: %s\n", x.error,
           x.bound, right ? "as it should be" : "TOO LARGE");
    attn_state_free(&s);
    free(exec.workspace);
    return !(constant && right);
}
