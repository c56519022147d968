/* NumPy's .npy files: little-endian float32/float64 (and integers, read as f64), any rank up to 8.
 */
#ifndef ATTNC_FRONTEND_DRIVER_NPY_H
#define ATTNC_FRONTEND_DRIVER_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NPY_MAX_RANK = 8 };
enum npy_type { NPY_F32, NPY_F64, NPY_I32, NPY_I64 };

struct npy {
    enum npy_type type;
    int rank;
    int64_t shape[NPY_MAX_RANK], count;
    void *data;             /* row-major, malloc'ed */
};

/* Reads a file. Returns EXIT_OK, or with a message that names it EXIT_ENV if it cannot be read and
 * EXIT_DIAG if what it holds cannot be used. */
int npy_read(const char *path, struct npy *out, char *err, size_t errlen);
/* Writes a row-major array (- is standard output), by way of a temporary name. */
bool npy_write(const char *path, enum npy_type type, int rank, const int64_t *shape,
               const void *data, char *err, size_t errlen);
double npy_get(const struct npy *a, int64_t index);
const char *npy_type_name(enum npy_type t);
void npy_free(struct npy *a);

#endif
