/* The slot's own writing end of a joined run's output; see hold.c. */
#ifndef DEEPOJ_HOLD_H
#define DEEPOJ_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

struct hold {
    int watch;   /* an epoll set: it lists the run's description for as long as a descriptor refers to it */
    int listing; /* what /proc says of that set, kept open */
};

/* Before the slot sheds its rights. Both are -1 where the kernel refuses one. */
void hold_open(struct hold *hold, int host_proc);

/* Returns a second description of the pipe whose writing end is `output`, or -errno, and watches the first. */
int hold_take(const struct hold *hold, int host_proc, int output);

/* Whether the output that was taken last is closed while the process goes on: its end would not explain it. */
bool hold_is_shut(const struct hold *hold, int host_proc, pid_t pid);

#endif
