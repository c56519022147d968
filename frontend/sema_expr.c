/* Judging expressions: kinds are checked, functions inlined, names resolved; the value is a node.
 */
#include <stdlib.h>
#include <string.h>

#include "frontend/graph.h"

static struct value
concat(struct sema *s, const struct ast_expr *e)
{
    struct value all = value_bad;
    if (e->nargs < 2) {
        diag_error(s->diag, e->span, "a concatenation needs at least two parts");
        return value_bad;
    }
    for (uint32_t k = 0; k < e->nargs; k++) {
        struct value v = sema_expr(s, e->arg[k]);
        if (!sema_is_arithmetic(&v))
            return sema_wrong(s, e->arg[k], "the parts of a vector are numbers and vectors", &v);
        uint8_t ax = v.kind == VALUE_VECTOR ? v.axis : AX_UNIT;
        if (k == 0) {
            all = v;
            all.axis = ax;
            continue;
        }
        ir_ref n = ir_cat(s->f, all.node, all.axis, v.node, ax, e->span);
        all = value_vector(n, ir_axis_cat(s->f, all.axis, ax));
    }
    return all;
}
/* ---- functions ---- */

static struct value
vector_form(struct sema *s, const struct ast_expr *e, int rule)
{
    struct value x = sema_expr(s, e->arg[0]);
    int64_t n;
    if (s->index && (rule == RULE_ROPE || rule == RULE_ROPE_HALF))
        x = index_vector(s, e->arg[0], x);
    if (!s->index && x.kind == VALUE_NUMBER && (rule == RULE_NORM || rule == RULE_NORM2))
        return value_number(rule == RULE_NORM ? ir_op1(s->f, IR_abs, x.node, e->span)
                                        : ir_powi(s->f, x.node, 2, e->span));
    if (x.kind != VALUE_VECTOR)
        return sema_wrong(s, e->arg[0], arena_printf(s->arena, "%s needs a vector", e->name), &x);
    if (rule == RULE_NORM2)
        return sema_norm2(s, &x, e->span);
    if (rule == RULE_NORM)
        return value_number(ir_op1(s->f, IR_sqrt, sema_norm2(s, &x, e->span).node, e->span));
    if (rule == RULE_ROPE || rule == RULE_ROPE_HALF) {
        x = sema_rope(s, e, rule == RULE_ROPE ? PAIRS_NEIGHBOURS : PAIRS_HALVES, x);
        return s->index && x.kind == VALUE_VECTOR ? value_number(x.node) : x;
    }
    if (rule == RULE_ROLL) {
        if (!sema_integer(s, e->arg[1], "the shift of roll", -1000000, 1000000, &n))
            return value_bad;
        return value_vector(ir_roll(s->f, x.axis, (int)n, x.node, e->span), x.axis);
    }
    if (!sema_integer(s, e->arg[1], "the degree of sympow", 1, SEMA_MAX_DEGREE, &n))
        return value_bad;
    if (n == 1)
        return x;
    uint8_t to = ir_axis_sym(s->f, x.axis, (int)n);
    ir_attr at = {.id = 2, .num = (int32_t)n, .axis = x.axis, .axis2 = to};
    return value_vector(ir_node(s->f, IR_mono, at, x.node, 0, 0, e->span), to);
}

/* True if n is made of a node of this operation and number. */
static bool
is_made_of(const struct ir_func *f, ir_ref n, enum ir_op op, int num)
{
    bool *below = ir_below(f, n), found = false;
    for (ir_ref k = n; k > 0; k--)
        found = found || (below[k] && f->nodes[k].op == op && f->nodes[k].attr.num == num);
    free(below);
    return found;
}

/* decay(g): inside, i, j and k are those of the tokens between the key and the query. */
static struct value
decay(struct sema *s, const struct ast_expr *e)
{
    struct ir_func *f = s->f;
    struct value g = sema_expr(s, e->arg[0]);
    span_t at = e->span;
    if (!sema_is_arithmetic(&g))
        return sema_wrong(s, e->arg[0], "decay needs a number or vector", &g);
    if (is_made_of(f, g.node, IR_input, 0)) {
        diag_error(s->diag, e->arg[0]->span,
                   "decay multiplies a factor of every token, and tokens have no q before the "
                   "first query");
        diag_note(s->diag, (span_t){0, 0}, "params, positions and k are known of all of them");
        return value_bad;
    }
    if (is_made_of(f, g.node, IR_decay, 0)) {
        diag_error(s->diag, e->arg[0]->span, "decay of a decay: the factor is of one token");
        return value_bad;
    }
    ir_ref n = ir_at_key(f, g.node);
    if (f->nodes[n].axes >> AX_j & 1)
        return value_like(g, ir_op1(f, IR_decay, n, at));
    ir_ref distance = ir_op2(f, IR_sub, ir_pos(f, AX_i, at), ir_pos(f, AX_j, at), at);
    return value_like(g, ir_op2(f, IR_pow, n, distance, at));
}

static struct value
call_builtin(struct sema *s, const struct ast_expr *e, const struct sema_function *fn)
{
    if ((int)e->nargs < fn->fewest || (int)e->nargs > fn->most) {
        diag_error(s->diag, e->span, "%s takes %d argument%s, found %u", fn->name, fn->fewest,
                   fn->fewest == 1 ? "" : fn->most > fn->fewest ? "s or more" : "s", e->nargs);
        return value_bad;
    }
    if (fn->rule == RULE_DECAY && s->index) {
        diag_error(s->diag, e->span, "decay pairs queries with keys: it belongs into a sim");
        return value_bad;
    }
    if (fn->rule == RULE_DECAY)
        return decay(s, e);
    if (fn->rule >= RULE_GREATEST)
        return index_order(s, e, fn);
    if (fn->rule >= RULE_NORM)
        return vector_form(s, e, fn->rule);
    struct value a = sema_expr(s, e->arg[0]);
    if (fn->rule == RULE_MAP)
        return sema_is_arithmetic(&a)
                   ? value_like(a, ir_op1(s->f, fn->op, a.node, e->span))
                   : sema_wrong(s, e->arg[0],
                           arena_printf(s->arena, "%s needs a number or vector", fn->name), &a);
    for (uint32_t k = 1; k < e->nargs; k++) {
        struct value b = sema_expr(s, e->arg[k]);
        a = fn->rule == RULE_DOT     ? sema_dot(s, e, a, b)
            : fn->rule == RULE_OUTER ? sema_outer(s, e, a, b)
            : fn->rule == RULE_POWER ? sema_power(s, e, a, b)
                                     : sema_arith(s, e, fn->op, a, b);
    }
    return a;
}

/* Evaluates the body of d with values for its parameters (NULL for a named expression). Names mean
 * what they mean where the body stands, so z and the caller's parameters are out of sight. */
static struct value
body(struct sema *s, struct definition *d, const struct value *args)
{
    const struct scope *caller = s->scope;
    struct scope in = {&d->stmt->list, args};
    ir_ref z = s->z;
    s->scope = args ? &in : NULL;
    s->z = 0;
    d->active = true;
    struct value v = sema_expr(s, d->stmt->expr);
    d->active = false;
    s->z = z;
    s->scope = caller;
    return v;
}

void
sema_judge_definition(struct sema *s, struct definition *d)
{
    int before = s->diag->errors;
    if (d->done)
        return;
    d->value = body(
        s, d, d->stmt->has_list ? ARENA_ARRAY(s->arena, struct value, d->stmt->list.count) : NULL);
    d->done = true;
    d->broken = s->diag->errors > before;
}

/* True after reporting that d is met while it is being evaluated. */
static bool
recursion(struct sema *s, const struct ast_expr *e, struct definition *d)
{
    if (d->active && !d->broken)
        diag_error(s->diag, e->span, "'%s' is defined by itself: recursion has no end here",
                   d->name);
    d->broken = d->broken || d->active;
    return d->active;
}

static struct value
inline_function(struct sema *s, const struct ast_expr *e, struct definition *d)
{
    const struct ast_list *names = &d->stmt->list;
    if (names->count != e->nargs) {
        diag_error(s->diag, e->span, "%s takes %u argument%s, found %u", d->name, names->count,
                   names->count == 1 ? "" : "s", e->nargs);
        return value_bad;
    }
    struct value *args = ARENA_ARRAY(s->arena, struct value, e->nargs);
    bool known = true;
    for (uint32_t k = 0; k < e->nargs; k++) {
        args[k] = sema_expr(s, e->arg[k]);
        if (s->index)
            args[k] = index_argument(s, args[k]);
        known = known && args[k].kind != VALUE_BAD;
    }
    return recursion(s, e, d) || d->broken || !known ? value_bad : body(s, d, args);
}

static struct value
named_value(struct sema *s, const struct ast_expr *e, struct definition *d)
{
    if (recursion(s, e, d))
        return value_bad;
    sema_judge_definition(s, d);
    return s->index ? index_argument(s, d->value) : d->value;
}

static struct value
call(struct sema *s, const struct ast_expr *e)
{
    struct definition *d = sema_definition(s, e->name);
    if (d && d->stmt->has_list)
        return inline_function(s, e, d);
    for (int k = 0; k < sema_function_count; k++)
        if (!strcmp(sema_functions[k].name, e->name))
            return call_builtin(s, e, &sema_functions[k]);
    if (d || ir_param_find(s->f, e->name) >= 0 || ir_dim_find(s->f, e->name) >= 0 ||
        !strcmp(e->name, "q") || !strcmp(e->name, "k"))
        diag_error(s->diag, e->name_span, "'%s' is not a function", e->name);
    else
        sema_unknown(s, "function", e->name, e->name_span);
    return value_bad;
}

/* ---- names ---- */

/* A param with no indexes left is a number, with one over a vector's dimension a vector. */
static struct value
settle(struct sema *s, struct value t, span_t at)
{
    const struct ir_param *p = &s->f->params[t.param];
    int left = p->rank - t.bound.rank;
    if (left == 0)
        return value_number(ir_param_use(s->f, t.param, &t.bound, at));
    uint16_t dim = p->dims[p->rank - 1];
    bool positional = dim == DIM_B || dim == DIM_H || dim == DIM_G || dim == DIM_N || dim == DIM_NQ;
    if (left == 1 && !positional) {
        struct ir_binding b = t.bound;
        b.ax[b.rank++] = ir_axis_base(s->f, dim);
        return value_vector(ir_param_use(s->f, t.param, &b, at), b.ax[b.rank - 1]);
    }
    return t;
}

static struct value
name(struct sema *s, const struct ast_expr *e)
{
    static const struct {
        const char *name;
        uint8_t axis;
    } positions[] = {{"i", AX_i}, {"j", AX_j}, {"h", AX_h}, {"b", AX_b}};
    for (uint32_t k = 0; s->scope && k < s->scope->names->count; k++)
        if (!strcmp(s->scope->names->at[k]->name, e->name))
            return s->scope->values[k];
    struct value v;
    if (s->index && index_name(s, e, &v))
        return v;
    struct definition *d = sema_definition(s, e->name);
    if (d && !d->stmt->has_list)
        return named_value(s, e, d);
    if (d) {
        diag_error(s->diag, e->span, "'%s' is a function; give it its arguments", e->name);
        return value_bad;
    }
    if (s->index && strcmp(e->name, "pi")) { /* q, k, positions: not entry by entry */
        sema_unknown(s, "name", e->name, e->span);
        return value_bad;
    }
    if (!strcmp(e->name, "q") || !strcmp(e->name, "k"))
        return value_vector(ir_input(s->f, e->name[0] == 'k', e->span), AX_d);
    if (!strcmp(e->name, "z") && s->z)
        return value_number(s->z);
    if (!strcmp(e->name, "z")) {
        diag_error(s->diag, e->span, "the row sum z is only known in normalize itself");
        return value_bad;
    }
    int p = ir_param_find(s->f, e->name), dim = ir_dim_find(s->f, e->name);
    if (p >= 0)
        return settle(s, (struct value){.kind = VALUE_TENSOR, .param = (uint32_t)p}, e->span);
    if (dim >= 0)
        return value_number(ir_dimval(s->f, (uint16_t)dim, e->span));
    for (size_t k = 0; k < sizeof positions / sizeof *positions; k++)
        if (!strcmp(e->name, positions[k].name))
            return value_number(ir_pos(s->f, positions[k].axis, e->span));
    if (!strcmp(e->name, "pi"))
        return value_number(ir_node(s->f, IR_pi, (ir_attr){0}, 0, 0, 0, e->span));
    if (!strcmp(e->name, "v")) {
        diag_error(s->diag, e->span,
                   "the value v cannot be used here: a similarity compares q and k");
        return value_bad;
    }
    for (int k = 0; k < sema_function_count; k++)
        if (!strcmp(sema_functions[k].name, e->name)) {
            diag_error(s->diag, e->span, "'%s' is a function; give it its arguments", e->name);
            return value_bad;
        }
    sema_unknown(s, "name", e->name, e->span);
    return value_bad;
}

/* One index of a param: h, b, i or j over the dimension it belongs to, or a constant. */
static bool
bind_index(struct sema *s, const struct ast_expr *x, uint16_t dim, struct ir_binding *b)
{
    static const struct {
        const char *name;
        uint8_t axis;
        uint16_t dim;
    } known[] = {{"h", AX_h, DIM_H}, {"b", AX_b, DIM_B}, {"i", AX_i, DIM_N}, {"j", AX_j, DIM_N}};
    int64_t v;
    for (size_t k = 0; x->kind == AST_NAME && k < sizeof known / sizeof *known; k++) {
        if (strcmp(x->name, known[k].name))
            continue;
        if (dim != known[k].dim) {
            diag_error(s->diag, x->span, "'%s' runs over %s, but this index runs over %s", x->name,
                       s->f->dims[known[k].dim].name, s->f->dims[dim].name);
            return false;
        }
        b->ax[b->rank++] = known[k].axis;
        return true;
    }
    int64_t hi = s->f->dims[dim].size > 0 ? s->f->dims[dim].size - 1 : 0;
    if (!s->f->dims[dim].size && x->kind == AST_NUMBER) {
        diag_error(s->diag, x->span,
                   "a constant index needs a fixed dimension; %s is a run-time size",
                   s->f->dims[dim].name);
        return false;
    }
    if (x->kind != AST_NUMBER) {
        diag_error(s->diag, x->span, "a param is indexed by b, h, i, j or a constant");
        return false;
    }
    if (!sema_integer(s, x, "the index", 0, hi, &v))
        return false;
    b->ax[b->rank] = AX_UNIT;
    b->num[b->rank++] = (int32_t)v;
    return true;
}

static struct value
index_param(struct sema *s, const struct ast_expr *e)
{
    int p = ir_param_find(s->f, e->name);
    if (s->index)
        return index_tensor(s, e);
    if (p < 0) {
        bool known = sema_definition(s, e->name) || ir_dim_find(s->f, e->name) >= 0 ||
                     !strcmp(e->name, "q") || !strcmp(e->name, "k");
        if (known)
            diag_error(s->diag, e->name_span, "only params are indexed; '%s' is none", e->name);
        else
            sema_unknown(s, "param", e->name, e->name_span);
        return value_bad;
    }
    struct value t = {.kind = VALUE_TENSOR, .param = (uint32_t)p};
    if (e->nargs > s->f->params[p].rank) {
        diag_error(s->diag, e->span, "%s has %u index%s, found %u", e->name, s->f->params[p].rank,
                   s->f->params[p].rank == 1 ? "" : "es", e->nargs);
        return value_bad;
    }
    for (uint32_t k = 0; k < e->nargs; k++)
        if (!bind_index(s, e->arg[k], s->f->params[p].dims[k], &t.bound))
            return value_bad;
    return settle(s, t, e->span);
}

/* ---- everything ---- */

static struct value
binary(struct sema *s, const struct ast_expr *e)
{
    static const struct {
        int rule;
        enum ir_op op;
    } rows[] = {
#define BINOP(id, text, rule, op) {RULE_##rule, op},
#include "frontend/ast.def"
    };
    int rule = rows[e->op].rule;
    enum ir_op op = rows[e->op].op;
    if (rule == RULE_POWER &&
        e->arg[0]->kind == AST_BARS) { /* |x|² of a vector has no root in it */
        struct value x = sema_expr(s, e->arg[0]->arg[0]);
        int64_t two = e->arg[1]->kind == AST_NUMBER && !strcmp(e->arg[1]->name, "2");
        if (x.kind == VALUE_VECTOR && two)
            return sema_norm2(s, &x, e->span);
    }
    struct value a = sema_expr(s, e->arg[0]), b = sema_expr(s, e->arg[1]);
    if (a.kind == VALUE_BAD || b.kind == VALUE_BAD)
        return value_bad;
    if (rule == RULE_COMPARE) {
        if (a.kind != VALUE_NUMBER || b.kind != VALUE_NUMBER)
            return sema_wrong(s, e, "a comparison needs two numbers",
                              a.kind == VALUE_NUMBER ? &b : &a);
        return value_truth(ir_op2(s->f, op, a.node, b.node, e->span));
    }
    if (rule == RULE_LOGIC) {
        if (a.kind != VALUE_TRUTH || b.kind != VALUE_TRUTH)
            return sema_wrong(s, e,
                         arena_printf(s->arena, "'%s' needs two truth values", ast_op_text[e->op]),
                         a.kind == VALUE_TRUTH ? &b : &a);
        return value_truth(ir_op2(s->f, op, a.node, b.node, e->span));
    }
    return rule == RULE_DOT      ? sema_dot(s, e, a, b)
           : rule == RULE_OUTER  ? sema_outer(s, e, a, b)
           : rule == RULE_MATMUL ? sema_matmul(s, e, a, b)
           : rule == RULE_POWER  ? sema_power(s, e, a, b)
                                 : sema_arith(s, e, op, a, b);
}

static struct value
conditional(struct sema *s, const struct ast_expr *e)
{
    struct value c = sema_expr(s, e->arg[0]), a = sema_expr(s, e->arg[1]),
                 b = sema_expr(s, e->arg[2]);
    if (c.kind != VALUE_TRUTH)
        return sema_wrong(s, e->arg[0], "the condition must be a truth value", &c);
    if (a.kind == VALUE_BAD || b.kind == VALUE_BAD)
        return value_bad;
    if (a.kind == VALUE_TRUTH && b.kind == VALUE_TRUTH) {
        ir_ref yes = ir_op2(s->f, IR_and, c.node, a.node, e->span);
        ir_ref no = ir_op2(s->f, IR_and, ir_op1(s->f, IR_not, c.node, e->span), b.node, e->span);
        return value_truth(ir_op2(s->f, IR_or, yes, no, e->span));
    }
    if (!sema_is_arithmetic(&a) || !sema_is_arithmetic(&b) ||
        (a.kind == VALUE_VECTOR && b.kind == VALUE_VECTOR && a.axis != b.axis)) {
        diag_error(s->diag, e->span, "the branches differ: %s and %s", sema_describe(s, &a),
                   sema_describe(s, &b));
        return value_bad;
    }
    return value_like(a.kind == VALUE_VECTOR ? a : b,
                      ir_select(s->f, c.node, a.node, b.node, e->span));
}

/* Reports once that the program outgrew one of the limits; nothing is judged after that. */
static bool
outgrown(struct sema *s, const struct ast_expr *e)
{
    const char *fmt = NULL;
    int limit = 0;
    if (s->f->nnodes > SEMA_MAX_NODES || s->work > SEMA_MAX_WORK)
        fmt = "the program has more than %d operations once its functions are inlined",
        limit = SEMA_MAX_NODES;
    else if (s->depth > SEMA_MAX_RECURSION)
        fmt = "the functions called here nest more than %d operations deep",
        limit = SEMA_MAX_RECURSION;
    else if (ir_axes_full(s->f))
        fmt = "more than %d different vector lengths", limit = IR_MAX_AXES;
    if (fmt && !s->too_large)
        diag_error(s->diag, e->span, fmt, limit);
    return s->too_large = s->too_large || fmt;
}

static struct value
expression(struct sema *s, const struct ast_expr *e)
{
    struct value v;
    switch ((enum ast_kind)e->kind) {
    case AST_BAD:
    case AST_KEYARG:
        return value_bad;
    case AST_NUMBER:
        return value_number(sema_parse_number(s, e));
    case AST_NAME:
        return name(s, e);
    case AST_CALL:
        return call(s, e);
    case AST_INDEX:
        return index_param(s, e);
    case AST_NEG:
        v = sema_expr(s, e->arg[0]);
        if (!sema_is_arithmetic(&v))
            return sema_wrong(s, e, "this needs a number or vector", &v);
        if (s->f->nodes[v.node].op == IR_const)
            return sema_arith(s, e, IR_sub, value_number(ir_const_i(s->f, 0, 1, e->span)), v);
        return value_like(v, ir_op1(s->f, IR_neg, v.node, e->span));
    case AST_NOT:
        v = sema_expr(s, e->arg[0]);
        return v.kind == VALUE_TRUTH ? value_truth(ir_op1(s->f, IR_not, v.node, e->span))
                                     : sema_wrong(s, e, "'not' needs a truth value", &v);
    case AST_BINARY:
        return binary(s, e);
    case AST_COND:
        return conditional(s, e);
    case AST_CONCAT:
        return concat(s, e);
    case AST_BARS:
        v = sema_expr(s, e->arg[0]);
        if (v.kind == VALUE_VECTOR)
            return value_number(ir_op1(s->f, IR_sqrt, sema_norm2(s, &v, e->span).node, e->span));
        return v.kind == VALUE_NUMBER ? value_number(ir_op1(s->f, IR_abs, v.node, e->span))
                                      : sema_wrong(s, e, "bars need a number or vector", &v);
    }
    return value_bad;
}

struct value
sema_expr(struct sema *s, const struct ast_expr *e)
{
    s->work++;
    if (outgrown(s, e))
        return value_bad;
    s->depth++;
    struct value v = expression(s, e);
    s->depth--;
    return v;
}

ir_ref
sema_number(struct sema *s, const struct ast_expr *e, const char *what)
{
    struct value v = sema_expr(s, e);
    if (outgrown(s, e)) /* by its very last operation */
        return 0;
    if (v.kind == VALUE_NUMBER)
        return v.node;
    sema_wrong(s, e, arena_printf(s->arena, "%s must be a number", what), &v);
    return 0;
}

ir_ref
sema_truth(struct sema *s, const struct ast_expr *e, const char *what)
{
    struct value v = sema_expr(s, e);
    if (outgrown(s, e))
        return 0;
    if (v.kind == VALUE_TRUTH)
        return v.node;
    sema_wrong(s, e, arena_printf(s->arena, "%s must be a truth value", what), &v);
    return 0;
}
