/* The scratch of one run: a tmpfs that the slot fills before and reads after, by descriptor, never by path. */
#ifndef DEEPOJ_SCRATCH_H
#define DEEPOJ_SCRATCH_H

#include "run.h"
#include "wire.h"

/* Makes the tmpfs and copies the files in; sources[i] belongs to request->files_in[i]. Returns the detached mount. */
int scratch_create(const struct launcher *launcher, const struct doj_request *request, const int *sources);

/* Copies one file out. What the program left under the name may be unfit (absent, no regular file, over its limit):
 * then *copied is false. An error is ours: the target could not be written. */
int scratch_copy_out(int scratch, const struct doj_file_out *file, int target, bool *copied);

/* Copies a regular file into a sealed memfd, which nobody can write whatever their uid; duplicates anything else. */
int scratch_sealed_copy(int source);

#endif
