/* Nodes as formulas in the language's own notation: "(q·k + 1)^2 / sum_j w".
 *
 * The shape of a formula is the math column of ops.def; the table below adds how tightly each
 * binds, with the levels of the language: 1 ?:  2 or  3 and  4 not  5 comparisons  6 + -
 * 7 * /  8 unary -  9 dot  10 ^  11 call. An operand is parenthesised exactly if it binds less
 * tightly than its place needs. Shared nodes are written out each time, so length is limited. */
#include "ir/detail.h"

#include <string.h>

enum { MAX_LENGTH = 4000, MAX_NESTING = 200, LEVEL_DOT = 9, LEVEL_CALL = 11 };

/* level of the whole (0: a call), and what each operand needs (0: anything). */
static const struct {
    uint8_t level, need[3];
} binding[IR_OP_COUNT] = {
    [IR_ninf] = {8, {0}},          [IR_neg] = {8, {9}},           [IR_not] = {4, {4}},
    [IR_powi] = {10, {11}},        [IR_pow] = {10, {11, 10}},     [IR_add] = {6, {6, 6}},
    [IR_sub] = {6, {6, 7}},        [IR_mul] = {7, {7, 7}},        [IR_div] = {7, {7, 8}},
    [IR_lt] = {5, {6, 6}},         [IR_le] = {5, {6, 6}},         [IR_gt] = {5, {6, 6}},
    [IR_ge] = {5, {6, 6}},         [IR_eq] = {5, {6, 6}},         [IR_ne] = {5, {6, 6}},
    [IR_and] = {3, {3, 3}},        [IR_or] = {2, {2, 2}},         [IR_select] = {1, {2, 1, 1}},
    [IR_rsum] = {6, {7}},          [IR_rmax] = {6, {7}},
    [IR_argmax] = {6, {7}},
};

struct math {
    const struct ir_func *f;
    struct str *out;
    size_t limit;  /* of out->len */
    int nesting;
};

static void put(struct math *m, ir_ref n, int need);

/* The operands of rsum[a](x * y) with x and y vectors over a; false for any other node. */
static bool
is_dot(const struct ir_func *f, const struct ir_node *x, const struct ir_node **product)
{
    if (x->op != IR_rsum || ((ir_axes)1 << x->attr.axis & AXES_POSITION))
        return false;
    const struct ir_node *y = &f->nodes[x->arg[0]];
    ir_axes both = y->op == IR_mul ? f->nodes[y->arg[0]].axes & f->nodes[y->arg[1]].axes : 0;
    *product = y;
    return both >> x->attr.axis & 1;
}

static int
const_level(const fmpq *q)
{
    return !fmpz_is_one(&q->den) ? 7 : fmpz_sgn(&q->num) < 0 ? 8 : LEVEL_CALL;
}

/* The node behind its new names, which formulas do not tell. */
static const struct ir_node *
renamed(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    while (x->op == IR_rename)
        x = &f->nodes[x->arg[0]];
    return x;
}

static int
level_of(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = renamed(f, n), *product;
    if (is_dot(f, x, &product))
        return product->arg[0] == product->arg[1] ? LEVEL_CALL : LEVEL_DOT;
    if (x->op == IR_const)
        return const_level(f->consts + x->attr.id);
    return binding[x->op].level ? binding[x->op].level : LEVEL_CALL;
}

/* ---- attributes ---- */

/* Param n; picked: the outermost of the operations that pick from it, or NULL. */
static void
put_param(struct math *m, const struct ir_node *n, const struct ir_node *picked)
{
    const struct ir_binding *b = &m->f->bindings[n->attr.num];
    str_put(m->out, m->f->params[n->attr.id].name);
    for (int k = 0; k < b->rank; k++) {
        const struct ir_node *p = picked;
        while (p && p != n && p->attr.axis != b->ax[k])
            p = &m->f->nodes[p->arg[0]];
        str_put(m->out, k ? "," : "[");
        if (p && p != n)
            put(m, p->arg[1], 0);
        else if (b->ax[k] == AX_UNIT)
            str_printf(m->out, "%d", b->num[k]);
        else
            str_put(m->out, m->f->axes[b->ax[k]].name);
    }
    str_put(m->out, b->rank ? "]" : "");
}

/* An entry of a tensor at places that are computed; false if x is none. */
static bool
put_picked(struct math *m, const struct ir_node *x)
{
    const struct ir_node *from = x;
    while (from->op == IR_pick)
        from = &m->f->nodes[from->arg[0]];
    if (x->op != IR_pick || from->op != IR_param)
        return false;
    put_param(m, from, x);
    return true;
}

/* What # stands for. */
static void
put_attr(struct math *m, const struct ir_node *x)
{
    const struct ir_func *f = m->f;
    switch ((enum ir_attr_kind)ir_ops[x->op].attr) {
    case ATTR_INPUT:
        str_put(m->out, ir_input_names[x->attr.num]);
        break;
    case ATTR_PARAM:
        put_param(m, x, NULL);
        break;
    case ATTR_RAT: {
        char *s = fmpq_get_str(NULL, 10, f->consts + x->attr.id);
        str_put(m->out, s);
        flint_free(s);
        break;
    }
    case ATTR_DIM:
        str_put(m->out, f->dims[x->attr.id].name);
        break;
    case ATTR_AXIS:
        str_put(m->out, f->axes[x->attr.axis].name);
        break;
    case ATTR_INT:
    case ATTR_ROLL:
    case ATTR_MONO:
        str_printf(m->out, x->op == IR_powi && x->attr.num < 0 ? "(%d)" : "%d", x->attr.num);
        break;
    case ATTR_NONE:
    case ATTR_RENAME:
    case ATTR_CAT:
    case ATTR_OUTER:
        break;
    }
}

/* ---- formulas ---- */

static void
put_dot(struct math *m, const struct ir_node *product)
{
    if (product->arg[0] == product->arg[1]) {
        str_put(m->out, "norm2(");
        put(m, product->arg[0], 0);
        str_putc(m->out, ')');
        return;
    }
    put(m, product->arg[0], LEVEL_DOT + 1);
    str_put(m->out, "·");
    put(m, product->arg[1], LEVEL_DOT + 1);
}

/* The parts of [a, b, c], which is cat(cat(a, b), c) or cat(a, cat(b, c)). */
static void
put_cat(struct math *m, const struct ir_node *x)
{
    const uint8_t part[2] = {x->attr.axis, x->attr.axis2};
    for (int k = 0; k < 2; k++) {
        const struct ir_node *y = &m->f->nodes[x->arg[k]];
        str_put(m->out, k ? ", " : "");
        bool deep = m->out->len > m->limit || m->nesting > MAX_NESTING;
        if (y->op == IR_cat && y->attr.id == part[k] && !deep) {
            m->nesting++;
            put_cat(m, y);
            m->nesting--;
        } else {
            put(m, x->arg[k], 0);
        }
    }
}

/* a + -3 and a + -b are written as differences; true if this was one. */
static bool
put_difference(struct math *m, const struct ir_node *x)
{
    if (x->op != IR_add)
        return false;
    const struct ir_node *y = &m->f->nodes[x->arg[1]];
    bool negative = y->op == IR_const && fmpq_sgn(m->f->consts + y->attr.id) < 0;
    if (!negative && y->op != IR_neg)
        return false;
    put(m, x->arg[0], 6);
    str_put(m->out, " - ");
    if (negative) {
        char *s = fmpq_get_str(NULL, 10, m->f->consts + y->attr.id);
        str_put(m->out, s + 1);
        flint_free(s);
    } else {
        put(m, y->arg[0], 7);
    }
    return true;
}

/* What operand k of x needs. A product may follow in a product, a quotient may not: a*(b/c). */
static int
need_of(const struct ir_func *f, const struct ir_node *x, int k)
{
    const struct ir_node *y = renamed(f, x->arg[k]);
    bool quotient = y->op == IR_div || y->op == IR_const;
    return binding[x->op].need[k] + (x->op == IR_mul && k == 1 && quotient);
}

/* a*(1/b) as a/b; false for other nodes. */
static bool
put_ratio(struct math *m, const struct ir_node *x)
{
    if (x->op != IR_mul)
        return false;
    const struct ir_node *y = renamed(m->f, x->arg[1]);
    const struct ir_node *one = y->op == IR_div ? renamed(m->f, y->arg[0]) : y;
    if (one->op != IR_const)
        return false;
    const fmpq *c = m->f->consts + one->attr.id;
    if (!fmpz_is_one(&c->num) || fmpz_is_one(&c->den) != (y->op == IR_div))
        return false;
    put(m, x->arg[0], binding[IR_div].need[0]);
    str_putc(m->out, '/');
    if (y->op == IR_div) {
        put(m, y->arg[1], binding[IR_div].need[1]);
        return true;
    }
    char *den = fmpz_get_str(NULL, 10, &c->den);
    str_put(m->out, den);
    flint_free(den);
    return true;
}

static void
put_template(struct math *m, const struct ir_node *x)
{
    if (x->op == IR_mono && x->attr.id)
        str_putc(m->out, 'w');
    for (const char *s = ir_ops[x->op].math; *s; s++) {
        if (*s == '%') {
            int k = *++s - '0';
            put(m, x->arg[k], need_of(m->f, x, k));
        } else if (*s == '#') {
            put_attr(m, x);
        } else {
            str_putc(m->out, *s);
        }
    }
}

static void
put(struct math *m, ir_ref n, int need)
{
    const struct ir_node *x = &m->f->nodes[n], *product;
    if (m->out->len > m->limit || m->nesting > MAX_NESTING) {
        str_put(m->out, "…");
        return;
    }
    if (x->op == IR_rename) {
        m->nesting++;
        put(m, x->arg[0], need);
        m->nesting--;
        return;
    }
    bool paren = level_of(m->f, n) < need;
    str_put(m->out, paren ? "(" : "");
    m->nesting++;
    if (is_dot(m->f, x, &product)) {
        put_dot(m, product);
    } else if (x->op == IR_cat) {
        str_putc(m->out, '[');
        put_cat(m, x);
        str_putc(m->out, ']');
    } else if (!put_picked(m, x) && !put_difference(m, x) && !put_ratio(m, x)) {
        put_template(m, x);
    }
    m->nesting--;
    str_put(m->out, paren ? ")" : "");
}

void
ir_print_math(const struct ir_func *f, ir_ref n, struct str *out)
{
    struct math m = {.f = f, .out = out, .limit = out->len + MAX_LENGTH};
    put(&m, n, 0);
}
