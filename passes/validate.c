/* Do two functions compute the same? Random inputs, over the field where that decides exactly. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/rewrite.h"
#include "ir/interp.h"

/* True if a live node has no faithful meaning over the field. */
static bool
needs_f64(const struct ir_func *f, struct arena *a)
{
    static const bool real[IR_OP_COUNT] = {
        [IR_rmax] = true, [IR_argmax] = true, [IR_argsort] = true, [IR_pick] = true,
        [IR_ninf] = true, [IR_exp] = true,    [IR_pow] = true,     [IR_floor] = true,
        [IR_sin] = true,  [IR_cos] = true,
    };
    bool *live = ir_live(f, a);
    for (uint32_t k = 1; k < f->nnodes; k++)
        if (live[k] && real[f->nodes[k].op])
            return true;
    return false;
}

/* True if a live node takes roots. Where a number has none in the field, the square of sqrt(x) is
 * -x there: rewrites that combine roots need another look. */
static bool
takes_roots(const struct ir_func *f, struct arena *a)
{
    bool *live = ir_live(f, a);
    for (uint32_t k = 1; k < f->nnodes; k++) {
        const struct ir_node *x = &f->nodes[k];
        if (live[k] && (x->op == IR_sqrt || (x->op == IR_mono && x->attr.id == 2)))
            return true;
    }
    return false;
}

static num
random_num(enum num_domain dom, uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return dom == NUM_GF ? (num){.u = z % GF_P} : (num){.f = (double)(z >> 11) * 0x1p-52 - 1};
}

static bool
equal(enum num_domain dom, num a, num b)
{
    if (dom == NUM_GF)
        return a.u == b.u;
    if (isnan(a.f) || isnan(b.f) || a.f == b.f)
        return (isnan(a.f) && isnan(b.f)) || a.f == b.f;
    double scale = fabs(a.f) > 1 ? fabs(a.f) : 1;
    return fabs(a.f - b.f) <= 1e-6 * scale;
}

/* One result of both: out, or the logarithm of the row sums. What cannot be evaluated agrees. */
static bool
agree_on(enum ir_root root, const struct ir_func *a, const struct ir_func *b,
         const struct interp_input *in, int64_t count, struct arena *m, const char **why)
{
    num *p = ARENA_ARRAY(m, num, count + 1), *r = ARENA_ARRAY(m, num, count + 1);
    bool ok = a->root[root] && b->root[root] && interp_node(a, a->root[root], in, p, why) &&
              interp_node(b, b->root[root], in, r, why);
    for (int64_t k = 0; ok && k < count; k++)
        if (!equal(in->dom, p[k], r[k]))
            return false;
    return true;
}

/* The results for one random input of a domain. */
static bool
agree_in(enum num_domain dom, const struct ir_func *a, const struct ir_func *b, const int64_t *d,
         uint64_t seed, struct arena *m, const char **why)
{
    int64_t nq = d[DIM_B] * d[DIM_H] * d[DIM_NQ] * d[DIM_D],
            nk = d[DIM_B] * d[DIM_G] * d[DIM_N] * d[DIM_D];
    int64_t nv = d[DIM_B] * d[DIM_G] * d[DIM_N] * d[DIM_M],
            rows = d[DIM_B] * d[DIM_H] * d[DIM_NQ];
    num *x = ARENA_ARRAY(m, num, nq + nk + nv + 1);
    const num **params = ARENA_ARRAY(m, const num *, a->nparams + 1);
    for (int64_t k = 0; k < nq + nk + nv; k++)
        x[k] = random_num(dom, &seed);
    for (uint32_t k = 0; k < a->nparams; k++) {
        int64_t n = 1;
        for (int i = 0; i < a->params[k].rank; i++)
            n *= d[a->params[k].dims[i]];
        num *v = ARENA_ARRAY(m, num, n + 1);
        for (int64_t i = 0; i < n; i++)
            v[i] = random_num(dom, &seed);
        params[k] = v;
    }
    struct interp_input in = {
        .dom = dom, .dims = d, .q = x, .k = x + nq, .v = x + nq + nk, .params = params};
    return agree_on(ROOT_OUT, a, b, &in, rows * d[DIM_M], m, why) &&
           agree_on(ROOT_LSE, a, b, &in, rows, m, why);
}

bool
passes_agree(const struct ir_func *a, const struct ir_func *b, const int64_t *d, uint64_t seed,
             const char **why)
{
    struct arena *m = arena_new();
    bool field = !needs_f64(a, m) && !needs_f64(b, m);
    bool roots = takes_roots(a, m) || takes_roots(b, m);
    bool same = agree_in(field ? NUM_GF : NUM_F64, a, b, d, seed, m, why);
    if (!same && field && roots)
        same = agree_in(NUM_F64, a, b, d, seed, m, why);
    if (!same)
        *why = "the outputs differ on random inputs";
    arena_free(m);
    return same;
}
