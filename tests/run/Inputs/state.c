/* Decoding with kept states and caches; prints the messages of the failures it provokes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quadratic.h"
#include "quadratic_causal.h"
#include "softmax_causal.h"

#include "expect.h"

enum { B = 2, H = 4, G = 2, N = 32, D = 6, M = 5 };

static float q[B * H * N * D], k[B * G * N * D], v[B * G * N * M], whole[B * H * N * M],
    out[B * H * N * M];

static void
check(int ok, const char *what)
{
    if (!ok)
        printf("not so: %s\n", what);
    failures += !ok;
}

/* Rows [at, at + count) of a tensor [B, heads, N, width]. */
struct rows {
    DLTensor t;
    int64_t shape[4], stride[4];
};

static DLTensor *
rows(struct rows *r, float *data, int heads, int width, int at, int count)
{
    *r = (struct rows){.shape = {B, heads, count, width},
                       .stride = {(int64_t)heads * N * width, (int64_t)N * width, width, 1}};
    r->t = (DLTensor)ATTN_F32(data + at * width, B, heads, count, width);
    r->t.shape = r->shape;
    r->t.strides = r->stride;
    return &r->t;
}

typedef int step_fn(attn_state *, const DLTensor *, const DLTensor *, const DLTensor *, DLTensor *,
                    attn_exec *);

/* Set for a step to run in: the workspace that was asked for before the first token. */
static void *workspace;
static size_t workspace_size;

static int
step(step_fn *fn, attn_state *s, int at, int count)
{
    struct rows r[4];
    attn_exec exec = {.threads = workspace ? 1 : 2,
                      .workspace = workspace,
                      .workspace_size = workspace_size};
    return fn(s, rows(&r[0], q, H, D, at, count), rows(&r[1], k, G, D, at, count),
              rows(&r[2], v, G, M, at, count), rows(&r[3], out, H, M, at, count), &exec);
}

static int
close_to_whole(int from, int to)
{
    for (int h = 0; h < B * H; h++)
        for (int i = from * M; i < to * M; i++) {
            float d = out[h * N * M + i] - whole[h * N * M + i];
            if (!(d < 1e-5f && d > -1e-5f))
                return 0;
        }
    return 1;
}

/* Prefill of `first` tokens, then one at a time; a copy goes its own way. */
static void
decode(step_fn *fn, const attn_kernel *kernel, int first)
{
    attn_state s, twin = {0};
    expect(attn_state_init(&s, kernel, N), ATTN_OK);
    memset(out, 0, sizeof out);
    expect(step(fn, &s, 0, first), ATTN_OK);
    expect(attn_state_copy(&twin, &s), ATTN_OK);
    for (int i = first; i < N; i++)
        expect(step(fn, &s, i, 1), ATTN_OK);
    check(close_to_whole(0, N) && s.position == N, "decoding equals one forward");
    size_t bytes = attn_state_saved_size(&twin);
    char *saved = malloc(bytes);
    expect(attn_state_save(&twin, saved, bytes), ATTN_OK);
    memset(out, 0, sizeof out);
    expect(attn_state_load(&s, saved, bytes), ATTN_OK);
    expect(step(fn, &s, first, N - first), ATTN_OK);
    check(close_to_whole(first, N), "a loaded state goes on where the saved one was");
    memset(out, 0, sizeof out);
    attn_state_reset(&twin);
    expect(step(fn, &twin, 0, N), ATTN_OK);
    check(close_to_whole(0, N), "a reset state starts anew");
    free(saved);
    attn_state_free(&s);
    attn_state_free(&twin);
}

/* What an empty state says of the workspace is enough up to the last token, and is needed. */
static void
decode_in_workspace(step_fn *fn, const attn_kernel *kernel)
{
    attn_state s;
    struct rows r[3];
    expect(attn_state_init(&s, kernel, N), ATTN_OK);
    size_t need = attn_step_workspace(&s, rows(&r[0], q, H, D, 0, 1), rows(&r[1], k, G, D, 0, 1),
                                      rows(&r[2], v, G, M, 0, 1));
    check(need > 1, "a step tells its workspace");
    workspace = malloc(need);
    memset(out, 0, sizeof out);
    workspace_size = 1;
    check(step(fn, &s, 0, 1) == ATTN_E_MEMORY && s.position == 0, "one byte is too little");
    workspace_size = need;
    for (int i = 0; i < N; i++)
        expect(step(fn, &s, i, 1), ATTN_OK);
    check(close_to_whole(0, N), "decoding in a given workspace equals one forward");
    check(!attn_step_workspace(&s, rows(&r[0], q, H, M, 0, 1), rows(&r[1], k, G, M, 0, 1),
                               rows(&r[2], v, G, M, 0, 1)),
          "no workspace for another shape");
    puts(attn_message());
    free(workspace);
    workspace = NULL;
    workspace_size = 0;
    attn_state_free(&s);
}

static void
misuse(void)
{
    attn_state s, t;
    struct rows r[4];
    expect(attn_state_init(&s, &quadratic_kernel, 0), ATTN_E_STATE);
    expect(attn_state_init(&s, &quadratic_causal_kernel, 0), ATTN_OK);
    expect(attn_state_init(&t, &softmax_causal_kernel, N), ATTN_OK);
    expect(step(quadratic_causal_step, &s, 0, 30), ATTN_OK);
    size_t bytes = s.bytes, size = attn_state_saved_size(&s);
    void *before = malloc(bytes);
    char *saved = malloc(size);
    memcpy(before, s.data, bytes);
    expect(attn_state_save(&s, saved, size), ATTN_OK);
    expect(step(softmax_causal_step, &s, 30, 1), ATTN_E_STATE);
    DLTensor q1 = ATTN_F32(q, 1, H, 1, D), k1 = ATTN_F32(k, 1, G, 1, D),
             v1 = ATTN_F32(v, 1, G, 1, M), o1 = ATTN_F32(out, 1, H, 1, M);
    expect(quadratic_causal_step(&s, &q1, &k1, &v1, &o1, NULL), ATTN_E_STATE);
    expect(quadratic_causal_step(&s, rows(&r[0], q, H, D, 30, 1), rows(&r[1], k, G, D, 30, 2),
                                 rows(&r[2], v, G, M, 30, 1), rows(&r[3], out, H, M, 30, 1), NULL),
           ATTN_E_SHAPE);
    saved[size / 2] ^= 1;
    expect(attn_state_load(&s, saved, size), ATTN_E_STATE);
    saved[size / 2] ^= 1;
    expect(attn_state_load(&t, saved, size), ATTN_E_STATE);
    expect(attn_state_load(&s, saved, 7), ATTN_E_STATE);
    check(s.position == 30 && !memcmp(before, s.data, bytes), "failures leave the state alone");
    expect(step(softmax_causal_step, &t, 0, 30), ATTN_OK);
    expect(step(softmax_causal_step, &t, 28, 3), ATTN_E_FULL);
    check(t.position == 30, "a full cache is left alone");
    expect(attn_state_save(&s, saved, 10), ATTN_E_MEMORY);
    free(before);
    free(saved);
    attn_state_free(&s);
    attn_state_free(&t);
}

int
main(void)
{
    struct rows r[4];
    for (int i = 0; i < B * H * N * D; i++)
        q[i] = (float)(i * 7 % 11) / 8 - 0.5f;
    for (int i = 0; i < B * G * N * D; i++)
        k[i] = (float)(i * 5 % 13) / 8 - 0.7f;
    for (int i = 0; i < B * G * N * M; i++)
        v[i] = (float)(i * 3 % 17) / 8 - 1;
    misuse();
    for (int first = 0; first <= N; first += 8) {
        expect(quadratic_causal_forward(rows(&r[0], q, H, D, 0, N), rows(&r[1], k, G, D, 0, N),
                                        rows(&r[2], v, G, M, 0, N), rows(&r[3], whole, H, M, 0, N),
                                        NULL),
               ATTN_OK);
        decode(quadratic_causal_step, &quadratic_causal_kernel, first);
        if (!first)
            decode_in_workspace(quadratic_causal_step, &quadratic_causal_kernel);
        expect(softmax_causal_forward(rows(&r[0], q, H, D, 0, N), rows(&r[1], k, G, D, 0, N),
                                      rows(&r[2], v, G, M, 0, N), rows(&r[3], whole, H, M, 0, N),
                                      NULL),
               ATTN_OK);
        decode(softmax_causal_step, &softmax_causal_kernel, first);
        if (!first)
            decode_in_workspace(softmax_causal_step, &softmax_causal_kernel);
    }
    puts(failures ? "unexpected results" : "all as expected");
    return failures != 0;
}
