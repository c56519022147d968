/* Command `bench`: what was measured, and how it is reported. */
#ifndef ATTNC_FRONTEND_DRIVER_BENCH_H
#define ATTNC_FRONTEND_DRIVER_BENCH_H

#include "frontend/driver/cost.h"
#include "passes/choose.h"

enum {
    BENCH_MAX_POINTS = 64, BENCH_MAX_ROUNDS = 1001, BENCH_MAX_SERIES = 3 * COST_MAX_PROGRAMS
};

/* One form of a program at one length. */
struct bench_point {
    int64_t n;
    double median, least;      /* seconds */
    double flops, calls;       /* by the algorithm */
    double code_flops;         /* by the tiles; 0: not counted */
    int rounds;
};

struct bench_series {
    struct cost_program *of;
    struct cost_row *row;      /* its forward row */
    const char *label;
    const struct tile_prog *alone; /* the only form there is; NULL: the program as it is */
    struct cg_module *module;
    struct cg_jit *jit;
    const struct attn_kernel *kernel;
    struct bench_point at[BENCH_MAX_POINTS];
    int npoints;
    const char *note;          /* why it stopped before the last length, or NULL */
};

struct bench_report {
    const struct options *o;
    struct cost_report cost;
    struct bench_series series[BENCH_MAX_SERIES];
    int nseries;
    char cpu[256];
    int threads;
    double peak;               /* FLOP/s of all threads in f32; 0: not known */
    bool interrupted;
};

/* Slope of log time in log n by least squares; NAN with fewer than two lengths. */
double bench_exponent(const struct bench_series *s);
/* The degree in n of what the series computes. */
long bench_predicted(const struct bench_series *s);
/* True if each run takes whichever form is expected to take less. */
bool bench_chooses(const struct bench_series *s);
/* Thousandths of what a multiply-add at the peak takes, per FLOP of each schedule that was measured
 * by itself, at its longest length; 0 for the others. */
void bench_rates(const struct bench_report *r, struct choose_rates *rates);
/* The peak in the type of a series. */
double bench_peak_of(const struct bench_report *r, const struct bench_series *s);
/* The first n from which a was faster than b, between the lengths measured, by straight lines in
 * log-log; 0 if it was never, NAN if it always was. */
double bench_crossover(const struct bench_series *a, const struct bench_series *b);
/* The same as the FLOPs have it: 0 never, -1 always. */
int64_t bench_predicted_crossover(const struct bench_series *a, const struct bench_series *b);

/* bench_report.c */
void bench_text(const struct bench_report *r);
void bench_json(const struct bench_report *r);
void bench_csv(const struct bench_report *r);
int bench_plot(const struct bench_report *r, const char *file);

#endif
