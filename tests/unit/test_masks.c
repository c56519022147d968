/* Masks cost what they show and nothing leaks through them.
 *
 * Each mask is run at odd sizes by the interpreter (the meaning), by the tile executor and as code
 * of each instruction set this machine has, on small whole numbers where f32 is exact: all must
 * agree bit for bit. Keys that a row does not see are then filled with inf and NaN, which must
 * change nothing; params get NaN and inf, which no summary of a tile may hide.
 *
 * The executor counts the pairs of query and key that were compared. In a tile of ni <= tq
 * queries, let an edge of the visible area move by at most one key from row to row. Its keys are
 * visited from the outermost row's edge, rounded to a tile of tk: the r-th row from that one
 * computes at most r + tk - 1 keys too many, together ni*(tk - 1) + ni*(ni - 1)/2, and ni*(tk - 1)
 * for an edge that is the same in every row. An edge that ends the visible rows adds at most
 * (ni - 1)*n, in one tile of queries. A mask made of several parts computes at most the sum. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "frontend/driver/values.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "passes/schedule.h"
#include "thinned.h"

enum { TQ = 16, TK = 7 };
enum { DIAGONAL = 1, VERTICAL = 16, HORIZONTAL = 256, NO_BOUND = 4096, TOUCHED = 8192 };

/* edges: how many of each kind bound the visible area. TOUCHED: every tile that is computed holds a
 * visible pair, which is less than any bound by edges. */
static const struct program {
    const char *mask;
    int edges;
} programs[] = {
    {"window 5;", 2 * DIAGONAL + TOUCHED},
    {"window 1;", 2 * DIAGONAL + TOUCHED},
    {"window 100000;", TOUCHED},
    {"param w = 9.5; window w;", 2 * DIAGONAL + TOUCHED},
    {"param w = 1; window min(n/4, 20*w);", 2 * DIAGONAL + TOUCHED},
    {"causal; window 20;", 2 * DIAGONAL + TOUCHED},
    {"causal;", DIAGONAL + TOUCHED},
    {"causal; mask = i - j < 20 or j < 4;", 3 * DIAGONAL + VERTICAL + TOUCHED},
    {"mask = i < 4 or j < 4 or |i - j| < 20;", 2 * DIAGONAL + VERTICAL + HORIZONTAL + TOUCHED},
    {"mask = i >= 40 or |j - 50| < 3 or abs(j - i) <= 2;",
     2 * DIAGONAL + 2 * VERTICAL + HORIZONTAL + TOUCHED},
    {"param p = 13; mask = j <= i or j < p;", DIAGONAL + VERTICAL + TOUCHED},
    {"param p = 30; mask = j > p or i <= p - 4;", VERTICAL + HORIZONTAL + TOUCHED},
    {"param p = 8; mask = not (j > i - p) and j >= 2;", DIAGONAL + VERTICAL},
    {"mask = not (|i - j| < 20);", 2 * DIAGONAL + TOUCHED},
    {"mask = j < 3 or (j >= 20 and j < 22) or j == 40 or (j > 60 and j < 63);",
     6 * VERTICAL + TOUCHED},
    {"mask = j == 2 or j == 11 or j == 19 or j == 30 or j == 31 or j == 44 or j == 60 or j == i;",
     2 * DIAGONAL + 14 * VERTICAL + TOUCHED},
    {"mask = (j < 9 or j > 50 or j == i) and (i - j < 9 or j - i > 30 or j == 2) and (j < 60 or "
     "j > 70);", NO_BOUND},
    {"mask = (j < 9 or j > 50) and (i - j < 9 or j - i > 30 or j == 2);",
     6 * DIAGONAL + 6 * VERTICAL},
    {"mask = min(i, 30) >= j and max(j, 4) < 50;", DIAGONAL + 3 * VERTICAL},
    {"mask = 2*j <= i;", DIAGONAL + TOUCHED},
    {"mask = j < i - 40;", DIAGONAL + TOUCHED},
    {"mask = i > 10;", HORIZONTAL + TOUCHED},
    {"mask = j < 0;", TOUCHED},
    {"mask = j > i + 5 and j < i;", 2 * DIAGONAL},
    {"mask = j < 20*(h + 1) and j != b;", 5 * VERTICAL + TOUCHED},
    {"mask = mod(i - j, 37) == 0;", NO_BOUND + TOUCHED},
    {"mask = mod(i - j + 3, 41) < 2;", NO_BOUND + TOUCHED},
    {"mask = mod(j, 30) >= 25;", NO_BOUND + TOUCHED},
    {"mask = mod(j - i, 4) != 2;", NO_BOUND + TOUCHED},
    {"mask = mod(i/2 - j/2, 3.5) == 0;", NO_BOUND},
    {"causal; mask = mod(i - j, 5) == 0 or i - j < 9;", DIAGONAL + NO_BOUND},
    {"causal; mask = (i - j) - 5*floor((i - j)/5) == 0;", DIAGONAL + NO_BOUND},
    {"mask = floor(i/12) == floor(j/12);", NO_BOUND + TOUCHED},
    {"param doc[B,n]; mask = doc[b,i] == doc[b,j];", NO_BOUND + TOUCHED},
    {"param doc[B,n]; causal; mask = doc[b,i] == doc[b,j];", NO_BOUND + TOUCHED},
    {"param doc[H,n]; mask = doc[h,j] == doc[h,i] or j < 2;", NO_BOUND + TOUCHED},
    {"param doc[B,n]; mask = doc[b,i] != doc[b,j];", NO_BOUND},
    {"param t[B,H,n]; mask = t[b,h,j] <= t[b,h,i];", NO_BOUND},
    {"param t[B,n]; mask = not (t[b,j] > t[b,i]) and not (t[b,i] < 0.5);", NO_BOUND},
    {"param len[B]; mask = j < 40*abs(len[b]);", VERTICAL + TOUCHED},
    {"param valid[B,n]; causal; mask = valid[b,j] >= 0;", NO_BOUND},
    {"param a[n]; param c[n]; mask = a[i] + 1 > 2*c[j] and not (c[j] == a[i]);", NO_BOUND},
};

static int passed, failed;

static void
check(bool ok, const char *what, const char *mask, const int64_t *d)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAILED %s of '%s' at B=%lld H=%lld G=%lld n_q=%lld n=%lld D=%lld M=%lld\n", what,
               mask, (long long)d[0], (long long)d[1], (long long)d[2], (long long)d[3],
               (long long)d[4], (long long)d[5], (long long)d[6]);
}

/* ---- from text to code ---- */

struct built {
    struct arena *arena;
    struct ir_func *f;       /* as written */
    struct tile_prog *prog;
    struct cg_module *module;
    struct cg_jit *jit;
    const attn_kernel *kernel;
};

static struct ir_func *
compile(struct arena *a, const char *text)
{
    struct diag *d = ARENA_NEW(a, struct diag);
    struct compiled made;
    struct source *src = source_new(a, "mask.attn", text, strlen(text));
    diag_init(d, src, stderr);
    if (!frontend_compile(a, src, "t", NULL, 0, d, &made))
        exit(1);
    return made.func;
}

static void
build(struct built *x, const char *mask, bool small, const struct cg_target *target)
{
    struct schedule_tuning tiles = schedule_default_tuning;
    struct pass_options po = {.dump = stdout};
    struct derivation why = {0};
    struct diag d;
    struct cg_options o = {.variant = {target}, .nvariants = 1, .opt_level = 2};
    const char *text, *error = NULL;
    memset(x, 0, sizeof *x);
    x->arena = arena_new();
    text = arena_printf(x->arena, "sim = (q·k + 1)^2; normalize = 1; %s", mask);
    diag_init(&d, NULL, stderr);
    struct pass_context pc = {.diag = &d, .why = &why, .scratch = x->arena};
    x->f = compile(x->arena, text);
    struct ir_func *g = ir_func_clone(x->arena, x->f);
    if (small)
        tiles.query_tile = TQ, tiles.key_tile = TK;
    x->prog = passes_run(g, &po, &pc) ? schedule_forward(x->arena, g, &tiles, &d) : NULL;
    span_t at;
    const char *bad = x->prog ? tile_verify(x->prog, x->arena, &at) : "no schedule";
    if (bad)
        printf("%s: %s\n", mask, bad), exit(1);
    x->module = cg_build(x->arena, (const struct tile_prog *[]){x->prog}, 1, &o);
    x->kernel = cg_jit_compile(x->module, &x->jit, &error);
    if (!x->kernel)
        printf("%s: %s\n", mask, error), exit(1);
}

static void
discard(struct built *x)
{
    cg_jit_free(x->jit);
    cg_free(x->module);
    ir_func_free(x->prog->func);
    ir_func_free(x->f);
    arena_free(x->arena);
}

/* ---- what is visible ---- */

/* 1 where query i sees key j: [B, H, n_q, n], from the interpreter with v the identity. */
static num *
visible(const char *mask, struct interp_input in, const int64_t *dims)
{
    struct arena *a = arena_new();
    struct ir_func *f = compile(a, arena_printf(a, "sim = 1 + 0*(b + h + i); normalize = 1; %s",
                                               mask));
    int64_t d[DIM_USER], n = dims[DIM_N];
    const char *why = NULL;
    memcpy(d, dims, sizeof d);
    d[DIM_M] = n;
    num *v = xmalloc(sizeof(num) * (size_t)(d[DIM_B] * d[DIM_G] * n * n + 1));
    num *seen = xmalloc(sizeof(num) * (size_t)(d[DIM_B] * d[DIM_H] * d[DIM_NQ] * n + 1));
    for (int64_t k = 0; k < d[DIM_B] * d[DIM_G] * n * n; k++)
        v[k].f = k / n % n == k % n;
    in.dims = d;
    in.v = v;
    if (!interp_node(f, f->root[ROOT_OUT], &in, seen, &why))
        printf("%s: %s\n", mask, why), exit(1);
    free(v);
    ir_func_free(f);
    arena_free(a);
    return seen;
}

struct area {
    int64_t pairs, touched; /* visible pairs; pairs in tiles with a visible one */
};

static struct area
area_of(const num *seen, const int64_t *d)
{
    struct area a = {0, 0};
    int64_t n = d[DIM_N];
    for (int64_t p = 0; p < d[DIM_B] * d[DIM_H]; p++)
        for (int64_t i = 0; i < d[DIM_NQ]; i += TQ)
            for (int64_t j = 0; j < n; j += TK) {
                int64_t ni = d[DIM_NQ] - i < TQ ? d[DIM_NQ] - i : TQ, nj = n - j < TK ? n - j : TK;
                int64_t count = 0;
                for (int64_t r = 0; r < ni * nj; r++)
                    count += seen[(p * d[DIM_NQ] + i + r / nj) * n + j + r % nj].f != 0;
                a.pairs += count;
                a.touched += count ? ni * nj : 0;
            }
    return a;
}

/* How many pairs may be computed beyond the visible ones: see the head of this file. */
static int64_t
rounding(int edges, const int64_t *d)
{
    int64_t sum = 0, diagonal = edges & 15, vertical = edges >> 4 & 15, across = edges >> 8 & 15;
    for (int64_t i = 0; i < d[DIM_NQ]; i += TQ) {
        int64_t ni = d[DIM_NQ] - i < TQ ? d[DIM_NQ] - i : TQ;
        sum += (diagonal + vertical) * ni * (TK - 1) + diagonal * ni * (ni - 1) / 2;
    }
    return d[DIM_B] * d[DIM_H] * (sum + across * (TQ - 1) * d[DIM_N]);
}

/* ---- checks ---- */

static void
check_counts(const struct built *x, const struct program *p, const struct interp_input *in,
             const num *seen, const num *want, int64_t n)
{
    struct tile_count run, counted;
    const char *why = NULL;
    num *got = xmalloc(sizeof(num) * (size_t)(n + 1));
    bool ok = tile_exec(x->prog, in, got, &run, &why);
    for (int64_t e = 0; ok && e < n; e++)
        ok = got[e].f == want[e].f;
    check(ok, "executor", p->mask, in->dims);
    ok = tile_count(x->prog, in, &counted, &why) && run.scores == counted.scores &&
         run.mul_add == counted.mul_add && run.other == counted.other &&
         run.calls == counted.calls && run.bytes == counted.bytes;
    check(ok, "counting without running", p->mask, in->dims);
    struct area a = area_of(seen, in->dims);
    if (!(p->edges & NO_BOUND))
        check(run.scores <= a.pairs + rounding(p->edges, in->dims), "bound", p->mask, in->dims);
    if (p->edges & TOUCHED)
        check(run.scores == a.touched, "tiles without a visible pair", p->mask, in->dims);
    int64_t scores = run.scores * (in->dims[DIM_D] + in->dims[DIM_M]);
    check(run.mul_add == scores, "products per pair", p->mask, in->dims);
    free(got);
}

static bool
same_bits(const struct values *v, const num *want)
{
    for (int64_t e = 0; e < v->count[3]; e++)
        if (values_get(v, 3, e) != want[e].f)
            return false;
    return true;
}

/* inf and NaN in one key: rows that see it are NaN, no other row changes. */
static bool
poisoned(struct values *v, const num *seen, const num *want, int64_t key)
{
    const int64_t *d = v->dims, n = d[DIM_N];
    for (int64_t p = 0; p < d[DIM_B] * d[DIM_G]; p++)
        for (int64_t c = 0; c < d[DIM_D] + d[DIM_M]; c++)
            if (c < d[DIM_D])
                values_put(v, 1, (p * n + key) * d[DIM_D] + c, INFINITY);
            else
                values_put(v, 2, (p * n + key) * d[DIM_M] + c - d[DIM_D], NAN);
    attn_exec one = {.threads = 1};
    bool ok = values_launch(v, &one) == 0;
    for (int64_t e = 0; ok && e < v->count[3]; e++) {
        double got = values_get(v, 3, e);
        ok = seen[e / d[DIM_M] * n + key].f != 0 ? isnan(got) : got == want[e].f;
    }
    return ok;
}

/* odd: NaN and inf among the numbers of tensor params, and scalars that are NaN. */
static void
check_sizes(const struct built *x, const struct program *p, const int64_t *dims, bool odd,
            bool counts)
{
    struct values v;
    const char *why = NULL;
    if (!values_alloc(&v, x->f, x->kernel, dims))
        exit(1);
    values_random(&v, (uint64_t)dims[DIM_N] + 3, true);
    for (int t = 4; odd && t < v.kernel->ntensors; t++)
        for (int64_t e = 0; e < v.count[t]; e += 23)
            values_put(&v, t, e, e % 3 == 0 ? NAN : e % 3 == 1 ? INFINITY : -INFINITY);
    for (int k = 0; odd && k < v.kernel->nscalars; k++)
        v.scalars[k] = NAN;
    struct interp_input in = values_interp(&v);
    num *want = xmalloc(sizeof(num) * (size_t)(v.count[3] + 1)), *seen = visible(p->mask, in, dims);
    attn_exec one = {.threads = 1}, three = {.threads = 3};
    bool ok = interp_node(x->f, x->f->root[ROOT_OUT], &in, want, &why);
    check(ok && values_launch(&v, &one) == 0 && same_bits(&v, want), "code", p->mask, dims);
    check(values_launch(&v, &three) == 0 && same_bits(&v, want), "threads", p->mask, dims);
    if (counts && !odd)
        check_counts(x, p, &in, seen, want, v.count[3]);
    int64_t n = dims[DIM_N];
    if (n > 0)
        check(poisoned(&v, seen, want, n * 2 / 3), "NaN in a key", p->mask, dims);
    free(want);
    free(seen);
    values_free(&v);
}

int
main(void)
{
    static const int64_t sizes[][DIM_USER] = {
        {1, 1, 1, 1, 1, 2, 1},   {2, 2, 1, 33, 33, 3, 2},  {1, 2, 2, 101, 101, 2, 3},
        {2, 1, 1, 37, 90, 1, 2}, {1, 2, 1, 64, 128, 5, 17}, {1, 1, 1, 0, 9, 2, 2},
        {1, 1, 1, 9, 0, 2, 2},   {1, 2, 2, 75, 31, 2, 2},
    };
    static const int64_t large[DIM_USER] = {2, 1, 1, 200, 301, 3, 2};
    const size_t step = thinned() ? 5 : 1;
    for (size_t k = 0; k < sizeof programs / sizeof *programs; k += step)
        for (int t = 0; t < cg_target_count && cg_targets[t].isa <= attn_isa_level(); t++) {
            const struct program *p = &programs[k];
            bool tensors = strchr(p->mask, '[') != NULL, params = strstr(p->mask, "param");
            struct built small, usual;
            build(&small, p->mask, true, &cg_targets[t]);
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (int odd = 0; odd <= params; odd++)
                    if (!tensors || sizes[s][DIM_NQ] <= sizes[s][DIM_N])
                        check_sizes(&small, p, sizes[s], odd != 0, t == 0);
            discard(&small);
            if (t > 0) /* tiles of the usual size */
                continue;
            build(&usual, p->mask, false, &cg_targets[t]);
            check_sizes(&usual, p, large, false, false);
            discard(&usual);
        }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
