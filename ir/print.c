/* The textual form (.air): one line per live node, renumbered densely in order.
 *
 * Axes are written by structure, never by number, and sets of axes in an order that does not
 * depend on when an axis was made, so equal functions print the same bytes. */
#include "ir/detail.h"

#include <stdlib.h>
#include <string.h>

const char *const ir_type_names[2] = {[TYPE_F32] = "f32", [TYPE_F64] = "f64"};
const uint8_t ir_type_bytes[2] = {[TYPE_F32] = 4, [TYPE_F64] = 8};
const char *const ir_positivity_names[4] = {
    [POS_UNKNOWN] = "unknown", [POS_ANY_SIGN] = "any", [POS_NONNEG] = "nonneg",
    [POS_POSITIVE] = "positive"};
const char *const ir_input_names[3] = {"q", "k", "v"};

void
ir_print_string(const char *s, struct str *out)
{
    str_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            str_putc(out, '\\');
        if (*s == '\n')
            str_put(out, "\\n");
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            str_printf(out, "\\x%02x", (unsigned)*s);
        else
            str_putc(out, *s);
    }
    str_putc(out, '"');
}

void
ir_print_name(const char *name, struct str *out)
{
    if (text_is_word(name))
        str_put(out, name);
    else
        ir_print_string(name, out);
}

/* ---- axes ---- */

static void
put_base_axis(const struct ir_func *f, uint8_t axis, struct str *out)
{
    const char *name = f->axes[axis].name;
    if (axis < AX_FIRST_FREE) {
        str_put(out, name);
        return;
    }
    bool plain = text_is_word(name);
    for (uint8_t k = 0; k < AX_FIRST_FREE && plain; k++)
        plain = strcmp(name, f->axes[k].name) != 0;
    if (!plain)
        str_put(out, "dim(");
    ir_print_name(name, out);
    if (!plain)
        str_putc(out, ')');
}

void
ir_print_axis(const struct ir_func *f, uint8_t axis, struct str *out)
{
    if (axis == AX_UNIT) {
        str_putc(out, '1');
        return;
    }
    static const char *const head[] = {[AXK_BASE] = "", [AXK_COPY] = "copy(", [AXK_SYM] = "sym(",
                                       [AXK_OUTER] = "outer(", [AXK_CAT] = "cat("};
    const struct ir_axis *x = &f->axes[axis];
    if (x->kind == AXK_BASE) {
        put_base_axis(f, axis, out);
        return;
    }
    str_put(out, head[x->kind]);
    ir_print_axis(f, x->p, out);
    str_putc(out, ',');
    if (x->kind == AXK_COPY || x->kind == AXK_SYM)
        str_printf(out, "%d", x->num);
    else
        ir_print_axis(f, x->r, out);
    str_putc(out, ')');
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(((const struct str *)a)->s, ((const struct str *)b)->s);
}

void
ir_print_axes(const struct ir_func *f, ir_axes axes, struct str *out)
{
    struct str made[IR_MAX_AXES] = {{0}};
    size_t n = 0;
    for (uint8_t k = 0; k < f->naxes; k++) {
        if (!(axes >> k & 1))
            continue;
        if (k < AX_FIRST_FREE) {
            str_putc(out, ' ');
            ir_print_axis(f, k, out);
        } else {
            ir_print_axis(f, k, &made[n++]);
        }
    }
    qsort(made, n, sizeof *made, by_text);
    for (size_t k = 0; k < n; k++) {
        str_putc(out, ' ');
        str_put(out, str_text(&made[k]));
        str_free(&made[k]);
    }
}

/* ---- nodes ---- */

static void
put_binding(const struct ir_func *f, const struct ir_binding *b, struct str *out)
{
    str_putc(out, '[');
    for (int k = 0; k < b->rank; k++) {
        str_put(out, k ? "," : "");
        if (b->ax[k] == AX_UNIT)
            str_printf(out, "%d", b->num[k]);
        else
            ir_print_axis(f, b->ax[k], out);
    }
    str_putc(out, ']');
}

static void
put_fraction(const fmpq *q, struct str *out)
{
    char *s = fmpq_get_str(NULL, 10, q);
    str_put(out, s);
    flint_free(s);
}

static void
put_attr(const struct ir_func *f, const struct ir_node *n, struct str *out)
{
    ir_attr at = n->attr;
    switch ((enum ir_attr_kind)ir_ops[n->op].attr) {
    case ATTR_NONE:
        break;
    case ATTR_INPUT:
        str_put(out, ir_input_names[at.num]);
        break;
    case ATTR_PARAM:
        ir_print_name(f->params[at.id].name, out);
        put_binding(f, &f->bindings[at.num], out);
        break;
    case ATTR_RAT:
        put_fraction(f->consts + at.id, out);
        break;
    case ATTR_DIM:
        ir_print_name(f->dims[at.id].name, out);
        break;
    case ATTR_INT:
        str_printf(out, "%d", at.num);
        break;
    case ATTR_AXIS:
        ir_print_axis(f, at.axis, out);
        break;
    case ATTR_RENAME:
    case ATTR_CAT:
    case ATTR_OUTER:
        ir_print_axis(f, at.axis, out);
        str_putc(out, ' ');
        ir_print_axis(f, at.axis2, out);
        break;
    case ATTR_MONO:
        ir_print_axis(f, at.axis, out);
        str_printf(out, " %d%s", at.num, at.id == 2 ? " rooted" : at.id ? " weighted" : "");
        break;
    case ATTR_ROLL:
        ir_print_axis(f, at.axis, out);
        str_printf(out, " %d", at.num);
        break;
    }
}

static void
put_node(const struct ir_func *f, ir_ref n, const ir_ref *number, struct str *out)
{
    const struct ir_node *x = &f->nodes[n];
    const struct ir_op_info *info = &ir_ops[x->op];
    str_printf(out, "  %%%u = %s", number[n], info->name);
    if (info->attr != ATTR_NONE) {
        str_putc(out, ' ');
        put_attr(f, x, out);
    }
    for (int k = 0; k < x->nargs; k++)
        str_printf(out, " %%%u", number[x->arg[k]]);
    str_put(out, " :");
    ir_print_axes(f, x->axes, out);
    str_putc(out, '\n');
}

/* ---- declarations ---- */

static void
put_dims(const struct ir_func *f, struct str *out)
{
    for (uint32_t k = 0; k < f->ndims; k++) {
        if (k < DIM_USER && f->dims[k].size == 0)
            continue;
        str_put(out, "  dim ");
        ir_print_name(f->dims[k].name, out);
        if (f->dims[k].size)
            str_printf(out, " = %lld", (long long)f->dims[k].size);
        str_putc(out, '\n');
    }
}

static void
put_params(const struct ir_func *f, struct str *out)
{
    for (uint32_t k = 0; k < f->nparams; k++) {
        const struct ir_param *p = &f->params[k];
        str_put(out, p->role == PARAM_OUTPUT ? "  output " : "  param ");
        ir_print_name(p->name, out);
        str_putc(out, '[');
        for (int i = 0; i < p->rank; i++) {
            str_put(out, i ? "," : "");
            ir_print_name(f->dims[p->dims[i]].name, out);
        }
        str_putc(out, ']');
        if (p->has_default)
            str_printf(out, " = %.17g", p->value);
        if (p->source != SOURCE_GIVEN)
            str_printf(out, " = %s(%lld)", ir_source_names[p->source], (long long)p->seed);
        str_putc(out, '\n');
    }
}

static void
put_facts(const struct ir_func *f, struct str *out)
{
    if (f->normalize_is_sum)
        str_put(out, "  fact normalize sum\n");
    if (f->row_sum == POS_UNKNOWN && !f->row_sum_why)
        return;
    str_printf(out, "  fact rowsum %s", ir_positivity_names[f->row_sum]);
    if (f->row_sum_why) {
        str_putc(out, ' ');
        ir_print_string(f->row_sum_why, out);
    }
    str_putc(out, '\n');
}

static void
put_kernelize(const struct ir_func *f, struct str *out)
{
    if (f->kernelize == KERNELIZE_EXACT)
        str_put(out, " kernelize exact");
    if (f->kernelize == KERNELIZE_AUTO)
        str_put(out, " kernelize auto");
    if (f->kernelize == KERNELIZE_TAYLOR)
        str_printf(out, " kernelize taylor(%d)", f->degree);
    if (f->kernelize == KERNELIZE_RANDOM) {
        str_put(out, " kernelize random(");
        ir_print_name(f->params[f->weights].name, out);
        str_putc(out, ')');
    }
}

void
ir_print_nodes(const struct ir_func *f, const bool *live, ir_ref *number, struct str *out)
{
    ir_ref next = 1;
    str_put(out, "attention @");
    ir_print_name(f->name, out);
    str_printf(out, " %s%s%s", ir_type_names[f->type], f->acc != f->type ? " state " : "",
               f->acc != f->type ? ir_type_names[f->acc] : "");
    put_kernelize(f, out);
    str_put(out, " {\n");
    put_dims(f, out);
    put_params(f, out);
    for (ir_ref n = 1; n < f->nnodes; n++)
        if (live[n]) {
            number[n] = next++;
            put_node(f, n, number, out);
        }
    for (int r = 0; r < ROOT_COUNT; r++)
        if (f->root[r])
            str_printf(out, "  root %s = %%%u\n", ir_root_names[r], number[f->root[r]]);
    put_facts(f, out);
    str_put(out, "}\n");
}

void
ir_print(const struct ir_func *f, struct str *out)
{
    struct arena *scratch = arena_new();
    ir_print_nodes(f, ir_live(f, scratch), ARENA_ARRAY(scratch, ir_ref, f->nnodes), out);
    arena_free(scratch);
}
