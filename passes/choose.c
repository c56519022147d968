/* What the forms of a kernel are expected to take, as integer expressions of the sizes that the
 * kernel itself evaluates: the exact operations of the algorithm over the rate of its schedule. */
#include "passes/choose.h"

#include <string.h>

/* Measured on one core with AVX2, (q·k + 1)^2 at D = M = 64 (docs/bench.md). */
static const struct choose_rate usual[] = {
    {"stream", 1400}, {"linear", 1480}, {"scan", 1790},
};
enum { USUAL = sizeof usual / sizeof *usual };

void
choose_rates_init(struct choose_rates *r)
{
    r->n = USUAL;
    memcpy(r->at, usual, sizeof usual);
}

struct choose_rate *
choose_rate_find(struct choose_rates *r, const char *schedule)
{
    for (int k = 0; k < r->n; k++)
        if (!strcmp(r->at[k].schedule, schedule))
            return &r->at[k];
    return NULL;
}

/* |c| x1^e1 x2^e2 ..., c whole; area: what stands for its variable */
static tx_ref
monomial(struct tile_prog *p, const struct cost_ring *r, const fmpz_t c, const ulong *exp,
         tx_ref area)
{
    fmpz_t a;
    fmpz_init(a);
    fmpz_abs(a, c);
    tx_ref x = tx_num(p, fmpz_bits(a) < 62 ? fmpz_get_si(a) : INT64_MAX);
    fmpz_clear(a);
    for (slong v = 0; v < (slong)r->f->ndims; v++)
        for (ulong e = 0; e < exp[v]; e++)
            x = tx_op2(p, TX_MUL, x, tx_dim(p, (uint16_t)v));
    for (ulong e = 0; e < exp[r->area]; e++)
        x = tx_op2(p, TX_MUL, x, area);
    return x;
}

/* A polynomial whose value is positive. Terms that are taken off count at most half of the others:
 * both may be as large as a number can be. */
static tx_ref
polynomial(struct tile_prog *p, struct cost_ring *r, const cost_poly *x, tx_ref area)
{
    tx_ref plus = tx_num(p, 0), minus = tx_num(p, 0);
    ulong *exp = ARENA_ARRAY(r->arena, ulong, r->nvars);
    fmpz_t den, c;
    fmpq_t q;
    fmpz_init_set_ui(den, 1);
    fmpz_init(c);
    fmpq_init(q);
    for (slong i = 0; i < fmpq_mpoly_length(x, r->ctx); i++) {
        fmpq_mpoly_get_term_coeff_fmpq(q, x, i, r->ctx);
        fmpz_lcm(den, den, fmpq_denref(q));
    }
    for (slong i = 0; i < fmpq_mpoly_length(x, r->ctx); i++) {
        fmpq_mpoly_get_term_coeff_fmpq(q, x, i, r->ctx);
        fmpq_mpoly_get_term_exp_ui(exp, x, i, r->ctx);
        fmpz_divexact(c, den, fmpq_denref(q));
        fmpz_mul(c, c, fmpq_numref(q));
        tx_ref *sum = fmpz_sgn(c) < 0 ? &minus : &plus;
        *sum = tx_op2(p, TX_ADD, *sum, monomial(p, r, c, exp, area));
    }
    tx_ref half = tx_op2(p, TX_FDIV, plus, tx_num(p, 2)),
           value = tx_op2(p, TX_SUB, plus, tx_op2(p, TX_MIN, minus, half));
    value = tx_op2(p, TX_FDIV, value, tx_num(p, fmpz_get_si(den)));
    fmpq_clear(q);
    fmpz_clear(c);
    fmpz_clear(den);
    return value;
}

static void
set_cost(struct tile_prog *p, struct cost_ring *r, const cost_poly *area,
         struct choose_rates *rates)
{
    struct cost algorithm;
    const struct choose_rate *rate = choose_rate_find(rates, p->schedule);
    if (!rate)
        ICE("schedule %s has no rate", p->schedule);
    cost_axis(r, p->func, COST_FORWARD, NULL, &algorithm);
    cost_poly *all = cost_poly_new(r);
    fmpq_mpoly_set(all, algorithm.q[COST_FLOPS], r->ctx);
    cost_add_mul(r, all, CHOOSE_CALL_FLOPS - 1, algorithm.q[COST_CALLS], cost_poly_num(r, 1));
    /* for sizes below those of its formula an area may come out larger than all there is */
    tx_ref pairs = tx_op2(p, TX_MUL, tx_dim(p, DIM_NQ), tx_dim(p, DIM_N)),
           visible = tx_op2(p, TX_MIN, polynomial(p, r, area, pairs), pairs);
    p->cost = tx_op2(p, TX_MUL, polynomial(p, r, all, visible), tx_num(p, rate->cost));
    p->cost = tx_op2(p, TX_FDIV, p->cost, tx_num(p, 1000));
}

void
choose_between(struct arena *a, struct tile_prog *kernelized, struct tile_prog *direct,
               struct choose_rates *rates)
{
    struct ir_func *f = kernelized->func;
    struct cost_ring r;
    struct cost_area area;
    cost_ring_init(&r, f, a);
    int64_t *at = ARENA_ARRAY(a, int64_t, r.nvars);
    bool *known = ARENA_ARRAY(a, bool, r.nvars), params = false;
    cost_area_find(&r, f, false, true, at, known, &area);
    for (slong v = (slong)f->ndims; area.p && v < r.area; v++)
        params = params || cost_has_var(&r, area.p, v);
    if (!area.p || params) { /* not known from the sizes alone: all pairs */
        area.p = cost_poly_new(&r);
        fmpq_mpoly_mul(area.p, r.dim[DIM_NQ], r.dim[DIM_N], r.ctx);
    }
    set_cost(kernelized, &r, area.p, rates);
    set_cost(direct, &r, area.p, rates);
    cost_ring_free(&r);
}
