/* The slot's own writing end of a joined run's output; see hold.c. */
#ifndef DEEPOJ_HOLD_H
#define DEEPOJ_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

struct hold {
    int watch;   /* an epoll set: it lists the run's file description for as long as a descriptor refers to it */
    int listing; /* the set's fdinfo in /proc, kept open */
};

/* Must be called before the slot sheds its rights. Both fields are -1 where the kernel refuses one. */
void hold_open(struct hold *hold, int host_proc);

/* Opens a second file description of the pipe whose writing end is `output`, and watches the first. Returns a
 * descriptor of it, or -errno. */
int hold_take(const struct hold *hold, int host_proc, int output);

/* Returns whether the last output taken is closed while its process goes on, so that the process's end does not explain
 * it. */
bool hold_is_shut(const struct hold *hold, int host_proc, pid_t pid);

#endif
