/* Theory of operation
 *
 * A ruleset denies every access that it handles, except for the rules in it. We handle all file accesses of Landlock
 * version 6 (the oldest that we use), TCP, and both scopes. No known version handles these: the existence of paths is
 * visible, the working directory can be anywhere, and readable files can be locked. The other gaps of Landlock are
 * closed by policy.txt.
 *
 * A run can create, rename and remove files and directories in its scratch. A removed file is measured while it is held
 * open: unlinked.c. A compiler may also create symbolic links. The program's directory is read-only, because all tests
 * of a submission share it. Files cannot be linked or moved between the two directories: only the scratch has REFER. */
#define _GNU_SOURCE
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rootfs.h"
#include "sys.h"

#define VERSION 6 /* scopes */

#define ON_FILES                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |                       \
     LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)
#define LOOK (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define DEVICE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define MAKE                                                                                                           \
    (LOOK | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG |                \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                    \
     LANDLOCK_ACCESS_FS_REFER)
#define COMPILE (MAKE | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define ALL                                                                                                            \
    (COMPILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |             \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_IOCTL_DEV)

static int allow(int ruleset, int fd, uint64_t access) {
    struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = access};
    struct stat status;

    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        rule.allowed_access &= ON_FILES;
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) != 0 ? -errno : 0;
}

static int allow_path(int ruleset, const char *path, uint64_t access) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    int error;

    if (fd < 0)
        return -errno;
    error = allow(ruleset, fd, access);
    close(fd);
    return error;
}

static int allow_all(int ruleset, const struct launcher *launcher, enum doj_policy policy, int store, int scratch) {
    const char *path;
    bool device;
    int error = allow(ruleset, store, LOOK);

    if (error == 0)
        error = allow(ruleset, scratch, policy == DOJ_POLICY_COMPILE ? COMPILE : MAKE);
    for (size_t i = 0; error == 0 && (path = rootfs_shown(i, &device)) != NULL; i++) {
        error = allow_path(ruleset, path, device ? DEVICE : LOOK);
        if (error == -ENOENT) /* the host does not have it; a box does not show it either */
            error = 0;
    }
    for (size_t i = 0; error == 0 && i < launcher->shown_count; i++)
        error = allow_path(ruleset, launcher->shown[i], LOOK);
    return error;
}

int landlock_make(const struct launcher *launcher, enum doj_policy policy, int store, int scratch) {
    const struct landlock_ruleset_attr attr = {
        .handled_access_fs = ALL,
        .handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP,
        .scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL};
    int ruleset;
    int error;

    if (syscall(SYS_landlock_create_ruleset, NULL, 0UL, LANDLOCK_CREATE_RULESET_VERSION) < VERSION)
        return -EOPNOTSUPP;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0U);
    if (ruleset < 0)
        return -errno;
    error = allow_all(ruleset, launcher, policy, store, scratch);
    if (error != 0) {
        close(ruleset);
        return error;
    }
    return ruleset;
}

int landlock_confine(int ruleset) { return syscall(SYS_landlock_restrict_self, ruleset, 0U) != 0 ? -errno : 0; }
