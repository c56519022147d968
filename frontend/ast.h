/* The program as written: statements and expressions with their spans.
 *
 * The tree says nothing about meaning; sema judges it. Names are canonical: a Greek letter is its
 * English name ("φ_q" is "phi_q"), so both spellings are one name; messages quote the source.
 * Everything lives in the arena given to ast_parse. */
#ifndef ATTNC_FRONTEND_AST_H
#define ATTNC_FRONTEND_AST_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/source.h"
#include "ir/base/str.h"

enum {
    AST_MAX_NESTING = 256,    /* open brackets at one place */
    AST_MAX_DEPTH = 1000,     /* operations on the longest path of one expression */
    AST_MAX_NAME = 128,       /* bytes of a canonical name */
    AST_MAX_DIGITS = 300,     /* of one number */
    AST_MAX_EXPONENT = 400    /* of one number, either sign */
};

enum ast_kind {
    AST_BAD,      /* stands for what was already reported */
    AST_NUMBER,   /* name: the digits as written */
    AST_NAME,     /* name */
    AST_CALL,     /* name(arg...) ; √x is sqrt(x) */
    AST_INDEX,    /* name[arg...] */
    AST_NEG,      /* -arg[0] */
    AST_NOT,      /* not arg[0] */
    AST_BINARY,   /* arg[0] op arg[1] */
    AST_COND,     /* arg[0] ? arg[1] : arg[2] */
    AST_CONCAT,   /* [arg...] */
    AST_BARS,     /* |arg[0]| */
    AST_KEYARG    /* name = arg[0], only in arguments of kernelize */
};

enum ast_op {
#define BINOP(id, text, rule, op) AST_OP_##id,
#include "frontend/ast.def"
    AST_OP_COUNT
};
extern const char *const ast_op_text[AST_OP_COUNT];

struct ast_expr {
    uint8_t kind;     /* enum ast_kind */
    uint8_t op;       /* BINARY: enum ast_op */
    bool parens;      /* written in parentheses */
    uint16_t depth;
    uint32_t nargs;
    struct ast_expr **arg;
    const char *name; /* NUMBER NAME CALL INDEX KEYARG */
    span_t name_span; /* CALL INDEX KEYARG: of the name alone */
    span_t span;
};

/* A list under construction; args is an arena array. */
struct ast_list {
    struct ast_expr **at;
    uint32_t count;
    size_t cap;
};

enum ast_stmt_kind {
#define STMT(id, keyword, handler) AST_ST_##id,
#include "frontend/statements.def"
    AST_ST_INDEXED,   /* q[i,h,d] = EXPR; */
    AST_ST_COUNT
};
extern const char *const ast_stmt_text[AST_ST_COUNT]; /* the keyword; "" for INDEXED */

struct ast_stmt {
    uint8_t kind;          /* enum ast_stmt_kind */
    bool has_list;         /* a parenthesised or bracketed list follows the name */
    const char *name;      /* what is declared, the type, the mode; NULL if none */
    span_t name_span;
    struct ast_list list;  /* parameters, dimensions, indexes, arguments of the mode */
    struct ast_expr *expr; /* right side; NULL if none */
    struct ast_program *block; /* attention NAME { ... }; else NULL */
    span_t keyword;        /* the first word */
    span_t span;           /* without the semicolon */
    struct ast_stmt *next;
};

struct ast_program {
    struct ast_stmt *first, *last;
    struct ast_program *outer; /* while it is being read */
};

/* The statements that could be read; errors are reported to d. NULL if the text is not UTF-8. */
struct ast_program *ast_parse(struct arena *a, const struct source *src, struct diag *d);

/* One statement a line, every operation in parentheses. */
void ast_print(const struct ast_program *p, struct str *out);
void ast_print_expr(const struct ast_expr *e, struct str *out);

/* ---- for the grammar ---- */
struct ast_parser;
struct ast_expr *ast_expr_new(struct ast_parser *p, enum ast_kind kind, span_t at,
                              struct ast_expr *a, struct ast_expr *b, struct ast_expr *c);
struct ast_expr *ast_expr_named(struct ast_parser *p, enum ast_kind kind, span_t at,
                                const char *name, span_t name_span, struct ast_list args);
struct ast_expr *ast_binary(struct ast_parser *p, enum ast_op op, span_t at, struct ast_expr *a,
                            struct ast_expr *b);
struct ast_list ast_append(struct ast_parser *p, struct ast_list l, struct ast_expr *e);
struct ast_stmt *ast_stmt_new(struct ast_parser *p, enum ast_stmt_kind kind, span_t at);
void ast_add(struct ast_parser *p, struct ast_stmt *s);
/* What is added between the two belongs to a block of its own. */
void ast_open(struct ast_parser *p);
struct ast_program *ast_close(struct ast_parser *p);

#endif
