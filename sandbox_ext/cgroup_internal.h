/* Functions that cgroup.c, cgroup_base.c and cgroup_run.c share. */
#ifndef DEEPOJ_CGROUP_INTERNAL_H
#define DEEPOJ_CGROUP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Opens B, the cgroup that the node was started in. Returns its directory, or -1 with a sentence in `why`. */
int cgroup_open_base(char *why, size_t size);

/* Opens B as cgroup_open_base does, but only if it has the controllers that limits need. */
int cgroup_find_base(char *why, size_t size);

/* Moves the node and its descendants from B into the leaf. Returns -EBUSY when B contains other processes. */
int cgroup_move_to_leaf(int base);

/* Hands the controllers of a group on to the groups below it. */
int cgroup_enable_controllers(int base, bool io);

/* Removes a group without processes. Waits for processes that are still exiting. */
int cgroup_remove_group(int parent, const char *name);

#endif
