/* The root that every run sees: read-only system directories and nothing else of the host. */
#ifndef DEEPOJ_ROOTFS_H
#define DEEPOJ_ROOTFS_H

#include <sys/types.h>

#include "wire.h"

/* Where runs find their scratch, and their working directory. */
#define SCRATCH_PATH "/w"

/* Makes a mount namespace whose root is the box and moves into it. `extra` are host paths shown read-only as well. */
int rootfs_enter(uid_t uid, gid_t gid, char *const *extra, size_t extra_count, struct doj_fault *fault);

/* A detached tmpfs for one run, owned by uid and gid. Returns its descriptor. */
int rootfs_scratch(uint64_t bytes, unsigned inodes, uid_t uid, gid_t gid);

/* Mounts a fresh /proc for the caller's pid namespace. Returns a directory descriptor of it. */
int rootfs_proc(gid_t see_all_gid);

#endif
