/* Index notation: `y[b,i,o] = x[b,i,f] * W[f,o] + bias[o];` as a function of its own. */
#include "frontend/graph.h"

#include <stdlib.h>
#include <string.h>

enum { LEFT_MAX = 4 };

/* What the indexes of a result are to its function, from the last one on. */
static const struct {
    uint8_t axis;
    uint16_t dim;
} result[LEFT_MAX] = {{AX_m, DIM_M}, {AX_i, DIM_NQ}, {AX_b, DIM_B}, {AX_h, DIM_H}};

/* The place in `result` of an index of the left: b, h and then rows and columns; or all before the
 * columns, of which there is one then. */
static int
result_place(const struct index_scope *x, int k)
{
    int n = x->left + x->one_column;
    return k == n - 1 ? 0 : k == n - 2 ? 1 : k == 0 ? 2 : 3;
}

/* ---- indexes and dims ---- */

/* A dim of the stage's function that stands for that one of the shell, by a free name. */
static uint16_t
new_dim(struct sema *s, int shell_dim)
{
    const struct ir_dim *d = &s->index->b->g->shell->dims[shell_dim];
    const char *name = d->name;
    while (ir_dim_find(s->f, name) >= 0)
        name = arena_printf(s->arena, "%s'", name);
    uint16_t own = ir_dim_add(s->f, name, d->size);
    s->index->stage->dim[own] = (int16_t)shell_dim;
    return own;
}

static bool
no_dims_left(struct sema *s, const struct ast_expr *e)
{
    if (s->f->ndims < IR_MAX_DIMS && s->f->naxes < IR_MAX_AXES - 1)
        return false;
    diag_error(s->diag, e->span, "the statement has more than %d different indexes",
               IR_MAX_DIMS - DIM_USER);
    return true;
}

int
index_find(const struct index_scope *x, const char *name)
{
    for (int k = 0; k < x->n; k++)
        if (!strcmp(x->name[k], name))
            return k;
    return -1;
}

/* An index of the result runs over a dim of the shell. */
static void
bind_result(struct sema *s, int k, int dim)
{
    struct index_scope *x = s->index;
    int at = result_place(x, k);
    x->dim[k] = dim;
    x->stage->dim[result[at].dim] = (int16_t)dim;
    s->f->dims[result[at].dim].size = x->b->g->shell->dims[dim].size;
}

/* The index of that name, which runs over a dim of the shell here; -1 after an error. */
static int
bind_index(struct sema *s, const struct ast_expr *e, int dim)
{
    struct index_scope *x = s->index;
    const struct ir_dim *dims = x->b->g->shell->dims;
    int k = index_find(x, e->name);
    if (k < 0 && x->n == INDEX_MAX) {
        diag_error(s->diag, e->span, "the statement has more than %d indexes", INDEX_MAX);
        return -1;
    }
    if (k < 0) {
        if (no_dims_left(s, e))
            return -1;
        k = x->n++;
        x->name[k] = e->name;
        x->dim[k] = dim;
        uint16_t own = new_dim(s, dim);
        x->axis[k] = ir_axis_base(s->f, own);
        s->f->axes[x->axis[k]].name = e->name;
    } else if (x->dim[k] < 0) {
        bind_result(s, k, dim);
    } else if (x->dim[k] != dim) {
        diag_error(s->diag, e->span, "index '%s' runs over %s, but this one runs over %s", e->name,
                   dims[x->dim[k]].name, dims[dim].name);
        return -1;
    }
    return k;
}

/* ---- tensors ---- */

/* The stage's param that is this tensor along these dims; a new one if there is none. */
static uint32_t
stage_param(struct sema *s, int shell_param, const uint16_t *dims)
{
    struct graph_stage *st = s->index->stage;
    const struct ir_param *p = &s->index->b->g->shell->params[shell_param];
    uint32_t tensors = 4, scalars = 0;
    const char *name = p->name;
    for (uint32_t k = 0; k < s->f->nparams; k++) {
        const struct ir_param *x = &s->f->params[k];
        int16_t of = x->rank ? st->tensor[tensors++] : st->scalar[scalars++];
        if (of == shell_param && x->rank == p->rank &&
            (!x->rank || !memcmp(x->dims, dims, sizeof *dims * x->rank)))
            return k;
        while (!strcmp(x->name, name))
            name = arena_printf(s->arena, "%s'", name);
    }
    struct ir_param own = {.name = name, .span = p->span, .rank = p->rank,
                           .has_default = p->has_default, .value = p->value};
    if (p->rank)
        memcpy(own.dims, dims, sizeof *dims * p->rank);
    *(p->rank ? &st->tensor[tensors] : &st->scalar[scalars]) = (int16_t)shell_param;
    return ir_param_add(s->f, &own);
}

static bool
too_many_params(struct sema *s, const struct ast_expr *e)
{
    if (ir_param_count(s->f, true) < IR_MAX_TENSORS && ir_param_count(s->f, false) < IR_MAX_SCALARS)
        return false;
    diag_error(s->diag, e->span, "the statement uses more than %d tensors or %d numbers",
               IR_MAX_TENSORS, IR_MAX_SCALARS);
    return true;
}

/* The tensor an expression names, made: its number among the shell's params; -1 after an error. */
static int
tensor_of(struct sema *s, const struct ast_expr *e)
{
    struct index_scope *x = s->index;
    struct graph_tensor *t = graph_find(x->b, e->name, x->block);
    if (!t) {
        bool known = sema_definition(s, e->name) || ir_dim_find(x->b->g->shell, e->name) >= 0;
        if (known)
            diag_error(s->diag, e->name_span, "'%s' is no tensor", e->name);
        else
            sema_unknown(s, "tensor", e->name, e->name_span);
        return -1;
    }
    if (t->by && t->by->kind == AST_ST_OUTPUT) {
        diag_error(s->diag, e->name_span,
                   "'%s' is an output: give it a statement of its own to use it again", e->name);
        return -1;
    }
    return graph_make(x->b, t);
}

/* True for names of numbers, as indexes: those of the result and those met before are indexes. */
static bool
is_number(struct sema *s, const struct ast_expr *e)
{
    struct index_scope *x = s->index;
    const struct graph_tensor *t = graph_find(x->b, e->name, x->block);
    if (index_find(x, e->name) >= 0)
        return false;
    const struct definition *d = sema_definition(s, e->name);
    bool param = t && t->param >= 0 && !x->b->g->shell->params[t->param].rank;
    return param || (d && !d->stmt->list.count); /* no function */
}

/* In x[i - 1], i counts entries of x: that is what it runs over, if nothing else says it. */
static void
note_counted(struct sema *s, ir_ref at, int dim)
{
    struct index_scope *x = s->index;
    bool *below = ir_below(s->f, at);
    for (ir_ref n = at; n > 0; n--)
        for (int k = 0; k < x->left && below[n] && s->f->nodes[n].op == IR_pos; k++)
            if (s->f->nodes[n].attr.axis == x->axis[k])
                x->counts[k] = x->counts[k] && x->counts[k] != dim + 1 ? -1 : dim + 1;
    free(below);
}

/* True after reporting an index that counts all tokens where the tensor has those of the queries
 * alone, the first of which is no token 0. */
static bool
counts_positions(struct sema *s, const struct ast_expr *e, ir_ref at, int dim)
{
    const struct index_scope *x = s->index;
    const struct ir_func *f = s->f;
    bool *below = ir_below(f, at), position = false, rows = false;
    for (ir_ref n = at; n > 0; n--) {
        const struct ir_node *d = &f->nodes[n];
        position = position || (below[n] && d->op == IR_pos && (d->attr.axis == AX_i ||
                                                                d->attr.axis == AX_m));
        rows = rows || (below[n] && d->op == IR_dim && x->stage->dim[d->attr.id] == DIM_NQ);
    }
    free(below);
    if (dim != DIM_NQ || !position || rows)
        return false;
    diag_error(s->diag, e->span, "this is a position among all n tokens, and the tensor has those "
               "of the n_q queries: position - (n - n_q) is its row");
    return true;
}

/* True if some index of a tensor, so far, runs over that dim of the function. */
static bool
has_axis_of(const struct ir_func *f, const struct ir_binding *b, uint16_t dim)
{
    for (int k = 0; k < b->rank; k++)
        if (b->ax[k] != AX_UNIT && f->axes[b->ax[k]].dim == dim)
            return true;
    return false;
}

/* An index that is computed: an axis over that dim, along which the entry is picked. The same
 * computation over the same dim is one axis, but within one tensor. */
static bool
computed_index(struct sema *s, const struct ast_expr *e, int dim, const struct ir_binding *b,
               uint16_t *own, ir_ref *at)
{
    struct index_scope *x = s->index;
    int before = s->diag->errors;
    *at = sema_number(s, e, "an index");
    if (s->diag->errors > before || no_dims_left(s, e) || counts_positions(s, e, *at, dim))
        return false;
    note_counted(s, *at, dim);
    for (int k = 0; k < x->ncomputed; k++)
        if (x->computed[k].at == *at && x->computed[k].dim == dim &&
            !has_axis_of(s->f, b, x->computed[k].own)) {
            *own = x->computed[k].own;
            return true;
        }
    *own = new_dim(s, dim);
    x->computed = arena_grow(s->arena, x->computed, (size_t)x->ncomputed,
                             (size_t)x->ncomputed + 1, &x->cap_computed, sizeof *x->computed);
    x->computed[x->ncomputed].at = *at;
    x->computed[x->ncomputed].dim = dim;
    x->computed[x->ncomputed++].own = *own;
    return true;
}

/* One index of a tensor, which runs over dim of the shell: an axis of the function, or a constant;
 * one that is computed is an axis along which the entry is picked, at *at. */
static bool
one_index(struct sema *s, const struct ast_expr *e, int dim, struct ir_binding *b, uint16_t *own,
          ir_ref *at)
{
    const struct ir_dim *d = &s->index->b->g->shell->dims[dim];
    int64_t v;
    *at = 0;
    if (e->kind == AST_NAME && !is_number(s, e)) {
        int k = bind_index(s, e, dim);
        if (k < 0)
            return false;
        b->ax[b->rank++] = s->index->axis[k];
        *own = s->f->axes[s->index->axis[k]].dim;
        return true;
    }
    if (e->kind != AST_NUMBER) {
        bool ok = computed_index(s, e, dim, b, own, at);
        b->ax[b->rank++] = ok ? ir_axis_base(s->f, *own) : AX_UNIT;
        return ok;
    }
    if (!d->size) {
        diag_error(s->diag, e->span,
                   "a constant index needs a fixed dimension; %s is a run-time size", d->name);
        return false;
    }
    if (!sema_integer(s, e, "the index", 0, d->size - 1, &v) || no_dims_left(s, e))
        return false;
    *own = new_dim(s, dim);
    b->ax[b->rank] = AX_UNIT;
    b->num[b->rank++] = (int32_t)v;
    return true;
}

/* The entry of tensor n at those of its indexes that are computed. */
static ir_ref
picked(struct sema *s, ir_ref n, const struct ir_binding *b, const ir_ref *at, span_t span)
{
    for (int k = 0; k < b->rank; k++)
        if (at[k])
            n = ir_pick(s->f, b->ax[k], n, at[k], span);
    return n;
}

struct value
index_tensor(struct sema *s, const struct ast_expr *e)
{
    struct ir_binding b = {.rank = 0};
    uint16_t dims[IR_MAX_RANK];
    ir_ref at[IR_MAX_RANK];
    int p = tensor_of(s, e);
    if (p < 0 || too_many_params(s, e))
        return value_bad;
    struct ir_param x = s->index->b->g->shell->params[p];
    if (x.rank > LEFT_MAX) {
        diag_error(s->diag, e->span, "%s has %u indexes; statements read tensors of up to %d",
                   x.name, x.rank, LEFT_MAX);
        return value_bad;
    }
    if (e->nargs != x.rank) {
        diag_error(s->diag, e->span, "%s has %u index%s, found %u", x.name, x.rank,
                   x.rank == 1 ? "" : "es", e->nargs);
        return value_bad;
    }
    for (uint32_t k = 0; k < e->nargs; k++) {
        for (uint32_t i = 0; i < k && e->arg[k]->kind == AST_NAME; i++)
            if (e->arg[i]->kind == AST_NAME && !strcmp(e->arg[i]->name, e->arg[k]->name) &&
                !is_number(s, e->arg[k])) {
                diag_error(s->diag, e->span, "index '%s' stands twice in %s: a diagonal cannot be "
                           "read", e->arg[k]->name, x.name);
                return value_bad;
            }
        if (!one_index(s, e->arg[k], x.dims[k], &b, &dims[k], &at[k]))
            return value_bad;
    }
    return value_number(picked(s, ir_param_use(s->f, stage_param(s, p, dims), &b, e->span), &b, at,
                               e->span));
}

/* A tensor without indexes, where the result has none either: those of the result. */
static struct value
whole_tensor(struct sema *s, const struct ast_expr *e)
{
    struct index_scope *x = s->index;
    struct ir_binding b = {.rank = 0};
    uint16_t dims[IR_MAX_RANK];
    int p = tensor_of(s, e);
    if (p < 0 || too_many_params(s, e))
        return value_bad;
    struct ir_param t = x->b->g->shell->params[p];
    if (t.rank != x->whole) {
        diag_error(s->diag, e->span,
                   "%s has %u indexes; what is added here without indexes has %d", t.name, t.rank,
                   x->whole);
        return value_bad;
    }
    for (int k = 0; k < t.rank; k++) {
        struct ast_expr index = {.kind = AST_NAME, .name = x->name[k], .span = e->span};
        ir_ref none;
        if (!one_index(s, &index, t.dims[k], &b, &dims[k], &none))
            return value_bad;
    }
    return value_number(ir_param_use(s->f, stage_param(s, p, dims), &b, e->span));
}

/* ---- names ---- */

bool
index_name(struct sema *s, const struct ast_expr *e, struct value *out)
{
    struct index_scope *x = s->index;
    int k = index_find(x, e->name), dim = ir_dim_find(x->b->g->shell, e->name);
    const struct graph_tensor *t = graph_find(x->b, e->name, x->block);
    *out = value_bad;
    if (k >= 0) {
        uint8_t axis = x->axis[k];
        bool last = axis == AX_m && x->left < LEFT_MAX; /* rows of one column have places */
        x->last_counts = x->last_counts || last;
        if (axis == AX_b || axis == AX_h || axis == AX_i || last)
            *out = value_number(ir_pos(s->f, axis, e->span));
        else
            diag_error(s->diag, e->span,
                       "the position along '%s' cannot be used as a number: only that along the "
                       "first three indexes of the result", e->name);
        return true;
    }
    if (t && t->param >= 0 && !x->b->g->shell->params[t->param].rank) {
        if (!too_many_params(s, e)) {
            struct ir_binding none = {.rank = 0};
            uint32_t p = stage_param(s, t->param, NULL);
            *out = value_number(ir_param_use(s->f, p, &none, e->span));
        }
        return true;
    }
    if (t && x->whole) {
        *out = whole_tensor(s, e);
        return true;
    }
    if (t) {
        diag_error(s->diag, e->span, "'%s' is a tensor; give it its indexes", e->name);
        return true;
    }
    if (dim >= 0 && !no_dims_left(s, e)) {
        *out = value_number(ir_dimval(s->f, new_dim(s, dim), e->span));
        return true;
    }
    return false;
}

struct value
index_vector(struct sema *s, const struct ast_expr *e, struct value v)
{
    const struct index_scope *x = s->index;
    if (v.kind != VALUE_NUMBER)
        return v;
    if (x->left && !x->one_column && x->dim[x->left - 1] < 0) {
        diag_error(s->diag, e->span, "what index '%s' runs over is not known here: it only counts "
                   "within an index that is computed", x->name[x->left - 1]);
        return value_bad;
    }
    if (x->left && !x->one_column && (s->f->nodes[v.node].axes >> AX_m & 1))
        return value_vector(v.node, AX_m);
    diag_error(s->diag, e->span, "this must run over the last index of the result, '%s'",
               x->left ? x->name[x->left - 1] : "");
    return value_bad;
}

/* ---- a statement ---- */

/* The indexes on the left: different names, at most four. */
static bool
left_indexes(struct graph_build *b, const struct ast_stmt *st, struct index_scope *x)
{
    struct diag *d = b->base->diag;
    if (st->list.count > LEFT_MAX) {
        diag_error(d, st->span, "%s has %u indexes, the limit is %d", st->name, st->list.count,
                   LEFT_MAX);
        return false;
    }
    for (uint32_t k = 0; k < st->list.count; k++) {
        const struct ast_expr *e = st->list.at[k];
        if (e->kind != AST_NAME) {
            diag_error(d, e->span, "the indexes of a result are names");
            return false;
        }
        if (index_find(x, e->name) >= 0) {
            diag_error(d, e->span, "the index '%s' is given twice", e->name);
            return false;
        }
        x->name[x->n] = e->name;
        x->dim[x->n++] = -1;
    }
    return true;
}

/* Names of the standard dims that no other dim of the function has: what they stand for, or what
 * is not there and has size 1. */
static void
prepare_dims(struct ir_func *f, struct graph_stage *stage)
{
    static const char *const hidden[DIM_USER] = {"_B", "_H", "_G", "_nq", "_n", "_D", "_M"};
    for (int k = 0; k < IR_MAX_DIMS; k++)
        stage->dim[k] = -1;
    for (int k = 0; k < DIM_USER; k++) {
        f->dims[k].name = hidden[k];
        f->dims[k].size = k == DIM_N ? 0 : 1;
    }
}

static void
name_dims(struct sema *s)
{
    struct graph_stage *stage = s->index->stage;
    for (int k = 0; k < DIM_USER; k++) {
        if (stage->dim[k] < 0)
            continue;
        const char *name = s->index->b->g->shell->dims[stage->dim[k]].name;
        while (ir_dim_find(s->f, name) >= 0)
            name = arena_printf(s->arena, "%s'", name);
        s->f->dims[k].name = name;
    }
}

/* In `output = a + b` every tensor has the four indexes of an attention's result. */
static void
whole_indexes(struct index_scope *x)
{
    static const char *const names[LEFT_MAX] = {"b", "h", "i", " m"}; /* m is no name there */
    for (int k = 0; k < LEFT_MAX; k++) {
        x->name[k] = names[k];
        x->dim[k] = -1;
    }
    x->n = x->whole = LEFT_MAX;
}

/* Positions of queries go on from those of the keys before them along rows alone. */
static void
check_positions(struct sema *s)
{
    const struct index_scope *x = s->index;
    const bool *live = ir_live(s->f, s->arena);
    for (ir_ref n = 1; n < s->f->nnodes; n++) {
        const struct ir_node *d = &s->f->nodes[n];
        bool other = d->op == IR_pos && (d->attr.axis == AX_b || d->attr.axis == AX_h);
        if (live[n] && other && x->stage->dim[d->attr.axis == AX_b ? DIM_B : DIM_H] == DIM_NQ)
            diag_error(s->diag, d->span,
                       "the position of a query is a number only where its index is the last but "
                       "one of the result");
    }
}

/* True if something is turned or sorted along the last index of the result. */
static bool
runs_along_columns(const struct ir_func *f, ir_ref root)
{
    for (ir_ref n = 1; n <= root; n++)
        if (f->nodes[n].op == IR_turn || f->nodes[n].op == IR_argsort)
            return true;
    return false;
}

/* True if some sum, or another reduction, has a factor that varies over rows, columns and what is
 * summed: with one column per row it is a sum along rows, else it would be one entry at a time. */
static bool
mixes(const struct ir_func *f, ir_ref root)
{
    const ir_axes both = (ir_axes)1 << AX_i | (ir_axes)1 << AX_m;
    if (runs_along_columns(f, root))
        return false;
    for (ir_ref n = 1; n <= root; n++)
        for (ir_ref s = n + 1; s <= root && f->nodes[n].op == IR_param; s++)
            if (ir_ops[f->nodes[s].op].axes_rule == AXES_reduce && f->nodes[s].op != IR_pick &&
                (f->nodes[n].axes & both) == both &&
                (f->nodes[n].axes >> f->nodes[s].attr.axis & 1))
                return true;
    return false;
}

/* The right side as a node with its sums in place; 0 after errors. */
static ir_ref
judge_right(struct sema *s, const struct ast_stmt *st)
{
    struct index_scope *x = s->index;
    int before = s->diag->errors;
    ir_ref n = sema_number(s, st->expr, "what a statement of index notation defines");
    for (int k = 0; k < x->left && s->diag->errors == before; k++)
        if (x->dim[k] < 0 && x->counts[k] > 0)
            bind_result(s, k, x->counts[k] - 1);
        else if (x->dim[k] < 0)
            diag_error(s->diag, st->has_list ? st->list.at[k]->span : st->expr->span,
                       "index '%s' is not on the right: what it runs over is not known",
                       x->name[k]);
    if (s->diag->errors == before)
        n = index_place(s, n);
    return s->diag->errors == before ? n : 0;
}

/* The statement as a function, its last index as columns or as rows of one column. */
static struct sema *
judge_statement(struct graph_build *b, const struct ast_stmt *st, struct index_scope *x)
{
    const struct ast_expr *e[1] = {st->expr};
    struct sema *s = graph_sema(b, x->block, graph_names(b, x->block, e, 1));
    if (!st->has_list)
        whole_indexes(x);
    else if (!left_indexes(b, st, x))
        return NULL;
    x->left = x->n;
    for (int k = 0; k < x->left; k++) {
        x->axis[k] = result[result_place(x, k)].axis;
        s->f->axes[x->axis[k]].name = x->name[k];
    }
    s->f->contraction = true;
    s->index = x;
    prepare_dims(s->f, x->stage);
    s->f->root[ROOT_OUT] = judge_right(s, st);
    return s->f->root[ROOT_OUT] ? s : NULL;
}

bool
graph_index_stage(struct graph_build *b, const struct ast_stmt *st, int block,
                  struct graph_stage *stage, uint16_t *dims, int *rank, int *same)
{
    struct index_scope x = {.b = b, .block = block, .stage = stage};
    struct graph_stage fresh = *stage;
    struct sema *s = judge_statement(b, st, &x);
    if (s && x.last_counts && runs_along_columns(s->f, s->f->root[ROOT_OUT])) {
        diag_error(b->base->diag, st->span,
                   "the position along '%s' cannot be used as a number in a statement that sorts "
                   "or turns along it", x.name[x.left - 1]);
        return false;
    }
    bool rows = s && x.left < LEFT_MAX &&
                (x.last_counts || (x.left > 1 && mixes(s->f, s->f->root[ROOT_OUT])));
    if (rows) {
        ir_func_free(s->f);
        *stage = fresh;
        x = (struct index_scope){.b = b, .block = block, .stage = stage, .one_column = true};
        s = judge_statement(b, st, &x);
    }
    if (!s)
        return false;
    check_positions(s);
    name_dims(s);
    s->index = NULL;
    stage->f = s->f;
    *rank = x.left;
    for (int k = 0; k < x.left; k++)
        dims[k] = (uint16_t)x.dim[k];
    *same = graph_same(b, stage, x.axis, dims, *rank);
    return true;
}
