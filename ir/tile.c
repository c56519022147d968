/* Building tile programs: integer expressions (hash-consed and folded), buffers, statements. */
#include "ir/tile.h"

#include <string.h>

#include "runtime/attn.h"

const struct tile_op_info tile_ops[TILE_OP_COUNT] = {
    {"none", "", 0, 0, 0, TF_NONE, ""},
#define NONE TF_NONE
#define LOOP (TF_LOOP | TF_BODY)
#define BODY TF_BODY
#define MAP TF_MAP
#define AT TF_AT
#define TILE(name, v, x, n, flags, help) {#name, v, sizeof(v) - 1, x, n, flags, help},
#include "ir/tile_ops.def"
#undef NONE
#undef LOOP
#undef BODY
#undef MAP
#undef AT
};

struct tile_prog *
tile_new(struct arena *a, struct ir_func *f, const char *entry, const char *schedule)
{
    struct tile_prog *p = ARENA_NEW(a, struct tile_prog);
    p->arena = a;
    p->func = f;
    p->entry = entry;
    p->schedule = schedule;
    p->nxs = 1;
    p->cap_xs = 64;
    p->xs = ARENA_ARRAY(a, struct tx, p->cap_xs);
    p->nbufs = 1;
    p->nvars = 1;
    return p;
}

/* ---- integer expressions ---- */

static tx_ref
tx_make(struct tile_prog *p, enum tx_op op, tx_ref a, tx_ref b, int64_t value)
{
    for (uint32_t k = 1; k < p->nxs; k++) {
        const struct tx *x = &p->xs[k];
        if (x->op == op && x->a == a && x->b == b && x->num == value)
            return k;
    }
    p->xs = arena_grow(p->arena, p->xs, p->nxs, p->nxs + 1, &p->cap_xs, sizeof *p->xs);
    p->xs[p->nxs] = (struct tx){.op = (uint8_t)op, .a = a, .b = b, .num = value};
    return p->nxs++;
}

tx_ref
tx_num(struct tile_prog *p, int64_t v)
{
    return tx_make(p, TX_NUM, 0, 0, v);
}

tx_ref
tx_dim(struct tile_prog *p, uint16_t dim)
{
    int64_t size = p->func->dims[dim].size;
    return size > 0 ? tx_num(p, size) : tx_make(p, TX_DIM, 0, 0, dim);
}

tx_ref
tx_var(struct tile_prog *p, uint32_t var)
{
    return tx_make(p, TX_VAR, 0, 0, var);
}

bool
tx_is_num(const struct tile_prog *p, tx_ref x, int64_t *v)
{
    if (p->xs[x].op != TX_NUM)
        return false;
    *v = p->xs[x].num;
    return true;
}

/* a/b rounded down, or up; 0 for b = 0. */
static int64_t
divide(int64_t a, int64_t b, bool up)
{
    if (b == 0)
        return 0;
    if (b == -1)
        return a == INT64_MIN ? INT64_MAX : -a;
    int64_t q = a / b;
    bool inexact = a % b != 0, negative = (a < 0) != (b < 0);
    return up ? q + (inexact && !negative) : q - (inexact && negative);
}

/* One operation on numbers; overflow saturates, as the generated plan does. */
static int64_t
tx_apply(enum tx_op op, int64_t a, int64_t b)
{
    int64_t r = 0;
    if (op == TX_ADD)
        return __builtin_add_overflow(a, b, &r) ? (a < 0 ? INT64_MIN : INT64_MAX) : r;
    if (op == TX_SUB)
        return __builtin_sub_overflow(a, b, &r) ? (a < 0 ? INT64_MIN : INT64_MAX) : r;
    if (op == TX_MUL)
        return __builtin_mul_overflow(a, b, &r) ? ((a < 0) != (b < 0) ? INT64_MIN : INT64_MAX) : r;
    if (op == TX_FDIV)
        return divide(a, b, false);
    if (op == TX_CDIV)
        return divide(a, b, true);
    if (op == TX_MIN)
        return a < b ? a : b;
    if (op == TX_MAX)
        return a > b ? a : b;
    ICE("not a binary integer operation: %d", (int)op);
}

tx_ref
tx_op2(struct tile_prog *p, enum tx_op op, tx_ref a, tx_ref b)
{
    int64_t x = 0, y = 0;
    bool nx = tx_is_num(p, a, &x), ny = tx_is_num(p, b, &y);
    if (nx && ny)
        return tx_num(p, tx_apply(op, x, y));
    if (a == b && (op == TX_MIN || op == TX_MAX))
        return a;
    if (a == b && op == TX_SUB)
        return tx_num(p, 0);
    if (ny && y == 0 && (op == TX_ADD || op == TX_SUB))
        return a;
    if (nx && x == 0 && op == TX_ADD)
        return b;
    if (ny && y == 1 && (op == TX_MUL || op == TX_FDIV || op == TX_CDIV))
        return a;
    if (nx && x == 1 && op == TX_MUL)
        return b;
    if ((nx && x == 0 && op == TX_MUL) || (ny && y == 0 && op == TX_MUL))
        return tx_num(p, 0);
    return tx_make(p, op, a, b, 0);
}

tx_ref
tx_rows(struct tile_prog *p, tx_ref size, int degree)
{
    int64_t d;
    if (degree <= 1)
        return tx_num(p, 1);
    if (tx_is_num(p, size, &d))
        return tx_num(p, attn_monomial_rows(d, degree, NULL, NULL));
    return tx_make(p, TX_ROWS, size, 0, degree);
}

/* C(n + degree - 1, degree): the product of degree consecutive numbers divides exactly at each
 * step. */
static tx_ref
tx_monomials(struct tile_prog *p, tx_ref n, int degree)
{
    tx_ref c = n;
    for (int k = 2; k <= degree; k++) {
        tx_ref f = tx_op2(p, TX_ADD, n, tx_num(p, k - 1));
        c = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, c, f), tx_num(p, k));
    }
    return c;
}

tx_ref
tx_axis(struct tile_prog *p, uint8_t axis)
{
    if (axis == AX_UNIT)
        return tx_num(p, 1);
    const struct ir_axis *x = &p->func->axes[axis];
    switch ((enum ir_axis_kind)x->kind) {
    case AXK_BASE:
        return tx_dim(p, x->dim);
    case AXK_COPY:
        return tx_axis(p, x->p);
    case AXK_SYM:
        return tx_monomials(p, tx_axis(p, x->p), x->num);
    case AXK_OUTER:
        return tx_op2(p, TX_MUL, tx_axis(p, x->p), tx_axis(p, x->r));
    case AXK_CAT:
        return tx_op2(p, TX_ADD, tx_axis(p, x->p), tx_axis(p, x->r));
    }
    ICE("bad axis kind");
}

/* Counting the rows takes as long as there are; loops ask for the same ones again and again. */
static int64_t
table_rows(int64_t size, int64_t degree)
{
    static _Thread_local struct {
        int64_t size, degree, rows;
    } last;
    if (last.size != size || last.degree != degree) {
        last.rows = attn_monomial_rows(size, degree, NULL, NULL);
        last.size = size;
        last.degree = degree;
    }
    return last.rows;
}

int64_t
tx_eval(const struct tile_prog *p, tx_ref ref, const int64_t *dims, const int64_t *vars)
{
    const struct tx *x = &p->xs[ref];
    switch ((enum tx_op)x->op) {
    case TX_NONE:
        return 0;
    case TX_NUM:
        return x->num;
    case TX_DIM:
        return dims[x->num];
    case TX_VAR:
        return vars[x->num];
    case TX_ROWS:
        return table_rows(tx_eval(p, x->a, dims, vars), x->num);
    case TX_ADD: case TX_SUB: case TX_MUL: case TX_FDIV: case TX_CDIV: case TX_MIN: case TX_MAX:
        return tx_apply((enum tx_op)x->op, tx_eval(p, x->a, dims, vars),
                        tx_eval(p, x->b, dims, vars));
    }
    ICE("bad integer expression");
}

/* ---- buffers, variables, statements ---- */

uint32_t
tile_buf_add(struct tile_prog *p, const char *name, int kind, int elem, tx_ref planes, tx_ref rows,
             tx_ref cols)
{
    if (p->nbufs >= TILE_MAX_BUFS)
        ICE("more than %d buffers in one schedule", TILE_MAX_BUFS - 1);
    int64_t n;
    p->bufs[p->nbufs] = (struct tile_buf){
        .name = name, .kind = (uint8_t)kind, .elem = (uint8_t)elem,
        .planes = planes, .rows = rows, .cols = cols,
        .single = kind == BUF_LOCAL && tx_is_num(p, planes, &n) && n == 1};
    return p->nbufs++;
}

uint32_t
tile_arg_count(const struct ir_func *f)
{
    uint32_t n = 4;
    for (uint32_t k = 0; k < f->nparams; k++)
        n += f->params[k].rank > 0;
    return n;
}

uint32_t
tile_arg_param(const struct ir_func *f, uint32_t arg)
{
    uint32_t n = 4;
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k].rank > 0 && n++ == arg)
            return k;
    ICE("argument %u is not a tensor param", arg);
}

uint32_t
tile_param_arg(const struct ir_func *f, uint32_t param)
{
    uint32_t n = 4;
    for (uint32_t k = 0; k < param; k++)
        n += f->params[k].rank > 0;
    return n;
}

uint32_t
tile_lse_arg(const struct ir_func *f)
{
    int p = ir_lse_param(f);
    return p < 0 ? 0 : tile_param_arg(f, (uint32_t)p);
}

static const struct ir_param fixed_args[4] = {
    {.name = "q", .role = PARAM_INPUT, .rank = 4, .dims = {DIM_B, DIM_H, DIM_NQ, DIM_D}},
    {.name = "k", .role = PARAM_INPUT, .rank = 4, .dims = {DIM_B, DIM_G, DIM_N, DIM_D}},
    {.name = "v", .role = PARAM_INPUT, .rank = 4, .dims = {DIM_B, DIM_G, DIM_N, DIM_M}},
    {.name = "out", .role = PARAM_OUTPUT, .rank = 4, .dims = {DIM_B, DIM_H, DIM_NQ, DIM_M}}};

const struct ir_param *
tile_arg_decl(const struct ir_func *f, uint32_t arg)
{
    return arg < 4 ? &fixed_args[arg] : &f->params[tile_arg_param(f, arg)];
}

bool
tile_is_output(const struct ir_func *f, uint32_t arg)
{
    return tile_arg_decl(f, arg)->role == PARAM_OUTPUT;
}

struct tile_buf
tile_arg_form(struct tile_prog *p, uint32_t arg)
{
    static const uint8_t matrix[4] = {0, 1, 2, 3}, row[4] = {0, 1, AX_UNIT, 2};
    tx_ref one = tx_num(p, 1);
    struct tile_buf b = {.kind = BUF_ARG, .elem = ELEM_IO, .arg = arg, .planes = one};
    const struct ir_param *x = tile_arg_decl(p->func, arg);
    if (x->role == PARAM_GIVEN)
        ICE("tensor params are viewed along named axes");
    bool is_row = x->rank == 3; /* root lse */
    b.name = x->name;
    b.rows = is_row ? one : tx_dim(p, x->dims[2]);
    b.cols = tx_dim(p, x->dims[is_row ? 2 : 3]);
    memcpy(b.axes, is_row ? row : matrix, sizeof b.axes);
    return b;
}

int
tile_arg_find(const struct ir_func *f, const char *name)
{
    for (int k = 0; k < 4; k++)
        if (!strcmp(fixed_args[k].name, name))
            return k;
    int p = ir_param_find(f, name);
    bool own_form = p >= 0 && f->params[p].rank > 0 && f->params[p].role != PARAM_GIVEN;
    return own_form ? (int)tile_param_arg(f, (uint32_t)p) : -1;
}

uint32_t
tile_arg(struct tile_prog *p, uint32_t arg)
{
    for (uint32_t k = 1; k < p->nbufs; k++)
        if (p->bufs[k].kind == BUF_ARG && p->bufs[k].arg == arg)
            return k;
    const struct tile_buf x = tile_arg_form(p, arg);
    uint32_t b = tile_buf_add(p, x.name, x.kind, x.elem, x.planes, x.rows, x.cols);
    p->bufs[b] = x;
    return b;
}

uint32_t
tile_arg_axes(struct tile_prog *p, uint32_t arg, const uint8_t axes[4])
{
    const struct ir_param *x = &p->func->params[tile_arg_param(p->func, arg)];
    int uses = 0;
    for (uint32_t k = 1; k < p->nbufs; k++) {
        if (p->bufs[k].kind != BUF_ARG || p->bufs[k].arg != arg)
            continue;
        if (!memcmp(p->bufs[k].axes, axes, sizeof p->bufs[k].axes))
            return k;
        uses++;
    }
    tx_ref extent[2];
    for (int k = 0; k < 2; k++)
        extent[k] = axes[2 + k] == AX_UNIT ? tx_num(p, 1) : tx_dim(p, x->dims[axes[2 + k]]);
    const char *name = arena_printf(p->arena, "%s[%d]", x->name, uses); /* as no other is called */
    uint32_t b = tile_buf_add(p, name, BUF_ARG, ELEM_IO, tx_num(p, 1), extent[0], extent[1]);
    p->bufs[b].arg = arg;
    memcpy(p->bufs[b].axes, axes, sizeof p->bufs[b].axes);
    return b;
}

uint32_t
tile_var_add(struct tile_prog *p, const char *name)
{
    for (uint32_t k = 1; k < p->nvars; k++)
        if (!strcmp(p->vars[k], name))
            return k;
    if (p->nvars >= TILE_MAX_VARS)
        ICE("more than %d loop variables in one schedule", TILE_MAX_VARS - 1);
    p->vars[p->nvars] = name;
    return p->nvars++;
}

struct tile_stmt *
tile_stmt_new(struct tile_prog *p, enum tile_op op)
{
    struct tile_stmt *s = ARENA_NEW(p->arena, struct tile_stmt);
    s->op = (uint8_t)op;
    s->row_axis = s->col_axis = s->red_axis = AX_UNIT;
    return s;
}

/* ---- walks ---- */

static void
each_size_of_view(struct tile_prog *p, tile_view *v, tile_size_fn *fn, void *arg)
{
    if (!v->buf)
        return;
    int kind = p->bufs[v->buf].kind;
    if (p->bufs[v->buf].single)
        v->b = 0;
    else
        fn(p, &v->b, arg);
    if (kind == BUF_ARG)
        fn(p, &v->h, arg);
    else
        v->h = 0;
    fn(p, &v->row, arg);
    fn(p, &v->col, arg);
    fn(p, &v->rows, arg);
    fn(p, &v->cols, arg);
}

void
tile_each_size_of(struct tile_prog *p, struct tile_stmt *s, tile_size_fn *fn, void *arg)
{
    const struct tile_op_info *info = &tile_ops[s->op];
    for (int k = 0; k < info->nindex; k++)
        fn(p, &s->x[k], arg);
    for (int k = 0; k < info->nviews; k++)
        each_size_of_view(p, &s->v[k], fn, arg);
    if (info->flags & TF_MAP) {
        fn(p, &s->rows, arg);
        fn(p, &s->cols, arg);
        if (s->red_axis != AX_UNIT)
            fn(p, &s->depth, arg);
    }
    for (int k = 0; k < 6; k++) {
        if (((info->flags & TF_MAP) && (k < 5 || s->at[k])) || ((info->flags & TF_AT) && k < 4))
            fn(p, &s->at[k], arg);
        else
            s->at[k] = 0;
    }
    for (uint32_t k = 0; k < s->nbinds; k++)
        each_size_of_view(p, &s->binds[k].view, fn, arg);
}

static void
each_size_of_body(struct tile_prog *p, struct tile_stmt *s, tile_size_fn *fn, void *arg)
{
    for (; s; s = s->next) {
        tile_each_size_of(p, s, fn, arg);
        each_size_of_body(p, s->body, fn, arg);
    }
}

void
tile_each_size(struct tile_prog *p, tile_size_fn *fn, void *arg)
{
    for (uint32_t k = 1; k < p->nbufs; k++) {
        fn(p, &p->bufs[k].planes, arg);
        fn(p, &p->bufs[k].rows, arg);
        fn(p, &p->bufs[k].cols, arg);
    }
    each_size_of_body(p, p->body, fn, arg);
}

struct compaction {
    tx_ref *to;
    struct tx *xs;
    uint32_t nxs;
};

static void
keep_size(struct tile_prog *p, tx_ref *ref, void *arg)
{
    struct compaction *c = arg;
    if (*ref && !c->to[*ref]) {
        struct tx x = p->xs[*ref];
        keep_size(p, &x.a, arg);
        keep_size(p, &x.b, arg);
        c->xs[c->nxs] = x;
        c->to[*ref] = c->nxs++;
    }
    *ref = c->to[*ref];
}

void
tile_compact(struct tile_prog *p)
{
    struct compaction c = {ARENA_ARRAY(p->arena, tx_ref, p->nxs),
                           ARENA_ARRAY(p->arena, struct tx, p->nxs), 1};
    tile_each_size(p, keep_size, &c);
    p->cap_xs = p->nxs;
    p->xs = c.xs;
    p->nxs = c.nxs;
}

static void
mark_nodes(const struct tile_stmt *s, bool *live)
{
    for (; s; s = s->next) {
        live[s->node] = true;
        for (uint32_t k = 0; k < s->nbinds; k++)
            live[s->binds[k].node] = true;
        mark_nodes(s->body, live);
    }
}

bool *
tile_live(const struct tile_prog *p, struct arena *a)
{
    const struct ir_func *f = p->func;
    bool *live = ir_live(f, a);
    mark_nodes(p->body, live);
    live[0] = false;
    for (ir_ref n = f->nnodes - 1; n > 0; n--)
        for (int k = 0; k < f->nodes[n].nargs && live[n]; k++)
            live[f->nodes[n].arg[k]] = true;
    return live;
}
