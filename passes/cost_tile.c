/* The generated code's cost: what the tiles of a schedule do, counted from their loops, and where
 * those counts are polynomials.
 *
 * Counts are polynomials only for sizes that fill whole tiles, so they are taken at multiples of
 * the tile extents, from sizes on at which every loop runs as usual: few tokens are split
 * otherwise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/tile.h"
#include "passes/cost.h"

enum {
    MAX_LOOPS = 3000000, MAX_PARAM = 1 << 22, MAX_AXIS = 1 << 27, MAX_REACH = 10000,
    FIRST_TILES = 8, MAX_POINTS = 20
};

/* ---- counting ---- */

static int64_t
buffer_bytes(const struct tile_prog *p, const struct tile_buf *b, const int64_t *dims)
{
    int64_t each = ir_type_bytes[b->elem == ELEM_IO ? p->func->type : p->func->acc];
    if (b->elem == ELEM_TABLE)
        return 0;
    return tx_eval(p, b->planes, dims, NULL) * tx_eval(p, b->rows, dims, NULL) *
           tx_eval(p, b->cols, dims, NULL) * each;
}

/* Values of the params for counting: scalars as given; tensors are not read where no mask does. */
static bool
params_of(const struct cost_ring *r, const struct tile_prog *p, const int64_t *at, num **values,
          const num ***params, const char **why)
{
    const struct ir_func *f = p->func;
    size_t total = 1;
    for (uint32_t k = 0; k < f->nparams; k++) {
        int64_t n = 1;
        for (int i = 0; i < f->params[k].rank; i++)
            if (__builtin_mul_overflow(n, at[f->params[k].dims[i]], &n) || n > MAX_PARAM)
                n = MAX_PARAM + 1;
        if (n > MAX_PARAM) {
            *why = "a param is too large";
            return false;
        }
        total += (size_t)n;
    }
    *values = calloc(total, sizeof(num));
    *params = xmalloc(sizeof(num *) * (size_t)(f->nparams + 1));
    if (!*values)
        arena_oom();
    num *next = *values;
    for (uint32_t k = 0; k < f->nparams; k++) {
        int64_t n = 1;
        for (int i = 0; i < f->params[k].rank; i++)
            n *= at[f->params[k].dims[i]];
        (*params)[k] = next;
        if (f->params[k].rank == 0)
            next->f = (double)at[r->f->ndims + k];
        next += n;
    }
    return true;
}

/* True if no vector is longer than one can be computed with, and no count overflows. */
static bool
moderate(const struct ir_func *f, const int64_t *at)
{
    int64_t size = 0;
    double most = 0;
    for (uint32_t d = DIM_D; d < f->ndims; d++)
        if (at[d] > MAX_AXIS)
            return false;
    for (uint32_t a = AX_d; a < f->naxes && size >= 0 && size <= MAX_AXIS; a++)
        most = fmax(most, (double)(size = ir_axis_size(f, (uint8_t)a, at)));
    double tokens = (double)at[DIM_NQ] + (double)at[DIM_N] + 256,
           total = (double)at[DIM_B] * (double)at[DIM_H] * tokens * (tokens + most) *
                   ((double)at[DIM_D] + (double)at[DIM_M] + 256);
    return size >= 0 && size <= MAX_AXIS && total < 1e17;
}

/* Workspace of one task is counted apart, and iterations of loops. */
enum { LOCAL = COST_QUANTITIES, LOOPS, COUNTS };

static bool
count_tiles(struct cost_ring *r, const struct tile_prog *p, const int64_t *at, int64_t q[COUNTS],
            const char **why)
{
    const struct ir_func *f = p->func;
    struct tile_count c;
    num *values = NULL;
    const num **params = NULL;
    double loops = (double)at[DIM_B] * (double)at[DIM_H] * ((double)at[DIM_NQ] / 64 + 1) *
                   ((double)at[DIM_N] / 128 + 1);
    if ((*why = cost_mask_unknown(r, f)) != NULL)
        return false;
    if (loops > MAX_LOOPS)
        *why = "many tiles";
    else if (!moderate(f, at))
        *why = "large sizes";
    else if (params_of(r, p, at, &values, &params, why)) {
        struct interp_input in = {.dom = NUM_F64, .dims = at, .params = params};
        bool ok = tile_count(p, &in, &c, why);
        free(values);
        free(params);
        if (!ok)
            return false;
        q[COST_FLOPS] = 2 * c.mul_add + c.other;
        q[COST_CALLS] = c.calls;
        q[COST_BYTES] = c.bytes;
        q[LOOPS] = c.tiles;
        q[COST_SPACE] = q[COST_STATE] = q[LOCAL] = 0;
        for (uint32_t k = 1; k < p->nbufs; k++) {
            static const int kind[] = {[BUF_ARG] = -1, [BUF_SHARED] = COST_SPACE,
                                       [BUF_STATE] = COST_STATE, [BUF_LOCAL] = LOCAL};
            if (kind[p->bufs[k].kind] >= 0)
                q[kind[p->bufs[k].kind]] += buffer_bytes(p, &p->bufs[k], at);
        }
        return true;
    }
    return false;
}

bool
cost_tile_count(struct cost_ring *r, const struct tile_prog *p, const int64_t *at,
                int64_t q[COST_QUANTITIES], const char **why)
{
    int64_t all[COUNTS];
    if (!count_tiles(r, p, at, all, why))
        return false;
    all[COST_SPACE] += all[LOCAL];
    memcpy(q, all, sizeof(int64_t) * COST_QUANTITIES);
    return true;
}

/* ---- polynomials ---- */

/* One variable of the interpolation and the places it is taken at. */
struct line {
    slong var;
    int64_t first, step;
    int degree;
};

struct fit {
    struct cost_ring *r;
    const struct tile_prog *p;
    struct line line[3];
    int lines;
    int64_t *at, heads;      /* heads: what is counted for so many */
    bool one_query;          /* a step over a cache */
    bool fixed[2];           /* D, M: their values are those of t->at */
    const char *why;
};

static void
place(struct fit *t, int k, int64_t x)
{
    t->at[t->line[k].var] = x;
    if (t->line[k].var == DIM_N && !t->one_query)
        t->at[DIM_NQ] = x;
}

/* Polynomials per head; that of LOCAL as it is. */
static bool
interpolate(struct fit *t, cost_poly *out[COUNTS])
{
    struct cost_ring *r = t->r;
    int points = 1;
    cost_poly *term = cost_poly_new(r), *basis = cost_poly_new(r);
    for (int k = 0; k < t->lines; k++)
        points *= t->line[k].degree + 1;
    for (int q = 0; q < COUNTS; q++)
        out[q] = cost_poly_new(r);
    t->at[DIM_B] = 1;
    t->at[DIM_H] = t->at[DIM_G] = t->heads;
    for (int n = 0; n < points; n++) {
        int64_t counts[COUNTS];
        fmpq_mpoly_set_si(basis, 1, r->ctx);
        for (int k = 0, left = n; k < t->lines; k++) {
            const struct line *l = &t->line[k];
            int64_t x[MAX_POINTS];
            int points_here = l->degree + 1, here = left % points_here;
            for (int m = 0; m < points_here; m++)
                x[m] = l->first + m * l->step;
            place(t, k, x[here]);
            cost_times_basis(r, basis, l->var, x, points_here, here);
            left /= points_here;
        }
        if (!count_tiles(r, t->p, t->at, counts, &t->why))
            return false;
        for (int q = 0; q < COUNTS; q++) {
            fmpq_mpoly_scalar_mul_si(term, basis, counts[q], r->ctx);
            if (q != LOCAL)
                fmpq_mpoly_scalar_div_si(term, term, t->heads, r->ctx);
            fmpq_mpoly_add(out[q], out[q], term, r->ctx);
        }
    }
    return true;
}

/* Drops the polynomials that do not give the count, for these batches and so many times the heads;
 * false if the FLOPs are none. */
static bool
compare(struct fit *t, cost_poly *c[COUNTS], int64_t batches, int64_t times)
{
    int64_t counts[COUNTS], heads = t->heads * times;
    fmpq_t v;
    t->at[DIM_B] = batches;
    t->at[DIM_H] = t->at[DIM_G] = heads;
    if (!count_tiles(t->r, t->p, t->at, counts, &t->why))
        return false;
    fmpq_init(v);
    for (int q = 0; q < COUNTS; q++) {
        if (!c[q])
            continue;
        cost_value(t->r, c[q], t->at, v);
        if (q != LOCAL)
            fmpq_mul_si(v, v, batches * heads);
        if (!fmpz_is_one(fmpq_denref(v)) || !fmpz_equal_si(fmpq_numref(v), counts[q]))
            c[q] = NULL;
    }
    fmpq_clear(v);
    return c[COST_FLOPS] != NULL;
}

/* At sizes of everyday: vectors that take more than one block of features. */
static bool
checked_far(struct fit *t, cost_poly *c[COUNTS])
{
    static const int64_t far[][2] = {{32, 48}, {48, 32}, {64, 96}, {128, 64}};
    for (int m = 0; m < 4; m++) {
        bool large = false;
        for (int k = 0; k < t->lines; k++) {
            const struct line *l = &t->line[k];
            int64_t vector = far[m][l->var == DIM_M] + m % 2 * l->step;
            large = large || (l->var == DIM_D && vector > 64 && l->degree > 2);
            place(t, k, l->var == DIM_N ? l->first + m * 3 * l->step : vector);
        }
        if (!large && !compare(t, c, 1, 1)) /* the monomials of many variables take long */
            return false;
    }
    return true;
}

/* At whole multiples further on, along each line and along all; with more batches and heads. */
static bool
checked(struct fit *t, cost_poly *c[COUNTS])
{
    if (!checked_far(t, c))
        return false;
    for (int along = 0; along <= t->lines; along++)
        for (int more = 1; more < 3; more++) {
            for (int k = 0; k < t->lines; k++) {
                const struct line *l = &t->line[k];
                int far = along == k || along == t->lines ? l->degree + more : k % (l->degree + 1);
                place(t, k, l->first + far * l->step);
            }
            bool many = along == t->lines && more == 2;
            if (!compare(t, c, many ? 3 : 1, along == t->lines && !many ? 2 : 1))
                return false;
        }
    return true;
}

static int
degree_in(const struct cost_ring *r, const struct cost *c, slong var)
{
    int most = 1;
    for (int q = 0; q < COST_QUANTITIES; q++) {
        slong d = fmpq_mpoly_degree_si(c->q[q], var, r->ctx);
        most = d > most && d < MAX_POINTS ? (int)d : most;
    }
    return most;
}

/* No longer interpolates over d, which is D or M. */
static void
fix(struct fit *t, slong d, int64_t size)
{
    t->at[d] = size;
    t->fixed[d == DIM_M] = true;
    t->lines--;
    for (int k = 0; k < t->lines; k++)
        if (t->line[k].var == d)
            t->line[k] = t->line[k + 1];
}

static void
say_where(struct fit *t, struct cost_tiles *out)
{
    struct str s = {0};
    for (int k = 0; k < t->lines; k++) {
        const struct line *l = &t->line[k];
        const char *name = cost_var_name(t->r, l->var);
        if (l->step == 1)
            continue;
        str_printf(&s, "%s%s a multiple of %lld", s.len ? ", " : "", name, (long long)l->step);
        if (l->var == DIM_N)
            str_printf(&s, " from %lld on", (long long)l->first);
    }
    for (slong v = DIM_USER; v < t->r->area; v++) {
        bool dim = v < (slong)t->r->f->ndims;
        if (dim ? t->r->f->dims[v].size == 0 : !t->r->f->params[v - (slong)t->r->f->ndims].rank)
            str_printf(&s, "%s%s = %lld", s.len ? ", " : "", cost_var_name(t->r, v),
                       (long long)t->at[v]);
    }
    if (t->r->dim[DIM_G] != t->r->dim[DIM_H])
        str_printf(&s, "%sG = H", s.len ? ", " : "");
    if (t->r->dim[DIM_NQ] != t->r->dim[DIM_N] && !t->one_query)
        str_printf(&s, "%sn_q = n", s.len ? ", " : "");
    if (t->heads > 1)
        str_printf(&s, "%sB*H >= %lld", s.len ? ", " : "", (long long)t->heads);
    for (int d = DIM_D; d <= DIM_M; d++)
        if (t->fixed[d == DIM_M])
            str_printf(&s, "%s%s = %lld", s.len ? ", " : "", cost_var_name(t->r, d),
                       (long long)t->at[d]);
    out->where = s.len ? arena_strdup(t->r->arena, str_text(&s)) : NULL;
    str_free(&s);
}

/* Polynomials for D in multiples, since feature maps of an odd number of entries have a remainder;
 * for any number of heads, or for enough of them that no task need be split. */
static bool
try_multiples(struct fit *t, cost_poly *c[COUNTS])
{
    static const int64_t multiple[] = {1, 2, 16}, heads[] = {1, 8};
    bool high = false; /* monomials of high degree take long */
    for (int k = 0; k < t->lines; k++)
        high = high || (t->line[k].var == DIM_D && t->line[k].degree > 2);
    for (int m = 0; m < (high ? 4 : 6); m++) {
        t->heads = heads[m % 2];
        for (int k = 0; k < t->lines; k++)
            if (t->line[k].var != DIM_N) {
                bool d = t->line[k].var == DIM_D;
                t->line[k].step = d ? multiple[m / 2] : 1;
                t->line[k].first = d && multiple[m / 2] > 2 ? multiple[m / 2]
                                                            : 2 * t->line[k].step;
            }
        if (!interpolate(t, c))
            return false;
        if (checked(t, c))
            return true;
    }
    if (!t->why)
        t->why = "what the tiles do is no polynomial in the sizes that were tried";
    return false;
}

/* Whether the first sizes do not take long to count: many will be. */
static bool
quick(const struct fit *whole, const char **why)
{
    enum { MOST = 40000 };
    int64_t counts[COUNTS];
    struct fit t = *whole;
    for (int k = 0; k < t.lines; k++)
        place(&t, k, t.line[k].var == DIM_N ? t.line[k].first : 16);
    if (count_tiles(t.r, t.p, t.at, counts, &t.why) && counts[LOOPS] <= MOST)
        return true;
    *why = t.why ? t.why : "the mask has large numbers";
    return false;
}

/* Whether the FLOPs are a polynomial in n at all, for one D and M; *why if not. */
static bool
try_tokens(const struct fit *whole, const char **why)
{
    static const int64_t heads[] = {1, 8};
    struct fit t = *whole;
    cost_poly *c[COUNTS];
    t.lines = 0;
    for (int k = 0; k < whole->lines; k++)
        if (whole->line[k].var == DIM_N)
            t.line[t.lines++] = whole->line[k];
        else
            t.at[whole->line[k].var] = 16;
    for (int m = 0; m < 2 && t.lines; m++) {
        t.heads = heads[m];
        if (interpolate(&t, c) && checked(&t, c))
            return true;
    }
    *why = t.why ? t.why : "what the tiles do is no polynomial in n";
    return !t.lines;
}

/* Per head to all heads; workspace shared by the tasks and that of one task. */
static void
total(struct cost_ring *r, cost_poly *c[COUNTS], struct cost *out)
{
    for (int q = 0; q < COST_QUANTITIES; q++) {
        out->q[q] = c[q];
        if (!c[q])
            continue;
        fmpq_mpoly_mul(c[q], c[q], r->dim[DIM_B], r->ctx);
        fmpq_mpoly_mul(c[q], c[q], r->dim[DIM_H], r->ctx);
    }
    if (c[COST_SPACE] && c[LOCAL])
        fmpq_mpoly_add(c[COST_SPACE], c[COST_SPACE], c[LOCAL], r->ctx);
    else
        out->q[COST_SPACE] = NULL;
}

bool
cost_tile(struct cost_ring *r, const struct tile_prog *p, const int64_t *at, const bool *known,
          const struct cost *algorithm, int64_t tile, bool one_query, struct cost_tiles *out)
{
    const struct ir_func *f = r->f;
    struct fit t = {.r = r, .p = p, .one_query = one_query};
    cost_poly *c[COUNTS];
    memset(out, 0, sizeof *out);
    t.at = ARENA_ARRAY(r->arena, int64_t, r->nvars);
    for (slong v = 0; v < r->area; v++) {
        bool scalar = v >= (slong)f->ndims;
        t.at[v] = !scalar && v < DIM_USER ? 1 : known[v] ? at[v] : 0;
        if (v < (slong)f->ndims && f->dims[v].size > 0)
            t.at[v] = f->dims[v].size;
        if (v >= DIM_USER && !known[v] && (!scalar || !f->params[v - (slong)f->ndims].rank)) {
            out->why = arena_printf(r->arena, "%s is not known", cost_var_name(r, v));
            return false;
        }
    }
    /* from where the mask's numbers are behind */
    int64_t first = FIRST_TILES * tile;
    double reach = cost_mask_reach(r, p->func, t.at);
    if (reach > MAX_REACH) {
        out->why = "the mask has large numbers";
        return false;
    }
    while (tile && (double)first < 2 * reach + (double)tile)
        first += tile;
    if (tile && !f->dims[DIM_N].size)
        t.line[t.lines++] = (struct line){DIM_N, first, tile, 2};
    for (int d = DIM_D; d <= DIM_M; d++)
        if (!f->dims[d].size)
            t.line[t.lines++] = (struct line){d, 1, 1, degree_in(r, algorithm, d)};
    if (!quick(&t, &out->why) || !try_tokens(&t, &out->why))
        return false;
    bool ok = try_multiples(&t, c);
    for (int d = DIM_D; d <= DIM_M && !ok; d++) /* then for this D, or this D and this M */
        if (known[d] && !f->dims[d].size) {
            fix(&t, d, at[d]);
            ok = try_multiples(&t, c);
        }
    out->why = ok ? NULL : t.why;
    if (!ok)
        return false;
    say_where(&t, out);
    total(r, c, &out->cost);
    return true;
}
