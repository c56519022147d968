/* The grammar. Actions build the tree; sema judges it. */
%require "3.8"
%define api.pure full
%define api.prefix {ast_yy}
%define api.token.prefix {T_}
%define api.location.type {span_t}
%define parse.error custom
%define parse.lac full
%define lr.type ielr
%expect 0
%locations
%param {void *scanner} {struct ast_parser *p}

%code requires {
#include "frontend/parse.h"
}

%code {
#include <string.h>

#define YYLLOC_DEFAULT(cur, rhs, n)                                              \
    ((cur) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n))                 \
                 : (span_t){YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})
#define YYMAXDEPTH 20000

int ast_yylex(AST_YYSTYPE *val, AST_YYLTYPE *loc, void *scanner, struct ast_parser *p);
static void ast_yyerror(const AST_YYLTYPE *at, void *scanner, struct ast_parser *p, const char *msg);

static struct ast_stmt *
stmt(struct ast_parser *p, enum ast_stmt_kind kind, span_t keyword, span_t all, struct ast_expr *e)
{
    struct ast_stmt *s = ast_stmt_new(p, kind, keyword);
    s->span = all;
    s->expr = e;
    return s;
}

static struct ast_stmt *
named(struct ast_stmt *s, const char *name, span_t at)
{
    s->name = name;
    s->name_span = at;
    return s;
}

static struct ast_stmt *
listed(struct ast_stmt *s, struct ast_list l)
{
    s->has_list = true;
    s->list = l;
    return s;
}

static struct ast_expr *
leaf(struct ast_parser *p, enum ast_kind kind, span_t at, const char *name)
{
    return ast_expr_named(p, kind, at, name, at, (struct ast_list){0});
}
}

%union {
    char *name;
    struct ast_expr *expr;
    struct ast_list list;
    struct ast_stmt *stmt;
}

%token END 0 "end of file" INVALID "invalid text"
%token SEMI "';'" LBRACE "'{'" RBRACE "'}'" LPAR "'('" RPAR "')'" LBRACK "'['" RBRACK "']'" BAR "'|'" COMMA "','" ASSIGN "'='"
%token QUESTION "'?'" COLON "':'" PLUS "'+'" MINUS "'-'" STAR "'*'" SLASH "'/'" CARET "'^'" AT "'@'"
%token DOT "'·'" OUTER "'⊗'" ROOT "'√'" LT "'<'" GT "'>'" LE "'<='" GE "'>='" EQ "'=='" NE "'!='"
%token OR "'or'" AND "'and'" NOT "'not'"
%token ATTENTION "'attention'" DIM "'dim'" TYPE "'type'" STATE "'state'" PARAM "'param'" LET "'let'" INPUT "'input'"
%token OUTPUT "'output'" SIM "'sim'" MASK "'mask'" CAUSAL "'causal'" WINDOW "'window'"
%token NORMALIZE "'normalize'" KERNELIZE "'kernelize'" ASSERT "'assert'"
%token <name> WORD "statement" NAME "name" NUMBER "number" SUPER "superscript"

%type <stmt> stmt block
%type <expr> expr postfix argument
%type <list> list some arguments

%right QUESTION COLON
%left OR
%left AND
%precedence NOT
%nonassoc LT LE GT GE EQ NE
%left PLUS MINUS
%left STAR SLASH
%precedence NEG
%left DOT OUTER AT
%right CARET
%precedence SUPER

%%

program: %empty
       | program stmt SEMI                      { ast_add(p, $stmt); }
       | program block                          { ast_add(p, $block); }
       | program SEMI
       | program error SEMI                     { yyerrok; }
       ;

block: ATTENTION NAME LBRACE                    { ast_open(p); }
       program RBRACE                           { $$ = named(stmt(p, AST_ST_ATTENTION, @1, span_join(@1, @2), NULL), $2, @2);
                                                  $$->block = ast_close(p); }
     ;

stmt: ATTENTION NAME                            { $$ = named(stmt(p, AST_ST_ATTENTION, @1, @$, NULL), $2, @2); }
    | DIM NAME                                  { $$ = named(stmt(p, AST_ST_DIM, @1, @$, NULL), $2, @2); }
    | DIM NAME ASSIGN expr                      { $$ = named(stmt(p, AST_ST_DIM, @1, @$, $4), $2, @2); }
    | TYPE NAME                                 { $$ = named(stmt(p, AST_ST_TYPE, @1, @$, NULL), $2, @2); }
    | STATE NAME                                { $$ = named(stmt(p, AST_ST_STATE, @1, @$, NULL), $2, @2); }
    | PARAM NAME                                { $$ = named(stmt(p, AST_ST_PARAM, @1, @$, NULL), $2, @2); }
    | PARAM NAME ASSIGN expr                    { $$ = named(stmt(p, AST_ST_PARAM, @1, @$, $4), $2, @2); }
    | PARAM NAME LBRACK some RBRACK             { $$ = listed(named(stmt(p, AST_ST_PARAM, @1, @$, NULL), $2, @2), $4); }
    | LET NAME ASSIGN expr                      { $$ = named(stmt(p, AST_ST_LET, @1, @$, $4), $2, @2); }
    | LET NAME LPAR some RPAR ASSIGN expr       { $$ = listed(named(stmt(p, AST_ST_LET, @1, @$, $7), $2, @2), $4); }
    | INPUT NAME LBRACK some RBRACK             { $$ = listed(named(stmt(p, AST_ST_INPUT, @1, @$, NULL), $2, @2), $4); }
    | OUTPUT ASSIGN expr                        { $$ = stmt(p, AST_ST_OUTPUT, @1, @$, $3); }
    | OUTPUT NAME LBRACK some RBRACK ASSIGN expr
                                                { $$ = listed(named(stmt(p, AST_ST_OUTPUT, @1, @$, $7), $2, @2), $4); }
    | SIM ASSIGN expr                           { $$ = stmt(p, AST_ST_SIM, @1, @$, $3); }
    | MASK ASSIGN expr                          { $$ = stmt(p, AST_ST_MASK, @1, @$, $3); }
    | CAUSAL                                    { $$ = stmt(p, AST_ST_CAUSAL, @1, @$, NULL); }
    | WINDOW expr                               { $$ = stmt(p, AST_ST_WINDOW, @1, @$, $2); }
    | NORMALIZE ASSIGN expr                     { $$ = stmt(p, AST_ST_NORMALIZE, @1, @$, $3); }
    | KERNELIZE                                 { $$ = stmt(p, AST_ST_KERNELIZE, @1, @$, NULL); }
    | KERNELIZE NAME                            { $$ = named(stmt(p, AST_ST_KERNELIZE, @1, @$, NULL), $2, @2); }
    | KERNELIZE NAME LPAR arguments RPAR        { $$ = listed(named(stmt(p, AST_ST_KERNELIZE, @1, @$, NULL), $2, @2), $4); }
    | ASSERT expr                               { $$ = stmt(p, AST_ST_ASSERT, @1, @$, $2); }
    | WORD LBRACK some RBRACK ASSIGN expr       { $$ = listed(named(stmt(p, AST_ST_INDEXED, @1, @$, $6), $1, @1), $3); }
    ;

expr: postfix
    | expr QUESTION expr COLON expr             { $$ = ast_expr_new(p, AST_COND, @$, $1, $3, $5); }
    | expr OR expr                              { $$ = ast_binary(p, AST_OP_OR, @$, $1, $3); }
    | expr AND expr                             { $$ = ast_binary(p, AST_OP_AND, @$, $1, $3); }
    | NOT expr                                  { $$ = ast_expr_new(p, AST_NOT, @$, $2, NULL, NULL); }
    | expr LT expr                              { $$ = ast_binary(p, AST_OP_LT, @$, $1, $3); }
    | expr LE expr                              { $$ = ast_binary(p, AST_OP_LE, @$, $1, $3); }
    | expr GT expr                              { $$ = ast_binary(p, AST_OP_GT, @$, $1, $3); }
    | expr GE expr                              { $$ = ast_binary(p, AST_OP_GE, @$, $1, $3); }
    | expr EQ expr                              { $$ = ast_binary(p, AST_OP_EQ, @$, $1, $3); }
    | expr NE expr                              { $$ = ast_binary(p, AST_OP_NE, @$, $1, $3); }
    | expr PLUS expr                            { $$ = ast_binary(p, AST_OP_ADD, @$, $1, $3); }
    | expr MINUS expr                           { $$ = ast_binary(p, AST_OP_SUB, @$, $1, $3); }
    | expr STAR expr                            { $$ = ast_binary(p, AST_OP_MUL, @$, $1, $3); }
    | expr SLASH expr                           { $$ = ast_binary(p, AST_OP_DIV, @$, $1, $3); }
    | MINUS expr %prec NEG                      { $$ = ast_expr_new(p, AST_NEG, @$, $2, NULL, NULL); }
    | expr DOT expr                             { $$ = ast_binary(p, AST_OP_DOT, @$, $1, $3); }
    | expr OUTER expr                           { $$ = ast_binary(p, AST_OP_OUTER, @$, $1, $3); }
    | expr AT expr                              { $$ = ast_binary(p, AST_OP_AT, @$, $1, $3); }
    | expr CARET expr                           { $$ = ast_binary(p, AST_OP_POW, @$, $1, $3); }
    | expr SUPER                                { $$ = ast_binary(p, AST_OP_POW, @$, $1, leaf(p, AST_NUMBER, @2, $2)); }
    ;

postfix: NUMBER                                 { $$ = leaf(p, AST_NUMBER, @$, $1); }
       | NAME                                   { $$ = leaf(p, AST_NAME, @$, $1); }
       | NAME LPAR list RPAR                    { $$ = ast_expr_named(p, AST_CALL, @$, $1, @1, $3); }
       | NAME LBRACK some RBRACK                { $$ = ast_expr_named(p, AST_INDEX, @$, $1, @1, $3); }
       | ROOT postfix                           { $$ = ast_expr_named(p, AST_CALL, @$, "sqrt", @1,
                                                                      ast_append(p, (struct ast_list){0}, $2)); }
       | LPAR expr RPAR                         { $$ = $2; $$->parens = true; $$->span = @$; }
       | LPAR error RPAR                        { $$ = ast_expr_new(p, AST_BAD, @$, NULL, NULL, NULL); }
       | LBRACK some RBRACK                     { $$ = ast_expr_named(p, AST_CONCAT, @$, NULL, @$, $2); }
       | BAR expr BAR                           { $$ = ast_expr_new(p, AST_BARS, @$, $2, NULL, NULL); }
       ;

list: %empty                                    { $$ = (struct ast_list){0}; }
    | some
    ;

some: expr                                      { $$ = ast_append(p, (struct ast_list){0}, $1); }
    | some COMMA expr                           { $$ = ast_append(p, $1, $3); }
    ;

arguments: argument                             { $$ = ast_append(p, (struct ast_list){0}, $1); }
         | arguments COMMA argument             { $$ = ast_append(p, $1, $3); }
         ;

argument: expr
        | NAME ASSIGN expr                      { $$ = ast_expr_named(p, AST_KEYARG, @$, $1, @1,
                                                                      ast_append(p, (struct ast_list){0}, $3)); }
        ;

%%

static void
ast_yyerror(const AST_YYLTYPE *at, void *scanner, struct ast_parser *p, const char *msg)
{
    (void)scanner;
    diag_error(p->diag, *at, "%s", !strcmp(msg, "memory exhausted") ? "the expression is nested too deeply" : msg);
}

/* What may begin an expression, said in one word. */
static bool
starts_expression(yysymbol_kind_t t)
{
    static const yysymbol_kind_t first[] = {YYSYMBOL_NUMBER, YYSYMBOL_NAME, YYSYMBOL_ROOT, YYSYMBOL_LPAR,
                                            YYSYMBOL_LBRACK, YYSYMBOL_BAR, YYSYMBOL_MINUS, YYSYMBOL_NOT};
    for (size_t k = 0; k < sizeof first / sizeof *first; k++)
        if (first[k] == t)
            return true;
    return false;
}

static bool
is_operator(yysymbol_kind_t t)
{
    return (t >= YYSYMBOL_QUESTION && t <= YYSYMBOL_AND && t != YYSYMBOL_ROOT && t != YYSYMBOL_COLON) ||
           t == YYSYMBOL_SUPER;
}

/* "expected A, B or C" with expressions, operators and statements each as one word. */
static void
expected_list(const yypcontext_t *ctx, struct str *out)
{
    yysymbol_kind_t all[YYNTOKENS];
    const char *words[YYNTOKENS];
    int n = yypcontext_expected_tokens(ctx, all, YYNTOKENS), count = 0;
    bool expression = false, op = false, statement = false, after = false;
    for (int k = 0; k < n; k++) {
        expression = expression || all[k] == YYSYMBOL_NUMBER;
        after = after || all[k] == YYSYMBOL_SLASH;
    }
    for (int k = 0; k < n; k++) {
        if (all[k] >= YYSYMBOL_ATTENTION && all[k] <= YYSYMBOL_WORD) {
            if (!statement)
                words[count++] = "a statement";
            statement = true;
        } else if (expression && starts_expression(all[k])) {
            if (all[k] == YYSYMBOL_NUMBER)
                words[count++] = "an expression";
        } else if (is_operator(all[k])) {
            if (!op)
                words[count++] = "an operator";
            op = true;
        } else if (after && (all[k] == YYSYMBOL_LPAR || all[k] == YYSYMBOL_LBRACK)) {
            continue; /* a call or an index is always possible after a name: not worth a word */
        } else if (all[k] != YYSYMBOL_INVALID && !(statement && all[k] == YYSYMBOL_SEMI)) {
            words[count++] = yysymbol_name(all[k]);
        }
    }
    for (int k = 0; k < count; k++)
        str_printf(out, "%s%s", k == 0 ? "" : k == count - 1 ? " or " : ", ", words[k]);
}

/* What was probably meant, where experience says so. */
static void
hint(struct ast_parser *p, yysymbol_kind_t found, span_t at, const char *expected)
{
    if (!strstr(expected, "operator"))
        return;
    if (found == YYSYMBOL_ASSIGN)
        diag_help(p->diag, at, "==");
    else if (found >= YYSYMBOL_LT && found <= YYSYMBOL_NE)
        diag_note(p->diag, (span_t){0, 0}, "comparisons do not chain; write a < b and b < c");
    else if (found == YYSYMBOL_NAME || found == YYSYMBOL_NUMBER || found == YYSYMBOL_LPAR)
        diag_note(p->diag, (span_t){0, 0}, "a product is written with '*', a dot product with '·'");
}

static int
yyreport_syntax_error(const yypcontext_t *ctx, void *scanner, struct ast_parser *p)
{
    yysymbol_kind_t found = yypcontext_token(ctx);
    span_t at = *yypcontext_location(ctx);
    struct str expected = {0};
    (void)scanner;
    if (found == YYSYMBOL_INVALID || p->nesting_reported) /* the lexer said why */
        return 0;
    if (p->word.end && at.beg >= p->word.beg && found != YYSYMBOL_LBRACK && at.beg <= p->word.end + 1) {
        const char *word = ast_canonical(p->arena, p->src->text + p->word.beg, p->word.end - p->word.beg);
        const char *near = str_nearest(word, ast_stmt_text, AST_ST_INDEXED);
        diag_error(p->diag, p->word, "no statement begins with '%s'", ast_quote(p->arena, p->src, p->word));
        if (near)
            diag_help(p->diag, p->word, "%s", near);
        return 0;
    }
    expected_list(ctx, &expected);
    if (found == YYSYMBOL_YYEOF)
        diag_error(p->diag, (span_t){p->last.beg, p->last.end}, "expected %s, found the end of the file",
                   str_text(&expected));
    else
        diag_error(p->diag, at, "expected %s, found '%s'", str_text(&expected), ast_quote(p->arena, p->src, at));
    hint(p, found, at, str_text(&expected));
    if (found == YYSYMBOL_YYEOF && p->nesting)
        diag_note(p->diag, p->open[p->nesting - 1], "this bracket is still open");
    str_free(&expected);
    return 0;
}
