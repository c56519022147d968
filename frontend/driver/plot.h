/* Curves over n, log-log, drawn by gnuplot. */
#ifndef ATTNC_FRONTEND_DRIVER_PLOT_H
#define ATTNC_FRONTEND_DRIVER_PLOT_H

#include <stdbool.h>

enum { PLOT_MAX_CURVES = 128, PLOT_MAX_MARKS = 64 };

struct plot_curve {
    const char *title;
    const double *x, *y;     /* positive */
    int n;
    bool dashed;             /* a line only: predicted; else points joined by a line: measured */
    int colour;              /* curves of one colour belong together: 1, 2, ... */
};

struct plot {
    const char *title, *x, *y; /* of the whole and of the axes */
    struct plot_curve curve[PLOT_MAX_CURVES];
    int ncurves;
    struct { double x; const char *text; } mark[PLOT_MAX_MARKS]; /* vertical lines: crossovers */
    int nmarks;
};

struct options;
/* Whether --plot can be done as asked: a suffix .svg, .png or .pdf, or nothing and no --json or
 * --csv that would stand on the same standard output. False after a usage error. */
bool plot_check(const struct options *o);
struct str;
/* The same as an <svg> element of a page, without gnuplot; colours are the classes c1 ... c8. */
void plot_svg(const struct plot *p, struct str *out);
/* Text for HTML and SVG, its special characters escaped. */
void put_html(struct str *out, const char *text);
/* Draws into a file (named by its suffix, written to a temporary name and renamed), or as text on
 * standard output if file is "". Without gnuplot, or if it fails, the gnuplot script with all data
 * is kept as FILE.gp (attnc-plot.gp), which is said on standard error. Returns EXIT_OK or
 * EXIT_ENV. */
int plot_draw(const struct plot *p, const char *file);

#endif
