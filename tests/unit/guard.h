/* Guard pages: every tensor and workspace of a kernel ends exactly where a page begins that nobody
 * may touch, then begins exactly where one ends. One element read or written outside is a fault,
 * whatever its value would have been used for; and the results must be right to the bit as well. */
#ifndef ATTNC_TESTS_UNIT_GUARD_H
#define ATTNC_TESTS_UNIT_GUARD_H

#include "exact.h"

struct guard_count {
    long passed, failed;
};

/* Runs kernel k of program p on odd shapes: on each with all layouts and both sides, or (brief, for
 * an emulator: fewer and narrower shapes) with one of them in turn. Failures are printed. Takes
 * over SIGSEGV and SIGBUS. */
struct guard_count guard_kernel(const struct exact_program *p, const attn_kernel *k,
                                const char *target, bool brief);

#endif
