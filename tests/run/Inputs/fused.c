/* The state of attentions that run as one keeps what they share once: copied, saved and loaded, it
 * goes on as it would have. Prints the messages of the failures it provokes. */
#include <stdlib.h>
#include <string.h>

#include "apart.h"
#include "once.h"

#include "expect.h"

enum { B = 2, H = 4, G = 2, N = 30, D = 6, M = 5, R = 7, ROOM = 32 };

static float q[B * H * N * D], k[B * G * N * D], v[B * G * N * M], w[B * G * N * R];

static int flags;

/* Numbers of a step's results, which are the same in whichever state. */
struct results {
    float y[B * H * N * M], u[B * H * N * R];
};

/* `count` tokens of a dense tensor, from token `at` on. */
static DLTensor
tokens(float *data, int64_t *shape, int64_t *strides, int heads, int width, int at, int count)
{
    const int64_t size[4] = {B, heads, count, width};
    const int64_t stride[4] = {(int64_t)heads * N * width, (int64_t)N * width, width, 1};
    memcpy(shape, size, sizeof size);
    memcpy(strides, stride, sizeof stride);
    return (DLTensor){.data = data + at * width, .device = {kDLCPU, 0}, .ndim = 4,
                      .dtype = {kDLFloat, 32, 1}, .shape = shape, .strides = strides};
}

typedef int step_fn(attn_state *s, const DLTensor *q, const DLTensor *k, const DLTensor *v,
                    const DLTensor *w, DLTensor *y, DLTensor *u, attn_exec *exec);

static int
step(step_fn *fn, attn_state *s, struct results *r, int at, int count)
{
    int64_t size[6][4], stride[6][4];
    DLTensor tq = tokens(q, size[0], stride[0], H, D, at, count),
             tk = tokens(k, size[1], stride[1], G, D, at, count),
             tv = tokens(v, size[2], stride[2], G, M, at, count),
             tw = tokens(w, size[3], stride[3], G, R, at, count),
             ty = tokens(r->y, size[4], stride[4], H, M, at, count),
             tu = tokens(r->u, size[5], stride[5], H, R, at, count);
    attn_exec exec = {.flags = flags};
    return fn(s, &tq, &tk, &tv, &tw, &ty, &tu, &exec);
}

static void
same(const struct results *a, const struct results *b, const char *what)
{
    if (memcmp(a, b, sizeof *a)) {
        printf("not the same: %s\n", what);
        failures++;
    }
}

int
main(void)
{
    static struct results want, got;
    attn_state once = {0}, apart = {0}, copy = {0}, loaded = {0};
    float *all[] = {q, k, v, w};
    const size_t length[] = {sizeof q, sizeof k, sizeof v, sizeof w};
    for (int t = 0; t < 4; t++)
        for (size_t e = 0; e < length[t] / sizeof(float); e++)
            all[t][e] = (float)rand() / (float)RAND_MAX - 0.5f;
    expect(attn_state_init(&once, &once_kernel, ROOM), ATTN_OK);
    expect(attn_state_init(&apart, &apart_kernel, ROOM), ATTN_OK);
    for (int at = 0, n = 11; at < N; at += n, n = 1) {
        expect(step(once_step, &once, &got, at, n), ATTN_OK);
        expect(step(apart_step, &apart, &want, at, n), ATTN_OK);
        if (at != 15)
            continue;
        expect(attn_state_copy(&copy, &once), ATTN_OK);
        size_t size = attn_state_saved_size(&once);
        void *buffer = malloc(size);
        expect(attn_state_save(&once, buffer, size), ATTN_OK);
        expect(attn_state_init(&loaded, &once_kernel, ROOM), ATTN_OK);
        expect(attn_state_load(&loaded, buffer, size), ATTN_OK);
        expect(attn_state_load(&apart, buffer, size), ATTN_E_STATE);
        free(buffer);
    }
    same(&got, &want, "one kernel and three");
    for (int at = 16; at < N; at++)
        expect(step(once_step, &copy, &got, at, 1), ATTN_OK);
    same(&got, &want, "a copy of the state");
    memset(&got.y[16 * M], 0, sizeof(float)); /* so that it is made again */
    for (int at = 16; at < N; at++)
        expect(step(once_step, &loaded, &got, at, 1), ATTN_OK);
    same(&got, &want, "a loaded state");
    enum { ROWS = B * G * ROOM * sizeof(float), HEADERS = 2048 };
    printf("kept once: %d\n",
           attn_state_saved_size(&once) < ROWS * (D + M + R) + HEADERS &&
               attn_state_saved_size(&apart) > ROWS * (3 * D + 2 * M + R));
    expect(step(once_step, &once, &got, 0, 3), ATTN_E_FULL);
    attn_state_reset(&once);
    memset(&got, 0, sizeof got);
    expect(step(once_step, &once, &got, 0, N), ATTN_OK);
    attn_state_reset(&once);
    flags = ATTN_CHECK; /* a row of the third that sees one key, with which its score is below 0 */
    expect(step(once_step, &once, &got, 0, N), ATTN_E_ZERO_ROW);
    attn_state_free(&once);
    attn_state_free(&apart);
    attn_state_free(&copy);
    attn_state_free(&loaded);
    puts(failures ? "failed" : "all as expected");
    return failures != 0;
}
