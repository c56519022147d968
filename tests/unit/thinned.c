#include "thinned.h"

#include <stdlib.h>

bool
thinned(void)
{
#ifdef THINNED
    return !getenv("ATTNC_LONG");
#else
    return false;
#endif
}
