/* Arguments and inputs of the C benchmarks. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

void
bench_arguments(int argc, char **argv, int64_t most, int64_t *n, int *rounds)
{
    if (argc > 1)
        *n = atoll(argv[1]);
    if (argc > 2)
        *rounds = atoi(argv[2]);
    if (*n >= 1 && *n <= most && *rounds >= 1 && *rounds <= BENCH_ROUNDS)
        return;
    fprintf(stderr, "usage: %s [n] [rounds]; n from 1 to %lld, rounds from 1 to %d\n", argv[0],
            (long long)most, BENCH_ROUNDS);
    exit(2);
}

float *
bench_random(int64_t n)
{
    float *x = malloc(sizeof *x * (size_t)(n + 1));
    if (!x)
        exit(3);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return x;
}
