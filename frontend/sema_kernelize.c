/* kernelize: the mode, and its arguments.
 *
 *     kernelize;   kernelize exact;   kernelize auto;   kernelize taylor(3);
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
    {"random", "random(R, seed=S)", KERNELIZE_EXACT, random_arguments},
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

static void
random_arguments(struct sema *s, const struct ast_stmt *st)
{
    diag_error(s->diag, st->span, "kernelize random is not supported yet");
}
