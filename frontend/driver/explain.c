/* Command `explain`: what was understood, derived, proven and decided, in words and formulas. */
#include <stdio.h>
#include <string.h>

#include "frontend/driver/cost.h"

static const char *const positivity_words[] = {
    [POS_UNKNOWN] = "sign not known", [POS_ANY_SIGN] = "may be zero or negative",
    [POS_NONNEG] = "proven >= 0", [POS_POSITIVE] = "proven > 0"};
static const char *const positivity_keys[] = {[POS_UNKNOWN] = "unknown",
                                              [POS_ANY_SIGN] = "any",
                                              [POS_NONNEG] = "nonnegative",
                                              [POS_POSITIVE] = "positive"};

static void
line(const char *label, const char *value)
{
    if (value && *value)
        printf("  %-14s %s\n", label, value);
}

static void
formula(const struct ir_func *f, const char *label, ir_ref n)
{
    struct str s = {0};
    if (!n)
        return;
    ir_print_math(f, n, &s);
    line(label, str_text(&s));
    str_free(&s);
}

static void
print_dims(const struct ir_func *f)
{
    struct str s = {0};
    for (uint32_t k = 0; k < f->ndims; k++)
        if (f->dims[k].size > 0)
            str_printf(&s, "%s%s = %lld", s.len ? ", " : "", f->dims[k].name,
                       (long long)f->dims[k].size);
    line("fixed sizes", s.len ? str_text(&s) : "none: every size is known at run time");
    str_free(&s);
}

/* What the state form does to a row sum that is small where its terms are not, or NULL. */
static const char *
cancellation(const struct unit *u)
{
    if (!u->why.cancels)
        return NULL;
    return u->source_func->acc == TYPE_F64
               ? "the features of a row are summed before they meet; where they cancel, f64 keeps "
                 "about 15 digits less those of the condition (attnc check)"
               : "the features of a row are summed before they meet; where they cancel, an f32 sum "
                 "loses the digits of the condition (attnc check): `state f64;` keeps them";
}

/* The n from which the kernelized form takes fewer FLOPs than the direct one: 0 never, -1 with
 * *missing. */
static int64_t
pays_from(struct cost_program *p, const char **missing)
{
    struct cost_crossings x;
    struct cost_row *direct = NULL;
    for (int k = 1; k < p->nrows; k++)
        if (p->rows[k].kind == COST_FORWARD)
            direct = &p->rows[k];
    int n = cost_row_cross(&p->rows[0], direct, COST_FLOPS, &x);
    *missing = x.missing;
    return n < 0 ? -1 : n > 0 && x.at[n - 1].sign < 0 ? x.at[n - 1].n : 0;
}

static void
explain_crossover(struct cost_program *p)
{
    const char *missing = NULL;
    if (!p->direct)
        return;
    int64_t n = pays_from(p, &missing);
    if (n < 0)
        printf("  %-14s say %s with --at to see from which n the rewrite takes fewer FLOPs\n",
               "crossover", missing);
    else if (n == 0)
        printf("  %-14s none: the direct form takes fewer FLOPs\n", "crossover");
    else
        printf("  %-14s fewer FLOPs than the direct form from n = %lld (attnc cost)\n", "crossover",
               (long long)n);
}

static void
explain_text(struct cost_program *p)
{
    const struct unit *u = &p->u;
    const struct ir_func *f = u->source_func;
    printf("attention %s (%s%s%s)\n\nmeaning\n", f->name, ir_type_names[f->type],
           f->acc != f->type ? ", state " : "", f->acc != f->type ? ir_type_names[f->acc] : "");
    formula(f, "similarity", f->root[ROOT_SIM]);
    formula(f, "visible when", f->root[ROOT_MASK]);
    formula(f, "row sum z", f->root[ROOT_DEN]);
    print_dims(f);
    printf("\nderivation\n");
    if (u->nproven)
        printf("  %-14s %d proven\n", "assertions", u->nproven);
    line("expansion", u->why.expansion);
    line("phi_q(q)", u->why.phi_q);
    line("phi_k(k)", u->why.phi_k);
    line("features d'", u->why.features);
    line("proof", u->why.proof);
    line("before", u->why.before);
    line("after", u->why.after);
    if (!u->why.expansion)
        line("rewrite", f->kernelize ? "none" : "none asked for (no kernelize statement)");
    printf("\nrow sum\n  %-14s %s%s%s\n", "z", positivity_words[u->func->row_sum],
           u->func->row_sum_why ? ": " : "", u->func->row_sum_why ? u->func->row_sum_why : "");
    line("cancellation", cancellation(u));
    printf("\nschedule\n  %-14s %s\n", u->prog->entry, u->prog->schedule);
    line("mask", u->prog->skipped);
    if (u->stepping == STEP_NONE)
        printf("  %-14s none: %s\n", "step", u->no_step);
    else
        line("step", u->stepping == STEP_STATE ? "scan, over a state of fixed size"
                                               : "stream, over a cache of keys and values");
    explain_crossover(p);
}

static void
put_text(const char *key, const char *value, bool last)
{
    fputs("  ", stdout);
    put_json_field(key, value, last ? "\n" : ",\n");
}

static void
explain_json(struct cost_program *p)
{
    const struct unit *u = &p->u;
    struct str sim = {0};
    const char *missing;
    int64_t n = p->direct ? pays_from(p, &missing) : -1;
    ir_print_math(u->source_func, u->source_func->root[ROOT_SIM], &sim);
    puts("{");
    put_text("name", u->func->name, false);
    put_text("sim", str_text(&sim), false);
    put_text("expansion", u->why.expansion, false);
    put_text("phi_q", u->why.phi_q, false);
    put_text("phi_k", u->why.phi_k, false);
    put_text("features", u->why.features, false);
    put_text("proof", u->why.proof, false);
    put_text("row_sum", positivity_keys[u->func->row_sum], false);
    put_text("row_sum_why", u->func->row_sum_why, false);
    put_text("cancellation", cancellation(u), false);
    put_text("type", ir_type_names[u->source_func->type], false);
    put_text("state", ir_type_names[u->source_func->acc], false);
    if (n > 0)
        printf("  \"crossover\": %lld,\n", (long long)n);
    else
        put_text("crossover", NULL, false);
    put_text("entry", u->prog->entry, false);
    put_text("schedule", u->prog->schedule, true);
    puts("}");
    str_free(&sim);
}

int
command_explain(const struct options *o)
{
    struct cost_program p = {0}, *program = &p;
    struct options with_remarks = *o;
    with_remarks.remarks = true;
    int rc = cost_open(&p, o->inputs[0], &with_remarks);
    if (rc == EXIT_OK && !cost_check_names(&program, 1, o, NULL))
        rc = EXIT_USAGE;
    if (rc == EXIT_OK && o->json)
        explain_json(&p);
    else if (rc == EXIT_OK)
        explain_text(&p);
    cost_close(&p);
    return rc;
}
