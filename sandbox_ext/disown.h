/* Notices a process that may lose its children's CPU time. */
#ifndef DEEPOJ_DISOWN_H
#define DEEPOJ_DISOWN_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on a descendant of ours that sets the action of SIGCHLD is suspended until we answer. Returns the descriptor
 * for these notifications, or -errno. Must be called before a filter refuses it. */
int disown_watch(void);

/* Answers one suspended process; its call continues. Returns whether it may have arranged that the kernel reaps its
 * children: true unless a `look` shows otherwise. A look is expensive. `proc` is a /proc that shows the process.
 * `parent` and `init` are our processes that it may be a child of. */
bool disown_hear(int listener, bool look, int proc, pid_t parent, pid_t init);

#endif
