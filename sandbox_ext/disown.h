/* Notices a process that may lose its children's CPU time. */
#ifndef DEEPOJ_DISOWN_H
#define DEEPOJ_DISOWN_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on our descendants wait for us whenever they set the action of SIGCHLD. Returns the descriptor at which they
 * are heard, or -errno. To be called before a filter refuses it. */
int disown_watch(void);

/* Answers one process that waits; its call goes on. Whether it may have arranged that the kernel reaps its children: true
 * unless a `look` shows that it has not. A look is dear. `proc` is a /proc that shows it, `parent` and `init` are the processes of ours that it may be a child of. */
bool disown_hear(int listener, bool look, int proc, pid_t parent, pid_t init);

#endif
