/* Programs of stages from C; prints the messages of the failures it provokes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gqa_layer.h"
#include "mixed.h"

static int failures;

static void
check(int ok, const char *what)
{
    if (!ok)
        printf("not so: %s (%s)\n", what, attn_message());
    failures += !ok;
}

enum { B = 2, N = 40, F = 24, H = 4, G = 2, D = 6, M = 5 };

static float x[B * N * F], wq[F * H * D], wk[F * G * D], wv[F * G * M], wo[H * M * F], bq[H * D],
    bo[F], wg[F * H], whole[B * N * F], y[B * N * F], mixed[B * H * N * D], part[B * H * N * D];

struct tensor {
    DLTensor t;
    int64_t shape[4], stride[4];
};

/* A dense tensor of up to four axes; 0 ends the list. */
static DLTensor *
dense(struct tensor *r, float *data, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t size[4] = {a, b, c, d};
    r->t = (DLTensor){.data = data, .device = {kDLCPU, 0}, .dtype = {kDLFloat, 32, 1}};
    for (; r->t.ndim < 4 && size[r->t.ndim]; r->t.ndim++)
        r->shape[r->t.ndim] = size[r->t.ndim];
    for (int k = r->t.ndim - 1; k >= 0; k--)
        r->stride[k] = k == r->t.ndim - 1 ? 1 : r->stride[k + 1] * r->shape[k + 1];
    r->t.shape = r->shape;
    r->t.strides = r->stride;
    return &r->t;
}

/* Tokens [at, at + count) of axis `axis`. */
static DLTensor *
tokens(DLTensor *t, int axis, int at, int count)
{
    t->shape[axis] = count;
    t->byte_offset = (uint64_t)(at * t->strides[axis]) * 4;
    return t;
}

struct arguments {
    struct tensor x, y, wq, wk, wv, wo, bq, bo;
};

static void
fill(struct arguments *a, float *out, int batch)
{
    dense(&a->x, x, batch, N, F, 0);
    dense(&a->y, out, batch, N, F, 0);
    dense(&a->wq, wq, F, H, D, 0);
    dense(&a->wk, wk, F, G, D, 0);
    dense(&a->wv, wv, F, G, M, 0);
    dense(&a->wo, wo, H, M, F, 0);
    dense(&a->bq, bq, H, D, 0, 0);
    dense(&a->bo, bo, F, 0, 0, 0);
}

static int
forward(struct arguments *a, attn_exec *exec)
{
    return gqa_layer_forward(&a->x.t, &a->y.t, &a->wq.t, &a->wk.t, &a->wv.t, &a->wo.t, &a->bq.t,
                             &a->bo.t, exec);
}

static int
step(attn_state *s, float *out, int at, int count, int batch)
{
    struct arguments a;
    fill(&a, out, batch);
    return gqa_layer_step(s, tokens(&a.x.t, 1, at, count), tokens(&a.y.t, 1, at, count), &a.wq.t,
                          &a.wk.t, &a.wv.t, &a.wo.t, &a.bq.t, &a.bo.t, NULL);
}

static int
step_both(attn_state *s, float *out, int at, int count)
{
    struct tensor t[4];
    return mixed_step(s, tokens(dense(&t[0], x, B, N, F, 0), 1, at, count),
                              tokens(dense(&t[1], out, B, H, N, D), 2, at, count),
                              dense(&t[2], wq, F, H, D, 0), dense(&t[3], wg, F, H, 0, 0), NULL);
}

static double
difference(const float *a, const float *b, int n)
{
    double most = 0;
    for (int k = 0; k < n; k++)
        most = fmax(most, fabs((double)a[k] - b[k]));
    return most;
}

static void
one_call(void)
{
    struct arguments a;
    attn_exec exec = {.threads = 1};
    fill(&a, whole, B);
    check(!forward(&a, NULL), "forward");
    a.wk.shape[1] = 3;
    a.wv.shape[1] = 2;
    check(forward(&a, NULL) == ATTN_E_SHAPE, "another G in Wk than in Wv");
    puts(attn_message());
    fill(&a, y, B);
    a.wo.shape[2] = F - 1;
    check(forward(&a, NULL) == ATTN_E_SHAPE, "another F in Wo");
    puts(attn_message());
    fill(&a, y, B);
    exec.workspace_size = gqa_layer_workspace(&a.x.t, NULL, &a.wq.t, &a.wk.t, &a.wv.t, &a.wo.t,
                                              &a.bq.t, &a.bo.t);
    exec.workspace = aligned_alloc(64, (exec.workspace_size + 63) / 64 * 64);
    check(!forward(&a, &exec), "a workspace of the size that was told");
    check(!memcmp(whole, y, sizeof y), "the same bits in it");
    exec.workspace_size = 64;
    check(forward(&a, &exec) == ATTN_E_MEMORY, "a small workspace");
    puts(attn_message());
    free(exec.workspace);
    a.y.stride[1] = F / 2;
    check(forward(&a, NULL) == ATTN_E_STRIDE, "overlapping rows");
    puts(attn_message());
    for (int threads = 1; threads < 4; threads++) {
        fill(&a, y, B);
        check(!forward(&a, &(attn_exec){.threads = threads}), "threads");
        check(!memcmp(whole, y, sizeof y), "the same bits with any number of threads");
    }
    fill(&a, y, B);
    tokens(&a.x.t, 1, 0, 0);
    tokens(&a.y.t, 1, 0, 0);
    check(!forward(&a, NULL), "no tokens");
}

static void
steps(void)
{
    attn_state s, copy = {0}, loaded;
    check(!attn_state_init(&s, &gqa_layer_kernel, N), "init");
    check(!step(&s, y, 0, 30, B) && !step(&s, y, 30, 0, B), "prefill");
    for (int i = 30; i < 37; i++)
        check(!step(&s, y, i, 1, B), "a step");
    check(step(&s, y, 37, 4, B) == ATTN_E_FULL && s.position == 37, "a full cache");
    puts(attn_message());
    check(step(&s, y, 37, 1, 1) == ATTN_E_STATE && s.position == 37, "another batch");
    puts(attn_message());
    check(!attn_state_copy(&copy, &s), "copy");
    size_t size = attn_state_saved_size(&s);
    char *saved = malloc(size);
    check(!attn_state_save(&s, saved, size), "save");
    check(!attn_state_init(&loaded, &gqa_layer_kernel, 0), "init for loading");
    for (size_t cut = 0; cut < size; cut += size / 97 + 1)
        check(attn_state_load(&loaded, saved, cut) == ATTN_E_STATE, "a truncated one");
    saved[size / 2] ^= 1;
    check(attn_state_load(&loaded, saved, size) == ATTN_E_STATE, "a damaged one");
    puts(attn_message());
    saved[size / 2] ^= 1;
    check(!attn_state_load(&loaded, saved, size), "load");
    check(!step(&s, y, 37, 3, B), "the last tokens");
    check(difference(whole, y, B * N * F) < 2e-5, "what forward gives");
    memset(y, 0, sizeof y);
    check(!step(&copy, y, 37, 3, B), "the last tokens of the copy");
    check(difference(whole + 37 * F, y + 37 * F, 3 * F) < 2e-5, "the copy goes on");
    memset(y, 0, sizeof y);
    check(!step(&loaded, y, 37, 3, B), "the last tokens of the loaded one");
    check(difference(whole + 37 * F, y + 37 * F, 3 * F) < 2e-5, "the loaded one goes on");
    attn_state_reset(&s);
    check(!step(&s, y, 0, N, B) && difference(whole, y, B * N * F) < 2e-5, "from the start again");
    attn_state other;
    check(!attn_state_init(&other, &mixed_kernel, N), "init of another");
    check(attn_state_load(&other, saved, size) == ATTN_E_STATE, "a state of another program");
    puts(attn_message());
    check(!attn_step_workspace(&s, NULL, NULL, NULL), "no workspace for steps");
    puts(attn_message());
    attn_state_free(&s);
    attn_state_free(&copy);
    attn_state_free(&loaded);
    attn_state_free(&other);
    free(saved);
}

/* A window over a cache, and gated sums: forward, in steps, and from a saved state. */
static void
both_kinds(void)
{
    struct tensor t[4];
    attn_state s, loaded;
    check(!mixed_forward(dense(&t[0], x, B, N, F, 0), dense(&t[1], mixed, B, H, N, D),
                         dense(&t[2], wq, F, H, D, 0), dense(&t[3], wg, F, H, 0, 0), NULL),
          "forward of both");
    check(!attn_state_init(&s, &mixed_kernel, N), "init of both");
    for (int i = 0; i < 20; i += 4)
        check(!step_both(&s, part, i, 4), "steps of both");
    size_t size = attn_state_saved_size(&s);
    char *saved = malloc(size);
    check(!attn_state_save(&s, saved, size), "save of both");
    check(!attn_state_init(&loaded, &mixed_kernel, 0) && !attn_state_load(&loaded, saved, size),
          "load of both");
    for (int i = 20; i < N; i++)
        check(!step_both(&loaded, part, i, 1), "steps of the loaded one");
    check(difference(mixed, part, B * H * N * D) < 1e-4, "both kinds step as forward runs");
    attn_state_free(&s);
    attn_state_free(&loaded);
    free(saved);
}

static void
random_numbers(float *p, size_t n, double scale)
{
    for (size_t k = 0; k < n; k++)
        p[k] = (float)((rand() / (double)RAND_MAX * 2 - 1) * scale);
}

int
main(void)
{
    random_numbers(x, B * N * F, 1);
    random_numbers(wq, F * H * D, 0.3);
    random_numbers(wk, F * G * D, 0.3);
    random_numbers(wv, F * G * M, 0.3);
    random_numbers(wo, H * M * F, 0.3);
    random_numbers(bq, H * D, 0.3);
    random_numbers(bo, F, 0.3);
    random_numbers(wg, F * H, 0.3);
    one_call();
    steps();
    both_kinds();
    puts(failures ? "failed" : "all as expected");
    return failures != 0;
}
