/* Command `explain`: what was understood, derived, proven and decided, in words and formulas. */
#include <stdio.h>
#include <string.h>

#include "frontend/driver/explain.h"

static const char *const positivity_words[] = {
    [POS_UNKNOWN] = "sign not known", [POS_ANY_SIGN] = "may be zero or negative",
    [POS_NONNEG] = "proven >= 0", [POS_POSITIVE] = "proven > 0"};
static const char *const positivity_keys[] = {[POS_UNKNOWN] = "unknown",
                                              [POS_ANY_SIGN] = "any",
                                              [POS_NONNEG] = "nonnegative",
                                              [POS_POSITIVE] = "positive"};

static const char *const step_keys[] = {
    [STEP_NONE] = NULL, [STEP_STATE] = "state", [STEP_CACHE] = "cache"};

/* Facts go to whoever prints them. */
struct teller {
    explain_fn *fn;
    void *arg;
    const char *section;
};

static void
line(const struct teller *t, const char *label, const char *value)
{
    if (value && *value)
        t->fn(t->arg, t->section, label, value);
}

static void
formula(const struct teller *t, const struct ir_func *f, const char *label, ir_ref n)
{
    struct str s = {0};
    if (!n)
        return;
    ir_print_math(f, n, &s);
    line(t, label, str_text(&s));
    str_free(&s);
}

static void
tell_dims(const struct teller *t, const struct ir_func *f)
{
    struct str s = {0};
    for (uint32_t k = 0; k < f->ndims; k++)
        if (f->dims[k].size > 0)
            str_printf(&s, "%s%s = %lld", s.len ? ", " : "", f->dims[k].name,
                       (long long)f->dims[k].size);
    line(t, "fixed sizes", s.len ? str_text(&s) : "none: every size is known at run time");
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
    int n = cost_row_cross(&p->rows[0], cost_direct_row(p), COST_FLOPS, &x);
    *missing = x.missing;
    return n < 0 ? -1 : n > 0 && x.at[n - 1].sign < 0 ? x.at[n - 1].n : 0;
}

static void
tell_crossover(const struct teller *t, struct cost_program *p)
{
    const char *missing = NULL;
    struct str s = {0};
    if (!p->u.direct || !p->nrows) /* a stage has no cost of its own */
        return;
    int64_t n = pays_from(p, &missing);
    if (n < 0)
        str_printf(&s, "say %s with --at to see from which n the rewrite takes fewer FLOPs",
                   missing);
    else if (n == 0)
        str_put(&s, "none: the direct form takes fewer FLOPs");
    else
        str_printf(&s, "fewer FLOPs than the direct form from n = %lld (attnc cost)%s",
                   (long long)n, p->u.source_func->kernelize == KERNELIZE_AUTO
                       ? "; a run weighs them by the rates of the schedules" : "");
    line(t, "crossover", str_text(&s));
    str_free(&s);
}

static void
tell_derivation(struct teller *t, const struct unit *u)
{
    struct str s = {0};
    t->section = "derivation";
    if (u->nproven)
        str_printf(&s, "%d proven", u->nproven);
    line(t, "assertions", str_text(&s));
    line(t, "approximation", u->why.approximation);
    line(t, "expansion", u->why.expansion);
    line(t, "phi_q(q)", u->why.phi_q);
    line(t, "phi_k(k)", u->why.phi_k);
    line(t, "features d'", u->why.features);
    line(t, "proof", u->why.proof);
    line(t, "before", u->why.before);
    line(t, "after", u->why.after);
    if (!u->why.expansion)
        line(t, "rewrite", u->source_func->kernelize ? "none"
                                                     : "none asked for (no kernelize statement)");
    str_free(&s);
}

/* A statement of index notation. */
static void
tell_statement(const struct unit *u, explain_fn *fn, void *arg)
{
    struct teller t = {fn, arg, "meaning"};
    formula(&t, u->source_func, "result", u->source_func->root[ROOT_OUT]);
    t.section = "schedule";
    line(&t, u->prog->entry, u->prog->schedule);
}

/* The shape of a tensor of the shell: "q[B, H, n, D]". */
static const char *
shape_text(const struct ir_func *shell, const struct ir_param *p)
{
    const char *s = p->name;
    for (int k = 0; k < p->rank; k++)
        s = arena_printf(shell->arena, "%s%s%s", s, k ? ", " : "[", shell->dims[p->dims[k]].name);
    return arena_printf(shell->arena, "%s]", s);
}

static void
explain_stages(struct cost_program *p, explain_fn *fn, void *arg)
{
    const struct unit *u = &p->u;
    const struct graph *g = u->program.graph;
    struct teller t = {fn, arg, "tensors"};
    static const char *const roles[] = {[PARAM_GIVEN] = "param", [PARAM_INPUT] = "input",
                                        [PARAM_OUTPUT] = "output", [PARAM_BETWEEN] = "between"};
    for (uint32_t k = 0; k < g->shell->nparams; k++)
        if (g->shell->params[k].rank)
            line(&t, roles[g->shell->params[k].role], shape_text(g->shell, &g->shell->params[k]));
    tell_dims(&t, g->shell);
    for (int k = 0; k < g->nstages; k++) {
        struct cost_program stage = {.u = u->stage[k]};
        fn(arg, NULL, g->stage[k]->name, u->stage[k].func->contraction ? "statement" : "attention");
        explain_each(&stage, fn, arg);
    }
    fn(arg, NULL, u->func->name, "whole");
    t.section = "fused";
    for (int k = 0; k < u->fusion.graph->nstages; k++) {
        const char *names, *what = u->fusion.prog[k] ? explain_fused(&p->u, k, &names) : NULL;
        if (what)
            line(&t, names, what);
    }
    t.section = "token by token";
    line(&t, "step", u->no_step ? arena_printf(u->arena, "none: %s", u->no_step)
                                : "each token by itself; the attentions keep what they need");
}

void
explain_each(struct cost_program *p, explain_fn *fn, void *arg)
{
    const struct unit *u = &p->u;
    if (u->stage) {
        explain_stages(p, fn, arg);
        return;
    }
    if (u->func->contraction) {
        tell_statement(u, fn, arg);
        return;
    }
    const struct ir_func *f = u->source_func;
    struct teller t = {fn, arg, "meaning"};
    struct str s = {0};
    formula(&t, f, "similarity", f->root[ROOT_SIM]);
    formula(&t, f, "visible when", f->root[ROOT_MASK]);
    formula(&t, f, "row sum z", f->root[ROOT_DEN]);
    tell_dims(&t, f);
    tell_derivation(&t, u);
    t.section = "row sum";
    const char *why = u->func->row_sum_why;
    str_printf(&s, "%s%s%s", positivity_words[u->func->row_sum], why ? ": " : "", why ? why : "");
    line(&t, "z", str_text(&s));
    line(&t, "cancellation", cancellation(u));
    t.section = "schedule";
    line(&t, u->prog->entry, unit_schedule_words(u));
    line(&t, "mask", u->prog->skipped);
    line(&t, "step", u->stepping == STEP_NONE    ? arena_printf(u->arena, "none: %s", u->no_step)
                     : u->stepping == STEP_STATE ? "scan, over a state of fixed size"
                                                 : "stream, over a cache of keys and values");
    tell_crossover(&t, p);
    str_free(&s);
}

static void
print_fact(void *arg, const char *section, const char *label, const char *value)
{
    const char **last = arg;
    if (!section) { /* a new stage */
        printf("\n---- %s (%s)\n", label, value);
        *last = NULL;
        return;
    }
    if (*last != section)
        printf("\n%s\n", section);
    *last = section;
    printf("  %-14s %s\n", label, value);
}

static void
explain_text(struct cost_program *p)
{
    const struct ir_func *f = p->u.func;
    const char *section = NULL;
    printf("%s %s (%s%s%s)\n", p->u.stage ? "program" : "attention", f->name,
           ir_type_names[f->type], f->acc != f->type ? ", state " : "",
           f->acc != f->type ? ir_type_names[f->acc] : "");
    explain_each(p, print_fact, &section);
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
    int64_t n = p->u.direct ? pays_from(p, &missing) : -1;
    ir_print_math(u->source_func, u->source_func->root[ROOT_SIM], &sim);
    puts("{");
    put_text("name", u->func->name, false);
    put_text("sim", str_text(&sim), false);
    put_text("approximation", u->why.approximation, false);
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
    put_text("schedule", u->prog->schedule, false);
    put_text("step", step_keys[u->stepping], true);
    puts("}");
    str_free(&sim);
}

/* Where the printing of stages is: how many stages, and facts of the last. */
struct json_place {
    int stages, facts;
};

static void
put_json_fact(void *arg, const char *section, const char *label, const char *value)
{
    struct json_place *at = arg;
    if (!section) {
        printf("%s\n    {", at->stages ? "]}," : "");
        put_json_field("name", label, ", ");
        put_json_field("kind", value, ", \"facts\": [");
        at->stages++;
        at->facts = 0;
        return;
    }
    printf("%s\n      {", at->facts++ ? "," : "");
    put_json_field("section", section, ", ");
    put_json_field("label", label, ", ");
    put_json_field("value", value, "}");
}

/* The facts of every stage, as they are said in words. */
static void
explain_json_stages(struct cost_program *p)
{
    struct json_place at = {0, 0};
    puts("{");
    put_text("name", p->u.func->name, false);
    put_text("schedule", "stages", false);
    put_text("features", NULL, false);
    put_text("row_sum", NULL, false);
    put_text("step", p->u.no_step ? NULL : "stages", false);
    printf("  \"stages\": [");
    put_json_fact(&at, NULL, p->u.func->name, "program");
    explain_each(p, put_json_fact, &at);
    puts("]}\n  ]\n}");
}

int
command_explain(const struct options *o)
{
    struct cost_program p = {0}, *program = &p;
    struct options with_remarks = *o;
    if (o->html)
        return o->json ? usage_error("--json and --html: one of them") : explain_html(o);
    if (o->ninputs > 1)
        return usage_error("one input at a time (several with --html), found '%s' and '%s'",
                           o->inputs[0], o->inputs[1]);
    with_remarks.remarks = true;
    int rc = cost_open(&p, o->inputs[0], &with_remarks);
    if (rc == EXIT_OK && !cost_check_names(&program, 1, o, NULL))
        rc = EXIT_USAGE;
    if (rc == EXIT_OK && o->json && p.u.stage)
        explain_json_stages(&p);
    else if (rc == EXIT_OK && o->json)
        explain_json(&p);
    else if (rc == EXIT_OK)
        explain_text(&p);
    cost_close(&p);
    return rc;
}
