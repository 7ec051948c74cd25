/* Files of a run at `weak` that have no name any more, and their use of the host's disk. */
#ifndef DEEPOJ_UNLINKED_H
#define DEEPOJ_UNLINKED_H

#include <sys/stat.h>

#include "launcher.h"
#include "sampler.h"

struct unlinked_run {
    const struct launcher *launcher;
    const struct sampler *sampler; /* knows the run's processes */
    const char *home;              /* the slot's directory, below which all files of the run were made */
    const struct stat *input;      /* the run's standard input, which is ours and may have no name */
};

/* Subtracts the size of all these files from `bytes`. Returns false when they do not fit or are inaccessible. */
bool unlinked_fit(const struct unlinked_run *run, uint64_t *bytes);

#endif
