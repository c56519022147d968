/* Reads the textual form (.air) of the axis IR.
 *
 * The text is not trusted: every node is judged by ir_check_node before it is made. After an error
 * reading goes on with the next line; a node that could not be made is poison, and what uses it
 * is poison too and silent. */
#include "ir/detail.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_NUMBER = 1 << 20, MAX_DEPTH = 32, MAX_DIGITS = 10000,
};
#define MAX_DIM_SIZE ((int64_t)1 << 40)

static const ir_ref POISON = UINT32_MAX;

bool
ir_read_fail(struct ir_reader *r, span_t at, const char *fmt, ...)
{
    if (r->t->failed)
        return false;
    r->t->failed = true;
    va_list ap;
    va_start(ap, fmt);
    diag_error(r->t->diag, at, "%s", arena_vprintf(r->a, fmt, ap));
    va_end(ap);
    return false;
}

bool
ir_read_unknown(struct ir_reader *r, span_t at, const char *kind, const char *name,
             const char *const *names, size_t n)
{
    if (r->t->failed)
        return false;
    ir_read_fail(r, at, "unknown %s '%.60s'", kind, name);
    const char *near = str_nearest(name, names, n);
    if (near)
        diag_help(r->t->diag, at, "%s", near);
    return false;
}

int
ir_read_choice(struct ir_reader *r, const char *kind, const char *const *names, size_t n)
{
    struct text *t = r->t;
    if (t->failed)
        return -1;
    if (t->tok.kind != TEXT_WORD) {
        text_expected(t, kind);
        return -1;
    }
    for (size_t k = 0; k < n; k++)
        if (text_take(t, names[k]))
            return (int)k;
    ir_read_unknown(r, t->tok.span, kind, t->tok.s, names, n);
    return -1;
}

/* ---- dims and axes ---- */

int
ir_read_dim(struct ir_reader *r)
{
    struct text *t = r->t;
    span_t at = t->tok.span;
    const char *name = text_name(t, "a dimension");
    if (!name)
        return -1;
    int dim = ir_dim_find(r->f, name);
    if (dim >= 0)
        return dim;
    const char **names = ARENA_ARRAY(r->a, const char *, r->f->ndims);
    for (uint32_t k = 0; k < r->f->ndims; k++)
        names[k] = r->f->dims[k].name;
    ir_read_unknown(r, at, "dimension", name, names, r->f->ndims);
    return -1;
}

static uint8_t
axis_of_dim(struct ir_reader *r, int dim)
{
    return dim < 0 ? AX_d : ir_axis_base(r->f, (uint16_t)dim);
}

/* What follows sym( copy( outer( cat( dim(. */
static uint8_t
read_axis_parts(struct ir_reader *r, const char *head, int depth)
{
    struct text *t = r->t;
    uint8_t axis = AX_d;
    if (strcmp(head, "dim") == 0) {
        axis = axis_of_dim(r, ir_read_dim(r));
    } else {
        bool cat = strcmp(head, "cat") == 0;
        uint8_t p = ir_read_axis(r, cat, depth + 1);
        text_expect(t, ",");
        if (strcmp(head, "sym") == 0) {
            int64_t degree = text_int(t, "degree", 2, IR_MAX_DEGREE);
            axis = t->failed ? p : ir_axis_sym(r->f, p, (int)degree);
        } else if (strcmp(head, "copy") == 0) {
            int64_t which = text_int(t, "copy", 1, IR_MAX_COPY);
            axis = t->failed ? p : ir_axis_copy(r->f, p, (int)which);
        } else {
            uint8_t q = ir_read_axis(r, cat, depth + 1);
            if (!t->failed)
                axis = cat ? ir_axis_cat(r->f, p, q) : ir_axis_outer(r->f, p, q);
        }
    }
    text_expect(t, ")");
    return axis;
}

uint8_t
ir_read_axis(struct ir_reader *r, bool unit, int depth)
{
    static const char *const heads[] = {"sym", "copy", "outer", "cat", "dim"};
    struct text *t = r->t;
    span_t at = t->tok.span;
    if (t->failed)
        return AX_d;
    if (depth > MAX_DEPTH) {
        ir_read_fail(r, at, "axis nested more than %d deep", MAX_DEPTH);
        return AX_d;
    }
    if (unit && t->tok.kind == TEXT_NUMBER && strcmp(t->tok.s, "1") == 0) {
        text_next(t);
        return AX_UNIT;
    }
    if (t->tok.kind != TEXT_WORD) {
        text_expected(t, "an axis");
        return AX_d;
    }
    const char *word = t->tok.s;
    text_next(t);
    uint8_t axis = AX_UNIT;
    for (size_t k = 0; k < sizeof heads / sizeof *heads && text_is(t, "("); k++)
        if (strcmp(word, heads[k]) == 0 && text_take(t, "("))
            axis = read_axis_parts(r, word, depth);
    for (uint8_t k = 0; k < AX_FIRST_FREE && axis == AX_UNIT; k++)
        if (strcmp(word, r->f->axes[k].name) == 0)
            axis = k;
    int dim = ir_dim_find(r->f, word);
    if (axis == AX_UNIT && (dim == DIM_G || dim >= DIM_USER))
        axis = axis_of_dim(r, dim);
    if (axis == AX_UNIT)
        ir_read_fail(r, at, "unknown axis '%.60s'", word);
    if (ir_axes_full(r->f))
        ir_read_fail(r, at, "more than %d axes, or one of too many parts", IR_MAX_AXES - 1);
    return t->failed ? AX_d : axis;
}

/* ---- declarations ---- */

static void
read_dim(struct ir_reader *r)
{
    struct text *t = r->t;
    span_t at = t->tok.span;
    const char *name = text_name(t, "a dimension");
    int64_t size = text_take(t, "=") ? text_int(t, "size", 1, MAX_DIM_SIZE) : 0;
    if (!text_end_statement(t))
        return;
    int dim = ir_dim_find(r->f, name);
    if (dim >= DIM_USER || (dim >= 0 && r->f->dims[dim].size))
        ir_read_fail(r, at, "dimension '%.60s' is declared twice", name);
    else if (dim >= 0)
        r->f->dims[dim].size = size;
    else if (r->f->ndims >= IR_MAX_DIMS)
        ir_read_fail(r, at, "more than %d dimensions", IR_MAX_DIMS);
    else
        ir_dim_add(r->f, name, size);
}

/* What makes a tensor that no caller gives: normal(SEED), orthogonal(SEED). */
static void
read_source(struct ir_reader *r, struct ir_param *p)
{
    struct text *t = r->t;
    int source = ir_read_choice(r, "source", ir_source_names + 1, SOURCE_COUNT - 1);
    p->source = (uint8_t)(source < 0 ? SOURCE_GIVEN : source + 1);
    text_expect(t, "(");
    p->seed = text_int(t, "seed", 0, IR_MAX_SEED);
    text_expect(t, ")");
}

static void
read_tensor(struct ir_reader *r, enum ir_role role)
{
    struct text *t = r->t;
    struct ir_param p = {.span = t->tok.span, .role = (uint8_t)role};
    p.name = text_name(t, "a param");
    text_expect(t, "[");
    while (!t->failed && !text_is(t, "]")) {
        if (p.rank == IR_MAX_RANK) {
            ir_read_fail(r, t->tok.span, "more than %d indices", IR_MAX_RANK);
            break;
        }
        int dim = ir_read_dim(r);
        p.dims[p.rank++] = (uint16_t)(dim < 0 ? 0 : dim);
        if (!text_take(t, ","))
            break;
    }
    text_expect(t, "]");
    if (p.rank && role == PARAM_GIVEN && text_take(t, "=")) {
        read_source(r, &p);
    } else if (role == PARAM_GIVEN && text_take(t, "=")) {
        p.has_default = true;
        p.value = text_double(t, "a number");
    }
    if (!text_end_statement(t))
        return;
    if (ir_param_find(r->f, p.name) >= 0)
        ir_read_fail(r, p.span, "param '%.60s' is declared twice", p.name);
    else if (ir_param_count(r->f, p.rank > 0) >= (p.rank ? IR_MAX_TENSORS : IR_MAX_SCALARS))
        ir_read_fail(r, p.span, "more than %d %s params", p.rank ? IR_MAX_TENSORS : IR_MAX_SCALARS,
             p.rank ? "tensor" : "scalar");
    else
        ir_param_add(r->f, &p);
}

static void
read_param(struct ir_reader *r)
{
    read_tensor(r, PARAM_GIVEN);
}

/* The tensor that receives root lse. */
static void
read_output(struct ir_reader *r)
{
    read_tensor(r, PARAM_OUTPUT);
}

/* ---- references ---- */

/* The slot of the %number at the token, which it takes; NULL after an error. */
static ir_ref *
read_slot(struct ir_reader *r)
{
    struct text *t = r->t;
    if (t->failed)
        return NULL;
    char *end;
    unsigned long n = t->tok.kind == TEXT_REF ? strtoul(t->tok.s, &end, 10) : 0;
    if (t->tok.kind != TEXT_REF || *end || n == 0 || n > MAX_NUMBER) {
        text_expected(t, "a node");
        return NULL;
    }
    if (n >= r->nnode) {
        size_t old = r->nnode;
        r->node = arena_grow(r->a, r->node, old, n + 1, &r->cap, sizeof *r->node);
        memset(r->node + old, 0, (n + 1 - old) * sizeof *r->node);
        r->nnode = n + 1;
    }
    text_next(t);
    return &r->node[n];
}

ir_ref
ir_read_ref(struct ir_reader *r)
{
    span_t at = r->t->tok.span;
    const ir_ref *slot = read_slot(r);
    if (!slot)
        return 0;
    if (*slot == 0)
        ir_read_fail(r, at, "this node is not defined before");
    if (*slot == POISON)
        r->quiet = true;
    return r->quiet ? 0 : *slot;
}

static void
read_root(struct ir_reader *r)
{
    struct text *t = r->t;
    span_t at = t->tok.span;
    int root = ir_read_choice(r, "root", ir_root_names, ROOT_COUNT);
    text_expect(t, "=");
    ir_ref n = ir_read_ref(r);
    if (!text_end_statement(t) || r->quiet)
        return;
    if (r->f->root[root])
        ir_read_fail(r, at, "root '%s' is given twice", ir_root_names[root]);
    else
        r->f->root[root] = n;
}

static void
read_fact(struct ir_reader *r)
{
    static const char *const facts[] = {"normalize", "rowsum"};
    struct text *t = r->t;
    int fact = ir_read_choice(r, "fact", facts, 2);
    if (fact == 0 && text_expect(t, "sum"))
        r->f->normalize_is_sum = true;
    if (fact == 1) {
        int sign = ir_read_choice(r, "sign", ir_positivity_names, 4);
        if (sign >= 0)
            r->f->row_sum = (enum ir_positivity)sign;
        if (!t->failed && t->tok.kind == TEXT_STRING && !t->tok.first) {
            r->f->row_sum_why = arena_strdup(r->f->arena, t->tok.s);
            text_next(t);
        }
    }
    text_end_statement(t);
}

/* ---- nodes ---- */

static bool
is_integer(const struct text *t)
{
    return t->tok.kind == TEXT_NUMBER && strspn(t->tok.s, "0123456789") == strlen(t->tok.s);
}

/* Digits at the token, into x. */
static void
read_digits(struct ir_reader *r, fmpz_t x)
{
    struct text *t = r->t;
    if (t->failed)
        return;
    if (!is_integer(t))
        text_expected(t, "an integer");
    else if (strlen(t->tok.s) > MAX_DIGITS)
        ir_read_fail(r, t->tok.span, "integer of %zu digits, at most %d are allowed",
                     strlen(t->tok.s), MAX_DIGITS);
    else if (fmpz_set_str(x, t->tok.s, 10) != 0)
        text_expected(t, "an integer");
    else
        text_next(t);
}

static ir_ref
read_const(struct ir_reader *r, span_t at)
{
    struct text *t = r->t;
    fmpq_t q;
    fmpq_init(q);
    bool minus = text_take(t, "-");
    read_digits(r, fmpq_numref(q));
    span_t den = t->tok.span;
    if (text_take(t, "/")) {
        den = t->tok.span;
        read_digits(r, fmpq_denref(q));
    }
    if (fmpz_is_zero(fmpq_denref(q)))
        ir_read_fail(r, den, "division by zero");
    ir_ref n = 0;
    if (!t->failed) {
        fmpq_canonicalise(q);
        if (minus)
            fmpq_neg(q, q);
        n = ir_const_q(r->f, q, at);
    }
    fmpq_clear(q);
    return n;
}

int
ir_read_param(struct ir_reader *r)
{
    span_t at = r->t->tok.span;
    const char *name = text_name(r->t, "a param");
    int param = name ? ir_param_find(r->f, name) : -1;
    if (!name || param >= 0)
        return param;
    const char **names = ARENA_ARRAY(r->a, const char *, r->f->nparams);
    for (uint32_t k = 0; k < r->f->nparams; k++)
        names[k] = r->f->params[k].name;
    ir_read_unknown(r, at, "param", name, names, r->f->nparams);
    return -1;
}

static ir_ref
read_param_use(struct ir_reader *r, span_t at)
{
    struct text *t = r->t;
    span_t place = t->tok.span;
    int param = ir_read_param(r);
    struct ir_binding b = {0};
    text_expect(t, "[");
    while (!t->failed && !text_is(t, "]")) {
        if (b.rank == IR_MAX_RANK) {
            ir_read_fail(r, t->tok.span, "more than %d indices", IR_MAX_RANK);
            break;
        }
        if (t->tok.kind == TEXT_NUMBER) {
            b.num[b.rank] = (int32_t)text_int(t, "index", 0, INT32_MAX);
            b.ax[b.rank++] = AX_UNIT;
        } else {
            b.ax[b.rank++] = ir_read_axis(r, false, 0);
        }
        if (!text_take(t, ","))
            break;
    }
    text_expect(t, "]");
    if (t->failed)
        return 0;
    const char *why = ir_check_binding(r->f, (uint32_t)param, &b, r->a);
    if (why)
        ir_read_fail(r, place, "%s", why);
    return why ? 0 : ir_param_use(r->f, (uint32_t)param, &b, at);
}

/* The attribute of every kind but RAT and PARAM, which also make their node. */
static ir_attr
read_attr(struct ir_reader *r, enum ir_attr_kind kind)
{
    struct text *t = r->t;
    ir_attr at = {0};
    bool cat = kind == ATTR_CAT;
    switch (kind) {
    case ATTR_NONE:
    case ATTR_RAT:
    case ATTR_PARAM:
        break;
    case ATTR_INPUT:
        at.num = ir_read_choice(r, "input", ir_input_names, 3);
        break;
    case ATTR_DIM:
        at.id = (uint32_t)ir_read_dim(r);
        break;
    case ATTR_INT:
        at.num = (int32_t)text_int(t, "exponent", -IR_MAX_POWER, IR_MAX_POWER);
        break;
    case ATTR_AXIS:
        at.axis = ir_read_axis(r, false, 0);
        break;
    case ATTR_RENAME:
    case ATTR_CAT:
    case ATTR_OUTER:
        at.axis = ir_read_axis(r, cat, 0);
        at.axis2 = ir_read_axis(r, cat, 0);
        if (!t->failed && kind != ATTR_RENAME)
            at.id = cat ? ir_axis_cat(r->f, at.axis, at.axis2)
                        : ir_axis_outer(r->f, at.axis, at.axis2);
        break;
    case ATTR_MONO:
        at.axis = ir_read_axis(r, false, 0);
        at.num = (int32_t)text_int(t, "degree", 2, IR_MAX_DEGREE);
        if (!t->failed)
            at.axis2 = ir_axis_sym(r->f, at.axis, at.num);
        at.id = text_take(t, "weighted") ? 1 : text_take(t, "rooted") ? 2 : 0;
        break;
    case ATTR_ROLL:
        at.axis = ir_read_axis(r, false, 0);
        at.num = (int32_t)text_int(t, "shift", -IR_MAX_ROLL, IR_MAX_ROLL);
        break;
    }
    return at;
}

static ir_ref
read_operation(struct ir_reader *r, enum ir_op op, span_t at)
{
    const struct ir_op_info *info = &ir_ops[op];
    if (op == IR_const)
        return read_const(r, at);
    if (op == IR_param)
        return read_param_use(r, at);
    struct ir_node n = {.op = (uint8_t)op, .nargs = info->nargs, .span = at};
    n.attr = read_attr(r, (enum ir_attr_kind)info->attr);
    if (ir_axes_full(r->f))
        ir_read_fail(r, at, "more than %d axes, or one of too many parts", IR_MAX_AXES - 1);
    for (int k = 0; k < n.nargs; k++) {
        n.span = span_join(n.span, r->t->tok.span);
        n.arg[k] = ir_read_ref(r);
    }
    if (r->t->failed || r->quiet)
        return 0;
    const char *why = ir_check_node(r->f, &n, r->a);
    if (why) {
        ir_read_fail(r, n.span, "%s: %s", info->name, why);
        return 0;
    }
    return ir_node(r->f, op, n.attr, n.arg[0], n.arg[1], n.arg[2], n.span);
}

/* ": b h i", which must be what the node has. */
static void
read_axes(struct ir_reader *r, ir_ref n)
{
    struct text *t = r->t;
    span_t at = t->tok.span;
    text_expect(t, ":");
    ir_axes axes = 0;
    while (!t->failed && !t->tok.first && !text_is(t, "}")) {
        at = span_join(at, t->tok.span);
        axes |= (ir_axes)1 << ir_read_axis(r, false, 0);
    }
    if (!text_end_statement(t) || r->quiet || axes == r->f->nodes[n].axes)
        return;
    struct str has = {0};
    ir_print_axes(r->f, r->f->nodes[n].axes, &has);
    ir_read_fail(r, at, "the node's axes are '%s'", str_text(&has) + (has.len > 0));
    str_free(&has);
}

static void
read_node(struct ir_reader *r)
{
    struct text *t = r->t;
    span_t at = t->tok.span;
    ir_ref *slot = read_slot(r);
    if (!slot)
        return;
    if (*slot) {
        ir_read_fail(r, at, "this node is defined twice");
        return;
    }
    size_t number = (size_t)(slot - r->node); /* operands may move the table */
    *slot = POISON;
    if (!text_expect(t, "="))
        return;
    const char *names[IR_OP_COUNT - 1];
    for (int k = 1; k < IR_OP_COUNT; k++)
        names[k - 1] = ir_ops[k].name;
    at = span_join(at, t->tok.span);
    int op = ir_read_choice(r, "operation", names, IR_OP_COUNT - 1);
    ir_ref n = op < 0 ? 0 : read_operation(r, (enum ir_op)(op + 1), at);
    read_axes(r, n);
    if (!t->failed && n)
        r->node[number] = n;
}

/* ---- blocks ---- */

static void
read_statement(struct ir_reader *r)
{
    static const struct {
        const char *word;
        void (*read)(struct ir_reader *);
    } statements[] = {
        {"dim", read_dim}, {"param", read_param}, {"output", read_output}, {"root", read_root},
        {"fact", read_fact}};
    struct text *t = r->t;
    r->quiet = false;
    uint32_t beg = t->tok.span.beg;
    bool known = t->tok.kind == TEXT_REF;
    if (known)
        read_node(r);
    for (size_t k = 0; k < sizeof statements / sizeof *statements && !known; k++)
        if (text_take(t, statements[k].word)) {
            known = true;
            statements[k].read(r);
        }
    if (!known)
        text_expected(t, "dim, param, output, root, fact or a node");
    if (!t->failed)
        return;
    if (t->tok.span.beg == beg && t->tok.kind != TEXT_END)
        text_next(t);
    text_resume(t);
}

static void
read_kernelize(struct ir_reader *r)
{
    static const char *const modes[] = {"exact", "auto", "taylor", "random"};
    struct text *t = r->t;
    span_t at = t->tok.span;
    if (!text_take(t, "kernelize"))
        return;
    r->f->kernelize_span = at;
    int mode = ir_read_choice(r, "mode", modes, 4);
    r->f->kernelize = mode < 0 ? KERNELIZE_NONE : (enum ir_kernelize)(KERNELIZE_EXACT + mode);
    if (r->f->kernelize < KERNELIZE_TAYLOR)
        return;
    text_expect(t, "(");
    r->weights_at = t->tok.span;
    if (r->f->kernelize == KERNELIZE_TAYLOR)
        r->f->degree = (int)text_int(t, "degree", 1, IR_MAX_TAYLOR);
    else
        r->weights = text_name(t, "a param"); /* declared further down */
    text_expect(t, ")");
}

static void
read_head(struct ir_reader *r)
{
    struct text *t = r->t;
    text_expect(t, "attention");
    text_expect(t, "@");
    const char *name = text_name(t, "a name");
    if (!t->failed)
        r->f->name = arena_strdup(r->f->arena, name);
    int type = ir_read_choice(r, "type", ir_type_names, 2);
    r->f->type = r->f->acc = type < 0 ? TYPE_F32 : (enum ir_type)type;
    span_t at = t->tok.span;
    if (text_take(t, "state")) {
        int state = ir_read_choice(r, "type", ir_type_names, 2);
        if (state >= 0 && state < type)
            ir_read_fail(r, at, "state %s is narrower than type %s", ir_type_names[state],
                         ir_type_names[type]);
        r->f->acc = state < type ? r->f->type : (enum ir_type)state;
    }
    read_kernelize(r);
    text_expect(t, "{");
}

struct ir_func *
ir_read_attention(struct ir_reader *r)
{
    struct text *t = r->t;
    int errors = t->diag->errors;
    span_t at = t->tok.span;
    r->f = ir_func_new(r->a, "");
    r->f->normalize_is_sum = false;
    read_head(r);
    while (!t->failed && t->tok.kind != TEXT_END && !text_is(t, "}"))
        read_statement(r);
    text_expect(t, "}");
    if (r->weights && t->diag->errors == errors) {
        int w = ir_param_find(r->f, r->weights);
        if (w < 0)
            diag_error(t->diag, r->weights_at, "unknown param '%.60s'", r->weights);
        r->f->weights = w < 0 ? 0 : (uint32_t)w;
    }
    if (t->diag->errors == errors) {
        const char *why = ir_verify(r->f, r->a);
        if (why)
            diag_error(t->diag, at, "%s", why);
    }
    if (t->diag->errors == errors)
        return r->f;
    ir_func_free(r->f);
    return NULL;
}
