/* attnc: compiles attention. This file only picks the command; see frontend/driver/. */
#include "frontend/driver/driver.h"

int
main(int argc, char **argv)
{
    struct options o;
    int rc = options_parse(argc, argv, &o);
    return rc >= 0 ? rc : o.command->run(&o);
}
