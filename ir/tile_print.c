/* The textual form of tile programs: the axis-IR function, then a block of buffers and statements.
 *
 *     let $3 = min(64, n_q - %t*64)
 *     matmul 1 acc1[0, 0 : $3 x M] p8[0, 0 : $4 x $3] v[%b, %h*G/H; %j4, 0 : $4 x M]
 *     map p8[0, 0 : $4 x $3] = %31 over j:$4 i:$3 at(%b, %h, %t*64, %j4, %h) %5<j,i>=s5[...]
 *
 * A size that is used twice and nested is named by `let` where a block first needs it. */
#include "ir/detail.h"
#include "ir/tile.h"

struct printer {
    const struct tile_prog *p;
    struct str *out;
    ir_ref *number;        /* node -> printed number */
    uint32_t *uses, *name; /* per size: how often it is used; its `let` number or 0 */
    tx_ref *open;          /* sizes that have a name, in the order they got it */
    uint32_t nopen, nlets;
    int depth;
};

/* ---- sizes ---- */

enum { SUM = 1, PRODUCT = 2, ATOM = 3 };
static const struct {
    const char *text;
    int level;
} infix[TX_MAX + 1] = {
    [TX_ADD] = {" + ", SUM},    [TX_SUB] = {" - ", SUM}, [TX_MUL] = {"*", PRODUCT},
    [TX_FDIV] = {"/", PRODUCT}, [TX_CDIV] = {"/^", PRODUCT}};

static void put_size(struct printer *w, tx_ref ref, int level);

static void
put_call(struct printer *w, const char *fn, tx_ref a, tx_ref b)
{
    str_printf(w->out, "%s(", fn);
    put_size(w, a, 0);
    str_put(w->out, ", ");
    put_size(w, b, 0);
    str_putc(w->out, ')');
}

static void
put_leaf(struct printer *w, const struct tx *x)
{
    struct str *o = w->out;
    if (x->op == TX_NUM) {
        str_printf(o, "%lld", (long long)x->num);
    } else if (x->op == TX_DIM) {
        ir_print_name(w->p->func->dims[x->num].name, o);
    } else if (x->op == TX_VAR) {
        str_printf(o, "%%%s", w->p->vars[x->num]);
    } else if (x->op == TX_ROWS) {
        str_put(o, "rows(");
        put_size(w, x->a, 0);
        str_printf(o, ", %lld)", (long long)x->num);
    }
}

/* A size as an operand of what binds at that level. */
static void
put_size(struct printer *w, tx_ref ref, int level)
{
    const struct tx *x = &w->p->xs[ref];
    if (w->name[ref]) {
        str_printf(w->out, "$%u", w->name[ref]);
    } else if (x->op == TX_MIN || x->op == TX_MAX) {
        put_call(w, x->op == TX_MIN ? "min" : "max", x->a, x->b);
    } else if (infix[x->op].text) {
        int own = infix[x->op].level;
        if (own < level)
            str_putc(w->out, '(');
        put_size(w, x->a, own);
        str_put(w->out, infix[x->op].text);
        put_size(w, x->b, own + 1);
        if (own < level)
            str_putc(w->out, ')');
    } else {
        put_leaf(w, x);
    }
}

static void
count_use(struct tile_prog *p, tx_ref *ref, void *arg)
{
    struct printer *w = arg;
    if (!*ref || w->uses[*ref]++)
        return;
    count_use(p, &p->xs[*ref].a, arg);
    count_use(p, &p->xs[*ref].b, arg);
}

static bool
is_compound(const struct printer *w, tx_ref ref)
{
    return w->p->xs[ref].op >= TX_ADD;
}

/* Names the sizes in this one that deserve it and have no name in this block, innermost first. */
static void
put_lets(struct tile_prog *p, tx_ref *ref, void *arg)
{
    struct printer *w = arg;
    const struct tx *x = &p->xs[*ref];
    if (!*ref || w->name[*ref])
        return;
    put_lets(p, &p->xs[*ref].a, arg);
    put_lets(p, &p->xs[*ref].b, arg);
    bool nested = is_compound(w, *ref) && (is_compound(w, x->a) || is_compound(w, x->b));
    if (!nested || w->uses[*ref] < 2)
        return;
    str_printf(w->out, "%*ssize $%u = ", w->depth * 2, "", ++w->nlets);
    put_size(w, *ref, 0);
    str_putc(w->out, '\n');
    w->name[*ref] = w->nlets;
    w->open[w->nopen++] = *ref;
}

/* ---- statements ---- */

static void
put_view(struct printer *w, const tile_view *v)
{
    struct str *o = w->out;
    const struct tile_buf *b = &w->p->bufs[v->buf];
    if (!v->buf) {
        str_put(o, "none");
        return;
    }
    ir_print_name(b->name, o);
    str_putc(o, '[');
    if (!b->single)
        put_size(w, v->b, 0);
    if (b->kind == BUF_ARG) {
        str_put(o, ", ");
        put_size(w, v->h, 0);
    }
    str_put(o, b->single ? "" : "; ");
    put_size(w, v->row, 0);
    str_put(o, ", ");
    put_size(w, v->col, 0);
    str_put(o, " : ");
    put_size(w, v->rows, 0);
    str_put(o, " x ");
    put_size(w, v->cols, 0);
    str_putc(o, ']');
}

static void
put_axis(struct printer *w, const char *before, uint8_t axis, tx_ref extent)
{
    str_put(w->out, before);
    ir_print_axis(w->p->func, axis, w->out);
    str_putc(w->out, ':');
    put_size(w, extent, 0);
}

static void
put_origins(struct printer *w, const struct tile_stmt *s, int n)
{
    str_put(w->out, " at(");
    for (int k = 0; k < n; k++) {
        str_put(w->out, k ? ", " : "");
        put_size(w, s->at[k], 0);
    }
    str_putc(w->out, ')');
}

static void
put_map(struct printer *w, const struct tile_stmt *s)
{
    struct str *o = w->out;
    str_printf(o, " = %%%u", w->number[s->node]);
    put_axis(w, " over ", s->row_axis, s->rows);
    put_axis(w, " ", s->col_axis, s->cols);
    if (s->red_axis != AX_UNIT)
        put_axis(w, " sum ", s->red_axis, s->depth);
    put_origins(w, s, s->at[5] ? 6 : 5);
    for (uint32_t k = 0; k < s->nbinds; k++) {
        const struct tile_bind *b = &s->binds[k];
        str_printf(o, " %%%u<", w->number[b->node]);
        ir_print_axis(w->p->func, b->row_axis, o);
        str_putc(o, ',');
        ir_print_axis(w->p->func, b->col_axis, o);
        str_put(o, ">=");
        put_view(w, &b->view);
    }
}

static void
put_statement(struct printer *w, const struct tile_stmt *s)
{
    struct str *o = w->out;
    const struct tile_op_info *info = &tile_ops[s->op];
    str_printf(o, "%*s%s", w->depth * 2, "", info->name);
    for (int k = 0; k < info->nnum; k++)
        str_printf(o, " %d", s->num[k]);
    bool bound = (info->flags & TF_LOOP) && s->var[0];
    for (int k = 0; k < 3 && bound && s->var[k]; k++)
        str_printf(o, " %%%s", w->p->vars[s->var[k]]);
    str_put(o, bound ? " in" : "");
    for (int k = 0; k < info->nindex; k++) {
        str_put(o, k ? ", " : " ");
        put_size(w, s->x[k], 0);
    }
    int nviews = info->nviews;
    while (nviews > 0 && info->views[nviews - 1] == 'A' && !s->v[nviews - 1].buf)
        nviews--;
    for (int k = 0; k < nviews; k++) {
        str_putc(o, ' ');
        put_view(w, &s->v[k]);
    }
    if (info->flags & TF_MAP)
        put_map(w, s);
    if (info->flags & TF_AT)
        put_origins(w, s, 4);
}

static void
put_body(struct printer *w, struct tile_stmt *s)
{
    uint32_t outer = w->nopen;
    for (w->depth++; s; s = s->next) {
        tile_each_size_of((struct tile_prog *)(uintptr_t)w->p, s, put_lets, w);
        put_statement(w, s);
        if (tile_ops[s->op].flags & TF_BODY) {
            str_put(w->out, " {\n");
            put_body(w, s->body);
            str_printf(w->out, "%*s}", w->depth * 2, "");
        }
        str_putc(w->out, '\n');
    }
    while (w->nopen > outer)
        w->name[w->open[--w->nopen]] = 0;
    w->depth--;
}

static void
put_buffer(struct printer *w, struct tile_buf *b)
{
    static const char *const kinds[] = {"arg", "shared", "state", "local"};
    static const char *const elems[] = {"acc", "io", "table"};
    tx_ref *extents[] = {&b->planes, &b->rows, &b->cols};
    for (int k = 0; k < 3; k++)
        put_lets((struct tile_prog *)(uintptr_t)w->p, extents[k], w);
    str_put(w->out, "  buffer ");
    ir_print_name(b->name, w->out);
    str_printf(w->out, " %s %s", kinds[b->kind], elems[b->elem]);
    for (int k = 0; k < 3; k++) {
        str_put(w->out, k ? " x " : " ");
        put_size(w, *extents[k], 0);
    }
    str_putc(w->out, '\n');
}

static void
put_program(const struct tile_prog *cp, ir_ref *number, struct str *out)
{
    struct tile_prog *p = (struct tile_prog *)(uintptr_t)cp; /* the walks only read here */
    struct arena *scratch = arena_new();
    struct printer w = {.p = p, .out = out, .number = number,
                        .uses = ARENA_ARRAY(scratch, uint32_t, p->nxs),
                        .name = ARENA_ARRAY(scratch, uint32_t, p->nxs),
                        .open = ARENA_ARRAY(scratch, tx_ref, p->nxs), .depth = 1};
    tile_each_size(p, count_use, &w);
    str_printf(out, "tiles %s %s {\n", p->entry, p->schedule);
    if (p->skipped) {
        str_put(out, "  skipped ");
        ir_print_string(p->skipped, out);
        str_putc(out, '\n');
    }
    for (uint32_t k = 1; k < p->nbufs; k++)
        put_buffer(&w, &p->bufs[k]);
    w.depth = 0;
    put_body(&w, p->body);
    str_put(out, "}\n");
    arena_free(scratch);
}

void
tile_print(const struct tile_prog *const prog[TILE_ENTRIES], struct str *out)
{
    struct arena *scratch = arena_new();
    struct ir_func *f = prog[0]->func;
    ir_ref *number = ARENA_ARRAY(scratch, ir_ref, f->nnodes);
    bool *live = ARENA_ARRAY(scratch, bool, f->nnodes);
    for (int k = 0; k < TILE_ENTRIES && prog[k]; k++) {
        const bool *own = tile_live(prog[k], scratch);
        for (uint32_t n = 0; n < f->nnodes; n++)
            live[n] = live[n] || own[n];
    }
    ir_print_nodes(f, live, number, out);
    for (int k = 0; k < TILE_ENTRIES && prog[k]; k++)
        put_program(prog[k], number, out);
    arena_free(scratch);
}
