/* Landlock: the confinement of a run that has no root of its own. */
#ifndef DEEPOJ_LANDLOCK_H
#define DEEPOJ_LANDLOCK_H

#include "launcher.h"

/* Makes a ruleset. A process under it reaches only what every box shows, the launcher's extra paths, `store` (to read)
 * and `scratch` (directory descriptors both). It sends signals and uses abstract sockets only within its own
 * confinement. Returns the ruleset's descriptor; -EOPNOTSUPP when the kernel lacks one of these (before Linux 6.12). */
int landlock_make(const struct launcher *launcher, enum doj_policy policy, int store, int scratch);

/* Puts the calling thread under the ruleset, for good. Needs no_new_privs. Makes raw system calls only. */
int landlock_confine(int ruleset);

#endif
