/* From source text to the axis IR: lexer, parser, sema, lower. */
#ifndef ATTNC_FRONTEND_FRONTEND_H
#define ATTNC_FRONTEND_FRONTEND_H

#include "ir/ir.h"

/* -D NAME=INT from the command line. */
struct dim_override {
    const char *name;
    int64_t size;
};

/* Compiles src (already loaded) to a function in arena a, or returns NULL after reporting at least
 * one error to d. stem is the default kernel name (the file's stem, made an identifier).
 * asserts are collected in *asserts and proven by the caller after lowering. */
struct assertion {
    ir_ref l, r;
    span_t span;
};
struct asserts {
    struct assertion *at;
    uint32_t count;
};
struct ir_func *frontend_compile(struct arena *a, const struct source *src, const char *stem,
                                 const struct dim_override *dims, int ndims, struct diag *d,
                                 struct asserts *asserts);

/* --emit=ast: the parsed program, one statement a line, fully parenthesised. NULL after errors. */
bool frontend_print_ast(struct arena *a, const struct source *src, struct diag *d, struct str *out);

#endif
