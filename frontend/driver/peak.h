/* The most multiply-adds this machine does: what fractions of the peak are relative to. */
#ifndef ATTNC_FRONTEND_DRIVER_PEAK_H
#define ATTNC_FRONTEND_DRIVER_PEAK_H

/* FLOP/s of so many threads at once that run independent fused multiply-adds in registers, in f32,
 * with the vectors of an attn_isa; the best of a few tries of some milliseconds. 0 if there is no
 * such loop for this machine. f64 does half. */
double peak_measure(int isa, int threads);
/* Seconds of a clock that only goes forward. */
double peak_now(void);

#endif
