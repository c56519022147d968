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

/* Marks the tensors of the shell that a stage reads; those that were marked, in *again. */
static void
mark_read(const struct graph_stage *s, bool *marked, bool *again)
{
    for (uint32_t k = 0; k < tile_arg_count(s->f); k++) {
        int t = s->tensor[k];
        if (t < 0 || tile_is_output(s->f, k))
            continue;
        again[t] = again[t] || marked[t];
        marked[t] = true;
    }
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
    bool *marked = ARENA_ARRAY(u->arena, bool, g->shell->nparams);
    bool *again = ARENA_ARRAY(u->arena, bool, g->shell->nparams);
    struct list who = {{0}, 0}, reads = {{0}, 0}, computes = {{0}, 0};
    for (int k = 0; k < g->nstages; k++) {
        if (u->fusion.into[k] != into)
            continue;
        put(&who, g->stage[k]->name);
        mark_read(g->stage[k], marked, again);
        if (u->fusion.done[k])
            put_done(g->stage[k]->f, u->fusion.done[k], &computes);
    }
    for (uint32_t t = 0; t < g->shell->nparams; t++)
        if (again[t])
            put(&reads, g->shell->params[t].name);
    *names = arena_strdup(u->arena, str_text(&who.s));
    const char *text = arena_printf(u->arena, "one kernel: %s read once%s%s%s",
                                    str_text(&reads.s), computes.n ? ", " : "",
                                    str_text(&computes.s), computes.n ? " computed once" : "");
    str_free(&who.s);
    str_free(&reads.s);
    str_free(&computes.s);
    return text;
}
