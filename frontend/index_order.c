/* Functions along a named index of a statement: argmax, argmin, amax, amin and argsort. */
#include "frontend/graph.h"

#include <string.h>

/* The name of the index that a function runs along, or NULL after an error. */
static const char *
along(struct sema *s, const struct ast_expr *e, const struct sema_function *fn)
{
    const struct ast_expr *x = e->arg[1];
    if (!s->index) {
        diag_error(s->diag, e->span,
                   "%s runs along a named index: it is for statements of index notation", fn->name);
        return NULL;
    }
    if (x->kind != AST_NAME) {
        diag_error(s->diag, x->span, "the second argument of %s is the index it runs along",
                   fn->name);
        return NULL;
    }
    return x->name;
}

static struct value
not_there(struct sema *s, const struct ast_expr *e, const struct sema_function *fn)
{
    diag_error(s->diag, e->arg[1]->span, "index '%s' does not stand in the first argument of %s",
               e->arg[1]->name, fn->name);
    return value_bad;
}

/* argmax(x[b,i,r], r) and its like: r is an index of its own, which the value does not have. */
static struct value
greatest(struct sema *s, const struct ast_expr *e, const struct sema_function *fn)
{
    struct index_scope *x = s->index;
    const char *name = along(s, e, fn);
    int before = s->diag->errors, k = name ? index_find(x, name) : -1;
    bool least = fn->rule == RULE_LEAST;
    if (!name)
        return value_bad;
    if (k >= 0 && k < x->left) {
        diag_error(s->diag, e->arg[1]->span,
                   "index '%s' is one of the result: %s looks along another one", name, fn->name);
        return value_bad;
    }
    ir_ref n = sema_number(s, e->arg[0], arena_printf(s->arena, "the argument of %s", fn->name));
    if (s->diag->errors > before)
        return value_bad;
    k = index_find(x, name);
    if (k < 0 || !(s->f->nodes[n].axes >> x->axis[k] & 1))
        return not_there(s, e, fn);
    n = least ? ir_op1(s->f, IR_neg, n, e->span) : n;
    n = ir_node(s->f, fn->op, (ir_attr){.axis = x->axis[k]}, n, 0, 0, e->span);
    return value_number(least && fn->op == IR_rmax ? ir_op1(s->f, IR_neg, n, e->span) : n);
}

/* argsort(x[b,t], t): t runs over what is sorted, which is what the last index of the result runs
 * over; that one counts places in the order, so it cannot be inside. */
static struct value
sorted(struct sema *s, const struct ast_expr *e, const struct sema_function *fn)
{
    struct index_scope *x = s->index;
    const char *name = along(s, e, fn);
    int before = s->diag->errors, last = name ? x->left - 1 : -1;
    if (!name)
        return value_bad;
    if (last < 0 || x->whole || x->axis[last] != AX_m) {
        diag_error(s->diag, e->span,
                   "argsort needs a statement of its own, whose last index counts the places");
        return value_bad;
    }
    if (index_find(x, name) >= 0) {
        diag_error(s->diag, e->arg[1]->span, "index '%s' stands for something else here: what is "
                   "sorted runs over an index of its own", name);
        return value_bad;
    }
    const char *places = x->name[last];
    x->name[last] = name;
    ir_ref n = sema_number(s, e->arg[0], "the argument of argsort");
    bool inside = index_find(x, places) >= 0;
    x->name[last] = places;
    if (s->diag->errors > before)
        return value_bad;
    if (inside) {
        diag_error(s->diag, e->arg[0]->span,
                   "index '%s' counts places in the order: it has no meaning within argsort",
                   places);
        return value_bad;
    }
    if (!(s->f->nodes[n].axes >> AX_m & 1))
        return not_there(s, e, fn);
    return value_number(ir_argsort(s->f, AX_m, n, e->span));
}

struct value
index_order(struct sema *s, const struct ast_expr *e, const struct sema_function *fn)
{
    return fn->rule == RULE_SORT ? sorted(s, e, fn) : greatest(s, e, fn);
}
