/* Statuses of the runtime, for C tests; the messages of provoked failures are printed. */
#include <stdio.h>

static int failures;

static void
expect(int got, int want)
{
    if (got != want) {
        printf("status %d (%s), expected %d\n", got, attn_message(), want);
        failures++;
    } else if (want) {
        puts(attn_message());
    }
}
