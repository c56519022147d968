/* An attention among the stages of a program: what its dims and params stand for. */
#include "frontend/graph.h"

#include <string.h>

/* Gives a dim of an attention the name and size of the shell's that it stands for. */
static void
stand_for(struct ir_func *f, struct graph_stage *s, const struct ir_func *shell, int own, int dim)
{
    const char *name = shell->dims[dim].name;
    s->dim[own] = (int16_t)dim;
    f->dims[own].size = shell->dims[dim].size;
    int taken = ir_dim_find(f, name);
    if (taken < 0 || taken == own)
        f->dims[own].name = name;
}

/* The dims of q, k and v are those of the attention; all others of the shell come after them. */
static bool
attention_dims(struct graph_build *b, struct ir_func *f, struct graph_stage *s, const int qkv[3],
               span_t at)
{
    static const char *const names[3] = {"q", "k", "v"};
    static const uint16_t own[3][4] = {{DIM_B, DIM_H, DIM_NQ, DIM_D},
                                       {DIM_B, DIM_G, DIM_N, DIM_D},
                                       {DIM_B, DIM_G, DIM_N, DIM_M}};
    static const uint8_t order[] = {1, 2, 0}; /* n is that of the keys */
    const struct ir_func *shell = b->g->shell;
    for (int k = 0; k < IR_MAX_DIMS; k++)
        s->dim[k] = -1;
    for (int k = 0; k < DIM_USER; k++)
        f->dims[k].name = arena_printf(f->arena, "_%s", f->dims[k].name);
    for (int i = 0; i < 3; i++) {
        const struct ir_param *x = &shell->params[qkv[order[i]]];
        bool keys = order[i] > 0, one_head = keys && x->rank == 3;
        if (x->rank != 4 && !one_head) {
            diag_error(b->base->diag, at, "%s has %d indexes; that of an attention has 4: batch, "
                       "head, token, entry%s", names[order[i]], x->rank,
                       keys ? "; or 3, without a head" : "");
            return false;
        }
        if (order[i] == 2 && x->rank != shell->params[qkv[1]].rank) {
            diag_error(b->base->diag, at, "k has %d indexes, v has %d: both have heads, or neither",
                       shell->params[qkv[1]].rank, x->rank);
            return false;
        }
        for (int a = 0; a < x->rank; a++) {
            int d = own[order[i]][a + (one_head && a > 0)];
            if (s->dim[d] < 0)
                stand_for(f, s, shell, d, x->dims[a]);
            else if (s->dim[d] != (int)x->dims[a]) {
                diag_error(b->base->diag, at, "%s runs over %s where k runs over %s",
                           names[order[i]], shell->dims[x->dims[a]].name,
                           shell->dims[s->dim[d]].name);
                return false;
            }
        }
    }
    if (s->dim[DIM_G] < 0)
        f->dims[DIM_G].size = 1;
    for (int k = 0; k < DIM_USER; k++) /* those that stand for one that has its name already */
        if (f->dims[k].name[0] == '_' && ir_dim_find(f, f->dims[k].name + 1) < 0)
            f->dims[k].name++;
    return true;
}

/* A dim of the shell that q, k and v do not have. */
static uint16_t
further_dim(struct ir_func *f, struct graph_stage *s, const struct ir_func *shell, uint32_t dim)
{
    const char *name = shell->dims[dim].name;
    while (ir_dim_find(f, name) >= 0)
        name = arena_printf(f->arena, "%s'", name);
    uint16_t own = ir_dim_add(f, name, shell->dims[dim].size);
    s->dim[own] = (int16_t)dim;
    return own;
}

/* Those that the attention's expressions name. */
static void
named_dims(struct ir_func *f, struct graph_stage *s, const struct ir_func *shell,
           const char *const *names)
{
    for (; *names; names++) {
        int dim = ir_dim_find(shell, *names);
        if (dim >= 0 && ir_dim_find(f, *names) < 0 && f->ndims < IR_MAX_DIMS)
            further_dim(f, s, shell, (uint32_t)dim);
    }
}

/* The dim of an attention that stands for one of the shell: of keys, where queries have it too. */
static uint16_t
own_dim(struct graph_stage *s, struct ir_func *f, const struct ir_func *shell, uint16_t dim)
{
    static const uint8_t first[] = {DIM_N, DIM_B, DIM_H, DIM_D};
    for (size_t k = 0; k < sizeof first; k++)
        if (s->dim[first[k]] == (int)dim)
            return first[k];
    for (uint32_t k = 0; k < f->ndims; k++)
        if (s->dim[k] == (int)dim)
            return (uint16_t)k;
    return f->ndims < IR_MAX_DIMS ? further_dim(f, s, shell, dim) : DIM_D;
}

/* Params, inputs and results of statements that the attention's expressions name. */
static bool
attention_params(struct graph_build *b, struct sema *s, struct graph_stage *stage, int block,
                 const char *const *names)
{
    int tensors = 4, scalars = 0;
    for (; *names; names++) {
        struct graph_tensor *t = graph_find(b, *names, block);
        bool own = !strcmp(*names, "q") || !strcmp(*names, "k") || !strcmp(*names, "v");
        if (!t || own || graph_definition(b, block, *names))
            continue;
        int p = graph_make(b, t);
        if (p < 0)
            return false;
        struct ir_param x = b->g->shell->params[p];
        x.role = PARAM_GIVEN;
        for (int k = 0; k < x.rank; k++)
            x.dims[k] = own_dim(stage, s->f, b->g->shell, x.dims[k]);
        if (tensors == GRAPH_MAX_ARGS || scalars == IR_MAX_SCALARS) {
            diag_error(b->base->diag, x.span, "the attention reads more than %d tensors",
                       IR_MAX_TENSORS);
            return false;
        }
        *(x.rank ? &stage->tensor[tensors++] : &stage->scalar[scalars++]) = (int16_t)p;
        x.name = *names;
        ir_param_add(s->f, &x);
    }
    return true;
}

int
graph_make_attention(struct graph_build *b, struct graph_tensor *t, int block)
{
    const struct graph_block *at = &b->block[block];
    const struct ast_expr **e = NULL;
    size_t cap = 0;
    int n = 0, qkv[3], scope = at->body == b->program ? -1 : block;
    static const char *const inputs[3] = {"q", "k", "v"};
    struct graph_stage *stage = graph_new_stage(b, t->name, at->at->span);
    for (const struct ast_stmt *st = at->body->first; st; st = st->next) {
        bool weights = st->kind == AST_ST_KERNELIZE && st->list.count; /* kernelize random(W) */
        if (!graph_is_part(st) || (!st->expr && !weights))
            continue;
        e = arena_grow(b->base->arena, e, (size_t)n, (size_t)n + 1, &cap, sizeof *e);
        e[n++] = weights ? st->list.at[0] : st->expr;
    }
    for (int k = 0; k < 3; k++) {
        struct graph_tensor *x = graph_find(b, inputs[k], scope);
        qkv[k] = x ? graph_make(b, x) : -1;
        if (qkv[k] < 0)
            return -1;
        if (stage)
            stage->tensor[k] = (int16_t)qkv[k];
    }
    const char *const *names = graph_names(b, scope, e, n);
    struct sema *s = graph_sema(b, scope, names);
    if (!stage || !attention_dims(b, s->f, stage, qkv, at->at->span))
        return -1;
    named_dims(s->f, stage, b->g->shell, names);
    if (!attention_params(b, s, stage, scope, names))
        return -1;
    if (graph_is_full(b, at->at->span))
        return -1;
    s->asserts = &b->asserts[b->g->nstages]; /* what it reads may have become stages before it */
    if (!sema_attention(s, at->body, at->at->span))
        return -1;
    stage->f = s->f;
    const uint16_t dims[4] = {(uint16_t)stage->dim[DIM_B], (uint16_t)stage->dim[DIM_H],
                              (uint16_t)stage->dim[DIM_NQ], (uint16_t)stage->dim[DIM_M]};
    int p = graph_result_param(b, t, dims, 4);
    graph_finish_stage(b, stage, p);
    return p;
}
