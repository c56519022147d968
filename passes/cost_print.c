/* Polynomials as people write them: factored over Q, and as a class of growth. */
#include <string.h>

#include <flint/fmpq_mpoly_factor.h>

#include "passes/cost.h"

static void
put_power(struct str *out, const char *base, slong exp, bool ascii)
{
    static const char *const raised[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char digits[24];
    str_put(out, base);
    if (exp == 1)
        return;
    snprintf(digits, sizeof digits, "%ld", exp);
    if (ascii)
        str_put(out, "^");
    for (const char *d = digits; *d; d++)
        ascii ? str_putc(out, *d) : str_put(out, raised[*d - '0']);
}

static void
put_times(struct str *out, size_t start, bool ascii)
{
    if (out->len > start)
        str_put(out, ascii ? "*" : "·");
}

static void
put_number(struct str *out, const fmpz_t n)
{
    char *s = fmpz_get_str(NULL, 10, n);
    str_put(out, s);
    flint_free(s);
}

/* The variables of a monomial with their powers; what was already put follows start. */
static void
put_monomial(struct cost_ring *r, const ulong *exp, bool ascii, size_t start, struct str *out)
{
    for (slong k = 0; k < r->nvars; k++)
        if (exp[k]) {
            put_times(out, start, ascii);
            put_power(out, cost_var_name(r, k), (slong)exp[k], ascii);
        }
}

/* A sum of terms with whole coefficients. */
static void
put_sum(struct cost_ring *r, const cost_poly *p, bool ascii, struct str *out)
{
    ulong *exp = ARENA_ARRAY(r->arena, ulong, r->nvars);
    fmpq_t c;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, r->ctx); i++) {
        fmpq_mpoly_get_term_coeff_fmpq(c, p, i, r->ctx);
        fmpq_mpoly_get_term_exp_ui(exp, p, i, r->ctx);
        bool minus = fmpq_sgn(c) < 0;
        str_put(out, i ? (minus ? " - " : " + ") : minus ? "-" : "");
        fmpq_abs(c, c);
        size_t start = out->len;
        if (!fmpz_is_one(fmpq_numref(c)) || fmpq_mpoly_total_degree_si(p, r->ctx) == 0)
            put_number(out, fmpq_numref(c));
        put_monomial(r, exp, ascii, start, out);
        if (out->len == start)
            str_put(out, "1");
    }
    fmpq_clear(c);
}

static void put_product(struct cost_ring *r, const cost_poly *p, bool ascii, int depth,
                        struct str *out);

/* The longer of two texts is freed. */
static void
keep_shorter(struct str *best, struct str *s)
{
    if (s->len < best->len) {
        struct str t = *best;
        *best = *s;
        *s = t;
    }
    str_free(s);
}

/* By powers of one variable: n*(2*D + 2*M + 3) + M. */
static void
put_collected(struct cost_ring *r, const cost_poly *p, slong var, bool ascii, struct str *out)
{
    fmpq_mpoly_univar_t u;
    fmpq_mpoly_univar_init(u, r->ctx);
    fmpq_mpoly_to_univar(u, p, var, r->ctx);
    for (slong k = 0; k < fmpq_mpoly_univar_length(u, r->ctx); k++) {
        struct str s = {0};
        fmpq_mpoly_t x, c;
        fmpq_mpoly_init(c, r->ctx);
        fmpq_mpoly_init(x, r->ctx);
        fmpq_mpoly_univar_get_term_coeff(c, u, k, r->ctx);
        fmpq_mpoly_gen(x, var, r->ctx);
        fmpq_mpoly_pow_ui(x, x, (ulong)fmpq_mpoly_univar_get_term_exp_si(u, k, r->ctx), r->ctx);
        fmpq_mpoly_mul(c, c, x, r->ctx);
        put_product(r, c, ascii, 1, &s);
        const char *t = str_text(&s);
        str_put(out, k == 0 ? "" : *t == '-' ? " - " : " + ");
        str_put(out, k && *t == '-' ? t + 1 : t);
        str_free(&s);
        fmpq_mpoly_clear(c, r->ctx);
        fmpq_mpoly_clear(x, r->ctx);
    }
    fmpq_mpoly_univar_clear(u, r->ctx);
}

/* An irreducible factor of several terms, the shortest way: as it is, by powers of a variable, or
 * as a product and a small number, like (D + 1)*(D + 2) - 2. */
static void
put_factor(struct cost_ring *r, const cost_poly *p, bool ascii, int depth, struct str *out)
{
    struct str best = {0};
    put_sum(r, p, ascii, &best);
    for (slong v = 0; v < r->nvars && depth == 0; v++)
        if (cost_has_var(r, p, v)) {
            struct str s = {0};
            put_collected(r, p, v, ascii, &s);
            keep_shorter(&best, &s);
        }
    for (slong k = -2; k <= 2 && depth == 0 && fmpq_mpoly_length(p, r->ctx) > 2; k++) {
        struct str s = {0};
        fmpq_mpoly_t near;
        if (k == 0)
            continue;
        fmpq_mpoly_init(near, r->ctx);
        fmpq_mpoly_add_si(near, p, k, r->ctx);
        put_product(r, near, ascii, 1, &s);
        str_printf(&s, " %c %ld", k > 0 ? '-' : '+', k > 0 ? k : -k);
        keep_shorter(&best, &s);
        fmpq_mpoly_clear(near, r->ctx);
    }
    str_put(out, str_text(&best));
    str_free(&best);
}

/* c * x^a * ... * (sum)^b * ... / d */
static void
put_product(struct cost_ring *r, const cost_poly *p, bool ascii, int depth, struct str *out)
{
    fmpq_mpoly_factor_t f;
    fmpq_mpoly_factor_init(f, r->ctx);
    if (!fmpq_mpoly_factor(f, p, r->ctx) || !fmpq_mpoly_factor_make_integral(f, r->ctx))
        ICE("a cost was not factored");
    fmpq_mpoly_factor_sort(f, r->ctx);
    size_t start = out->len;
    if (fmpq_sgn(f->constant) < 0)
        str_put(out, "-");
    fmpz_abs(fmpq_numref(f->constant), fmpq_numref(f->constant));
    start = out->len;
    if (!fmpz_is_one(fmpq_numref(f->constant)))
        put_number(out, fmpq_numref(f->constant));
    for (slong var = 0; var < r->nvars; var++)
        for (slong k = 0; k < f->num; k++)
            if (fmpq_mpoly_length(&f->poly[k], r->ctx) == 1 &&
                fmpq_mpoly_degree_si(&f->poly[k], var, r->ctx) > 0) {
                put_times(out, start, ascii);
                put_power(out, cost_var_name(r, var), fmpz_get_si(&f->exp[k]), ascii);
            }
    bool bare = out->len == start && f->num == 1 && fmpz_is_one(&f->exp[0]) &&
                fmpz_is_one(fmpq_denref(f->constant));
    for (slong k = 0; k < f->num; k++) {
        if (fmpq_mpoly_length(&f->poly[k], r->ctx) == 1)
            continue;
        struct str s = {0};
        put_factor(r, &f->poly[k], ascii, depth, &s);
        put_times(out, start, ascii);
        char *base = arena_printf(r->arena, bare ? "%s" : "(%s)", str_text(&s));
        put_power(out, base, fmpz_get_si(&f->exp[k]), ascii);
        str_free(&s);
    }
    if (out->len == start)
        str_put(out, "1");
    if (!fmpz_is_one(fmpq_denref(f->constant))) {
        str_put(out, "/");
        put_number(out, fmpq_denref(f->constant));
    }
    fmpq_mpoly_factor_clear(f, r->ctx);
}

void
cost_print(struct cost_ring *r, const cost_poly *p, bool ascii, struct str *out)
{
    if (fmpq_mpoly_is_zero(p, r->ctx))
        str_put(out, "0");
    else
        put_product(r, p, ascii, 0, out);
}

void
cost_print_ratio(struct cost_ring *r, const cost_poly *p, const cost_poly *q, bool ascii,
                 struct str *out)
{
    fmpq_mpoly_t g, a, b;
    struct str s = {0};
    fmpq_mpoly_init(g, r->ctx);
    fmpq_mpoly_init(a, r->ctx);
    fmpq_mpoly_init(b, r->ctx);
    fmpq_t content;
    fmpq_init(content);
    if (fmpq_mpoly_is_zero(p, r->ctx) || fmpq_mpoly_is_zero(q, r->ctx)) {
        str_put(out, fmpq_mpoly_is_zero(q, r->ctx) ? "-" : "0");
    } else {
        if (!fmpq_mpoly_gcd_cofactors(g, a, b, p, q, r->ctx))
            ICE("two costs have no greatest common divisor");
        fmpq_mpoly_content(content, b, r->ctx); /* whole coefficients below the line */
        fmpq_mpoly_scalar_div_fmpq(b, b, content, r->ctx);
        fmpq_mpoly_scalar_div_fmpq(a, a, content, r->ctx);
        cost_print(r, a, ascii, out);
        cost_print(r, b, ascii, &s);
        bool product = strstr(str_text(&s), ascii ? "*" : "·") || strchr(str_text(&s), ' ');
        if (strcmp(str_text(&s), "1"))
            str_printf(out, product ? " / (%s)" : " / %s", str_text(&s));
    }
    fmpq_clear(content);
    str_free(&s);
    fmpq_mpoly_clear(g, r->ctx);
    fmpq_mpoly_clear(a, r->ctx);
    fmpq_mpoly_clear(b, r->ctx);
}

/* ---- growth ---- */

/* True if the monomial a never outgrows b: G <= H, and a mask's scalar params are at most n. */
static bool
outgrown(const struct cost_ring *r, const ulong *a, const ulong *b)
{
    slong heads = (slong)b[DIM_H] - (slong)a[DIM_H], groups = (slong)a[DIM_G] - (slong)b[DIM_G],
          tokens = (slong)b[DIM_N] - (slong)a[DIM_N], params = 0;
    for (slong k = 0; k < r->nvars; k++) {
        bool param = k >= (slong)r->f->ndims && k < r->area;
        if (param)
            params += a[k] > b[k] ? (slong)(a[k] - b[k]) : 0;
        else if (k != DIM_H && k != DIM_G && k != DIM_N && a[k] > b[k])
            return false;
    }
    return heads >= 0 && tokens >= 0 && groups <= heads && params <= tokens;
}

/* True if a is outgrown by b, and b is not by a; of equals the first counts. */
static bool
dropped(const struct cost_ring *r, const ulong *a, const ulong *b, bool later)
{
    return outgrown(r, a, b) && (later || !outgrown(r, b, a));
}

static void
add_monomial(cost_poly *to, const ulong *exp, const struct cost_ring *r)
{
    fmpq_t one;
    fmpq_init(one);
    fmpq_one(one);
    fmpq_mpoly_set_coeff_fmpq_ui(to, one, exp, r->ctx);
    fmpq_clear(one);
}

void
cost_print_theta(struct cost_ring *r, const cost_poly *p, bool ascii, struct str *out)
{
    slong n = fmpq_mpoly_length(p, r->ctx), v = r->nvars, kept = 0;
    ulong *exp = ARENA_ARRAY(r->arena, ulong, n * v + v), *common = exp + n * v;
    fmpq_mpoly_t sum;
    struct str s = {0};
    for (slong i = 0; i < n; i++)
        fmpq_mpoly_get_term_exp_ui(exp + i * v, p, i, r->ctx);
    fmpq_mpoly_init(sum, r->ctx);
    for (slong i = 0; i < n; i++) {
        bool keep = true;
        for (slong k = 0; k < n && keep; k++)
            keep = k == i || !dropped(r, exp + i * v, exp + k * v, k < i);
        if (!keep)
            continue;
        add_monomial(sum, exp + i * v, r);
        for (slong x = 0; x < v; x++)
            common[x] = kept && common[x] < exp[i * v + x] ? common[x] : exp[i * v + x];
        kept++;
    }
    size_t start = out->len;
    if (kept)
        put_monomial(r, common, ascii, start, out);
    if (kept > 1) {
        fmpq_mpoly_t g;
        fmpq_mpoly_init(g, r->ctx);
        add_monomial(g, common, r);
        fmpq_mpoly_divides(sum, sum, g, r->ctx);
        fmpq_mpoly_clear(g, r->ctx);
        put_sum(r, sum, ascii, &s);
        put_times(out, start, ascii);
        str_printf(out, start == out->len ? "%s" : "(%s)", str_text(&s));
    }
    if (out->len == start)
        str_put(out, n ? "1" : "0");
    str_free(&s);
    fmpq_mpoly_clear(sum, r->ctx);
}
