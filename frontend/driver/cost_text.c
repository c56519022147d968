/* A cost report as text: formulas of each entry, a table of values, crossovers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "frontend/driver/cost.h"

enum { WIDTH = 100, INDENT = 14 };

/* Characters on a terminal: UTF-8 continuation bytes take no place. */
static int
columns(const char *s, size_t len)
{
    int n = 0;
    for (size_t k = 0; k < len; k++)
        n += ((unsigned char)s[k] & 0xc0) != 0x80;
    return n;
}

/* Text after a label, broken at blanks. */
static void
wrapped(const char *label, const char *text)
{
    printf("  %-*s", INDENT - 2, label);
    int at = INDENT;
    while (*text) {
        size_t len = strcspn(text, " ");
        int wide = columns(text, len);
        if (at > INDENT && at + 1 + wide > WIDTH) {
            printf("\n%*s", INDENT, "");
            at = INDENT;
        } else if (at > INDENT) {
            putchar(' ');
            at++;
        }
        fwrite(text, 1, len, stdout);
        at += wide;
        text += len + (text[len] == ' ');
    }
    putchar('\n');
}

/* A value in at most 12 characters: whole if short. */
static void
put_value(char *s, size_t size, const fmpq_t v)
{
    double x = fmpz_get_d(fmpq_numref(v)) / fmpz_get_d(fmpq_denref(v));
    if (fmpz_is_one(fmpq_denref(v)) && fabs(x) < 1e9)
        snprintf(s, size, "%.0f", x);
    else
        snprintf(s, size, "%.4g", x);
}

static const char *const titles[COST_QUANTITIES] = {"FLOPs", "calls", "bytes", "space", "state"};

static void
print_line(const struct cost_row *row, const char *title, const cost_poly *q)
{
    struct cost_ring *r = &row->of->ring;
    struct str s = {0};
    cost_print(r, q, false, &s);
    if (!fmpq_mpoly_is_zero(q, r->ctx)) {
        str_put(&s, "  = Θ(");
        cost_print_theta(r, q, false, &s);
        str_put(&s, ")");
    }
    wrapped(title, str_text(&s));
    str_free(&s);
}

static void
print_stage(void *arg, struct cost_program *p, const char *name, const char *schedule,
            const struct cost *cost)
{
    struct str s = {0};
    (void)arg;
    cost_print(&p->ring, cost->q[COST_FLOPS], false, &s);
    printf("    %-10s %-9s %s\n", name, schedule, str_text(&s));
    str_free(&s);
}

static void
print_nodes(const struct cost_row *row)
{
    struct cost_ring *r = &row->of->ring;
    struct cost_line *line;
    if (row->of->u.stage) {
        cost_stage_lines(row->of, row->kind != COST_FORWARD, print_stage, NULL);
        return;
    }
    uint32_t n = cost_lines(r, row->func, row->kind, &line);
    for (uint32_t k = 0; k < n; k++) {
        struct str s = {0}, m = {0};
        cost_print(r, cost_with_areas(row->of, line[k].flops), false, &s);
        ir_print_math(row->func, line[k].node, &m);
        printf("    %s", str_text(&s));
        int pad = 40 - columns(str_text(&s), s.len);
        printf("%*s  %s\n", pad > 0 ? pad : 0, "", str_text(&m));
        str_free(&s);
        str_free(&m);
    }
}

/* What the generated code does. */
static void
print_tiles(const struct cost_row *row)
{
    static const char *const code[COST_QUANTITIES] = {"code FLOPs", "code calls", "code bytes",
                                                      "code space", "code state"};
    const struct cost_tiles *t = &row->tiles;
    for (int q = 0; q < COST_STATE && !t->why; q++)
        if (!t->cost.q[q])
            wrapped(code[q], "no polynomial in the sizes that were tried");
        else if (q != COST_CALLS || !fmpq_mpoly_is_zero(t->cost.q[q], row->of->ring.ctx))
            print_line(row, code[q], t->cost.q[q]);
    if (t->why)
        wrapped("code", arena_printf(row->of->u.arena, "no formula: %s", t->why));
    else if (t->where)
        wrapped("", arena_printf(row->of->u.arena, "for %s", t->where));
}

static void
print_row(const struct cost_report *r, const struct cost_row *row)
{
    static const char *const ways[] = {[COST_FORWARD] = "", [COST_STEP_STATE] = ", a state",
                                       [COST_STEP_CACHE] = ", a cache of n keys and values"};
    struct str s = {0};
    printf("%s, %s (%s%s)\n", row->label, row->entry, row->schedule, ways[row->kind]);
    for (int k = 0; k < COST_QUANTITIES; k++)
        print_line(row, titles[k], row->cost.q[k]);
    cost_print_ratio(&row->of->ring, row->cost.q[COST_FLOPS], row->cost.q[COST_BYTES], false, &s);
    wrapped("FLOPs/byte", str_text(&s));
    str_free(&s);
    print_tiles(row);
    if (r->o->verbose)
        print_nodes(row);
}

static void
put_area(struct cost_program *p, const struct cost_area *a, const char *what, struct str *s)
{
    if (a->p)
        cost_print(&p->ring, a->p, false, s);
    else
        str_put(s, "seen");
    str_printf(s, " %s%s%s", what, a->where ? " for " : "", a->where ? a->where : "");
}

static bool
has_entry(const struct cost_program *p, bool step)
{
    for (int k = 0; k < p->nrows; k++)
        if ((p->rows[k].kind != COST_FORWARD) == step)
            return true;
    return false;
}

/* What was found of the mask of a program, once for its rows. */
static void
print_mask(struct cost_program *p)
{
    const struct cost_area *a = &p->all;
    struct str s = {0};
    if (!p->u.func->root[ROOT_MASK])
        return;
    if (a->p) {
        put_area(p, a, "pairs visible", &s);
        str_put(&s, "; ");
        put_area(p, &p->last, "by the last query", &s);
    } else {
        str_printf(&s, "area: the visible pairs of a head (%s); seen: the keys of the last query; "
                       "crossovers take all pairs", a->why);
    }
    static const char *const entries[] = {"forward", "step"};
    for (int k = 0; k < 2; k++)
        if (p->take[k] == AREA_BOUND && has_entry(p, k == 1))
            str_printf(&s, "; values of %s take all pairs", entries[k]);
    wrapped("mask", str_text(&s));
    str_free(&s);
}

/* ---- values ---- */

/* False where a dim is just another one: G = H, n_q = n. */
static bool
own_size(const struct cost_ring *r, slong dim)
{
    return (dim != DIM_G || r->dim[dim] != r->dim[DIM_H]) &&
           (dim != DIM_NQ || r->dim[dim] != r->dim[DIM_N]);
}

/* The sizes of all programs, each name once where it is the same for all. */
static void
print_sizes(const struct cost_report *r, slong except)
{
    for (int k = 0; k < r->np; k++) {
        const struct cost_program *p = r->p[k];
        const struct cost_ring *x = &p->ring;
        for (slong v = 0; v < x->area; v++) {
            bool said = !p->known[v] || v == except || (v < (slong)x->f->ndims && !own_size(x, v));
            for (int m = 0; m < k && !said; m++)
                said = cost_size_is(r->p[m], cost_var_name(x, v), p->at[v]);
            if (!said)
                printf(" %s=%lld", cost_var_name(x, v), (long long)p->at[v]);
        }
    }
}

static int
label_width(const struct cost_report *r)
{
    int w = 8;
    for (int k = 0; k < r->nrows; k++) {
        int n = columns(r->row[k]->label, strlen(r->row[k]->label));
        w = n > w ? n : w;
    }
    return w;
}

static void
pad(const char *s, int width)
{
    int n = columns(s, strlen(s));
    printf("%s%*s", s, width > n ? width - n : 0, "");
}

/* The values of the generated code, counted. */
static void
print_counts(const struct cost_report *r, int w)
{
    printf(" generated code\n");
    for (int k = 0; k < r->nrows; k++) {
        int64_t q[COST_QUANTITIES];
        const char *why = NULL;
        bool ok = cost_row_count(r->row[k], q, &why);
        printf("  ");
        pad(r->row[k]->label, w);
        printf("  %-7s", r->row[k]->entry);
        for (int m = 0; m < COST_QUANTITIES; m++) {
            char s[32] = "-";
            fmpq_t v;
            fmpq_init(v);
            if (ok)
                fmpq_set_si(v, q[m], 1);
            if (ok)
                put_value(s, sizeof s, v);
            printf(" %11s", s);
            fmpq_clear(v);
        }
        if (ok && q[COST_BYTES])
            printf(" %10.4g\n", (double)q[COST_FLOPS] / (double)q[COST_BYTES]);
        else
            printf("  %s\n", ok ? "" : why);
    }
}

static void
print_values(const struct cost_report *r)
{
    int w = label_width(r);
    printf("\nvalues at");
    print_sizes(r, -1);
    putchar('\n');
    printf("  %*s  %-7s", w, "", "");
    for (int q = 0; q < COST_QUANTITIES; q++)
        printf(" %11s", titles[q]);
    printf(" %10s\n", "FLOPs/byte");
    fmpq_t v, flops;
    fmpq_init(v);
    fmpq_init(flops);
    for (int k = 0; k < r->nrows; k++) {
        struct cost_row *row = r->row[k];
        const char *missing = NULL;
        printf("  ");
        pad(row->label, w);
        printf("  %-7s", row->entry);
        for (int q = 0; q < COST_QUANTITIES; q++) {
            char s[32] = "-";
            if (cost_row_value(row, (enum cost_quantity)q, v))
                put_value(s, sizeof s, v);
            else if (!missing)
                missing = cost_row_missing(row, (enum cost_quantity)q);
            if (q == COST_FLOPS)
                fmpq_set(flops, v);
            printf(" %11s", s);
            if (q == COST_BYTES && !fmpq_is_zero(v))
                fmpq_div(flops, flops, v);
        }
        if (missing)
            printf("  needs %s\n", missing);
        else
            printf(" %10.4g\n", fmpz_get_d(fmpq_numref(flops)) / fmpz_get_d(fmpq_denref(flops)));
    }
    fmpq_clear(v);
    fmpq_clear(flops);
    print_counts(r, w);
}

/* ---- crossovers ---- */

static const struct { enum cost_quantity q; const char *name; } measures[] = {
    {COST_FLOPS, "FLOPs"}, {COST_BYTES, "bytes"}, {COST_SPACE, "space"}};
enum { MEASURES = sizeof measures / sizeof *measures };

static void
print_range(const struct cost_crossings *x)
{
    if (x->from > 1)
        printf(" (n >= %lld)", (long long)x->from);
    if (x->multiple > 1)
        printf(" (n a multiple of %lld)", (long long)x->multiple);
    putchar('\n');
}

static void
print_cross(struct cost_row *a, struct cost_row *b, int m)
{
    struct cost_crossings x;
    int n = cost_row_cross(a, b, measures[m].q, &x);
    printf("  %-6s ", measures[m].name);
    if (n < 0)
        printf("%s and %s: needs %s\n", a->label, b->label, x.missing);
    else if (n == 0)
        printf("%s and %s: equal for every n", a->label, b->label);
    for (int k = n > 1 ? 1 : 0; k < n; k++) {
        const char *less = x.at[k].sign < 0 ? a->label : b->label,
                   *more = x.at[k].sign < 0 ? b->label : a->label;
        printf("%s%s takes less than %s ", k > 1 ? "\n         " : "", less, more);
        if (k == 0)
            printf("for every n%s", x.at[k].n > x.from ? " where they differ" : "");
        else
            printf("from n = %lld", (long long)x.at[k].n);
    }
    if (n >= 0)
        print_range(&x);
}

static void
print_crossovers(const struct cost_report *r)
{
    bool any = false;
    for (int step = 0; step < 2; step++) {
        bool headed = false;
        for (int a = 0; a < r->nrows; a++)
            for (int b = a + 1; b < r->nrows; b++) {
                if (!cost_comparable(r->row[a], r->row[b]) ||
                    (r->row[a]->kind != COST_FORWARD) != step)
                    continue;
                if (!any) {
                    printf("\ncrossovers at");
                    print_sizes(r, DIM_N);
                    putchar('\n');
                }
                any = true;
                if (!headed)
                    printf(" %s\n", r->row[a]->entry);
                headed = true;
                for (int m = 0; m < MEASURES; m++)
                    print_cross(r->row[a], r->row[b], m);
            }
    }
}

/* The last change of who is cheaper: "n = 2178", "always", "never". */
static void
last_change(struct cost_row *a, struct cost_row *b, int m, char *s, size_t size)
{
    struct cost_crossings x;
    int n = cost_row_cross(a, b, measures[m].q, &x);
    if (n < 0)
        snprintf(s, size, "needs %s", x.missing);
    else if (n == 0)
        snprintf(s, size, "equal");
    else if (n == 1)
        snprintf(s, size, "%s", x.at[0].sign < 0 ? "always" : "never");
    else
        snprintf(s, size, "%s%lld", x.at[n - 1].sign < 0 ? "" : "until ",
                 (long long)x.at[n - 1].n - (x.at[n - 1].sign > 0));
}

static void
print_over(struct cost_report *r)
{
    const struct cost_sweep *o = &r->over;
    for (int a = 0; a < r->nrows; a++)
        for (int b = a + 1; b < r->nrows; b++) {
            if (!cost_comparable(r->row[a], r->row[b]))
                continue;
            printf("\n%s: n from which %s takes less than %s\n", r->row[a]->entry, r->row[a]->label,
                   r->row[b]->label);
            printf("  %8s %14s %14s %14s\n", o->name, "FLOPs", "bytes", "space");
            int64_t x = o->from;
            do {
                for (int k = 0; k < r->np; k++)
                    cost_set_size(r->p[k], o->name, x);
                printf("  %8lld", (long long)x);
                for (int m = 0; m < MEASURES; m++) {
                    char s[40];
                    last_change(r->row[a], r->row[b], m, s, sizeof s);
                    printf(" %14s", s);
                }
                putchar('\n');
            } while (cost_sweep_next(o, &x));
        }
}

void
cost_text(struct cost_report *r)
{
    for (int k = 0; k < r->np; k++) {
        for (int m = 0; m < r->p[k]->nrows; m++)
            print_row(r, &r->p[k]->rows[m]);
        print_mask(r->p[k]);
    }
    if (r->sizes) {
        print_values(r);
        print_crossovers(r);
    } else if (!r->over.name) {
        puts("\nvalues and crossovers: give sizes, e.g. --at n=4096,D=64");
    }
    if (r->over.name)
        print_over(r);
}
