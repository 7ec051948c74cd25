/* Translates the paths of a box in a request's words to the real ones: at `weak` nothing can be mounted, so /p/main and
 * paths in /w do not exist. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bare.h"
#include "rootfs.h"

/* Returns whether the word is the path or lies below it. */
static bool begins(const char *word, const char *path) {
    size_t length = strlen(path);

    return strncmp(word, path, length) == 0 && (word[length] == '/' || word[length] == 0);
}

/* Returns the word with the path after its first `prefix` bytes replaced by the real one. Returns NULL when the buffer
 * is full, and the word itself when it has no path to replace. */
static const char *place(const struct cell *cell, struct bare_words *words, const char *word, size_t prefix) {
    const char *path = word + prefix;
    char *copy = words->text + words->used;
    size_t room = sizeof words->text - words->used;
    int length;

    if (!begins(path, SCRATCH_PATH) && !begins(path, PROGRAM_PATH))
        return word;
    /* the last part of the real path is the same as the path in a box: /w or /p */
    length = snprintf(copy, room, "%.*s%s%s", (int)prefix, word, cell->bare.path, path);
    if (length < 0 || (size_t)length >= room)
        return NULL;
    words->used += (size_t)length + 1;
    return copy;
}

int bare_place(const struct cell *cell, const struct doj_request *request, struct bare_words *words) {
    words->used = 0;
    for (uint32_t i = 0; i < request->argc; i++)
        if ((words->argv[i] = place(cell, words, request->argv[i], 0)) == NULL)
            return -E2BIG;
    words->argv[request->argc] = NULL;
    for (uint32_t i = 0; i < request->envc; i++) {
        const char *equals = strchr(request->env[i], '=');
        size_t prefix = equals == NULL ? 0 : (size_t)(equals - request->env[i]) + 1;

        if ((words->env[i] = place(cell, words, request->env[i], prefix)) == NULL)
            return -E2BIG;
    }
    words->env[request->envc] = NULL;
    return 0;
}
