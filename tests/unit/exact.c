#include "exact.h"

#include <stdlib.h>
#include <string.h>

/* ---- similarities ---- */

static int64_t
dot(const struct exact_pair *p)
{
    int s = 0;
    for (int64_t d = 0; d < p->D; d++)
        s += p->q[d] * p->k[d];
    return s;
}

static int64_t
sim_quadratic(const struct exact_pair *p)
{
    int64_t s = dot(p) + 1;
    return s * s;
}

static int64_t
most_quadratic(int64_t D, int64_t n, int64_t a)
{
    (void)n;
    return (D * a * a + 1) * (D * a * a + 1);
}

static int64_t
sim_positive(const struct exact_pair *p)
{
    int64_t s = dot(p);
    return s * s - 2 * s + 2;
}

static int64_t
most_positive(int64_t D, int64_t n, int64_t a)
{
    return most_quadratic(D, n, a) + 1;
}

static int64_t
sim_cubic(const struct exact_pair *p)
{
    int64_t s = dot(p) + 1;
    return s * s * s;
}

static int64_t
most_cubic(int64_t D, int64_t n, int64_t a)
{
    return most_quadratic(D, n, a) * (D * a * a + 1);
}

static int64_t
sim_features(const struct exact_pair *p)
{
    int64_t s = 0;
    for (int64_t d = 0; d < p->D; d++)
        s += ((p->q[d] > 0 ? p->q[d] : 0) + 1) * ((p->k[d] > 0 ? p->k[d] : 0) + 1);
    return s;
}

static int64_t
most_features(int64_t D, int64_t n, int64_t a)
{
    (void)n;
    return D * (a + 1) * (a + 1);
}

static int64_t
sim_relu(const struct exact_pair *p)
{
    int64_t s = dot(p);
    return s > 0 ? s : 0;
}

static int64_t
sim_dot(const struct exact_pair *p)
{
    return dot(p);
}

static int64_t
most_dot(int64_t D, int64_t n, int64_t a)
{
    (void)n;
    return D * a * a;
}

static int64_t
sim_distance(const struct exact_pair *p)
{
    int64_t s = 0;
    for (int64_t d = 0; d < p->D; d++)
        s += (p->q[d] - p->k[d]) * (p->q[d] - p->k[d]);
    return s;
}

static int64_t
most_distance(int64_t D, int64_t n, int64_t a)
{
    (void)n;
    return 4 * D * a * a;
}

static int64_t
sim_near(const struct exact_pair *p)
{
    int64_t s = p->D - sim_distance(p);
    return s * s;
}

static int64_t
most_near(int64_t D, int64_t n, int64_t a)
{
    int64_t s = most_distance(D, n, a) + D;
    return s * s;
}

static int64_t
sim_slope(const struct exact_pair *p)
{
    int64_t s = p->c->in[4][p->h] * dot(p) + 1;
    return s * s;
}

static int64_t
most_slope(int64_t D, int64_t n, int64_t a)
{
    return most_quadratic(D * a, n, a);
}

static int64_t
sim_bias(const struct exact_pair *p)
{
    return dot(p) + p->c->in[4][(p->h * p->n + p->i) * p->n + p->j];
}

static int64_t
most_bias(int64_t D, int64_t n, int64_t a)
{
    return most_dot(D, n, a) + a;
}

static int64_t
sim_metric(const struct exact_pair *p)
{
    int64_t s = 0;
    for (int64_t d = 0; d < p->D; d++) {
        int row = 0;
        for (int64_t e = 0; e < p->D; e++)
            row += p->c->in[4][d * p->D + e] * p->k[e];
        s += p->q[d] * row;
    }
    return s;
}

static int64_t
most_metric(int64_t D, int64_t n, int64_t a)
{
    (void)n;
    return D * D * a * a * a;
}

static int64_t
sim_distant(const struct exact_pair *p)
{
    return (p->i - p->j) * dot(p);
}

static int64_t
most_distant(int64_t D, int64_t n, int64_t a)
{
    return 2 * (n + 8) * D * a * a;
}

/* Its features are an outer product of two maps of degree 2. */
static int64_t
sim_product(const struct exact_pair *p)
{
    int64_t r = 0, s = dot(p);
    for (int64_t d = 0; d < p->D; d++)
        r += p->q[(d + 1) % p->D] * p->k[d];
    return s * r * s * r;
}

static int64_t
most_product(int64_t D, int64_t n, int64_t a)
{
    int64_t s = most_dot(D, n, a);
    return s * s * s * s;
}

static int64_t
sim_alternating(const struct exact_pair *p)
{
    return (p->i - p->j) % 2 ? -dot(p) : dot(p);
}

/* ((-1)^(i - j) q + roll(q, 1))·k */
static int64_t
sim_rolled(const struct exact_pair *p)
{
    int64_t s = sim_alternating(p);
    for (int64_t d = 0; d < p->D; d++)
        s += p->q[(d + 1) % p->D] * p->k[d];
    return s;
}

static int64_t
most_rolled(int64_t D, int64_t n, int64_t a)
{
    return 2 * most_dot(D, n, a);
}

/* The entry d of x after so many quarter turns of its pairs; one without partner stays. */
static int64_t
turned(const int *x, int64_t D, int64_t d, int64_t turns, bool halves)
{
    int64_t pairs = D / 2, apart = halves ? pairs : 1;
    bool second = halves ? d >= pairs : d % 2;
    if (d >= 2 * pairs)
        return x[d];
    int other = second ? x[d - apart] : -x[d + apart];
    return turns % 4 == 0 ? x[d] : turns % 4 == 1 ? other : turns % 4 == 2 ? -x[d] : -other;
}

static int64_t
dot_turned(const struct exact_pair *p, bool halves)
{
    int64_t s = 0;
    for (int64_t d = 0; d < p->D; d++)
        s += turned(p->q, p->D, d, p->i, halves) * turned(p->k, p->D, d, p->j, halves);
    return s;
}

static int64_t
sim_turned(const struct exact_pair *p)
{
    return dot_turned(p, false);
}

static int64_t
sim_turned_halves(const struct exact_pair *p)
{
    int64_t s = dot_turned(p, true) + 1;
    return s * s;
}

static int64_t
sim_far(const struct exact_pair *p)
{
    return 1000 * dot(p);
}

static int64_t
most_far(int64_t D, int64_t n, int64_t a)
{
    (void)n;
    return 1000 * D * a * a / (n > 0 ? n : 1) + 1; /* the scores are not summed over keys */
}

/* The product of gates of 0, 1 and -1 after the key up to the query: at every fourth token what the
 * tensor param says, per channel d of width D or per token (width 1). */
static int64_t
gates(const struct exact_pair *p, int64_t d, int64_t width)
{
    int64_t r = 1, head = p->b * p->c->dims[EX_H] + p->h;
    for (int64_t t = p->j + 1; t <= p->i; t++) {
        int g = p->c->in[4][(head * p->n + t) * width + d];
        r *= t % 4 == 3 ? (g > 0) - (g < 0) : 1;
    }
    return r;
}

static int64_t
sim_channels(const struct exact_pair *p)
{
    int64_t s = 0;
    for (int64_t d = 0; d < p->D; d++)
        s += p->q[d] * p->k[d] * gates(p, d, p->D);
    return s;
}

static int64_t
sim_gated(const struct exact_pair *p)
{
    return gates(p, 0, 1) * sim_quadratic(p);
}

static int64_t
sim_forgets(const struct exact_pair *p)
{
    int64_t g = gates(p, 0, 1);
    return g * g * sim_positive(p);
}

/* Gates that are those of the keys themselves: 0 where an entry is 0. */
static int64_t
sim_keys(const struct exact_pair *p)
{
    int64_t s = 0;
    for (int64_t d = 0; d < p->D; d++) {
        bool kept = true;
        for (int64_t t = p->j + 1; t <= p->i; t++)
            kept = kept && p->k[(t - p->j) * p->D + d] != 0;
        s += kept ? p->q[d] * p->k[d] : 0;
    }
    return s;
}

/* ---- masks ---- */

static bool
sees_causal(const struct exact_pair *p)
{
    return p->j <= p->i;
}

static bool
sees_window(const struct exact_pair *p)
{
    return (p->i - p->j < 5 && p->j - p->i < 20) || p->j < 3;
}

static bool
sees_short(const struct exact_pair *p)
{
    return p->j < p->c->scalar;
}

static bool
sees_short_causal(const struct exact_pair *p)
{
    return p->j < p->c->scalar && p->j <= p->i;
}

static bool
sees_prefix(const struct exact_pair *p)
{
    return p->j <= p->i || p->j < p->c->scalar;
}

static bool
sees_document(const struct exact_pair *p)
{
    const int *doc = p->c->in[4] + p->b * p->n;
    return doc[p->i] == doc[p->j] && p->j <= p->i;
}

#define SIGN "max(min(gate[b,h,i], 1), -1)"
#define GATE "param gate[B,H,n]; let g = mod(i, 4) == 3 ? " SIGN " : 1; causal; "
#define CHANNELS                                                                                   \
    "param gate[B,H,n,D]; let g = mod(i, 4) == 3 ? " SIGN " : 1; "                                 \
    "sim = (decay(g) * q)·k; causal; normalize = 1;"
#define PHI "let phi(x) = relu(x) + 1; sim = phi(q)·phi(k); "
const struct exact_program exact_programs[] = {
    {.name = "quadratic_kernelized", .text = "sim = (q·k + 1)^2; kernelize; normalize = 1;",
     .sim = sim_quadratic, .most = most_quadratic, .several = true},
    {.name = "quadratic_direct", .text = "sim = (q·k + 1)^2; normalize = 1;",
     .sim = sim_quadratic, .most = most_quadratic},
    {.name = "quadratic_causal", .text = "sim = (q·k + 1)^2; causal; normalize = 1;",
     .sim = sim_quadratic, .sees = sees_causal, .most = most_quadratic, .several = true},
    {.name = "window",
     .text = "sim = q·k; mask = (i - j < 5 and j - i < 20) or j < 3; normalize = 1;",
     .sim = sim_dot, .sees = sees_window, .most = most_dot},
    {.name = "features_kernelized", .text = PHI "kernelize; normalize = 1;",
     .sim = sim_features, .most = most_features},
    {.name = "features_quotient", .text = PHI "kernelize;",
     .sim = sim_features, .most = most_features, .result = QUOTIENT, .several = true},
    {.name = "features_direct", .text = PHI "causal;",
     .sim = sim_features, .sees = sees_causal, .most = most_features, .result = QUOTIENT},
    {.name = "relu_prefix",
     .text = "param len = 9; sim = relu(q·k); mask = j <= i or j < len; normalize = 1;",
     .sim = sim_relu, .sees = sees_prefix, .most = most_dot},
    {.name = "positive_kernelized", .text = "sim = (q·k)^2 - 2*(q·k) + 2; kernelize;",
     .sim = sim_positive, .most = most_positive, .result = QUOTIENT},
    {.name = "positive_direct", .text = "sim = (q·k)^2 - 2*(q·k) + 2;",
     .sim = sim_positive, .most = most_positive, .result = QUOTIENT},
    {.name = "slope_kernelized",
     .text = "param slope[H]; sim = (slope[h] * (q·k) + 1)^2; kernelize; normalize = 1;",
     .sim = sim_slope, .most = most_slope},
    {.name = "short_kernelized",
     .text = "param len = 9; sim = (q·k + 1)^2; mask = j < len; kernelize; normalize = 1;",
     .sim = sim_quadratic, .sees = sees_short, .most = most_quadratic},
    {.name = "distance_kernelized", .text = "sim = norm2(q - k); kernelize; normalize = 1;",
     .sim = sim_distance, .most = most_distance},
    {.name = "near_kernelized",
     .text = "sim = (D - norm2(q - k))^2; kernelize; normalize = 1;",
     .sim = sim_near, .most = most_near, .max_D = 17},
    {.name = "near_scan",
     .text = "sim = (D - norm2(q - k))^2; causal; kernelize; normalize = 1;",
     .sim = sim_near, .sees = sees_causal, .most = most_near, .max_D = 17},
    {.name = "distant_kernelized", .text = "sim = (i - j) * (q·k); kernelize; normalize = 1;",
     .sim = sim_distant, .most = most_distant},
    {.name = "bias", .text = "param bias[H, n, n]; sim = q·k + bias[h, i, j]; normalize = 1;",
     .sim = sim_bias, .most = most_bias, .positions = true},
    {.name = "documents",
     .text = "param doc[B, n]; sim = q·k; causal; mask = doc[b, i] == doc[b, j]; normalize = 1;",
     .sim = sim_dot, .sees = sees_document, .most = most_dot, .positions = true},
    {.name = "metric", .text = "param W[D, D]; sim = q·(W @ k); normalize = 1;",
     .sim = sim_metric, .most = most_metric, .max_D = 17},
    {.name = "cubic_kernelized", .text = "sim = (q·k + 1)^3; kernelize; normalize = 1;",
     .sim = sim_cubic, .most = most_cubic, .max_D = 17},
    {.name = "quadratic_scan", .text = "sim = (q·k + 1)^2; causal; kernelize; normalize = 1;",
     .sim = sim_quadratic, .sees = sees_causal, .most = most_quadratic, .several = true},
    {.name = "taylor_scan",
     .text = "sim = 2*exp(-(q·k)); causal; kernelize taylor(2); normalize = 1;",
     .sim = sim_positive, .sees = sees_causal, .most = most_positive},
    {.name = "features_scan", .text = PHI "causal; kernelize;",
     .sim = sim_features, .sees = sees_causal, .most = most_features, .result = QUOTIENT},
    {.name = "slope_scan",
     .text = "param slope[H]; sim = (slope[h] * (q·k) + 1)^2; causal; kernelize; normalize = 1;",
     .sim = sim_slope, .sees = sees_causal, .most = most_slope},
    {.name = "short_scan",
     .text = "param len = 9; sim = (q·k + 1)^2; mask = j < len; causal; kernelize; normalize = 1;",
     .sim = sim_quadratic, .sees = sees_short_causal, .most = most_quadratic},
    {.name = "product_scan",
     .text = "sim = ((q·k) * (roll(q, 1)·k))^2; causal; kernelize; normalize = 1;",
     .sim = sim_product, .sees = sees_causal, .most = most_product, .max_D = 7},
    {.name = "alternating_scan",
     .text = "sim = (-1)^(i - j) * (q·k); causal; kernelize; normalize = 1;",
     .sim = sim_alternating, .sees = sees_causal, .most = most_dot},
    {.name = "channels_direct", .text = CHANNELS,
     .sim = sim_channels, .sees = sees_causal, .most = most_dot, .positions = true},
    {.name = "channels_scan", .text = CHANNELS " kernelize;",
     .sim = sim_channels, .sees = sees_causal, .most = most_dot, .positions = true,
     .several = true},
    {.name = "gated_direct", .text = GATE "sim = decay(g) * (q·k + 1)^2; normalize = 1;",
     .sim = sim_gated, .sees = sees_causal, .most = most_quadratic, .positions = true},
    {.name = "gated_scan", .text = GATE "sim = decay(g) * (q·k + 1)^2; normalize = 1; kernelize;",
     .sim = sim_gated, .sees = sees_causal, .most = most_quadratic, .positions = true},
    {.name = "forgets_scan",
     .text = GATE "sim = decay(abs(g)) * ((q·k)^2 - 2*(q·k) + 2); kernelize;",
     .sim = sim_forgets, .sees = sees_causal, .most = most_positive, .result = QUOTIENT,
     .positions = true},
    {.name = "keys_scan",
     .text = "sim = (decay(min(abs(k), 1)) * q)·k; causal; normalize = 1; kernelize;",
     .sim = sim_keys, .sees = sees_causal, .most = most_dot},
    {.name = "rolled_scan",
     .text = "sim = ((-1)^(i - j) * q + roll(q, 1))·k; causal; kernelize; normalize = 1;",
     .sim = sim_rolled, .sees = sees_causal, .most = most_rolled},
    {.name = "turned",
     .text = "sim = floor(rope(q, π/2*i, 1)·rope(k, π/2*j, 1) + 0.5); causal; normalize = 1;",
     .sim = sim_turned, .sees = sees_causal, .most = most_dot, .positions = true},
    {.name = "turned_scan",
     .text = "let f(x, p) = floor(rope_half(x, π/2*p, 1) + 0.5); sim = (f(q, i)·f(k, j) + 1)^2; "
             "causal; kernelize; normalize = 1;",
     .sim = sim_turned_halves, .sees = sees_causal, .most = most_quadratic, .positions = true},
    {.name = "hardmax_causal", .text = "sim = exp(1000 * (q·k)); causal;",
     .sim = sim_far, .sees = sees_causal, .most = most_far, .result = HARDMAX},
};
const int exact_program_count = sizeof exact_programs / sizeof *exact_programs;

/* ---- inputs ---- */

static void *
must_malloc(size_t n)
{
    void *p = malloc(n);
    if (!p)
        abort();
    return p;
}

static uint64_t
next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int64_t
tensor_count(const attn_tensor *t, const int64_t *dims)
{
    int64_t n = 1;
    for (int r = 0; r < t->rank; r++)
        n *= dims[t->dims[r]];
    return n;
}

/* Magnitudes of the entries of q, k and params, and of v: as large as stays exact, at most 2. */
static bool
choose_size(const struct exact_program *p, enum attn_type type, const int64_t *d, int *a, int *v)
{
    int64_t limit = (int64_t)1 << (type == ATTN_TYPE_F64 ? 53 : 24);
    for (*a = 2; *a >= 1; --*a)
        for (*v = 2; *v >= 1; --*v)
            if (p->most(d[EX_D], d[EX_N], *a) * d[EX_N] * *v <= limit)
                return true;
    return false;
}

static void
reference_row(struct exact_case *c, int64_t b, int64_t h, int64_t r, double *out, int64_t *w)
{
    const int64_t *d = c->dims;
    int64_t g = b * d[EX_G] + h * d[EX_G] / d[EX_H], den = 0, top = INT64_MIN;
    struct exact_pair x = {.q = c->in[0] + ((b * d[EX_H] + h) * d[EX_NQ] + r) * d[EX_D],
                           .D = d[EX_D], .i = r + d[EX_N] - d[EX_NQ], .b = b, .h = h,
                           .n = d[EX_N], .c = c};
    bool any = false;
    for (x.j = 0; x.j < x.n; x.j++) {
        bool seen = !c->p->sees || c->p->sees(&x);
        x.k = c->in[1] + (g * x.n + x.j) * x.D;
        w[x.j] = seen ? c->p->sim(&x) : c->p->result == HARDMAX ? INT64_MIN : 0;
        top = w[x.j] > top ? w[x.j] : top;
        any = any || seen;
    }
    for (int64_t j = 0; j < x.n; j++) {
        if (c->p->result == HARDMAX)
            w[j] = any && w[j] == top;
        den += w[j];
    }
    for (int64_t m = 0; m < d[EX_M]; m++) {
        int64_t sum = 0;
        for (int64_t j = 0; j < x.n; j++)
            sum += w[j] * c->in[2][(g * x.n + j) * d[EX_M] + m];
        /* f64 has more than twice the digits of f32: rounding the quotient twice is harmless */
        double y = !any ? 0 : c->p->result == SUM ? (double)sum : (double)sum / (double)den;
        out[m] = c->kernel->type == ATTN_TYPE_F64 ? y : (double)(float)y;
    }
}

bool
exact_make(struct exact_case *c, const struct exact_program *p, const attn_kernel *k,
           const int64_t *dims, uint64_t seed)
{
    int a, v;
    *c = (struct exact_case){.p = p, .kernel = k};
    memcpy(c->dims, dims, sizeof c->dims);
    c->scalar = (int64_t)(next(&seed) % (uint64_t)(dims[EX_N] + 2));
    if (!choose_size(p, (enum attn_type)k->type, dims, &a, &v))
        return false;
    for (int t = 0; t < k->ntensors; t++) {
        int64_t n = tensor_count(&k->tensors[t], dims);
        int most = t == 2 ? v : a;
        c->elements[t] = n;
        c->in[t] = must_malloc(sizeof(int) * (size_t)(n + 1));
        for (int64_t e = 0; e < n; e++)
            c->in[t][e] = (int)(next(&seed) % (uint64_t)(2 * most + 1)) - most;
    }
    c->count = c->elements[3];
    c->want = must_malloc(sizeof(double) * (size_t)(c->count + 1));
    int64_t *w = must_malloc(sizeof(int64_t) * (size_t)(dims[EX_N] + 1)), rows = dims[EX_NQ];
    for (int64_t r = 0; r < dims[EX_B] * dims[EX_H] * rows; r++)
        reference_row(c, r / rows / dims[EX_H], r / rows % dims[EX_H], r % rows,
                      c->want + r * dims[EX_M], w);
    free(w);
    return true;
}

void
exact_free(struct exact_case *c)
{
    for (int t = 0; t < EXACT_TENSORS; t++)
        free(c->in[t]);
    free(c->want);
}

/* ---- tensors in memory ---- */

void
placed_init(struct placed *x, const attn_kernel *k, int t, const int64_t *dims, enum layout layout)
{
    const attn_tensor *a = &k->tensors[t];
    int bits = k->type == ATTN_TYPE_F64 ? 64 : 32, order[ATTN_MAX_RANK];
    int64_t step = 1, last = 0;
    *x = (struct placed){.count = 1};
    for (int r = 0; r < a->rank; r++) {
        x->shape[r] = dims[a->dims[r]];
        x->count *= x->shape[r];
        order[r] = r;
    }
    if (layout == LAYOUT_HEADS_INSIDE && a->rank == 4) {
        order[1] = 2;
        order[2] = 1;
    }
    for (int r = a->rank - 1; r >= 0; r--) { /* innermost first */
        int ax = order[r];
        x->stride[ax] = step;
        step *= x->shape[ax] > 0 ? x->shape[ax] : 1;
        if (layout == LAYOUT_PADDED)
            step += r == a->rank - 1 ? 3 : 5 * r + 2;
        else if (layout == LAYOUT_HEADS_INSIDE && r == a->rank - 1)
            step += 1;
        last += x->count ? (x->shape[ax] - 1) * x->stride[ax] : 0;
    }
    x->bytes = (size_t)(x->count ? last + 1 : 0) * (size_t)(bits / 8);
    x->t = (DLTensor){.device = {kDLCPU, 0}, .ndim = a->rank,
                      .dtype = {kDLFloat, (uint8_t)bits, 1}};
}

char *
placed_at(const struct placed *x, char *base, int64_t e)
{
    int64_t offset = 0;
    for (int r = x->t.ndim - 1; r >= 0; r--) {
        offset += e % x->shape[r] * x->stride[r];
        e /= x->shape[r];
    }
    return base + offset * (x->t.dtype.bits / 8);
}

void
placed_put(const struct placed *x, char *base, int64_t e, double v)
{
    char *at = placed_at(x, base, e);
    float f = (float)v;
    memcpy(at, x->t.dtype.bits == 64 ? (void *)&v : (void *)&f, x->t.dtype.bits / 8);
}

double
placed_get(const struct placed *x, const char *base, int64_t e)
{
    const char *at = placed_at(x, (char *)(uintptr_t)base, e);
    double d;
    float f;
    if (x->t.dtype.bits == 64) {
        memcpy(&d, at, sizeof d);
        return d;
    }
    memcpy(&f, at, sizeof f);
    return f;
}

/* ---- runs ---- */

enum { PATTERN = 0x5a };

void
exact_place(struct exact_run *r, const struct exact_case *c, enum layout layout)
{
    memset(r, 0, sizeof *r);
    for (int t = 0; t < c->kernel->ntensors; t++)
        placed_init(&r->x[t], c->kernel, t, c->dims, layout);
}

void
exact_fill(struct exact_run *r, const struct exact_case *c)
{
    for (int t = 0; t < c->kernel->ntensors; t++) {
        if (t == 3)
            continue;
        memset(r->memory[t], 0xff, r->x[t].bytes);
        for (int64_t e = 0; e < r->x[t].count; e++)
            placed_put(&r->x[t], r->memory[t], e, c->in[t][e]);
    }
    r->image = must_malloc(r->x[3].bytes + 1);
    memset(r->image, PATTERN, r->x[3].bytes);
    for (int64_t e = 0; e < c->count; e++)
        placed_put(&r->x[3], r->image, e, c->want[e]);
}

void
exact_reset(struct exact_run *r)
{
    memset(r->memory[3], PATTERN, r->x[3].bytes);
}

int
exact_launch(struct exact_run *r, const struct exact_case *c, const attn_kernel *k, attn_exec *exec)
{
    const DLTensor *t[EXACT_TENSORS];
    double scalar = (double)c->scalar;
    for (int n = 0; n < k->ntensors; n++) {
        r->x[n].t.data = r->memory[n];
        r->x[n].t.shape = r->x[n].shape;
        r->x[n].t.strides = r->x[n].stride;
        t[n] = &r->x[n].t;
    }
    return attn_launch(k, 0, t, &scalar, exec);
}

int64_t
exact_wrong(const struct exact_run *r, const struct exact_case *c)
{
    const struct placed *x = &r->x[3];
    if (!memcmp(r->image, r->memory[3], x->bytes))
        return -1;
    for (int64_t e = 0; e < c->count; e++)
        if (memcmp(placed_at(x, r->image, e), placed_at(x, r->memory[3], e), x->t.dtype.bits / 8))
            return e;
    return -2;
}

void
exact_run_free(struct exact_run *r)
{
    free(r->image);
}
