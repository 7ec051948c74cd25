/* Functions that the bare*.c files share. */
#ifndef DEEPOJ_BARE_INTERNAL_H
#define DEEPOJ_BARE_INTERNAL_H

#include "cell.h"

/* Starts the guard, the leader of the process group that payloads join. */
int bare_start_guard(struct cell *cell);

/* Makes an empty directory in the slot's directory. Removes an older one of this name. `payloads`: the payload's user
 * owns it. Returns its descriptor, or a negative errno. */
int bare_make_directory(const struct cell *cell, const char *name, mode_t mode, bool payloads);

/* Replaces the scratch by a new one, in which no earlier run has left a trace, and makes a ruleset that allows it.
 * Returns 0, or a negative errno. */
int bare_furnish(struct cell *cell);

/* Returns whether no run has changed the scratch since it was made or last looked at. */
bool bare_is_untouched(const struct cell *cell);

#endif
