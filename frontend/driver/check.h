/* Command `check`: shared by that of one attention and that of a program of stages. */
#ifndef ATTNC_FRONTEND_DRIVER_CHECK_H
#define ATTNC_FRONTEND_DRIVER_CHECK_H

#include "frontend/driver/driver.h"
#include "frontend/driver/values.h"

/* The element that comes closest to its bound. */
struct finding {
    double error, scale, condition, bound, ratio;
    double rounding;        /* of the worst element, to a type narrower than its sums */
    int64_t at[4];          /* b, h, row, column of the worst difference */
    double got, want;
    int64_t rows, width;    /* compared; numbers of each */
    int tensor;             /* the result they are of */
    bool bad_number;        /* one is NaN or inf where the other is not */
};

enum { CHECK_DEFAULTS = 5 };
extern const int64_t check_default_sizes[CHECK_DEFAULTS][DIM_USER];

/* Every result in v, tensor 3 and that of root lse, against the reference: EXIT_OK, EXIT_DIAG if
 * one is wrong, EXIT_ENV after saying that the reference cannot evaluate the sizes. report is
 * called with each, in order. */
typedef void check_report_fn(void *arg, const struct values *v, const struct finding *r, bool pass);
int check_results(struct unit *u, struct values *v, check_report_fn *report, void *arg);
/* Sizes for one run: fixed ones, then --at, then those of the row; false after a usage error. */
bool check_sizes_for(const struct ir_func *f, const int64_t *row, const struct dim_override *at,
                     int nat, int64_t *dims);
/* check_stages.c: every stage of kernel `each` on what the stages before it made, then the whole
 * against them, which in kernel `all` may run some of them as one. */
int check_stages(struct unit *u, const struct options *o, const attn_kernel *each,
                 const attn_kernel *all);

#endif
