/* Rebuilding functions, and reading sums of (query side) * (key side).
 *
 * Operands come before their users, so one sweep over the node numbers rewrites a function. New
 * nodes are appended while the sweep runs: no pointer into f->nodes survives a call that builds. */
#include "passes/rewrite.h"

static ir_ref
rebuild(struct ir_func *f, ir_ref n, const ir_ref *map)
{
    ir_ref arg[3] = {0, 0, 0};
    bool same = true;
    for (int k = 0; k < f->nodes[n].nargs; k++) {
        arg[k] = map[f->nodes[n].arg[k]];
        same = same && arg[k] == f->nodes[n].arg[k];
    }
    return same ? n : ir_with_args(f, n, arg);
}

static bool
roots_changed(const struct ir_func *f, const ir_ref *map)
{
    for (int r = 0; r < ROOT_COUNT; r++)
        if (f->root[r] && map[f->root[r]] != f->root[r])
            return true;
    return false;
}

bool
rewrite_all(struct ir_func *f, struct arena *scratch, rewrite_fn *fn, void *arg)
{
    uint32_t count = f->nnodes;
    ir_ref *map = ARENA_ARRAY(scratch, ir_ref, count);
    bool *live = ir_live(f, scratch);
    for (ir_ref n = 1; n < count; n++)
        if (live[n])
            map[n] = fn(f, rebuild(f, n, map), arg);
    bool changed = roots_changed(f, map);
    ir_map_roots(f, map);
    return changed;
}

bool
rewrite_replace(struct ir_func *f, struct arena *scratch, ir_ref from, ir_ref to)
{
    uint32_t count = f->nnodes;
    ir_ref *map = ARENA_ARRAY(scratch, ir_ref, count);
    bool *live = ir_live(f, scratch);
    ir_ref sim = f->root[ROOT_SIM], mask = f->root[ROOT_MASK], pair = f->root[ROOT_PAIR];
    for (ir_ref n = 1; n < count; n++)
        if (live[n])
            map[n] = n == from ? to : rebuild(f, n, map);
    bool changed = roots_changed(f, map);
    ir_map_roots(f, map);
    f->root[ROOT_SIM] = sim;
    f->root[ROOT_MASK] = mask;
    f->root[ROOT_PAIR] = pair;
    return changed;
}

void
rewrite_shifted(struct ir_func *f, ir_ref shift, span_t at)
{
    if (f->root[ROOT_LSE])
        f->root[ROOT_LSE] = ir_op2(f, IR_add, f->root[ROOT_LSE], shift, at);
}

static int
factors_walk(const struct ir_func *f, ir_ref n, ir_ref *out, int count)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_mul && count + 2 <= PASS_MAX_FACTORS) {
        count = factors_walk(f, x->arg[0], out, count);
        if (count < PASS_MAX_FACTORS)
            return factors_walk(f, x->arg[1], out, count);
        ICE("a product of more than %d factors", PASS_MAX_FACTORS);
    }
    out[count] = n;
    return count + 1;
}

int
pass_factors(const struct ir_func *f, ir_ref n, ir_ref *out)
{
    return factors_walk(f, n, out, 0);
}

ir_ref
pass_mul(struct ir_func *f, ir_ref a, ir_ref b, span_t at)
{
    if (ir_is_const(f, a, 1))
        return b;
    return ir_is_const(f, b, 1) ? a : ir_op2(f, IR_mul, a, b, at);
}

ir_ref
pass_product(struct ir_func *f, const ir_ref *factors, int n, span_t at)
{
    ir_ref r = ir_const_i(f, 1, 1, at);
    for (int k = 0; k < n; k++)
        r = pass_mul(f, r, factors[k], at);
    return r;
}

bool
has_axis(const struct ir_func *f, ir_ref n, uint8_t axis)
{
    return f->nodes[n].axes >> axis & 1;
}

/* ---- the shape of num ---- */

static bool
is_values(const struct ir_func *f, ir_ref n)
{
    return f->nodes[n].op == IR_input && f->nodes[n].attr.num == 2;
}

ir_ref
pass_weight(struct ir_func *f)
{
    ir_ref fac[PASS_MAX_FACTORS], num = f->root[ROOT_NUM];
    if (!num || f->nodes[num].op != IR_rsum || f->nodes[num].attr.axis != AX_j)
        return 0;
    const struct ir_node x = f->nodes[f->nodes[num].arg[0]];
    if (x.op == IR_mul && is_values(f, x.arg[1]))
        return x.arg[0];
    if (x.op == IR_mul && is_values(f, x.arg[0]))
        return x.arg[1];
    int n = pass_factors(f, f->nodes[num].arg[0], fac), m = 0;
    bool found = false;
    for (int k = 0; k < n; k++) {
        if (!found && is_values(f, fac[k]))
            found = true;
        else
            fac[m++] = fac[k];
    }
    return found ? pass_product(f, fac, m, f->nodes[num].span) : 0;
}

ir_ref
pass_weight_sim(const struct ir_func *f, ir_ref w)
{
    const struct ir_node *x = &f->nodes[w];
    bool masked = x->op == IR_select && x->arg[0] == f->root[ROOT_MASK];
    return masked && ir_is_const(f, x->arg[2], 0) ? x->arg[1] : w;
}

/* ---- masks ---- */

/* j <= i, i >= j, i - j >= 0, not (j > i): d is what must not be negative, as +1*i - 1*j + 0. */
static bool
is_causal(const struct ir_func *f, ir_ref n, bool negated)
{
    const struct ir_node *x = &f->nodes[n];
    if (x->op == IR_not)
        return is_causal(f, x->arg[0], !negated);
    bool le = x->op == (negated ? IR_gt : IR_le), ge = x->op == (negated ? IR_lt : IR_ge);
    if (!le && !ge)
        return false;
    const struct ir_node *lo = &f->nodes[x->arg[le ? 0 : 1]], *hi = &f->nodes[x->arg[le ? 1 : 0]];
    if (lo->op == IR_pos && hi->op == IR_pos)
        return lo->attr.axis == AX_j && hi->attr.axis == AX_i;
    bool zero = ir_is_const(f, x->arg[le ? 0 : 1], 0) && hi->op == IR_sub;
    const struct ir_node *p = zero ? &f->nodes[hi->arg[0]] : hi,
                         *m = zero ? &f->nodes[hi->arg[1]] : lo;
    return zero && p->op == IR_pos && m->op == IR_pos && p->attr.axis == AX_i &&
           m->attr.axis == AX_j;
}

static void
collect_parts(struct ir_func *f, ir_ref n, struct mask_parts *out)
{
    const struct ir_node x = f->nodes[n];
    if (x.op == IR_and) {
        collect_parts(f, x.arg[0], out);
        collect_parts(f, x.arg[1], out);
        return;
    }
    if (is_causal(f, n, false)) {
        out->causal = true;
        return;
    }
    ir_ref *part = has_axis(f, n, AX_i) ? &out->rest : &out->key;
    *part = *part ? ir_op2(f, IR_and, *part, n, x.span) : n;
}

struct mask_parts
pass_mask_parts(struct ir_func *f, ir_ref mask)
{
    struct mask_parts m = {0};
    if (mask)
        collect_parts(f, mask, &m);
    return m;
}

/* ---- decays ---- */

ir_ref
pass_decay(struct ir_func *f, ir_ref g, span_t at)
{
    if (has_axis(f, g, AX_j))
        return ir_op1(f, IR_decay, g, at);
    ir_ref d = ir_op2(f, IR_sub, ir_pos(f, AX_i, at), ir_pos(f, AX_j, at), at);
    return ir_op2(f, IR_pow, g, d, at);
}

ir_ref
pass_decay_base(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n], *d = &f->nodes[x->arg[1]];
    if (x->op == IR_decay)
        return x->arg[0];
    if (x->op != IR_pow || d->op != IR_sub || ir_side_of(f, x->arg[0]) != SIDE_NEUTRAL)
        return 0;
    const struct ir_node *i = &f->nodes[d->arg[0]], *j = &f->nodes[d->arg[1]];
    bool distance = i->op == IR_pos && i->attr.axis == AX_i && j->op == IR_pos &&
                    j->attr.axis == AX_j;
    return distance ? x->arg[0] : 0;
}

/* ---- sums of pairs ---- */

struct pairs {
    struct ir_func *f;
    struct pair_term *out;
    ir_ref stop;
};

static int pairs_of(struct pairs *p, ir_ref n, uint8_t axis, struct pair_term *out, int max);

static int
pairs_stop(struct pairs *p, ir_ref n)
{
    if (!p->stop)
        p->stop = n;
    return -1;
}

/* Multiplies every term by one-sided node x. */
static int
pairs_scale(struct pairs *p, struct pair_term *t, int n, ir_ref x)
{
    for (int k = 0; k < n; k++) {
        ir_ref *side = ir_side_of(p->f, x) == SIDE_KEY ? &t[k].b : &t[k].a;
        *side = pass_mul(p->f, *side, x, p->f->nodes[x].span);
    }
    return n;
}

static int
pairs_product(struct pairs *p, const struct ir_node *x, ir_ref n, uint8_t axis,
              struct pair_term *out, int max)
{
    struct pair_term r[PASS_MAX_TERMS], l[PASS_MAX_TERMS];
    int nl = pairs_of(p, x->arg[0], axis, l, PASS_MAX_TERMS);
    int nr = nl < 0 ? -1 : pairs_of(p, x->arg[1], axis, r, PASS_MAX_TERMS), count = 0;
    if (nr < 0 || nl * nr > max)
        return pairs_stop(p, n);
    for (int i = 0; i < nl; i++) {
        for (int j = 0; j < nr; j++) {
            if (l[i].axis != AX_UNIT && r[j].axis != AX_UNIT)
                return pairs_stop(p, n);
            out[count].axis = l[i].axis == AX_UNIT ? r[j].axis : l[i].axis;
            out[count].g = l[i].g && r[j].g ? ir_op2(p->f, IR_mul, l[i].g, r[j].g, x->span)
                                            : l[i].g ? l[i].g : r[j].g;
            out[count].a = pass_mul(p->f, l[i].a, r[j].a, x->span);
            out[count++].b = pass_mul(p->f, l[i].b, r[j].b, x->span);
        }
    }
    return count;
}

/* rsum[f](X): the terms of X, each summed over f (or times its size). */
static int
pairs_sum(struct pairs *p, const struct ir_node *x, ir_ref n, struct pair_term *out, int max)
{
    uint8_t axis = x->attr.axis;
    int count = pairs_of(p, x->arg[0], axis, out, max);
    for (int k = 0; k < count; k++) {
        bool in_a = has_axis(p->f, out[k].a, axis), in_b = has_axis(p->f, out[k].b, axis);
        bool in_g = out[k].g && has_axis(p->f, out[k].g, axis);
        if (out[k].axis != AX_UNIT || (in_g && !(in_a && in_b)))
            return pairs_stop(p, n);
        if (in_a && in_b)
            out[k].axis = axis;
        else if (in_a || !in_b)
            out[k].a = ir_rsum(p->f, axis, out[k].a, x->span);
        else
            out[k].b = ir_rsum(p->f, axis, out[k].b, x->span);
    }
    return count;
}

static int
pairs_of(struct pairs *p, ir_ref n, uint8_t axis, struct pair_term *out, int max)
{
    struct ir_func *f = p->f;
    const struct ir_node x = f->nodes[n];
    enum ir_side side = ir_side_of(f, n);
    ir_ref one = ir_const_i(f, 1, 1, x.span);
    if (max < 1)
        return pairs_stop(p, n);
    if (side != SIDE_MIXED) {
        out[0] = (struct pair_term){side == SIDE_KEY ? one : n, side == SIDE_KEY ? n : one, 0,
                                    AX_UNIT};
        return 1;
    }
    bool whole = x.op == IR_powi && x.attr.num > 0;
    ir_ref g = pass_decay_base(f, whole ? x.arg[0] : n);
    if (g) {
        out[0] = (struct pair_term){one, one, whole ? ir_powi(f, g, x.attr.num, x.span) : g,
                                    AX_UNIT};
        return 1;
    }
    if (x.op == IR_add || x.op == IR_sub) {
        int l = pairs_of(p, x.arg[0], axis, out, max);
        int r = l < 0 ? -1 : pairs_of(p, x.arg[1], axis, out + l, max - l);
        if (r > 0 && x.op == IR_sub)
            pairs_scale(p, out + l, r, ir_const_i(f, -1, 1, x.span));
        return r < 0 ? -1 : l + r;
    }
    if (x.op == IR_neg) {
        int l = pairs_of(p, x.arg[0], axis, out, max);
        return l < 0 ? -1 : pairs_scale(p, out, l, ir_const_i(f, -1, 1, x.span));
    }
    if (x.op == IR_mul)
        return pairs_product(p, &x, n, axis, out, max);
    if (x.op == IR_rsum && x.attr.axis != AX_j)
        return pairs_sum(p, &x, n, out, max);
    if (x.op == IR_select && ir_side_of(f, x.arg[0]) != SIDE_MIXED && ir_is_const(f, x.arg[2], 0)) {
        int l = pairs_of(p, x.arg[1], axis, out, max);
        return l < 0 ? -1 : pairs_scale(p, out, l, ir_select(f, x.arg[0], one, x.arg[2], x.span));
    }
    return pairs_stop(p, n);
}

int
pair_terms(struct ir_func *f, ir_ref n, struct pair_term *out, ir_ref *stop)
{
    struct pairs p = {.f = f, .out = out};
    int count = pairs_of(&p, n, AX_UNIT, out, PASS_MAX_TERMS);
    *stop = p.stop;
    return count;
}

/* ---- sizes ---- */

int64_t
axis_fixed_size(const struct ir_func *f, uint8_t axis)
{
    int64_t sizes[64];
    if (axis == AX_UNIT)
        return 1;
    const struct ir_axis *a = &f->axes[axis];
    if (a->kind == AXK_BASE)
        return f->dims[a->dim].size > 0 ? f->dims[a->dim].size : -1;
    if (axis_fixed_size(f, a->p) < 0)
        return -1;
    if ((a->kind == AXK_OUTER || a->kind == AXK_CAT) && axis_fixed_size(f, a->r) < 0)
        return -1;
    if (f->ndims > 64)
        return -1;
    for (uint32_t k = 0; k < f->ndims; k++)
        sizes[k] = f->dims[k].size > 0 ? f->dims[k].size : 1;
    int64_t n = ir_axis_size(f, axis, sizes);
    return n < 0 ? INT64_MAX : n;
}

const char *
axis_formula(const struct ir_func *f, uint8_t axis)
{
    if (axis == AX_UNIT)
        return "1";
    const struct ir_axis *a = &f->axes[axis];
    if (a->kind == AXK_BASE)
        return f->dims[a->dim].name;
    const char *p = axis_formula(f, a->p);
    if (a->kind == AXK_COPY)
        return p;
    if (a->kind == AXK_SYM) {
        const char *s = p;
        long fact = 1;
        if (a->num > 4)
            return arena_printf(f->arena, "C(%s+%d,%d)", p, (int)a->num - 1, (int)a->num);
        for (int k = 1; k < a->num; k++) {
            s = arena_printf(f->arena, "%s*(%s+%d)", s, p, k);
            fact *= k + 1;
        }
        return arena_printf(f->arena, "%s/%ld", s, fact);
    }
    const char *r = axis_formula(f, a->r);
    return a->kind == AXK_OUTER ? arena_printf(f->arena, "%s*%s", p, r)
                                : arena_printf(f->arena, "(%s+%s)", p, r);
}

const char *
math_text(const struct ir_func *f, ir_ref n)
{
    struct str s = {0};
    ir_print_math(f, n, &s);
    const char *t = arena_strdup(f->arena, str_text(&s));
    str_free(&s);
    return t;
}
