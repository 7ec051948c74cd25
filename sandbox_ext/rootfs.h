/* The root that every run sees: read-only system directories and nothing else of the host. */
#ifndef DEEPOJ_ROOTFS_H
#define DEEPOJ_ROOTFS_H

#include <stdbool.h>
#include <sys/types.h>

#include "wire.h"

/* The scratch of a run, and its working directory. */
#define SCRATCH_PATH "/w"

/* The program of a run, read-only. */
#define PROGRAM_PATH "/p"

/* The directory of headers that the node has precompiled, read-only. */
#define HEADERS_PATH "/h"

/* Makes a mount namespace whose root is the box and moves into it. `extra` are host paths that are shown read-only as
 * well. With `headers` the working directory is shown at HEADERS_PATH: a path to it may be inaccessible to us by now.
 * With `no_pivot` the old root is covered, not removed. `uid` and the `more` uids below it have a name in the box. */
int rootfs_enter(uid_t uid, unsigned more, gid_t gid, char *const *extra, size_t extra_count, bool headers,
                 bool no_pivot, struct doj_fault *fault);

/* Returns the host path with this index that every box shows; NULL after the last. */
const char *rootfs_shown(size_t index, bool *device);

/* Mounts an empty tmpfs, owned by uid and gid, at SCRATCH_PATH in place of the current one. */
int rootfs_scratch(uint64_t bytes, unsigned inodes, uid_t uid, gid_t gid);

/* Mounts an empty tmpfs at PROGRAM_PATH, read-only. Returns a descriptor of it through which its owner may write. */
int rootfs_store(uid_t uid, gid_t gid);

/* Mounts /proc for the caller's pid namespace, where a process sees only processes of its own user. Returns a directory
 * descriptor of another view, which shows all. *last_pid is the file that sets the last process number, or -1 if the
 * kernel has none. */
int rootfs_proc(gid_t see_all_gid, int *last_pid);

/* Mounts an empty directory instead, where /proc is refused. */
int rootfs_no_proc(void);

#endif
