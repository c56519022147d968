/* expand: the similarity as a sum of products of a query side and a key side, degree by degree.
 *
 *     (q·k + 1)^2   ->   1 + rsum[d](q * 2*k) + rsum[sym(d,2)](mono_2(q) * weighted mono_2(k))
 *
 * The exact coefficients and multinomial weights stay on the key side, so no root is rounded and
 * negative coefficients need no special case. Terms that share the dots and the query side become
 * one block. */
#include "passes/split.h"

#include <stdlib.h>
#include <string.h>

static const span_t nowhere = {0, 0};

/* Terms with the same dots (and the same query factors): A * (sum of key sides). */
struct block {
    ulong dots[SPLIT_MAX_ATOMS];
    ulong left[SPLIT_MAX_ATOMS];   /* query and neutral factors */
    ulong decays[SPLIT_MAX_ATOMS];
    ir_ref a, b;                   /* scalar factors of each side */
    bool joined;                   /* numbers moved from a to b */
    ulong degree;
};

struct expansion {
    struct split s;
    struct block at[PASS_MAX_TERMS];
    int n;
};

static bool
is_left(const struct split_atom *a)
{
    return a->side != SIDE_MIXED && a->side != SIDE_KEY;
}

static ir_ref
factor_product(struct expansion *x, const ulong *exps, bool left, const fmpq *c, span_t at)
{
    struct ir_func *f = x->s.f;
    ir_ref r = c ? ir_const_q(f, c, at) : ir_const_i(f, 1, 1, at);
    for (int k = 0; k < x->s.natoms; k++) {
        const struct split_atom *a = &x->s.atom[k];
        if (!exps[k] || a->side == SIDE_MIXED || is_left(a) != left)
            continue;
        ir_ref p = exps[k] == 1 ? a->node : ir_powi(f, a->node, (int)exps[k], at);
        r = pass_mul(f, r, p, at);
    }
    return r;
}

static struct block *
block_for(struct expansion *x, const ulong *exps, span_t at)
{
    struct block b = {.degree = 0};
    for (int k = 0; k < x->s.natoms; k++) {
        const struct split_atom *a = &x->s.atom[k];
        if (a->kind == ATOM_DOT)
            b.degree += b.dots[k] = exps[k];
        else if (a->kind == ATOM_DECAY)
            b.decays[k] = exps[k];
        else if (is_left(a))
            b.left[k] = exps[k];
    }
    for (int k = 0; k < x->n; k++)
        if (!memcmp(x->at[k].dots, b.dots, sizeof b.dots) &&
            !memcmp(x->at[k].decays, b.decays, sizeof b.decays) &&
            !memcmp(x->at[k].left, b.left, sizeof b.left))
            return &x->at[k];
    if (x->n == PASS_MAX_TERMS) {
        diag_error(x->s.diag, at, "the similarity expands to more than %d groups of terms",
                   PASS_MAX_TERMS);
        return NULL;
    }
    b.a = factor_product(x, exps, true, NULL, at);
    x->at[x->n] = b;
    return &x->at[x->n++];
}

static bool
collect_blocks(struct expansion *x, const split_poly *p, span_t at)
{
    fmpq_t c;
    bool ok = true;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(p, x->s.ctx) && ok; i++) {
        ulong exps[SPLIT_MAX_ATOMS] = {0};
        split_term(&x->s, p, i, c, exps);
        struct block *b = block_for(x, exps, at);
        ok = b != NULL;
        if (!ok)
            break;
        ir_ref key = factor_product(x, exps, false, c, at);
        b->b = b->b ? ir_op2(x->s.f, IR_add, b->b, key, at) : key;
    }
    fmpq_clear(c);
    return ok;
}

/* A factor that is one number for the whole call costs nothing on either side; one that differs
 * from head to head would make features of shared keys differ, too. */
static bool
is_number(const struct expansion *x, int atom)
{
    const struct split_atom *a = &x->s.atom[atom];
    return a->side == SIDE_NEUTRAL && a->kind != ATOM_DECAY && !x->s.f->nodes[a->node].axes;
}

static bool
same_but_numbers(const struct expansion *x, const struct block *a, const struct block *b)
{
    for (int k = 0; k < x->s.natoms; k++)
        if (a->dots[k] != b->dots[k] || a->decays[k] != b->decays[k] ||
            (a->left[k] != b->left[k] && !is_number(x, k)))
            return false;
    return true;
}

/* The numbers among the factors of the query side move to the key side. */
static void
move_numbers(struct expansion *x, struct block *b, span_t at)
{
    ulong numbers[SPLIT_MAX_ATOMS] = {0};
    if (b->joined)
        return;
    for (int k = 0; k < x->s.natoms; k++)
        if (is_number(x, k)) {
            numbers[k] = b->left[k];
            b->left[k] = 0;
        }
    b->b = pass_mul(x->s.f, b->b, factor_product(x, numbers, true, NULL, at), at);
    b->a = factor_product(x, b->left, true, NULL, at);
    b->joined = true;
}

/* Blocks that differ by numbers alone are one: c*k² and c² go with the same features of q.
 *
 *     |q|²*(2*|k|²) + (|q|²*c)*(-2)   ->   |q|²*(2*|k|² - 2*c) */
static void
join_numbers(struct expansion *x, span_t at)
{
    for (int i = 0; i < x->n; i++)
        for (int j = i + 1; j < x->n;) {
            struct block *a = &x->at[i], *b = &x->at[j];
            if (!same_but_numbers(x, a, b)) {
                j++;
                continue;
            }
            move_numbers(x, a, at);
            move_numbers(x, b, at);
            a->b = ir_op2(x->s.f, IR_add, a->b, b->b, at);
            x->at[j] = x->at[--x->n];
        }
}

/* Blocks with the same dots and the same key side: their query sides add up. */
static void
merge_blocks(struct expansion *x, span_t at)
{
    for (int i = 0; i < x->n; i++)
        for (int j = i + 1; j < x->n;) {
            struct block *a = &x->at[i], *b = &x->at[j];
            if (a->b != b->b || memcmp(a->dots, b->dots, sizeof a->dots) ||
                memcmp(a->decays, b->decays, sizeof a->decays)) {
                j++;
                continue;
            }
            a->a = ir_op2(x->s.f, IR_add, a->a, b->a, at);
            x->at[j] = x->at[--x->n];
        }
}

/* The monomials of the block's dots on one side, with the axis they run over. */
static ir_ref
block_features(struct expansion *x, const struct block *b, bool query, uint8_t *axis, span_t at)
{
    struct ir_func *f = x->s.f;
    ir_ref r = 0;
    *axis = AX_UNIT;
    for (int k = 0; k < x->s.natoms; k++) {
        const struct split_atom *a = &x->s.atom[k];
        if (!b->dots[k])
            continue;
        ir_ref m = ir_mono(f, a->axis, (int)b->dots[k], !query, query ? a->q : a->k, at);
        uint8_t ax = ir_axis_sym(f, a->axis, (int)b->dots[k]);
        if (r) {
            r = ir_outer(f, r, *axis, m, ax, at);
            ax = ir_axis_outer(f, *axis, ax);
        } else {
            r = m;
        }
        *axis = ax;
    }
    return r;
}

/* Product of the block's decays g^(i - j), one per channel where a dot has them; 0: none. *ok is
 * false after an error: only a dot by itself may decay per channel. */
static ir_ref
block_decay(struct expansion *x, const struct block *b, span_t at, bool *ok)
{
    struct ir_func *f = x->s.f;
    ir_ref r = 0;
    for (int k = 0; k < x->s.natoms; k++) {
        const struct split_atom *a = &x->s.atom[k];
        ir_ref d = 0;
        if (b->dots[k] && a->g) {
            d = pass_decay(f, a->g, at);
            *ok = *ok && b->degree == 1;
        } else if (b->decays[k]) {
            d = b->decays[k] == 1 ? a->node : ir_powi(f, a->node, (int)b->decays[k], at);
        }
        if (d)
            r = r ? ir_op2(f, IR_mul, r, d, at) : d;
    }
    if (!*ok)
        diag_error(x->s.diag, at, "a dot product that decays per channel cannot be raised to a "
                                  "power or multiplied by another under kernelize");
    return r;
}

static ir_ref
block_term(struct expansion *x, const struct block *b, span_t at, int64_t *features, bool *ok)
{
    struct ir_func *f = x->s.f;
    uint8_t axis;
    ir_ref q = block_features(x, b, true, &axis, at), k = block_features(x, b, false, &axis, at);
    int64_t n = axis_fixed_size(f, axis);
    *features = *features < 0 || n < 0 ? -1 : n > PASS_MAX_FEATURES ? INT64_MAX / 2 : *features + n;
    ir_ref decay = block_decay(x, b, at, ok);
    ir_ref pair = q ? ir_op2(f, IR_mul, pass_mul(f, q, b->a, at), pass_mul(f, k, b->b, at), at)
                    : pass_mul(f, b->a, b->b, at);
    pair = decay ? ir_op2(f, IR_mul, pair, decay, at) : pair;
    return q ? ir_rsum(f, axis, pair, at) : pair;
}

static int
by_degree(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    return x->degree < y->degree ? -1 : x->degree > y->degree;
}

static ir_ref
build_sum(struct expansion *x, span_t at)
{
    int64_t features = 0;
    ir_ref sum = 0;
    bool ok = true;
    for (int k = 0; k < x->n && ok; k++) {
        ir_ref t = block_term(x, &x->at[k], at, &features, &ok);
        sum = sum ? ir_op2(x->s.f, IR_add, sum, t, at) : t;
    }
    if (features > PASS_MAX_FEATURES) {
        diag_error(x->s.diag, at, "the feature map has more than the limit of %d features",
                   PASS_MAX_FEATURES);
        return 0;
    }
    if (!ok)
        return 0;
    return sum ? sum : ir_const_i(x->s.f, 0, 1, at);
}

static bool
mask_factors(struct ir_func *f, struct diag *d)
{
    struct mask_parts m = pass_mask_parts(f, f->root[ROOT_MASK]);
    if (!m.rest)
        return true;
    diag_error(d, f->nodes[m.rest].span,
               "a mask that depends on both i and j does not factor into a query side and a key "
               "side, and is not causal (j <= i)");
    diag_note(d, nowhere, "without kernelize the mask costs only the tiles it shows");
    return false;
}

bool
pass_expand(struct ir_func *f, struct pass_context *c)
{
    ir_ref w = pass_weight(f);
    if (f->kernelize == KERNELIZE_NONE)
        return true;
    if (!mask_factors(f, c->diag))
        return false;
    ir_ref sim = w ? pass_weight_sim(f, w) : 0;
    if (!sim) { /* only from a .air text: sema always writes such a sum */
        diag_error(c->diag, nowhere,
                   "nothing to kernelize: the numerator is not a sum over keys of weight times "
                   "value");
        diag_note(c->diag, nowhere, "text printed after this pass cannot go through it again");
        return false;
    }
    span_t at = f->nodes[sim].span;
    struct expansion *x = ARENA_NEW(c->scratch, struct expansion);
    split_init(&x->s, f, c->diag);
    x->s.causal = pass_mask_parts(f, f->root[ROOT_MASK]).causal;
    split_poly *p = split_scalar(&x->s, sim);
    ir_ref sum = 0;
    if (p && collect_blocks(x, p, at)) {
        join_numbers(x, at);
        merge_blocks(x, at);
        qsort(x->at, (size_t)x->n, sizeof x->at[0], by_degree);
        sum = build_sum(x, at);
        split_poly *back = sum ? split_scalar(&x->s, sum) : NULL;
        if (sum && !back && c->diag->errors)
            sum = 0; /* a limit of the split, with its diagnostic */
        if (sum && (!back || !fmpq_mpoly_equal(p, back, x->s.ctx)))
            ICE("the split of the similarity could not be proven equal to it");
        if (sum) {
            f->root[ROOT_PAIR] = split_node(&x->s, p, at);
            c->why->blocks = x->n;
            c->why->cancels = !features_nonneg(f, f->root[ROOT_PAIR]);
            c->why->expansion = math_text(f, f->root[ROOT_PAIR]);
            c->why->proof = arena_printf(
                f->arena,
                "proven: both sides have the same normal form over Q (%ld term%s "
                "in the atoms)",
                (long)fmpq_mpoly_length(p, x->s.ctx),
                fmpq_mpoly_length(p, x->s.ctx) == 1 ? "" : "s");
        }
    }
    split_free(&x->s);
    if (!sum)
        return false;
    rewrite_replace(f, c->scratch, sim, sum);
    return true;
}
