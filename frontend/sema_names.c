/* Names: what is known, what is near an unknown one, what may be declared. */
#include "frontend/sema.h"

#include <string.h>

const struct sema_function sema_functions[] = {
#define FUNC(name, fewest, most, rule, op) {#name, fewest, most, RULE_##rule, op},
#include "frontend/functions.def"
};
const int sema_function_count = sizeof sema_functions / sizeof *sema_functions;

static const char *const reserved[] = {"q", "k", "v",   "out", "i",  "j",   "h",
                                       "b", "n", "n_q", "z",   "pi", "or",  "and", "not"};

/* Those that an expression may use. */
static const char *const built_in[] = {"q", "k", "i", "j", "h", "b", "pi"};

int
sema_dim(const struct sema *s, const char *name)
{
    int d = ir_dim_find(s->f, name);
    return d >= 0             ? d
           : !strcmp(name, "b") ? DIM_B
           : !strcmp(name, "h") ? DIM_H
           : !strcmp(name, "g") ? DIM_G : -1;
}

struct definition *
sema_definition(struct sema *s, const char *name)
{
    for (uint32_t k = 0; k < s->ndefs; k++)
        if (!strcmp(s->defs[k].name, name))
            return &s->defs[k];
    return NULL;
}

void
sema_unknown(struct sema *s, const char *what, const char *name, span_t at)
{
    if (s->syntax_errors || s->diag->errors > 100)
        return;
    uint32_t n = 0, max = s->ndefs + s->f->nparams + s->f->ndims + 64;
    const char **names = ARENA_ARRAY(s->arena, const char *, max);
    bool function = !strcmp(what, "function");
    for (uint32_t k = 0; k < s->ndefs; k++)
        names[n++] = s->defs[k].name;
    for (uint32_t k = 0; k < s->f->nparams; k++)
        names[n++] = s->f->params[k].name;
    for (uint32_t k = 0; k < s->f->ndims && !function; k++)
        names[n++] = s->f->dims[k].name;
    for (size_t k = 0; k < sizeof built_in / sizeof *built_in && !strcmp(what, "name"); k++)
        names[n++] = built_in[k];
    for (int k = 0; k < sema_function_count && function; k++)
        names[n++] = sema_functions[k].name;
    const char *near = strlen(name) > 1 ? str_nearest(name, names, n) : NULL;
    diag_error(s->diag, at, "unknown %s '%s'", what, ast_quote(s->arena, s->src, at));
    if (near)
        diag_help(s->diag, at, "%s", near);
}

bool
sema_declare(struct sema *s, const char *name, span_t at)
{
    const char *taken = NULL;
    for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
        if (!strcmp(name, reserved[k]))
            taken = "has a meaning of its own";
    for (int k = 0; k < sema_function_count; k++)
        if (!strcmp(name, sema_functions[k].name))
            taken = "is a built-in function";
    if (ir_dim_find(s->f, name) >= 0)
        taken = "is already a dimension";
    if (ir_param_find(s->f, name) >= 0)
        taken = "is already a param";
    if (sema_definition(s, name))
        taken = "is already defined";
    if (taken)
        diag_error(s->diag, at, "the name '%s' %s", name, taken);
    return !taken;
}

const char *
sema_describe(struct sema *s, const struct value *v)
{
    switch (v->kind) {
    case VALUE_BAD:
        return "an error";
    case VALUE_NUMBER:
        return "a number";
    case VALUE_TRUTH:
        return "a truth value";
    case VALUE_TENSOR:
        return arena_printf(s->arena, "the tensor %s", s->f->params[v->param].name);
    case VALUE_VECTOR: {
        const struct ir_axis *x = &s->f->axes[v->axis];
        const char *n = x->name;
        if (x->kind == AXK_BASE) {
            const struct ir_dim *dim = &s->f->dims[x->dim];
            n = dim->size ? arena_printf(s->arena, "%s = %lld", dim->name, (long long)dim->size)
                          : dim->name;
        }
        return arena_printf(s->arena, "a vector of length %s", n);
    }
    }
    return "";
}
