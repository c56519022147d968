/* What command `explain` says, for its printers. */
#ifndef ATTNC_FRONTEND_DRIVER_EXPLAIN_H
#define ATTNC_FRONTEND_DRIVER_EXPLAIN_H

#include "frontend/driver/cost.h"

/* One fact of a section: "derivation", "proof", "proven: ...". Sections come one after the other; a
 * section's name is the same pointer for all its facts. */
typedef void explain_fn(void *arg, const char *section, const char *label, const char *value);
void explain_each(struct cost_program *p, explain_fn *fn, void *arg);

/* explain_fused.c: what the stages have in common that run as stage `into` of u->fusion.graph, and
 * their names. */
const char *explain_fused(struct unit *u, int into, const char **names);

/* explain_html.c: --html=FILE, one page for all inputs. */
int explain_html(const struct options *o);

#endif
