/* Evaluates nodes literally, one (batch, head, query) at a time, as dense tensors over their other
 * axes.
 *
 * A node is evaluated again only when one of b, h, i that it varies with has changed, so the key
 * side costs once per head. Products under a sum are not stored: rsum[j](B(j,f) * v(j,m)) needs no
 * j*f*m numbers. */
#include "ir/interp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FREE = 8, MAX_FACTORS = 12 };
static const int64_t BUDGET = (int64_t)1 << 28; /* numbers held at once */

#define ROW_AXES ((ir_axes)1 << AX_b | (ir_axes)1 << AX_h | (ir_axes)1 << AX_i)

/* Value of a node at the current (b, h, i): row-major over its free axes in ascending order. */
struct tensor {
    num *data;
    int64_t count, capacity;
    int64_t at[3];           /* b, h, i it was evaluated for (where it varies with them) */
    bool valid;
};

/* A list of axes with sizes. */
struct shape {
    int n;
    uint8_t axis[MAX_FREE];
    int64_t size[MAX_FREE];
};

struct interp {
    const struct ir_func *f;
    const struct interp_input *in;
    struct tensor *t;
    int64_t at[3];
    int64_t held;
    const char *why;
};

static bool
stop(struct interp *x, const char *why)
{
    if (!x->why)
        x->why = why;
    return false;
}

static bool
shape_of(struct interp *x, ir_axes axes, struct shape *s)
{
    s->n = 0;
    axes &= ~ROW_AXES;
    for (uint8_t a = 0; a < IR_MAX_AXES; a++) {
        if (!(axes >> a & 1))
            continue;
        if (s->n == MAX_FREE)
            return stop(x, "a value varies over more than eight axes");
        s->axis[s->n] = a;
        s->size[s->n] = ir_axis_size(x->f, a, x->in->dims);
        if (s->size[s->n] < 0)
            return stop(x, "an axis is too large");
        s->n++;
    }
    return true;
}

static int64_t
shape_count(const struct shape *s)
{
    int64_t n = 1;
    for (int k = 0; k < s->n; k++)
        if (__builtin_mul_overflow(n, s->size[k], &n) || n > BUDGET)
            return -1;
    return n;
}

/* Stride of each axis of `over` in a tensor of shape s (0 where s does not have it). */
static void
strides_in(const struct shape *s, const struct shape *over, int64_t *stride)
{
    for (int k = 0; k < over->n; k++) {
        int64_t step = 1;
        stride[k] = 0;
        for (int i = s->n - 1; i >= 0; i--) {
            if (s->axis[i] == over->axis[k])
                stride[k] = step;
            step *= s->size[i];
        }
    }
}

static bool
allocate(struct interp *x, struct tensor *t, const struct shape *s)
{
    int64_t n = shape_count(s);
    if (n < 0 || x->held + (n > t->capacity ? n - t->capacity : 0) > BUDGET)
        return stop(x, "a value has more than 2^28 entries");
    if (n > t->capacity || !t->data) {
        x->held += n - t->capacity;
        t->data = xrealloc(t->data, sizeof(num) * (size_t)(n ? n : 1));
        t->capacity = n;
    }
    t->count = n;
    return true;
}

static bool evaluate(struct interp *x, ir_ref n);

/* ---- walking index spaces ---- */

/* Offsets of up to MAX_FACTORS operands while an odometer runs over a shape. */
struct walk {
    struct shape over;
    int nops;
    int64_t stride[MAX_FACTORS][MAX_FREE], offset[MAX_FACTORS], index[MAX_FREE];
};

static bool
walk_next(struct walk *w)
{
    for (int k = w->over.n - 1; k >= 0; k--) {
        w->index[k]++;
        for (int o = 0; o < w->nops; o++)
            w->offset[o] += w->stride[o][k];
        if (w->index[k] < w->over.size[k])
            return true;
        for (int o = 0; o < w->nops; o++)
            w->offset[o] -= w->stride[o][k] * w->over.size[k];
        w->index[k] = 0;
    }
    return false;
}

static bool
walk_operand(struct interp *x, struct walk *w, ir_ref n)
{
    struct shape s;
    if (w->nops == MAX_FACTORS)
        return stop(x, "a product has more than twelve factors");
    if (!shape_of(x, x->f->nodes[n].axes, &s))
        return false;
    strides_in(&s, &w->over, w->stride[w->nops++]);
    return true;
}

/* ---- operations ---- */

static bool
eval_elementwise(struct interp *x, ir_ref n, struct tensor *out)
{
    const struct ir_node *d = &x->f->nodes[n];
    struct walk w = {0};
    num a[3] = {{0}, {0}, {0}};
    if (!shape_of(x, d->axes, &w.over))
        return false;
    for (int k = 0; k < d->nargs; k++)
        if (!walk_operand(x, &w, d->arg[k]))
            return false;
    for (int64_t e = 0; e < out->count; e++) {
        for (int k = 0; k < d->nargs; k++)
            a[k] = x->t[d->arg[k]].data[w.offset[k]];
        out->data[e] = num_apply(x->in->dom, (enum ir_op)d->op, d->attr, a[0], a[1], a[2]);
        walk_next(&w);
    }
    return true;
}

static int
factors_of(const struct ir_func *f, ir_ref n, ir_ref *out, int max)
{
    if (f->nodes[n].op != IR_mul || max < 2) {
        out[0] = n;
        return 1;
    }
    int k = factors_of(f, f->nodes[n].arg[0], out, max - 1);
    return k + factors_of(f, f->nodes[n].arg[1], out + k, max - k);
}

/* out += product of the factors over (reduced axis, out's axes). */
static bool
eval_rsum(struct interp *x, const struct ir_node *d, struct tensor *out)
{
    ir_ref fac[MAX_FACTORS - 1];
    enum num_domain dom = x->in->dom;
    int nf = factors_of(x->f, d->arg[0], fac, MAX_FACTORS - 1);
    struct shape result;
    struct walk w = {0};
    if (!shape_of(x, d->axes, &result) || result.n == MAX_FREE)
        return stop(x, "a sum varies over too many axes");
    w.over.n = 1;
    w.over.axis[0] = d->attr.axis;
    w.over.size[0] = ir_axis_size(x->f, d->attr.axis, x->in->dims);
    for (int k = 0; k < result.n; k++) {
        w.over.axis[k + 1] = result.axis[k];
        w.over.size[k + 1] = result.size[k];
        w.over.n++;
    }
    for (int k = 0; k < nf; k++)
        if (!evaluate(x, fac[k]) || !walk_operand(x, &w, fac[k]))
            return false;
    strides_in(&result, &w.over, w.stride[w.nops++]);
    num zero = num_from_i(dom, 0);
    for (int64_t e = 0; e < out->count; e++)
        out->data[e] = zero;
    if (w.over.size[0] == 0 || out->count == 0)
        return true;
    do {
        num p = x->t[fac[0]].data[w.offset[0]];
        for (int k = 1; k < nf; k++)
            p = num_mul(dom, p, x->t[fac[k]].data[w.offset[k]]);
        num *to = &out->data[w.offset[nf]];
        *to = num_add(dom, *to, p);
    } while (walk_next(&w));
    return true;
}

/* Stride of one axis in the tensor of a node (0 if it lacks it). */
static bool
axis_stride(struct interp *x, ir_axes axes, uint8_t axis, int64_t *stride)
{
    struct shape s, one = {.n = 1, .axis = {axis}};
    if (!shape_of(x, axes, &s))
        return false;
    strides_in(&s, &one, stride);
    return true;
}

/* The prefix sum up to the current query's position, by Horner's rule in the decay. */
static bool
eval_scan(struct interp *x, const struct ir_node *d, struct tensor *out)
{
    enum num_domain dom = x->in->dom;
    int64_t n = x->in->dims[DIM_N], last = x->at[2] + n - x->in->dims[DIM_NQ], sx, sg;
    struct walk w = {0};
    if (!axis_stride(x, x->f->nodes[d->arg[0]].axes, AX_j, &sx) ||
        !axis_stride(x, x->f->nodes[d->arg[1]].axes, AX_j, &sg) ||
        !shape_of(x, d->axes, &w.over) || !walk_operand(x, &w, d->arg[0]) ||
        !walk_operand(x, &w, d->arg[1]))
        return false;
    for (int64_t e = 0; e < out->count; e++) {
        const num *a = x->t[d->arg[0]].data + w.offset[0];
        const num *g = x->t[d->arg[1]].data + w.offset[1];
        num sum = num_from_i(dom, 0);
        for (int64_t j = 0; j <= last && j < n; j++)
            sum = num_add(dom, num_mul(dom, sum, g[j * sg]), a[j * sx]);
        out->data[e] = sum;
        walk_next(&w);
    }
    return true;
}

/* For every key, the product of the factors of the tokens after it up to the current query. */
static bool
eval_decay(struct interp *x, ir_ref ref, struct tensor *out)
{
    const struct ir_node *d = &x->f->nodes[ref];
    enum num_domain dom = x->in->dom;
    int64_t n = x->in->dims[DIM_N], last = x->at[2] + n - x->in->dims[DIM_NQ], sg, so;
    struct walk w = {0};
    if (!axis_stride(x, x->f->nodes[d->arg[0]].axes, AX_j, &sg) ||
        !axis_stride(x, d->axes, AX_j, &so) ||
        !shape_of(x, d->axes & ~((ir_axes)1 << AX_j), &w.over) ||
        !walk_operand(x, &w, d->arg[0]) || !walk_operand(x, &w, ref))
        return false;
    if (out->count == 0)
        return true;
    do {
        const num *g = x->t[d->arg[0]].data + w.offset[0];
        num product = num_from_i(dom, 1);
        for (int64_t j = n - 1; j >= 0; j--) {
            if (j < last)
                product = num_mul(dom, product, g[(j + 1) * sg]);
            out->data[w.offset[1] + j * so] = product;
        }
    } while (walk_next(&w));
    return true;
}

/* The greatest along the axis, or where it is. */
static bool
eval_greatest(struct interp *x, const struct ir_node *d, struct tensor *out)
{
    struct shape result;
    struct walk w = {0};
    const struct tensor *a = &x->t[d->arg[0]];
    int along = 0;
    if (!shape_of(x, d->axes, &result) || !shape_of(x, x->f->nodes[d->arg[0]].axes, &w.over) ||
        !walk_operand(x, &w, d->arg[0]))
        return false;
    strides_in(&result, &w.over, w.stride[w.nops++]);
    while (along + 1 < w.over.n && w.over.axis[along] != d->attr.axis)
        along++;
    num *top = xmalloc(sizeof *top * (size_t)(out->count + 1));
    for (int64_t e = 0; e < out->count; e++) {
        top[e].f = -INFINITY;
        out->data[e] = d->op == IR_rmax ? top[e] : (num){.f = 0};
    }
    for (bool more = a->count > 0; more; more = walk_next(&w)) {
        num v = a->data[w.offset[0]];
        int64_t e = w.offset[1];
        if (!num_is_greater(v, top[e]))
            continue;
        top[e] = v;
        out->data[e] = d->op == IR_rmax ? v : (num){.f = (double)w.index[along]};
    }
    free(top);
    return true;
}

static bool
eval_pick(struct interp *x, const struct ir_node *d, struct tensor *out)
{
    struct walk w = {0};
    int64_t along, n = ir_axis_size(x->f, d->attr.axis, x->in->dims);
    if (!shape_of(x, d->axes, &w.over) || !walk_operand(x, &w, d->arg[0]) ||
        !walk_operand(x, &w, d->arg[1]) ||
        !axis_stride(x, x->f->nodes[d->arg[0]].axes, d->attr.axis, &along))
        return false;
    for (int64_t e = 0; e < out->count; e++) {
        int64_t place = num_place(x->t[d->arg[1]].data[w.offset[1]], n);
        out->data[e].f = NAN;
        if (place >= 0)
            out->data[e] = x->t[d->arg[0]].data[w.offset[0] + place * along];
        walk_next(&w);
    }
    return true;
}

/* ---- leaves ---- */

static int64_t
position(struct interp *x, uint8_t axis, int64_t index)
{
    return axis == AX_i ? index + x->in->dims[DIM_N] - x->in->dims[DIM_NQ] : index;
}

static bool
eval_input(struct interp *x, int which, struct tensor *out)
{
    const int64_t *d = x->in->dims;
    if (which == 0) {
        const num *row = x->in->q +
                         ((x->at[0] * d[DIM_H] + x->at[1]) * d[DIM_NQ] + x->at[2]) * d[DIM_D];
        memcpy(out->data, row, sizeof(num) * (size_t)out->count);
        return true;
    }
    int64_t g = x->at[1] * d[DIM_G] / d[DIM_H], width = which == 1 ? d[DIM_D] : d[DIM_M];
    const num *rows = (which == 1 ? x->in->k : x->in->v) +
                      (x->at[0] * d[DIM_G] + g) * d[DIM_N] * width;
    memcpy(out->data, rows, sizeof(num) * (size_t)out->count);
    return true;
}

static bool
eval_param(struct interp *x, const struct ir_node *d, struct tensor *out)
{
    const struct ir_binding *b = &x->f->bindings[d->attr.num];
    const struct ir_param *p = &x->f->params[d->attr.id];
    struct walk w = {0};
    if (!shape_of(x, d->axes, &w.over))
        return false;
    for (int64_t e = 0; e < out->count; e++) {
        int64_t offset = 0;
        for (int k = 0; k < p->rank; k++) {
            int64_t index = b->num[k], size = x->in->dims[p->dims[k]];
            uint8_t ax = b->ax[k];
            if (ax == AX_i && p->dims[k] == DIM_NQ)
                index = x->at[2];
            else if (ax == AX_b || ax == AX_h || ax == AX_i)
                index = position(x, ax, x->at[ax == AX_b ? 0 : ax == AX_h ? 1 : 2]);
            else if (ax != AX_UNIT)
                for (int i = 0; i < w.over.n; i++)
                    index = w.over.axis[i] == ax ? w.index[i] : index;
            if (index < 0 || index >= size)
                return stop(x, "a param is indexed outside its shape");
            offset = offset * size + index;
        }
        out->data[e] = x->in->params[d->attr.id][offset];
        walk_next(&w);
    }
    return true;
}

static bool
eval_leaf(struct interp *x, const struct ir_node *d, struct tensor *out)
{
    enum num_domain dom = x->in->dom;
    if (d->op == IR_input)
        return eval_input(x, d->attr.num, out);
    if (d->op == IR_param)
        return eval_param(x, d, out);
    bool scalar = d->attr.axis == AX_b || d->attr.axis == AX_h || d->attr.axis == AX_i;
    if (d->op == IR_pos && !scalar) {
        for (int64_t e = 0; e < out->count; e++)
            out->data[e] = num_from_i(dom, e);
        return true;
    }
    num v = {.f = -INFINITY};
    if (d->op == IR_const)
        v = num_from_q(dom, &x->f->consts[d->attr.id]);
    else if (d->op == IR_pi)
        v = num_pi(dom);
    else if (d->op == IR_dim)
        v = num_from_i(dom, x->in->dims[d->attr.id]);
    else if (d->op == IR_size)
        v = num_from_i(dom, ir_axis_size(x->f, d->attr.axis, x->in->dims));
    else if (d->op == IR_pos)
        v = num_from_i(dom, position(x, d->attr.axis,
                                     x->at[d->attr.axis == AX_b   ? 0
                                           : d->attr.axis == AX_h ? 1
                                                                  : 2]));
    else if (d->op == IR_ninf && dom == NUM_GF)
        return stop(x, "a program with maxima has no meaning over the field");
    out->data[0] = v;
    return true;
}

/* ---- vector structure: one source vector per position of the other axes ---- */

static int64_t
part_size(struct interp *x, uint8_t axis)
{
    return ir_axis_size(x->f, axis, x->in->dims);
}

/* Fills the vector along the result axis from the operands' vectors at one position. */
static void
structure_vector(struct interp *x, const struct ir_node *d, const num *a, int64_t sa, const num *b,
                 int64_t sb, num *out, int64_t so)
{
    uint8_t ax = d->attr.axis, bx = d->attr.axis2;
    int64_t n = part_size(x, ax);
    if (d->op == IR_mono) {
        num_monomials(x->in->dom, d->attr.num, d->attr.id, a, sa, n, out, so);
    } else if (d->op == IR_rename) {
        for (int64_t k = 0; k < n; k++)
            out[k * so] = a[k * sa];
    } else if (d->op == IR_roll) {
        for (int64_t k = 0; k < n; k++)
            out[k * so] = a[(((k + d->attr.num) % n + n) % n) * sa];
    } else if (d->op == IR_argsort) {
        num_argsort(a, sa, n, out, so);
    } else if (d->op == IR_turn) {
        num_turn(x->in->dom, d->attr.num == PAIRS_HALVES, a, sa, n, out, so);
    } else if (d->op == IR_cat) {
        for (int64_t k = 0; k < n; k++)
            out[k * so] = a[k * sa];
        for (int64_t k = 0; k < part_size(x, bx); k++)
            out[(n + k) * so] = b[k * sb];
    } else {
        int64_t m = part_size(x, bx);
        for (int64_t k = 0; k < n; k++)
            for (int64_t r = 0; r < m; r++)
                out[(k * m + r) * so] = num_mul(x->in->dom, a[k * sa], b[r * sb]);
    }
}

static bool
eval_structure(struct interp *x, ir_ref ref, struct tensor *out)
{
    const struct ir_node *d = &x->f->nodes[ref];
    uint8_t axis = d->op == IR_mono || d->op == IR_rename ? d->attr.axis2
                 : d->op == IR_cat || d->op == IR_outer ? (uint8_t)d->attr.id : d->attr.axis;
    struct walk w = {0};
    int64_t so, sa, sb = 0;
    ir_ref ra = d->arg[0], rb = d->nargs > 1 ? d->arg[1] : d->arg[0];
    if (!axis_stride(x, d->axes, axis, &so) ||
        !axis_stride(x, x->f->nodes[ra].axes, d->attr.axis, &sa) ||
        (d->nargs > 1 && !axis_stride(x, x->f->nodes[rb].axes, d->attr.axis2, &sb)) ||
        !shape_of(x, d->axes & ~((ir_axes)1 << axis), &w.over) || !walk_operand(x, &w, ra) ||
        !walk_operand(x, &w, rb) || !walk_operand(x, &w, ref))
        return false;
    if (out->count == 0)
        return true;
    do {
        structure_vector(x, d, x->t[ra].data + w.offset[0], sa, x->t[rb].data + w.offset[1], sb,
                         out->data + w.offset[2], so);
    } while (walk_next(&w));
    return true;
}

/* ---- evaluation ---- */

static bool
still_valid(const struct interp *x, ir_ref n)
{
    static const uint8_t axis[3] = {AX_b, AX_h, AX_i};
    const struct tensor *t = &x->t[n];
    for (int k = 0; k < 3 && t->valid; k++)
        if ((x->f->nodes[n].axes >> axis[k] & 1) && t->at[k] != x->at[k])
            return false;
    return t->valid;
}

static bool
evaluate(struct interp *x, ir_ref n)
{
    const struct ir_node *d = &x->f->nodes[n];
    struct tensor *t = &x->t[n];
    struct shape s;
    if (still_valid(x, n))
        return true;
    for (int k = 0; k < d->nargs && d->op != IR_rsum; k++)
        if (!evaluate(x, d->arg[k]))
            return false;
    t->valid = false;
    if (!shape_of(x, d->axes, &s) || !allocate(x, t, &s))
        return false;
    bool ok = d->nargs == 0 ? eval_leaf(x, d, t)
            : (ir_ops[d->op].props & IRP_ELEM) ? eval_elementwise(x, n, t)
            : d->op == IR_rsum ? eval_rsum(x, d, t)
            : d->op == IR_rmax || d->op == IR_argmax ? eval_greatest(x, d, t)
            : d->op == IR_pick ? eval_pick(x, d, t)
            : d->op == IR_scan ? eval_scan(x, d, t)
            : d->op == IR_decay ? eval_decay(x, n, t)
            : eval_structure(x, n, t);
    if (!ok)
        return false;
    memcpy(t->at, x->at, sizeof t->at);
    return t->valid = true;
}

static void
release(struct interp *x)
{
    for (uint32_t k = 0; k < x->f->nnodes; k++)
        free(x->t[k].data);
    free(x->t);
}

static bool
begin(struct interp *x, const struct ir_func *f, ir_ref node, const struct interp_input *in,
      const char **why)
{
    const int64_t *d = in->dims;
    *x = (struct interp){.f = f, .in = in};
    for (uint32_t k = 0; k < f->ndims; k++)
        if (d[k] < 0) {
            *why = "a dimension is negative";
            return false;
        }
    if (d[DIM_G] < 1 || d[DIM_H] < 1 || d[DIM_H] % d[DIM_G]) {
        *why = "the number of key heads must divide that of query heads";
        return false;
    }
    ir_axes allowed = ROW_AXES | (ir_axes)1 << AX_m;
    if (!node || (f->nodes[node].axes & ~allowed)) {
        *why = "only values over b, h, i, m can be asked for";
        return false;
    }
    x->t = xmalloc(sizeof *x->t * f->nnodes);
    memset(x->t, 0, sizeof *x->t * f->nnodes);
    return true;
}

bool
interp_rows(const struct ir_func *f, ir_ref node, const struct interp_input *in, int64_t b,
            int64_t h, int64_t row, int64_t rows, num *out, const char **why)
{
    struct interp x;
    if (!begin(&x, f, node, in, why))
        return false;
    bool ok = true;
    x.at[0] = b;
    x.at[1] = h;
    for (int64_t r = 0; r < rows && ok; r++) {
        x.at[2] = row + r;
        ok = evaluate(&x, node);
        if (ok)
            memcpy(out + r * x.t[node].count, x.t[node].data,
                   sizeof(num) * (size_t)x.t[node].count);
    }
    if (!ok)
        *why = x.why;
    release(&x);
    return ok;
}

bool
interp_node(const struct ir_func *f, ir_ref node, const struct interp_input *in, num *out,
            const char **why)
{
    struct interp x;
    if (!begin(&x, f, node, in, why))
        return false;
    ir_axes axes = f->nodes[node].axes;
    int64_t nb = axes >> AX_b & 1 ? in->dims[DIM_B] : 1,
            nh = axes >> AX_h & 1 ? in->dims[DIM_H] : 1;
    int64_t ni = axes >> AX_i & 1 ? in->dims[DIM_NQ] : 1;
    bool ok = true;
    for (int64_t r = 0; r < nb * nh * ni && ok; r++) {
        x.at[0] = r / ni / nh;
        x.at[1] = r / ni % nh;
        x.at[2] = r % ni;
        ok = evaluate(&x, node);
        if (ok) {
            memcpy(out, x.t[node].data, sizeof(num) * (size_t)x.t[node].count);
            out += x.t[node].count;
        }
    }
    if (!ok)
        *why = x.why;
    release(&x);
    return ok;
}
