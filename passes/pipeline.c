/* Runs the rows of passes.def: facts checked, the IR verified after each, printed and timed on
 * request. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "passes/rewrite.h"

const struct pass pass_table[] = {
#define PASS(name, run, needs, gives, breaks, help) {name, run, needs, gives, breaks, help},
#include "passes/passes.def"
};
const int pass_count = sizeof pass_table / sizeof *pass_table;

static const struct pass *
find_pass(const char *name, size_t n)
{
    for (int k = 0; k < pass_count; k++)
        if (strlen(pass_table[k].name) == n && !strncmp(pass_table[k].name, name, n))
            return &pass_table[k];
    return NULL;
}

/* Reports a pass name that does not exist. */
static bool
check_name(struct pass_context *c, const char *name, size_t n)
{
    const char *names[32], *word = arena_strndup(c->scratch, name, n);
    if (find_pass(name, n))
        return true;
    for (int k = 0; k < pass_count; k++)
        names[k] = pass_table[k].name;
    const char *near = str_nearest(word, names, (size_t)pass_count);
    diag_error(c->diag, (span_t){0, 0}, "there is no pass '%s'%s%s%s", word,
               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return false;
}

static bool
check_options(const struct pass_options *o, struct pass_context *c)
{
    bool ok = true;
    if (o->print_after && strcmp(o->print_after, "all"))
        ok = check_name(c, o->print_after, strlen(o->print_after)) && ok;
    if (o->stop_after)
        ok = check_name(c, o->stop_after, strlen(o->stop_after)) && ok;
    for (const char *p = o->only; p && *p;) {
        size_t n = strcspn(p, ",");
        ok = check_name(c, p, n) && ok;
        p += n + (p[n] == ',');
    }
    return ok;
}

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Small sizes on which a program is cheap to evaluate; false if fixed ones are too large. */
static bool
small_sizes(const struct ir_func *f, int64_t *dims)
{
    static const int64_t small[DIM_USER] = {1, 2, 1, 3, 5, 3, 2};
    for (uint32_t k = 0; k < f->ndims; k++) {
        dims[k] = f->dims[k].size > 0 ? f->dims[k].size : k < DIM_USER ? small[k] : 2;
        if (dims[k] > 16)
            return false;
    }
    if (dims[DIM_H] % dims[DIM_G])
        dims[DIM_H] = dims[DIM_G];
    return true;
}

static void
check_each(const struct pass *p, const struct ir_func *before, const struct ir_func *after,
           struct pass_context *c)
{
    int64_t *dims = ARENA_ARRAY(c->scratch, int64_t, after->ndims);
    const char *why = NULL;
    if (!small_sizes(after, dims))
        return;
    for (uint64_t seed = 1; seed <= 3; seed++)
        if (!passes_agree(before, after, dims, seed, &why))
            ICE("pass %s changed the meaning of the program: %s", p->name, why);
}

static bool
run_one(const struct pass *p, struct ir_func *f, const struct pass_options *o,
        struct pass_context *c)
{
    struct str before = {0}, after = {0};
    struct ir_func *copy = o->check_each ? ir_func_clone(f->arena, f) : NULL;
    ir_print(f, &before);
    double t = now();
    bool ok = p->run(f, c);
    t = now() - t;
    const char *bad = ir_verify(f, f->arena);
    if (bad)
        ICE("after pass %s: %s", p->name, bad);
    ir_print(f, &after);
    bool changed = strcmp(str_text(&before), str_text(&after)) != 0;
    bool approximates = changed && (p->breaks & FACT_WRITTEN);
    if (ok && copy && !approximates)
        check_each(p, copy, f, c);
    if (copy)
        ir_func_free(copy);
    if (ok && approximates && c->meaning)
        *c->meaning = ir_func_clone(f->arena, f);
    bool named = o->print_after &&
                 (!strcmp(o->print_after, "all") || !strcmp(o->print_after, p->name));
    if (ok && (named || (o->print_changed && changed)))
        fprintf(o->dump, "# after %s\n%s", p->name, str_text(&after));
    if (o->time)
        fprintf(stderr, "%-12s %8.3f ms\n", p->name, t * 1e3);
    if (c->stats)
        str_printf(c->stats, "%s: %s\n", p->name, changed ? "changed" : "unchanged");
    str_free(&before);
    str_free(&after);
    return ok;
}

bool
passes_run(struct ir_func *f, const struct pass_options *o, struct pass_context *c)
{
    uint32_t facts = FACT_WRITTEN;
    const char *next = o->only;
    if (!check_options(o, c))
        return false;
    for (int k = 0; o->only ? *next != 0 : k < pass_count; k++) {
        const struct pass *p = &pass_table[k];
        if (o->only) {
            size_t n = strcspn(next, ",");
            p = find_pass(next, n);
            next += n + (next[n] == ',');
        }
        if (!o->only && (p->needs & ~facts))
            ICE("pass %s comes before what it needs", p->name);
        if (!run_one(p, f, o, c))
            return false;
        facts = (facts & ~p->breaks) | p->gives;
        if (o->stop_after && !strcmp(o->stop_after, p->name))
            break;
    }
    return true;
}
