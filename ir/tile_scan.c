/* Running tile programs: sums that grow from token to token, and what fades them. */
#include "ir/tile_exec.h"

/* Queries that come before the first key (negative: keys before the first query). */
static int64_t
scan_offset(struct exec *e, const struct tile_stmt *s, int64_t *keys)
{
    const tile_view *q = &s->v[2], *k = &s->v[3];
    int64_t queries = exec_x(e, s->num[0] ? q->cols : q->rows);
    *keys = exec_x(e, s->num[0] ? k->cols : k->rows);
    return queries - *keys;
}

static num
scan_feature(struct exec *e, const struct tile_stmt *s, int which, int64_t head, int64_t token,
             int64_t feature)
{
    bool turned = s->num[0] == 1;
    return *exec_at_plane(e, &s->v[which], head, turned ? feature : token,
                          turned ? token : feature);
}

/* v1 fades by the gate of token t, if there is one. */
static void
scan_fade(struct exec *e, const struct tile_stmt *s, int64_t t)
{
    const tile_view *gates = &s->v[tile_ops[s->op].nviews - 1];
    if (!s->num[1])
        return;
    EACH(e, &s->v[1], f, m) {
        num *to = exec_at(e, &s->v[1], f, m);
        int64_t feature = s->op == TILE_scansum ? m : f;
        bool row = s->num[1] == 1;
        *to = num_mul(e->in->dom, *to, *exec_at(e, gates, row ? 0 : t, row ? t : feature));
        e->count->other++;
    }
}

/* v1 += the key's features times v4[t], or times 1. */
static void
scan_key(struct exec *e, const struct tile_stmt *s, int64_t t)
{
    bool sum = s->op == TILE_scansum;
    scan_fade(e, s, t);
    EACH(e, &s->v[1], f, m) {
        num x = scan_feature(e, s, 3, 0, t, sum ? m : f);
        num *to = exec_at(e, &s->v[1], f, m);
        if (sum)
            *to = num_add(e->in->dom, *to, x);
        else
            exec_mul_add(e, to, x, *exec_at(e, &s->v[4], t, m));
        e->count->other += sum;
    }
}

static void
scan_query(struct exec *e, const struct tile_stmt *s, int64_t t)
{
    bool sum = s->op == TILE_scansum;
    int64_t spread = exec_x(e, s->v[0].cols);
    for (int64_t h = 0; h < exec_x(e, s->x[0]); h++)
        EACH(e, &s->v[1], f, m)
            exec_mul_add(e, exec_at_plane(e, &s->v[0], h, t, sum ? m % spread : m),
                    scan_feature(e, s, 2, h, t, sum ? m : f), *exec_at(e, &s->v[1], f, m));
}

void
exec_scan(struct exec *e, const struct tile_stmt *s)
{
    int64_t keys, ahead = scan_offset(e, s, &keys);
    for (int64_t t = 0; t < ahead; t++)
        scan_query(e, s, t);
    for (int64_t t = 0; t < keys; t++) {
        scan_key(e, s, t);
        if (t + ahead >= 0)
            scan_query(e, s, t + ahead);
    }
}

void
exec_scansum(struct exec *e, const struct tile_stmt *s)
{
    exec_scan(e, s);
}

void
exec_product(struct exec *e, const struct tile_stmt *s)
{
    EACH(e, &s->v[0], r, c)
        *exec_at(e, &s->v[0], r, c) = num_from_i(e->in->dom, 1);
    EACH(e, &s->v[1], r, c) {
        num *to = exec_at(e, &s->v[0], 0, s->num[0] ? 0 : c);
        *to = num_mul(e->in->dom, *to, *exec_at(e, &s->v[1], r, c));
        e->count->other++;
    }
}

/* The gates of channel a from after token t up to token `last`, given those from `end` up to x1. */
static num
faded_gate(struct exec *e, const struct tile_stmt *s, int64_t a, int64_t t, int64_t last)
{
    int64_t end = exec_x(e, s->x[0]) + exec_x(e, s->v[0].rows), first = exec_x(e, s->x[1]);
    num g = end <= first ? *exec_at(e, &s->v[4], 0, a) : num_from_i(e->in->dom, 1);
    for (t++; t <= last; t++)
        if (t < end || t > first)
            g = num_mul(e->in->dom, g, *exec_at(e, &s->v[3], s->num[0] ? 0 : t,
                                                s->num[0] ? t : a));
    return g;
}

void
exec_faded(struct exec *e, const struct tile_stmt *s)
{
    int64_t x0 = exec_x(e, s->x[0]), x1 = exec_x(e, s->x[1]), step = exec_x(e, s->x[2]);
    int64_t depth = s->num[0] ? 1 : exec_x(e, s->v[3].cols);
    EACH(e, &s->v[0], r, c) {
        num sum = num_from_i(e->in->dom, 0);
        for (int64_t a = 0; a < depth; a++) {
            num x = faded_gate(e, s, a, x0 + r, x1 + step * c);
            if (s->v[1].buf)
                x = num_mul(e->in->dom, x, *exec_at(e, &s->v[1], r, a));
            if (s->v[2].buf)
                x = num_mul(e->in->dom, x, *exec_at(e, &s->v[2], a, c));
            sum = num_add(e->in->dom, sum, x);
        }
        *exec_at(e, &s->v[0], r, c) = sum;
    }
}
