/* How much work the unit tests do. */
#ifndef ATTNC_TESTS_UNIT_THINNED_H
#define ATTNC_TESTS_UNIT_THINNED_H

#include <stdbool.h>

/* True under sanitizers and with another LLVM, where fewer shapes will do, unless ATTNC_LONG is
 * set. */
bool thinned(void);

#endif
