/* Giving rights up, once and for all: what stands between our code and a program's. */
#ifndef DEEPOJ_SHED_H
#define DEEPOJ_SHED_H

#include "run.h"

/* Becomes the payload's user, without groups, capabilities or a way to new ones, under its seccomp policy and, if
 * `confinement` is no -1, that Landlock ruleset. A slot that sheds for all its runs also enters a user namespace of its
 * own where the launcher wants a process quota. 0, or a negative errno and the step that failed.
 * Where a payload sheds for itself, sharing its parent's memory, it is raw system calls only. */
int shed_rights(const struct launcher *launcher, enum doj_policy policy, int confinement, const char **step);

#endif
