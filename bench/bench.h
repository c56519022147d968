/* What the C benchmarks share, beside the clock, medians and peak of frontend/driver/measure.h. */
#ifndef ATTNC_BENCH_H
#define ATTNC_BENCH_H

#include <stdint.h>

/* n numbers from -0.5 to 0.5, to be freed; ends the program where there is no memory. */
float *bench_random(int64_t n);

/* Reads [n] [rounds] into *n (from 1 to most) and *rounds; ends the program with a usage line where
 * they are not. At most BENCH_ROUNDS rounds. */
enum { BENCH_ROUNDS = 101 };
void bench_arguments(int argc, char **argv, int64_t most, int64_t *n, int *rounds);

/* Scales n numbers in place, with whole vectors. */
void bench_scale(float *x, int64_t n);

/* The sum of n numbers, read with whole vectors; its value only keeps it alive. */
float bench_read(const float *x, int64_t n);

#endif
