/* What every tile program must satisfy before it is run or compiled: whatever passes here can be
 * compiled. Extents are not compared, since sizes are known at run time only. */
#include "ir/tile.h"

#include <string.h>

#include "runtime/attn.h"

enum { MAX_TERMS = 4096, MAX_TERMS_IN_ALL = 1 << 18 };

struct checker {
    const struct tile_prog *p;
    struct arena *a;
    bool bound[TILE_MAX_VARS]; /* loop variables in scope */
    bool *varies;          /* per size: a loop changes it */
    uint32_t *terms;       /* per size: its length when written out */
    uint64_t total;
    bool *seen;            /* nodes of the current map that were judged */
    const char *error;
    span_t at;
};

/* The first error wins. */
__attribute__((format(printf, 3, 4))) static void
fail(struct checker *c, span_t at, const char *fmt, ...)
{
    if (c->error)
        return;
    va_list ap;
    va_start(ap, fmt);
    c->error = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    c->at = at;
}

/* ---- sizes ---- */

static void
check_size_table(struct checker *c)
{
    const struct tile_prog *p = c->p;
    c->varies = ARENA_ARRAY(c->a, bool, p->nxs);
    c->terms = ARENA_ARRAY(c->a, uint32_t, p->nxs);
    for (tx_ref k = 1; k < p->nxs; k++) {
        const struct tx *x = &p->xs[k];
        bool two = x->op >= TX_ADD, one = two || x->op == TX_ROWS;
        if (x->op == TX_NONE || x->op > TX_MAX || (one && (!x->a || x->a >= k)) ||
            (two && (!x->b || x->b >= k)) || (x->op == TX_DIM && x->num >= p->func->ndims) ||
            (x->op == TX_VAR && (x->num < 1 || x->num >= p->nvars))) {
            fail(c, (span_t){0}, "size %u is not well formed", k);
            return;
        }
        c->terms[k] = 1 + (one ? c->terms[x->a] : 0) + (two ? c->terms[x->b] : 0);
        if (c->terms[k] > MAX_TERMS)
            c->terms[k] = MAX_TERMS + 1;
        c->varies[k] = x->op == TX_VAR || (one && c->varies[x->a]) || (two && c->varies[x->b]);
        if (x->op == TX_ROWS && (c->varies[k] || x->num < 2 || x->num > TILE_MAX_DEGREE))
            fail(c, (span_t){0},
                 "rows() is of a size that no loop changes and a degree from 2 to %d",
                 TILE_MAX_DEGREE);
    }
}

/* Every loop variable of a size is that of a loop around it. The size is known not to be long. */
static void
check_scope(struct checker *c, span_t at, tx_ref ref)
{
    const struct tx *x = &c->p->xs[ref];
    if (c->error || !c->varies[ref])
        return;
    if (x->op == TX_VAR && !c->bound[x->num])
        fail(c, at, "loop variable %%%s is used outside its loop", c->p->vars[x->num]);
    if (x->op >= TX_ADD) {
        check_scope(c, at, x->a);
        check_scope(c, at, x->b);
    }
}

static void
check_size(struct checker *c, span_t at, tx_ref ref)
{
    if (c->error)
        return;
    if (ref == 0 || ref >= c->p->nxs) {
        fail(c, at, "a size is missing");
        return;
    }
    if (c->terms[ref] > MAX_TERMS)
        fail(c, at, "a size of more than %d terms", MAX_TERMS);
    c->total += c->terms[ref];
    if (c->total > MAX_TERMS_IN_ALL)
        fail(c, at, "sizes of more than %d terms in all", MAX_TERMS_IN_ALL);
    check_scope(c, at, ref);
}

/* ---- buffers and views ---- */

/* Columns are contiguous: only the last axis of a tensor can be those. */
static void
check_param_axes(struct checker *c, const struct tile_buf *b)
{
    const struct ir_func *f = c->p->func;
    if (b->arg >= tile_arg_count(f)) {
        fail(c, b->span, "there is no tensor argument %u", b->arg);
        return;
    }
    int rank = f->params[tile_arg_param(f, b->arg)].rank;
    for (int k = 0; k < 4; k++)
        if (b->axes[k] != AX_UNIT && (b->axes[k] >= rank || (k == 3 && b->axes[k] != rank - 1)))
            fail(c, b->span, "%s cannot be seen along its axis %d", b->name, b->axes[k]);
    if (b->elem != ELEM_IO)
        fail(c, b->span, "argument %s must be io", b->name);
}

/* A size of an argument: of a dim, or 1. */
static const char *
size_text(const struct checker *c, tx_ref x)
{
    const struct tx *size = &c->p->xs[x];
    return size->op == TX_DIM ? c->p->func->dims[size->num].name
                              : arena_printf(c->a, "%lld", (long long)size->num);
}

static void
check_argument(struct checker *c, const struct tile_buf *b)
{
    struct tile_prog *p = (struct tile_prog *)(uintptr_t)c->p; /* the sizes are there already */
    if (b->arg > 3 && p->func->contraction) {
        check_param_axes(c, b);
        return;
    }
    if (tile_arg_find(p->func, b->name) != (int)b->arg) {
        fail(c, b->span, "the arguments are q, k, v and out");
        return;
    }
    const struct tile_buf x = tile_arg_form(p, b->arg);
    if (b->elem != ELEM_IO || b->planes != x.planes || b->rows != x.rows || b->cols != x.cols ||
        memcmp(b->axes, x.axes, sizeof x.axes))
        fail(c, b->span, "argument %s must be io 1 x %s x %s", b->name, size_text(c, x.rows),
             size_text(c, x.cols));
}

static bool
is_output(const struct checker *c, const struct tile_buf *b)
{
    return b->kind == BUF_ARG && tile_is_output(c->p->func, b->arg);
}

static void
check_buffers(struct checker *c)
{
    const struct tile_prog *p = c->p;
    int64_t v;
    for (uint32_t k = 1; k < p->nbufs && !c->error; k++) {
        const struct tile_buf *b = &p->bufs[k];
        const tx_ref extents[] = {b->planes, b->rows, b->cols};
        for (int i = 0; i < 3; i++) {
            check_size(c, b->span, extents[i]);
            if (!c->error && tx_is_num(p, extents[i], &v) && v < 0)
                fail(c, b->span, "buffer %s has a negative extent", b->name);
        }
        for (uint32_t i = 1; i < k; i++)
            if (!strcmp(p->bufs[i].name, b->name))
                fail(c, b->span, "there are two buffers %s", b->name);
        if (c->error)
            return;
        if (b->kind == BUF_ARG)
            check_argument(c, b);
        else if (b->elem == ELEM_IO)
            fail(c, b->span, "only arguments hold io elements");
        else if (b->elem == ELEM_TABLE &&
                 (!tx_is_num(p, b->cols, &v) || v < 1 || v > TILE_MAX_DEGREE || b->planes == 0))
            fail(c, b->span, "table %s must have from 1 to %d columns", b->name,
                 TILE_MAX_DEGREE);
    }
}

/* use: a letter of the column views in tile_ops.def. */
static void
check_view(struct checker *c, span_t at, const tile_view *v, char use)
{
    if (!v->buf && (use == 'W' || use == 'R' || use == 'A'))
        return;
    at = v->span.end ? v->span : at;
    if (v->buf == 0 || v->buf >= c->p->nbufs) {
        fail(c, at, "a view is missing");
        return;
    }
    const struct tile_buf *b = &c->p->bufs[v->buf];
    const tx_ref xs[] = {v->row, v->col, v->rows, v->cols, v->b, v->h};
    int n = b->kind == BUF_ARG ? 6 : !b->single ? 5 : 4;
    for (int k = 0; k < n; k++)
        check_size(c, at, xs[k]);
    bool table = use == 'T' || use == 't', output = is_output(c, b);
    bool written = use == 'w' || use == 'o' || use == 'W';
    if (table != (b->elem == ELEM_TABLE))
        fail(c, at, table ? "%s is no monomial table" : "%s is a monomial table", b->name);
    else if (use == 'A' && b->kind != BUF_ARG)
        fail(c, at, "%s is no argument", b->name);
    else if (b->kind == BUF_ARG && written && !output)
        fail(c, at, "argument %s is only read", b->name);
    else if (b->kind == BUF_ARG && !written && output && use != 'A')
        fail(c, at, "argument %s is only written", b->name);
    else if (b->kind == BUF_ARG && use != 'o' && use != 'a' && use != 'p' && use != 'A')
        fail(c, at, "this operand cannot be an argument; copy %s", b->name);
}

/* ---- maps ---- */

#define AXIS_BIT(axis) ((axis) == AX_UNIT ? 0 : (ir_axes)1 << (axis))

static void
check_bind(struct checker *c, const struct tile_stmt *s, const struct tile_bind *b, ir_axes over)
{
    const struct ir_func *f = c->p->func;
    span_t at = b->view.span.end ? b->view.span : s->span;
    check_view(c, at, &b->view, 'a');
    if (b->node == 0 || b->node >= f->nnodes) {
        fail(c, at, "a bound node is missing");
        return;
    }
    const uint8_t two[] = {b->row_axis, b->col_axis};
    for (int k = 0; k < 2; k++)
        if (two[k] != AX_UNIT && !(over & AXIS_BIT(two[k])))
            fail(c, at, "the tile runs over axis %s, the map does not", f->axes[two[k]].name);
    if (two[0] == two[1] && two[0] != AX_UNIT)
        fail(c, at, "the tile runs over axis %s twice", f->axes[two[0]].name);
    /* in a contraction, loops go through the other axes one by one, and views follow them */
    const ir_axes head = f->contraction ? ~(ir_axes)0 : AXIS_BIT(AX_b) | AXIS_BIT(AX_h);
    ir_axes extra = f->nodes[b->node].axes & ~(head | AXIS_BIT(two[0]) | AXIS_BIT(two[1]));
    if (extra)
        fail(c, at, "the bound node varies over axis %s, its tile does not",
             f->axes[__builtin_ctzll(extra)].name);
}

/* Every node below n must be bound, elementwise, or a leaf a map can read. */
static void
check_node(struct checker *c, const struct tile_stmt *s, ir_ref n)
{
    const struct ir_node *x = &c->p->func->nodes[n];
    if (c->seen[n] || c->error)
        return;
    c->seen[n] = true;
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].node == n)
            return;
    if (x->nargs && !(ir_ops[x->op].props & IRP_ELEM))
        fail(c, s->span, "node %u (%s) is not held by any tile", n, ir_ops[x->op].name);
    for (int k = 0; k < x->nargs; k++)
        check_node(c, s, x->arg[k]);
}

static void
check_map(struct checker *c, const struct tile_stmt *s)
{
    const struct ir_func *f = c->p->func;
    const uint8_t axis[] = {s->row_axis, s->col_axis, s->red_axis};
    ir_axes over = 0;
    for (int k = 0; k < 3; k++) {
        if (axis[k] != AX_UNIT && (axis[k] >= f->naxes || (over & AXIS_BIT(axis[k]))))
            fail(c, s->span, "%s runs over an axis twice", tile_ops[s->op].name);
        if (axis[k] == AX_b || axis[k] == AX_h)
            fail(c, s->span, "a map cannot run over axis %s", f->axes[axis[k]].name);
        over |= axis[k] == AX_UNIT || axis[k] >= f->naxes ? 0 : AXIS_BIT(axis[k]);
    }
    if ((s->op == TILE_mixsum) != (s->red_axis != AX_UNIT))
        fail(c, s->span, "mixsum sums over a third axis, other maps have none");
    if (s->node == 0 || s->node >= f->nnodes)
        fail(c, s->span, "the node is missing");
    check_size(c, s->span, s->rows);
    check_size(c, s->span, s->cols);
    if (s->op == TILE_mixsum)
        check_size(c, s->span, s->depth);
    for (uint32_t k = 0; k < s->nbinds && !c->error; k++)
        check_bind(c, s, &s->binds[k], over);
    if (c->error)
        return;
    const ir_axes origin = f->contraction ? ~(ir_axes)0
                                          : AXIS_BIT(AX_b) | AXIS_BIT(AX_h) | AXIS_BIT(AX_i) |
                                                AXIS_BIT(AX_j);
    ir_axes extra = f->nodes[s->node].axes & ~(origin | over);
    if (extra)
        fail(c, s->span, "the node varies over axis %s, the map does not",
             f->axes[__builtin_ctzll(extra)].name);
    memset(c->seen, 0, f->nnodes * sizeof *c->seen);
    check_node(c, s, s->node);
}

/* ---- statements ---- */

/* Largest and smallest values of the numbers of an operation. */
static const struct {
    int16_t lo[2], hi[2];
} num_range[TILE_OP_COUNT] = {
    [TILE_compare] = {{IR_lt}, {IR_ne}},
    [TILE_matmul] = {{0, 0}, {1, 1}},
    [TILE_scan] = {{0, 0}, {1, 2}},
    [TILE_scansum] = {{0, 0}, {1, 2}},
    [TILE_product] = {{0}, {1}},
    [TILE_faded] = {{0}, {1}},
    [TILE_table] = {{2}, {TILE_MAX_DEGREE}},
    [TILE_features] = {{2, 0}, {TILE_MAX_DEGREE, 1}},
    [TILE_weights] = {{0}, {1}},
    [TILE_turn] = {{0}, {1}},
    [TILE_mono] = {{1, 0}, {TILE_MAX_DEGREE, 2}},
};

static void
check_numbers(struct checker *c, const struct tile_stmt *s)
{
    const struct tile_op_info *info = &tile_ops[s->op];
    for (int k = 0; k < info->nnum; k++)
        if (s->num[k] < num_range[s->op].lo[k] || s->num[k] > num_range[s->op].hi[k])
            fail(c, s->span, "number %d of %s is %d, must be from %d to %d", k + 1, info->name,
                 s->num[k], num_range[s->op].lo[k], num_range[s->op].hi[k]);
    int64_t cols = 0;
    for (int k = 0; k < info->nviews && !c->error; k++)
        if ((info->views[k] == 'T' || info->views[k] == 't') && s->op != TILE_weights &&
            tx_is_num(c->p, c->p->bufs[s->v[k].buf].cols, &cols) && cols < s->num[0] - 1)
            fail(c, s->span, "degree %d needs a table of %d columns, %s has %d", s->num[0],
                 s->num[0] - 1, c->p->bufs[s->v[k].buf].name, (int)cols);
}

/* The sums of scansum fill whole vectors from the first column on. */
static void
check_lanes(struct checker *c, const struct tile_stmt *s)
{
    const tile_view *v = &s->v[0];
    int64_t col, cols, width;
    if (c->error || s->op != TILE_scansum)
        return;
    if (!tx_is_num(c->p, v->col, &col) || col != 0 || !tx_is_num(c->p, v->cols, &cols) ||
        cols != TILE_LANES || !tx_is_num(c->p, c->p->bufs[v->buf].cols, &width) || width < cols)
        fail(c, v->span.end ? v->span : s->span, "scansum writes %d columns, from the first on",
             TILE_LANES);
}

/* Sorting needs four rows of scratch, as long as those that are sorted. */
static void
check_scratch(struct checker *c, const struct tile_stmt *s)
{
    if (c->error || s->op != TILE_argsort)
        return;
    const tile_view *v = &s->v[2];
    int64_t row, col, rows;
    if (!tx_is_num(c->p, v->row, &row) || row || !tx_is_num(c->p, v->col, &col) || col ||
        !tx_is_num(c->p, v->rows, &rows) || rows != 4 || v->cols != s->v[1].cols)
        fail(c, v->span.end ? v->span : s->span,
             "the scratch of argsort is four rows of what it sorts, from the first entry on");
}

/* A scan has a view of gates if its number says so; what fades by a row is no vector. */
static void
check_gates(struct checker *c, const struct tile_stmt *s)
{
    if (!c->error && s->op == TILE_faded && s->num[0] && (s->v[1].buf || s->v[2].buf))
        fail(c, s->span, "faded by a row of gates sums nothing");
    if (c->error || (s->op != TILE_scan && s->op != TILE_scansum))
        return;
    const tile_view *v = &s->v[tile_ops[s->op].nviews - 1];
    if ((v->buf != 0) != (s->num[1] != 0))
        fail(c, v->span.end ? v->span : s->span, "%s has %s gates, but number 2 is %d",
             tile_ops[s->op].name, v->buf ? "a view of" : "no", s->num[1]);
}

/* The variables of a loop come into scope; how many. */
static int
bind_vars(struct checker *c, const struct tile_stmt *s)
{
    int n = 0;
    for (; n < 3 && s->var[n]; n++) {
        if (s->var[n] >= c->p->nvars) {
            fail(c, s->span, "a loop variable does not exist");
            return n;
        }
        for (uint32_t k = 1; k < c->p->nvars; k++)
            if (c->bound[k] && !strcmp(c->p->vars[k], c->p->vars[s->var[n]]))
                fail(c, s->span, "loop variable %%%s is in use already", c->p->vars[k]);
        c->bound[s->var[n]] = true;
    }
    int want = s->op == TILE_phase || s->op == TILE_bounds ? 3 : s->op == TILE_compare ? 2 : 1;
    if (n != want && (n || s->op != TILE_phase))
        fail(c, s->span, "%s has %d variable%s", tile_ops[s->op].name, want, want == 1 ? "" : "s");
    return n;
}

static void check_body(struct checker *c, const struct tile_stmt *s, int depth);

static void
check_statement(struct checker *c, const struct tile_stmt *s, int depth)
{
    const struct tile_op_info *info = &tile_ops[s->op];
    int64_t step;
    for (int k = 0; k < info->nindex; k++)
        check_size(c, s->span, s->x[k]);
    for (int k = 0; k < info->nviews; k++)
        check_view(c, s->span, &s->v[k], info->views[k]);
    check_numbers(c, s);
    check_lanes(c, s);
    check_scratch(c, s);
    check_gates(c, s);
    const struct tile_buf *bufs = c->p->bufs;
    for (int k = 0; k < info->nviews && !c->error; k++)
        if (info->views[k] == 'p' && bufs[s->v[k].buf].kind == BUF_ARG &&
            c->p->func->acc != c->p->func->type)
            fail(c, s->v[k].span.end ? s->v[k].span : s->span,
                 "%s reads elements of the accumulation type; copy %s", info->name,
                 bufs[s->v[k].buf].name);
    for (int k = 0; k < 6 && (info->flags & (TF_MAP | TF_AT)); k++)
        if (k < 4 || ((info->flags & TF_MAP) && (k < 5 || s->at[k])))
            check_size(c, s->span, s->at[k]);
    if ((info->flags & TF_MAP) && !c->error)
        check_map(c, s);
    if (s->op == TILE_for && !c->error && tx_is_num(c->p, s->x[2], &step) && step < 1)
        fail(c, s->span, "the step of a loop is %lld, must be at least 1", (long long)step);
    if (!(info->flags & TF_BODY))
        return;
    int bound = info->flags & TF_LOOP ? bind_vars(c, s) : 0;
    check_body(c, s->body, depth + 1);
    while (bound > 0)
        c->bound[s->var[--bound]] = false;
}

static void
check_body(struct checker *c, const struct tile_stmt *s, int depth)
{
    int phases = 0;
    for (; s && !c->error; s = s->next) {
        if (s->op == TILE_NONE || s->op >= TILE_OP_COUNT || (s->op == TILE_phase) != (depth == 0))
            fail(c, s->span, "phases belong at the top, everything else inside one");
        else if (depth == 0 && ++phases > TILE_MAX_PHASES)
            fail(c, s->span, "more than %d phases", TILE_MAX_PHASES);
        else
            check_statement(c, s, depth);
    }
}

const char *
tile_verify(const struct tile_prog *p, struct arena *a, span_t *at)
{
    struct checker c = {.p = p, .a = a, .seen = ARENA_ARRAY(a, bool, p->func->nnodes)};
    if (strcmp(p->entry, "forward") && strcmp(p->entry, "step"))
        fail(&c, c.at, "the entry point is '%.60s', must be forward or step", p->entry);
    check_size_table(&c);
    if (!c.error)
        check_buffers(&c);
    if (!c.error)
        check_body(&c, p->body, 0);
    *at = c.at;
    return c.error;
}
