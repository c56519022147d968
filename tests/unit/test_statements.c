/* Statements of index notation: what the tiles of schedule `contract` do against the function
 * itself, and what the loops say they do against what was done. Whole numbers: any order of sums
 * is exact. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "passes/schedule.h"

static int passed, failed;

static const char *const programs[] = {
    "output y[b,h,i,d] = x[b,i,f] * W[f,h,d]; input x[b,n,F]; input W[F,H,D];",
    "output y[b,i,f] = o[b,h,i,m] * W[h,m,f] + c[f]; input o[b,h,n,M]; input W[H,M,F]; "
    "input c[F];",
    "output y[b,i,o] = relu(x[b,i,f] * W[f,u]) * U[u,o]; input x[b,n,F]; input W[F,R]; "
    "input U[R,D];",
    "output y[b,d,m] = k[b,j,d] * v[b,j,m]; input k[b,n,D]; input v[b,n,M];",
    "output y[b,i] = x[b,i,d] * w[d]; input x[b,n,D]; input w[D];",
    "output y[d,b,i,h] = x[b,h,i,d] * 2; input x[b,h,n,D];",
    "output y[b,p] = argsort(x[b,t], t); input x[b,n];",
    "output y[b,h,i,p] = argsort(x[b,h,i,t], t) + i; input x[b,h,M,n];",
    "output y[b,p,f] = x[b,at[b,p],f]; input x[b,n,F]; input at[b,n];",
    "output y[b,p] = x[b,p,at[b,p]]; input x[b,n,D]; input at[b,n];",
    "output y[b,f,p] = x[b,f,at[b,p]]; input x[b,F,n]; input at[b,n];",
    "output y[b,p,m] = x[b,at[b,p],f] * W[f,m]; input x[b,n,F]; input W[F,M]; input at[b,n];",
    "output y[b,i,f] = i > 1 ? x[b,i - 2,f] : 0; input x[b,n,F];",
    "output y[b,f] = x[b,n - 1,f]; input x[b,n,F];",
    "output y[b,i] = argmax(x[b,i,d] * W[d,r], r); input x[b,n,D]; input W[D,R];",
    "output y[b,i] = amin(x[b,i,r], r); input x[b,n,R];",
    "output y[b,i,m] = argmin(a[b,i,r] - c[m,r], r); input a[b,n,R]; input c[M,R];",
};

static void
check(bool ok, const char *what, const char *text)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("%s: %s\n", what, text);
}

static bool
same(num x, num y)
{
    return x.f == y.f || (x.f != x.f && y.f != y.f);
}

/* Runs one stage at these sizes of its dims, on whole numbers from -3 to 8. */
static void
run_stage(struct arena *a, struct ir_func *f, const int64_t *dims, const struct schedule_tuning *t,
          const char *text)
{
    struct diag d;
    const char *why = NULL;
    span_t at;
    diag_init(&d, NULL, stderr);
    struct tile_prog *p = schedule_forward(a, f, t, &d);
    const char *bad = p ? tile_verify(p, a, &at) : "no schedule";
    const num **params = ARENA_ARRAY(a, const num *, f->nparams + 1);
    uint64_t state = 7;
    for (uint32_t k = 0; k < f->nparams; k++) {
        int64_t count = 1;
        for (int i = 0; i < f->params[k].rank; i++)
            count *= dims[f->params[k].dims[i]];
        num *x = ARENA_ARRAY(a, num, (size_t)count + 1);
        for (int64_t e = 0; e < count; e++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            x[e].f = (double)((state >> 40) % 12) - 3;
        }
        params[k] = x;
    }
    int64_t n = dims[DIM_B] * dims[DIM_H] * dims[DIM_NQ] * dims[DIM_M];
    num *want = ARENA_ARRAY(a, num, (size_t)n + 1), *got = ARENA_ARRAY(a, num, (size_t)n + 1);
    struct interp_input in = {.dom = NUM_F64, .dims = dims, .params = params};
    struct tile_count run, counted;
    bool ok = !bad && interp_node(f, f->root[ROOT_OUT], &in, want, &why) &&
              tile_exec(p, &in, got, &run, &why);
    if (!ok)
        printf("%s\n", bad ? bad : why);
    for (int64_t k = 0; ok && k < n; k++)
        ok = same(want[k], got[k]);
    check(ok, "the tiles differ from the function", text);
    check(ok && tile_count(p, &in, &counted, &why) && !memcmp(&run, &counted, sizeof run),
          "what is counted differs from what is done", text);
}

static void
run_program(const char *text, int variant)
{
    static const struct schedule_tuning tunings[] = {
        {.query_tile = 16, .key_tile = 7, .chunk = 5, .feature_block = 6},
        {.query_tile = 4, .key_tile = 16, .chunk = 64, .feature_block = 64}};
    static const int64_t sizes[] = {1, 3, 2, 19, 70};
    struct arena *a = arena_new();
    struct source *src = source_new(a, "test.attn", text, strlen(text));
    struct diag d;
    struct compiled c;
    diag_init(&d, src, stderr);
    bool ok = frontend_compile(a, src, "t", NULL, 0, &d, &c) && c.graph;
    check(ok, "is no program", text);
    for (int k = 0; ok && k < c.graph->nstages; k++) {
        struct ir_func *f = c.graph->stage[k]->f;
        int64_t dims[IR_MAX_DIMS];
        for (uint32_t i = 0; i < f->ndims; i++) { /* of one size where they are one dim */
            int shell = c.graph->stage[k]->dim[i];
            bool tokens = shell >= 0 && ir_is_tokens(shell);
            int64_t size = shell < 0 ? 1
                           : tokens  ? sizes[(1 + variant) % 5] + 4 : sizes[(shell + variant) % 4];
            dims[i] = f->dims[i].size > 0 ? f->dims[i].size : size;
        }
        dims[DIM_N] = dims[DIM_NQ];
        run_stage(a, f, dims, &tunings[variant % 2], text);
        ir_func_free(f);
    }
    if (ok)
        ir_func_free(c.graph->shell);
    arena_free(a);
}

int
main(void)
{
    for (size_t k = 0; k < sizeof programs / sizeof *programs; k++)
        for (int variant = 0; variant < 5; variant++)
            run_program(programs[k], variant);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
