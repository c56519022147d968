/* Reads the textual form (.air) of tile programs, after the axis-IR function they belong to.
 *
 * Statements are read by the columns of tile_ops.def, so a new one needs nothing here. The text is
 * not trusted: what is read is bounded here and judged by tile_verify. Reading ends at the first
 * error of a tiles block, since what follows depends on the nesting. */
#include "ir/detail.h"
#include "ir/tile.h"

#include <string.h>

enum {
    MAX_SIZES = 4096, MAX_STATEMENTS = 4096, MAX_NESTING = 64, MAX_BINDS = 64, MAX_LET = 1 << 20,
};
#define MAX_SIZE ((int64_t)1 << 62)

struct let {
    int64_t number;
    tx_ref size;
};

struct tile_reader {
    struct ir_reader *r;
    struct text *t;
    struct tile_prog *p;
    struct let *lets;      /* those in scope, innermost last */
    size_t nlets, cap_lets;
    int nstmts;
};

/* ---- sizes ---- */

static tx_ref read_size(struct tile_reader *w, int depth);

/* What a size is so far: bounded in number and value. 1 stands in after an error. */
static tx_ref
checked(struct tile_reader *w, span_t at, tx_ref x)
{
    int64_t v;
    if (!w->t->failed && w->p->nxs > MAX_SIZES)
        ir_read_fail(w->r, at, "more than %d different sizes", MAX_SIZES);
    if (!w->t->failed && tx_is_num(w->p, x, &v) && (v > MAX_SIZE || v < -MAX_SIZE))
        ir_read_fail(w->r, at, "this size overflows");
    return w->t->failed ? tx_num(w->p, 1) : x;
}

static tx_ref
read_let_use(struct tile_reader *w)
{
    span_t at = w->t->tok.span;
    int64_t n = text_int(w->t, "the number of a let", 1, MAX_LET);
    for (size_t k = w->nlets; k > 0 && !w->t->failed; k--)
        if (w->lets[k - 1].number == n)
            return w->lets[k - 1].size;
    ir_read_fail(w->r, at, "$%lld is not defined here", (long long)n);
    return tx_num(w->p, 1);
}

static uint32_t
find_var(const struct tile_reader *w, const char *name)
{
    for (uint32_t k = 1; k < w->p->nvars; k++)
        if (!strcmp(w->p->vars[k], name))
            return k;
    return 0;
}

static tx_ref
read_var(struct tile_reader *w)
{
    uint32_t var = find_var(w, w->t->tok.s);
    if (!var) {
        ir_read_fail(w->r, w->t->tok.span, "unknown loop variable '%%%.60s'", w->t->tok.s);
        return tx_num(w->p, 1);
    }
    text_next(w->t);
    return tx_var(w->p, var);
}

/* What follows min( max( rows(. */
static tx_ref
read_call(struct tile_reader *w, int head, int depth)
{
    tx_ref x, a = read_size(w, depth + 1);
    text_expect(w->t, ",");
    if (head == 2) {
        int64_t degree = text_int(w->t, "degree", 2, TILE_MAX_DEGREE);
        x = w->t->failed ? a : tx_rows(w->p, a, (int)degree);
    } else {
        tx_ref b = read_size(w, depth + 1);
        x = w->t->failed ? a : tx_op2(w->p, head ? TX_MAX : TX_MIN, a, b);
    }
    text_expect(w->t, ")");
    return x;
}

static tx_ref
read_atom(struct tile_reader *w, int depth)
{
    static const char *const heads[] = {"min", "max", "rows"};
    struct text *t = w->t;
    if (t->failed)
        return tx_num(w->p, 1);
    if (depth > MAX_NESTING) {
        ir_read_fail(w->r, t->tok.span, "size nested more than %d deep", MAX_NESTING);
        return tx_num(w->p, 1);
    }
    if (text_take(t, "(")) {
        tx_ref x = read_size(w, depth + 1);
        text_expect(t, ")");
        return x;
    }
    if (text_take(t, "$"))
        return read_let_use(w);
    if (t->tok.kind == TEXT_REF)
        return read_var(w);
    if (t->tok.kind == TEXT_NUMBER || text_is(t, "-"))
        return tx_num(w->p, text_int(t, "a size", -MAX_SIZE, MAX_SIZE));
    if (t->tok.kind != TEXT_WORD && t->tok.kind != TEXT_STRING) {
        text_expected(t, "a size");
        return tx_num(w->p, 1);
    }
    struct text word = *t; /* one more token of lookahead: a call, or a dimension of that name */
    for (int k = 0; k < 3; k++)
        if (text_take(t, heads[k])) {
            if (text_take(t, "("))
                return read_call(w, k, depth);
            *t = word;
        }
    int dim = ir_read_dim(w->r);
    return dim < 0 ? tx_num(w->p, 1) : tx_dim(w->p, (uint16_t)dim);
}

static tx_ref
read_product(struct tile_reader *w, int depth)
{
    struct text *t = w->t;
    span_t at = t->tok.span;
    tx_ref x = read_atom(w, depth);
    while (!t->failed && (text_is(t, "*") || text_is(t, "/"))) {
        enum tx_op op = text_is(t, "*") ? TX_MUL : TX_FDIV;
        text_next(t);
        if (op == TX_FDIV && text_take(t, "^"))
            op = TX_CDIV;
        span_t by = t->tok.span;
        tx_ref y = read_atom(w, depth);
        int64_t v;
        if (op != TX_MUL && !t->failed && tx_is_num(w->p, y, &v) && v == 0)
            ir_read_fail(w->r, by, "division by zero");
        if (!t->failed)
            x = checked(w, at, tx_op2(w->p, op, x, y));
    }
    return x;
}

static tx_ref
read_size(struct tile_reader *w, int depth)
{
    struct text *t = w->t;
    span_t at = t->tok.span;
    tx_ref x = read_product(w, depth);
    while (!t->failed && (text_is(t, "+") || text_is(t, "-"))) {
        enum tx_op op = text_is(t, "+") ? TX_ADD : TX_SUB;
        text_next(t);
        tx_ref y = read_product(w, depth);
        if (!t->failed)
            x = checked(w, at, tx_op2(w->p, op, x, y));
    }
    return checked(w, at, x);
}

static void
read_let(struct tile_reader *w)
{
    span_t at = w->t->tok.span;
    text_expect(w->t, "$");
    struct let l = {.number = text_int(w->t, "the number of a let", 1, MAX_LET)};
    text_expect(w->t, "=");
    l.size = read_size(w, 0);
    text_end_statement(w->t);
    for (size_t k = 0; k < w->nlets; k++)
        if (w->lets[k].number == l.number)
            ir_read_fail(w->r, at, "$%lld is defined twice", (long long)l.number);
    if (w->nlets >= MAX_SIZES)
        ir_read_fail(w->r, at, "more than %d lets", MAX_SIZES);
    w->lets = arena_grow(w->r->a, w->lets, w->nlets, w->nlets + 1, &w->cap_lets, sizeof *w->lets);
    w->lets[w->nlets++] = l;
}

/* ---- buffers and views ---- */

static void
read_buffer(struct tile_reader *w)
{
    static const char *const kinds[] = {"arg", "shared", "state", "local"};
    static const char *const elems[] = {"acc", "io", "table"};
    struct text *t = w->t;
    span_t at = t->tok.span;
    const char *name = text_name(t, "the name of a buffer");
    int kind = ir_read_choice(w->r, "kind of buffer", kinds, 4);
    int elem = ir_read_choice(w->r, "kind of element", elems, 3);
    tx_ref extent[3] = {0};
    for (int k = 0; k < 3; k++) {
        if (k)
            text_expect(t, "x");
        extent[k] = read_size(w, 0);
    }
    if (!text_end_statement(t))
        return;
    int arg = kind == BUF_ARG ? tile_arg_find(w->p->func, name) : 0;
    if (!strcmp(name, "none"))
        ir_read_fail(w->r, at, "a buffer cannot be called none");
    else if (arg < 0)
        ir_read_fail(w->r, at, "the arguments are q, k, v and out");
    else if (w->p->nbufs >= TILE_MAX_BUFS)
        ir_read_fail(w->r, at, "more than %d buffers", TILE_MAX_BUFS - 1);
    if (t->failed)
        return;
    uint32_t b = tile_buf_add(w->p, arena_strdup(w->p->arena, name), kind, elem, extent[0],
                              extent[1], extent[2]);
    w->p->bufs[b].arg = (uint32_t)arg;
    if (kind == BUF_ARG)
        memcpy(w->p->bufs[b].axes, tile_arg_form(w->p, (uint32_t)arg).axes,
               sizeof w->p->bufs[b].axes);
    w->p->bufs[b].span = at;
}

static tile_view
read_view(struct tile_reader *w)
{
    struct text *t = w->t;
    const char *names[TILE_MAX_BUFS];
    tile_view v = {.span = t->tok.span};
    if (text_take(t, "none"))
        return v;
    const char *name = text_name(t, "a buffer");
    for (uint32_t k = 1; k < w->p->nbufs && name; k++) {
        names[k] = w->p->bufs[k].name;
        if (!v.buf && !strcmp(names[k], name))
            v.buf = k;
    }
    if (name && !v.buf)
        ir_read_unknown(w->r, v.span, "buffer", name, names + 1, w->p->nbufs - 1);
    text_expect(t, "[");
    int kind = w->p->bufs[v.buf].kind;
    bool planes = !w->p->bufs[v.buf].single;
    if (planes)
        v.b = read_size(w, 0);
    if (kind == BUF_ARG) {
        text_expect(t, ",");
        v.h = read_size(w, 0);
    }
    if (planes)
        text_expect(t, ";");
    v.row = read_size(w, 0);
    text_expect(t, ",");
    v.col = read_size(w, 0);
    text_expect(t, ":");
    v.rows = read_size(w, 0);
    text_expect(t, "x");
    v.cols = read_size(w, 0);
    v.span = span_join(v.span, t->tok.span);
    text_expect(t, "]");
    return v;
}

/* ---- statements ---- */

static void
read_origins(struct tile_reader *w, struct tile_stmt *s, int n, int most)
{
    text_expect(w->t, "at");
    text_expect(w->t, "(");
    for (int k = 0; k < most; k++) {
        if (k >= n && !text_is(w->t, ","))
            break;
        if (k)
            text_expect(w->t, ",");
        s->at[k] = read_size(w, 0);
    }
    text_expect(w->t, ")");
}

static uint8_t
read_extent(struct tile_reader *w, tx_ref *extent)
{
    uint8_t axis = ir_read_axis(w->r, true, 0);
    text_expect(w->t, ":");
    *extent = read_size(w, 0);
    return axis;
}

static void
read_map(struct tile_reader *w, struct tile_stmt *s)
{
    struct text *t = w->t;
    text_expect(t, "=");
    s->node = ir_read_ref(w->r);
    text_expect(t, "over");
    s->row_axis = read_extent(w, &s->rows);
    s->col_axis = read_extent(w, &s->cols);
    if (text_take(t, "sum"))
        s->red_axis = read_extent(w, &s->depth);
    read_origins(w, s, 5, 6);
    struct tile_bind binds[MAX_BINDS];
    while (!t->failed && t->tok.kind == TEXT_REF && !t->tok.first) {
        if (s->nbinds == MAX_BINDS) {
            ir_read_fail(w->r, t->tok.span, "more than %d bound nodes", MAX_BINDS);
            break;
        }
        struct tile_bind *b = &binds[s->nbinds++];
        b->node = ir_read_ref(w->r);
        text_expect(t, "<");
        b->row_axis = ir_read_axis(w->r, true, 0);
        text_expect(t, ",");
        b->col_axis = ir_read_axis(w->r, true, 0);
        text_expect(t, ">");
        text_expect(t, "=");
        b->view = read_view(w);
    }
    s->binds = ARENA_ARRAY(w->p->arena, struct tile_bind, s->nbinds);
    if (s->nbinds)
        memcpy(s->binds, binds, s->nbinds * sizeof *binds);
}

/* "%i %j in": names are variables of the loop whose body follows. */
static void
read_vars(struct tile_reader *w, struct tile_stmt *s)
{
    struct text *t = w->t;
    for (int k = 0; !t->failed && t->tok.kind == TEXT_REF; k++) {
        uint32_t var = find_var(w, t->tok.s);
        if (k == 3)
            ir_read_fail(w->r, t->tok.span, "more than three variables in a loop");
        else if (!text_is_word(t->tok.s))
            text_expected(t, "a loop variable");
        else if (!var && w->p->nvars >= TILE_MAX_VARS)
            ir_read_fail(w->r, t->tok.span, "more than %d loop variables", TILE_MAX_VARS - 1);
        if (t->failed)
            return;
        s->var[k] = var ? var : tile_var_add(w->p, arena_strdup(w->p->arena, t->tok.s));
        text_next(t);
    }
    if (s->var[0])
        text_expect(t, "in");
}

static struct tile_stmt *read_body(struct tile_reader *w, int depth);

static struct tile_stmt *
read_statement(struct tile_reader *w, int depth)
{
    struct text *t = w->t;
    const char *names[TILE_OP_COUNT];
    span_t at = t->tok.span;
    for (int k = 1; k < TILE_OP_COUNT; k++)
        names[k - 1] = tile_ops[k].name;
    int op = ir_read_choice(w->r, "statement", names, TILE_OP_COUNT - 1) + 1;
    const struct tile_op_info *info = &tile_ops[op];
    struct tile_stmt *s = tile_stmt_new(w->p, (enum tile_op)op);
    if (++w->nstmts > MAX_STATEMENTS)
        ir_read_fail(w->r, at, "more than %d statements", MAX_STATEMENTS);
    for (int k = 0; k < info->nnum; k++)
        s->num[k] = (int32_t)text_int(t, "a number", 0, 1024);
    if (info->flags & TF_LOOP)
        read_vars(w, s);
    for (int k = 0; k < info->nindex; k++) {
        if (k)
            text_expect(t, ",");
        s->x[k] = read_size(w, 0);
    }
    for (int k = 0; k < info->nviews; k++)
        if (k + 1 < info->nviews || info->views[k] != 'A' || !text_at_end(t))
            s->v[k] = read_view(w);
    if (info->flags & TF_MAP)
        read_map(w, s);
    if (info->flags & TF_AT)
        read_origins(w, s, 4, 4);
    s->span = at;
    if (info->flags & TF_BODY) {
        text_expect(t, "{");
        s->body = read_body(w, depth + 1);
        text_expect(t, "}");
    }
    text_end_statement(t);
    return s;
}

static struct tile_stmt *
read_body(struct tile_reader *w, int depth)
{
    struct text *t = w->t;
    struct tile_stmt *first = NULL, **tail = &first;
    size_t outer = w->nlets;
    if (depth > MAX_NESTING)
        ir_read_fail(w->r, t->tok.span, "statements nested more than %d deep", MAX_NESTING);
    while (!t->failed && t->tok.kind != TEXT_END && !text_is(t, "}")) {
        if (text_take(t, "size")) {
            read_let(w);
            continue;
        }
        *tail = read_statement(w, depth);
        tail = &(*tail)->next;
    }
    w->nlets = outer;
    return first;
}

static struct tile_prog *
read_tiles(struct ir_reader *r)
{
    struct text *t = r->t;
    int errors = t->diag->errors;
    r->quiet = false;
    struct tile_reader *w = ARENA_NEW(r->a, struct tile_reader);
    *w = (struct tile_reader){.r = r, .t = t, .p = tile_new(r->a, r->f, "", "")};
    text_expect(t, "tiles");
    span_t head = t->tok.span;
    const char *entry = text_name(t, "an entry point"), *schedule = text_name(t, "a schedule");
    w->p->entry = entry ? arena_strdup(r->a, entry) : "";
    w->p->schedule = schedule ? arena_strdup(r->a, schedule) : "";
    text_expect(t, "{");
    if (text_take(t, "skipped") && t->tok.kind == TEXT_STRING) {
        w->p->skipped = t->tok.s;
        text_next(t);
    }
    while (!t->failed && (text_is(t, "buffer") || text_is(t, "size")))
        if (text_take(t, "size"))
            read_let(w);
        else if (text_take(t, "buffer"))
            read_buffer(w);
    w->p->body = read_body(w, 0);
    text_expect(t, "}");
    if (t->diag->errors != errors)
        return NULL;
    span_t at = {0};
    const char *why = tile_verify(w->p, r->a, &at);
    if (why) {
        diag_error(t->diag, at.end ? at : head, "%s", why);
        return NULL;
    }
    tile_compact(w->p);
    return w->p;
}

struct ir_func *
air_read(struct arena *a, const struct source *src, struct diag *d,
         struct tile_prog *prog[TILE_ENTRIES])
{
    static const char *const entries[TILE_ENTRIES] = {"forward", "step"};
    struct text t;
    int errors = d->errors;
    text_begin(&t, a, src, d);
    struct ir_reader r = {.t = &t, .a = a};
    struct ir_func *f = ir_read_attention(&r);
    for (int k = 0; k < TILE_ENTRIES; k++) {
        span_t at = t.tok.span;
        bool more = f && d->errors == errors && t.tok.kind != TEXT_END;
        prog[k] = more ? read_tiles(&r) : NULL;
        if (prog[k] && strcmp(prog[k]->entry, entries[k]))
            diag_error(d, at, "the entry point is '%.60s', expected %s", prog[k]->entry,
                       entries[k]);
    }
    if (f && d->errors == errors && t.tok.kind != TEXT_END)
        text_expected(&t, "end of file");
    if (d->errors == errors)
        return f;
    ir_func_free(f);
    for (int k = 0; k < TILE_ENTRIES; k++)
        prog[k] = NULL;
    return NULL;
}
