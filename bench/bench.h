/* What the C benchmarks share. */
#ifndef ATTNC_BENCH_H
#define ATTNC_BENCH_H

/* FLOP of one call of bench_peak(rounds), and the call itself; its value only keeps it alive. */
double bench_peak_flops(long rounds);
float bench_peak(long rounds);

#endif
