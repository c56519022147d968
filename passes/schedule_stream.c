/* Schedule `stream`: any similarity, any mask; nothing of size n*n is ever stored.
 *
 *     phase b, h, query tile:
 *         acc = 0, den = 0 (max = -inf)
 *         for the key tiles the mask can show this query tile:
 *             S[j,i] = K Q'            scores, keys down, queries across: vector lanes are queries
 *             P[j,i] = sim(S)          den += column sums     (running maximum: rescale acc, den)
 *             acc[i,m] += P' V
 *         out = acc / den
 *
 * Where there are few queries the keys are split as well: each split leaves its sums in shared
 * memory, and a second phase adds them up in order. How many splits there are is a function of the
 * sizes alone, so that results do not depend on the number of threads.
 *
 * Scores are kept transposed because then every reduction over keys is a plain vector operation, K
 * and V are read where they lie, and only Q is transposed, once per query tile. (Up to FEW_QUERIES,
 * a tile that is wholly visible has the keys across instead.) A key tile that is
 * wholly visible evaluates no mask, one that is partly visible does, one that is hidden costs a few
 * integer operations, and none at all outside the ranges of keys that the mask leaves. */
#include "passes/stream.h"

#include "passes/cost.h"
#include "passes/mask.h"
#include "passes/rewrite.h"

/* Fewer tasks than FEW_TASKS are split, into parts of at least SPLIT_TILES key tiles. */
enum { FEW_TASKS = 8, SPLIT_TILES = 2 };
/* Keys that fewer query tiles read are not worth a phase of their own. */
enum { FEW_READERS = 3 };

static const span_t nowhere = {0, 0};

/* weight and whether it multiplies v: rsum[j](w * v) or rsum[j](w). */
static void
classify_sum(struct stream *st, ir_ref node, struct key_sum *k)
{
    struct ir_func *f = st->s.f;
    ir_ref fac[32], rest[32], arg = f->nodes[node].arg[0];
    int n = product_factors(f, arg, fac, 32), m = 0;
    *k = (struct key_sum){.node = node};
    k->maximum = f->nodes[node].op == IR_rmax;
    for (int i = 0; i < n; i++) {
        const struct ir_node *x = &f->nodes[fac[i]];
        if (x->op == IR_input && x->attr.num == 2 && !k->values)
            k->values = true;
        else
            rest[m++] = fac[i];
    }
    k->weight = product_of(f, rest, m);
    const struct ir_node *w = &f->nodes[k->weight];
    k->count = st->mask && w->op == IR_select && w->arg[0] == st->mask &&
               ir_is_const(f, w->arg[1], 1) && ir_is_const(f, w->arg[2], 0);
}

/* Once: a maximum is inside of weights, and lse may read it by itself. */
static void
add_sum(struct stream *st, const struct key_sum *ks)
{
    for (int k = 0; k < st->nsums; k++)
        if (st->sum[k].node == ks->node)
            return;
    if (st->nsums >= MAX_SUMS)
        ICE("more than %d sums over keys", MAX_SUMS);
    st->sum[st->nsums++] = *ks;
}

static void
collect_sums(struct stream *st)
{
    ir_ref found[MAX_SUMS];
    struct ir_func *f = st->s.f;
    int n = result_key_sums(f, found, MAX_SUMS);
    if (n > MAX_SUMS)
        ICE("more than %d sums over keys", MAX_SUMS);
    for (int k = 0; k < n; k++) {
        struct key_sum ks;
        classify_sum(st, found[k], &ks);
        ir_ref inner[MAX_SUMS];
        int m = outer_key_sums(f, ks.weight, inner, MAX_SUMS); /* the running maxima inside */
        for (int i = 0; i < m && i < MAX_SUMS; i++) {
            struct key_sum max;
            classify_sum(st, inner[i], &max);
            add_sum(st, &max);
        }
        add_sum(st, &ks);
    }
}

static void
make_accumulators(struct stream *st)
{
    struct sched *s = &st->s;
    tx_ref one = tx_num(s->p, 1);
    for (int k = 0; k < st->nsums; k++) {
        struct key_sum *ks = &st->sum[k];
        const char *what = ks->values ? "acc" : ks->maximum ? "max" : ks->count ? "seen" : "den";
        tx_ref rows = ks->values ? s->max_ni : one;
        tx_ref cols = ks->values ? tx_dim(s->p, DIM_M) : s->max_ni;
        enum tile_op op = ks->maximum ? TILE_lowest : TILE_zero;
        tile_view all = local_tile(s, what, true, rows, cols, rows, cols);
        ks->buf = all.buf;
        stmt_add(&st->init, stream_stmt(st, op, all, (tile_view){0}));
    }
}

/* `if lo < hi` around the statements for a tile of one class. */
static void
emit_class(struct stream *st, bool full, tx_ref lo, tx_ref hi, struct stmt_list *out)
{
    struct sched *s = &st->s;
    struct stmt_list mixed = {0}, body = {0};
    int64_t a, b;
    bool known = tx_is_num(s->p, lo, &a) && tx_is_num(s->p, hi, &b);
    if (known && a >= b)
        return;
    struct tile_stmt *count = tile_stmt_new(s->p, TILE_scores);
    count->x[0] = s->nj;
    count->x[1] = s->ni;
    stmt_add(&mixed, count);
    st->values.buf = 0;
    if (full) {
        stream_full_tile(st, &mixed);
    } else {
        s->mixed = &mixed;
        stream_tile(st, false);
    }
    rows_each(&st->rows, s, &mixed);
    stmt_splice(&body, &s->key);
    stmt_splice(&body, &mixed);
    stream_forget(s, false);
    if (known) {
        stmt_splice(out, &body);
        return;
    }
    stmt_add(out, stmt_if(s, lo, hi, &body));
}

/* What is done with key tile number `tile`: all of it, part of it, or nothing. */
static void
emit_key_tile(struct stream *st, const struct mask *m, tx_ref tile, struct stmt_list *out)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    uint32_t j = tile_var_add(p, "j"), all = tile_var_add(p, "all");
    tx_ref none = tx_num(p, -1), zero = tx_num(p, 0);
    s->at[3] = tx_var(p, j);
    s->nj = tx_op2(p, TX_MIN, s->max_nj, tx_op2(p, TX_SUB, tx_dim(p, DIM_N), s->at[3]));
    struct mask_class c = mask_classify(m, s->at[3], s->nj);
    int64_t known;
    bool constant = tx_is_num(p, c.all, &known);
    tx_ref full = constant ? c.all : tx_var(p, all);
    struct stmt_list partly = {0};
    emit_class(st, true, none, full, out);
    if (!constant || known < 0)
        emit_class(st, false, none, c.may, &partly);
    if (constant && known < 0) {
        stmt_splice(out, &partly);
    } else if (!constant) {
        stmt_add(out, stmt_if(s, full, zero, &partly));
        stmt_let(s, all, c.all, out);
    }
    mask_read_summaries(m, tile, out);
    stmt_let(s, j, tx_op2(p, TX_MUL, tile, s->max_nj), out);
}

/* The loop over the key tiles of this split that some query of the tile may see, each once, in
 * order. */
static void
emit_key_loop(struct stream *st, const struct mask *m, struct stmt_list *body)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    uint32_t step = tile_var_add(p, "step");
    struct mask_walk w = mask_walk(m, tx_var(p, step));
    struct stmt_list inner = {0};
    uint32_t tile = tile_var_add(p, "tile");
    emit_key_tile(st, m, tx_var(p, tile), &inner);
    stmt_let(s, tile, w.tile, &inner);
    tx_ref splits = tx_var(p, st->var_splits), split = tx_var(p, st->var_split);
    tx_ref next = tx_op2(p, TX_ADD, split, tx_num(p, 1));
    tx_ref lo = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, w.count, split), splits);
    tx_ref hi = tx_op2(p, TX_FDIV, tx_op2(p, TX_MUL, w.count, next), splits);
    stmt_add(body, stmt_for(s, step, lo, hi, tx_num(p, 1), &inner));
    mask_open_walk(m, &w, body);
    if (w.bounded)
        p->skipped = m->nvalues ? "key tiles outside the mask's bounds are never visited; those "
                                  "within are judged by a summary of the values the mask compares"
                                : "key tiles outside the mask's bounds are never visited";
    else if (m->nvalues)
        p->skipped = "key tiles are judged by a summary of the values the mask compares";
}

static void
emit_epilogue(struct stream *st, struct stmt_list *l)
{
    struct sched *s = &st->s;
    s->at[3] = tx_num(s->p, 0);
    for (int k = 0; k < st->nsums; k++) {
        const struct key_sum *ks = &st->sum[k];
        hold(s, ks->node, stream_sum(st, ks), ks->values ? AX_i : AX_UNIT,
             ks->values ? AX_m : AX_i);
    }
    rows_output(&st->rows, s, l);
}

/* ---- splits of the keys ---- */

static void
count_splits(struct stream *st)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1), few = tx_num(p, FEW_TASKS);
    tx_ref tasks = tx_op2(p, TX_MUL, tx_dim(p, DIM_B), st->rows.tasks);
    tasks = tx_op2(p, TX_MAX, one, tx_op2(p, TX_MUL, tasks, st->rows.tiles));
    tx_ref lack = tx_op2(p, TX_SUB, tx_op2(p, TX_CDIV, few, tasks), one);
    tx_ref want = tx_op2(p, TX_ADD, one, tx_op2(p, TX_MUL, few, lack));
    tx_ref least = tx_op2(p, TX_MUL, tx_num(p, SPLIT_TILES), s->max_nj);
    tx_ref most = tx_op2(p, TX_FDIV, tx_dim(p, DIM_N), least);
    st->splits = tx_op2(p, TX_MAX, one, tx_op2(p, TX_MIN, want, most));
    st->var_splits = tile_var_add(p, "splits");
    st->var_split = tile_var_add(p, "split");
}

/* Costly vectors of keys are made once where several query tiles read them. A mask that may hide
 * most keys from few queries says otherwise. */
static void
choose_kept(struct stream *st)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1), zero = tx_num(p, 0);
    tx_ref each = st->rows.may_share ? st->rows.blocks : st->rows.width;
    tx_ref readers = tx_op2(p, TX_MUL, each, st->rows.tiles);
    struct mask_parts m = {0};
    tx_ref enough = tx_op2(p, TX_SUB, readers, tx_num(p, FEW_READERS - 1));
    st->kept.keep = tx_op2(p, TX_MAX, zero, tx_op2(p, TX_MIN, one, enough));
    if (st->mask)
        m = pass_mask_parts(s->f, st->mask);
    if (m.key || m.rest) {
        tx_ref most = tx_op2(p, TX_MUL, tx_num(p, 4), tx_dim(p, DIM_NQ));
        most = tx_op2(p, TX_FDIV, most, tx_op2(p, TX_MAX, one, tx_dim(p, DIM_N)));
        st->kept.keep = tx_op2(p, TX_MUL, st->kept.keep, tx_op2(p, TX_MIN, one, most));
    }
    s->kept = &st->kept;
}

/* 0 without splits, else 1. */
static tx_ref
is_split(struct stream *st)
{
    struct tile_prog *p = st->s.p;
    tx_ref one = tx_num(p, 1);
    return tx_op2(p, TX_MIN, one, tx_op2(p, TX_SUB, st->splits, one));
}

static void
make_parts(struct stream *st)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    tx_ref one = tx_num(p, 1), ni = tx_op2(p, TX_MIN, s->max_ni, st->rows.count);
    tx_ref planes = tx_op2(p, TX_MUL, tx_dim(p, DIM_B), st->rows.heads);
    planes = tx_op2(p, TX_MUL, tx_op2(p, TX_MUL, planes, st->rows.tiles), st->splits);
    planes = tx_op2(p, TX_MUL, planes, is_split(st));
    for (int k = 0; k < st->nsums; k++) {
        struct key_sum *ks = &st->sum[k];
        const char *name = arena_printf(p->arena, "part%d", s->names++);
        ks->part = ks->values ? tile_buf_add(p, name, BUF_SHARED, ELEM_ACC, planes, ni,
                                             tx_dim(p, DIM_M))
                              : tile_buf_add(p, name, BUF_SHARED, ELEM_ACC, planes, one, ni);
    }
}

/* What the split at hand has of a sum. */
static tile_view
part_view(struct stream *st, const struct key_sum *ks)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    tx_ref plane = tx_op2(p, TX_MUL, s->at[0], st->rows.heads);
    plane = tx_op2(p, TX_ADD, plane, st->head);
    plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, plane, st->rows.tiles), tx_var(p, st->var_i));
    plane = tx_op2(p, TX_ADD, tx_op2(p, TX_MUL, plane, tx_var(p, st->var_splits)),
                   tx_var(p, st->var_split));
    tile_view v = stream_sum(st, ks);
    v.buf = ks->part;
    v.b = plane;
    return v;
}

/* The sums of a task go to shared memory if there are other splits, else straight to the output. */
static void
emit_finish(struct stream *st, struct stmt_list *l)
{
    struct tile_prog *p = st->s.p;
    struct stmt_list store = {0}, whole = {0};
    tx_ref one = tx_num(p, 1), splits = tx_var(p, st->var_splits);
    for (int k = 0; k < st->nsums; k++)
        stmt_add(&store, stream_stmt(st, TILE_copy, part_view(st, &st->sum[k]),
                                stream_sum(st, &st->sum[k])));
    st->s.mixed = &whole;
    emit_epilogue(st, &whole);
    stmt_add(l, stmt_if(&st->s, one, splits, &store));
    stmt_add(l, stmt_if(&st->s, splits, tx_num(p, 2), &whole));
}

/* A local copy of a part, which may be scaled. */
static tile_view
part_copy(struct stream *st, const struct key_sum *ks, struct stmt_list *l)
{
    struct sched *s = &st->s;
    const struct tile_buf b = s->p->bufs[ks->buf];
    tile_view v = stream_sum(st, ks);
    v.buf = local_buf(s, "part", b.rows, b.cols);
    stmt_add(l, stream_stmt(st, TILE_copy, v, part_view(st, ks)));
    return v;
}

/* Adds one split: both sides are rescaled to the larger of their maxima first. */
static void
emit_merge(struct stream *st, struct stmt_list *l)
{
    struct sched *s = &st->s;
    tx_ref one = tx_num(s->p, 1), zero = tx_num(s->p, 0);
    tile_view copy[MAX_SUMS], scale[2];
    bool online = false;
    for (int k = 0; k < st->nsums; k++)
        online = online || st->sum[k].maximum;
    for (int k = 0; k < st->nsums; k++)
        copy[k] = online ? part_copy(st, &st->sum[k], l) : part_view(st, &st->sum[k]);
    for (int k = 0; k < 2 && online; k++)
        scale[k] = view_of(local_buf(s, "scale", one, s->max_ni), zero, zero, one, s->ni, zero);
    for (int k = 0; k < st->nsums; k++) {
        if (!st->sum[k].maximum)
            continue;
        tile_view max = stream_sum(st, &st->sum[k]);
        for (int side = 0; side < 2; side++) { /* the second leaves max in the copy as well */
            struct tile_stmt *r = stream_stmt(st, TILE_running, side ? copy[k] : max,
                                         side ? max : copy[k]);
            r->v[2] = scale[side];
            stmt_add(l, r);
        }
        for (int j = 0; j < st->nsums; j++)
            for (int side = 0; side < 2; side++) {
                const struct key_sum *ks = &st->sum[j];
                enum tile_op op = ks->values ? TILE_rowscale : TILE_colscale;
                tile_view sum = side ? copy[j] : stream_sum(st, ks);
                if (!ks->maximum && !ks->count)
                    stmt_add(l, stream_stmt(st, op, sum, scale[side]));
            }
    }
    for (int k = 0; k < st->nsums; k++)
        if (!st->sum[k].maximum)
            stmt_add(l, stream_stmt(st, TILE_add, stream_sum(st, &st->sum[k]), copy[k]));
}

static struct tile_stmt *
task_phase(struct stream *st, tx_ref heads, uint32_t last, tx_ref tasks, struct stmt_list *body)
{
    struct tile_prog *p = st->s.p;
    stmt_let(&st->s, st->var_splits, st->splits, body);
    struct tile_stmt *ph = tile_stmt_new(p, TILE_phase);
    ph->var[0] = st->var_b;
    ph->var[1] = st->rows.var_task;
    ph->var[2] = last;
    ph->x[0] = tx_dim(p, DIM_B);
    ph->x[1] = heads;
    ph->x[2] = tasks;
    ph->body = body->first;
    return ph;
}

/* True if n reads q outside its sums over keys. */
static bool
reads_query(const struct ir_func *f, ir_ref n)
{
    const struct ir_node *x = &f->nodes[n];
    if ((x->op == IR_rsum || x->op == IR_rmax) && x->attr.axis == AX_j)
        return false;
    for (int k = 0; k < x->nargs; k++)
        if (reads_query(f, x->arg[k]))
            return true;
    return x->op == IR_input && x->attr.num == 0;
}

/* Second phase, without tasks where nothing is split: the parts in order, then the output. */
static void
add_merge_phase(struct stream *st, struct stmt_list *phases)
{
    struct sched *s = &st->s;
    struct tile_prog *p = s->p;
    struct stmt_list body = {0}, merge = {0}, tail = {0};
    sched_start(s, NULL);
    st->head = tx_var(p, st->rows.var_task);
    rows_select(&st->rows, s, st->head, tx_var(p, st->var_i));
    for (int k = 0; k < st->nsums; k++) {
        enum tile_op op = st->sum[k].maximum ? TILE_lowest : TILE_zero;
        stmt_add(&body, stream_stmt(st, op, stream_sum(st, &st->sum[k]), (tile_view){0}));
    }
    emit_merge(st, &merge);
    stmt_add(&body, stmt_for(s, st->var_split, tx_num(p, 0), tx_var(p, st->var_splits),
                             tx_num(p, 1), &merge));
    if (reads_query(s->f, s->f->root[ROOT_OUT]) || reads_query(s->f, s->f->root[ROOT_LSE]))
        rows_load(&st->rows, s);
    emit_epilogue(st, &tail);
    stmt_splice(&body, &tail);
    tx_ref tasks = tx_op2(p, TX_MUL, st->rows.tiles, is_split(st));
    rows_close(&st->rows, s, &body);
    stmt_add(phases, task_phase(st, st->rows.heads, st->var_i, tasks, &body));
}

struct tile_prog *
schedule_stream(struct arena *a, struct ir_func *f, const struct schedule_tuning *t, struct diag *d)
{
    struct tile_prog *p = tile_new(a, f, "forward", "stream");
    struct stream st = {.s = {.p = p, .f = f, .d = d, .t = t}, .mask = f->root[ROOT_MASK]};
    struct sched *s = &st.s;
    st.one = ir_const_i(f, 1, 1, nowhere);
    st.var_b = tile_var_add(p, "b");
    st.var_i = tile_var_add(p, "t");
    p->period = cost_lcm(t->query_tile, t->key_tile);
    s->max_ni = tx_num(p, t->query_tile);
    s->max_nj = tx_num(p, t->key_tile);
    s->at[0] = tx_var(p, st.var_b);
    s->at[3] = tx_num(p, 0);
    rows_open(&st.rows, s);
    rows_select_task(&st.rows, s, tx_var(p, st.var_i));
    st.head = tx_var(p, st.rows.var_head);
    count_splits(&st);
    choose_kept(&st);
    collect_sums(&st);
    st.dots = true;
    for (int k = 0; k < st.nsums; k++) {
        ir_ref w = stream_visible(&st, st.sum[k].weight, true);
        st.dots = st.dots && schedule_pairs_are_dots(s, w);
    }
    make_accumulators(&st);
    make_parts(&st);

    tx_ref first = tx_op2(p, TX_ADD, s->at[2], tx_op2(p, TX_SUB, tx_dim(p, DIM_N),
                                                      tx_dim(p, DIM_NQ)));
    tx_ref ahead = tx_op2(p, TX_SUB, s->ni, tx_num(p, 1));
    tx_ref last = tx_op2(p, TX_ADD, first, s->step ? tx_op2(p, TX_MUL, s->step, ahead) : ahead);
    struct mask *m = mask_new(s, st.mask, first, last);
    struct stmt_list phases = {0}, all = {0}, loops = {0}, body = {0}, tail = {0};
    s->whole_gates = true;
    mask_summarise(m, &phases);
    rows_load(&st.rows, s);
    emit_key_loop(&st, m, &loops);
    stmt_splice(&body, &s->query); /* what depends on the queries alone comes first */
    stmt_splice(&body, &st.init);
    rows_each(&st.rows, s, &body);
    mask_read_scalars(m, &loops);
    stmt_splice(&body, &loops);
    emit_finish(&st, &tail);
    rows_each(&st.rows, s, &tail);
    stmt_splice(&body, &tail);

    uint32_t task = tile_var_add(p, "task"); /* splits of a query tile follow one another */
    tx_ref at = tx_var(p, task), splits = tx_var(p, st.var_splits), tile = tx_var(p, st.var_i);
    stmt_let(s, st.var_split, tx_op2(p, TX_SUB, at, tx_op2(p, TX_MUL, tile, splits)), &body);
    stmt_let(s, st.var_i, tx_op2(p, TX_FDIV, at, splits), &body);
    rows_close_task(&st.rows, s, &body);
    tx_ref tasks = tx_op2(p, TX_MUL, st.rows.tiles, st.splits);
    kept_phase(s, st.var_b, &phases);
    stmt_add(&phases, task_phase(&st, st.rows.tasks, task, tasks, &body));
    add_merge_phase(&st, &phases);
    schedule_gates(s, &all);
    stmt_splice(&all, &phases);
    p->body = all.first;
    return p;
}
