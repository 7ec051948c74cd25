/* See proctext.h. No allocation, no system call. */
#define _GNU_SOURCE
#include "proctext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXITING 0x4UL /* PF_EXITING: in Linux since 2.6.4 */

bool proctext_stat(const char *text, struct proctext_stat *stat) {
    /* fields 3 and 4: state and parent; 14 to 17: CPU times; 20: threads; 23 and 24: virtual bytes and resident pages:
     * proc_pid_stat(5) */
    static const char format[] = " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
                                 " %llu %llu %llu %llu %*d %*d %ld %*d %*u %llu %ld";
    /* the name may contain any byte, ')' included: the last one ends it */
    const char *at = strrchr(text, ')');
    unsigned long long own[2];
    unsigned long long children[2];
    unsigned long long virtual_bytes;
    long threads;
    long pages;
    int parent;

    if (at == NULL || sscanf(at + 1, format, &stat->state, &parent, &own[0], &own[1], &children[0], &children[1],
                             &threads, &virtual_bytes, &pages) != 9)
        return false;
    stat->parent = parent;
    stat->own_ticks = own[0] + own[1];
    stat->children_ticks = children[0] + children[1];
    stat->pages = pages > 0 ? (uint64_t)pages : 0;
    stat->virtual_bytes = virtual_bytes;
    stat->threads = threads > 0 ? (unsigned)threads : 0;
    return true;
}

bool proctext_is_exiting(const char *text) {
    const char *at = strrchr(text, ')');
    unsigned long flags; /* field 9 */

    return at != NULL && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 && (flags & EXITING) != 0;
}

bool proctext_schedstat(const char *text, struct proctext_schedstat *stat) {
    unsigned long long ran_ns;
    unsigned long long waited_ns;
    unsigned long long turns;

    if (sscanf(text, "%llu %llu %llu", &ran_ns, &waited_ns, &turns) != 3)
        return false;
    *stat = (struct proctext_schedstat){ran_ns / 1000U, waited_ns / 1000U, turns};
    return true;
}

/* Returns what follows the key in the first line that begins with it and a blank, or NULL. */
static const char *value_of(const char *text, const char *key) {
    size_t length = strlen(key);

    for (const char *at = strstr(text, key); at != NULL; at = strstr(at + 1, key))
        if ((at == text || at[-1] == '\n') && (at[length] == ' ' || at[length] == '\t'))
            return at + length;
    return NULL;
}

uint64_t proctext_number(const char *text, const char *key) {
    const char *value = value_of(text, key);

    return value == NULL ? 0 : strtoull(value, NULL, 10);
}

uint64_t proctext_last_number(const char *text, const char *key) {
    const char *value = value_of(text, key);
    const char *last = value;

    for (; value != NULL && *value != 0 && *value != '\n'; value++)
        if (*value == ' ' || *value == '\t')
            last = value;
    return last == NULL ? 0 : strtoull(last, NULL, 10);
}

uint64_t proctext_bytes(const char *text, const char *key) { return proctext_number(text, key) * 1024U; }

bool proctext_has_word(const char *list, const char *word) {
    size_t length = strlen(word);

    for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word))
        if ((at == list || at[-1] == ' ') && (at[length] == 0 || at[length] == ' ' || at[length] == '\n'))
            return true;
    return false;
}

bool proctext_group(const char *text, char *path, size_t size) {
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    size_t length;

    if (line == NULL)
        return false;
    line = strstr(line, "0::") + 3;
    length = strcspn(line, "\n");
    if (length >= size)
        return false;
    memcpy(path, line, length);
    path[length] = 0;
    return true;
}

static bool is_octal(char digit) { return digit >= '0' && digit <= '7'; }

/* Copies the next field, decoding blanks and backslashes from three octal digits. Returns the rest, or NULL. */
static const char *take_field(const char *at, char *out, size_t size) {
    size_t used = 0;

    while (*at != 0 && *at != ' ' && used + 1 < size) {
        if (at[0] == '\\' && is_octal(at[1]) && is_octal(at[2]) && is_octal(at[3])) {
            out[used++] = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 4;
        } else {
            out[used++] = *at++;
        }
    }
    out[used] = 0;
    return *at == ' ' && used > 0 ? at + 1 : NULL;
}

bool proctext_group_mount(const char *line, char *point, char *root, size_t size) {
    const char *at = line;

    if (strstr(line, " - cgroup2 ") == NULL)
        return false;
    for (int field = 0; field < 3; field++) { /* the mount's number, its parent's, the device */
        at = strchr(at, ' ');
        if (at == NULL)
            return false;
        at++;
    }
    at = take_field(at, root, size);
    return at != NULL && take_field(at, point, size) != NULL;
}

bool proctext_is_private(const char *text, uint64_t address) {
    for (const char *line = text; line != NULL && *line != 0;) {
        unsigned long long first;
        unsigned long long end;
        unsigned long long inode;
        char modes[5];

        if (sscanf(line, "%llx-%llx %4s %*x %*x:%*x %llu", &first, &end, modes, &inode) != 4)
            return false;
        if (address >= first && address < end)
            return modes[3] == 'p' && inode == 0;
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return false;
}
