/* Polynomials over Q in the sizes of a function: made from axes, printed factored, evaluated. */
#include "passes/cost.h"

#include <string.h>

#include <flint/ulong_extras.h>

const char *const cost_names[COST_QUANTITIES] = {"flops", "calls", "bytes", "space", "state"};

void
cost_ring_init(struct cost_ring *r, const struct ir_func *f, struct arena *a)
{
    memset(r, 0, sizeof *r);
    r->f = f;
    r->arena = a;
    r->area = (slong)(f->ndims + f->nparams);
    r->seen = r->area + 1;
    r->nvars = r->seen + 1;
    fmpq_mpoly_ctx_init(r->ctx, r->nvars, ORD_DEGLEX);
    r->dim = ARENA_ARRAY(a, cost_poly *, f->ndims);
    for (uint32_t k = 0; k < f->ndims; k++)
        r->dim[k] = f->dims[k].size > 0 ? cost_poly_num(r, f->dims[k].size) : cost_poly_var(r, k);
}

void
cost_ring_free(struct cost_ring *r)
{
    if (!r->f)
        return;
    for (size_t k = 0; k < r->npool; k++)
        fmpq_mpoly_clear(r->pool[k], r->ctx);
    fmpq_mpoly_ctx_clear(r->ctx);
    memset(r, 0, sizeof *r);
}

cost_poly *
cost_poly_new(struct cost_ring *r)
{
    r->pool = arena_grow(r->arena, r->pool, r->npool, r->npool + 1, &r->cap_pool, sizeof *r->pool);
    cost_poly *p = r->pool[r->npool++] = ARENA_NEW(r->arena, cost_poly);
    fmpq_mpoly_init(p, r->ctx);
    return p;
}

cost_poly *
cost_poly_num(struct cost_ring *r, slong n)
{
    cost_poly *p = cost_poly_new(r);
    fmpq_mpoly_set_si(p, n, r->ctx);
    return p;
}

cost_poly *
cost_poly_var(struct cost_ring *r, slong var)
{
    cost_poly *p = cost_poly_new(r);
    fmpq_mpoly_gen(p, var, r->ctx);
    return p;
}

const char *
cost_var_name(const struct cost_ring *r, slong var)
{
    return var < (slong)r->f->ndims ? r->f->dims[var].name
           : var == r->area         ? "area"
           : var == r->seen         ? "seen"
                                    : r->f->params[var - (slong)r->f->ndims].name;
}

cost_poly *
cost_axis_size(struct cost_ring *r, const struct ir_func *f, uint8_t axis)
{
    if (axis == AX_UNIT)
        return cost_poly_num(r, 1);
    const struct ir_axis *x = &f->axes[axis];
    if (x->kind == AXK_BASE)
        return r->dim[x->dim];
    cost_poly *size = cost_poly_new(r), *p = cost_axis_size(r, f, x->p);
    if (x->kind == AXK_COPY)
        return p;
    if (x->kind == AXK_SYM) { /* p (p + 1) ... (p + degree - 1) / degree! */
        cost_poly *factor = cost_poly_new(r);
        fmpq_mpoly_set_si(size, 1, r->ctx);
        for (slong k = 0; k < x->num; k++) {
            fmpq_mpoly_add_si(factor, p, k, r->ctx);
            fmpq_mpoly_mul(size, size, factor, r->ctx);
            fmpq_mpoly_scalar_div_si(size, size, k + 1, r->ctx);
        }
    } else if (x->kind == AXK_OUTER) {
        fmpq_mpoly_mul(size, p, cost_axis_size(r, f, x->r), r->ctx);
    } else {
        fmpq_mpoly_add(size, p, cost_axis_size(r, f, x->r), r->ctx);
    }
    return size;
}

void
cost_add_mul(struct cost_ring *r, cost_poly *to, slong scale, const cost_poly *a,
             const cost_poly *b)
{
    fmpq_mpoly_t t;
    fmpq_mpoly_init(t, r->ctx);
    fmpq_mpoly_mul(t, a, b, r->ctx);
    fmpq_mpoly_scalar_mul_si(t, t, scale, r->ctx);
    fmpq_mpoly_add(to, to, t, r->ctx);
    fmpq_mpoly_clear(t, r->ctx);
}

int64_t
cost_lcm(int64_t a, int64_t b)
{
    return a / (int64_t)n_gcd((ulong)a, (ulong)b) * b;
}

void
cost_times_basis(struct cost_ring *r, cost_poly *to, slong var, const int64_t *x, int n, int k)
{
    cost_poly *v = cost_poly_var(r, var), *t = cost_poly_new(r);
    for (int m = 0; m < n; m++)
        if (m != k) {
            fmpq_mpoly_sub_si(t, v, x[m], r->ctx);
            fmpq_mpoly_mul(to, to, t, r->ctx);
            fmpq_mpoly_scalar_div_si(to, to, x[k] - x[m], r->ctx);
        }
}

cost_poly *
cost_subst(struct cost_ring *r, const cost_poly *p, slong var, const cost_poly *x)
{
    cost_poly *out = cost_poly_new(r), **with = ARENA_ARRAY(r->arena, cost_poly *, r->nvars);
    for (slong k = 0; k < r->nvars; k++)
        with[k] = cost_poly_var(r, k);
    fmpq_mpoly_set(with[var], x, r->ctx);
    if (!fmpq_mpoly_compose_fmpq_mpoly(out, p, with, r->ctx, r->ctx))
        ICE("a cost outgrew its polynomial");
    return out;
}

bool
cost_has_var(const struct cost_ring *r, const cost_poly *p, slong var)
{
    return fmpq_mpoly_degree_si(p, var, r->ctx) > 0;
}

/* ---- values ---- */

void
cost_value(struct cost_ring *r, const cost_poly *p, const int64_t *at, fmpq_t out)
{
    fmpq **x = ARENA_ARRAY(r->arena, fmpq *, r->nvars);
    for (slong k = 0; k < r->nvars; k++) {
        x[k] = ARENA_NEW(r->arena, fmpq);
        fmpq_init(x[k]);
        fmpq_set_si(x[k], at[k], 1);
    }
    if (!fmpq_mpoly_evaluate_all_fmpq(out, p, x, r->ctx))
        ICE("a cost outgrew its value");
    for (slong k = 0; k < r->nvars; k++)
        fmpq_clear(x[k]);
}

void
cost_in_n(struct cost_ring *r, const cost_poly *p, const int64_t *at, fmpq_poly_t out)
{
    fmpq_poly_struct **x = ARENA_ARRAY(r->arena, fmpq_poly_struct *, r->nvars);
    for (slong k = 0; k < r->nvars; k++) {
        x[k] = ARENA_NEW(r->arena, fmpq_poly_struct);
        fmpq_poly_init(x[k]);
        if (k == DIM_N)
            fmpq_poly_set_coeff_si(x[k], 1, 1);
        else
            fmpq_poly_set_si(x[k], at[k]);
    }
    if (!fmpq_mpoly_compose_fmpq_poly(out, p, x, r->ctx))
        ICE("a cost outgrew its polynomial");
    for (slong k = 0; k < r->nvars; k++)
        fmpq_poly_clear(x[k]);
}
