/* What `explain` says of attentions that run as one: what they read and compute once. */
#include <stdlib.h>

#include "frontend/driver/explain.h"

struct list {
    struct str s;
    int n;
};

static void
put(struct list *l, const char *name)
{
    str_printf(&l->s, "%s%s", l->n++ ? ", " : "", name);
}

/* Marks the tensors of the shell behind the arguments that are marked. */
static void
mark_tensors(const struct graph_stage *s, const bool *args, bool *marked)
{
    for (uint32_t k = 0; k < tile_arg_count(s->f); k++)
        if (args[k] && s->tensor[k] >= 0)
            marked[s->tensor[k]] = true;
}

static void
put_tensors(const struct ir_func *shell, const bool *marked, struct list *l)
{
    for (uint32_t t = 0; t < shell->nparams; t++)
        if (marked[t])
            put(l, shell->params[t].name);
}

static bool
reads_input(const struct ir_func *f, ir_ref n)
{
    bool *below = ir_below(f, n), any = false;
    for (ir_ref k = 1; k <= n; k++)
        any = any || (below[k] && f->nodes[k].op == IR_input);
    free(below);
    return any;
}

/* Values of a query and a key that are computed for another stage too, the outermost of each. */
static void
put_done(const struct ir_func *f, const bool *done, struct list *l)
{
    struct arena *scratch = arena_new();
    bool *inside = ARENA_ARRAY(scratch, bool, f->nnodes);
    for (ir_ref n = f->nnodes - 1; n > 0; n--) {
        const struct ir_node *x = &f->nodes[n];
        if (!done[n] && !inside[n])
            continue;
        for (int k = 0; k < x->nargs; k++)
            inside[x->arg[k]] = true;
        bool pairs = (x->axes >> AX_i & 1) && (x->axes >> AX_j & 1);
        if (inside[n] || !pairs || !reads_input(f, n))
            continue;
        struct str s = {0};
        ir_print_math(f, n, &s);
        put(l, str_text(&s));
        str_free(&s);
    }
    arena_free(scratch);
}

const char *
explain_fused(struct unit *u, int into, const char **names)
{
    const struct graph *g = u->program.graph;
    bool *read = ARENA_ARRAY(u->arena, bool, g->shell->nparams);
    bool *kept = ARENA_ARRAY(u->arena, bool, g->shell->nparams);
    struct list who = {{0}, 0}, reads = {{0}, 0}, keeps = {{0}, 0}, computes = {{0}, 0};
    for (int k = 0; k < g->nstages; k++) {
        const struct fuse_done *done = &u->fusion.done[k];
        bool cached[GRAPH_MAX_ARGS] = {false, done->kept[1], done->kept[2]};
        if (u->fusion.into[k] != into)
            continue;
        put(&who, g->stage[k]->name);
        mark_tensors(g->stage[k], done->read, read);
        mark_tensors(g->stage[k], cached, kept);
        if (done->node)
            put_done(g->stage[k]->f, done->node, &computes);
    }
    for (uint32_t t = 0; t < g->shell->nparams; t++)
        kept[t] = kept[t] && !read[t]; /* what is read once is kept once */
    put_tensors(g->shell, read, &reads);
    put_tensors(g->shell, kept, &keeps);
    *names = arena_strdup(u->arena, str_text(&who.s));
    const char *text = "one kernel: ", *between = "";
    const struct {
        const struct list *l;
        const char *how;
    } parts[] = {{&reads, "read"}, {&computes, "computed"}, {&keeps, "kept"}};
    for (int k = 0; k < 2 + !u->no_step; k++) {
        if (!parts[k].l->n)
            continue;
        text = arena_printf(u->arena, "%s%s%s %s once", text, between, str_text(&parts[k].l->s),
                            parts[k].how);
        between = "; ";
    }
    str_free(&who.s);
    str_free(&reads.s);
    str_free(&keeps.s);
    str_free(&computes.s);
    return text;
}
