/* A cost report as JSON. docs/cost.md has the schema. */
#include <math.h>
#include <stdio.h>

#include "frontend/driver/cost.h"

void
put_json(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

void
put_json_field(const char *key, const char *value, const char *end)
{
    printf("\"%s\": ", key);
    if (value)
        put_json(value);
    else
        printf("null");
    fputs(end, stdout);
}

void
put_json_number(const char *key, double x, const char *end)
{
    if (isfinite(x))
        printf("\"%s\": %.9g%s", key, x, end);
    else
        printf("\"%s\": null%s", key, end);
}

/* A number: whole ones exactly. */
static void
put_number(const fmpq_t v)
{
    if (fmpz_is_one(fmpq_denref(v)))
        fmpz_print(fmpq_numref(v));
    else
        printf("%.17g", fmpz_get_d(fmpq_numref(v)) / fmpz_get_d(fmpq_denref(v)));
}

static void
quantity(struct cost_row *row, enum cost_quantity q)
{
    struct cost_ring *r = &row->of->ring;
    struct str exact = {0}, theta = {0};
    fmpq_t v;
    fmpq_init(v);
    cost_print(r, row->cost.q[q], true, &exact);
    cost_print_theta(r, row->cost.q[q], true, &theta);
    printf(",\n      \"%s\": {", cost_names[q]);
    put_json_field("exact", str_text(&exact), ", ");
    put_json_field("theta", str_text(&theta), ", ");
    printf("\"value\": ");
    if (cost_row_value(row, q, v))
        put_number(v);
    else
        printf("null");
    putchar('}');
    fmpq_clear(v);
    str_free(&exact);
    str_free(&theta);
}

static void
intensity(struct cost_row *row)
{
    struct str s = {0};
    fmpq_t flops, bytes;
    fmpq_init(flops);
    fmpq_init(bytes);
    cost_print_ratio(&row->of->ring, row->cost.q[COST_FLOPS], row->cost.q[COST_BYTES], true, &s);
    printf(",\n      \"intensity\": {");
    put_json_field("exact", str_text(&s), ", ");
    printf("\"value\": ");
    if (cost_row_value(row, COST_FLOPS, flops) && cost_row_value(row, COST_BYTES, bytes) &&
        !fmpq_is_zero(bytes)) {
        fmpq_div(flops, flops, bytes);
        put_number(flops);
    } else {
        printf("null");
    }
    putchar('}');
    fmpq_clear(flops);
    fmpq_clear(bytes);
    str_free(&s);
}

/* What the generated code does: formulas, where they hold, and counts. */
static void
code(struct cost_row *row)
{
    struct cost_ring *r = &row->of->ring;
    const struct cost_tiles *t = &row->tiles;
    int64_t count[COST_QUANTITIES];
    const char *why = NULL;
    bool ok = cost_row_count(row, count, &why);
    printf(",\n      \"code\": {");
    put_json_field("where", t->where, ", ");
    put_json_field("unknown", t->why, "");
    for (int q = 0; q < COST_QUANTITIES; q++) {
        struct str s = {0};
        bool known = !t->why && t->cost.q[q];
        if (known)
            cost_print(r, t->cost.q[q], true, &s);
        printf(",\n        \"%s\": {", cost_names[q]);
        put_json_field("exact", known ? str_text(&s) : NULL, ", ");
        if (ok)
            printf("\"value\": %lld}", (long long)count[q]);
        else
            printf("\"value\": null}");
        str_free(&s);
    }
    putchar('}');
}

static void
mask(struct cost_row *row)
{
    struct cost_program *p = row->of;
    const struct cost_area *a = row->kind == COST_FORWARD ? &p->all : &p->last;
    struct str s = {0};
    if (a->p)
        cost_print(&p->ring, a->p, true, &s);
    printf(",\n      \"area\": {");
    put_json_field("exact", a->p ? str_text(&s) : NULL, ", ");
    put_json_field("where", a->where, ", ");
    put_json_field("unknown", a->why, ", ");
    printf("\"bound\": %s}", cost_row_bound(row) ? "true" : "false");
    str_free(&s);
}

static void
put_row(struct cost_row *row, bool first)
{
    printf("%s\n    { ", first ? "" : ",");
    put_json_field("name", row->label, ", ");
    put_json_field("file", row->of->u.src->name, ",\n      ");
    put_json_field("entry", row->entry, ", ");
    put_json_field("form", row->form, ", ");
    put_json_field("schedule", row->schedule, "");
    for (int q = 0; q < COST_QUANTITIES; q++)
        quantity(row, (enum cost_quantity)q);
    intensity(row);
    mask(row);
    code(row);
    printf(" }");
}

/* All changes of who is cheaper between two rows; nothing if sizes are missing. */
static void
put_pair(struct cost_row *a, struct cost_row *b, const char *extra, bool *first)
{
    static const enum cost_quantity by[] = {COST_FLOPS, COST_BYTES, COST_SPACE};
    struct cost_crossings x;
    for (int m = 0; m < 3; m++) {
        int n = cost_row_cross(a, b, by[m], &x);
        for (int k = n > 1 ? 1 : 0; k < n || (n == 0 && k == 0); k++) {
            printf("%s\n    { ", *first ? "" : ",");
            *first = false;
            fputs(extra, stdout);
            put_json_field("a", a->label, ", ");
            put_json_field("b", b->label, ", ");
            put_json_field("entry", a->entry, ", ");
            put_json_field("by", cost_names[by[m]], ", ");
            if (k)
                printf("\"n\": %lld, ", (long long)x.at[k].n);
            else
                printf("\"n\": null, ");
            put_json_field("cheaper", n == 0 ? NULL : x.at[k].sign < 0 ? a->label : b->label, ", ");
            printf("\"from\": %lld, \"multiple\": %lld }", (long long)x.from,
                   (long long)x.multiple);
        }
    }
}

static void
put_pairs(struct cost_report *r, const char *extra, bool *first)
{
    for (int a = 0; a < r->nrows; a++)
        for (int b = a + 1; b < r->nrows; b++)
            if (cost_comparable(r->row[a], r->row[b]))
                put_pair(r->row[a], r->row[b], extra, first);
}

static void
put_over(struct cost_report *r)
{
    const struct cost_sweep *o = &r->over;
    bool first = true;
    printf(",\n  \"over\": [");
    int64_t x = o->from;
    do {
        struct str s = {0};
        for (int k = 0; k < r->np; k++)
            cost_set_size(r->p[k], o->name, x);
        str_printf(&s, "\"%s\": %lld, ", o->name, (long long)x);
        put_pairs(r, str_text(&s), &first);
        str_free(&s);
    } while (cost_sweep_next(o, &x));
    printf("\n  ]");
}

void
cost_json(struct cost_report *r)
{
    bool first = true;
    printf("{ \"programs\": [");
    for (int k = 0; k < r->nrows; k++)
        put_row(r->row[k], k == 0);
    printf("\n  ],\n  \"sizes\": {");
    for (int k = 0; k < r->np; k++) {
        const struct cost_program *p = r->p[k];
        for (slong v = 0; v < p->ring.area; v++) {
            bool said = !p->known[v];
            for (int m = 0; m < k && !said; m++)
                said = cost_size_is(r->p[m], cost_var_name(&p->ring, v), p->at[v]);
            if (said)
                continue;
            printf("%s\"%s\": %lld", first ? "" : ", ", cost_var_name(&p->ring, v),
                   (long long)p->at[v]);
            first = false;
        }
    }
    printf("},\n  \"crossovers\": [");
    first = true;
    put_pairs(r, "", &first);
    printf("\n  ]");
    if (r->over.name)
        put_over(r);
    puts(" }");
}
