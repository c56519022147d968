/* Inside sema: programs of several stages (ir/graph.h), while they are put together. */
#ifndef ATTNC_FRONTEND_GRAPH_H
#define ATTNC_FRONTEND_GRAPH_H

#include "frontend/sema.h"
#include "ir/graph.h"

enum { GRAPH_MAX_TENSORS = 192, INDEX_MAX = 12 };

/* A tensor of the program: an input, a param, or what a statement or an attention defines. */
struct graph_tensor {
    const char *name;
    const struct ast_stmt *by;   /* the statement, or block, that declares or defines it */
    int scope;                   /* the number of the block it belongs to; -1: all of the program */
    int param;                   /* of the shell; -1: not made yet */
    bool active;                 /* its definition is being judged: meeting it again is a circle */
    const struct graph_block *lse_of; /* the attention whose row sums it has the logarithms of */
};

/* The statements of one attention: a block, or those outside all blocks. */
struct graph_block {
    const char *name;            /* of its result */
    const struct ast_program *body;
    const struct ast_stmt *at;
};

struct graph_build {
    struct graph *g;
    struct sema *base;           /* judges what belongs to the shell: arena, source, diagnostics */
    const struct ast_program *program;
    struct graph_tensor tensor[GRAPH_MAX_TENSORS];
    int ntensors;
    struct graph_block block[GRAPH_MAX_STAGES];
    int nblocks;
    struct asserts *asserts;     /* of each stage */
};

/* The indexes of one statement: what its function calls them, and what they run over. */
struct index_scope {
    struct graph_build *b;
    int block;                   /* whose tensors are in sight */
    const char *name[INDEX_MAX];
    uint8_t axis[INDEX_MAX];
    int dim[INDEX_MAX];          /* of the shell; -1: not known yet */
    int counts[INDEX_MAX];       /* the dim whose entries an index of the result counts within a
                                  * computed index, plus 1; 0: none, -1: several */
    int n, left;                 /* the first `left` are those of the result */
    struct graph_stage *stage;
    bool one_column;             /* the last index of the result is that of rows */
    bool last_counts;            /* that one is used as a number, which only rows can be */
    struct { ir_ref node; ir_axes axes; } *closed; /* values that were summed where named */
    int nclosed, placed;         /* placed: how much work it was so far */
    size_t cap_closed, cap_products;
    struct { ir_axes axes; bool known; } *products; /* per node, see index.c */
    uint32_t nproducts;
    int whole;                   /* rank of tensors that are named without indexes; 0: none */
    struct { ir_ref at; int dim; uint16_t own; } *computed; /* indexes that are no names */
    int ncomputed;
    size_t cap_computed;
};

/* The tensor of that name in sight of a block, or NULL. */
struct graph_tensor *graph_find(struct graph_build *b, const char *name, int block);
/* Its number among the shell's params, after what defines it was judged; -1 after an error. */
int graph_make(struct graph_build *b, struct graph_tensor *t);
/* Reports a tensor that is defined by itself. */
void graph_circle(struct graph_build *b, const struct graph_tensor *t);
/* The statement `name[...] = expr` as a stage; its tensor's dims in dims; in *same the param of the
 * shell that holds all of it already, or -1. False after errors. */
bool graph_index_stage(struct graph_build *b, const struct ast_stmt *st, int block,
                       struct graph_stage *stage, uint16_t *dims, int *rank, int *same);
/* graph_same.c: that param, of a stage whose result runs over these axes and dims: a tensor that it
 * repeats, or what another stage computes by the same function of the same tensors. */
int graph_same(const struct graph_build *b, const struct graph_stage *s, const uint8_t *axes,
               const uint16_t *dims, int rank);
/* Sema for a function of its own over the statements in sight of a block; names: those whose
 * definitions and params are wanted (NULL ends). */
struct sema *graph_sema(struct graph_build *b, int block, const char *const *names);
/* All names that an expression reaches, through definitions in sight: an arena list, NULL ends. */
const char *const *graph_names(struct graph_build *b, int block, const struct ast_expr *const *e,
                               int n);
/* A stage's dims as those of the shell of the same name. */
void graph_map_dims(const struct graph_build *b, struct graph_stage *s);

/* The statement that defines a name in sight of a block, or NULL. */
const struct ast_stmt *graph_definition(struct graph_build *b, int block, const char *name);
/* True for statements that belong to one attention. */
bool graph_is_part(const struct ast_stmt *st);
/* True after reporting that there is no room for another stage. */
bool graph_is_full(struct graph_build *b, span_t at);
/* An empty stage, NULL if there is no room; its result among the shell's params (outputs have
 * theirs already); the stage, complete, as the next to run. */
struct graph_stage *graph_new_stage(struct graph_build *b, const char *name, span_t at);
int graph_result_param(struct graph_build *b, struct graph_tensor *t, const uint16_t *dims,
                       int rank);
void graph_finish_stage(struct graph_build *b, struct graph_stage *s, int param);
/* graph_attention.c: the stage of a block, and its result as graph_make. */
int graph_make_attention(struct graph_build *b, struct graph_tensor *t, int block);

/* graph_lse.c: a name that nothing else in sight of a block has as NAME_lse of an attention NAME,
 * or NULL; that tensor, as graph_make. */
struct graph_tensor *graph_find_lse(struct graph_build *b, const char *name, int block);
int graph_make_lse(struct graph_build *b, struct graph_tensor *t);

/* index.c: names and tensors within index notation. */
bool index_name(struct sema *s, const struct ast_expr *e, struct value *out);
struct value index_tensor(struct sema *s, const struct ast_expr *e);
/* The number of the index of that name in its scope, or -1. */
int index_find(const struct index_scope *x, const char *name);
/* index_order.c: argmax and its like, along an index that is named. */
struct value index_order(struct sema *s, const struct ast_expr *e, const struct sema_function *fn);
/* A number of the statement as the vector along the last index of its result, for functions of
 * vectors; reports if there is none. */
struct value index_vector(struct sema *s, const struct ast_expr *e, struct value v);
/* index_sums.c: the right side n of a statement, summed over all indexes not on its left. */
ir_ref index_place(struct sema *s, ir_ref n);
/* The value of a definition, or of the argument of a function, within a statement: products in it
 * are summed in it. */
struct value index_argument(struct sema *s, struct value v);


#endif
