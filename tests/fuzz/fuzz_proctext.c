/* Feeds proctext.c: every reader gets the same text. What they return is used as their callers do. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proctext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void feed_paths(const char *text) {
    static const size_t rooms[] = {1, 2, 16, 1024};

    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        char *first = malloc(rooms[i]);
        char *second = malloc(rooms[i]);

        must(first != NULL && second != NULL);
        if (proctext_group(text, first, rooms[i]))
            must(strlen(first) < rooms[i] && strchr(first, '\n') == NULL);
        if (proctext_group_mount(text, first, second, rooms[i]))
            must(strlen(first) < rooms[i] && strlen(second) < rooms[i]);
        free(first);
        free(second);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"VmPTE:", "Pss:", "oom_kill", "usage_usec", "sockets: used", "NSpid:"};
    struct proctext_stat stat;
    struct proctext_schedstat waits;
    char *text = malloc(size + 1);

    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    if (proctext_stat(text, &stat))
        must(strchr(text, ')') != NULL && stat.state != 0 && stat.state != ' ');
    if (proctext_schedstat(text, &waits))
        must(waits.ran_us <= UINT64_MAX / 1000U && waits.waited_us <= UINT64_MAX / 1000U);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        (void)proctext_bytes(text, keys[i]);
        (void)proctext_last_number(text, keys[i]);
    }
    must(!proctext_is_exiting(text) || strchr(text, ')') != NULL);
    must(!proctext_is_private(text, size) || strstr(text, "p ") != NULL);
    must(!proctext_has_word(text, "memory") || strstr(text, "memory") != NULL);
    feed_paths(text);
    free(text);
    return 0;
}
