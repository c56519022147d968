/* One compilation as stages: open, lower, passes, schedule, code. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"
#include "passes/choose.h"
#include "runtime/attn.h"

/* ---- reproducers ---- */

struct reproducer {
    const struct options *o;
    const struct unit *u;
    const char *path;
};

/* The program with the options as a comment: feeding it back repeats the compilation. */
static bool
write_reproducer(const struct reproducer *r, char *err, size_t errlen)
{
    struct str s = {0};
    str_printf(&s, "# attnc %s, LLVM %s; options:", ATTNC_VERSION, cg_llvm_version());
    for (int k = 0; k < r->o->define.n; k++)
        str_printf(&s, " -D %s", r->o->define.at[k]);
    if (r->o->mcpu)
        str_printf(&s, " --mcpu=%s", r->o->mcpu);
    if (r->o->target)
        str_printf(&s, " --target=%s", r->o->target);
    if (r->o->passes)
        str_printf(&s, " --passes=%s", r->o->passes);
    if (r->o->no_fuse)
        str_put(&s, " --no-fuse");
    str_putc(&s, '\n');
    str_putn(&s, r->u->src->text, r->u->src->len);
    bool ok = file_write(r->path, str_text(&s), s.len, err, errlen);
    str_free(&s);
    return ok;
}

static void
on_internal_error(void *arg)
{
    char err[512];
    struct reproducer *r = arg;
    if (r->u->src && write_reproducer(r, err, sizeof err))
        fprintf(stderr, "attnc: a file that reproduces this was written: %s\n", r->path);
}

/* ---- opening ---- */

static bool
has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && !strcmp(path + n - m, suffix);
}

/* The default kernel name: the file's stem, made an identifier. */
static const char *
stem_of(struct arena *a, const char *path)
{
    const char *base = strrchr(path, '/');
    base = !strcmp(path, "<stdin>") ? "attention" : base ? base + 1 : path;
    const char *dot = strchr(base, '.');
    char *s = arena_strndup(a, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return isdigit((unsigned char)*s) || !*s ? arena_printf(a, "_%s", s) : s;
}

int
unit_open(struct unit *u, const char *path, const struct options *o)
{
    char err[512], *data;
    size_t size;
    memset(u, 0, sizeof *u);
    u->arena = arena_new();
    u->scratch = arena_new();
    if (!parse_sizes(&o->define, "define", u->dims, MAX_LIST, &u->ndims, u->arena))
        return EXIT_USAGE;
    const char *name = !strcmp(path, "-") ? "<stdin>" : path;
    if (!file_read(path, SOURCE_MAX_BYTES, &data, &size, err, sizeof err)) {
        fprintf(stderr, "attnc: %s\n", err);
        return EXIT_ENV;
    }
    u->src = source_new(u->arena, name, data, size);
    free(data);
    diag_init(&u->diag, u->src, stderr);
    u->diag.colour = isatty(2) && !getenv("NO_COLOR");
    u->diag.remarks = o->remarks;
    struct reproducer *r = ARENA_NEW(u->arena, struct reproducer);
    *r = (struct reproducer){o, u, o->reproduce ? o->reproduce : "attnc-reproducer.attn"};
    diag_on_ice(on_internal_error, r);
    if (o->reproduce && !write_reproducer(r, err, sizeof err)) {
        fprintf(stderr, "attnc: %s\n", err);
        return EXIT_ENV;
    }
    return EXIT_OK;
}

static void
free_functions(struct unit *u)
{
    if (u->meaning && u->meaning != u->source_func)
        ir_func_free(u->meaning);
    if (u->source_func)
        ir_func_free(u->source_func);
    if (u->func)
        ir_func_free(u->func);
    if (u->direct)
        ir_func_free(u->direct);
    str_free(&u->stats);
}

void
unit_close(struct unit *u)
{
    diag_on_ice(NULL, NULL);
    fuse_free(&u->fusion);
    for (int k = 0; u->stage && k < u->program.graph->nstages; k++)
        free_functions(&u->stage[k]);
    free_functions(u);
    arena_free(u->scratch);
    arena_free(u->arena);
    memset(u, 0, sizeof *u);
}

/* ---- stages ---- */

static void
prove_asserts(struct unit *u)
{
    for (uint32_t k = 0; u->asserts && k < u->asserts->count; k++) {
        const struct assertion *a = &u->asserts->at[k];
        const char *why = NULL;
        int r = prove_equal(u->func, a->l, a->r, &why);
        if (r == 1)
            u->nproven++;
        else if (r == 0)
            diag_error(&u->diag, a->span, "assertion is false: %s", why);
        else
            diag_error(&u->diag, a->span, "cannot decide this assertion: %s", why);
    }
}

/* The function is there: what the rest of the compilation starts from. */
static int
lowered(struct unit *u)
{
    prove_asserts(u);
    if (u->diag.errors)
        return EXIT_DIAG;
    u->source_func = u->meaning = ir_func_clone(u->arena, u->func);
    return EXIT_OK;
}

/* A unit for every stage of a program, which shares the arenas and the source. */
static int
open_stages(struct unit *u)
{
    const struct graph *g = u->program.graph;
    int rc = EXIT_OK;
    u->stage = ARENA_ARRAY(u->arena, struct unit, g->nstages);
    for (int k = 0; k < g->nstages; k++) {
        struct unit *s = &u->stage[k];
        *s = (struct unit){.arena = u->arena, .scratch = u->scratch, .src = u->src,
                           .diag = u->diag, .func = g->stage[k]->f,
                           .asserts = &u->program.asserts[k]};
        int own = lowered(s);
        rc = own == EXIT_OK ? rc : own;
    }
    return rc;
}

/* fn on every stage; the first that fails decides. */
static int
each_stage(struct unit *u, const struct options *o,
           int (*fn)(struct unit *, const struct options *))
{
    for (int k = 0; k < u->program.graph->nstages; k++) {
        int rc = fn(&u->stage[k], o);
        u->diag.errors += u->stage[k].diag.errors;
        if (rc != EXIT_OK)
            return rc;
    }
    return EXIT_OK;
}

int
unit_lower(struct unit *u, const struct options *o)
{
    if (has_suffix(u->src->name, ".air")) {
        if (u->ndims)
            return usage_error("-D does not go with .air; its dim lines say what is fixed");
        struct tile_prog *prog[TILE_ENTRIES];
        u->func = air_read(u->arena, u->src, &u->diag, prog);
        u->prog = prog[0];
        u->step = prog[1];
        if (u->prog && (o->passes || o->print_after || o->print_changed || o->stop_after ||
                        o->check_each || o->query_tile || o->key_tile || o->chunk ||
                        o->feature_block || o->rates))
            return usage_error("%s is a tile program: passes, tile sizes and rates are behind it",
                               u->src->name);
    } else {
        frontend_compile(u->arena, u->src, stem_of(u->arena, u->src->name), u->dims, u->ndims,
                         &u->diag, &u->program);
        u->func = u->program.func;
        u->asserts = &u->program.asserts[0];
    }
    if (!u->func)
        return EXIT_DIAG;
    if (u->program.graph)
        return open_stages(u);
    return lowered(u);
}

int
unit_passes(struct unit *u, const struct options *o)
{
    if (u->prog) /* a tile program was read */
        return EXIT_OK;
    if (u->stage)
        return each_stage(u, o, unit_passes);
    struct pass_options po = {.only = o->passes, .print_after = o->print_after,
                              .print_changed = o->print_changed, .stop_after = o->stop_after,
                              .time = o->time_passes, .check_each = o->check_each, .dump = stdout};
    struct pass_context pc = {.diag = &u->diag, .why = &u->why, .scratch = u->scratch,
                              .stats = o->stats ? &u->stats : NULL, .meaning = &u->meaning};
    bool ok = passes_run(u->func, &po, &pc);
    if (o->stats)
        fputs(str_text(&u->stats), stderr);
    return ok && !u->diag.errors ? EXIT_OK : EXIT_DIAG;
}

/* Every entry satisfies the verifier; what text came to may not, which is then the user's error. */
static int
judge_programs(struct unit *u)
{
    const struct tile_prog *progs[TILE_ENTRIES] = {u->prog, u->step};
    for (int k = 0; k < TILE_ENTRIES && progs[k]; k++) {
        span_t at;
        const char *why = tile_verify(progs[k], u->arena, &at);
        if (!why)
            continue;
        if (!has_suffix(u->src->name, ".air"))
            ICE("schedule %s: %s", progs[k]->schedule, why);
        diag_error(&u->diag, u->func->nodes[u->func->root[ROOT_OUT]].span,
                   "schedule %s cannot run this program: %s", progs[k]->schedule, why);
        return EXIT_DIAG;
    }
    return EXIT_OK;
}

int
stages_refused(const struct unit *u, const char *what)
{
    return usage_error("%s is for programs that are one attention; %s is made of stages", what,
                       u->src->name);
}

int
unit_tuning(const struct options *o, struct schedule_tuning *t)
{
    *t = schedule_default_tuning;
    if (o->query_tile)
        t->query_tile = (int)o->query_tile;
    if (o->key_tile)
        t->key_tile = (int)o->key_tile;
    if (o->chunk)
        t->chunk = (int)o->chunk;
    if (o->feature_block)
        t->feature_block = (int)o->feature_block;
    if (t->query_tile > 4096 || t->key_tile > 4096 || t->chunk > 4096 || t->feature_block > 65536)
        return usage_error("tile extents are limited to 4096 tokens and 65536 features");
    return EXIT_OK;
}

bool
unit_direct(struct unit *u, const struct options *o)
{
    struct pass_options po = {.dump = stdout};
    struct diag quiet; /* the same was said of the program itself */
    struct derivation why = {0};
    struct schedule_tuning t;
    if (u->direct || u->source_func->kernelize == KERNELIZE_NONE ||
        schedule_is_linear(u->source_func)) /* read as IR, already rewritten */
        return true;
    FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere) {
        fprintf(stderr, "attnc: /dev/null: %s\n", strerror(errno));
        return false;
    }
    diag_init(&quiet, u->src, nowhere);
    struct pass_context pc = {.diag = &quiet, .why = &why, .scratch = u->scratch};
    u->direct = ir_func_clone(u->arena, u->source_func);
    u->direct->kernelize = KERNELIZE_NONE;
    if (passes_run(u->direct, &po, &pc) && unit_tuning(o, &t) == EXIT_OK)
        u->direct_prog = schedule_forward(u->arena, u->direct, &t, &quiet);
    fclose(nowhere);
    if (u->direct_prog && !schedule_is_linear(u->direct)) {
        span_t at;
        const char *bad = tile_verify(u->direct_prog, u->arena, &at);
        if (bad)
            ICE("schedule %s: %s", u->direct_prog->schedule, bad);
        u->direct_prog->entry = "direct";
        return true;
    }
    ir_func_free(u->direct);
    u->direct = NULL;
    u->direct_prog = NULL;
    return true;
}

/* SCHEDULE:NUMBER,...: what one FLOP of a schedule takes, to choose by. */
static bool
parse_rates(const struct options *o, struct choose_rates *rates)
{
    char word[256], *part, *save;
    choose_rates_init(rates);
    if (!o->rates)
        return true;
    bool ok = (size_t)snprintf(word, sizeof word, "%s", o->rates) < sizeof word && *word;
    for (part = strtok_r(word, ",", &save); part && ok; part = strtok_r(NULL, ",", &save)) {
        char *colon = strchr(part, ':'), *end;
        if (colon)
            *colon = 0;
        struct choose_rate *r = choose_rate_find(rates, part);
        long cost = colon ? strtol(colon + 1, &end, 10) : 0;
        ok = r && colon && end != colon + 1 && !*end && cost >= 1 && cost <= 1000000;
        if (ok)
            r->cost = cost;
    }
    if (!ok)
        usage_error("--rates needs SCHEDULE:COST,... with schedules stream, linear, scan and whole "
                    "costs from 1 to 1000000, found '%s'", o->rates);
    return ok;
}

/* Both forms of a program, and what each takes. */
static int
prepare_choice(struct unit *u, const struct options *o)
{
    struct choose_rates rates;
    if (!parse_rates(o, &rates))
        return EXIT_USAGE;
    if (u->source_func->kernelize != KERNELIZE_AUTO)
        return EXIT_OK;
    if (!unit_direct(u, o))
        return EXIT_ENV;
    if (u->direct)
        choose_between(u->arena, u->prog, u->direct_prog, &rates);
    return EXIT_OK;
}

/* The dims of a contraction over which its result runs. */
static bool
is_result_dim(int dim)
{
    return dim == DIM_B || dim == DIM_H || dim == DIM_NQ || dim == DIM_M;
}

/* A statement whose result for one token needs others: tokens are summed over, or counted. */
static bool
needs_all_tokens(struct unit *u, const struct graph_stage *s)
{
    const struct ir_func *f = s->f;
    int over_tokens = 0; /* indexes of the result */
    for (int d = 0; d < DIM_USER; d++)
        over_tokens += is_result_dim(d) && ir_is_tokens(s->dim[d]);
    if (over_tokens > 1)
        return true;
    for (uint32_t p = 0; p < f->nparams; p++)
        for (int k = 0; k < f->params[p].rank; k++)
            if (ir_is_tokens(s->dim[f->params[p].dims[k]]) && !is_result_dim(f->params[p].dims[k]))
                return true;
    const bool *live = ir_live(f, u->scratch);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        bool size = x->op == IR_dim && ir_is_tokens(s->dim[x->attr.id]);
        bool place = x->op == IR_pos && x->attr.axis != AX_i && /* those of rows go on */
                     ir_is_tokens(s->dim[f->axes[x->attr.axis].dim]);
        bool sorts = x->op == IR_argsort && ir_is_tokens(s->dim[f->axes[x->attr.axis].dim]);
        if (live[n] && (size || place || sorts))
            return true;
    }
    return false;
}

/* Why a program of stages cannot run token by token, or NULL: every token must go through them by
 * itself, but for the attentions, which remember. */
static const char *
no_steps(struct unit *u)
{
    const struct graph *g = u->program.graph;
    const struct ir_func *f = g->shell;
    if (f->dims[DIM_N].size > 0 || f->dims[DIM_NQ].size > 0)
        return "the number of tokens is fixed";
    bool attention = false;
    for (int k = 0; k < g->nstages; k++) {
        const struct graph_stage *s = g->stage[k];
        if (s->f->contraction && needs_all_tokens(u, s))
            return arena_printf(u->arena, "%s needs all tokens", s->name);
        if (!s->f->contraction && u->stage[k].stepping == STEP_NONE)
            return arena_printf(u->arena, "%s: %s", s->name, u->stage[k].no_step);
        if (!s->f->contraction && (s->dim[DIM_N] != DIM_N || !ir_is_tokens(s->dim[DIM_NQ])))
            return arena_printf(u->arena, "the keys of %s are not the tokens", s->name);
        attention = attention || !s->f->contraction;
    }
    return attention ? NULL : "no stage is an attention";
}

bool
unit_fuse(struct unit *u, const struct options *o)
{
    struct tile_prog *runs[GRAPH_MAX_STAGES] = {NULL};
    for (int k = 0; k < u->program.graph->nstages && !o->no_fuse; k++) {
        const struct unit *s = &u->stage[k]; /* what is streamed, and nothing else */
        bool chooses = s->direct_prog && s->direct_prog->cost;
        if (!s->func->contraction && !s->step && !chooses && !strcmp(s->prog->schedule, "stream"))
            runs[k] = s->prog;
    }
    fuse_stages(u->arena, u->program.graph, runs, !u->no_step, &u->fusion);
    for (int k = 0; k < u->fusion.graph->nstages; k++) {
        span_t at;
        const char *bad = u->fusion.prog[k] ? tile_verify(u->fusion.prog[k], u->arena, &at) : NULL;
        if (bad)
            ICE("fused %s: %s", u->fusion.graph->stage[k]->name, bad);
    }
    return u->fusion.graph->nstages < u->program.graph->nstages;
}

static int
schedule_stages(struct unit *u, const struct options *o)
{
    int rc = each_stage(u, o, unit_schedule);
    if (rc != EXIT_OK)
        return rc;
    u->no_step = no_steps(u);
    u->stepping = u->no_step ? STEP_NONE : STEP_CACHE;
    unit_fuse(u, o);
    return rc;
}

int
unit_schedule(struct unit *u, const struct options *o)
{
    struct schedule_tuning t;
    bool read = u->prog != NULL; /* a tile program was read */
    int rc = unit_tuning(o, &t);
    if (rc != EXIT_OK)
        return rc;
    if (u->stage)
        return schedule_stages(u, o);
    if (!read)
        u->prog = schedule_forward(u->arena, u->func, &t, &u->diag);
    if (!u->prog)
        return EXIT_DIAG;
    u->stepping = u->func->contraction ? STEP_NONE : schedule_stepping(u->func, &u->no_step);
    if (u->stepping == STEP_STATE && !read)
        u->step = schedule_step(u->arena, u->func, &t, &u->diag);
    if (u->stepping == STEP_STATE && !u->step) {
        u->stepping = STEP_NONE;
        u->no_step = "the text has no entry step";
    }
    if (!read)
        rc = judge_programs(u);
    return rc == EXIT_OK && !read ? prepare_choice(u, o) : rc;
}

int
unit_targets(struct unit *u, const struct options *o)
{
    const char *why;
    if (o->opt > 3)
        return usage_error("--opt is %ld, must be from 0 to 3", o->opt);
    u->cg.opt_level = (int)o->opt;
    return cg_select_targets(u->arena, o->target, o->mcpu, &u->cg, &why) ? EXIT_OK
                                                                         : usage_error("%s", why);
}

const char *
unit_schedule_words(const struct unit *u)
{
    if (!u->direct_prog || !u->direct_prog->cost)
        return u->prog->schedule;
    return arena_printf(u->arena, "%s, or %s where that is expected to take less",
                        u->prog->schedule, u->direct_prog->schedule);
}

enum cg_stepping
unit_stepping(const struct unit *u)
{
    static const enum cg_stepping stepping[] = {[STEP_NONE] = CG_STEP_NONE,
                                                [STEP_STATE] = CG_STEP_STATE,
                                                [STEP_CACHE] = CG_STEP_CACHE};
    return stepping[u->stepping];
}

/* The programs of a unit, as entries of its kernel. */
static struct cg_stage
entries_of(const struct unit *u)
{
    struct cg_stage s = {.progs = {u->prog}, .nprogs = 1, .stepping = unit_stepping(u)};
    if (u->step)
        s.progs[s.nprogs++] = u->step;
    if (u->direct_prog && u->direct_prog->cost)
        s.progs[s.nprogs++] = u->direct_prog;
    return s;
}

struct cg_module *
unit_build(struct unit *u)
{
    u->cg.stepping = unit_stepping(u);
    if (u->stage) {
        struct cg_stage stages[GRAPH_MAX_STAGES];
        const struct fusion *f = &u->fusion;
        for (int k = 0; k < f->graph->nstages; k++) {
            stages[k] = entries_of(&u->stage[f->from[k]]);
            if (f->prog[k])
                stages[k].progs[0] = f->prog[k];
        }
        return cg_build_graph(u->arena, f->graph, stages, &u->cg);
    }
    struct cg_stage s = entries_of(u);
    return cg_build(u->arena, s.progs, s.nprogs, &u->cg);
}

int
unit_jit_program(struct unit *u, const struct options *o, const struct tile_prog *prog,
                 struct cg_module **m, struct cg_jit **jit, const struct attn_kernel **kernel)
{
    struct options native = *o;
    const char *why;
    if (!native.mcpu)
        native.mcpu = "native";
    int rc = unit_targets(u, &native);
    if (rc != EXIT_OK)
        return rc;
    if (u->cg.variant[0]->isa > attn_isa_level())
        return usage_error("this machine cannot run code for %s", u->cg.variant[0]->cpu);
    u->cg.stepping = CG_STEP_NONE;
    *m = prog ? cg_build(u->arena, &prog, 1, &u->cg) : unit_build(u);
    *kernel = cg_jit_compile(*m, jit, &why);
    if (!*kernel) {
        fprintf(stderr, "attnc: the just-in-time linker failed: %s\n", why);
        return EXIT_ENV;
    }
    return EXIT_OK;
}

int
unit_prepare(struct unit *u, const struct options *o)
{
    int rc = unit_lower(u, o);
    if (rc == EXIT_OK)
        rc = unit_passes(u, o);
    return rc == EXIT_OK ? unit_schedule(u, o) : rc;
}

int
unit_jit(struct unit *u, const struct options *o, struct cg_module **m, struct cg_jit **jit,
         const struct attn_kernel **kernel)
{
    int rc = unit_prepare(u, o);
    return rc == EXIT_OK ? unit_jit_program(u, o, NULL, m, jit, kernel) : rc;
}
