/* The kernel's texts in /proc and in cgroups: pure functions over what was read. A program chooses some of it (names, for
 * one), so a fuzzer feeds these; see README.md. */
#ifndef DEEPOJ_PROCTEXT_H
#define DEEPOJ_PROCTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proctext_stat {
    char state;
    pid_t parent;
    uint64_t own_ticks;
    uint64_t children_ticks; /* of those that it has waited for */
    uint64_t pages;          /* resident */
    uint64_t virtual_bytes;
    unsigned threads;
};

/* /proc/<pid>/stat, or a thread's. False when the text is no such line. */
bool proctext_stat(const char *text, struct proctext_stat *stat);

/* The same: whether it has begun to end. */
bool proctext_is_exiting(const char *text);

/* A task's schedstat. False when the text is no such line. */
struct proctext_schedstat {
    uint64_t ran_us;
    uint64_t waited_us; /* for a core */
    uint64_t turns;     /* how often it was given one */
};

bool proctext_schedstat(const char *text, struct proctext_schedstat *stat);

/* The number in the first line that begins with the key and a blank; 0 when there is none. */
uint64_t proctext_number(const char *text, const char *key);

/* The same of a line like "VmPTE:   40 kB", in bytes. */
uint64_t proctext_bytes(const char *text, const char *key);

/* Whether the word stands in a list with a blank between any two. */
bool proctext_has_word(const char *list, const char *word);

/* /proc/<pid>/cgroup: the path in the v2 hierarchy. False when there is none, or no room for it. */
bool proctext_group(const char *text, char *path, size_t size);

/* One line of /proc/<pid>/mountinfo: where the v2 hierarchy is mounted, and which part of it. False when it is of another
 * file system, or there is no room: both get `size` bytes. */
bool proctext_group_mount(const char *line, char *point, char *root, size_t size);

/* /proc/<pid>/maps: whether the address stands in memory of no file that is not shared. False when it is not listed. */
bool proctext_is_private(const char *text, uint64_t address);

#endif
