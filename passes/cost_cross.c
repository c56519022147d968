/* Where one cost overtakes another: exact sign changes of a polynomial over the whole numbers.
 *
 * Between two neighbouring breakpoints that are more than 1 apart a polynomial is monotone: they
 * are those of its derivative, and around each sign change of the derivative. So each such piece
 * has at most one sign change, which bisection finds. */
#include "passes/cost.h"

enum { MAX_BREAKS = 2048 };

struct breaks {
    fmpz at[MAX_BREAKS];
    int n;
};

static int
sign_at(const fmpq_poly_t p, const fmpz_t x)
{
    fmpq_t v;
    fmpq_init(v);
    fmpq_poly_evaluate_fmpz(v, p, x);
    int s = fmpq_sgn(v);
    fmpq_clear(v);
    return s;
}

/* The first x in (lo, hi] where p has the sign it has at hi; it lacks it at lo and is monotone. */
static void
first_with(const fmpq_poly_t p, const fmpz_t lo, const fmpz_t hi, fmpz_t x)
{
    int sign = sign_at(p, hi);
    fmpz_t a, mid;
    fmpz_init_set(a, lo);
    fmpz_init(mid);
    fmpz_set(x, hi);
    for (;;) {
        fmpz_add(mid, a, x);
        fmpz_fdiv_q_2exp(mid, mid, 1);
        if (fmpz_equal(mid, a))
            break;
        if (sign_at(p, mid) == sign)
            fmpz_set(x, mid);
        else
            fmpz_set(a, mid);
    }
    fmpz_clear(mid);
    fmpz_clear(a);
}

static void
add_break(struct breaks *b, const fmpz_t x)
{
    if (b->n && fmpz_cmp(&b->at[b->n - 1], x) >= 0)
        return;
    if (b->n == MAX_BREAKS)
        ICE("a cost changes direction too often");
    fmpz_init_set(&b->at[b->n++], x);
}

static void
free_breaks(struct breaks *b)
{
    for (int k = 0; k < b->n; k++)
        fmpz_clear(&b->at[k]);
}

/* Breakpoints of p over [from, 2^62]. */
static void
find_breaks(const fmpq_poly_t p, int64_t from, struct breaks *out)
{
    fmpz_t x;
    fmpz_init(x);
    out->n = 0;
    if (fmpq_poly_degree(p) < 1) {
        fmpz_set_si(x, from);
        add_break(out, x);
        fmpz_one(x);
        fmpz_mul_2exp(x, x, 62);
        add_break(out, x);
    } else {
        struct breaks inner;
        fmpq_poly_t d;
        fmpq_poly_init(d);
        fmpq_poly_derivative(d, p);
        find_breaks(d, from, &inner);
        add_break(out, &inner.at[0]);
        for (int k = 0; k + 1 < inner.n; k++) {
            int s = sign_at(d, &inner.at[k]), t = sign_at(d, &inner.at[k + 1]);
            if (s != t) {
                first_with(d, &inner.at[k], &inner.at[k + 1], x);
                fmpz_sub_ui(x, x, 1);
                add_break(out, x);
                fmpz_add_ui(x, x, 1);
                add_break(out, x);
            }
            add_break(out, &inner.at[k + 1]);
        }
        free_breaks(&inner);
        fmpq_poly_clear(d);
    }
    fmpz_clear(x);
}

int
cost_cross(const fmpq_poly_t a, const fmpq_poly_t b, int64_t from,
           struct cost_crossover out[COST_MAX_CROSSOVERS])
{
    struct breaks at;
    fmpq_poly_t d;
    fmpz_t x;
    int n = 0, last = 0;
    fmpq_poly_init(d);
    fmpz_init(x);
    fmpq_poly_sub(d, a, b);
    find_breaks(d, from, &at);
    for (int k = 0; k < at.n; k++) {
        int s = sign_at(d, &at.at[k]);
        if (s == 0 || s == last)
            continue;
        if (k)
            first_with(d, &at.at[k - 1], &at.at[k], x);
        else
            fmpz_set(x, &at.at[0]);
        last = s;
        if (n < COST_MAX_CROSSOVERS)
            out[n++] = (struct cost_crossover){fmpz_get_si(x), s};
    }
    free_breaks(&at);
    fmpz_clear(x);
    fmpq_poly_clear(d);
    return n;
}
