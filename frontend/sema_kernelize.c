/* kernelize: the mode, and its arguments.
 *
 *     kernelize;   kernelize exact;   kernelize auto;   kernelize taylor(3);
 *     kernelize random(256, seed=1, orthogonal);   kernelize random(W);
 *
 * The mode is known with the settings; the arguments are judged last, when dims and params are. */
#include "frontend/sema.h"

#include <string.h>

typedef void arguments_fn(struct sema *s, const struct ast_stmt *st);
static arguments_fn no_arguments, taylor_arguments, random_arguments;

static const struct {
    const char *name, *form;
    enum ir_kernelize mode;
    arguments_fn *arguments;
} modes[] = {
    {"exact", "exact", KERNELIZE_EXACT, no_arguments},
    {"taylor", "taylor(P)", KERNELIZE_TAYLOR, taylor_arguments},
    {"random", "random(R, seed=S, orthogonal)", KERNELIZE_RANDOM, random_arguments},
    {"auto", "auto", KERNELIZE_AUTO, no_arguments},
};
enum { MODES = sizeof modes / sizeof *modes };

static int
find_mode(const struct ast_stmt *st)
{
    int k = 0;
    while (st->name && k < MODES && strcmp(st->name, modes[k].name) != 0)
        k++;
    return k;
}

static void
unknown_mode(struct sema *s, const struct ast_stmt *st)
{
    const char *names[MODES];
    struct str all = {0};
    for (int k = 0; k < MODES; k++) {
        names[k] = modes[k].name;
        str_printf(&all, "%s%s", k == 0 ? "" : k == MODES - 1 ? " and " : ", ", modes[k].form);
    }
    const char *near = str_nearest(st->name, names, MODES);
    diag_error(s->diag, st->name_span, "unknown mode '%s'; modes are %s", st->name, str_text(&all));
    if (near)
        diag_help(s->diag, st->name_span, "%s", near);
    str_free(&all);
}

void
sema_kernelize_mode(struct sema *s, const struct ast_stmt *st)
{
    int k = find_mode(st);
    s->f->kernelize = k < MODES ? modes[k].mode : KERNELIZE_EXACT;
    s->f->kernelize_span = st->span;
    if (k == MODES)
        unknown_mode(s, st);
}

void
sema_kernelize_arguments(struct sema *s, const struct ast_stmt *st)
{
    int k = find_mode(st);
    if (k < MODES)
        modes[k].arguments(s, st);
}

static void
no_arguments(struct sema *s, const struct ast_stmt *st)
{
    if (st->has_list)
        diag_error(s->diag, st->span, "%s takes no arguments", st->name);
}

static void
taylor_arguments(struct sema *s, const struct ast_stmt *st)
{
    int64_t degree = 1;
    if (st->list.count != 1 || st->list.at[0]->kind == AST_KEYARG)
        diag_error(s->diag, st->span, "taylor takes the degree alone: kernelize taylor(2);");
    else
        sema_integer(s, st->list.at[0], "the degree of taylor", 1, IR_MAX_TAYLOR, &degree);
    s->f->degree = (int)degree;
}

/* ---- random ---- */

/* A name that the program does not use yet: stem, stem_1, ... */
static const char *
free_name(struct sema *s, const char *stem)
{
    const char *name = stem;
    for (int k = 1; ir_dim_find(s->f, name) >= 0 || ir_param_find(s->f, name) >= 0 ||
                    sema_definition(s, name); k++)
        name = arena_printf(s->arena, "%s_%d", stem, k);
    return name;
}

/* True if a run knows the size of a dimension. */
static bool
has_size(const struct ir_func *f, int dim)
{
    bool known = f->dims[dim].size > 0 || dim < DIM_USER;
    for (uint32_t p = 0; p < f->nparams && !known; p++)
        for (int k = 0; k < f->params[p].rank; k++)
            known = known || f->params[p].dims[k] == dim;
    return known;
}

/* The dimension R of random(R): one of the program, or a new one of a constant size; -1 after an
 * error. */
static int
feature_dim(struct sema *s, const struct ast_expr *e)
{
    int64_t size;
    int d = e->kind == AST_NAME ? ir_dim_find(s->f, e->name) : -1;
    if (d >= 0 && d < DIM_USER && d != DIM_D) {
        diag_error(s->diag, e->span, "the number of random features cannot be %s", e->name);
        return -1;
    }
    if (d >= 0 && !has_size(s->f, d)) {
        diag_error(s->diag, e->span, "no run knows the size of %s: write dim %s = 256;, or give "
                   "-D %s=256", e->name, e->name, e->name);
        return -1;
    }
    if (d >= 0)
        return d;
    if (!sema_integer(s, e, "the number of random features", 1, 1 << 20, &size))
        return -1;
    if (s->f->ndims >= IR_MAX_DIMS) {
        diag_error(s->diag, e->span, "the program has more than %d dimensions", IR_MAX_DIMS);
        return -1;
    }
    return ir_dim_add(s->f, free_name(s, "R"), size);
}

/* seed=S, orthogonal: what follows the first argument. */
static bool
random_options(struct sema *s, const struct ast_stmt *st, struct ir_param *p)
{
    bool seeded = false;
    for (uint32_t k = 1; k < st->list.count; k++) {
        const struct ast_expr *e = st->list.at[k];
        bool seed = e->kind == AST_KEYARG && !strcmp(e->name, "seed");
        bool orthogonal = e->kind == AST_NAME && !strcmp(e->name, "orthogonal");
        if (!seed && !orthogonal) {
            diag_error(s->diag, e->span, "'%s' is no option of random; they are seed=S and "
                       "orthogonal", ast_quote(s->arena, s->src, e->span));
            return false;
        }
        if (seed ? seeded : p->source == SOURCE_ORTHOGONAL) {
            diag_error(s->diag, e->span, "%s is given twice", seed ? "the seed" : "orthogonal");
            return false;
        }
        if (seed && !sema_integer(s, e->arg[0], "the seed of random", 0, IR_MAX_SEED, &p->seed))
            return false;
        seeded = seeded || seed;
        p->source = orthogonal ? SOURCE_ORTHOGONAL : p->source;
    }
    return true;
}

/* random(W): weights that the caller gives. */
static void
given_weights(struct sema *s, const struct ast_stmt *st, uint32_t param)
{
    const struct ir_param *p = &s->f->params[param];
    const struct ast_expr *e = st->list.at[0];
    if (p->rank != 2 || (p->dims[0] < DIM_USER && p->dims[0] != DIM_D))
        diag_error(s->diag, e->span, "the weights of random are a matrix: dim R; param %s[R, D];",
                   p->name);
    else if (st->list.count > 1)
        diag_error(s->diag, st->list.at[1]->span,
                   "%s is given by the caller: seed and orthogonal are for weights that are made",
                   p->name);
    s->f->weights = param;
}

static void
random_arguments(struct sema *s, const struct ast_stmt *st)
{
    const struct ast_expr *e = st->list.count ? st->list.at[0] : NULL;
    struct ir_param p = {.span = st->span, .source = SOURCE_NORMAL, .seed = 1, .rank = 2};
    if (!e || e->kind == AST_KEYARG) {
        diag_error(s->diag, st->span, "random takes the number of features, or a param W[R, D]: "
                                      "kernelize random(256, seed=1);");
        return;
    }
    int given = e->kind == AST_NAME ? ir_param_find(s->f, e->name) : -1;
    if (given >= 0) {
        given_weights(s, st, (uint32_t)given);
        return;
    }
    int d = feature_dim(s, e);
    if (d < 0 || !random_options(s, st, &p))
        return;
    if (ir_param_count(s->f, true) >= IR_MAX_TENSORS) {
        diag_error(s->diag, st->span, "the program has more than %d tensor params, with the "
                   "weights of random among them", IR_MAX_TENSORS);
        return;
    }
    p.name = free_name(s, "W");
    p.dims[0] = DIM_D;
    p.dims[1] = (uint16_t)d;
    s->f->weights = ir_param_add(s->f, &p);
}
