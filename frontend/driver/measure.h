/* Clock, medians, and the most multiply-adds this machine does: what fractions of the peak are
 * relative to. */
#ifndef ATTNC_FRONTEND_DRIVER_MEASURE_H
#define ATTNC_FRONTEND_DRIVER_MEASURE_H

#include <stdint.h>

/* FLOP/s of so many threads at once that run independent fused multiply-adds in registers, in f32,
 * with the vectors of an attn_isa; the best of a few tries of some milliseconds. 0 if there is no
 * such loop for this machine. f64 does half. */
double measure_peak(int isa, int threads);
/* Seconds of a clock that only goes forward. */
double measure_now(void);
/* Of n figures, which it sorts; 0 if there are none. */
double measure_median(double *x, int64_t n);

#endif
