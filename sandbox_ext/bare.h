/* The cell of a slot where no namespaces are to be had: a directory, a process group and a guard. What cell.h promises
 * is kept by cell.c's functions calling these. */
#ifndef DEEPOJ_BARE_H
#define DEEPOJ_BARE_H

#include "cell.h"

void bare_open(struct cell *cell, unsigned number);

/* Whether no process of a run is left; what has ended is reaped and counted. The payload must be reaped before. */
bool bare_is_empty(struct cell *cell);

/* During a run: reaps what was orphaned and has ended, but not the payload, so that no crowd of the dead stands in the
 * way of the living. */
void bare_reap(struct cell *cell, pid_t payload);

/* Kills everybody, the guard among them: the cell is spent. */
void bare_kill(struct cell *cell);

/* The same, waits until all are gone, and removes their files. A payload must be reaped before. */
void bare_end(struct cell *cell);

int bare_ready_scratch(struct cell *cell, uint64_t bytes);
void bare_rest(struct cell *cell);

/* Whether what stands in the scratch, and what was removed there and is still held, is within the bytes and inodes of the
 * run. `sampler`: the run's, which has just taken a sample. */
bool bare_is_within(struct cell *cell, const struct sampler *sampler, uint64_t now_us);

/* The request's words with SCRATCH_PATH and PROGRAM_PATH at their beginning (of a value, in the environment) replaced by
 * where these really are. Valid until the next call. */
struct bare_words {
    const char *argv[DOJ_MAX_ARGS + 1];
    const char *env[DOJ_MAX_ENV + 1];
    char text[DOJ_MAX_MESSAGE + (DOJ_MAX_ARGS + DOJ_MAX_ENV) * CELL_PATH_BYTES];
    size_t used;
};

int bare_place(const struct cell *cell, const struct doj_request *request, struct bare_words *words);

/* Takes `count` uids for this launcher alone, the ones below `*uid`, or below what it is set to if others of this host have
 * those: limits by user must not be shared. Only for root. Returns a descriptor that must be kept, for it has the lock. */
int bare_take_uids(uid_t *uid, unsigned count);
/* -EPERM where we may not end a process of this uid. */
int bare_try_to_kill(uid_t uid);

/* Makes the directory in which slots make theirs, and removes those that dead launchers left. Returns a descriptor that
 * must be kept: its lock is what says that the directory is in use. */
int bare_home(char *path, size_t size);

/* Removes the directory and all below it. */
void bare_remove_home(const char *path);

#endif
