/* Programs of several stages: what they declare, in which order what they define is judged, and how
 * the stages meet. */
#include "frontend/graph.h"

#include <string.h>

static const span_t nowhere = {0, 0};

/* ---- names ---- */

struct graph_tensor *
graph_find(struct graph_build *b, const char *name, int block)
{
    struct graph_tensor *found = NULL;
    for (int k = 0; k < b->ntensors; k++) {
        struct graph_tensor *t = &b->tensor[k];
        if (!strcmp(t->name, name) && (t->scope == block || (t->scope < 0 && !found)))
            found = t;
    }
    return found ? found : graph_find_lse(b, name, block);
}

static const struct ast_stmt *
definition_in(const struct ast_program *p, const char *name)
{
    for (const struct ast_stmt *st = p ? p->first : NULL; st; st = st->next)
        if (st->kind == AST_ST_LET && !strcmp(st->name, name))
            return st;
    return NULL;
}

const struct ast_stmt *
graph_definition(struct graph_build *b, int block, const char *name)
{
    const struct ast_stmt *own = definition_in(block < 0 ? NULL : b->block[block].body, name);
    return own ? own : definition_in(b->program, name);
}

struct name_list {
    const char **at;
    size_t n, cap;
};

static bool
is_listed(const struct ast_list *l, const char *name)
{
    for (uint32_t k = 0; l && k < l->count; k++)
        if (l->at[k]->kind == AST_NAME && !strcmp(l->at[k]->name, name))
            return true;
    return false;
}

/* own: the parameters of the function that e is the body of, or NULL. */
static void
collect_names(struct graph_build *b, int block, const struct ast_expr *e,
              const struct ast_list *own, struct name_list *l)
{
    if (!e)
        return;
    bool named = e->kind == AST_NAME || e->kind == AST_CALL || e->kind == AST_INDEX;
    named = named && !(e->kind == AST_NAME && is_listed(own, e->name));
    for (size_t k = 0; k < l->n && named; k++)
        named = strcmp(l->at[k], e->name) != 0;
    if (named) {
        l->at = arena_grow(b->base->arena, l->at, l->n, l->n + 2, &l->cap, sizeof *l->at);
        l->at[l->n++] = e->name;
        const struct ast_stmt *d = graph_definition(b, block, e->name);
        if (d)
            collect_names(b, block, d->expr, &d->list, l);
    }
    for (uint32_t k = 0; k < e->nargs; k++)
        collect_names(b, block, e->arg[k], own, l);
}

const char *const *
graph_names(struct graph_build *b, int block, const struct ast_expr *const *e, int n)
{
    struct name_list l = {0};
    l.at = arena_grow(b->base->arena, NULL, 0, 1, &l.cap, sizeof *l.at);
    for (int k = 0; k < n; k++)
        collect_names(b, block, e[k], NULL, &l);
    l.at[l.n] = NULL;
    return l.at;
}

struct sema *
graph_sema(struct graph_build *b, int block, const char *const *names)
{
    const struct sema *base = b->base;
    struct sema *s = ARENA_NEW(base->arena, struct sema);
    *s = (struct sema){.arena = base->arena, .src = base->src, .diag = base->diag,
                       .syntax_errors = base->syntax_errors};
    s->f = ir_func_new(base->arena, b->g->shell->name);
    s->f->type = b->g->shell->type;
    s->f->acc = b->g->shell->acc;
    for (; *names; names++) {
        const struct ast_stmt *st = graph_definition(b, block, *names);
        if (!st)
            continue;
        s->defs = arena_grow(s->arena, s->defs, s->ndefs, s->ndefs + 1, &s->cap_defs,
                             sizeof *s->defs);
        s->defs[s->ndefs++] = (struct definition){.stmt = st, .name = st->name};
    }
    return s;
}

/* ---- what is declared ---- */

/* The tensors of an attention that statements may define. */
static bool
is_usual(const char *name)
{
    return !strcmp(name, "q") || !strcmp(name, "k") || !strcmp(name, "v") || !strcmp(name, "out");
}

/* Adds a tensor in sight of a block (-1: of all); NULL after an error. */
static struct graph_tensor *
declare(struct graph_build *b, const char *name, const struct ast_stmt *by, int scope)
{
    span_t at = !by ? nowhere : by->name ? by->name_span : by->span;
    bool own = is_usual(name);
    for (int k = 0; k < b->ntensors; k++)
        if (!strcmp(b->tensor[k].name, name) && b->tensor[k].scope == scope) {
            diag_error(b->base->diag, at, "'%s' is already defined", name);
            return NULL;
        }
    if (!own && scope < 0 && !sema_declare(b->base, name, at))
        return NULL;
    if (b->ntensors == GRAPH_MAX_TENSORS) {
        diag_error(b->base->diag, at, "the program has more than %d tensors and params",
                   GRAPH_MAX_TENSORS);
        return NULL;
    }
    b->tensor[b->ntensors] = (struct graph_tensor){.name = name, .by = by, .scope = scope,
                                                   .param = -1};
    return &b->tensor[b->ntensors++];
}

void
graph_input_dims(struct sema *base, const struct ast_program *p)
{
    for (const struct ast_stmt *st = p->first; st; st = st->next)
        for (uint32_t k = 0; k < st->list.count && st->kind == AST_ST_INPUT; k++) {
            const struct ast_expr *x = st->list.at[k];
            if (x->kind != AST_NAME || sema_dim(base, x->name) >= 0 ||
                !sema_declare(base, x->name, x->span))
                continue;
            if (base->f->ndims == IR_MAX_DIMS) {
                diag_error(base->diag, x->span, "the program has more than %d dimensions",
                           IR_MAX_DIMS);
                return;
            }
            ir_dim_add(base->f, x->name, 0);
        }
}

/* input x[b, n, F] */
static void
declare_input(struct graph_build *b, const struct ast_stmt *st)
{
    struct ir_func *shell = b->g->shell;
    struct ir_param p = {.name = st->name, .span = st->span, .role = PARAM_INPUT};
    struct graph_tensor *t = declare(b, st->name, st, -1);
    if (!t)
        return;
    if (st->list.count > IR_MAX_RANK) {
        diag_error(b->base->diag, st->span, "%s has %u indexes, the limit is %d", st->name,
                   st->list.count, IR_MAX_RANK);
        return;
    }
    for (uint32_t k = 0; k < st->list.count; k++) {
        const struct ast_expr *x = st->list.at[k];
        int d = x->kind == AST_NAME ? sema_dim(b->base, x->name) : -1;
        if (x->kind != AST_NAME)
            diag_error(b->base->diag, x->span, "the indexes of an input are dimensions");
        p.dims[p.rank++] = (uint16_t)(d < 0 ? DIM_D : d);
    }
    t->param = (int)ir_param_add(shell, &p);
}

/* Tensors in the order of a call: inputs, outputs (of sizes that are known later), params. */
static void
declare_arguments(struct graph_build *b)
{
    const struct ast_program *p = b->program;
    struct ir_func *shell = b->g->shell;
    for (const struct ast_stmt *st = p->first; st; st = st->next)
        if (st->kind == AST_ST_INPUT)
            declare_input(b, st);
    for (const struct ast_stmt *st = p->first; st; st = st->next) {
        const char *name = st->name ? st->name : "out";
        if (st->kind != AST_ST_OUTPUT)
            continue;
        struct graph_tensor *t = declare(b, name, st, -1);
        struct ir_param out = {.name = name, .span = st->span, .role = PARAM_OUTPUT};
        if (t)
            ir_param_add(shell, &out);
    }
    sema_judge(b->base, p, AST_ST_PARAM);
    for (uint32_t k = 0; k < shell->nparams; k++)
        if (shell->params[k].role == PARAM_GIVEN && b->ntensors < GRAPH_MAX_TENSORS)
            b->tensor[b->ntensors++] = (struct graph_tensor){
                .name = shell->params[k].name, .scope = -1, .param = (int)k};
}

/* Statements that belong to one attention. */
bool
graph_is_part(const struct ast_stmt *st)
{
    static const uint8_t parts[] = {AST_ST_SIM, AST_ST_MASK, AST_ST_CAUSAL, AST_ST_WINDOW,
                                    AST_ST_NORMALIZE, AST_ST_KERNELIZE, AST_ST_ASSERT};
    for (size_t k = 0; k < sizeof parts; k++)
        if (st->kind == parts[k])
            return true;
    return false;
}

/* Definitions and dims that nothing reads are judged nowhere, but their names count. */
static void
declare_definitions(struct graph_build *b)
{
    struct sema *s = b->base;
    for (const struct ast_stmt *st = b->program->first; st; st = st->next) {
        if (st->kind != AST_ST_LET || !sema_declare(s, st->name, st->name_span))
            continue;
        s->defs = arena_grow(s->arena, s->defs, s->ndefs, s->ndefs + 1, &s->cap_defs,
                             sizeof *s->defs);
        s->defs[s->ndefs++] = (struct definition){.stmt = st, .name = st->name};
    }
}

/* Those of a block: by other names than all that is outside, and than each other. */
static void
declare_block_definitions(struct graph_build *b, const struct ast_program *p)
{
    for (const struct ast_stmt *st = p->first; st; st = st->next) {
        if (st->kind != AST_ST_LET || !sema_declare(b->base, st->name, st->name_span))
            continue;
        for (const struct ast_stmt *x = p->first; x; x = x->next) {
            bool other = x->kind == AST_ST_INDEXED ||
                         (x->kind == AST_ST_LET && x->name_span.beg < st->name_span.beg);
            if (other && !strcmp(x->name, st->name))
                diag_error(b->base->diag, st->name_span, "the name '%s' is already defined",
                           st->name);
        }
    }
}

/* What statements and attentions define. */
static void
declare_results(struct graph_build *b)
{
    const struct ast_stmt *part = NULL;
    bool sim = false;
    for (const struct ast_stmt *st = b->program->first; st; st = st->next) {
        if (st->kind == AST_ST_INDEXED)
            declare(b, st->name, st, -1);
        if (st->kind == AST_ST_ATTENTION && st->block && b->nblocks == GRAPH_MAX_STAGES / 2) {
            diag_error(b->base->diag, st->span, "more than %d attentions", GRAPH_MAX_STAGES / 2);
        } else if (st->kind == AST_ST_ATTENTION && st->block) {
            if (is_usual(st->name))
                diag_error(b->base->diag, st->name_span, "the name '%s' has a meaning of its own",
                           st->name);
            declare(b, st->name, st, -1);
            b->block[b->nblocks++] = (struct graph_block){st->name, st->block, st};
        }
        part = graph_is_part(st) && !part ? st : part;
        sim = sim || st->kind == AST_ST_SIM;
    }
    for (int k = 0; k < b->nblocks; k++)
        for (const struct ast_stmt *st = b->block[k].body->first; st; st = st->next) {
            if (st->kind == AST_ST_INDEXED)
                declare(b, st->name, st, k);
            else if (!graph_is_part(st) && st->kind != AST_ST_LET)
                diag_error(b->base->diag, st->span,
                           "%s belongs outside the attentions: it is for all of the program",
                           ast_stmt_text[st->kind]);
        }
    for (int k = 0; k < b->nblocks; k++)
        declare_block_definitions(b, b->block[k].body);
    if (sim && graph_find(b, "out", -1)) {
        diag_error(b->base->diag, graph_find(b, "out", -1)->by->span,
                   "'out' is what the sim outside all blocks makes; give this another name");
    } else if (sim) {
        declare(b, "out", NULL, -1);
        b->block[b->nblocks++] = (struct graph_block){"out", b->program, part};
    } else if (part) {
        diag_error(b->base->diag, part->span,
                   "this belongs to no attention: the program has no sim outside its blocks");
    }
}

/* ---- stages ---- */

/* True after reporting that there is no room for another stage. */
bool
graph_is_full(struct graph_build *b, span_t at)
{
    if (b->g->nstages < GRAPH_MAX_STAGES)
        return false;
    if (!b->base->too_large)
        diag_error(b->base->diag, at, "the program has more than %d statements and attentions",
                   GRAPH_MAX_STAGES);
    return b->base->too_large = true;
}

struct graph_stage *
graph_new_stage(struct graph_build *b, const char *name, span_t at)
{
    if (graph_is_full(b, at))
        return NULL;
    struct graph_stage *s = ARENA_NEW(b->base->arena, struct graph_stage);
    *s = (struct graph_stage){.name = name, .span = at};
    for (int k = 0; k < GRAPH_MAX_ARGS; k++)
        s->tensor[k] = -1;
    return s;
}

/* The param of the shell that holds a result; outputs have theirs already. */
int
graph_result_param(struct graph_build *b, struct graph_tensor *t, const uint16_t *dims, int rank)
{
    struct ir_func *shell = b->g->shell;
    bool output = t->by && t->by->kind == AST_ST_OUTPUT;
    const char *name = t->scope < 0 ? t->name
                                    : arena_printf(b->base->arena, "%s.%s",
                                                   b->block[t->scope].name, t->name);
    int p = output ? ir_param_find(shell, t->name) : -1;
    if (p < 0) {
        struct ir_param x = {.name = name, .span = t->by ? t->by->span : nowhere,
                             .role = PARAM_BETWEEN};
        p = (int)ir_param_add(shell, &x);
    }
    shell->params[p].rank = (uint8_t)rank;
    memcpy(shell->params[p].dims, dims, sizeof *dims * (size_t)rank);
    return p;
}

void
graph_finish_stage(struct graph_build *b, struct graph_stage *s, int param)
{
    struct graph *g = b->g;
    if (graph_is_full(b, s->span)) { /* by what it was made of */
        ir_func_free(s->f);
        return;
    }
    s->tensor[3] = (int16_t)param;
    s->f->name = arena_printf(b->base->arena, "%s_%s", g->shell->name, s->name);
    for (char *c = (char *)(uintptr_t)s->f->name; *c; c++)
        *c = *c == '.' ? '_' : *c;
    g->stage[g->nstages++] = s;
}

static int
make_indexed(struct graph_build *b, struct graph_tensor *t)
{
    uint16_t dims[IR_MAX_RANK];
    int rank, same, block = t->scope;
    struct graph_stage *s = graph_new_stage(b, t->name, t->by->span);
    if (!s || !graph_index_stage(b, t->by, block, s, dims, &rank, &same))
        return -1;
    if (same >= 0 && t->by->kind != AST_ST_OUTPUT) {
        ir_func_free(s->f);
        return same;
    }
    int p = graph_result_param(b, t, dims, rank);
    s->name = b->g->shell->params[p].name;
    graph_finish_stage(b, s, p);
    return p;
}

/* The number of the attention that makes a tensor; -1: none does. */
static int
block_that_makes(const struct graph_build *b, const struct graph_tensor *t)
{
    for (int k = 0; k < b->nblocks; k++)
        if (t->scope < 0 && !strcmp(b->block[k].name, t->name) &&
            (!t->by || t->by->kind == AST_ST_ATTENTION))
            return k;
    return -1;
}

void
graph_circle(struct graph_build *b, const struct graph_tensor *t)
{
    int block = block_that_makes(b, t);
    const struct ast_stmt *at = t->lse_of    ? t->lse_of->at
                                : block >= 0 ? b->block[block].at
                                             : t->by;
    diag_error(b->base->diag, at->span, "'%s' is defined by itself: what it is made of needs it",
               t->name);
}

int
graph_make(struct graph_build *b, struct graph_tensor *t)
{
    int before = b->base->diag->errors;
    if (t->param >= 0)
        return t->param;
    if (t->active) {
        graph_circle(b, t);
        return -1;
    }
    t->active = true;
    int block = block_that_makes(b, t);
    int p = t->lse_of    ? graph_make_lse(b, t)
            : block >= 0 ? graph_make_attention(b, t, block)
                         : make_indexed(b, t);
    t->param = p;
    return b->base->diag->errors > before ? -1 : p;
}

/* ---- the program ---- */

/* q, k and v that nothing defines are inputs of the usual shapes. */
static void
usual_inputs(struct graph_build *b)
{
    static const struct {
        const char *name;
        uint16_t dims[4];
    } usual[3] = {{"q", {DIM_B, DIM_H, DIM_NQ, DIM_D}}, {"k", {DIM_B, DIM_G, DIM_N, DIM_D}},
                  {"v", {DIM_B, DIM_G, DIM_N, DIM_M}}};
    for (int i = 0; i < 3 && b->nblocks; i++) {
        bool needed = false;
        for (int k = 0; k < b->nblocks; k++)
            needed = needed ||
                     !graph_find(b, usual[i].name, b->block[k].body == b->program ? -1 : k);
        struct graph_tensor *t = needed ? declare(b, usual[i].name, NULL, -1) : NULL;
        if (!t)
            continue;
        struct ir_param p = {.name = usual[i].name, .role = PARAM_INPUT, .rank = 4};
        memcpy(p.dims, usual[i].dims, sizeof usual[i].dims);
        t->param = (int)ir_param_add(b->g->shell, &p);
    }
}

/* Without an output statement, the result of the attention outside all blocks is one. */
static void
usual_output(struct graph_build *b)
{
    struct graph_tensor *t = graph_find(b, "out", -1);
    for (const struct ast_stmt *st = b->program->first; st; st = st->next)
        if (st->kind == AST_ST_OUTPUT)
            return;
    if (!t || t->param < 0)
        diag_error(b->base->diag, nowhere,
                   "the program has no output, e.g. output y[b,i,f] = out[b,h,i,m] * Wo[h,m,f];");
    else
        b->g->shell->params[t->param].role = PARAM_OUTPUT;
}

/* Every param that is a result in between goes after the arguments, outputs before the params that
 * are given: renumbers what refers to them. */
static void
order_params(struct graph_build *b)
{
    static const uint8_t rank_of[] = {[PARAM_INPUT] = 0, [PARAM_OUTPUT] = 1, [PARAM_GIVEN] = 2,
                                      [PARAM_BETWEEN] = 3};
    struct ir_func *shell = b->g->shell;
    uint32_t n = shell->nparams, at = 0;
    struct ir_param *sorted = ARENA_ARRAY(shell->arena, struct ir_param, n + 1);
    int16_t *now = ARENA_ARRAY(shell->arena, int16_t, n + 1);
    for (int r = 0; r < 4; r++)
        for (uint32_t k = 0; k < n; k++)
            if (rank_of[shell->params[k].role] == r) {
                now[k] = (int16_t)at;
                sorted[at++] = shell->params[k];
            }
    memcpy(shell->params, sorted, n * sizeof *sorted);
    for (int s = 0; s < b->g->nstages; s++) {
        struct graph_stage *x = b->g->stage[s];
        for (int k = 0; k < GRAPH_MAX_ARGS; k++)
            x->tensor[k] = (int16_t)(x->tensor[k] < 0 ? -1 : now[x->tensor[k]]);
        for (uint32_t k = 0; k < ir_param_count(x->f, false); k++)
            x->scalar[k] = now[x->scalar[k]];
    }
}

/* True if an argument of the call tells the size of a dim. */
static bool
is_told(const struct ir_func *shell, uint16_t dim)
{
    bool tokens = ir_is_tokens(dim); /* of which one follows the other */
    for (uint32_t p = 0; p < shell->nparams; p++) {
        const struct ir_param *x = &shell->params[p];
        bool given = x->role == PARAM_INPUT || x->role == PARAM_GIVEN;
        for (int k = 0; k < x->rank && given; k++)
            if (x->dims[k] == dim || (tokens && ir_is_tokens(x->dims[k])))
                return true;
    }
    return shell->dims[dim].size > 0;
}

/* Sizes that a function reads as numbers must be known in a call. */
static void
check_numbers(struct graph_build *b, const struct graph_stage *s)
{
    const struct ir_func *shell = b->g->shell;
    const bool *live = ir_live(s->f, b->base->arena);
    for (ir_ref n = 1; n < s->f->nnodes; n++) {
        const struct ir_node *x = &s->f->nodes[n];
        int dim = x->op == IR_dim && live[n] ? s->dim[x->attr.id] : -1;
        if (dim >= 0 && !is_told(shell, (uint16_t)dim))
            diag_error(b->base->diag, x->span,
                       "no input or param tells the size of %s; fix it: dim %s = ...;",
                       shell->dims[dim].name, shell->dims[dim].name);
    }
}

static void
check_sizes(struct graph_build *b)
{
    uint32_t tensors = ir_param_count(b->g->shell, true);
    for (int k = 0; k < b->g->nstages; k++)
        check_numbers(b, b->g->stage[k]);
    if (tensors > GRAPH_MAX_ARGS)
        diag_error(b->base->diag, nowhere,
                   "the program has %u tensors, with those in between; the limit is %d", tensors,
                   GRAPH_MAX_ARGS);
}

bool
graph_is(const struct ast_program *p)
{
    for (const struct ast_stmt *st = p->first; st; st = st->next)
        if (st->kind == AST_ST_INPUT || st->kind == AST_ST_OUTPUT || st->kind == AST_ST_INDEXED ||
            st->block)
            return true;
    return false;
}

struct graph *
graph_compile(struct sema *base, const struct ast_program *p, struct asserts *asserts)
{
    struct graph_build *b = ARENA_NEW(base->arena, struct graph_build);
    struct diag *d = base->diag;
    *b = (struct graph_build){.base = base, .program = p, .asserts = asserts};
    b->g = ARENA_NEW(base->arena, struct graph);
    *b->g = (struct graph){.shell = base->f};
    declare_arguments(b);
    declare_definitions(b);
    declare_results(b);
    if (!d->errors)
        usual_inputs(b);
    for (int k = 0; k < b->ntensors && !d->errors; k++)
        if (!b->tensor[k].lse_of)
            graph_make(b, &b->tensor[k]);
    if (!d->errors)
        usual_output(b);
    if (!d->errors)
        check_sizes(b);
    if (d->errors)
        return NULL;
    order_params(b);
    return b->g;
}
