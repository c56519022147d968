/* Two lists of statements as one.
 *
 * What runs over the same becomes one loop, from the outside in; the statements of both follow one
 * another within it. Then a buffer of the second program is dropped where the first fills one of
 * its own by the same statements, from the same operands, before the second reads it: a copy of
 * values that both read, queries turned for the product, or the scores themselves. */
#include "passes/fuse.h"

#include <string.h>

/* A statement of the one program or of the other, or a loop of both. */
struct item {
    struct tile_stmt *one, *two;
    struct item *same;            /* in the same list: what does the same in the other program */
    struct item *body, *next;
    int at;                       /* place in the list */
};

/* A list of them under construction. */
struct items {
    struct item *first, **end;
    int n;
};

struct fuse {
    struct tile_prog *p;
    uint32_t second;              /* the first buffer of the second program */
    uint32_t *partner;            /* per buffer of it: the one that holds the same; 0: none */
    bool *taken;                  /* per buffer of the first: some buffer has it as partner */
};

static bool
is_block(const struct tile_stmt *s)
{
    return (tile_ops[s->op].flags & TF_BODY) != 0;
}

static bool
writes(const struct tile_stmt *s, int view)
{
    return strchr("woWT", tile_ops[s->op].views[view]) != NULL;
}

static bool
is_argument(const struct fuse *f, uint32_t buf)
{
    return f->p->bufs[buf].kind == BUF_ARG;
}

/* ---- the same statement ---- */

/* May one buffer stand for the other? */
static bool
same_form(const struct tile_buf *x, const struct tile_buf *y)
{
    return x->kind == y->kind && x->elem == y->elem && x->planes == y->planes &&
           x->rows == y->rows && x->cols == y->cols && x->single == y->single;
}

/* The buffer of the second program holds what that of the first does. */
static bool
is_partner(const struct fuse *f, uint32_t one, uint32_t two)
{
    return one == two || (two && f->partner[two] == one);
}

static bool
same_place(const tile_view *x, const tile_view *y)
{
    return x->b == y->b && x->h == y->h && x->row == y->row && x->col == y->col &&
           x->rows == y->rows && x->cols == y->cols;
}

/* What is read as bound tiles is the same. */
static bool
same_binds(const struct fuse *f, const struct tile_stmt *x, const struct tile_stmt *y)
{
    if (x->nbinds != y->nbinds)
        return false;
    for (uint32_t k = 0; k < x->nbinds; k++) {
        const struct tile_bind *a = &x->binds[k], *b = &y->binds[k];
        if (a->node != b->node || a->row_axis != b->row_axis || a->col_axis != b->col_axis ||
            !is_partner(f, a->view.buf, b->view.buf) || !same_place(&a->view, &b->view))
            return false;
    }
    return true;
}

/* All but the buffers of views, and but the variables' values. */
static bool
same_shape(const struct tile_stmt *x, const struct tile_stmt *y)
{
    if (x->op != y->op || x->node != y->node || x->row_axis != y->row_axis ||
        x->col_axis != y->col_axis || x->red_axis != y->red_axis)
        return false;
    for (int k = 0; k < tile_ops[x->op].nviews; k++)
        if (!same_place(&x->v[k], &y->v[k]) || !x->v[k].buf != !y->v[k].buf)
            return false;
    return !memcmp(x->x, y->x, sizeof x->x) && !memcmp(x->num, y->num, sizeof x->num) &&
           !memcmp(x->at, y->at, sizeof x->at) && !memcmp(x->var, y->var, sizeof x->var) &&
           x->rows == y->rows && x->cols == y->cols && x->depth == y->depth;
}

static bool
same_views(const struct fuse *f, const struct tile_stmt *x, const struct tile_stmt *y)
{
    for (int k = 0; k < tile_ops[x->op].nviews; k++)
        if (!is_partner(f, x->v[k].buf, y->v[k].buf))
            return false;
    return same_binds(f, x, y);
}

/* ---- one list of both ---- */

/* A body runs as often, with the same variables. */
static bool
same_head(const struct fuse *f, const struct tile_stmt *x, const struct tile_stmt *y)
{
    return is_block(x) && same_shape(x, y) && same_views(f, x, y);
}

static struct item *items_of(struct fuse *f, struct tile_stmt *one, struct tile_stmt *two);

static void
item_add(struct fuse *f, struct items *l, struct tile_stmt *one, struct tile_stmt *two)
{
    struct item *it = ARENA_NEW(f->p->arena, struct item);
    it->one = one;
    it->two = two;
    it->at = l->n++;
    it->body = items_of(f, one ? one->body : NULL, two ? two->body : NULL);
    *l->end = it;
    l->end = &it->next;
}

static struct item *
items_of(struct fuse *f, struct tile_stmt *one, struct tile_stmt *two)
{
    struct items l = {NULL, &l.first, 0};
    for (; one; one = one->next) {
        struct tile_stmt *same = two;
        while (same && !same_head(f, one, same))
            same = same->next;
        for (; same && two != same; two = two->next)
            item_add(f, &l, NULL, two);
        item_add(f, &l, one, same);
        two = same ? same->next : two;
    }
    for (; two; two = two->next)
        item_add(f, &l, NULL, two);
    return l.first;
}

/* ---- buffers that hold the same ---- */

/* Views of the one stand for those of the other, if what is written has no partner yet. */
static bool
pair_views(struct fuse *f, const struct tile_stmt *x, const struct tile_stmt *y)
{
    bool any = false;
    for (int k = 0; k < tile_ops[x->op].nviews; k++) {
        uint32_t a = x->v[k].buf, b = y->v[k].buf;
        if (is_partner(f, a, b))
            continue;
        bool free = !is_argument(f, a) && !is_argument(f, b) && !f->partner[b] && !f->taken[a];
        if (!writes(x, k) || !free || !same_form(&f->p->bufs[a], &f->p->bufs[b]))
            return false;
    }
    if (!same_binds(f, x, y))
        return false;
    for (int k = 0; k < tile_ops[x->op].nviews; k++)
        if (writes(x, k) && x->v[k].buf && !is_argument(f, x->v[k].buf)) {
            f->partner[y->v[k].buf] = x->v[k].buf;
            f->taken[x->v[k].buf] = true;
            any = true;
        }
    return any;
}

/* Statements of the second program and those of the first that may do the same, list by list and in
 * the same order. */
static void
find_same(struct fuse *f, struct item *list)
{
    struct item *from = list;
    for (struct item *it = list; it; it = it->next) {
        if (it->one || is_block(it->two)) {
            if (it->one && it->two)
                find_same(f, it->body);
            continue;
        }
        for (struct item *x = from; x && !it->same; x = x->next)
            if (x->one && !x->two && !is_block(x->one) && same_shape(x->one, it->two) &&
                pair_views(f, x->one, it->two)) {
                it->same = x;
                x->same = it;
                from = x->next;
            }
    }
}

/* True if every statement of the list that fills the one's buffer, or the other's, has its like. */
static bool
filled_alike(const struct item *list, uint32_t one, uint32_t two)
{
    for (const struct item *it = list; it; it = it->next) {
        const struct tile_stmt *s = it->one ? it->one : it->two;
        for (int k = 0; k < tile_ops[s->op].nviews; k++)
            if (writes(s, k) && s->v[k].buf == (it->one ? one : two) && !it->same)
                return false;
        if (!filled_alike(it->body, one, two))
            return false;
    }
    return true;
}

static bool
reads(const struct tile_stmt *s, uint32_t buf)
{
    for (int k = 0; k < tile_ops[s->op].nviews; k++)
        if (s->v[k].buf == buf)
            return true;
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].view.buf == buf)
            return true;
    return false;
}

/* True if the item, or what is in it, reads a buffer of the second program and stays. */
static bool
reads_within(const struct item *it, uint32_t two)
{
    if (it->two && !it->same && reads(it->two, two))
        return true;
    for (const struct item *x = it->body; x; x = x->next)
        if (reads_within(x, two))
            return true;
    return false;
}

static bool
fills(const struct item *it, uint32_t one)
{
    for (int k = 0; it->one && it->same && k < tile_ops[it->one->op].nviews; k++)
        if (writes(it->one, k) && it->one->v[k].buf == one)
            return true;
    return false;
}

/* True if something reads the second program's buffer before it would be filled there, but after
 * it is in the first, or the other way round. */
static bool
read_between(const struct item *list, uint32_t one, uint32_t two)
{
    for (const struct item *r = list; r; r = r->next) {
        for (const struct item *w = list; w && reads_within(r, two); w = w->next)
            if (fills(w, one) && (w->at < r->at) != (w->same->at < r->at))
                return true;
        if (read_between(r->body, one, two))
            return true;
    }
    return false;
}

/* Statements whose operands turned out to differ are no longer the same. True if there was one. */
static bool
part_unlike(const struct fuse *f, struct item *list)
{
    bool any = false;
    for (struct item *it = list; it; it = it->next) {
        if (!it->one && it->same && !same_views(f, it->same->one, it->two)) {
            it->same->same = NULL;
            it->same = NULL;
            any = true;
        }
        any = part_unlike(f, it->body) || any;
    }
    return any;
}

/* Takes back what does not hold, until all the rest does. */
static void
settle(struct fuse *f, struct item *list)
{
    bool changed = true;
    while (changed) {
        changed = part_unlike(f, list);
        for (uint32_t k = f->second; k < f->p->nbufs; k++) {
            uint32_t one = f->partner[k];
            if (!one || (filled_alike(list, one, k) && !read_between(list, one, k)))
                continue;
            f->taken[one] = false;
            f->partner[k] = 0;
            changed = true;
        }
    }
}

/* Nodes whose values the second program finds in a buffer of the first. */
static void
mark_done(const struct fuse *f, const struct item *list, bool *done)
{
    for (const struct item *it = list; it; it = it->next) {
        const struct tile_stmt *s = it->two;
        if (!it->one && it->same && (tile_ops[s->op].flags & TF_MAP))
            done[s->node] = true;
        for (uint32_t k = 0; !it->one && k < s->nbinds; k++)
            if (f->partner[s->binds[k].view.buf])
                done[s->binds[k].node] = true;
        mark_done(f, it->body, done);
    }
}

/* ---- what is read ---- */

/* Marks the arguments that a map reads at n, as far as no tile holds what is below. */
static void
mark_leaves(const struct fuse *f, const struct tile_stmt *s, ir_ref n, bool *args)
{
    const struct ir_func *func = f->p->func;
    const struct ir_node *x = &func->nodes[n];
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (s->binds[k].node == n)
            return;
    if (x->op == IR_input)
        args[x->attr.num] = true;
    else if (x->op == IR_param && func->params[x->attr.id].rank)
        args[tile_param_arg(func, x->attr.id)] = true;
    for (int k = 0; k < x->nargs; k++)
        mark_leaves(f, s, x->arg[k], args);
}

/* Marks the arguments that one statement reads. */
static void
mark_reads(const struct fuse *f, const struct tile_stmt *s, bool *args)
{
    uint32_t views = tile_ops[s->op].nviews;
    for (uint32_t k = 0; k < views + s->nbinds; k++) {
        uint32_t buf = k < views ? s->v[k].buf : s->binds[k - views].view.buf;
        if (buf && is_argument(f, buf))
            args[f->p->bufs[buf].arg] = true;
    }
    if (tile_ops[s->op].flags & TF_MAP)
        mark_leaves(f, s, s->node, args);
}

/* Marks all that they read, of a list. */
static void
mark_all(const struct fuse *f, const struct tile_stmt *s, bool *args)
{
    for (; s; s = s->next) {
        mark_reads(f, s, args);
        mark_all(f, s->body, args);
    }
}

/* Marks the arguments that the second program reads where the first does not: by statements that
 * stay, outside the loops of both in which the first reads them (around). */
static void
mark_again(const struct fuse *f, const struct item *list, const bool *around, bool *again)
{
    for (const struct item *it = list; it; it = it->next) {
        bool inside[GRAPH_MAX_ARGS], reads[GRAPH_MAX_ARGS] = {false};
        memcpy(inside, around, sizeof inside);
        if (it->one && it->two && it->one->op == TILE_for)
            mark_all(f, it->one->body, inside);
        if (it->two && !it->one && !it->same)
            mark_reads(f, it->two, reads);
        for (int k = 0; k < GRAPH_MAX_ARGS; k++)
            again[k] = again[k] || (reads[k] && !around[k]);
        mark_again(f, it->body, inside, again);
    }
}

/* ---- statements again ---- */

static void
rename_buffers(const struct fuse *f, struct tile_stmt *s)
{
    for (int k = 0; k < tile_ops[s->op].nviews; k++)
        if (f->partner[s->v[k].buf])
            s->v[k].buf = f->partner[s->v[k].buf];
    for (uint32_t k = 0; k < s->nbinds; k++)
        if (f->partner[s->binds[k].view.buf])
            s->binds[k].view.buf = f->partner[s->binds[k].view.buf];
}

static struct tile_stmt *
statements_of(const struct fuse *f, struct item *list)
{
    struct tile_stmt *first = NULL, **end = &first;
    for (struct item *it = list; it; it = it->next) {
        if (!it->one && it->same)
            continue;
        struct tile_stmt *s = *end = it->one ? it->one : it->two;
        if (!it->one)
            rename_buffers(f, s);
        s->body = statements_of(f, it->body);
        s->next = NULL;
        end = &s->next;
    }
    return first;
}

static void
mark_used(const struct tile_stmt *s, bool *used)
{
    for (; s; s = s->next) {
        for (int k = 0; k < tile_ops[s->op].nviews; k++)
            used[s->v[k].buf] = true;
        for (uint32_t k = 0; k < s->nbinds; k++)
            used[s->binds[k].view.buf] = true;
        mark_used(s->body, used);
    }
}

static void
renumber(struct tile_stmt *s, const uint32_t *to)
{
    for (; s; s = s->next) {
        for (int k = 0; k < tile_ops[s->op].nviews; k++)
            s->v[k].buf = to[s->v[k].buf];
        for (uint32_t k = 0; k < s->nbinds; k++)
            s->binds[k].view.buf = to[s->binds[k].view.buf];
        renumber(s->body, to);
    }
}

/* Buffers that no statement names any more go. */
static void
drop_unused(struct tile_prog *p)
{
    uint32_t *to = ARENA_ARRAY(p->arena, uint32_t, p->nbufs), n = 1;
    bool *used = ARENA_ARRAY(p->arena, bool, p->nbufs);
    mark_used(p->body, used);
    for (uint32_t k = 1; k < p->nbufs; k++) {
        if (!used[k])
            continue;
        p->bufs[n] = p->bufs[k];
        to[k] = n++;
    }
    p->nbufs = n;
    renumber(p->body, to);
}

void
fuse_bodies(struct tile_prog *p, struct tile_stmt *one, struct tile_stmt *two, uint32_t second,
            bool *done, bool *again)
{
    const bool none[GRAPH_MAX_ARGS] = {false};
    struct fuse f = {p, second, ARENA_ARRAY(p->arena, uint32_t, p->nbufs),
                     ARENA_ARRAY(p->arena, bool, p->nbufs)};
    struct item *list = items_of(&f, one, two);
    find_same(&f, list);
    settle(&f, list);
    mark_done(&f, list, done);
    mark_again(&f, list, none, again);
    p->body = statements_of(&f, list);
    drop_unused(p);
}
