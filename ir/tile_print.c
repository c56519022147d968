/* The textual form of tile programs. Every statement prints as one line:
 *
 *     matmul 1 v=s1[0,0 128x64] v=k[b,h: j1,0 nx64] v=t0[0,0 64x64]
 *     map v=p2[0,0 ...] node=%12 rows=j:nj cols=i:ni at=(b, h, i, j, hk) with %9=s1[...]:j,i
 *
 * Integer expressions print as formulas over dims and loop variables. Node numbers are those of
 * the function as printed beside the program. */
#include "ir/tile.h"

struct printer {
    const struct tile_prog *p;
    struct str *out;
    const ir_ref *number; /* node -> printed number */
};

static void
put_x(struct printer *w, tx_ref ref)
{
    static const char *const infix[] = {
        [TX_ADD] = " + ", [TX_SUB] = " - ", [TX_MUL] = "*", [TX_FDIV] = "/", [TX_CDIV] = "/^"};
    const struct tx *x = &w->p->xs[ref];
    struct str *o = w->out;
    if (x->op == TX_NUM) {
        str_printf(o, "%lld", (long long)x->num);
    } else if (x->op == TX_DIM) {
        str_put(o, w->p->func->dims[x->num].name);
    } else if (x->op == TX_VAR) {
        str_printf(o, "%%%s", w->p->vars[x->num]);
    } else if (x->op == TX_ROWS) {
        str_put(o, "rows(");
        put_x(w, x->a);
        str_printf(o, ", %lld)", (long long)x->num);
    } else if (x->op == TX_MIN || x->op == TX_MAX) {
        str_put(o, x->op == TX_MIN ? "min(" : "max(");
        put_x(w, x->a);
        str_put(o, ", ");
        put_x(w, x->b);
        str_putc(o, ')');
    } else if (x->op != TX_NONE) {
        str_putc(o, '(');
        put_x(w, x->a);
        str_put(o, infix[x->op]);
        put_x(w, x->b);
        str_putc(o, ')');
    }
}

static void
put_view(struct printer *w, const tile_view *v)
{
    struct str *o = w->out;
    const struct tile_buf *b = &w->p->bufs[v->buf];
    if (!v->buf) {
        str_put(o, "none");
        return;
    }
    str_printf(o, "%s[", b->name);
    if (b->kind == BUF_ARG || b->kind == BUF_SHARED) {
        put_x(w, v->b);
        if (b->kind == BUF_ARG) {
            str_put(o, ", ");
            put_x(w, v->h);
        }
        str_put(o, "; ");
    }
    put_x(w, v->row);
    str_put(o, ", ");
    put_x(w, v->col);
    str_put(o, " : ");
    put_x(w, v->rows);
    str_put(o, " x ");
    put_x(w, v->cols);
    str_putc(o, ']');
}

static const char *
axis_name(struct printer *w, uint8_t axis)
{
    return axis == AX_UNIT ? "-" : w->p->func->axes[axis].name;
}

static void
put_map(struct printer *w, const struct tile_stmt *s)
{
    struct str *o = w->out;
    str_printf(o, " = %%%u over %s:", w->number[s->node], axis_name(w, s->row_axis));
    put_x(w, s->rows);
    str_printf(o, " %s:", axis_name(w, s->col_axis));
    put_x(w, s->cols);
    if (s->red_axis != AX_UNIT) {
        str_printf(o, " sum %s:", axis_name(w, s->red_axis));
        put_x(w, s->depth);
    }
    str_put(o, " at(");
    for (int k = 0; k < 5; k++) {
        str_put(o, k ? ", " : "");
        put_x(w, s->at[k]);
    }
    str_putc(o, ')');
    for (uint32_t k = 0; k < s->nbinds; k++) {
        const struct tile_bind *b = &s->binds[k];
        str_printf(o, " %%%u<%s,%s>=", w->number[b->node], axis_name(w, b->row_axis),
                   axis_name(w, b->col_axis));
        put_view(w, &b->view);
    }
}

static void
put_body(struct printer *w, const struct tile_stmt *s, int depth)
{
    struct str *o = w->out;
    for (; s; s = s->next) {
        const struct tile_op_info *info = &tile_ops[s->op];
        str_printf(o, "%*s%s", depth * 2, "", info->name);
        for (int k = 0; k < info->nnum; k++)
            str_printf(o, " %d", s->num[k]);
        for (int k = 0; k < 3 && (info->flags & TF_LOOP) && s->var[k]; k++)
            str_printf(o, " %%%s", w->p->vars[s->var[k]]);
        for (int k = 0; k < info->nindex; k++) {
            str_put(o, k ? ", " : " ");
            put_x(w, s->x[k]);
        }
        for (int k = 0; k < info->nviews; k++) {
            str_putc(o, ' ');
            put_view(w, &s->v[k]);
        }
        if (info->flags & TF_MAP)
            put_map(w, s);
        if (info->flags & TF_BODY) {
            str_put(o, " {\n");
            put_body(w, s->body, depth + 1);
            str_printf(o, "%*s}", depth * 2, "");
        }
        str_putc(o, '\n');
    }
}

/* Numbers as ir_print gives them: live nodes densely. */
static void
mark_live(const struct tile_prog *p, const struct tile_stmt *s, bool *live)
{
    for (; s; s = s->next) {
        live[s->node] = true;
        for (uint32_t k = 0; k < s->nbinds; k++)
            live[s->binds[k].node] = true;
        mark_live(p, s->body, live);
    }
}

void
tile_print(const struct tile_prog *p, struct str *out)
{
    static const char *const kinds[] = {"arg", "shared", "local"};
    static const char *const elems[] = {"acc", "io", "table"};
    ir_ref *number = ARENA_ARRAY(p->arena, ir_ref, p->func->nnodes);
    for (uint32_t k = 0; k < p->func->nnodes; k++)
        number[k] = k;
    bool *live = ARENA_ARRAY(p->arena, bool, p->func->nnodes);
    mark_live(p, p->body, live);
    struct printer w = {p, out, number};
    str_printf(out, "tiles @%s %s %s {\n", p->func->name, p->entry, p->schedule);
    for (uint32_t k = 1; k < p->nbufs; k++) {
        const struct tile_buf *b = &p->bufs[k];
        str_printf(out, "  buffer %s %s %s ", b->name, kinds[b->kind], elems[b->elem]);
        put_x(&w, b->planes);
        str_put(out, " x ");
        put_x(&w, b->rows);
        str_put(out, " x ");
        put_x(&w, b->cols);
        str_putc(out, '\n');
    }
    for (uint32_t k = 1; k < p->func->nnodes; k++)
        if (live[k]) {
            str_printf(out, "  # %%%u = ", k);
            ir_print_math(p->func, k, out);
            str_putc(out, '\n');
        }
    put_body(&w, p->body, 1);
    str_put(out, "}\n");
}
