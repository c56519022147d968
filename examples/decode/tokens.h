/* What both decoders share: tokens made from their number, a clock, and the memory in use. */
#ifndef TOKENS_H
#define TOKENS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <attn.h>

enum role { QUERY, KEY, VALUE };

/* x[0 .. width) of a token: in [-1, 1), a function of the token's number, the role and the place,
 * so that any row can be made again at any time and none has to be stored. */
static inline void
token_row(int64_t token, enum role role, int width, float *x)
{
    for (int d = 0; d < width; d++) {
        uint64_t z = ((uint64_t)token * 3 + role) * 0x9e3779b97f4a7c15u +
                     (uint64_t)d * 0xd1342543de82ef95u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        x[d] = (float)((double)(z >> 40) / (1 << 23) - 1);
    }
}

static inline double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Memory of this process in KiB, as resident now. */
static inline long
resident_kib(void)
{
    long total, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &total, &resident) != 2) {
        perror("/proc/self/statm");
        exit(1);
    }
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Ends the program if a call did not give what it should. */
static inline void
want(int got, int wanted)
{
    if (got == wanted)
        return;
    fprintf(stderr, "got \"%s\" (%s), wanted \"%s\"\n", attn_status_text(got), attn_message(),
            attn_status_text(wanted));
    exit(1);
}

/* The first argument as a number of tokens of at least `least`, or what stands in for it. */
static inline int64_t
token_count(int argc, char **argv, int64_t least, int64_t otherwise)
{
    char *end = NULL;
    long long n = argc > 1 ? strtoll(argv[1], &end, 10) : otherwise;
    if (argc > 2 || (end && (end == argv[1] || *end)) || n < least || n > (long long)1 << 29) {
        fprintf(stderr, "usage: %s [TOKENS]    from %lld to 2^29\n", argv[0], (long long)least);
        exit(2);
    }
    return n;
}

static inline void *
memory(size_t bytes)
{
    void *p = calloc(bytes ? bytes : 1, 1);
    if (!p) {
        fprintf(stderr, "out of memory: %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

#endif
