/* The files of a run: created before it and removed after it, by descriptor, never by path. */
#ifndef DEEPOJ_SCRATCH_H
#define DEEPOJ_SCRATCH_H

#include "cell.h"

/* Maximum number of files and directories of a run. */
#define SCRATCH_INODES (16384U + DOJ_MAX_FILES_IN)

/* The files in the store, each with the host file that it is a copy of. */
struct store {
    uint32_t count;
    struct store_entry {
        char name[256];
        uint32_t flags;
        struct stat source;
    } entries[DOJ_MAX_FILES_IN];
};

/* Prepares scratch and store for a run. The files of the last run's program stay if this run brings the same.
 * sources[i] belongs to request->files_in[i]. */
int scratch_fill(struct cell *cell, struct store *store, const struct doj_request *request, const int *sources);

/* Copies one file out. *copied is false if the program left no usable file under the name: none, no regular file, or
 * one over its limit. An error is ours: too few resources to open the file, or the target cannot be written. */
int scratch_copy_out(int scratch, const struct doj_file_out *file, int target, bool *copied);

/* Opens the input so that the payload cannot write to it under any uid. Returns a descriptor. */
int scratch_input(const struct cell *cell, int source);

#endif
