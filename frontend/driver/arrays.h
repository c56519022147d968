/* Inputs of a kernel from the words NAME=FILE.npy and NAME=NUMBER of the command line. */
#ifndef ATTNC_FRONTEND_DRIVER_ARRAYS_H
#define ATTNC_FRONTEND_DRIVER_ARRAYS_H

#include "frontend/driver/driver.h"
#include "frontend/driver/npy.h"
#include "frontend/driver/values.h"

/* In the order of the kernel's tensors and scalars; zeroed, with the kernel set, before reading. */
struct arrays {
    const attn_kernel *kernel;
    struct npy at[VALUES_MAX_TENSORS];
    bool given[VALUES_MAX_TENSORS];
    const char *path[VALUES_MAX_TENSORS]; /* where an output goes, if a word NAME=FILE says so */
    double scalars[ATTN_MAX_SCALARS];
    bool scalar_given[ATTN_MAX_SCALARS];
};

/* True if the caller gives tensor t: not the output, and nothing that is generated. */
bool arrays_takes(const attn_kernel *k, int t);
/* Reads the words that are inputs of the kernel, and takes the defaults of the scalars that are not
 * given. used NULL: every word must be one, and arrays of the kernel's type. Else words of other
 * names are left to other kernels, used[k] is set for each that was one (k < o->args.n), and arrays
 * may have either type. EXIT_OK, or an exit code after a message; arrays_free in any case. */
int arrays_read(struct arrays *a, const struct options *o, bool *used);
void arrays_free(struct arrays *a);

#endif
