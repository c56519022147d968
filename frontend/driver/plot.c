#include "frontend/driver/plot.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

static const struct { const char *suffix, *terminal; } formats[] = {
    {".svg", "svg size 960,640 dynamic background rgb 'white' noenhanced"},
    {".png", "pngcairo size 960,640 noenhanced"},
    {".pdf", "pdfcairo size 16cm,11cm noenhanced"},
};

static const char *
terminal_of(const char *file)
{
    size_t n = strlen(file);
    if (n == 0)
        return "dumb size 100,32 noenhanced";
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++)
        if (n > 4 && !strcmp(file + n - 4, formats[k].suffix))
            return formats[k].terminal;
    return NULL;
}

/* Better known before anything is measured. */
static bool
folder_writable(const char *file)
{
    const char *slash = strrchr(file, '/');
    char folder[4096] = ".";
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - file) + (slash == file), file);
    return access(folder, W_OK | X_OK) == 0;
}

bool
plot_check(const struct options *o)
{
    if (o->plot && !*o->plot && (o->json || o->csv))
        usage_error("--plot as text does not go with --json or --csv; --plot=FILE does");
    else if (o->plot && !terminal_of(o->plot))
        usage_error("--plot=%s: the name must end in .svg, .png or .pdf", o->plot);
    else if (o->plot && !folder_writable(o->plot))
        usage_error("--plot=%s: no file can be made there", o->plot);
    else
        return true;
    return false;
}

/* A gnuplot string: single quotes, doubled inside. */
static void
put_quoted(struct str *s, const char *text)
{
    str_putc(s, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            str_putc(s, '\'');
        str_putc(s, (unsigned char)*text < 0x20 ? ' ' : *text);
    }
    str_putc(s, '\'');
}

static void
put_curves(const struct plot *p, bool text, struct str *s)
{
    for (int k = 0; k < p->ncurves; k++) {
        const struct plot_curve *c = &p->curve[k];
        str_printf(s, "%s$curve%d using 1:2 title ", k ? ", \\\n     " : "plot ", k);
        put_quoted(s, c->title);
        if (text)
            str_put(s, c->dashed ? " with dots" : " with points");
        else
            str_printf(s, " with %s linecolor %d linewidth 2 %s",
                       c->dashed ? "lines" : "linespoints", c->colour,
                       c->dashed ? "dashtype 2" : "pointtype 7");
    }
    for (int k = 0; k < p->nmarks; k++) {
        str_put(s, ", \\\n     NaN with lines dashtype 3 linecolor rgb 'gray30' title ");
        put_quoted(s, p->mark[k].text);
    }
    str_putc(s, '\n');
}

/* A script that needs no other file. */
static void
put_script(const struct plot *p, const char *file, const char *output, struct str *s)
{
    str_printf(s, "set terminal %s\n", terminal_of(file));
    if (*output) {
        str_put(s, "set output ");
        put_quoted(s, output);
        str_putc(s, '\n');
    }
    str_put(s, "set logscale xy\nset grid\nset key top left reverse Left\nset title ");
    put_quoted(s, p->title);
    str_put(s, "\nset xlabel ");
    put_quoted(s, p->x);
    str_put(s, "\nset ylabel ");
    put_quoted(s, p->y);
    str_put(s, "\nset format x '%.0f'\n");
    for (int k = 0; k < p->nmarks; k++) {
        double x = p->mark[k].x;
        str_printf(s, "set arrow %d from %.17g, graph 0 to %.17g, graph 1 nohead dashtype 3 "
                      "linecolor rgb 'gray30'\n", k + 1, x, x);
        str_printf(s, "set label %d '%.0f' at %.17g, graph %.3g offset 0.6,0\n", k + 1, x, x,
                   0.03 + 0.05 * (k % 6));
    }
    for (int k = 0; k < p->ncurves; k++) {
        str_printf(s, "$curve%d << END\n", k);
        for (int m = 0; m < p->curve[k].n; m++)
            str_printf(s, "%.17g %.17g\n", p->curve[k].x[m], p->curve[k].y[m]);
        str_put(s, "END\n");
    }
    put_curves(p, !*file, s);
}

/* Runs gnuplot on the script; false if it is missing or fails. */
static bool
run_gnuplot(const char *script)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old; /* it is gnuplot's: we clean up */
    fflush(stdout);
    sigaction(SIGINT, &ignore, &old);
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGINT, &old, NULL);
        execlp("gnuplot", "gnuplot", script, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    sigaction(SIGINT, &old, NULL);
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
        fprintf(stderr, "attnc: gnuplot was not found (Debian: apt-get install gnuplot-nox)\n");
    else if (status)
        fprintf(stderr, "attnc: gnuplot failed\n");
    return status == 0;
}

/* The script that would have drawn it, for later. */
static void
keep_script(const struct plot *p, const char *file)
{
    struct str s = {0}, name = {0};
    char err[512];
    str_printf(&name, "%s.gp", *file ? file : "attnc-plot");
    put_script(p, file, file, &s);
    if (file_write(str_text(&name), str_text(&s), s.len, err, sizeof err))
        fprintf(stderr, "attnc: the data is in %s: 'gnuplot %s' draws it\n", str_text(&name),
                str_text(&name));
    else
        fprintf(stderr, "attnc: %s\n", err);
    str_free(&s);
    str_free(&name);
}

int
plot_draw(const struct plot *p, const char *file)
{
    char err[512], picture[4096] = "", script[] = "/tmp/attnc-plot-XXXXXX";
    struct str s = {0};
    int fd = mkstemp(script);
    if (fd < 0 || (*file && !file_temporary(file, picture, sizeof picture, err, sizeof err))) {
        fprintf(stderr, "attnc: %s\n", fd < 0 ? "/tmp: no temporary file" : err);
        if (fd >= 0)
            unlink(script);
        return EXIT_ENV;
    }
    close(fd);
    put_script(p, file, picture, &s);
    bool ok = file_write(script, str_text(&s), s.len, err, sizeof err) && run_gnuplot(script);
    if (ok && *file && rename(picture, file)) {
        fprintf(stderr, "attnc: %s: %s\n", file, strerror(errno));
        ok = false;
    }
    if (!ok) {
        if (*picture)
            unlink(picture);
        keep_script(p, file);
    }
    unlink(script);
    str_free(&s);
    return ok ? EXIT_OK : EXIT_ENV;
}
