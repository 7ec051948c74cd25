/* The files of a run: put in place before and taken away after, by descriptor, never by path. */
#ifndef DEEPOJ_SCRATCH_H
#define DEEPOJ_SCRATCH_H

#include "cell.h"

/* What a run may make of files and directories. */
#define SCRATCH_INODES (16384U + DOJ_MAX_FILES)

/* What stands in the store, and of which file of the host it is a copy. */
struct store {
    uint32_t count;
    struct store_entry {
        char name[256];
        uint32_t flags;
        struct stat source;
    } entries[DOJ_MAX_FILES];
};

/* Readies scratch and store for a run: the files of the last run's program are left where they are if this run brings
 * the same. sources[i] belongs to request->files_in[i]. */
int scratch_fill(struct cell *cell, struct store *store, const struct doj_request *request, const int *sources);

/* Copies one file out. What the program left under the name may be unfit (absent, no regular file, over its limit):
 * then *copied is false. An error is ours: the file could not be opened for want of something, or the target not be
 * written. */
int scratch_copy_out(int scratch, const struct doj_file_out *file, int target, bool *copied);

/* The input, such that the payload cannot write to it whatever its uid. Returns a descriptor. */
int scratch_input(const struct cell *cell, int source);

#endif
