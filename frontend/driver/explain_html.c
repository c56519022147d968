/* `explain --html`: one page that needs nothing else: what was derived, the mask and its tiles as
 * pictures, the schedule, what it costs, the C prototype. Readable dark, light and on paper. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/explain.h"
#include "frontend/driver/plot.h"

enum { MASK_CELLS = 48, MOST_TOKENS = 4096 };

static const char style[] =
    ":root{--fg:#1b1f24;--bg:#fff;--soft:#f3f5f7;--line:#d0d7de;--full:#3b6fb6;--some:#9dbbe0;"
    "--link:#3b6fb6}\n"
    "@media (prefers-color-scheme:dark){:root{--fg:#e3e7ec;--bg:#14171b;--soft:#1e2329;"
    "--line:#39424c;--full:#6ea4ea;--some:#38567f;--link:#8fbaf2}}\n"
    "@media print{:root{--fg:#000;--bg:#fff;--soft:#fff;--line:#999;--full:#555;--some:#bbb}"
    "section{break-inside:auto}h2,h3{break-after:avoid}figure,tr{break-inside:avoid}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:0 auto;"
    "padding:1.5rem;max-width:64rem}\n"
    "h1{font-size:1.6rem}h2{border-top:1px solid var(--line);padding-top:1rem}\n"
    "a{color:var(--link)}pre,code,td.f{font-family:ui-monospace,monospace;font-size:.86rem}\n"
    "pre{background:var(--soft);padding:.8rem;overflow-x:auto;white-space:pre-wrap}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid "
    "var(--line)}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "td.f{overflow-wrap:anywhere}.facts th{width:10rem;font-weight:600}\n"
    "figure{display:inline-block;margin:0 1.5rem 1rem 0;vertical-align:top}\n"
    "figcaption{font-size:.86rem;max-width:22rem}\n"
    "svg text{fill:var(--fg);font:12px system-ui,sans-serif}\n"
    ".grid{stroke:var(--line)}.mark{stroke:var(--fg);stroke-dasharray:2 3}\n"
    ".curve{fill:none;stroke-width:2}.plot{width:100%;max-width:47rem}\n"
    ".t0{fill:var(--soft)}.t1{fill:var(--some)}.t2{fill:var(--full)}\n"
    ".c1{stroke:#c2560c}.c2{stroke:#2f7d4f}.c3{stroke:#3b6fb6}.c4{stroke:#8a4fa8}\n"
    ".c5{stroke:#a58a00}.c6{stroke:#b03a55}.c7{stroke:#1b8a8f}.c8{stroke:#7a6a58}\n";

static const char *const titles[COST_QUANTITIES] = {"FLOPs", "calls", "bytes", "space", "state"};

/* ---- facts ---- */

struct facts {
    struct str *out;
    const char *section;
};

static void
put_fact(void *arg, const char *section, const char *label, const char *value)
{
    struct facts *x = arg;
    if (x->section != section) {
        str_printf(x->out, "%s<h3>%s</h3>\n<table class=\"facts\">\n",
                   x->section ? "</table>\n" : "", section);
        x->section = section;
    }
    str_put(x->out, "<tr><th>");
    put_html(x->out, label);
    str_put(x->out, "</th><td class=\"f\">");
    put_html(x->out, value);
    str_put(x->out, "</td></tr>\n");
}

static void
put_block(struct str *out, const char *title, const char *text, bool folded)
{
    str_printf(out, folded ? "<details><summary>%s</summary><pre>" : "<h3>%s</h3><pre>", title);
    put_html(out, text);
    str_put(out, folded ? "</pre></details>\n" : "</pre>\n");
}

/* ---- pictures ---- */

/* Cells of queries (down) and keys (across): nothing, some or all of each is visible. */
static void
put_cells(struct str *out, const uint8_t *cell, int64_t down, int64_t across, const char *caption)
{
    double size = 320, w = size / (double)across, h = size / (double)down;
    str_printf(out, "<figure><svg viewBox=\"0 0 330 330\" width=\"330\" height=\"330\" "
                    "shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"%s\">\n", caption);
    for (int64_t i = 0; i < down; i++)
        for (int64_t j = 0, k; j < across; j = k) { /* runs of one kind are one rectangle */
            for (k = j + 1; k < across && cell[i * across + k] == cell[i * across + j]; k++)
                ;
            str_printf(out, "<rect class=\"t%d\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
                            "height=\"%.2f\"/>\n",
                       cell[i * across + j], 5 + (double)j * w, 5 + (double)i * h,
                       (double)(k - j) * w + 0.2, h + 0.2);
        }
    str_put(out, "<rect class=\"grid\" fill=\"none\" x=\"5\" y=\"5\" width=\"320\" "
                 "height=\"320\"/></svg><figcaption>");
    put_html(out, caption);
    str_put(out, "</figcaption></figure>\n");
}

static void
put_tiles(struct str *out, struct cost_program *p, int64_t n, int64_t tq, int64_t tk,
          const char *what)
{
    int64_t down = (n + tq - 1) / tq, across = (n + tk - 1) / tk, count[3] = {0, 0, 0};
    uint8_t *cell = ARENA_ARRAY(p->u.arena, uint8_t, down * across);
    if (!cost_mask_tiles(&p->ring, p->u.func, p->at, n, tq, tk, cell))
        return;
    for (int64_t k = 0; k < down * across; k++)
        count[cell[k]]++;
    put_cells(out, cell, down, across,
              arena_printf(p->u.arena, "%s, n = %lld, queries down, keys across: dark all visible "
                                       "(%lld), light some (%lld), empty none (%lld)",
                           what, (long long)n, (long long)count[2], (long long)count[1],
                           (long long)count[0]));
}

static void
put_pictures(struct str *out, struct cost_program *p, const struct schedule_tuning *t)
{
    const struct ir_func *f = p->u.func;
    const char *unknown = cost_mask_unknown(&p->ring, f);
    int64_t fixed = f->dims[DIM_N].size;
    double scale = cost_mask_reach(&p->ring, f, p->at);
    int64_t n = fixed ? fixed : 1024;
    bool stream = !schedule_is_linear(f);
    str_put(out, "<h3>mask and tiles</h3>\n");
    for (slong v = (slong)f->ndims; v < p->ring.area && !unknown; v++) /* params without a value */
        if (!p->known[v] && !f->params[v - (slong)f->ndims].rank)
            unknown = arena_printf(p->u.arena, "%s has no value: --at %s=...",
                                   cost_var_name(&p->ring, v), cost_var_name(&p->ring, v));
    if (unknown || n > MOST_TOKENS) {
        str_put(out, "<p>");
        put_html(out, unknown ? unknown : "n is large");
        str_put(out, "; not drawn.</p>\n");
        return;
    }
    while (!fixed && (double)n < scale && n < MOST_TOKENS)
        n *= 2;
    int64_t few = n < MASK_CELLS ? n : MASK_CELLS, small = scale < MASK_CELLS ? few : n;
    int64_t cell = (small + MASK_CELLS - 1) / MASK_CELLS;
    if (f->root[ROOT_MASK])
        put_tiles(out, p, small, cell, cell,
                  cell == 1 ? "pairs" : arena_printf(p->u.arena, "squares of %lld tokens",
                                                     (long long)cell));
    if (stream)
        put_tiles(out, p, n, t->query_tile, t->key_tile,
                  arena_printf(p->u.arena, "tiles of %d queries and %d keys, empty ones skipped",
                               t->query_tile, t->key_tile));
    else
        str_put(out, "<p>Keys are summed once, in order, into features: no tile pairs queries with "
                     "keys, except under decay those of one chunk.</p>\n");
}

/* ---- costs ---- */

static void
put_formulas(struct str *out, struct cost_program *p)
{
    str_put(out, "<h3>cost</h3>\n<div class=\"wide\"><table><tr><th></th><th>exact</th>"
                 "<th>growth</th></tr>\n");
    for (int k = 0; k < p->nrows; k++) {
        struct cost_row *row = &p->rows[k];
        str_put(out, "<tr><th colspan=\"3\">");
        put_html(out, row->label);
        str_printf(out, ", %s (%s)</th></tr>\n", row->entry, row->schedule);
        for (int q = 0; q < COST_QUANTITIES; q++) {
            struct str exact = {0}, theta = {0};
            cost_print(&p->ring, row->cost.q[q], false, &exact);
            cost_print_theta(&p->ring, row->cost.q[q], false, &theta);
            str_printf(out, "<tr><td>%s</td><td class=\"f\">", titles[q]);
            bool zero = !strcmp(str_text(&exact), "0");
            put_html(out, str_text(&exact));
            str_put(out, zero ? "</td><td class=\"f\">" : "</td><td class=\"f\">Θ(");
            put_html(out, zero ? "" : str_text(&theta));
            str_put(out, zero ? "</td></tr>\n" : ")</td></tr>\n");
            str_free(&exact);
            str_free(&theta);
        }
    }
    str_put(out, "</table></div>\n");
}

static void
put_values(struct str *out, const struct cost_report *r)
{
    str_put(out, "<div class=\"wide\"><table><tr><th></th><th></th>");
    for (int q = 0; q < COST_QUANTITIES; q++)
        str_printf(out, "<th class=\"n\">%s</th>", titles[q]);
    str_put(out, "</tr>\n");
    fmpq_t v;
    fmpq_init(v);
    for (int k = 0; k < r->nrows; k++) {
        str_put(out, "<tr><td>");
        put_html(out, r->row[k]->label);
        str_printf(out, "</td><td>%s</td>", r->row[k]->entry);
        for (int q = 0; q < COST_QUANTITIES; q++)
            if (cost_row_value(r->row[k], (enum cost_quantity)q, v))
                str_printf(out, "<td class=\"n\">%.4g</td>",
                           fmpz_get_d(fmpq_numref(v)) / fmpz_get_d(fmpq_denref(v)));
            else
                str_put(out, "<td class=\"n\">–</td>");
        str_put(out, "</tr>\n");
    }
    fmpq_clear(v);
    str_put(out, "</table></div>\n");
}

static void
put_comparison(struct str *out, struct cost_report *r)
{
    const struct cost_sweep n = {"n", 64, 65536, 0};
    struct plot *p = xmalloc(sizeof *p);
    str_put(out, "<section id=\"compared\"><h2>compared</h2>\n<p>At");
    for (slong v = 0; v < r->p[0]->ring.area; v++)
        if (r->p[0]->known[v])
            str_printf(out, " %s=%lld", cost_var_name(&r->p[0]->ring, v),
                       (long long)r->p[0]->at[v]);
    str_put(out, "; FLOPs by the algorithm, bytes for inputs, output and state.</p>\n");
    put_values(out, r);
    const char *missing = cost_curves(r, &n, p);
    if (missing) {
        str_put(out, "<p>Curves need ");
        put_html(out, missing);
        str_put(out, ": say --at.</p>\n");
    } else {
        str_put(out, "<h3>FLOPs over n, and where they cross</h3>\n");
        plot_svg(p, out);
    }
    str_put(out, "</section>\n");
    free(p);
}

/* ---- the page ---- */

static void
put_program(struct str *out, struct cost_program *p, int number, const struct schedule_tuning *t)
{
    struct facts facts = {out, NULL};
    struct str s = {0};
    str_printf(out, "<section id=\"p%d\"><h2>", number);
    put_html(out, p->rows[0].label);
    str_put(out, "</h2>\n");
    put_block(out, "program", p->u.src->text, false);
    explain_each(p, put_fact, &facts);
    str_put(out, "</table>\n");
    put_pictures(out, p, t);
    put_formulas(out, p);
    cg_header(p->u.func, unit_schedule_words(&p->u), unit_stepping(&p->u), &s);
    put_block(out, "C header", str_text(&s), false);
    str_free(&s);
    tile_print((const struct tile_prog *const[]){p->u.prog, p->u.step}, &s);
    put_block(out, "the schedule, statement by statement", str_text(&s), true);
    str_free(&s);
    str_put(out, "</section>\n");
}

static void
put_page(struct str *out, struct cost_report *r, const struct schedule_tuning *t)
{
    str_put(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n<title>attnc");
    for (int k = 0; k < r->np; k++) {
        str_put(out, k ? ", " : ": ");
        put_html(out, r->p[k]->rows[0].label);
    }
    str_printf(out, "</title>\n<style>\n%s</style></head>\n<body>\n", style);
    str_put(out, "<h1>Attention, derived</h1>\n<p>");
    for (int k = 0; k < r->np; k++) {
        str_printf(out, "%s<a href=\"#p%d\">", k ? " · " : "", k);
        put_html(out, r->p[k]->rows[0].label);
        str_put(out, "</a>");
    }
    str_put(out, " · <a href=\"#compared\">compared</a></p>\n");
    for (int k = 0; k < r->np; k++)
        put_program(out, r->p[k], k, t);
    put_comparison(out, r);
    str_printf(out, "<p>attnc %s</p>\n</body></html>\n", ATTNC_VERSION);
}

/* Sizes for the values and curves where none are given. */
static void
usual_sizes(struct cost_program *p)
{
    static const struct {
        int dim;
        int64_t size;
    } usual[] = {{DIM_N, 4096}, {DIM_D, 64}, {DIM_M, 64}};
    for (int k = 0; k < 3; k++)
        if (!p->known[usual[k].dim])
            cost_set_size(p, p->u.func->dims[usual[k].dim].name, usual[k].size);
}

int
explain_html(const struct options *o)
{
    struct cost_report r = {.o = o, .sizes = true};
    struct schedule_tuning t;
    struct str page = {0};
    char err[512];
    int rc = unit_tuning(o, &t);
    for (int k = 0; k < o->ninputs && rc == EXIT_OK; k++) {
        struct cost_program *p = r.p[r.np++] = xmalloc(sizeof *p);
        memset(p, 0, sizeof *p);
        rc = cost_open(p, o->inputs[k], o);
        if (rc == EXIT_OK && p->u.stage)
            rc = stages_refused(&p->u, "--html");
        if (rc == EXIT_OK)
            usual_sizes(p);
    }
    if (rc == EXIT_OK && !cost_check_names(r.p, r.np, o, NULL))
        rc = EXIT_USAGE;
    if (rc == EXIT_OK) {
        cost_tell_apart(&r);
        cost_order_rows(&r);
        put_page(&page, &r, &t);
        if (!file_write(o->html, str_text(&page), page.len, err, sizeof err)) {
            fprintf(stderr, "attnc: %s\n", err);
            rc = EXIT_ENV;
        }
    }
    str_free(&page);
    for (int k = 0; k < r.np; k++) {
        cost_close(r.p[k]);
        free(r.p[k]);
    }
    return rc;
}
