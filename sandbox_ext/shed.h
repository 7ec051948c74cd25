/* Giving rights up, once and for all: what stands between our code and a program's. */
#ifndef DEEPOJ_SHED_H
#define DEEPOJ_SHED_H

#include "run.h"

/* Becomes the payload's user, without groups, capabilities or a way to new ones, under its seccomp policy. Where the
 * launcher wants a process quota, in a user namespace of its own. 0, or a negative errno and the step that failed.
 * Makes raw system calls only: it may be called by a child that shares its parent's memory. */
int shed_rights(const struct launcher *launcher, enum doj_policy policy, const char **step);

#endif
