/* Running tile programs: loops, tests and the integers they set, and what statements cost.
 *
 * Counting runs the same loops and tests but none of the work inside, of which only the cost is
 * added up; what it needs to decide (the summaries of a mask's values) is evaluated. */
#include <math.h>
#include <stdlib.h>

#include "ir/tile_exec.h"

/* ---- costs ---- */

/* Adds what evaluating n at so many points takes, without what is bound. */
static void
add_node(struct exec *e, const struct tile_stmt *s, ir_ref n, int64_t points)
{
    const struct ir_node *x = &e->f->nodes[n];
    if (e->stamp[n] == e->now || x->nargs == 0)
        return;
    e->stamp[n] = e->now;
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].node == n)
            return;
    exec_operation(e, x->op, points);
    for (int k = 0; k < x->nargs; k++)
        add_node(e, s, x->arg[k], points);
}

void
exec_operation(struct exec *e, uint8_t op, int64_t times)
{
    e->count->other += times * ir_ops[op].flops;
    if (ir_ops[op].props & IRP_TRANS)
        e->count->calls += times;
}

static int64_t
elements(const struct exec *e, const tile_view *v)
{
    return exec_x(e, v->rows) * exec_x(e, v->cols);
}

/* What maps and products count when they are run. */
static void
add_work(struct exec *e, const struct tile_stmt *s)
{
    if (tile_ops[s->op].flags & TF_MAP) {
        int64_t points = exec_x(e, s->rows) * exec_x(e, s->cols);
        points *= s->op == TILE_mixsum ? exec_x(e, s->depth) : 1;
        e->now++;
        add_node(e, s, s->node, points);
        if (s->op != TILE_map) /* each is added to a sum, or compared with a maximum */
            e->count->other += points;
    } else if (s->op == TILE_matmul) {
        e->count->mul_add += elements(e, &s->v[0]) * exec_x(e, s->v[2].rows);
    } else if (s->op == TILE_dots) {
        e->count->mul_add += elements(e, &s->v[0]) * exec_x(e, s->v[1].cols);
    } else if (s->op == TILE_product) {
        e->count->other += elements(e, &s->v[1]);
    } else if (s->op == TILE_rowdot) {
        e->count->mul_add += elements(e, &s->v[1]);
    } else if (s->op == TILE_scan || s->op == TILE_scansum) {
        int64_t state = elements(e, &s->v[1]);
        int64_t queries = exec_x(e, s->num[0] ? s->v[2].cols : s->v[2].rows);
        int64_t keys = exec_x(e, s->num[0] ? s->v[3].cols : s->v[3].rows);
        *(s->op == TILE_scan ? &e->count->mul_add : &e->count->other) += keys * state;
        e->count->other += s->num[1] ? keys * state : 0;
        e->count->mul_add += queries * state * exec_x(e, s->x[0]);
    }
}

/* Statements whose work does not depend on data. A running maximum is three operations. */
static void
add_fixed(struct exec *e, const struct tile_stmt *s)
{
    if (s->op == TILE_colscale || s->op == TILE_rowscale || s->op == TILE_scale ||
        s->op == TILE_weights || s->op == TILE_outer || s->op == TILE_add ||
        s->op == TILE_turn || s->op == TILE_argsort)
        e->count->other += elements(e, &s->v[0]);
    else if (s->op == TILE_colsum || s->op == TILE_best)
        e->count->other += elements(e, &s->v[s->op == TILE_best ? 2 : 1]);
    else if (s->op == TILE_running) {
        e->count->other += 3 * elements(e, &s->v[0]);
        e->count->calls += elements(e, &s->v[0]);
    }
    else if (s->op == TILE_faded) /* a gate, and of vectors a product with both sides */
        e->count->other += elements(e, &s->v[0]) * (s->num[0] ? 1 : 4 * exec_x(e, s->v[3].cols));
    else if (s->op == TILE_features)
        e->count->other += elements(e, &s->v[0]) * (s->num[0] - 1 + (s->num[1] != 0));
    else if (s->op == TILE_mono)
        e->count->other += elements(e, &s->v[0]) * s->num[0];
}

/* Bytes of a view that are not scratch of the task: rows x cols of them. */
static void
add_bytes(struct exec *e, uint32_t buf, int64_t count)
{
    const struct tile_buf *b = &e->p->bufs[buf];
    if (buf && b->kind != BUF_LOCAL && b->elem != ELEM_TABLE)
        e->count->bytes += count * ir_type_bytes[b->elem == ELEM_IO ? e->f->type : e->f->acc];
}

/* Arguments that a map reads element by element. */
static void
add_leaves(struct exec *e, const struct tile_stmt *s, ir_ref n)
{
    const struct ir_node *x = &e->f->nodes[n];
    if (e->stamp[n] == e->now)
        return;
    e->stamp[n] = e->now;
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].node == n) {
            const tile_view *v = &s->binds[k].view;
            add_bytes(e, v->buf, elements(e, v));
            return;
        }
    if (x->op == IR_input || (x->op == IR_param && x->axes)) {
        const uint8_t axis[3] = {s->row_axis, s->col_axis, s->red_axis};
        const tx_ref extent[3] = {s->rows, s->cols, s->depth};
        int64_t count = ir_type_bytes[e->f->type];
        for (int k = 0; k < 3; k++)
            if (axis[k] != AX_UNIT && extent[k] && (x->axes >> axis[k] & 1))
                count *= exec_x(e, extent[k]);
        e->count->bytes += count;
    }
    for (int k = 0; k < x->nargs; k++)
        add_leaves(e, s, x->arg[k]);
}

/* Memory that a statement reads and writes besides scratch. */
static void
add_traffic(struct exec *e, const struct tile_stmt *s)
{
    if (tile_ops[s->op].flags & TF_BODY)
        return;
    for (int k = 0; k < tile_ops[s->op].nviews; k++)
        if (s->v[k].buf && tile_ops[s->op].views[k] != 'A') {
            bool picked = s->op == TILE_pick && k == 1; /* of that, as much as is written */
            add_bytes(e, s->v[k].buf, elements(e, &s->v[picked ? 0 : k]));
        }
    if (tile_ops[s->op].flags & TF_MAP) {
        e->now++;
        add_leaves(e, s, s->node);
    }
}

bool
exec_is_summary(const struct tile_prog *p, uint32_t buf)
{
    for (const struct tile_stmt *ph = p->body; ph; ph = ph->next)
        for (const struct tile_stmt *s = ph->body; s; s = s->next)
            if (s->op == TILE_minmax && s->v[0].buf == buf)
                return true;
    return false;
}

/* ---- flow ---- */

void
exec_body(struct exec *e, const struct tile_stmt *s)
{
    for (; s; s = s->next) {
        bool decides = (tile_ops[s->op].flags & TF_BODY) || s->op == TILE_scores ||
                       s->op == TILE_minmax;
        add_fixed(e, s);
        add_traffic(e, s);
        if (e->counting && !decides)
            add_work(e, s);
        else
            exec_fns[s->op](e, s);
    }
}

void
exec_phase(struct exec *e, const struct tile_stmt *s)
{
    int64_t n[3];
    for (int k = 0; k < 3; k++)
        n[k] = exec_x(e, s->x[k]);
    for (int64_t task = 0; task < n[0] * n[1] * n[2]; task++) {
        e->vars[s->var[2]] = task % n[2];
        e->vars[s->var[1]] = task / n[2] % n[1];
        e->vars[s->var[0]] = task / n[2] / n[1];
        exec_body(e, s->body);
    }
}

void
exec_for(struct exec *e, const struct tile_stmt *s)
{
    int64_t hi = exec_x(e, s->x[1]), step = exec_x(e, s->x[2]);
    for (int64_t i = exec_x(e, s->x[0]); i < hi; i += step) {
        e->vars[s->var[0]] = i;
        e->count->tiles++;
        exec_body(e, s->body);
    }
}

void
exec_if(struct exec *e, const struct tile_stmt *s)
{
    if (exec_x(e, s->x[0]) < exec_x(e, s->x[1]))
        exec_body(e, s->body);
}

void
exec_let(struct exec *e, const struct tile_stmt *s)
{
    e->vars[s->var[0]] = exec_x(e, s->x[0]);
    exec_body(e, s->body);
}

/* A number of the domain as a double: representatives above p/2 are negative. */
double
exec_real(const struct exec *e, num x)
{
    return e->in->dom == NUM_F64 ? x.f : (double)(int64_t)x.u - (x.u > GF_P / 2 ? (double)GF_P : 0);
}

void
exec_bounds(struct exec *e, const struct tile_stmt *s)
{
    const double limit = (double)((int64_t)1 << 40);
    double x = exec_real(e, exec_value(e, s, 0, 0, 0));
    bool nan = isnan(x);
    x = nan ? 0 : x < -limit ? -limit : x > limit ? limit : x;
    e->vars[s->var[0]] = (int64_t)floor(x);
    e->vars[s->var[1]] = (int64_t)ceil(x);
    e->vars[s->var[2]] = nan ? (int64_t)1 << 42 : 0;
    exec_body(e, s->body);
}

/* Whether rel holds for all or for some of the numbers that [a0, a1] and [b0, b1] may stand for.
 * NaN is in no order, so that neither is ever claimed of it. */
void
exec_compare(struct exec *e, const struct tile_stmt *s)
{
    double x[2][2];
    for (int k = 0; k < 2; k++)
        for (int c = 0; c < 2; c++)
            x[k][c] = exec_real(e, *exec_at(e, &s->v[k], 0, c));
    double a0 = x[0][0], a1 = x[0][1], b0 = x[1][0], b1 = x[1][1];
    enum ir_op rel = (enum ir_op)s->num[0];
    bool same = a0 == a1 && b0 == b1 && a0 == b0, apart = a1 < b0 || b1 < a0;
    bool all = rel == IR_lt   ? a1 < b0
               : rel == IR_le ? a1 <= b0
               : rel == IR_gt ? b1 < a0
               : rel == IR_ge ? b1 <= a0
               : rel == IR_eq ? same
                              : apart;
    bool none = rel == IR_lt   ? b1 <= a0
                : rel == IR_le ? b1 < a0
                : rel == IR_gt ? a1 <= b0
                : rel == IR_ge ? a1 < b0
                : rel == IR_eq ? apart
                               : same;
    e->vars[s->var[0]] = all ? 0 : -1;
    e->vars[s->var[1]] = none ? -1 : 0;
    exec_body(e, s->body);
}

void
exec_scores(struct exec *e, const struct tile_stmt *s)
{
    e->count->scores += exec_x(e, s->x[0]) * exec_x(e, s->x[1]);
}
