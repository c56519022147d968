/* The examples, built into the compiler. */
#ifndef ATTNC_FRONTEND_DRIVER_ZOO_H
#define ATTNC_FRONTEND_DRIVER_ZOO_H

#include <stddef.h>

/* A file of examples/: its name without .attn, and its bytes, which begin
 * with "# " and the title. */
struct zoo_entry {
    const char *name, *text;
    size_t size;
};
/* By name. Made by cmake/zoo_table.cmake when the compiler is built. */
extern const struct zoo_entry zoo_entries[];
extern const int zoo_count;

#endif
