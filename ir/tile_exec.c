/* Runs a tile program slowly and literally, over f64 or GF(2^61 - 1): the oracle of the schedules.
 *
 * Buffers are plain arrays with bounds checked at every access; whole-vector overruns that
 * generated code is allowed do not exist here. Over the field any loop nest or rewrite that is
 * wrong differs with overwhelming probability. */
#include "ir/tile_exec.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/attn.h"

int64_t
exec_x(const struct exec *e, tx_ref x)
{
    return tx_eval(e->p, x, e->in->dims, e->vars);
}

/* ---- memory ---- */

/* Element (row, col) of a tensor argument q, k, v (what 0, 1, 2) or out (3). */
static num *
arg_at(struct exec *e, uint32_t what, int64_t b, int64_t h, int64_t row, int64_t col)
{
    const int64_t *d = e->in->dims;
    int64_t heads = what == 1 || what == 2 ? d[DIM_G] : d[DIM_H];
    int64_t rows = what == 1 || what == 2 ? d[DIM_N] : d[DIM_NQ],
            cols = what < 2 ? d[DIM_D] : d[DIM_M];
    if (b < 0 || b >= d[DIM_B] || h < 0 || h >= heads || row < 0 || row >= rows || col < 0 ||
        col >= cols)
        ICE("schedule %s reads outside argument %u", e->p->schedule, what);
    const num *base = what == 0 ? e->in->q : what == 1 ? e->in->k : what == 2 ? e->in->v : e->out;
    return (num *)(uintptr_t)&base[((b * heads + h) * rows + row) * cols + col];
}

/* Element of a tensor param that is seen along four of its axes. */
static num *
param_at(struct exec *e, const struct tile_buf *b, const int64_t at[4])
{
    uint32_t param = tile_arg_param(e->f, b->arg);
    const struct ir_param *p = &e->f->params[param];
    int64_t offset = 0;
    for (int k = 0; k < p->rank; k++) {
        int64_t index = 0, size = e->in->dims[p->dims[k]];
        for (int i = 0; i < 4; i++)
            index = b->axes[i] == k ? at[i] : index;
        if (index < 0 || index >= size)
            ICE("schedule %s reads outside param %s", e->p->schedule, p->name);
        offset = offset * size + index;
    }
    return (num *)(uintptr_t)&e->in->params[param][offset];
}

num *
exec_at(struct exec *e, const tile_view *v, int64_t r, int64_t c)
{
    return exec_at_plane(e, v, 0, r, c);
}

num *
exec_at_plane(struct exec *e, const tile_view *v, int64_t after, int64_t r, int64_t c)
{
    const struct tile_buf *b = &e->p->bufs[v->buf];
    if (r < 0 || r >= exec_x(e, v->rows) || c < 0 || c >= exec_x(e, v->cols))
        ICE("schedule %s: %s is read outside its view", e->p->schedule, b->name);
    int64_t row = exec_x(e, v->row) + r, col = exec_x(e, v->col) + c;
    int64_t plane = (v->b ? exec_x(e, v->b) : 0) + after;
    if (b->kind == BUF_ARG && b->arg > 3)
        return param_at(e, b, (const int64_t[]){plane, exec_x(e, v->h), row, col});
    if (b->kind == BUF_ARG)
        return arg_at(e, b->arg, plane, exec_x(e, v->h), row, col);
    if (plane < 0 || plane >= e->planes[v->buf] || row < 0 || row >= e->rows[v->buf] || col < 0 ||
        col >= e->cols[v->buf])
        ICE("schedule %s: element %lld,%lld is outside buffer %s", e->p->schedule, (long long)row,
            (long long)col, b->name);
    return &e->mem[v->buf][(plane * e->rows[v->buf] + row) * e->cols[v->buf] + col];
}

/* ---- nodes at a point ---- */

static int64_t
axis_value(struct exec *e, uint8_t axis)
{
    const struct tile_stmt *s = e->s;
    int64_t local = axis == s->row_axis   ? e->r
                    : axis == s->col_axis ? e->c
                    : axis == s->red_axis ? e->t
                                          : -1;
    if (axis == AX_b || axis == AX_h)
        return exec_x(e, s->at[axis == AX_b ? 0 : 1]);
    if (axis == AX_i || axis == AX_j) {
        int64_t step = axis == AX_i && s->at[5] ? exec_x(e, s->at[5]) : 1;
        return exec_x(e, s->at[axis == AX_i ? 2 : 3]) + (local < 0 ? 0 : local) * step;
    }
    if (local < 0)
        ICE("axis %s is not part of this map", e->f->axes[axis].name);
    return local;
}

static int64_t
position(struct exec *e, uint8_t axis)
{
    return axis_value(e, axis) + (axis == AX_i ? e->in->dims[DIM_N] - e->in->dims[DIM_NQ] : 0);
}

static num
param_value(struct exec *e, const struct ir_node *x)
{
    const struct ir_binding *b = &e->f->bindings[x->attr.num];
    const struct ir_param *p = &e->f->params[x->attr.id];
    int64_t at_elem = 0;
    for (int k = 0; k < p->rank; k++) {
        int64_t i = b->ax[k] == AX_UNIT ? b->num[k] : position(e, b->ax[k]),
                n = e->in->dims[p->dims[k]];
        if (i < 0 || i >= n)
            ICE("param %s is read outside its shape", p->name);
        at_elem = at_elem * n + i;
    }
    return e->in->params[x->attr.id][at_elem];
}

static num
leaf_value(struct exec *e, ir_ref n)
{
    const struct ir_node *x = &e->f->nodes[n];
    enum num_domain dom = e->in->dom;
    if (x->op == IR_input) {
        bool query = x->attr.num == 0;
        int64_t h = query ? axis_value(e, AX_h) : exec_x(e, e->s->at[4]);
        return *arg_at(e, (uint32_t)x->attr.num, axis_value(e, AX_b), h,
                       axis_value(e, query ? AX_i : AX_j),
                       axis_value(e, x->attr.num == 2 ? AX_m : AX_d));
    }
    if (x->op == IR_param)
        return param_value(e, x);
    if (x->op == IR_const)
        return num_from_q(dom, ir_const_value(e->f, n));
    if (x->op == IR_pi)
        return num_pi(dom);
    if (x->op == IR_dim)
        return num_from_i(dom, e->in->dims[x->attr.id]);
    if (x->op == IR_size)
        return num_from_i(dom, ir_axis_size(e->f, x->attr.axis, e->in->dims));
    if (x->op == IR_pos)
        return num_from_i(dom, position(e, x->attr.axis));
    if (x->op == IR_ninf)
        return (num){.f = -INFINITY};
    ICE("op %s is not bound to a tile", ir_ops[x->op].name);
}

static num
value(struct exec *e, ir_ref n)
{
    if (e->stamp[n] == e->now)
        return e->memo[n];
    const struct ir_node *x = &e->f->nodes[n];
    num v = {0};
    const struct tile_bind *b = NULL;
    for (uint32_t k = 0; k < e->s->nbinds && !b; k++)
        if (e->s->binds[k].node == n)
            b = &e->s->binds[k];
    if (b) {
        int64_t ix[2] = {0, 0};
        uint8_t ax[2] = {b->row_axis, b->col_axis};
        for (int k = 0; k < 2; k++)
            if (ax[k] != AX_UNIT)
                ix[k] = ax[k] == e->s->row_axis ? e->r : ax[k] == e->s->col_axis ? e->c : e->t;
        v = *exec_at(e, &b->view, ix[0], ix[1]);
    } else if (x->nargs == 0) {
        v = leaf_value(e, n);
    } else {
        num a[3] = {{0}, {0}, {0}};
        for (int k = 0; k < x->nargs; k++)
            a[k] = value(e, x->arg[k]);
        v = num_apply(e->in->dom, (enum ir_op)x->op, x->attr, a[0], a[1], a[2]);
        exec_operation(e, x->op, 1);
    }
    e->memo[n] = v;
    e->stamp[n] = e->now;
    return v;
}

num
exec_value(struct exec *e, const struct tile_stmt *s, int64_t r, int64_t c, int64_t t)
{
    e->s = s;
    e->r = r;
    e->c = c;
    e->t = t;
    e->now++;
    return value(e, s->node);
}

/* ---- statements ---- */

exec_fn *const exec_fns[TILE_OP_COUNT] = {
    NULL,
#define TILE(name, v, x, n, flags, help) exec_##name,
#include "ir/tile_ops.def"
};


static void
fill(struct exec *e, const struct tile_stmt *s, num v)
{
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) = v;
}

void
exec_zero(struct exec *e, const struct tile_stmt *s)
{
    fill(e, s, num_from_i(e->in->dom, 0));
}

void
exec_ones(struct exec *e, const struct tile_stmt *s)
{
    fill(e, s, num_from_i(e->in->dom, 1));
}

void
exec_lowest(struct exec *e, const struct tile_stmt *s)
{
    fill(e, s, (num){.f = -INFINITY});
}

void
exec_copy(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) = *exec_at(e, &s->v[1], r, c);
}

void
exec_add(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c) {
        num *to = exec_at(e, &s->v[0], r, c);
        *to = num_add(e->in->dom, *to, *exec_at(e, &s->v[1], r, c));
    }
}

void
exec_transpose(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) = *exec_at(e, &s->v[1], c, r);
}

void
exec_double(struct exec *e, const struct tile_stmt *s)
{
    int64_t w = exec_x(e, s->v[1].cols);
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) = *exec_at(e, &s->v[1], r, c % w);
}

void
exec_map(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            *exec_at(e, &s->v[0], r, c) = exec_value(e, s, r, c, 0);
}

void
exec_mapsum(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            num v = exec_value(e, s, r, c, 0), *sum = exec_at(e, &s->v[1], 0, c);
            if (s->v[0].buf)
                *exec_at(e, &s->v[0], r, c) = v;
            *sum = num_add(e->in->dom, *sum, v);
            e->count->other++;
        }
}

void
exec_colmax(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols);
    for (int64_t c = 0; c < cols; c++) {
        num m = {.f = -INFINITY};
        for (int64_t r = 0; r < rows; r++, e->count->other++)
            m = num_max(e->in->dom, m, exec_value(e, s, r, c, 0));
        *exec_at(e, &s->v[0], 0, c) = m;
    }
}

void
exec_rowmax(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols);
    for (int64_t r = 0; r < rows; r++) {
        num m = {.f = -INFINITY};
        for (int64_t c = 0; c < cols; c++, e->count->other++)
            m = num_max(e->in->dom, m, exec_value(e, s, r, c, 0));
        *exec_at(e, &s->v[0], 0, r) = m;
    }
}

void
exec_rowsum(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            num *sum = exec_at(e, &s->v[0], 0, r);
            *sum = num_add(e->in->dom, *sum, exec_value(e, s, r, c, 0));
            e->count->other++;
        }
}

void
exec_minmax(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols);
    num lo = exec_value(e, s, 0, 0, 0), hi = lo;
    for (int64_t k = 1; k < rows * cols; k++) {
        num v = exec_value(e, s, k / cols, k % cols, 0);
        bool nan = isnan(exec_real(e, v)) || isnan(exec_real(e, lo));
        lo = nan ? (num){.f = NAN} : exec_real(e, v) < exec_real(e, lo) ? v : lo;
        hi = nan ? (num){.f = NAN} : exec_real(e, v) > exec_real(e, hi) ? v : hi;
    }
    *exec_at(e, &s->v[0], 0, 0) = lo;
    *exec_at(e, &s->v[0], 0, 1) = hi;
}

void
exec_mixsum(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->rows), cols = exec_x(e, s->cols), depth = exec_x(e, s->depth);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            num sum = num_from_i(e->in->dom, 0);
            for (int64_t t = 0; t < depth; t++, e->count->other++)
                sum = num_add(e->in->dom, sum, exec_value(e, s, r, c, t));
            *exec_at(e, &s->v[0], r, c) = sum;
        }
}

void
exec_mul_add(struct exec *e, num *to, num a, num b)
{
    *to = num_add(e->in->dom, *to, num_mul(e->in->dom, a, b));
    e->count->mul_add++;
}

void
exec_matmul(struct exec *e, const struct tile_stmt *s)
{
    int64_t depth = exec_x(e, s->v[2].rows);
    EACH(e, &s->v[0], r, c) {
        num *to = exec_at(e, &s->v[0], r, c);
        if (s->num[1])
            *to = num_from_i(e->in->dom, 0);
        for (int64_t k = 0; k < depth; k++)
            exec_mul_add(e, to, *exec_at(e, &s->v[1], s->num[0] ? k : r, s->num[0] ? r : k),
                         *exec_at(e, &s->v[2], k, c));
    }
}

void
exec_dots(struct exec *e, const struct tile_stmt *s)
{
    int64_t depth = exec_x(e, s->v[1].cols);
    EACH(e, &s->v[0], r, c) {
        *exec_at(e, &s->v[0], r, c) = num_from_i(e->in->dom, 0);
        for (int64_t k = 0; k < depth; k++)
            exec_mul_add(e, exec_at(e, &s->v[0], r, c), *exec_at(e, &s->v[1], r, k),
                    *exec_at(e, &s->v[2], c, k));
    }
}

void
exec_running(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c) {
        num *m = exec_at(e, &s->v[0], r, c), t = *exec_at(e, &s->v[1], r, c);
        double top = m->f > t.f ? m->f : t.f;
        exec_at(e, &s->v[2], r, c)->f = m->f == top ? 1 : exp(m->f - top);
        m->f = top;
    }
}

void
exec_colscale(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
    *exec_at(e, &s->v[0], r, c) =
        num_mul(e->in->dom, *exec_at(e, &s->v[0], r, c), *exec_at(e, &s->v[1], 0, c));
}

void
exec_rowscale(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
    *exec_at(e, &s->v[0], r, c) =
        num_mul(e->in->dom, *exec_at(e, &s->v[0], r, c), *exec_at(e, &s->v[1], 0, r));
}

void
exec_scale(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
    *exec_at(e, &s->v[0], r, c) =
        num_mul(e->in->dom, *exec_at(e, &s->v[0], r, c), *exec_at(e, &s->v[1], 0, 0));
}

static num
weight_of(struct exec *e, uint32_t table_buf, int64_t row)
{
    double w = e->weight[table_buf][row];
    if (e->in->dom == NUM_F64)
        return (num){.f = w};
    /* weights are rationals with small denominators: p!/alpha! over the repetitions */
    for (int64_t den = 1; den <= 16; den++)
        if (w * (double)den == floor(w * (double)den)) {
            fmpq_t q;
            fmpq_init(q);
            fmpq_set_si(q, (slong)(w * (double)den), (ulong)den);
            num r = num_from_q(NUM_GF, q);
            fmpq_clear(q);
            return r;
        }
    ICE("a monomial weight is not a small rational");
}

void
exec_table(struct exec *e, const struct tile_stmt *s)
{
    uint32_t b = s->v[0].buf;
    attn_monomial_rows(exec_x(e, s->x[0]), s->num[0], e->offset[b], e->weight[b]);
}

void
exec_features(struct exec *e, const struct tile_stmt *s)
{
    int64_t lo = exec_x(e, s->x[0]), hi = exec_x(e, s->x[1]), w = exec_x(e, s->x[2]),
            n = exec_x(e, s->v[0].rows);
    uint32_t tb = s->v[2].buf;
    int p = s->num[0];
    for (int64_t r = 0; r < n; r++)
        for (int64_t t = lo; t < hi; t++)
            for (int64_t a = 0; a < w; a++) {
                num f = *exec_at(e, &s->v[1], r, a);
                for (int k = 0; k + 1 < p; k++)
                    f = num_mul(e->in->dom, f,
                                *exec_at(e, &s->v[1], r, a + e->offset[tb][t * (p - 1) + k]));
                if (s->num[1])
                    f = num_mul(e->in->dom, f, weight_of(e, tb, t));
                *exec_at(e, &s->v[0], r, (t - lo) * w + a) = f;
            }
}

void
exec_weights(struct exec *e, const struct tile_stmt *s)
{
    int64_t lo = exec_x(e, s->x[0]), w = exec_x(e, s->x[1]);
    EACH(e, &s->v[0], r, c) {
        num *v = exec_at(e, &s->v[0], r, c);
        *v = num_mul(e->in->dom, *v, weight_of(e, s->v[1].buf, lo + (s->num[0] ? c : r) / w));
    }
}

void
exec_best(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[2], r, c) {
        num *top = exec_at(e, &s->v[1], 0, c), x = *exec_at(e, &s->v[2], r, c);
        if (!num_is_greater(x, *top))
            continue;
        *top = x;
        if (s->v[0].buf)
            *exec_at(e, &s->v[0], 0, c) = num_from_i(e->in->dom, exec_x(e, s->x[0]) + r);
    }
}

void
exec_pick(struct exec *e, const struct tile_stmt *s)
{
    int64_t rows = exec_x(e, s->v[1].rows);
    EACH(e, &s->v[0], r, c) {
        int64_t place = num_place(*exec_at(e, &s->v[2], 0, r), rows);
        *exec_at(e, &s->v[0], r, c) = place < 0 ? (num){.f = NAN}
                                                : *exec_at(e, &s->v[1], place, c);
    }
}

void
exec_argsort(struct exec *e, const struct tile_stmt *s)
{
    int64_t n = exec_x(e, s->v[1].cols);
    for (int64_t r = 0, rows = exec_x(e, s->v[0].rows); r < rows && n > 0; r++)
        num_argsort(exec_at(e, &s->v[1], r, 0), 1, n, exec_at(e, &s->v[0], r, 0), 1);
}

void
exec_turn(struct exec *e, const struct tile_stmt *s)
{
    int64_t n = exec_x(e, s->v[1].cols);
    for (int64_t r = 0, rows = exec_x(e, s->v[0].rows); r < rows && n > 0; r++) {
        num *to = exec_at(e, &s->v[0], r, 0);
        exec_at(e, &s->v[0], r, n - 1);
        exec_at(e, &s->v[1], r, n - 1);
        num_turn(e->in->dom, s->num[0] == 1, exec_at(e, &s->v[1], r, 0), 1, n, to, 1);
    }
}

void
exec_outer(struct exec *e, const struct tile_stmt *s)
{
    int64_t inner = exec_x(e, s->v[2].cols);
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) =
            num_mul(e->in->dom, *exec_at(e, &s->v[1], r, c / inner),
                    *exec_at(e, &s->v[2], r, c % inner));
}

void
exec_colsum(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[1], r, c)
    *exec_at(e, &s->v[0], 0, c) =
        num_add(e->in->dom, *exec_at(e, &s->v[0], 0, c), *exec_at(e, &s->v[1], r, c));
}

void
exec_rowdot(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[1], r, c)
        exec_mul_add(e, exec_at(e, &s->v[0], 0, r), *exec_at(e, &s->v[1], r, c),
            *exec_at(e, &s->v[2], 0, c));
}

void
exec_mono(struct exec *e, const struct tile_stmt *s)
{
    int64_t n = exec_x(e, s->v[0].rows), d = exec_x(e, s->v[1].cols), m = exec_x(e, s->v[0].cols);
    num *x = xmalloc(sizeof *x * (size_t)(d + m)), *f = x + d;
    for (int64_t r = 0; r < n; r++) {
        for (int64_t c = 0; c < d; c++)
            x[c] = *exec_at(e, &s->v[1], r, c);
        num_monomials(e->in->dom, s->num[0], (uint32_t)s->num[1], x, 1, d, f, 1);
        for (int64_t c = 0; c < m; c++)
            *exec_at(e, &s->v[0], r, c) = f[c];
    }
    free(x);
}

static bool
row_finite(struct exec *e, const tile_view *v, int64_t r)
{
    for (int64_t c = 0; c < exec_x(e, v->cols) && e->in->dom == NUM_F64; c++)
        if (!isfinite(exec_at(e, v, r, c)->f))
            return false;
    return true;
}

void
exec_clean(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) =
            row_finite(e, &s->v[1], r) ? *exec_at(e, &s->v[1], r, c) : num_from_i(e->in->dom, 0);
}

void
exec_patch(struct exec *e, const struct tile_stmt *s)
{
    int64_t keys = exec_x(e, s->v[2].rows);
    for (int64_t k = 0; k < keys; k++) {
        if (row_finite(e, &s->v[2], k))
            continue;
        EACH(e, &s->v[0], r, c)
            if (exec_at(e, &s->v[3], k, r)->f != 0)
                exec_mul_add(e, exec_at(e, &s->v[0], r, c), *exec_at(e, &s->v[1], k, r),
                    *exec_at(e, &s->v[2], k, c));
    }
}

void
exec_checkzero(struct exec *e, const struct tile_stmt *s)
{
    (void)e;
    (void)s; /* reporting is between a kernel and its caller */
}

/* ---- running ---- */

static bool
allocate(struct exec *e, const char **why)
{
    for (uint32_t k = 1; k < e->p->nbufs; k++) {
        const struct tile_buf *b = &e->p->bufs[k];
        if (b->kind == BUF_ARG || (e->counting && !exec_is_summary(e->p, k)))
            continue;
        e->planes[k] = exec_x(e, b->planes);
        e->rows[k] = exec_x(e, b->rows);
        e->cols[k] = exec_x(e, b->cols);
        double total = (double)e->planes[k] * (double)e->rows[k] * (double)e->cols[k];
        if (total > 1e8) {
            *why = "the schedule's buffers are too large to execute slowly";
            return false;
        }
        if (b->elem == ELEM_TABLE) {
            e->weight[k] = xmalloc(sizeof(double) * (size_t)(e->rows[k] + 1));
            e->offset[k] = xmalloc(sizeof(int32_t) * (size_t)(e->rows[k] * e->cols[k] + 1));
        }
        e->mem[k] = xmalloc(sizeof(num) * (size_t)(total + 1));
        for (int64_t i = 0; i < (int64_t)total; i++)
            e->mem[k][i] = b->kind == BUF_STATE
                               ? num_from_i(e->in->dom, 0)
                               : (num){.u = 0x7ff8dead}; /* a value nothing may rely on */
    }
    return true;
}

static bool
run(const struct tile_prog *p, const struct interp_input *in, num *out, bool counting,
    struct tile_count *count, const char **why)
{
    struct exec *e = xmalloc(sizeof *e);
    struct tile_count local = {0};
    *e = (struct exec){.p = p, .f = p->func, .in = in, .count = count ? count : &local, .out = out,
                       .counting = counting};
    *e->count = local;
    e->memo = xmalloc(sizeof(num) * p->func->nnodes);
    e->stamp = xmalloc(sizeof(uint64_t) * p->func->nnodes);
    for (uint32_t k = 0; k < p->func->nnodes; k++)
        e->stamp[k] = 0;
    bool ok = allocate(e, why);
    if (ok)
        exec_body(e, p->body);
    for (uint32_t k = 1; k < p->nbufs; k++) {
        free(e->mem[k]);
        free(e->weight[k]);
        free(e->offset[k]);
    }
    free(e->memo);
    free(e->stamp);
    free(e);
    return ok;
}

bool
tile_exec(const struct tile_prog *p, const struct interp_input *in, num *out,
          struct tile_count *count, const char **why)
{
    return run(p, in, out, false, count, why);
}

bool
tile_count(const struct tile_prog *p, const struct interp_input *in, struct tile_count *count,
           const char **why)
{
    return run(p, in, NULL, true, count, why);
}
