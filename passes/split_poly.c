/* Polynomials over atoms: a thin layer on FLINT that owns its results and reduces roots.
 *
 * Reduction keeps sqrt(2)*sqrt(2) = 2 exact: after every product, t^2 of a root atom is replaced by
 * what it is, and x * (1/x) of a size by 1. */
#include <stdlib.h>

#include "passes/split.h"

static split_poly *
poly_new(struct split *s)
{
    if (s->npool == s->cap_pool) {
        s->cap_pool = s->cap_pool ? 2 * s->cap_pool : 64;
        s->pool = xrealloc(s->pool, s->cap_pool * sizeof *s->pool);
    }
    split_poly *p = xmalloc(sizeof *p);
    fmpq_mpoly_init(p, s->ctx);
    s->pool[s->npool++] = p;
    return p;
}

void
split_init(struct split *s, struct ir_func *f, struct diag *d)
{
    *s = (struct split){.f = f, .diag = d};
    fmpq_mpoly_ctx_init(s->ctx, SPLIT_MAX_ATOMS, ORD_LEX);
}

void
split_free(struct split *s)
{
    for (size_t k = 0; k < s->npool; k++) {
        fmpq_mpoly_clear(s->pool[k], s->ctx);
        free(s->pool[k]);
    }
    for (int k = 0; k < s->natoms; k++)
        fmpq_clear(s->atom[k].value);
    fmpq_mpoly_ctx_clear(s->ctx);
    free(s->pool);
    free(s->memo);
    free(s->ranges);
}

split_poly *
poly_const(struct split *s, const fmpq_t q)
{
    split_poly *p = poly_new(s);
    fmpq_mpoly_set_fmpq(p, q, s->ctx);
    return p;
}

split_poly *
poly_int(struct split *s, slong i)
{
    split_poly *p = poly_new(s);
    fmpq_mpoly_set_si(p, i, s->ctx);
    return p;
}

split_poly *
poly_atom(struct split *s, int atom)
{
    if (atom < 0)
        return NULL;
    split_poly *p = poly_new(s);
    fmpq_mpoly_gen(p, atom, s->ctx);
    return p;
}

split_poly *
poly_add(struct split *s, const split_poly *a, const split_poly *b)
{
    if (!a || !b)
        return NULL;
    split_poly *p = poly_new(s);
    fmpq_mpoly_add(p, a, b, s->ctx);
    return p;
}

split_poly *
poly_neg(struct split *s, const split_poly *a)
{
    if (!a)
        return NULL;
    split_poly *p = poly_new(s);
    fmpq_mpoly_neg(p, a, s->ctx);
    return p;
}

void
split_term(const struct split *s, const split_poly *p, slong i, fmpq_t c, ulong *exps)
{
    fmpq_mpoly_get_term_coeff_fmpq(c, p, i, s->ctx);
    fmpq_mpoly_get_term_exp_ui(exps, p, i, s->ctx);
}

split_poly *
poly_one_term(struct split *s, const fmpq_t c, const ulong *exps)
{
    split_poly *p = poly_new(s);
    fmpq_mpoly_push_term_fmpq_ui(p, c, exps, s->ctx);
    fmpq_mpoly_reduce(p, s->ctx); /* equality is of canonical forms */
    return p;
}

/* Applies the relations of roots and inverses to one term; true if anything changed. */
static bool
reduce_term(const struct split *s, fmpq_t c, ulong *e)
{
    bool changed = false, again = true;
    while (again) {
        again = false;
        for (int k = 0; k < s->natoms; k++) {
            const struct split_atom *a = &s->atom[k];
            if (a->kind == ATOM_ROOT && e[k] >= 2) {
                if (a->square >= 0) {
                    e[a->square] += e[k] / 2;
                } else {
                    fmpq_t v;
                    fmpq_init(v);
                    fmpq_pow_si(v, a->value, (slong)(e[k] / 2));
                    fmpq_mul(c, c, v);
                    fmpq_clear(v);
                }
                e[k] %= 2;
                again = true;
            }
            if (a->inverse >= 0 && e[k] && e[a->inverse]) {
                ulong m = e[k] < e[a->inverse] ? e[k] : e[a->inverse];
                e[k] -= m;
                e[a->inverse] -= m;
                again = true;
            }
        }
        changed = changed || again;
    }
    return changed;
}

static split_poly *
poly_reduce(struct split *s, split_poly *p)
{
    ulong e[SPLIT_MAX_ATOMS];
    fmpq_t c;
    bool any = false, relations = false;
    for (int k = 0; k < s->natoms; k++)
        relations = relations || s->atom[k].kind == ATOM_ROOT || s->atom[k].inverse >= 0;
    if (!relations)
        return p;
    split_poly *r = poly_new(s);
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, s->ctx); i++) {
        split_term(s, p, i, c, e);
        any = reduce_term(s, c, e) || any;
        fmpq_mpoly_push_term_fmpq_ui(r, c, e, s->ctx);
    }
    fmpq_clear(c);
    if (!any)
        return p;
    fmpq_mpoly_sort_terms(r, s->ctx);
    fmpq_mpoly_combine_like_terms(r, s->ctx);
    return r;
}

split_poly *
poly_mul(struct split *s, const split_poly *a, const split_poly *b, span_t at)
{
    if (!a || !b)
        return NULL;
    slong la = fmpq_mpoly_length(a, s->ctx), lb = fmpq_mpoly_length(b, s->ctx);
    if (la && lb && la > (slong)SPLIT_MAX_LENGTH * 8 / lb) {
        if (!s->failed)
            diag_error(s->diag, at, "the similarity expands into more than %d products",
                       SPLIT_MAX_LENGTH);
        s->failed = true;
        return NULL;
    }
    split_poly *p = poly_new(s);
    fmpq_mpoly_mul(p, a, b, s->ctx);
    return poly_reduce(s, p);
}

split_poly *
poly_pow(struct split *s, const split_poly *a, ulong e, span_t at)
{
    split_poly *p = a ? poly_int(s, 1) : NULL;
    if (p && e > SPLIT_MAX_DEGREE) {
        if (!s->failed)
            diag_error(s->diag, at, "power %lu is more than a feature map is derived for (%d)",
                       (unsigned long)e, SPLIT_MAX_DEGREE);
        s->failed = true;
        return NULL;
    }
    for (ulong k = 0; k < e && p; k++)
        p = poly_mul(s, p, a, at);
    return p;
}

/* value^e for one atom. */
static ir_ref
atom_power(struct split *s, int atom, ulong e, span_t at)
{
    ir_ref n = s->atom[atom].node;
    return e == 1 ? n : ir_powi(s->f, n, (int)e, at);
}

ir_ref
split_node(struct split *s, const split_poly *p, span_t at)
{
    ulong e[SPLIT_MAX_ATOMS];
    fmpq_t c;
    ir_ref sum = 0;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, s->ctx); i++) {
        split_term(s, p, i, c, e);
        ir_ref t = ir_const_q(s->f, c, at);
        for (int k = 0; k < s->natoms; k++)
            if (e[k])
                t = pass_mul(s->f, t, atom_power(s, k, e[k], at), at);
        sum = sum ? ir_op2(s->f, IR_add, sum, t, at) : t;
    }
    fmpq_clear(c);
    return sum ? sum : ir_const_i(s->f, 0, 1, at);
}
