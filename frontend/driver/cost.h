/* Command `cost`: what is reported of several programs, and of both forms of a kernelized one. */
#ifndef ATTNC_FRONTEND_DRIVER_COST_H
#define ATTNC_FRONTEND_DRIVER_COST_H

#include "frontend/driver/driver.h"
#include "passes/cost.h"

enum { COST_MAX_SWEEP = 1000, COST_MAX_ROWS = 4, COST_MAX_PROGRAMS = MAX_INPUTS };

/* One entry of one form of a program. */
struct cost_row {
    struct cost_program *of;
    const char *entry, *form, *schedule, *label; /* form: "kernelized", "direct", or NULL */
    const struct ir_func *func;
    struct tile_prog *prog;    /* forward (also for a step over a cache), or the step of a state */
    enum cost_entry kind;
    struct cost raw, cost;     /* raw: with the variables area and seen; cost: as printed */
    struct cost_tiles tiles;   /* the same of the generated code; tiles.why: none, and why */
};

struct cost_program {
    struct unit u;
    struct cost_ring ring;
    struct cost_area all, last;
    bool areas;                /* those were looked for */
    int64_t *at;               /* values of the ring's variables */
    bool *known, *given;       /* given: fixed, by --at or by --over; known: also what follows */
    bool *unknown;             /* no default either: a param that is not whole */
    /* what to take for the areas (0: all, 1: of the last query) at these sizes */
    enum { AREA_UNKNOWN, AREA_POLY, AREA_COUNTED, AREA_BOUND } take[2];
    bool code;                 /* formulas of the generated code are wanted: set before cost_open */
    int64_t tile;              /* the same of programs that do not say */
    struct cost_row rows[COST_MAX_ROWS];
    int nrows;
};

/* How D moves the crossovers: --over. */
struct cost_sweep {
    const char *name;
    int64_t from, to, step;    /* step 0: doubling */
};

struct cost_report {
    const struct options *o;
    struct cost_program *p[COST_MAX_PROGRAMS];
    int np;
    struct cost_row *row[COST_MAX_PROGRAMS * COST_MAX_ROWS]; /* of all programs, by entry */
    int nrows;
    bool sizes;                /* some were given */
    struct cost_sweep over;    /* name NULL: none */
};

/* cost.c */
/* Compiles a program (zeroed) up to its schedules and derives its costs: EXIT_OK or an exit code
 * after diagnostics. cost_close in any case. */
int cost_open(struct cost_program *p, const char *path, const struct options *o);
void cost_close(struct cost_program *p);
/* Derives areas and rows (anew) from what is given. */
void cost_derive(struct cost_program *p);
/* Programs of one name are told apart by their files, or by their place. */
void cost_tell_apart(struct cost_report *r);
/* Rows of all programs into r->row: forward ones first. */
void cost_order_rows(struct cost_report *r);
/* q with the areas of the mask written out, where they are polynomials. */
cost_poly *cost_with_areas(struct cost_program *p, cost_poly *q);
/* Every size that --at and --over name is one of some program; false after a usage error. */
bool cost_check_names(struct cost_program *const *p, int np, const struct options *o,
                      const struct cost_sweep *over);

/* cost_stages.c: the rows of a program of stages, sums over its stages; and each by itself. */
void cost_stages(struct cost_program *p);
typedef void cost_stage_fn(void *arg, struct cost_program *p, const char *name,
                           const char *schedule, const struct cost *cost);
void cost_stage_lines(struct cost_program *p, bool step, cost_stage_fn *fn, void *arg);

/* cost_sizes.c */
/* Fixed sizes and --at into p->at and p->given; false after a usage error. */
bool cost_sizes_given(struct cost_program *p, const struct options *o);
/* Whether G and n_q stand for themselves in formulas, or for H and n. */
void cost_dims(struct cost_program *p);
/* The areas of the mask, again where what it reads has changed. */
void cost_find_areas(struct cost_program *p);
/* Everything that follows from them: p->known, once the areas are there. */
void cost_sizes_fill(struct cost_program *p);
/* Names of the variables that the value of q needs and nothing gives, or NULL. except: one that is
 * not needed (-1: none). */
const char *cost_missing(struct cost_program *p, const cost_poly *q, slong except);
/* The value of quantity q of a row; false if a size is missing. */
bool cost_row_value(struct cost_row *row, enum cost_quantity q, fmpq_t out);
/* What the generated code of a row does at the sizes; false with *why. */
bool cost_row_count(struct cost_row *row, int64_t q[COST_QUANTITIES], const char **why);
/* A size given anew, as by --over; M follows D where nothing gives M. */
void cost_set_size(struct cost_program *p, const char *name, int64_t size);
/* FROM:TO (doubling), FROM:TO:STEP or one size, each with k or m; false if it is none, or of
 * COST_MAX_SWEEP sizes or more. */
bool cost_parse_sweep(const char *text, struct cost_sweep *out);
/* The next size of a sweep into *x; false at its end. */
bool cost_sweep_next(const struct cost_sweep *o, int64_t *x);
/* True if the program has a size or param of that name, and this value of it. */
bool cost_size_is(const struct cost_program *p, const char *name, int64_t size);
/* The degree in n of a quantity; areas that are no polynomial count as all pairs. */
long cost_row_degree(struct cost_row *row, enum cost_quantity q);
/* Names of what the value of quantity q of a row needs and nothing gives. */
const char *cost_row_missing(struct cost_row *row, enum cost_quantity q);
/* Who is cheaper in what from which n on, over the n from which the areas of both masks hold, and
 * are multiples of their periods. */
struct cost_crossings {
    struct cost_crossover at[COST_MAX_CROSSOVERS];
    int n;                     /* how many; -1: sizes are missing */
    const char *missing;
    int64_t from, multiple;
};
int cost_row_cross(struct cost_row *a, struct cost_row *b, enum cost_quantity q,
                   struct cost_crossings *out);
/* The forward row of the direct form, or NULL. */
struct cost_row *cost_direct_row(struct cost_program *p);
/* Two different rows of the same entry. */
bool cost_comparable(const struct cost_row *a, const struct cost_row *b);
/* The value of an area at these sizes is an upper bound. */
bool cost_row_bound(const struct cost_row *row);

/* cost_text.c, cost_json.c */
void cost_text(struct cost_report *r);
void cost_json(struct cost_report *r);
struct plot;
/* The curves of all forward rows over n, and their crossovers; names of sizes that are missing, or
 * NULL. */
const char *cost_curves(struct cost_report *r, const struct cost_sweep *n, struct plot *p);
/* --plot: the curves of all forward rows over --n. */
int cost_plot(struct cost_report *r);
/* A string as JSON; "key": "value" or null, and what follows. */
void put_json(const char *s);
void put_json_field(const char *key, const char *value, const char *end);
/* "key": x with nine digits, or null if it is not finite, and what follows. */
void put_json_number(const char *key, double x, const char *end);

#endif
