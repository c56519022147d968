/* Inside sema: the names of a program, and values of expressions as nodes of the axis IR. */
#ifndef ATTNC_FRONTEND_SEMA_H
#define ATTNC_FRONTEND_SEMA_H

#include "frontend/ast.h"
#include "frontend/parse.h"
#include "frontend/frontend.h"

enum value_kind {
    VALUE_BAD,     /* already reported: silences what follows */
    VALUE_NUMBER,
    VALUE_VECTOR,  /* over `axis` */
    VALUE_TRUTH,
    VALUE_TENSOR   /* a param with indexes left: param, used */
};

struct value {
    enum value_kind kind;
    ir_ref node;
    uint8_t axis;
    uint32_t param;
    struct ir_binding bound; /* TENSOR: its first `rank` indexes */
};

static const struct value value_bad = {.kind = VALUE_BAD};

static inline struct value
value_number(ir_ref n)
{
    return (struct value){.kind = VALUE_NUMBER, .node = n};
}

static inline struct value
value_truth(ir_ref n)
{
    return (struct value){.kind = VALUE_TRUTH, .node = n};
}

static inline struct value
value_vector(ir_ref n, uint8_t axis)
{
    return (struct value){.kind = VALUE_VECTOR, .node = n, .axis = axis};
}

/* A number or vector with another node. */
static inline struct value
value_like(struct value v, ir_ref n)
{
    v.node = n;
    return v;
}

/* let NAME = ...; or let NAME(x, ...) = ...; */
struct definition {
    const struct ast_stmt *stmt;
    const char *name;
    bool active;             /* being evaluated: meeting it again is recursion */
    bool broken;             /* its body is wrong, and that was reported once */
    bool done;               /* value is known: named expressions are evaluated once */
    struct value value;
};

/* Arguments of the function being inlined. */
struct scope {
    const struct ast_list *names;
    const struct value *values;
};

enum {
    SEMA_MAX_NODES = 100000,
    SEMA_MAX_WORK = 1000000,    /* expressions judged, counting every inlined copy */
    SEMA_MAX_RECURSION = 2500,  /* operations on one path through inlined functions */
    SEMA_MAX_BITS = 4096,       /* of a constant */
    SEMA_MAX_LETS = 5000,
    SEMA_MAX_POWER = 1024, SEMA_MAX_DEGREE = 16
};

struct sema {
    struct arena *arena;
    const struct source *src;
    struct diag *diag;
    struct ir_func *f;
    struct definition *defs;
    uint32_t ndefs;
    size_t cap_defs;
    const struct scope *scope;
    struct index_scope *index; /* within a statement of index notation, see graph.h; else NULL */
    int depth;                /* of sema_expr now */
    uint32_t work;            /* calls of sema_expr so far */
    bool syntax_errors;       /* statements are missing: unknown names mean nothing */
    ir_ref z;                 /* what the name z means, while normalize is judged */
    bool too_large;           /* reported that inlining produced too much */
    const struct ast_stmt *seen[AST_ST_COUNT]; /* statements that may come once */
    ir_ref mask;
    struct asserts *asserts;
    size_t cap_asserts;
};

/* sema.c: the statements of one kind; those of one attention, whose dims and params are there: its
 * roots are built from them. False after errors. */
void sema_judge(struct sema *s, const struct ast_program *p, enum ast_stmt_kind kind);
bool sema_attention(struct sema *s, const struct ast_program *p, span_t at);

/* graph.c: whether a program has stages, and such a program, whose settings and dims base->f has;
 * NULL after errors. asserts: one per stage. */
struct graph;
bool graph_is(const struct ast_program *p);
/* Names in the lists of inputs that are no dimensions yet become dimensions. */
void graph_input_dims(struct sema *base, const struct ast_program *p);
struct graph *graph_compile(struct sema *base, const struct ast_program *p,
                            struct asserts *asserts);

/* sema_arith.c. Each reports what is wrong and returns VALUE_BAD (silent for bad operands). */
struct value sema_wrong(struct sema *s, const struct ast_expr *e, const char *what,
                        const struct value *v);
bool sema_is_arithmetic(const struct value *v); /* a number or a vector */
/* Digits with an optional fraction and exponent, exactly. */
ir_ref sema_parse_number(struct sema *s, const struct ast_expr *e);
struct value sema_arith(struct sema *s, const struct ast_expr *e, enum ir_op op, struct value a,
                        struct value b);
/* base ^ exponent; whole constant exponents are exact powers. */
struct value sema_power(struct sema *s, const struct ast_expr *e, struct value a, struct value b);
struct value sema_norm2(struct sema *s, const struct value *x, span_t at); /* x: a vector */
struct value sema_dot(struct sema *s, const struct ast_expr *e, struct value a, struct value b);
struct value sema_outer(struct sema *s, const struct ast_expr *e, struct value a, struct value b);
/* W @ x: a param with two indexes left, and a vector. */
struct value sema_matmul(struct sema *s, const struct ast_expr *e, struct value w, struct value x);

/* sema_rope.c: rope(x, p) or rope(x, p, base) with x judged already, a vector. */
struct value sema_rope(struct sema *s, const struct ast_expr *e, enum ir_pairs pairs,
                       struct value x);

/* sema_expr.c: judges an expression; reports and returns VALUE_BAD on errors. */
struct value sema_expr(struct sema *s, const struct ast_expr *e);
/* As a number / truth value, with an error that says what it is for otherwise (0 on errors). */
ir_ref sema_number(struct sema *s, const struct ast_expr *e, const char *what);
ir_ref sema_truth(struct sema *s, const struct ast_expr *e, const char *what);
/* A constant whole number; false after an error. */
bool sema_integer(struct sema *s, const struct ast_expr *e, const char *what, int64_t lo,
                  int64_t hi, int64_t *out);

/* sema_kernelize.c: the mode of the statement, and what stands in its parentheses. */
void sema_kernelize_mode(struct sema *s, const struct ast_stmt *st);
void sema_kernelize_arguments(struct sema *s, const struct ast_stmt *st);

/* sema_names.c */
/* The dimension of that name (b, h and g also name B, H and G), or -1. */
int sema_dim(const struct sema *s, const char *name);
struct definition *sema_definition(struct sema *s, const char *name);
/* Reports an unknown name with the nearest known one. */
void sema_unknown(struct sema *s, const char *what, const char *name, span_t at);
/* Judges the body of a definition once: the value of a named expression; for a function, what is
 * wrong whatever its arguments are. */
void sema_judge_definition(struct sema *s, struct definition *d);
/* Reports if the name is taken or reserved. */
bool sema_declare(struct sema *s, const char *name, span_t at);
const char *sema_describe(struct sema *s, const struct value *v);

struct sema_function {
    const char *name;
    int fewest, most;
    int rule;
    enum ir_op op;
};
extern const struct sema_function sema_functions[];
extern const int sema_function_count;

enum sema_rule {
    RULE_ARITH,
    RULE_POWER,
    RULE_COMPARE,
    RULE_LOGIC,
    RULE_DOT,
    RULE_OUTER,
    RULE_MATMUL,
    RULE_MAP,
    RULE_FOLD,
    RULE_NORM,
    RULE_NORM2,
    RULE_SYMPOW,
    RULE_ROLL,
    RULE_ROPE,
    RULE_ROPE_HALF,
    RULE_DECAY,
    RULE_GREATEST,
    RULE_LEAST,
    RULE_SORT
};

#endif
