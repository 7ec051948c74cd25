/* Functions that the bare*.c files share. */
#ifndef DEEPOJ_BARE_INTERNAL_H
#define DEEPOJ_BARE_INTERNAL_H

#include "cell.h"

/* Starts the guard, the leader of the process group that payloads join. */
int bare_start_guard(struct cell *cell);

/* Makes an empty directory in the slot's; removes an older one of this name. `payloads`: it belongs to the payload's
 * user. Returns its descriptor, or a negative errno. */
int bare_make_directory(const struct cell *cell, const char *name, mode_t mode, bool payloads);

/* Makes a new scratch, and a ruleset that allows it. */
int bare_furnish(struct cell *cell);

/* Returns whether no run has changed the scratch since it was made or last looked at. */
bool bare_is_untouched(const struct cell *cell);

/* Counts the tasks of our user, for a limit on all of them together. */
unsigned bare_user_tasks(const struct launcher *launcher);

#endif
