/* Building and printing the tree; the checks on raw text that come before the lexer. */
#include "frontend/ast.h"

#include <string.h>

#include "frontend/parse.h"

const char *const ast_op_text[AST_OP_COUNT] = {
#define BINOP(id, text, rule, op) text,
#include "frontend/ast.def"
};

const char *const ast_stmt_text[AST_ST_COUNT] = {
#define STMT(id, keyword, handler) keyword,
#include "frontend/statements.def"
    "",
};

/* ---- names ---- */

static const char *const greek_lower[25] = {
    "alpha", "beta",   "gamma",   "delta", "epsilon", "zeta",    "eta",  "theta", "iota",
    "kappa", "lambda", "mu",      "nu",    "xi",      "omicron", "pi",   "rho",   "sigma",
    "sigma", "tau",    "upsilon", "phi",   "chi",     "psi",     "omega"};

/* The English name of a Greek letter, or NULL; capitals are capitalised by the caller. */
static const char *
greek_name(uint32_t c, bool *capital)
{
    *capital = c >= 0x391 && c <= 0x3A9;
    if (*capital)
        return greek_lower[c - 0x391];
    if (c >= 0x3B1 && c <= 0x3C9)
        return greek_lower[c - 0x3B1];
    return c == 0x3D1 ? "theta" : c == 0x3D5 ? "phi" : c == 0x3F5 ? "epsilon" : NULL;
}

char *
ast_canonical(struct arena *a, const char *text, size_t len)
{
    struct str s = {0};
    for (size_t k = 0; k < len; k++) {
        unsigned char c = (unsigned char)text[k];
        bool capital = false;
        const char *name = NULL;
        if (c >= 0xC0 && k + 1 < len)
            name = greek_name((uint32_t)(c & 0x1F) << 6 | ((unsigned char)text[k + 1] & 0x3F),
                              &capital);
        if (!name) {
            str_putc(&s, (char)c);
            continue;
        }
        str_putc(&s, capital ? (char)(name[0] - 'a' + 'A') : name[0]);
        str_put(&s, name + 1);
        k++;
    }
    char *out = arena_strdup(a, str_text(&s));
    str_free(&s);
    return out;
}

const char *
ast_quote(struct arena *a, const struct source *src, span_t at)
{
    enum { MAX = 40 };
    uint32_t n = at.end > at.beg ? at.end - at.beg : 0;
    if (n <= MAX)
        return arena_strndup(a, src->text + at.beg, n);
    n = MAX;
    while (n && ((unsigned char)src->text[at.beg + n] & 0xC0) == 0x80)
        n--;
    return arena_printf(a, "%.*s...", (int)n, src->text + at.beg);
}

/* ---- construction ---- */

void
ast_too_deep(struct ast_parser *p, span_t at)
{
    if (!p->depth_reported)
        diag_error(p->diag, at, "the expression has more than %d operations on one path",
                   AST_MAX_DEPTH);
    p->depth_reported = true;
}

static struct ast_expr *
expr_new(struct ast_parser *p, enum ast_kind kind, span_t at, struct ast_list args)
{
    struct ast_expr *e = ARENA_NEW(p->arena, struct ast_expr);
    e->kind = (uint8_t)kind;
    e->span = at;
    e->arg = args.at;
    e->nargs = args.count;
    for (uint32_t k = 0; k < args.count; k++)
        if (args.at[k]->depth >= e->depth)
            e->depth = (uint16_t)(args.at[k]->depth + 1);
    if (e->depth > AST_MAX_DEPTH) {
        ast_too_deep(p, at);
        e->kind = AST_BAD;
        e->nargs = 0;
        e->depth = 0;
    }
    return e;
}

struct ast_expr *
ast_expr_new(struct ast_parser *p, enum ast_kind kind, span_t at, struct ast_expr *a,
             struct ast_expr *b, struct ast_expr *c)
{
    struct ast_list l = {0};
    struct ast_expr *arg[3] = {a, b, c};
    for (int k = 0; k < 3 && arg[k]; k++)
        l = ast_append(p, l, arg[k]);
    return expr_new(p, kind, at, l);
}

struct ast_expr *
ast_expr_named(struct ast_parser *p, enum ast_kind kind, span_t at, const char *name,
               span_t name_span, struct ast_list args)
{
    struct ast_expr *e = expr_new(p, kind, at, args);
    e->name = name;
    e->name_span = name_span;
    return e;
}

struct ast_expr *
ast_binary(struct ast_parser *p, enum ast_op op, span_t at, struct ast_expr *a, struct ast_expr *b)
{
    struct ast_expr *e = ast_expr_new(p, AST_BINARY, at, a, b, NULL);
    e->op = (uint8_t)op;
    return e;
}

struct ast_list
ast_append(struct ast_parser *p, struct ast_list l, struct ast_expr *e)
{
    l.at = arena_grow(p->arena, l.at, l.count, l.count + 1, &l.cap, sizeof(struct ast_expr *));
    l.at[l.count++] = e;
    return l;
}

struct ast_stmt *
ast_stmt_new(struct ast_parser *p, enum ast_stmt_kind kind, span_t at)
{
    struct ast_stmt *s = ARENA_NEW(p->arena, struct ast_stmt);
    s->kind = (uint8_t)kind;
    s->keyword = at;
    return s;
}

void
ast_add(struct ast_parser *p, struct ast_stmt *s)
{
    if (p->program->last)
        p->program->last->next = s;
    else
        p->program->first = s;
    p->program->last = s;
}

void
ast_open(struct ast_parser *p)
{
    struct ast_program *inner = ARENA_NEW(p->arena, struct ast_program);
    inner->outer = p->program;
    p->program = inner;
}

struct ast_program *
ast_close(struct ast_parser *p)
{
    struct ast_program *inner = p->program;
    p->program = inner->outer;
    return inner;
}

/* ---- the text ---- */

/* Length of the character at s, or 0 if it is not valid UTF-8 (overlong, surrogate, truncated). */
static size_t
utf8_length(const unsigned char *s, size_t left)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3
             : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t k = 1; k < n; k++)
        if ((s[k] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

static bool
check_text(const struct source *src, struct diag *d)
{
    const unsigned char *s = (const unsigned char *)src->text;
    int bad = 0;
    for (size_t k = 0, n; k < src->len && bad < 5; k += n ? n : 1) {
        span_t at = {(uint32_t)k, (uint32_t)k + 1};
        n = utf8_length(s + k, src->len - k);
        if (!n)
            diag_error(d, at, "invalid UTF-8: byte 0x%02X", s[k]);
        else if (s[k] == 0)
            diag_error(d, at, "a NUL byte: this is not a text file");
        else
            continue;
        bad++;
    }
    return bad == 0;
}

struct ast_program *
ast_parse(struct arena *a, const struct source *src, struct diag *d)
{
    if (!check_text(src, d))
        return NULL;
    struct ast_parser *p = ARENA_NEW(a, struct ast_parser);
    *p = (struct ast_parser){.arena = a, .src = src, .diag = d, .at_start = true};
    p->program = ARENA_NEW(a, struct ast_program);
    if (src->len >= 3 && !memcmp(src->text, "\xEF\xBB\xBF", 3))
        p->pos = 3; /* a byte order mark */
    ast_scan_and_parse(p);
    while (p->program->outer) /* a block without an end, which was reported */
        ast_close(p);
    return p->program;
}

/* ---- printing ---- */

static void
print_list(struct ast_expr *const *at, uint32_t n, struct str *out)
{
    for (uint32_t k = 0; k < n; k++) {
        str_put(out, k ? ", " : "");
        ast_print_expr(at[k], out);
    }
}

void
ast_print_expr(const struct ast_expr *e, struct str *out)
{
    switch ((enum ast_kind)e->kind) {
    case AST_BAD:
        str_put(out, "<bad>");
        return;
    case AST_NUMBER:
    case AST_NAME:
        str_put(out, e->name);
        return;
    case AST_CALL:
    case AST_INDEX:
        str_printf(out, "%s%c", e->name, e->kind == AST_CALL ? '(' : '[');
        print_list(e->arg, e->nargs, out);
        str_putc(out, e->kind == AST_CALL ? ')' : ']');
        return;
    case AST_NEG:
    case AST_NOT:
        str_put(out, e->kind == AST_NEG ? "(-" : "(not ");
        ast_print_expr(e->arg[0], out);
        str_putc(out, ')');
        return;
    case AST_BINARY:
        str_putc(out, '(');
        ast_print_expr(e->arg[0], out);
        str_printf(out, " %s ", ast_op_text[e->op]);
        ast_print_expr(e->arg[1], out);
        str_putc(out, ')');
        return;
    case AST_COND:
        str_putc(out, '(');
        ast_print_expr(e->arg[0], out);
        str_put(out, " ? ");
        ast_print_expr(e->arg[1], out);
        str_put(out, " : ");
        ast_print_expr(e->arg[2], out);
        str_putc(out, ')');
        return;
    case AST_CONCAT:
        str_putc(out, '[');
        print_list(e->arg, e->nargs, out);
        str_putc(out, ']');
        return;
    case AST_BARS:
        str_putc(out, '|');
        ast_print_expr(e->arg[0], out);
        str_putc(out, '|');
        return;
    case AST_KEYARG:
        str_printf(out, "%s = ", e->name);
        ast_print_expr(e->arg[0], out);
        return;
    }
}

void
ast_print(const struct ast_program *p, struct str *out)
{
    for (const struct ast_stmt *s = p->first; s; s = s->next) {
        bool brackets = s->kind != AST_ST_LET && s->kind != AST_ST_KERNELIZE;
        bool equals = s->kind != AST_ST_ASSERT && s->kind != AST_ST_WINDOW;
        str_put(out, ast_stmt_text[s->kind]);
        if (s->name)
            str_printf(out, "%s%s", s->kind == AST_ST_INDEXED ? "" : " ", s->name);
        if (s->has_list) {
            str_putc(out, brackets ? '[' : '(');
            print_list(s->list.at, s->list.count, out);
            str_putc(out, brackets ? ']' : ')');
        }
        if (s->expr) {
            str_put(out, equals ? " = " : " ");
            ast_print_expr(s->expr, out);
        }
        if (s->block) {
            str_put(out, " {\n");
            ast_print(s->block, out);
        }
        str_put(out, s->block ? "}\n" : ";\n");
    }
}
