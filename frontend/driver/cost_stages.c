/* The cost of a program of stages: the sum of what its stages cost, in the sizes of the whole. */
#include <string.h>

#include "frontend/driver/cost.h"

/* ---- polynomials of a stage as polynomials of the whole ---- */

/* What variable var of a stage's own ring is in that of the whole; NULL for area and seen. */
static cost_poly *
translated_var(struct cost_program *p, const struct graph_stage *s, const struct cost_ring *own,
               slong var)
{
    struct cost_ring *r = &p->ring;
    slong ndims = (slong)s->f->ndims;
    if (var < ndims) {
        if (s->dim[var] >= 0)
            return r->dim[s->dim[var]];
        return cost_poly_num(r, s->f->dims[var].size > 0 ? s->f->dims[var].size : 1);
    }
    if (var >= own->area)
        return NULL;
    int k = 0;
    for (slong i = 0; i < var - ndims; i++)
        k += s->f->params[i].rank == 0;
    return cost_poly_var(r, (slong)r->f->ndims + s->scalar[k]);
}

static cost_poly *
translate(struct cost_program *p, const struct graph_stage *s, const struct cost_ring *own,
          const cost_poly *x)
{
    struct cost_ring *r = &p->ring;
    cost_poly *sum = cost_poly_new(r), *power = cost_poly_new(r);
    ulong *e = ARENA_ARRAY(r->arena, ulong, own->nvars);
    fmpq_t c;
    fmpq_init(c);
    for (slong i = 0; i < fmpq_mpoly_length(x, own->ctx); i++) {
        cost_poly *term = cost_poly_new(r);
        fmpq_mpoly_get_term_coeff_fmpq(c, x, i, own->ctx);
        fmpq_mpoly_get_term_exp_ui(e, x, i, own->ctx);
        fmpq_mpoly_set_fmpq(term, c, r->ctx);
        for (slong v = 0; v < own->nvars; v++) {
            if (!e[v])
                continue;
            fmpq_mpoly_pow_ui(power, translated_var(p, s, own, v), e[v], r->ctx);
            fmpq_mpoly_mul(term, term, power, r->ctx);
        }
        fmpq_mpoly_add(sum, sum, term, r->ctx);
    }
    fmpq_clear(c);
    return sum;
}

/* What is known of the masks of all stages: where their areas hold, and how far they are bounds. */
struct masks {
    enum { EXACT, POSITIONS, ALL_PAIRS } counted;
    const char *where;
};

static const char *const counted_text[] = {
    [EXACT] = "it is made of stages, see --verbose",
    [POSITIONS] = "of a mask of a stage what it says of positions is counted: the formulas above "
                  "are bounds",
    [ALL_PAIRS] = "a mask of a stage has no area: the formulas above are bounds",
};

/* Numbers of the whole that are known, as those of a stage. */
static void
known_numbers(const struct cost_program *p, const struct graph_stage *s, const struct ir_func *f,
              int64_t *at, bool *known)
{
    for (uint32_t k = 0, n = 0; k < f->nparams; k++) {
        if (f->params[k].rank)
            continue;
        uint32_t of = p->u.func->ndims + (uint32_t)s->scalar[n++];
        at[f->ndims + k] = p->at[of];
        known[f->ndims + k] = p->known[of];
    }
}

/* The pairs that the mask of a stage shows, or the keys that its last query sees; of those that its
 * positions show, or all of them, where that is no polynomial. */
static cost_poly *
area_of(struct cost_program *p, int number, bool last, struct masks *m)
{
    const struct graph_stage *s = p->u.program.graph->stage[number];
    struct unit *u = &p->u.stage[number];
    struct cost_ring own;
    struct cost_area a;
    cost_poly *area = cost_poly_new(&p->ring);
    cost_ring_init(&own, u->func, p->u.arena);
    int64_t *at = ARENA_ARRAY(p->u.arena, int64_t, own.nvars);
    bool *known = ARENA_ARRAY(p->u.arena, bool, own.nvars);
    own.dim[DIM_G] = own.dim[DIM_H];
    bool rect = p->ring.dim[s->dim[DIM_NQ]] != p->ring.dim[s->dim[DIM_N]];
    if (!rect)
        own.dim[DIM_NQ] = own.dim[DIM_N];
    known_numbers(p, s, u->func, at, known);
    struct ir_func *part = cost_mask_unknown(&own, u->func)
                               ? cost_mask_of_positions(&own, u->func) : NULL;
    cost_area_find(&own, part ? part : u->func, last, rect, at, known, &a);
    if (part)
        ir_func_free(part);
    if (a.p)
        area = translate(p, s, &own, a.p);
    else if (last)
        fmpq_mpoly_set(area, p->ring.dim[s->dim[DIM_N]], p->ring.ctx);
    else
        fmpq_mpoly_mul(area, p->ring.dim[s->dim[DIM_N]], p->ring.dim[s->dim[DIM_NQ]], p->ring.ctx);
    int counted = !a.p ? ALL_PAIRS : part ? POSITIONS : EXACT;
    if (counted > (int)m->counted)
        m->counted = counted;
    if (a.p && a.where && !last)
        m->where = a.where;
    cost_ring_free(&own);
    return area;
}

/* ---- stages ---- */

/* The ring of the whole, as one of the stage's function. */
static void
enter_stage(struct cost_program *p, const struct graph_stage *s, const struct ir_func *f, bool step,
            struct cost_ring *r)
{
    cost_poly **dim = ARENA_ARRAY(p->ring.arena, cost_poly *, f->ndims);
    for (uint32_t k = 0; k < f->ndims; k++) {
        bool token = step && f->contraction && ir_is_tokens(s->dim[k]);
        dim[k] = token            ? cost_poly_num(&p->ring, 1)
                 : s->dim[k] >= 0 ? p->ring.dim[s->dim[k]]
                                  : cost_poly_num(&p->ring, 1);
    }
    *r = p->ring; /* polynomials made from here on go to this one, until leave_stage */
    r->f = f;
    r->dim = dim;
}

static void
leave_stage(struct cost_program *p, const struct cost_ring *r)
{
    p->ring.pool = r->pool;
    p->ring.npool = r->npool;
    p->ring.cap_pool = r->cap_pool;
}

static void
add_stage(struct cost_program *p, int number, bool step, struct cost *sum, struct masks *m)
{
    const struct graph_stage *s = p->u.program.graph->stage[number];
    struct unit *u = &p->u.stage[number];
    struct cost_ring r;
    struct cost own;
    enum cost_entry kind = !step || u->func->contraction ? COST_FORWARD
                           : u->stepping == STEP_STATE   ? COST_STEP_STATE
                                                         : COST_STEP_CACHE;
    enter_stage(p, s, u->func, step, &r);
    cost_axis(&r, u->func, kind, &p->u.fusion.done[number], &own);
    leave_stage(p, &r);
    cost_poly *area = NULL, *seen = NULL;
    if (!u->func->contraction) {
        area = area_of(p, number, false, m);
        seen = area_of(p, number, true, m);
    }
    for (int q = 0; q < COST_QUANTITIES; q++) {
        cost_poly *x = own.q[q];
        x = area ? cost_subst(&p->ring, x, p->ring.area, area) : x;
        x = seen ? cost_subst(&p->ring, x, p->ring.seen, seen) : x;
        fmpq_mpoly_add(sum->q[q], sum->q[q], x, p->ring.ctx);
    }
}

/* Bytes of the tensors between stages: of one token, in a step. */
static void
add_between(struct cost_program *p, bool step, cost_poly *space)
{
    const struct ir_func *f = p->u.func;
    struct cost_ring *r = &p->ring;
    for (uint32_t k = 0; k < f->nparams; k++) {
        cost_poly *size = cost_poly_num(r, ir_type_bytes[f->type]);
        if (f->params[k].role != PARAM_BETWEEN)
            continue;
        for (int a = 0; a < f->params[k].rank; a++)
            if (!step || !ir_is_tokens(f->params[k].dims[a]))
                fmpq_mpoly_mul(size, size, r->dim[f->params[k].dims[a]], r->ctx);
        fmpq_mpoly_add(space, space, size, r->ctx);
    }
}

void
cost_stages(struct cost_program *p)
{
    struct unit *u = &p->u;
    struct masks m = {EXACT, NULL};
    p->nrows = 0;
    for (int step = 0; step <= (u->stepping != STEP_NONE); step++) {
        struct cost_row *row = &p->rows[p->nrows++];
        *row = (struct cost_row){.of = p, .func = u->func, .label = u->func->name,
                                 .entry = step ? "step" : "forward", .schedule = "stages",
                                 .kind = step ? COST_STEP_CACHE : COST_FORWARD};
        for (int q = 0; q < COST_QUANTITIES; q++)
            row->cost.q[q] = cost_poly_new(&p->ring);
        for (int k = 0; k < u->program.graph->nstages; k++)
            add_stage(p, k, step, &row->cost, &m);
        add_between(p, step, row->cost.q[COST_SPACE]);
        row->raw = row->cost;
        row->tiles.why = counted_text[m.counted];
        if (m.where)
            row->tiles.why = arena_printf(p->u.arena, "%s; pairs are counted for %s",
                                          row->tiles.why, m.where);
    }
}

void
cost_stage_lines(struct cost_program *p, bool step, cost_stage_fn *fn, void *arg)
{
    for (int k = 0; k < p->u.program.graph->nstages; k++) {
        struct cost sum;
        struct masks m = {EXACT, NULL};
        for (int q = 0; q < COST_QUANTITIES; q++)
            sum.q[q] = cost_poly_new(&p->ring);
        add_stage(p, k, step, &sum, &m);
        fn(arg, p, p->u.program.graph->stage[k]->name, p->u.stage[k].prog->schedule, &sum);
    }
}
