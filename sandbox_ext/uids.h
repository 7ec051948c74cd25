/* The uids of a launcher's slots; see uids.c. */
#ifndef DEEPOJ_UIDS_H
#define DEEPOJ_UIDS_H

#include "launcher.h"

/* Locks `count` uids for this launcher alone: those below `*uid`. If other launchers of this host or any processes have
 * some of these, `*uid` is set to a lower one, since limits by user must not be shared. Only for root. `proc`: the
 * host's /proc. Returns a descriptor that must be kept, since it holds the lock. */
int uids_take(int proc, uid_t *uid, unsigned count);

/* Counts the tasks of the payload's user on the host. */
unsigned uids_count_tasks(const struct launcher *launcher);

#endif
