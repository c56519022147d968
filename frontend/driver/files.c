/* Reading whole files; writing so that a failure leaves neither half a file nor a clobbered one. */
#include "frontend/driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
file_read(const char *path, size_t max, char **data, size_t *size, char *err, size_t errlen)
{
    FILE *f = !strcmp(path, "-") ? stdin : fopen(path, "rb");
    size_t cap = 4096, n = 0;
    if (!f) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        return false;
    }
    char *buf = xmalloc(cap);
    while (!feof(f) && !ferror(f) && n <= max) {
        if (n == cap)
            buf = xrealloc(buf, cap *= 2);
        n += fread(buf + n, 1, cap - n, f);
    }
    bool bad = ferror(f) != 0;
    if (bad)
        snprintf(err, errlen, "%s: %s", path, strerror(errno ? errno : EIO));
    else if (n > max)
        snprintf(err, errlen, "%s: larger than the limit of %zu bytes", path, max);
    if (f != stdin)
        fclose(f);
    if (bad || n > max) {
        free(buf);
        return false;
    }
    *data = buf;
    *size = n;
    return true;
}

bool
file_temporary(const char *path, char *name, size_t len, char *err, size_t errlen)
{
    if ((size_t)snprintf(name, len, "%s.XXXXXX", path) >= len) {
        snprintf(err, errlen, "%s: name too long", path);
        return false;
    }
    int fd = mkstemp(name);
    if (fd < 0) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        return false;
    }
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    close(fd);
    return true;
}

static bool
write_all(FILE *f, const char *data, size_t size)
{
    return fwrite(data, 1, size, f) == size && fflush(f) == 0;
}

bool
file_write(const char *path, const char *data, size_t size, char *err, size_t errlen)
{
    char tmp[4096];
    if (!strcmp(path, "-")) {
        if (write_all(stdout, data, size))
            return true;
        snprintf(err, errlen, "standard output: %s", strerror(errno));
        return false;
    }
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a device or pipe is written in place */
        FILE *f = fopen(path, "wb");
        bool ok = f && write_all(f, data, size);
        int e = errno;
        if (f && fclose(f))
            ok = false;
        if (!ok)
            snprintf(err, errlen, "%s: %s", path, strerror(e));
        return ok;
    }
    if (!file_temporary(path, tmp, sizeof tmp, err, errlen))
        return false;
    FILE *f = fopen(tmp, "wb");
    bool ok = f && write_all(f, data, size);
    if (f && fclose(f))
        ok = false;
    if (ok && rename(tmp, path) == 0)
        return true;
    snprintf(err, errlen, "%s: %s", path, strerror(errno));
    unlink(tmp);
    return false;
}
