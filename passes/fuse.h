/* Attentions of one program that read the same keys or values, as one kernel: it goes with all of
 * them through a tile of keys before it goes on to the next, so what they share is loaded once, and
 * kept once where tokens come one by one. Where masks leave different ranges of keys, loops stay
 * two and only what is kept is shared.
 *
 * The stages of a program stay what it means: proofs, costs and the reference are theirs. What is
 * fused is how they run. Both are streamed already, over the same batches, heads and tokens, and
 * neither reads the other, so any order of their statements is right. */
#ifndef ATTNC_PASSES_FUSE_H
#define ATTNC_PASSES_FUSE_H

#include "ir/graph.h"
#include "ir/tile.h"

/* What the second of two finds done by the first: nodes that are computed, and tensor arguments
 * (numbered as in ir/tile.h) that are read where it would read them; kept: that both read, so that
 * a cache of keys and values has them. */
struct fuse_done {
    const bool *node;
    bool read[GRAPH_MAX_ARGS], kept[GRAPH_MAX_ARGS];
};

/* A program as it is generated. */
struct fusion {
    struct graph *graph;                      /* its stages, of which some are one */
    struct tile_prog *prog[GRAPH_MAX_STAGES]; /* per stage of graph: what runs it, if fused */
    int from[GRAPH_MAX_STAGES];               /* else which stage of the program it is */
    int into[GRAPH_MAX_STAGES];               /* per stage of the program: that of graph */
    struct fuse_done done[GRAPH_MAX_STAGES];  /* per stage of the program, in its own numbers */
};

/* Fuses what can be. prog: per stage of g how it runs, NULL if it must stay by itself; steps: the
 * program runs token by token, too. */
void fuse_stages(struct arena *a, const struct graph *g, struct tile_prog *const *prog, bool steps,
                 struct fusion *out);
void fuse_free(struct fusion *f);

/* ---- inside: a function and its program as part of another one ---- */

struct graft {
    const struct ir_func *from;
    struct ir_func *to;
    uint16_t dim[IR_MAX_DIMS];                /* per dim of from */
    uint32_t arg[GRAPH_MAX_ARGS];             /* per tensor argument of from */
    uint32_t *scalar;                         /* per param of from that is a number: the param */
    uint8_t axis[IR_MAX_AXES];                /* per axis of from */
    ir_ref *node;                             /* per node of from; 0: none */
};

/* The axes of from, and the nodes that a program of it evaluates, as those of to. False if to has
 * no room for more axes. dim, arg and scalar are known. (fuse_graft.c) */
bool graft_nodes(struct graft *g, const struct tile_prog *of);
/* The buffers and statements of a program as those of p, a program of g->to. */
struct tile_stmt *graft_body(const struct graft *g, const struct tile_prog *of,
                             struct tile_prog *p);

/* Two lists of phases of p as its body: the second's buffers are those from `second` on. Loops that
 * run over the same become one, and of statements that fill buffers with the same, one is left.
 * Marked are, of p->func, the nodes that the second finds done, and the arguments that it still
 * reads by itself. (fuse_loops.c) */
void fuse_bodies(struct tile_prog *p, struct tile_stmt *one, struct tile_stmt *two,
                 uint32_t second, bool *done, bool *again);

#endif
