/* Judging statements, and putting the function together.
 *
 * Dimensions, then params, then definitions are collected first, so their order does not matter;
 * then sim, mask and normalize are judged and the roots of ir/ir.h built from them. */
#include "frontend/sema.h"

#include <math.h>
#include <string.h>

typedef void stmt_fn(struct sema *s, const struct ast_stmt *st);
#define STMT(id, keyword, handler) static stmt_fn handler;
#include "frontend/statements.def"
static stmt_fn *const handlers[AST_ST_COUNT] = {
#define STMT(id, keyword, handler) handler,
#include "frontend/statements.def"
    sema_stmt_elsewhere,
};

static const span_t nowhere = {0, 0};

/* False after reporting that the statement was given before. */
static bool
once(struct sema *s, const struct ast_stmt *st)
{
    const struct ast_stmt *first = s->seen[st->kind];
    if (!first) {
        s->seen[st->kind] = st;
        return true;
    }
    diag_error(s->diag, st->span, "%s is given twice", ast_stmt_text[st->kind]);
    diag_note(s->diag, first->span, "first here");
    return false;
}

/* True after reporting (once) that a program has more than limit of something. */
static bool
too_many(struct sema *s, const struct ast_stmt *st, uint32_t count, uint32_t limit,
         const char *what)
{
    if (count < limit)
        return false;
    if (!s->too_large)
        diag_error(s->diag, st->span, "the program has more than %u %s", limit, what);
    return s->too_large = true;
}

/* Programs with these statements are put together in graph.c. */
static void
sema_stmt_elsewhere(struct sema *s, const struct ast_stmt *st)
{
    (void)s;
    (void)st;
}

static void
sema_stmt_attention(struct sema *s, const struct ast_stmt *st)
{
    if (!st->block && once(s, st))
        s->f->name = st->name;
}

static void
sema_stmt_dim(struct sema *s, const struct ast_stmt *st)
{
    int d = ir_dim_find(s->f, st->name);
    int64_t size = 0;
    if (d >= 0 && (d >= DIM_USER || s->f->dims[d].size)) {
        diag_error(s->diag, st->name_span, "the dimension '%s' is given twice", st->name);
        return;
    }
    if (d < 0 && (too_many(s, st, s->f->ndims, IR_MAX_DIMS, "dimensions") ||
                  !sema_declare(s, st->name, st->name_span)))
        return;
    if (st->expr && !sema_integer(s, st->expr, arena_printf(s->arena, "the size of %s", st->name),
                                  1, (int64_t)1 << 31, &size))
        size = 1; /* keeps what depends on it quiet */
    if (d < 0)
        ir_dim_add(s->f, st->name, size);
    else
        s->f->dims[d].size = size;
}

static void
judge_state(struct sema *s)
{
    const struct ast_stmt *state = s->seen[AST_ST_STATE], *type = s->seen[AST_ST_TYPE];
    if (!state || !type || s->f->acc >= s->f->type)
        return;
    diag_error(s->diag, state->name_span, "state %s is narrower than type %s", state->name,
               type->name);
    diag_note(s->diag, type->span, "the tensors' type");
    s->f->acc = s->f->type;
}

/* The type a statement names; f32 after an error. */
static enum ir_type
named_type(struct sema *s, const struct ast_stmt *st)
{
    static const char *const types[] = {"f32", "f64", "bf16", "f16"};
    for (size_t k = 0; k < 4; k++)
        if (!strcmp(st->name, types[k])) {
            if (k >= 2)
                diag_error(s->diag, st->name_span, "type %s is not supported yet", st->name);
            return k == 1 ? TYPE_F64 : TYPE_F32;
        }
    const char *near = str_nearest(st->name, types, 2);
    diag_error(s->diag, st->name_span, "unknown type '%s'; types are f32 and f64", st->name);
    if (near)
        diag_help(s->diag, st->name_span, "%s", near);
    return TYPE_F32;
}

/* Sums are at least as wide as the tensors, whichever of the two statements comes first. */
static void
sema_stmt_type(struct sema *s, const struct ast_stmt *st)
{
    if (!once(s, st))
        return;
    s->f->type = named_type(s, st);
    if (!s->seen[AST_ST_STATE])
        s->f->acc = s->f->type;
    judge_state(s);
}

static void
sema_stmt_state(struct sema *s, const struct ast_stmt *st)
{
    if (!once(s, st))
        return;
    s->f->acc = named_type(s, st);
    judge_state(s);
}

static void
sema_stmt_param(struct sema *s, const struct ast_stmt *st)
{
    struct ir_param p = {.name = st->name, .span = st->span};
    bool tensor = st->list.count > 0;
    if (too_many(s, st, ir_param_count(s->f, tensor),
                 tensor ? IR_MAX_TENSORS : IR_MAX_SCALARS,
                 tensor ? "tensor params" : "params that are numbers") ||
        !sema_declare(s, st->name, st->name_span))
        return;
    if (st->list.count > IR_MAX_RANK) {
        diag_error(s->diag, st->span, "%s has %u indexes, the limit is %d", st->name,
                   st->list.count, IR_MAX_RANK);
        return;
    }
    for (uint32_t k = 0; k < st->list.count; k++) {
        const struct ast_expr *x = st->list.at[k];
        int d = x->kind == AST_NAME ? sema_dim(s, x->name) : -1;
        if (d < 0 && x->kind == AST_NAME)
            sema_unknown(s, "dimension", x->name, x->span);
        else if (d < 0)
            diag_error(s->diag, x->span, "the indexes of a param are dimensions");
        p.dims[p.rank++] = (uint16_t)(d < 0 ? DIM_D : d);
    }
    if (st->expr) {
        struct value v = sema_expr(s, st->expr);
        if (v.kind == VALUE_NUMBER && s->f->nodes[v.node].op == IR_const) {
            fmpq_t q;
            fmpq_init(q);
            fmpq_set(q, ir_const_value(s->f, v.node));
            p.value = fmpq_get_d(q);
            fmpq_clear(q);
            p.has_default = true;
            if (!isfinite(p.value))
                diag_error(s->diag, st->expr->span, "the default of %s is too large for a double",
                           st->name);
        } else if (v.kind != VALUE_BAD) {
            diag_error(s->diag, st->expr->span, "the default of a param must be a constant");
        }
    }
    ir_param_add(s->f, &p);
}

static void
sema_stmt_let(struct sema *s, const struct ast_stmt *st)
{
    if (too_many(s, st, s->ndefs, SEMA_MAX_LETS, "definitions") ||
        !sema_declare(s, st->name, st->name_span))
        return;
    for (uint32_t k = 0; k < st->list.count; k++) {
        if (st->list.at[k]->kind != AST_NAME) {
            diag_error(s->diag, st->list.at[k]->span, "a parameter must be a name");
            return;
        }
        for (uint32_t i = 0; i < k; i++)
            if (!strcmp(st->list.at[i]->name, st->list.at[k]->name)) {
                diag_error(s->diag, st->list.at[k]->span, "the parameter '%s' is given twice",
                           st->list.at[k]->name);
                return;
            }
    }
    s->defs = arena_grow(s->arena, s->defs, s->ndefs, s->ndefs + 1, &s->cap_defs, sizeof *s->defs);
    s->defs[s->ndefs++] = (struct definition){.stmt = st, .name = st->name};
}

static void
sema_stmt_kernelize(struct sema *s, const struct ast_stmt *st)
{
    if (once(s, st))
        sema_kernelize_mode(s, st); /* its arguments are judged when params are known */
}

static void
sema_stmt_sim(struct sema *s, const struct ast_stmt *st)
{
    if (once(s, st))
        s->f->root[ROOT_SIM] = sema_number(s, st->expr, "sim");
}

static void
and_mask(struct sema *s, ir_ref m, span_t at)
{
    if (m)
        s->mask = s->mask ? ir_op2(s->f, IR_and, s->mask, m, at) : m;
}

static void
sema_stmt_mask(struct sema *s, const struct ast_stmt *st)
{
    and_mask(s, sema_truth(s, st->expr, "mask"), st->span);
}

static void
sema_stmt_causal(struct sema *s, const struct ast_stmt *st)
{
    span_t at = st->span;
    if (once(s, st))
        and_mask(s, ir_op2(s->f, IR_le, ir_pos(s->f, AX_j, at), ir_pos(s->f, AX_i, at), at), at);
}

/* window W: i - j < W and j - i < W. */
static void
sema_stmt_window(struct sema *s, const struct ast_stmt *st)
{
    struct ir_func *f = s->f;
    span_t at = st->span;
    ir_ref w = once(s, st) ? sema_number(s, st->expr, "the width of a window") : 0;
    if (!w)
        return;
    if (ir_side_of(f, w) != SIDE_NEUTRAL) {
        diag_error(s->diag, st->expr->span,
                   "the width of a window cannot depend on the query or the key; write a mask");
        return;
    }
    if (f->nodes[w].op == IR_const && fmpq_sgn(ir_const_value(f, w)) <= 0) {
        diag_error(s->diag, st->expr->span, "a window of width %s sees nothing, must be above 0",
                   ast_quote(s->arena, s->src, st->expr->span));
        return;
    }
    ir_ref i = ir_pos(f, AX_i, at), j = ir_pos(f, AX_j, at);
    ir_ref back = ir_op2(f, IR_lt, ir_op2(f, IR_sub, i, j, at), w, at);
    ir_ref ahead = ir_op2(f, IR_lt, ir_op2(f, IR_sub, j, i, at), w, at);
    and_mask(s, ir_op2(f, IR_and, back, ahead, at), at);
}

static void
sema_stmt_normalize(struct sema *s, const struct ast_stmt *st)
{
    once(s, st); /* judged when z is known */
}

static void
sema_stmt_assert(struct sema *s, const struct ast_stmt *st)
{
    const struct ast_expr *e = st->expr;
    if (e->kind != AST_BINARY || e->op != AST_OP_EQ) {
        if (e->kind != AST_BAD)
            diag_error(s->diag, e->span, "an assertion has the form E1 == E2");
        return;
    }
    ir_ref l = sema_number(s, e->arg[0], "each side of an assertion");
    ir_ref r = sema_number(s, e->arg[1], "each side of an assertion");
    if (!l || !r)
        return;
    struct asserts *a = s->asserts;
    a->at = arena_grow(s->arena, a->at, a->count, a->count + 1, &s->cap_asserts, sizeof *a->at);
    a->at[a->count++] = (struct assertion){l, r, e->span};
}

/* ---- putting it together ---- */

/* Statements are judged in rounds, so that a name may be used before its statement. */
enum round { ROUND_SETTINGS, ROUND_PARAMS, ROUND_LETS, ROUND_REST, ROUND_COUNT };

static enum round
round_of(const struct ast_stmt *st)
{
    static const uint8_t settings[] = {AST_ST_ATTENTION, AST_ST_DIM, AST_ST_TYPE, AST_ST_KERNELIZE};
    for (size_t k = 0; k < sizeof settings; k++)
        if (st->kind == settings[k])
            return ROUND_SETTINGS;
    return st->kind == AST_ST_PARAM ? ROUND_PARAMS
           : st->kind == AST_ST_LET ? ROUND_LETS
                                    : ROUND_REST;
}

static void
judge(struct sema *s, const struct ast_program *p, enum round r)
{
    for (const struct ast_stmt *st = p->first; st; st = st->next)
        if (round_of(st) == r)
            handlers[st->kind](s, st);
    for (uint32_t k = 0; r == ROUND_LETS && k < s->ndefs; k++)
        sema_judge_definition(s, &s->defs[k]);
}

static const char *
nearest_dim(struct sema *s, const char *name)
{
    const char **names = ARENA_ARRAY(s->arena, const char *, s->f->ndims);
    for (uint32_t k = 0; k < s->f->ndims; k++)
        names[k] = s->f->dims[k].name;
    return strlen(name) > 1 ? str_nearest(name, names, s->f->ndims) : NULL;
}

static void
apply_overrides(struct sema *s, const struct dim_override *dims, int n)
{
    for (int k = 0; k < n; k++) {
        int d = ir_dim_find(s->f, dims[k].name);
        const char *near = d < 0 ? nearest_dim(s, dims[k].name) : NULL;
        if (near)
            diag_error(s->diag, nowhere,
                       "-D names '%s', which is no dimension of this program; the nearest is %s",
                       dims[k].name, near);
        else if (d < 0)
            diag_error(s->diag, nowhere, "-D names '%s', which is no dimension of this program",
                       dims[k].name);
        else if (dims[k].size < 1 || dims[k].size > (int64_t)1 << 31)
            diag_error(s->diag, nowhere, "-D %s is %lld, must be from 1 to %lld", dims[k].name,
                       (long long)dims[k].size, (long long)((int64_t)1 << 31));
        else
            s->f->dims[d].size = dims[k].size;
    }
}

/* The divisor: normalize as a function of z. 0 stands for 1. */
static ir_ref
divisor(struct sema *s, ir_ref z)
{
    const struct ast_stmt *st = s->seen[AST_ST_NORMALIZE];
    if (!st)
        return z;
    s->z = z;
    ir_ref n = sema_number(s, st->expr, "normalize");
    s->z = 0;
    s->f->normalize_is_sum = n == z;
    if (n && ((s->f->nodes[n].axes >> AX_j & 1) || ir_vector_axes(s->f, n)))
        diag_error(s->diag, st->expr->span,
                   "normalize is one number per query: it cannot depend on the key");
    if (n && ir_is_const(s->f, n, 0))
        diag_error(s->diag, st->expr->span, "normalize is zero: division by zero");
    return n && ir_is_const(s->f, n, 1) ? 0 : n;
}

static void
build_roots(struct sema *s)
{
    struct ir_func *f = s->f;
    span_t at = f->nodes[f->root[ROOT_SIM]].span;
    ir_ref zero = ir_const_i(f, 0, 1, nowhere), one = ir_const_i(f, 1, 1, nowhere), m = s->mask;
    ir_ref sim = f->root[ROOT_SIM], w = m ? ir_select(f, m, sim, zero, at) : sim;
    ir_ref z = ir_rsum(f, AX_j, w, at),
           numer = ir_rsum(f, AX_j, ir_op2(f, IR_mul, w, ir_input(f, 2, nowhere), at), at);
    ir_ref count = m ? ir_rsum(f, AX_j, ir_select(f, m, one, zero, nowhere), nowhere)
                     : ir_dimval(f, DIM_N, nowhere);
    ir_ref any = ir_op2(f, IR_gt, count, zero, nowhere), by = divisor(s, z);
    f->root[ROOT_MASK] = m;
    f->root[ROOT_NUM] = numer;
    f->root[ROOT_DEN] = by ? z : 0;
    f->root[ROOT_ANY] = any;
    f->root[ROOT_OUT] = ir_select(f, any, by ? ir_op2(f, IR_div, numer, by, at) : numer, zero, at);
}

void
sema_judge(struct sema *s, const struct ast_program *p, enum ast_stmt_kind kind)
{
    for (const struct ast_stmt *st = p->first; st; st = st->next)
        if (st->kind == kind)
            handlers[kind](s, st);
}

bool
sema_attention(struct sema *s, const struct ast_program *p, span_t at)
{
    static const uint8_t kinds[] = {AST_ST_KERNELIZE, AST_ST_SIM, AST_ST_MASK, AST_ST_CAUSAL,
                                    AST_ST_WINDOW, AST_ST_NORMALIZE, AST_ST_ASSERT};
    int before = s->diag->errors;
    for (size_t k = 0; k < sizeof kinds; k++)
        sema_judge(s, p, (enum ast_stmt_kind)kinds[k]);
    if (s->seen[AST_ST_KERNELIZE])
        sema_kernelize_arguments(s, s->seen[AST_ST_KERNELIZE]);
    if (!s->seen[AST_ST_SIM])
        diag_error(s->diag, at, "the attention has no sim");
    if (s->diag->errors == before)
        build_roots(s);
    return s->diag->errors == before;
}

/* One attention. */
static void
compile_one(struct sema *s, const struct ast_program *p)
{
    for (enum round r = ROUND_PARAMS; r < ROUND_COUNT; r++)
        judge(s, p, r);
    if (s->seen[AST_ST_KERNELIZE])
        sema_kernelize_arguments(s, s->seen[AST_ST_KERNELIZE]);
    if (!s->seen[AST_ST_SIM] && !s->diag->errors)
        diag_error(s->diag, nowhere, "the program has no sim statement, e.g. sim = exp(q·k / √D);");
    if (!s->diag->errors)
        build_roots(s);
}

static void
discard(struct compiled *out)
{
    for (int k = 0; out->graph && k < out->graph->nstages; k++)
        ir_func_free(out->graph->stage[k]->f);
    ir_func_free(out->func);
    out->graph = NULL;
    out->func = NULL;
}

bool
frontend_compile(struct arena *a, const struct source *src, const char *stem,
                 const struct dim_override *dims, int ndims, struct diag *d, struct compiled *out)
{
    const struct ast_program *p = ast_parse(a, src, d);
    *out = (struct compiled){.func = NULL};
    if (!p)
        return false;
    struct sema *s = ARENA_NEW(a, struct sema);
    *s = (struct sema){.arena = a, .src = src, .diag = d, .asserts = &out->asserts[0]};
    s->f = out->func = ir_func_new(a, stem);
    s->syntax_errors = d->errors > 0;
    if (!graph_is(p)) {
        judge(s, p, ROUND_SETTINGS);
        apply_overrides(s, dims, ndims);
        compile_one(s, p);
    } else {
        static const uint8_t settings[] = {AST_ST_ATTENTION, AST_ST_DIM, AST_ST_TYPE, AST_ST_STATE};
        for (size_t k = 0; k < sizeof settings; k++)
            sema_judge(s, p, (enum ast_stmt_kind)settings[k]);
        graph_input_dims(s, p);
        apply_overrides(s, dims, ndims);
        out->graph = graph_compile(s, p, out->asserts);
    }
    if (!d->errors)
        return true;
    discard(out);
    return false;
}

bool
frontend_print_ast(struct arena *a, const struct source *src, struct diag *d, struct str *out)
{
    const struct ast_program *p = ast_parse(a, src, d);
    if (p)
        ast_print(p, out);
    return p && !d->errors;
}
