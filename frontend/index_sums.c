/* Where the sums of a statement of index notation are.
 *
 * An index that is not on the left is summed, in each summand by itself: at the innermost product
 * of factors that have it, also inside functions, so that relu(x[f]*W[f,u])*U[u,o] is two matrix
 * products; or, where it stands in one factor alone, outside of all functions of that. What could
 * be read in two ways is refused. */
#include "frontend/graph.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PARTS = 256, MAX_PLACED = 100000 };

static ir_ref place(struct sema *s, ir_ref n, ir_axes sums);
static ir_axes index_closed(const struct sema *s, ir_ref n); /* that were summed where named */

static ir_axes
axes_of(const struct sema *s, ir_ref n)
{
    return s->f->nodes[n].axes;
}

/* The axes that several factors of one product within n have, or that are of what is squared. Known
 * once per node. */
static ir_axes
products(struct sema *s, ir_ref n)
{
    struct index_scope *x = s->index;
    const struct ir_node d = s->f->nodes[n];
    ir_axes all = 0;
    if (n >= x->nproducts) {
        size_t old = x->nproducts, now = s->f->nnodes + 64;
        x->products = arena_grow(s->arena, x->products, old, now, &x->cap_products,
                                 sizeof *x->products);
        memset(x->products + old, 0, (now - old) * sizeof *x->products);
        x->nproducts = (uint32_t)now;
    }
    if (x->products[n].known)
        return x->products[n].axes;
    if (d.op == IR_mul || d.op == IR_div)
        all = axes_of(s, d.arg[0]) & axes_of(s, d.arg[1]);
    else if (d.op == IR_powi && d.attr.num > 1)
        all = d.axes;
    for (int k = 0; k < d.nargs; k++)
        all |= products(s, d.arg[k]) & d.axes;
    x->products[n].known = true;
    return x->products[n].axes = all;
}

static const char *
index_of(const struct sema *s, ir_axes axes)
{
    const struct index_scope *x = s->index;
    for (int k = 0; k < x->n; k++)
        if (axes >> x->axis[k] & 1)
            return x->name[k];
    return "?";
}

/* The factors of a product; denominators are reciprocals. False if there are too many. */
static bool
parts_of(struct sema *s, ir_ref n, ir_ref *out, int *count)
{
    const struct ir_node x = s->f->nodes[n];
    bool pair = x.op == IR_mul || x.op == IR_div;
    if (pair && !parts_of(s, x.arg[0], out, count))
        return false;
    if (x.op == IR_mul)
        return parts_of(s, x.arg[1], out, count);
    if (*count == MAX_PARTS)
        return false;
    ir_ref one = ir_const_i(s->f, 1, 1, x.span);
    out[(*count)++] = pair ? ir_op2(s->f, IR_div, one, x.arg[1], x.span) : n;
    return true;
}

/* Sums of a product over axes one by one, those of tokens first: what is left is smaller then.
 * Factors that do not have an axis stay outside its sum. */
static ir_ref
sum_parts(struct sema *s, ir_ref *part, int count, ir_axes sums, span_t at)
{
    const struct index_scope *x = s->index;
    struct ir_func *f = s->f;
    for (int tokens = 1; tokens >= 0; tokens--)
        for (int k = x->left; k < x->n; k++) {
            ir_ref with = 0;
            int left = 0;
            if (ir_is_tokens(x->dim[k]) != tokens || !(sums >> x->axis[k] & 1))
                continue;
            for (int i = 0; i < count; i++)
                if (axes_of(s, part[i]) >> x->axis[k] & 1)
                    with = with ? ir_op2(f, IR_mul, with, part[i], at) : part[i];
                else
                    part[left++] = part[i];
            if (with)
                part[left++] = ir_rsum(f, x->axis[k], with, at);
            count = left;
        }
    ir_ref all = part[0];
    for (int i = 1; i < count; i++)
        all = ir_op2(f, IR_mul, all, part[i], at);
    return all;
}

/* True after reporting an index that is summed within a factor, and stands in another one, too. */
static bool
ambiguous(struct sema *s, const ir_ref *part, int count, ir_axes sums)
{
    for (int i = 0; i < count; i++) {
        const struct ir_node d = s->f->nodes[part[i]];
        ir_axes inside = products(s, d.op == IR_powi ? d.arg[0] : part[i]);
        inside = (inside | index_closed(s, part[i])) & sums;
        for (int k = 0; k < count && inside; k++)
            if (k != i && (axes_of(s, part[k]) & inside)) {
                const char *name = index_of(s, axes_of(s, part[k]) & inside);
                diag_error(s->diag, s->f->nodes[part[i]].span,
                           "index '%s' is summed in here, and stands in another factor, too: call "
                           "one of them by another name", name);
                return true;
            }
    }
    return false;
}

/* A function: what has a product in one of its arguments is summed there, the rest outside. */
static ir_ref
place_function(struct sema *s, ir_ref n, ir_axes sums)
{
    struct ir_func *f = s->f;
    const struct ir_node x = f->nodes[n];
    ir_ref arg[3] = {x.arg[0], x.arg[1], x.arg[2]}, part[MAX_PARTS];
    ir_axes inside = 0, once = 0, several = 0;
    for (int k = 0; k < x.nargs; k++) {
        inside |= products(s, x.arg[k]) & sums;
        several |= once & axes_of(s, x.arg[k]);
        once |= axes_of(s, x.arg[k]);
    }
    if (inside & several) {
        diag_error(s->diag, x.span,
                   "index '%s' is summed, but stands in several arguments of %s: give one of them "
                   "a statement of its own", index_of(s, inside & several), ir_ops[x.op].name);
        return n;
    }
    for (int k = 0; k < x.nargs; k++)
        arg[k] = place(s, x.arg[k], inside);
    part[0] = inside ? ir_with_args(f, n, arg) : n;
    return sum_parts(s, part, 1, sums & ~inside, x.span);
}

/* A product: axes that several factors have are summed here, those of one alone inside it where it
 * has a product of them. */
static ir_ref
place_product(struct sema *s, ir_ref n, ir_axes sums)
{
    ir_ref part[MAX_PARTS];
    span_t at = s->f->nodes[n].span;
    ir_axes once = 0, several = 0;
    int count = 0;
    if (!parts_of(s, n, part, &count)) {
        diag_error(s->diag, at, "a product of more than %d factors", MAX_PARTS);
        return n;
    }
    for (int k = 0; k < count; k++) {
        several |= once & axes_of(s, part[k]);
        once |= axes_of(s, part[k]);
    }
    if (ambiguous(s, part, count, sums))
        return n;
    for (int k = 0; k < count; k++) {
        ir_axes inside = axes_of(s, part[k]) & sums & ~several & products(s, part[k]);
        bool reciprocal = s->f->nodes[part[k]].op == IR_div;
        if (inside)
            part[k] = reciprocal ? place_function(s, part[k], inside) : place(s, part[k], inside);
    }
    return sum_parts(s, part, count, sums, at);
}

/* n summed over those of its axes that are in sums. */
static ir_ref
place(struct sema *s, ir_ref n, ir_axes sums)
{
    const struct ir_node x = s->f->nodes[n];
    ir_ref arg[3] = {x.arg[0], x.arg[1], x.arg[2]};
    sums &= x.axes;
    if (!sums)
        return n;
    if (++s->index->placed > MAX_PLACED) {
        if (!s->too_large)
            diag_error(s->diag, x.span, "the sums of the statement are too large to be placed");
        s->too_large = true;
        return n;
    }
    if (x.op == IR_mul || x.op == IR_div)
        return place_product(s, n, sums);
    if (x.op != IR_add && x.op != IR_sub && x.op != IR_neg)
        return place_function(s, n, sums);
    for (int k = 0; k < x.nargs; k++)
        arg[k] = place(s, x.arg[k], sums);
    return ir_with_args(s->f, n, arg);
}

/* All axes that are not of the result. */
static ir_axes
summed(const struct index_scope *x)
{
    ir_axes all = 0;
    for (int k = x->left; k < x->n; k++)
        all |= (ir_axes)1 << x->axis[k];
    return all;
}

ir_ref
index_place(struct sema *s, ir_ref n)
{
    return place(s, n, summed(s->index));
}

/* ---- values with names: definitions, and the arguments of functions ---- */

static ir_axes
index_closed(const struct sema *s, ir_ref n)
{
    const struct index_scope *x = s->index;
    ir_axes all = 0;
    if (!x->nclosed)
        return 0;
    bool *below = ir_below(s->f, n);
    for (int i = 0; i < x->nclosed; i++)
        if (x->closed[i].node <= n && below[x->closed[i].node])
            all |= x->closed[i].axes;
    free(below);
    return all;
}

struct value
index_argument(struct sema *s, struct value v)
{
    struct index_scope *x = s->index;
    ir_axes inside = v.kind == VALUE_NUMBER ? products(s, v.node) & summed(x) : 0;
    if (!inside)
        return v;
    v.node = place(s, v.node, inside);
    x->closed = arena_grow(s->arena, x->closed, (size_t)x->nclosed, (size_t)x->nclosed + 1,
                           &x->cap_closed, sizeof *x->closed);
    x->closed[x->nclosed].node = v.node;
    x->closed[x->nclosed++].axes = inside;
    return v;
}

