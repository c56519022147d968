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

/* True if the name ends in .svg, .png or .pdf, or is empty (a terminal). */
bool plot_name_ok(const char *file);
/* Draws into a file (named by its suffix, written to a temporary name and renamed), or as text on
 * standard output if file is "". Without gnuplot, or if it fails, the gnuplot script with all data
 * is kept as FILE.gp (attnc-plot.gp), which is said on standard error. Returns EXIT_OK or
 * EXIT_ENV. */
int plot_draw(const struct plot *p, const char *file);

#endif
