/* Parsers of the kernel's texts in /proc and in cgroups: pure functions over the text. A program chooses parts of it
 * (names, for example), so fuzzers test these; see README.md. */
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
    uint64_t children_ticks; /* of children that it has waited for */
    uint64_t pages;          /* resident */
    uint64_t virtual_bytes;
    unsigned threads;
};

/* /proc/<pid>/stat, or a thread's. Returns false when the text is no such line. */
bool proctext_stat(const char *text, struct proctext_stat *stat);

/* The same text: returns whether the process has begun to exit. */
bool proctext_is_exiting(const char *text);

/* A task's schedstat. */
struct proctext_schedstat {
    uint64_t ran_us;
    uint64_t waited_us; /* for a core */
    uint64_t turns;     /* how often it was given a core */
};

bool proctext_schedstat(const char *text, struct proctext_schedstat *stat);

/* Returns the number in the first line that begins with the key and a blank; 0 when there is none. */
uint64_t proctext_number(const char *text, const char *key);

/* The same for the last number of a line of several. */
uint64_t proctext_last_number(const char *text, const char *key);

/* The same for a line like "VmPTE: 40 kB", in bytes. */
uint64_t proctext_bytes(const char *text, const char *key);

/* Returns whether the list, separated by blanks, contains the word. */
bool proctext_has_word(const char *list, const char *word);

/* /proc/<pid>/cgroup: the path in the v2 hierarchy. Returns false when there is none or it does not fit. */
bool proctext_group(const char *text, char *path, size_t size);

/* One line of /proc/<pid>/mountinfo: the mount point of the v2 hierarchy, and which part of it is mounted. Returns
 * false for another file system, or when one does not fit: both buffers have `size` bytes. */
bool proctext_group_mount(const char *line, char *point, char *root, size_t size);

/* /proc/<pid>/maps: whether the address is in private memory of no file. Returns false when it is not listed. */
bool proctext_is_private(const char *text, uint64_t address);

#endif
