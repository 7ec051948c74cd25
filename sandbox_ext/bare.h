/* The cell of a slot without namespaces: a directory, a process group and a guard. cell.c's functions call these to
 * keep what cell.h promises. */
#ifndef DEEPOJ_BARE_H
#define DEEPOJ_BARE_H

#include "cell.h"

void bare_open(struct cell *cell, unsigned number);

/* Returns whether no process of a run is left. Reaps and counts ended ones. The payload must be reaped before. */
bool bare_is_empty(struct cell *cell);

/* During a run: reaps orphans that have ended, but not the payload, so that dead processes do not use up the limit. */
void bare_reap(struct cell *cell, pid_t payload);

/* Kills all processes, the guard too. The cell is spent. */
void bare_kill(struct cell *cell);

/* Kills as bare_kill does, waits until all processes are gone, and removes their files. A payload must be reaped
 * before. */
void bare_end(struct cell *cell);

int bare_ready_scratch(struct cell *cell, uint64_t bytes);
void bare_rest(struct cell *cell);

/* Returns whether the scratch is within the bytes and inodes of the run. Counts removed files that are still held, too.
 * `sampler`: the run's, which has just taken a sample. */
bool bare_is_within(struct cell *cell, const struct sampler *sampler, uint64_t now_us);

/* A request's arguments and environment, with real paths. */
struct bare_words {
    const char *argv[DOJ_MAX_ARGS + 1];
    const char *env[DOJ_MAX_ENV + 1];
    char text[DOJ_MAX_MESSAGE + (DOJ_MAX_ARGS + DOJ_MAX_ENV) * CELL_PATH_BYTES];
    size_t used;
};

/* Copies the words of a request, with SCRATCH_PATH and PROGRAM_PATH at the beginning of an argument, or of a variable's
 * value, replaced by the real paths. They are valid until the next call. Returns 0, or -E2BIG when they do not fit. */
int bare_place(const struct cell *cell, const struct doj_request *request, struct bare_words *words);

/* Returns -EPERM where we may not end a process of this uid. */
int bare_try_to_kill(uid_t uid);

/* Returns whether we lack the right to look into processes of another user, or to choose their cores. */
bool bare_is_blind(void);

/* Where root is blind: takes the payload's user, who may do both to the payload's processes. Until bare_become_root
 * we have no capability. Elsewhere both functions do nothing. */
void bare_become_payload(const struct launcher *launcher);
void bare_become_root(const struct launcher *launcher);

/* Makes the directory that contains the slots' directories. Removes those that dead launchers left. Returns a
 * descriptor that must be kept: its lock marks the directory as in use. */
int bare_home(char *path, size_t size);

/* Removes the directory and all below it. */
void bare_remove_home(const char *path);

#endif
