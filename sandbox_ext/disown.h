/* Notices a process that may lose its children's CPU time. */
#ifndef DEEPOJ_DISOWN_H
#define DEEPOJ_DISOWN_H

#include "watch.h"

/* Returns whether the caller of rt_sigaction(SIGCHLD, action) may have arranged that the kernel reaps its children. An
 * expensive look. `proc` is a /proc that shows the process. `parent` and `init` are our processes that it may be a
 * child of. */
bool disown_is_possible(const struct watched_call *call, int proc, pid_t parent, pid_t init);

#endif
