/* Gives up rights for good, between our code and a program's. */
#ifndef DEEPOJ_SHED_H
#define DEEPOJ_SHED_H

#include "launcher.h"

/* Becomes the payload's user, without groups, capabilities or a way to new ones, under its seccomp policy and, if
 * `confinement` is not -1, that Landlock ruleset. A slot that sheds for all its runs also enters a user namespace of
 * its own where the launcher wants a process quota. Returns 0, or a negative errno and the step that failed. Makes raw
 * system calls only where a payload sheds for itself, since it shares its parent's memory. */
int shed_rights(const struct launcher *launcher, enum doj_policy policy, int confinement, const char **step);

#endif
