/* Command `zoo`: lists the built-in examples, or prints one. */
#include "frontend/driver/zoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/cost.h"

/* The example of this name; or NULL, with the nearest name in *near if one is near. */
static const struct zoo_entry *
find_example(const char *name, const char **near)
{
    const char **names = xmalloc((size_t)zoo_count * sizeof *names);
    const struct zoo_entry *found = NULL;
    for (int k = 0; k < zoo_count; k++) {
        names[k] = zoo_entries[k].name;
        if (!strcmp(name, names[k]))
            found = &zoo_entries[k];
    }
    *near = str_nearest(name, names, (size_t)zoo_count);
    free(names);
    return found;
}

/* Bytes to standard output. */
static int
put_out(const char *text, size_t size)
{
    char err[512];
    if (file_write("-", text, size, err, sizeof err))
        return EXIT_OK;
    fprintf(stderr, "attnc: %s\n", err);
    return EXIT_ENV;
}

/* The title is the first line, without its "# ". */
static int
title_length(const struct zoo_entry *e)
{
    const char *end = memchr(e->text, '\n', e->size);
    return (int)((end ? (size_t)(end - e->text) : e->size) - 2);
}

static int
list_text(void)
{
    struct str s = {0};
    int widest = 0;
    for (int k = 0; k < zoo_count; k++)
        if ((int)strlen(zoo_entries[k].name) > widest)
            widest = (int)strlen(zoo_entries[k].name);
    for (int k = 0; k < zoo_count; k++)
        str_printf(&s, "%-*s  %.*s\n", widest, zoo_entries[k].name,
                   title_length(&zoo_entries[k]), zoo_entries[k].text + 2);
    int rc = put_out(str_text(&s), s.len);
    str_free(&s);
    return rc;
}

static int
list_json(void)
{
    printf("{ \"examples\": [");
    for (int k = 0; k < zoo_count; k++) {
        struct str title = {0};
        str_putn(&title, zoo_entries[k].text + 2, (size_t)title_length(&zoo_entries[k]));
        printf("%s\n    { ", k ? "," : "");
        put_json_field("name", zoo_entries[k].name, ", ");
        put_json_field("title", str_text(&title), " }");
        str_free(&title);
    }
    puts("\n  ] }");
    return EXIT_OK;
}

static int
show(const char *name)
{
    const char *near;
    const struct zoo_entry *e = find_example(name, &near);
    if (e)
        return put_out(e->text, e->size);
    if (near)
        fprintf(stderr, "attnc: unknown example '%s'; did you mean '%s'?\n", name, near);
    else
        fprintf(stderr, "attnc: unknown example '%s'; 'attnc zoo' lists them\n", name);
    return EXIT_DIAG;
}

int
command_zoo(const struct options *o)
{
    const char *near;
    if (o->ninputs == 0)
        return o->json ? list_json() : list_text();
    if (strcmp(o->inputs[0], "show")) {
        const struct zoo_entry *e = find_example(o->inputs[0], &near);
        return usage_error("'zoo' lists the examples, 'zoo show NAME' prints one, found '%s'%s%s%s",
                           o->inputs[0], e ? "; did you mean 'zoo show " : "",
                           e ? e->name : "", e ? "'?" : "");
    }
    if (o->ninputs == 1)
        return usage_error("'zoo show' needs the name of an example; 'attnc zoo' lists them");
    if (o->ninputs > 2)
        return usage_error("one example at a time, found '%s' and '%s'", o->inputs[1],
                           o->inputs[2]);
    if (o->json)
        return usage_error("--json goes with the list: 'zoo show' prints the program as it is");
    return show(o->inputs[1]);
}
