/* From source text to the axis IR: lexer, parser, sema, lower. */
#ifndef ATTNC_FRONTEND_FRONTEND_H
#define ATTNC_FRONTEND_FRONTEND_H

#include "ir/graph.h"

/* -D NAME=INT from the command line. */
struct dim_override {
    const char *name;
    int64_t size;
};

struct assertion {
    ir_ref l, r;
    span_t span;
};
struct asserts {
    struct assertion *at;
    uint32_t count;
};

/* What a source means: one attention, func; or a graph of stages, whose shell func is. The
 * assertions of each function: of func alone, or of each stage. */
struct compiled {
    struct ir_func *func;
    struct graph *graph;
    struct asserts asserts[GRAPH_MAX_STAGES];
};

/* Compiles src (already loaded) to functions in arena a; false after reporting at least one error
 * to d. stem is the default kernel name (the file's stem, made an identifier). Assertions are
 * collected and proven by the caller after lowering. */
bool frontend_compile(struct arena *a, const struct source *src, const char *stem,
                      const struct dim_override *dims, int ndims, struct diag *d,
                      struct compiled *out);

/* --emit=ast: the parsed program, one statement a line, fully parenthesised. NULL after errors. */
bool frontend_print_ast(struct arena *a, const struct source *src, struct diag *d, struct str *out);

#endif
