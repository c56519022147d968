/* Which attentions of a program become one kernel, in which order its stages then come, and the
 * function of two of them: the first one's, with the params and dims of the other. */
#include "passes/fuse.h"

#include <string.h>

/* ---- dims and arguments ---- */

/* Batches, heads and tokens of both are the same, and so are their numbers. */
static bool
same_pairs(const struct graph_stage *one, const struct graph_stage *two)
{
    for (int d = 0; d < DIM_D; d++)
        if (one->dim[d] != two->dim[d] || one->f->dims[d].size != two->f->dims[d].size)
            return false;
    return one->f->type == two->f->type && one->f->acc == two->f->acc;
}

static bool
makes_params(const struct ir_func *f)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k].source != SOURCE_GIVEN)
            return true;
    return false;
}

/* A dim of the second as one of the function of both; -1: there is no room. */
static int
graft_dim(struct ir_func *f, struct graph_stage *s, const struct graph_stage *two, int dim)
{
    const struct ir_dim *x = &two->f->dims[dim];
    const char *name = x->name;
    if (dim < DIM_D || (two->dim[dim] >= 0 && s->dim[dim] == two->dim[dim]))
        return dim;
    for (uint32_t k = DIM_D; k < f->ndims && two->dim[dim] >= 0; k++)
        if (s->dim[k] == two->dim[dim])
            return (int)k;
    while (ir_dim_find(f, name) >= 0)
        name = arena_printf(f->arena, "%s'", name);
    if (f->ndims == IR_MAX_DIMS)
        return -1;
    uint16_t own = ir_dim_add(f, name, x->size);
    s->dim[own] = two->dim[dim];
    return own;
}

static const char *
free_param(struct ir_func *f, const char *name)
{
    while (ir_param_find(f, name) >= 0 || tile_arg_find(f, name) >= 0)
        name = arena_printf(f->arena, "%s'", name);
    return name;
}

/* The argument of the function of both that is this tensor of the shell, in the same role and over
 * the same dims; a new one if there is none. -1: there is no room. */
static int
graft_argument(struct graft *g, struct graph_stage *s, const struct ir_func *shell, uint32_t arg,
               int tensor)
{
    struct ir_param x = *tile_arg_decl(g->from, arg);
    uint32_t n = tile_arg_count(g->to);
    for (int k = 0; k < x.rank; k++)
        x.dims[k] = g->dim[x.dims[k]];
    for (uint32_t k = 0; k < n && x.role != PARAM_OUTPUT; k++) {
        const struct ir_param *y = tile_arg_decl(g->to, k);
        if (s->tensor[k] == tensor && y->role == x.role && y->rank == x.rank &&
            !memcmp(y->dims, x.dims, x.rank * sizeof *x.dims))
            return (int)k;
    }
    if (n == GRAPH_MAX_ARGS)
        return -1;
    x.name = free_param(g->to, shell->params[tensor].name);
    x.span = shell->params[tensor].span;
    ir_param_add(g->to, &x);
    s->tensor[n] = (int16_t)tensor;
    return (int)n;
}

static bool
graft_arguments(struct graft *g, struct graph_stage *s, const struct graph_stage *two,
                const struct ir_func *shell)
{
    for (uint32_t k = 0; k < tile_arg_count(g->from); k++) {
        int arg = graft_argument(g, s, shell, k, two->tensor[k]);
        if (arg < 0)
            return false;
        g->arg[k] = (uint32_t)arg;
    }
    return true;
}

/* Params that are numbers. */
static bool
graft_scalars(struct graft *g, struct graph_stage *s, const struct graph_stage *two)
{
    int n = 0;
    g->scalar = ARENA_ARRAY(g->to->arena, uint32_t, g->from->nparams);
    for (uint32_t k = 0; k < g->from->nparams; k++) {
        struct ir_param x = g->from->params[k];
        int of = 0, at = -1;
        if (x.rank)
            continue;
        for (uint32_t i = 0; i < g->to->nparams && at < 0; i++)
            if (!g->to->params[i].rank && s->scalar[of++] == two->scalar[n])
                at = (int)i;
        if (at < 0 && of == IR_MAX_SCALARS)
            return false;
        if (at < 0) {
            x.name = free_param(g->to, x.name);
            at = (int)ir_param_add(g->to, &x);
            s->scalar[of] = two->scalar[n];
        }
        g->scalar[k] = (uint32_t)at;
        n++;
    }
    return true;
}

/* ---- two stages as one ---- */

/* The first function with itself. */
static void
graft_itself(struct graft *g, struct ir_func *f)
{
    *g = (struct graft){.from = f, .to = f, .scalar = ARENA_ARRAY(f->arena, uint32_t, f->nparams),
                        .node = ARENA_ARRAY(f->arena, ir_ref, f->nnodes)};
    for (int k = 0; k < IR_MAX_DIMS; k++)
        g->dim[k] = (uint16_t)k;
    for (uint32_t k = 0; k < GRAPH_MAX_ARGS; k++)
        g->arg[k] = k;
    for (uint32_t k = 0; k < f->nparams; k++)
        g->scalar[k] = k;
    for (uint8_t k = 0; k < IR_MAX_AXES; k++)
        g->axis[k] = k;
    for (ir_ref k = 0; k < f->nnodes; k++)
        g->node[k] = k;
}

static bool
graft_stage(struct graft *g, struct graph_stage *s, const struct graph_stage *two,
            const struct ir_func *shell, const struct tile_prog *of)
{
    *g = (struct graft){.from = two->f, .to = s->f};
    for (uint32_t k = 0; k < two->f->ndims; k++) {
        int dim = graft_dim(s->f, s, two, (int)k);
        if (dim < 0)
            return false;
        g->dim[k] = (uint16_t)dim;
    }
    return graft_arguments(g, s, two, shell) && graft_scalars(g, s, two) && graft_nodes(g, of);
}

static int
count_phases(const struct tile_prog *p)
{
    int n = 0;
    for (const struct tile_stmt *s = p->body; s; s = s->next)
        n++;
    return n;
}

/* Two stages that became one, and how it runs. */
struct both {
    struct graph_stage *stage;
    struct tile_prog *prog;
    struct fuse_done done;     /* in the numbers of the second */
};

/* Attentions that a fused function has. */
static int
count_results(const struct ir_func *f)
{
    int n = 0;
    for (uint32_t k = 0; k < tile_arg_count(f); k++)
        n += tile_arg_decl(f, k)->role == PARAM_OUTPUT && tile_arg_decl(f, k)->rank == 4;
    return n;
}

/* Rows of the second are reported as those of batches that come after the first one's. */
static void
number_reports(struct tile_prog *p, struct tile_stmt *s, int before)
{
    tx_ref ahead = tx_op2(p, TX_MUL, tx_num(p, before), tx_dim(p, DIM_B));
    for (; s; s = s->next) {
        if (s->op == TILE_checkzero)
            s->at[0] = tx_op2(p, TX_ADD, s->at[0], ahead);
        number_reports(p, s->body, before);
    }
}

/* Marks the arguments that a program computes with. */
static void
mark_needed(const struct tile_prog *p, bool *args)
{
    const struct ir_func *f = p->func;
    const bool *live = tile_live(p, p->arena);
    for (ir_ref n = 1; n < f->nnodes; n++) {
        const struct ir_node *x = &f->nodes[n];
        if (live[n] && x->op == IR_input)
            args[x->attr.num] = true;
        else if (live[n] && x->op == IR_param && f->params[x->attr.id].rank)
            args[tile_param_arg(f, x->attr.id)] = true;
    }
}

/* What is done, in the numbers of the second instead of those of both; whether it is worth it:
 * keys or values that are read once, or kept once by a program that has steps. */
static bool
take_done(const struct graft *g, struct tile_prog *const runs[2], const bool *node,
          const bool *again, bool steps, struct fuse_done *own)
{
    bool *own_node = ARENA_ARRAY(g->to->arena, bool, g->from->nnodes), worth = false;
    bool needed[2][GRAPH_MAX_ARGS] = {{false}};
    for (int k = 0; k < 2; k++)
        mark_needed(runs[k], needed[k]);
    for (ir_ref n = 1; n < g->from->nnodes; n++)
        own_node[n] = node[g->node[n]];
    *own = (struct fuse_done){.node = own_node};
    for (uint32_t k = 0; k < tile_arg_count(g->from); k++) {
        const struct ir_param *x = tile_arg_decl(g->from, k);
        own->kept[k] = needed[0][g->arg[k]] && needed[1][k];
        own->read[k] = own->kept[k] && !again[g->arg[k]];
        if (x->role == PARAM_INPUT && x->dims[2] == DIM_N)
            worth = worth || own->read[k] || (steps && own->kept[k]);
    }
    return worth;
}

/* False if there is nothing to share, or no room. */
static bool
fuse_two(struct arena *a, const struct graph *g, const struct graph_stage *one,
         const struct graph_stage *two, struct tile_prog *const runs[2], bool steps,
         struct both *both)
{
    if (!same_pairs(one, two) || makes_params(one->f) || makes_params(two->f))
        return false;
    struct graph_stage *s = both->stage = ARENA_NEW(a, struct graph_stage);
    struct graft itself, other;
    bool again[GRAPH_MAX_ARGS] = {false};
    *s = *one;
    s->f = ir_func_clone(a, one->f);
    s->f->name = arena_printf(a, "%s_%s", one->f->name, two->name);
    s->name = arena_printf(a, "%s, %s", one->name, two->name);
    struct tile_prog *p = both->prog = tile_new(a, s->f, runs[0]->entry, runs[0]->schedule);
    graft_itself(&itself, s->f);
    int before = count_results(s->f);
    bool fused = graft_stage(&other, s, two, g->shell, runs[1]);
    if (fused) { /* buffers get names that no param has by now */
        struct tile_stmt *first = graft_body(&itself, runs[0], p);
        uint32_t second = p->nbufs;
        struct tile_stmt *body = graft_body(&other, runs[1], p);
        number_reports(p, body, before);
        bool *node = ARENA_ARRAY(a, bool, s->f->nnodes);
        fuse_bodies(p, first, body, second, node, again);
        fused = take_done(&other, runs, node, again, steps, &both->done) &&
                count_phases(p) <= TILE_MAX_PHASES;
    }
    if (!fused)
        ir_func_free(s->f);
    return fused;
}

/* ---- the order of stages ---- */

/* True if a stage reads one of the marked tensors of the shell. */
static bool
reads_marked(const struct graph_stage *s, const bool *marked)
{
    for (uint32_t k = 0; k < tile_arg_count(s->f); k++)
        if (!tile_is_output(s->f, k) && s->tensor[k] >= 0 && marked[s->tensor[k]])
            return true;
    return false;
}

static void
mark_results(const struct graph_stage *s, bool *marked)
{
    for (uint32_t k = 0; k < tile_arg_count(s->f); k++)
        if (tile_is_output(s->f, k))
            marked[s->tensor[k]] = true;
}

/* The order in which two stages can be one: those in between that read the first come after. False
 * if the second reads it. order: the stages but the second, the first where both go. */
static bool
order_for(struct arena *a, const struct graph *g, int one, int two, int *order)
{
    bool *marked = ARENA_ARRAY(a, bool, g->shell->nparams);
    int after[GRAPH_MAX_STAGES], n = 0, nafter = 0;
    mark_results(g->stage[one], marked);
    for (int k = 0; k < one; k++)
        order[n++] = k;
    for (int k = one + 1; k < two; k++) {
        if (!reads_marked(g->stage[k], marked)) {
            order[n++] = k;
            continue;
        }
        mark_results(g->stage[k], marked);
        after[nafter++] = k;
    }
    if (reads_marked(g->stage[two], marked))
        return false;
    order[n++] = one;
    for (int k = 0; k < nafter; k++)
        order[n++] = after[k];
    for (int k = two + 1; k < g->nstages; k++)
        order[n++] = k;
    return true;
}

/* ---- a program ---- */

/* How stage k of the graph at hand runs; NULL: by itself. */
static struct tile_prog *
runs(const struct fusion *f, struct tile_prog *const *prog, int k)
{
    return f->prog[k] ? f->prog[k] : prog[f->from[k]];
}

/* Stages one and two become what both are. */
static void
take(struct fusion *f, const int *order, int one, int two, const struct both *both)
{
    const struct fusion old = *f;
    const struct graph before = *f->graph;
    int to[GRAPH_MAX_STAGES];
    f->graph->nstages--;
    for (int k = 0; k < f->graph->nstages; k++) {
        f->graph->stage[k] = order[k] == one ? both->stage : before.stage[order[k]];
        f->prog[k] = order[k] == one ? both->prog : old.prog[order[k]];
        f->from[k] = old.from[order[k]];
        to[order[k]] = k;
    }
    to[two] = to[one];
    if (!old.prog[two])
        f->done[old.from[two]] = both->done; /* else what its stages found done stays */
    for (int k = 0; k < GRAPH_MAX_STAGES; k++)
        f->into[k] = old.into[k] < before.nstages ? to[old.into[k]] : old.into[k];
}

/* The first two that can be one are. */
static bool
fuse_some(struct arena *a, struct fusion *f, struct tile_prog *const *prog, bool steps)
{
    struct graph *g = f->graph;
    for (int one = 0; one < g->nstages; one++) {
        for (int two = one + 1; two < g->nstages && runs(f, prog, one); two++) {
            int order[GRAPH_MAX_STAGES];
            struct both both;
            struct tile_prog *const run[2] = {runs(f, prog, one), runs(f, prog, two)};
            if (!run[1] || !order_for(a, g, one, two, order) ||
                !fuse_two(a, g, g->stage[one], g->stage[two], run, steps, &both))
                continue;
            for (int k = 0; k < 2; k++) /* what was fused before is part of this one */
                if (f->prog[k ? two : one])
                    ir_func_free(g->stage[k ? two : one]->f);
            take(f, order, one, two, &both);
            return true;
        }
    }
    return false;
}

void
fuse_stages(struct arena *a, const struct graph *g, struct tile_prog *const *prog, bool steps,
            struct fusion *out)
{
    *out = (struct fusion){.graph = ARENA_NEW(a, struct graph)};
    *out->graph = *g;
    for (int k = 0; k < GRAPH_MAX_STAGES; k++)
        out->from[k] = out->into[k] = k;
    while (fuse_some(a, out, prog, steps))
        continue;
}

void
fuse_free(struct fusion *f)
{
    for (int k = 0; f->graph && k < f->graph->nstages; k++)
        if (f->prog[k])
            ir_func_free(f->graph->stage[k]->f);
}
