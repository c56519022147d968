/* Real programs over the field GF(2^61 - 1): the axis IR after every pass, and the tile IR under
 * several tilings, against the function as written, on random inputs. No tolerance is involved; a
 * wrong rewrite or loop nest agrees by chance with probability below 1e-15 (Schwartz-Zippel). What
 * is not algebraic (elu) is a fixed random function there, so only exact rewrites survive. Every
 * form, shape and seed that agrees counts as one test passed.
 *
 * And laws that need no reference: keys may be permuted where positions do not matter, batches are
 * independent, the result is linear in v. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "frontend/driver/driver.h"
#include "kernels.h"

static long passed, failed, runs;

static const char *const examples[] = {
    "quadratic", "quadratic_direct", "quadratic_homogeneous", "quadratic_phi", "cubic",
    "polynomial_signed", "cosine", "dot", "relu", "elu_feature", "elu_scalar"};

static const struct {
    const char *name, *text;
} more[] = {
    {"degrees", "sim = (q·k)^4/7 - (q·k)^3 + 2*(q·k)^2 - 5; kernelize;"},
    {"divided", "sim = (q·k + 1)^2 / (1 + norm2(q)) / (2 + norm2(k)); kernelize;"},
    {"normalised", "sim = (q·k + 1)^2; normalize = z^2 + i + 1; kernelize;"},
    {"bounded", "sim = q·k / (norm(q) * norm(k)); normalize = max(abs(z), 1); causal;"},
    {"joined", "let phi(x) = [1, x, x ⊗ x, 2*x]; sim = phi(q)·phi(k); kernelize;"},
    {"sympow", "sim = sympow(q, 2)·sympow(k, 2) + roll(q, 1)·k; kernelize;"},
    {"rope", "sim = (rope(q, i)·rope_half(k, j) + rope(q, i - j)·k)^2;"},
    {"rope of features", "let f(x) = [1, x, x*x]; sim = rope(f(q), i)·rope(f(k), j, 100); "
                         "kernelize;"},
    {"positions", "sim = (i - j)^2 * (q·k + 1); kernelize; normalize = 1;"},
    {"cubed difference", "sim = (norm2(q) - norm2(k))^3 * (q·k) + (i - j)^2 + i^2; kernelize;"},
    {"squared distance", "sim = norm2(q - k)^2; kernelize;"},
    {"distance from a param", "param c = 4; param g[H]; sim = (c*g[h] - norm2(q - k) - 2*c)^2 + "
                              "c*(q·k) + c^2*(q·k)*norm2(q); kernelize;"},
    {"inverses", "sim = (1/(1 + norm2(q)) + 1/(1 + norm2(k)))^2 + i^9*(i - j)^9; kernelize;"},
    {"hidden keys", "param len = 3; sim = (q·k + j)^2; mask = j >= len and j < 11; kernelize;"},
    {"two params", "param t = 2; param g[H]; sim = (g[h] * (q·k) / t + 1)^2; kernelize;"},
    {"gates", "param u[D]; sim = ((u * q)·k)^2 + relu(u * k)·q; kernelize;"},
    {"metric", "param W[D, D]; sim = (q·(W @ k))^2; mask = j <= i or j < 2;"},
    {"random features", "dim R; param P[R, D]; let phi(x) = [(P @ x)^2, 1]; sim = phi(q)·phi(k); "
                        "kernelize;"},
    {"biased", "param bias[H, n, n]; sim = (q·k)^2 + bias[h, i, j]; causal;"},
    {"ragged", "param len[B]; sim = (q·k + 1)^2; mask = j < len[b];"},
};

/* ---- the forms of one program ---- */

enum { MAX_FORMS = 16, TILINGS = 4 };

struct forms {
    struct program p;
    struct ir_func *func[MAX_FORMS]; /* after each pass */
    struct tile_prog *tiles[TILINGS];
    int nfuncs;
    int first;                       /* that means what the last does */
    bool keys_alike;                 /* nothing depends on the position of a key */
};

static bool
depends_on_key_position(const struct ir_func *f, struct arena *a)
{
    bool *live = ir_live(f, a);
    for (uint32_t k = 1; k < f->nnodes; k++)
        if (live[k] && (f->nodes[k].op == IR_pos || f->nodes[k].op == IR_param) &&
            (f->nodes[k].axes >> AX_j & 1))
            return true;
    return false;
}

static bool
forms_open(struct forms *x, const char *name, const char *text)
{
    static const struct schedule_tuning tiling[TILINGS] = {
        {64, 128, 128, 256}, {4, 3, 3, 1}, {1, 1, 1, 4}, {5, 8, 7, 6}};
    memset(x, 0, sizeof *x);
    if (!program_read(&x->p, name, text, NULL, 0))
        return false;
    struct program *p = &x->p;
    x->keys_alike = !depends_on_key_position(p->source, p->arena);
    for (; x->nfuncs < pass_count; x->nfuncs++) {
        if (!program_pass(p, pass_table[x->nfuncs].name))
            return false;
        if (pass_table[x->nfuncs].breaks & FACT_WRITTEN && p->meaning != p->source)
            x->first = x->nfuncs;
        x->func[x->nfuncs] = ir_func_clone(p->arena, p->func);
    }
    for (int k = 0; k < TILINGS; k++) {
        x->tiles[k] = schedule_forward(p->arena, p->func, &tiling[k], &p->diag);
        span_t at;
        const char *bad = x->tiles[k] ? tile_verify(x->tiles[k], p->arena, &at) : "no schedule";
        if (bad) {
            printf("%s: %s\n", name, bad);
            return false;
        }
    }
    return true;
}

static void
forms_close(struct forms *x)
{
    for (int k = 0; k < x->nfuncs; k++)
        ir_func_free(x->func[k]);
    program_close(&x->p);
}

/* ---- inputs ---- */

struct values {
    const struct ir_func *f;
    int64_t dims[32], count[4]; /* elements of q k v out */
    num *in[3], *param[8];
    struct interp_input input;
};

static uint64_t
next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static num *
random_nums(int64_t n, uint64_t range, uint64_t *seed)
{
    num *x = xmalloc(sizeof(num) * (size_t)(n + 1));
    for (int64_t k = 0; k < n; k++)
        x[k].u = next(seed) % range;
    return x;
}

/* Params that masks compare with positions are small, the rest is anything in the field. */
static void
values_open(struct values *v, const struct ir_func *f, const int64_t *dims, uint64_t seed)
{
    *v = (struct values){.f = f};
    for (uint32_t k = 0; k < f->ndims; k++)
        v->dims[k] = k < DIM_USER ? dims[k] : 3;
    const int64_t *d = v->dims;
    int64_t keys = d[DIM_B] * d[DIM_G] * d[DIM_N], queries = d[DIM_B] * d[DIM_H] * d[DIM_NQ];
    const int64_t count[4] = {queries * d[DIM_D], keys * d[DIM_D], keys * d[DIM_M],
                              queries * d[DIM_M]};
    memcpy(v->count, count, sizeof count);
    for (int k = 0; k < 3; k++)
        v->in[k] = random_nums(count[k], GF_P, &seed);
    for (uint32_t k = 0; k < f->nparams; k++) {
        int64_t n = 1;
        for (int r = 0; r < f->params[k].rank; r++)
            n *= d[f->params[k].dims[r]];
        bool length = !strcmp(f->params[k].name, "len");
        v->param[k] = random_nums(n, length ? (uint64_t)d[DIM_N] + 2 : GF_P, &seed);
    }
    v->input = (struct interp_input){.dom = NUM_GF, .dims = v->dims, .q = v->in[0], .k = v->in[1],
                                     .v = v->in[2], .params = (const num *const *)v->param};
}

static void
values_close(struct values *v)
{
    for (int k = 0; k < 3; k++)
        free(v->in[k]);
    for (int k = 0; k < 8; k++)
        free(v->param[k]);
}

/* ---- comparing ---- */

static void
judge(bool ok, const struct forms *x, const char *what, const int64_t *d, const char *why)
{
    passed += ok;
    failed += !ok;
    if (!ok && failed < 30)
        printf("FAILED %s, %s, B=%lld H=%lld G=%lld n_q=%lld n=%lld D=%lld M=%lld: %s\n",
               x->p.src->name, what, (long long)d[0], (long long)d[1], (long long)d[2],
               (long long)d[3], (long long)d[4], (long long)d[5], (long long)d[6],
               why ? why : "the outputs differ");
}

static bool
same(const num *a, const num *b, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (a[k].u != b[k].u)
            return false;
    return true;
}

static void
compare_forms(const struct forms *x, const struct values *v, const num *want, num *got)
{
    for (int k = x->first; k < x->nfuncs; k++) {
        const char *why = NULL;
        const struct ir_func *f = x->func[k];
        bool ok = interp_node(f, f->root[ROOT_OUT], &v->input, got, &why);
        judge(ok && same(want, got, v->count[3]), x, pass_table[k].name, v->dims, why);
    }
    for (int k = 0; k < TILINGS; k++) {
        const char *why = NULL;
        bool ok = tile_exec(x->tiles[k], &v->input, got, NULL, &why);
        judge(ok && same(want, got, v->count[3]), x, x->tiles[k]->schedule, v->dims, why);
    }
}

/* ---- laws ---- */

/* Runs one of the tilings, another each time. */
static bool
run(const struct forms *x, const struct interp_input *in, num *out)
{
    const char *why = NULL;
    return tile_exec(x->tiles[runs++ % TILINGS], in, out, NULL, &why);
}

/* Blocks of `size` numbers in reverse order, within each of n / size / blocks groups. */
static num *
reversed(const num *from, int64_t n, int64_t blocks, int64_t size)
{
    num *to = xmalloc(sizeof(num) * (size_t)(n + 1));
    for (int64_t e = 0; e < n; e++) {
        int64_t block = e / size % blocks, group = e / size / blocks;
        to[e] = from[(group * blocks + blocks - 1 - block) * size + e % size];
    }
    return to;
}

static void
permute_keys(const struct forms *x, const struct values *v, const num *want, num *got)
{
    struct interp_input in = v->input;
    const int64_t *d = v->dims;
    num *k = reversed(v->in[1], v->count[1], d[DIM_N], d[DIM_D]);
    num *w = reversed(v->in[2], v->count[2], d[DIM_N], d[DIM_M]);
    in.k = k;
    in.v = w;
    judge(run(x, &in, got) && same(want, got, v->count[3]), x, "keys permuted", d, NULL);
    free(k);
    free(w);
}

static void
reverse_batches(const struct forms *x, const struct values *v, const num *want, num *got)
{
    struct interp_input in = v->input;
    int64_t batches = v->dims[DIM_B], size[4];
    num *t[4];
    for (int k = 0; k < 4; k++) {
        size[k] = v->count[k] / batches;
        t[k] = reversed(k < 3 ? v->in[k] : want, v->count[k], batches, size[k] ? size[k] : 1);
    }
    in.q = t[0];
    in.k = t[1];
    in.v = t[2];
    judge(run(x, &in, got) && same(t[3], got, v->count[3]), x, "batches reversed", v->dims, NULL);
    for (int k = 0; k < 4; k++)
        free(t[k]);
}

/* out(a v + w) = a out(v) + out(w) */
static void
combine_values(const struct forms *x, const struct values *v, const num *want, num *got,
               uint64_t seed)
{
    struct interp_input in = v->input;
    num a = {.u = next(&seed) % GF_P}, *w = random_nums(v->count[2], GF_P, &seed);
    num *sum = xmalloc(sizeof(num) * (size_t)(v->count[2] + 1));
    num *second = xmalloc(sizeof(num) * (size_t)(v->count[3] + 1));
    for (int64_t k = 0; k < v->count[2]; k++)
        sum[k] = num_add(NUM_GF, num_mul(NUM_GF, a, v->in[2][k]), w[k]);
    in.v = w;
    bool ok = run(x, &in, second);
    in.v = sum;
    ok = ok && run(x, &in, got);
    for (int64_t k = 0; ok && k < v->count[3]; k++)
        second[k] = num_add(NUM_GF, num_mul(NUM_GF, a, want[k]), second[k]);
    judge(ok && same(second, got, v->count[3]), x, "linear in v", v->dims, NULL);
    free(w);
    free(sum);
    free(second);
}

/* ---- programs ---- */

static bool
indexed_by_batch(const struct ir_func *f)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        for (int r = 0; r < f->params[k].rank; r++)
            if (f->params[k].dims[r] == DIM_B)
                return true;
    return false;
}

static void
run_shape(const struct forms *x, const int64_t *dims, uint64_t seed)
{
    struct values v;
    const char *why = NULL;
    const struct ir_func *f = x->p.meaning;
    values_open(&v, f, dims, seed);
    num *want = xmalloc(sizeof(num) * (size_t)(v.count[3] + 1));
    num *got = xmalloc(sizeof(num) * (size_t)(v.count[3] + 1));
    if (!interp_node(f, f->root[ROOT_OUT], &v.input, want, &why)) {
        judge(false, x, "as written", dims, why);
    } else {
        compare_forms(x, &v, want, got);
        if (x->keys_alike)
            permute_keys(x, &v, want, got);
        if (!indexed_by_batch(f))
            reverse_batches(x, &v, want, got);
        combine_values(x, &v, want, got, seed);
    }
    free(want);
    free(got);
    values_close(&v);
}

/* positions: the program reads tensors at positions, which are negative where n_q > n. */
static void
run_program(const char *name, const char *text, bool positions)
{
    static const int64_t shape[][7] = {
        {1, 1, 1, 1, 1, 1, 1},  {2, 2, 1, 5, 5, 3, 2}, {1, 4, 2, 7, 13, 2, 3},
        {2, 3, 3, 9, 9, 4, 1},  {1, 2, 2, 3, 8, 5, 2}, {2, 4, 1, 2, 17, 1, 5},
        {1, 1, 1, 6, 6, 6, 3},  {1, 2, 1, 0, 4, 2, 2}, {2, 2, 2, 4, 3, 2, 2},
        {1, 1, 1, 2, 0, 2, 2}};
    struct forms x;
    if (!forms_open(&x, name, text)) {
        printf("FAILED %s does not compile\n", name);
        failed++;
    } else {
        for (unsigned s = 0; s < sizeof shape / sizeof *shape; s++)
            for (uint64_t seed = 1; seed <= 3; seed++)
                if (!positions || shape[s][DIM_NQ] <= shape[s][DIM_N])
                    run_shape(&x, shape[s], seed * 100 + s);
    }
    forms_close(&x);
}

int
main(void)
{
    for (unsigned k = 0; k < sizeof examples / sizeof *examples; k++) {
        char path[4096], err[512], *text;
        size_t size;
        snprintf(path, sizeof path, EXAMPLES "/%s.attn", examples[k]);
        if (!file_read(path, SOURCE_MAX_BYTES, &text, &size, err, sizeof err)) {
            printf("FAILED %s\n", err);
            return 1;
        }
        char *copy = strndup(text, size);
        run_program(examples[k], copy, false);
        free(copy);
        free(text);
    }
    for (unsigned k = 0; k < sizeof more / sizeof *more; k++)
        run_program(more[k].name, more[k].text, !strcmp(more[k].name, "biased"));
    for (int k = 0; k < exact_program_count; k++)
        /* neither a maximum nor a power by a position has a meaning over the field */
        if (exact_programs[k].result != HARDMAX && !strstr(exact_programs[k].text, ")^("))
            run_program(exact_programs[k].name, exact_programs[k].text,
                        exact_programs[k].positions);
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed != 0;
}
