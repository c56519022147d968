/* State shared by the lexer and the parser of one compilation. */
#ifndef ATTNC_FRONTEND_PARSE_H
#define ATTNC_FRONTEND_PARSE_H

#include "frontend/ast.h"

struct ast_parser {
    struct arena *arena;
    const struct source *src;
    struct diag *diag;
    struct ast_program *program;
    uint32_t pos;            /* bytes consumed */
    bool at_start;           /* the next token begins a statement */
    span_t word;             /* what the statement begins with, if that is no keyword */
    span_t last;             /* the token before the current one */
    span_t current;
    span_t open[AST_MAX_NESTING]; /* brackets that wait for their end, outermost first */
    int nesting;
    bool nesting_reported, depth_reported; /* in this statement */
};

/* The lexer and parser over p->src; the driver in section 3 of lexer.l. */
void ast_scan_and_parse(struct ast_parser *p);

/* Canonical form of a name: Greek letters spelled out. */
char *ast_canonical(struct arena *a, const char *text, size_t len);

/* Reports that an expression is too deep, once per statement. */
void ast_too_deep(struct ast_parser *p, span_t at);

/* The source text of a span, shortened for a message. */
const char *ast_quote(struct arena *a, const struct source *src, span_t at);

#endif
