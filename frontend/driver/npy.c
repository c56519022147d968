#include "frontend/driver/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/driver.h"

static const struct {
    const char *descr, *name;
    size_t size;
} types[] = {[NPY_F32] = {"<f4", "float32", 4},
             [NPY_F64] = {"<f8", "float64", 8},
             [NPY_I32] = {"<i4", "int32", 4},
             [NPY_I64] = {"<i8", "int64", 8}};

const char *
npy_type_name(enum npy_type t)
{
    return types[t].name;
}

/* The text after 'key': in the header dictionary, or NULL. */
static const char *
value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *p = strstr(header, quoted);
    if (!p)
        return NULL;
    p += strlen(quoted);
    while (isspace((unsigned char)*p))
        p++;
    if (*p++ != ':')
        return NULL;
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

static const char *
parse_descr(const char *header, struct npy *a)
{
    const char *p = value_of(header, "descr");
    char d[16] = {0};
    if (!p || *p != '\'')
        return "has no element type in its header";
    for (size_t k = 0; k + 1 < sizeof d && p[k + 1] && p[k + 1] != '\''; k++)
        d[k] = p[k + 1];
    if (d[0] == '>')
        return "is big-endian; only little-endian arrays are read (a.astype('<f4'))";
    for (int k = 0; k < 4; k++)
        if (!strcmp(d, types[k].descr)) {
            a->type = (enum npy_type)k;
            return NULL;
        }
    return "has an element type other than float32, float64, int32 or int64";
}

static const char *
parse_shape(const char *header, struct npy *a)
{
    const char *p = value_of(header, "shape");
    if (!p || *p++ != '(')
        return "has no shape in its header";
    a->count = 1;
    for (;;) {
        char *end;
        while (isspace((unsigned char)*p) || *p == ',')
            p++;
        if (*p == ')')
            return NULL;
        if (!isdigit((unsigned char)*p))
            return "has an unreadable shape";
        if (a->rank == NPY_MAX_RANK)
            return "has more than 8 axes";
        long long n = strtoll(p, &end, 10);
        if (n < 0 || __builtin_mul_overflow(a->count, (int64_t)n, &a->count) ||
            a->count > (int64_t)1 << 40)
            return "has an absurd shape";
        a->shape[a->rank++] = n;
        p = end;
    }
}

/* Column-major data to row-major. */
static void
transpose(struct npy *a, const char *from)
{
    size_t size = types[a->type].size;
    int64_t index[NPY_MAX_RANK] = {0};
    for (int64_t e = 0; e < a->count; e++) {
        int64_t offset = 0;
        for (int k = a->rank - 1; k >= 0; k--)
            offset = offset * a->shape[k] + index[k];
        memcpy((char *)a->data + (size_t)e * size, from + (size_t)offset * size, size);
        for (int k = a->rank - 1; k >= 0 && ++index[k] == a->shape[k]; k--)
            index[k] = 0;
    }
}

static const char *
parse(const unsigned char *file, size_t size, struct npy *a)
{
    size_t start, length;
    if (size < 10 || memcmp(file, "\x93NUMPY", 6))
        return "is not a .npy file";
    if (file[6] == 1) {
        length = file[8] | (size_t)file[9] << 8;
        start = 10;
    } else if ((file[6] == 2 || file[6] == 3) && size >= 12) {
        length = file[8] | (size_t)file[9] << 8 | (size_t)file[10] << 16 | (size_t)file[11] << 24;
        start = 12;
    } else {
        return "has an unknown .npy version";
    }
    if (length > size - start)
        return "is truncated inside its header";
    char *header = xmalloc(length + 1);
    memcpy(header, file + start, length);
    header[length] = 0;
    const char *why = parse_descr(header, a);
    if (!why)
        why = parse_shape(header, a);
    const char *order = value_of(header, "fortran_order");
    bool fortran = order && !strncmp(order, "True", 4);
    if (!why && !order)
        why = "has no memory order in its header";
    free(header);
    if (why)
        return why;
    size_t bytes = (size_t)a->count * types[a->type].size;
    if (size - start - length < bytes)
        return "is truncated: its data is shorter than its shape says";
    a->data = xmalloc(bytes);
    if (fortran && a->rank > 1)
        transpose(a, (const char *)file + start + length);
    else
        memcpy(a->data, file + start + length, bytes);
    return NULL;
}

int
npy_read(const char *path, struct npy *out, char *err, size_t errlen)
{
    char *file;
    size_t size;
    memset(out, 0, sizeof *out);
    if (!file_read(path, (size_t)1 << 36, &file, &size, err, errlen))
        return EXIT_ENV;
    const char *why = parse((const unsigned char *)file, size, out);
    free(file);
    if (!why)
        return EXIT_OK;
    npy_free(out);
    snprintf(err, errlen, "%s %s", path, why);
    return EXIT_DIAG;
}

bool
npy_write(const char *path, enum npy_type type, int rank, const int64_t *shape, const void *data,
          char *err, size_t errlen)
{
    struct str header = {0}, file = {0};
    size_t bytes = types[type].size;
    str_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[type].descr);
    for (int k = 0; k < rank; k++) {
        str_printf(&header, "%lld,%s", (long long)shape[k], k + 1 < rank ? " " : "");
        bytes *= (size_t)shape[k];
    }
    str_put(&header, "), }");
    while ((10 + header.len + 1) % 64)
        str_putc(&header, ' ');
    str_putc(&header, '\n');
    str_putn(&file, "\x93NUMPY\x01\x00", 8);
    str_putc(&file, (char)(header.len & 255));
    str_putc(&file, (char)(header.len >> 8));
    str_putn(&file, header.s, header.len);
    str_putn(&file, data, bytes);
    bool ok = file_write(path, file.s, file.len, err, errlen);
    str_free(&header);
    str_free(&file);
    return ok;
}

double
npy_get(const struct npy *a, int64_t i)
{
    if (a->type == NPY_F32)
        return ((const float *)a->data)[i];
    if (a->type == NPY_F64)
        return ((const double *)a->data)[i];
    return a->type == NPY_I32 ? ((const int32_t *)a->data)[i]
                              : (double)((const int64_t *)a->data)[i];
}

void
npy_free(struct npy *a)
{
    free(a->data);
    memset(a, 0, sizeof *a);
}
