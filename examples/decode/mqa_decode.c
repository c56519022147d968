/* Multi-query attention over a cache of fixed capacity: a prompt in one step, then token by token.
 *
 * Eight query heads share one head of keys and values, so the cache has one eighth of the size it
 * would have with a key head for each. Tokens lie one after the other, each with all its heads, as
 * a projection leaves them; strides say so. What was decoded must be what one forward over the
 * whole sequence gives, and a step for which there is no room must leave the cache as it was. */
#include <math.h>
#include <string.h>

#include "mqa.h"
#include "tokens.h"

enum { H = 8, D = 64, TOKENS = 2048 };
static const double BOUND = 2e-6; /* of both sums, relative to the largest output */

struct text {
    int64_t n, prompt;
    float *q, *k, *v, *decoded, *whole; /* q and outputs [n, H, D], k and v [n, D] */
};

/* Tokens [at, at + count) of data [n, heads, D] as a tensor [1, heads, count, D]. */
struct rows {
    DLTensor t;
    int64_t shape[4], stride[4];
};

static DLTensor *
rows(struct rows *r, float *data, int heads, int64_t at, int64_t count)
{
    *r = (struct rows){.shape = {1, heads, count, D}, .stride = {0, D, (int64_t)heads * D, 1}};
    r->t = (DLTensor){.data = data + at * heads * D,
                      .device = {kDLCPU, 0},
                      .ndim = 4,
                      .dtype = {kDLFloat, 32, 1},
                      .shape = r->shape,
                      .strides = r->stride};
    return &r->t;
}

static int
step(attn_state *s, struct text *x, int64_t at, int64_t count, attn_exec *exec)
{
    struct rows r[4];
    return mqa_step(s, rows(&r[0], x->q, H, at, count), rows(&r[1], x->k, 1, at, count),
                    rows(&r[2], x->v, 1, at, count), rows(&r[3], x->decoded, H, at, count), exec);
}

/* Memory that every step of one token can use, so that none allocates. */
static void
own_workspace(attn_exec *exec, const attn_state *s, struct text *x)
{
    struct rows r[3];
    exec->workspace_size = attn_step_workspace(s, rows(&r[0], x->q, H, 0, 1),
                                               rows(&r[1], x->k, 1, 0, 1),
                                               rows(&r[2], x->v, 1, 0, 1));
    want(exec->workspace_size ? ATTN_OK : ATTN_E_SIZE, ATTN_OK);
    exec->workspace = memory(exec->workspace_size);
}

static void
decode(attn_state *s, struct text *x)
{
    attn_exec exec = {.threads = 1}; /* a step is too short to wait for a second */
    double t = seconds();
    want(step(s, x, 0, x->prompt, &exec), ATTN_OK);
    t = seconds() - t;
    printf("  prompt           %lld tokens in one step, %.0f tokens/s\n", (long long)x->prompt,
           (double)x->prompt / t);
    own_workspace(&exec, s, x);
    t = seconds();
    for (int64_t i = x->prompt; i < x->n; i++)
        want(step(s, x, i, 1, &exec), ATTN_OK);
    t = seconds() - t;
    printf("  then one by one  %lld tokens, %.0f tokens/s, workspace %zu bytes\n",
           (long long)(x->n - x->prompt), (double)(x->n - x->prompt) / t, exec.workspace_size);
    printf("  cache            %zu bytes for %lld tokens; with %d key heads %zu\n", s->bytes,
           (long long)s->capacity, H, s->bytes * H);
    free(exec.workspace);
}

/* One token more than the cache holds. */
static void
overflow(attn_state *s, struct text *x)
{
    attn_state before = {0};
    want(attn_state_copy(&before, s), ATTN_OK);
    want(step(s, x, 0, 1, NULL), ATTN_E_FULL);
    printf("  one more         \"%s\"\n", attn_message());
    if (s->position != before.position || memcmp(s->data, before.data, s->bytes)) {
        puts("  the failed step changed the cache");
        exit(1);
    }
    puts("                   the cache is as it was");
    attn_state_free(&before);
}

static double
largest_difference(const struct text *x)
{
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < x->n * H * D; i++) {
        double d = fabs((double)x->decoded[i] - x->whole[i]);
        worst = d <= worst ? worst : d; /* a NaN stays */
        scale = fmax(scale, fabs((double)x->whole[i]));
    }
    return worst / scale;
}

int
main(int argc, char **argv)
{
    struct text x = {.n = token_count(argc, argv, 8, TOKENS)};
    struct rows r[4];
    attn_state s;
    x.prompt = x.n / 4;
    x.q = memory((size_t)x.n * H * D * sizeof *x.q);
    x.k = memory((size_t)x.n * D * sizeof *x.k);
    x.v = memory((size_t)x.n * D * sizeof *x.v);
    x.decoded = memory((size_t)x.n * H * D * sizeof *x.decoded);
    x.whole = memory((size_t)x.n * H * D * sizeof *x.whole);
    for (int64_t i = 0; i < x.n; i++) {
        token_row(i, QUERY, H * D, x.q + i * H * D);
        token_row(i, KEY, D, x.k + i * D);
        token_row(i, VALUE, D, x.v + i * D);
    }
    printf("multi-query attention, %d query heads, 1 key head, D = M = %d, one thread\n", H, D);
    want(attn_state_init(&s, &mqa_kernel, x.n), ATTN_OK);
    decode(&s, &x);
    overflow(&s, &x);
    want(mqa_forward(rows(&r[0], x.q, H, 0, x.n), rows(&r[1], x.k, 1, 0, x.n),
                     rows(&r[2], x.v, 1, 0, x.n), rows(&r[3], x.whole, H, 0, x.n), NULL),
         ATTN_OK);
    double difference = largest_difference(&x);
    int ok = difference <= BOUND;
    printf("  against forward  largest difference %.1e, %s\n", difference,
           ok ? "as it should be" : "TOO LARGE");
    attn_state_free(&s);
    free(x.q);
    free(x.k);
    free(x.v);
    free(x.decoded);
    free(x.whole);
    return !ok;
}
