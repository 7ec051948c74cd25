/* The root that every run sees: read-only system directories and nothing else of the host. */
#ifndef DEEPOJ_ROOTFS_H
#define DEEPOJ_ROOTFS_H

#include <stdbool.h>
#include <sys/types.h>

#include "wire.h"

/* Where runs find their scratch, and their working directory. */
#define SCRATCH_PATH "/w"

/* Where runs find their program, read-only. */
#define PROGRAM_PATH "/p"

/* Where runs find the directory of headers that the node has precompiled, read-only. */
#define HEADERS_PATH "/h"

/* Makes a mount namespace whose root is the box and moves into it. `extra` are host paths shown read-only as well. With
 * `headers` the working directory is shown at HEADERS_PATH: a path to it may be closed to us by now. With `no_pivot` the
 * old root is covered, not removed. */
int rootfs_enter(uid_t uid, gid_t gid, char *const *extra, size_t extra_count, bool headers, bool no_pivot,
                 struct doj_fault *fault);

/* The paths of the host that every box shows, one by one; NULL after the last. */
const char *rootfs_shown(size_t index, bool *device);

/* Puts an empty tmpfs, owned by uid and gid, at SCRATCH_PATH in the place of the one that stands there. */
int rootfs_scratch(uint64_t bytes, unsigned inodes, uid_t uid, gid_t gid);

/* Puts an empty tmpfs at PROGRAM_PATH, read-only. Returns a descriptor of it through which its owner may write. */
int rootfs_store(uid_t uid, gid_t gid);

/* Mounts /proc for the caller's pid namespace, where a process sees its user's alone. Returns a directory descriptor of
 * another view, which shows all; and, if the kernel has it, the file that sets where process numbers go on (or -1). */
int rootfs_proc(gid_t see_all_gid, int *last_pid);

/* Instead of that, where it is refused: an empty directory. */
int rootfs_no_proc(void);

#endif
