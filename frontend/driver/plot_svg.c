/* Log-log curves as an element of a page. */
#include <math.h>
#include <string.h>

#include "frontend/driver/plot.h"
#include "ir/base/str.h"

enum { WIDTH = 760, HEIGHT = 420, LEFT = 70, RIGHT = 20, TOP = 16, BOTTOM = 44, COLOURS = 8 };

void
put_html(struct str *out, const char *text)
{
    for (; *text; text++)
        if (*text == '&')
            str_put(out, "&amp;");
        else if (*text == '<')
            str_put(out, "&lt;");
        else if (*text == '>')
            str_put(out, "&gt;");
        else if (*text == '"')
            str_put(out, "&quot;");
        else
            str_putc(out, *text);
}

/* Decades that hold all curves. */
struct frame {
    double x0, x1, y0, y1;
};

static void
stretch(double v, double *lo, double *hi)
{
    *lo = fmin(*lo, floor(log10(v)));
    *hi = fmax(*hi, ceil(log10(v)));
}

static struct frame
frame_of(const struct plot *p)
{
    struct frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int k = 0; k < p->ncurves; k++)
        for (int m = 0; m < p->curve[k].n; m++) {
            stretch(p->curve[k].x[m], &f.x0, &f.x1);
            stretch(p->curve[k].y[m], &f.y0, &f.y1);
        }
    f.x1 += f.x1 == f.x0;
    f.y1 += f.y1 == f.y0;
    return f;
}

static double
place_x(const struct frame *f, double x)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (log10(x) - f->x0) / (f->x1 - f->x0);
}

static double
place_y(const struct frame *f, double y)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log10(y) - f->y0) / (f->y1 - f->y0);
}

static void
put_axes(const struct plot *p, const struct frame *f, struct str *out)
{
    for (double d = f->x0; d <= f->x1; d++) {
        double x = place_x(f, pow(10, d));
        str_printf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                        "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n",
                   x, x, TOP, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 16, pow(10, d));
    }
    for (double d = f->y0; d <= f->y1; d++) {
        double y = place_y(f, pow(10, d));
        str_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                        "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">1e%.0f</text>\n",
                   LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, d);
    }
    str_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", WIDTH / 2, HEIGHT - 8);
    put_html(out, p->x);
    str_printf(out, "</text>\n<text transform=\"translate(14 %d) rotate(-90)\" "
                    "text-anchor=\"middle\">", HEIGHT / 2);
    put_html(out, p->y);
    str_put(out, "</text>\n");
}

void
plot_svg(const struct plot *p, struct str *out)
{
    struct frame f = frame_of(p);
    str_printf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
               HEIGHT + 18 * (p->ncurves + p->nmarks));
    put_html(out, p->title);
    str_put(out, "\">\n");
    put_axes(p, &f, out);
    for (int k = 0; k < p->nmarks; k++) {
        double x = place_x(&f, p->mark[k].x);
        str_printf(out, "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", x,
                   x, TOP, HEIGHT - BOTTOM);
    }
    for (int k = 0; k < p->ncurves; k++) {
        const struct plot_curve *c = &p->curve[k];
        str_printf(out, "<polyline class=\"curve c%d\" points=\"", (c->colour - 1) % COLOURS + 1);
        for (int m = 0; m < c->n; m++)
            str_printf(out, "%s%.1f,%.1f", m ? " " : "", place_x(&f, c->x[m]),
                       place_y(&f, c->y[m]));
        str_put(out, "\"/>\n");
    }
    for (int k = 0; k < p->ncurves + p->nmarks; k++) { /* the key, below */
        bool curve = k < p->ncurves;
        int y = HEIGHT + 18 * k + 8;
        str_printf(out, "<line class=\"%s", curve ? "curve c" : "mark");
        if (curve)
            str_printf(out, "%d", (p->curve[k].colour - 1) % COLOURS + 1);
        str_printf(out, "\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/><text x=\"%d\" y=\"%d\">",
                   LEFT, LEFT + 30, y - 4, y - 4, LEFT + 38, y);
        put_html(out, curve ? p->curve[k].title : p->mark[k - p->ncurves].text);
        str_put(out, "</text>\n");
    }
    str_put(out, "</svg>\n");
}
