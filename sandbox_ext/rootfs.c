/* Theory of operation
 *
 * The launcher builds the box's root once, in a mount namespace of its own, and pivots into it. The host's root is then
 * gone from this process and from all that it starts (or covered, with --no-pivot). A cell gets a copy of that
 * namespace and mounts its own /w, /p and /proc in it.
 *
 *     /usr /bin /lib …   the host's, read-only, nosuid, nodev (or the same symlinks, where the host has symlinks)
 *     /etc               a tmpfs: ld.so.cache, localtime, alternatives; a passwd and group that name root and box
 *     /dev               four harmless devices, and links. Not zero: mapped shared, it is memory that no figure shows.
 *                        Read-only, which does not prevent writing to a device, but setting its times
 *     /proc              the host's, kept because a kernel lets an unprivileged user mount a fresh /proc only where a
 *                        full one is visible; each cell mounts its own over it, or fails to start
 *     /h                 headers that the node has precompiled, if it does
 *     /tmp, /dev/shm     links to /w, so that all files of a run are in one tmpfs, within one budget
 *
 * The root itself is a small tmpfs, made read-only at the end. */
#define _GNU_SOURCE
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys.h"

#define MAX_PARTS 96U
/* tells directories apart, for one may be mounted below itself */
#define IDENTITY (STATX_INO | STATX_MNT_ID)

enum flavour { SYSTEM, DEVICE, PROC };

static const struct {
    const char *path;
    enum flavour flavour;
    bool required;
} parts[] = {
    {"/usr", SYSTEM, true},
    {"/bin", SYSTEM, true},
    {"/lib", SYSTEM, false},
    {"/lib64", SYSTEM, false},
    {"/lib32", SYSTEM, false},
    {"/libx32", SYSTEM, false},
    {"/sbin", SYSTEM, false},
    {"/etc/alternatives", SYSTEM, false},
    {"/etc/ld.so.cache", SYSTEM, false},
    {"/etc/localtime", SYSTEM, false},
    {"/dev/null", DEVICE, true},
    {"/dev/full", DEVICE, false},
    {"/dev/random", DEVICE, true},
    {"/dev/urandom", DEVICE, true},
    {"/proc", PROC, true},
};

const char *rootfs_shown(size_t index, bool *device) {
    if (index >= sizeof parts / sizeof *parts || parts[index].flavour == PROC) /* the last */
        return NULL;
    *device = parts[index].flavour == DEVICE;
    return parts[index].path;
}

/* One entry of the new root. */
struct part {
    const char *path; /* absolute, within the box; on the host the same, but for the headers */
    int tree;         /* detached copy of the host's, or -1 for a symlink */
    bool directory;
    char link[PATH_MAX];
};

static struct part plan[MAX_PARTS];
static size_t plan_count;

static int plan_part(const char *source, const char *path, enum flavour flavour, bool follow) {
    struct part *part = &plan[plan_count];
    /* later mounts and unmounts of the host below it must not propagate into the box */
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    struct stat status;

    if (plan_count >= MAX_PARTS)
        return -E2BIG;
    if ((follow ? stat(source, &status) : lstat(source, &status)) != 0)
        return -errno;
    *part = (struct part){.path = path, .tree = -1, .directory = S_ISDIR(status.st_mode)};
    if (S_ISLNK(status.st_mode)) {
        ssize_t length = readlink(source, part->link, sizeof part->link - 1);

        if (length < 0)
            return -errno;
        plan_count++;
        return 0;
    }
    part->tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (part->directory ? AT_RECURSIVE : 0));
    if (part->tree < 0)
        return -errno;
    if (flavour == SYSTEM)
        attr.attr_set |= MOUNT_ATTR_NODEV;
    if (flavour != PROC && mount_setattr(part->tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) != 0)
        return -errno;
    plan_count++;
    return 0;
}

/* Makes the parent directories of a path, below root. */
static int make_parents(int root, const char *path) {
    char copy[PATH_MAX];

    snprintf(copy, sizeof copy, "%s", path + 1);
    for (char *slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdirat(root, copy, 0755) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

static int place_part(int root, const struct part *part) {
    const char *below = part->path + 1;
    int error = make_parents(root, part->path);
    int fd;

    if (error == -EROFS) /* within a system directory: it exists already */
        return 0;
    if (error != 0)
        return error;
    if (part->tree < 0)
        return symlinkat(part->link, root, below) == 0 || errno == EEXIST ? 0 : -errno;
    if (part->directory) {
        if (mkdirat(root, below, 0755) != 0 && errno != EEXIST && errno != EROFS)
            return -errno;
    } else {
        fd = openat(root, below, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EROFS && errno != EACCES)
            return -errno;
        sys_close(&fd);
    }
    return move_mount(part->tree, "", root, below, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

static int write_new(int root, const char *path, const char *text) {
    int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int error;

    if (fd < 0)
        return -errno;
    error = sys_write_all(fd, text, strlen(text));
    close(fd);
    return error;
}

/* Names the uid and the `more` uids below it: which of them a program has depends on its slot. */
static int write_passwd(int root, uid_t uid, unsigned more, gid_t gid) {
    FILE *file;
    int fd = openat(root, "etc/passwd", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int error = 0;

    file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        error = -errno;
        sys_close(&fd);
        return error;
    }
    fprintf(file, "root:x:0:0::/w:/bin/false\n");
    for (unsigned i = 0; i <= more; i++)
        fprintf(file, "box:x:%u:%u::/w:/bin/false\n", (unsigned)uid - i, (unsigned)gid);
    if (ferror(file))
        error = -EIO;
    return fclose(file) != 0 && error == 0 ? -errno : error;
}

static int write_etc(int root, uid_t uid, unsigned more, gid_t gid) {
    char text[256];
    int error;

    if (mkdirat(root, "etc", 0755) != 0 && errno != EEXIST)
        return -errno;
    error = write_passwd(root, uid, more, gid);
    if (error != 0)
        return error;
    snprintf(text, sizeof text, "root:x:0:\nbox:x:%u:\n", (unsigned)gid);
    error = write_new(root, "etc/group", text);
    return error != 0 ? error : write_new(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\n");
}

static int write_links(int root) {
    static const struct {
        const char *name;
        const char *target;
    } links[] = {
        {"tmp", "w"},
        {"dev/shm", "../w"},
        {"dev/fd", "../proc/self/fd"},
        {"dev/stdin", "../proc/self/fd/0"},
        {"dev/stdout", "../proc/self/fd/1"},
        {"dev/stderr", "../proc/self/fd/2"},
    };

    if (mkdirat(root, "w", 0755) != 0 || mkdirat(root, "p", 0755) != 0)
        return -errno;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlinkat(links[i].target, root, links[i].name) != 0 && errno != EEXIST) /* an extra mount is there */
            return -errno;
    return 0;
}

/* Makes a configured file system mount, detached. Options are pairs, ended by NULL. */
static int detached(const char *type, const char *const *options, unsigned attributes) {
    int context = fsopen(type, FSOPEN_CLOEXEC);
    int mounted;

    if (context < 0)
        return -errno;
    for (; *options != NULL; options += 2) {
        if (fsconfig(context, FSCONFIG_SET_STRING, options[0], options[1], 0) != 0)
            goto fail;
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        goto fail;
    mounted = fsmount(context, FSMOUNT_CLOEXEC, attributes);
    if (mounted < 0)
        goto fail;
    close(context);
    return mounted;
fail:
    mounted = -errno;
    close(context);
    return mounted;
}

/* Goes to the root of the mount namespace: with the working directory outside of the root, `..` is not stopped. Returns
 * a descriptor of the former root, which in a chroot is another directory. On -EPERM without CAP_SYS_CHROOT we stay,
 * and in a chroot the next step fails. */
static int leave_chroot(void) {
    struct statx here;
    struct statx above;
    int inside = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error;

    if (inside < 0)
        return -errno;
    if (chroot("/usr") != 0 || fchdir(inside) != 0 || statx(AT_FDCWD, ".", 0, IDENTITY, &above) != 0)
        goto fail;
    do { /* as often as the path has components */
        here = above;
        if (chdir("..") != 0 || statx(AT_FDCWD, ".", 0, IDENTITY, &above) != 0)
            goto fail;
    } while (here.stx_ino != above.stx_ino || here.stx_mnt_id != above.stx_mnt_id);
    if (chroot(".") == 0)
        return inside;
fail:
    error = -errno;
    close(inside);
    return error;
}

/* Keeps our mounts from propagating to the host. In a chroot "/" is no mount point, or not the topmost, so propagation
 * can only be set from outside. */
static int make_private(void) {
    int inside = leave_chroot();
    int error = inside < 0 && inside != -EPERM ? inside : 0;

    if (error == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        error = -errno;
    if (error == 0 && inside >= 0 && (fchdir(inside) != 0 || chroot(".") != 0))
        error = -errno;
    sys_close(&inside);
    return error;
}

/* Replaces the namespace's root, not only a chroot's: what a chroot hides must be removed, too. */
static int pivot(int root) {
    int inside = leave_chroot();

    if (inside < 0 && inside != -EPERM)
        return inside;
    sys_close(&inside);
    if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return -errno;
    /* the old root now lies over the new one, under the same name */
    return umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 ? 0 : -errno;
}

/* Covers the old root by the new one where pivot_root is refused (an initramfs cannot be pivoted, either). No path
 * leads to the old root then. Only chroot does, and a run has neither the capability nor the policy for it. */
static int cover(int root) {
    int inside = leave_chroot();

    if (inside < 0)
        return inside;
    sys_close(&inside);
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 || fchdir(root) != 0 || chroot(".") != 0)
        return -errno;
    return 0;
}

static int enter(int root, bool no_pivot) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    int error = no_pivot ? cover(root) : pivot(root);

    if (error != 0)
        return error;
    return mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof attr) == 0 ? 0 : -errno;
}

static int plan_all(char *const *extra, size_t extra_count, const char **where) {
    int error;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *where = parts[i].path;
        error = plan_part(parts[i].path, parts[i].path, parts[i].flavour, parts[i].flavour == DEVICE);
        if (error != 0 && (error != -ENOENT || parts[i].required))
            return error;
    }
    for (size_t i = 0; i < extra_count; i++) {
        *where = extra[i];
        if (extra[i][0] != '/')
            return -EINVAL;
        error = plan_part(extra[i], extra[i], SYSTEM, true);
        if (error != 0)
            return error;
    }
    return 0;
}

static int build(int root, uid_t uid, unsigned more, gid_t gid, const char **where) {
    int error;

    for (size_t i = 0; i < plan_count; i++) {
        *where = plan[i].path;
        error = place_part(root, &plan[i]);
        if (error != 0)
            return error;
        sys_close(&plan[i].tree);
    }
    *where = "etc";
    error = write_etc(root, uid, more, gid);
    if (error != 0)
        return error;
    *where = "links";
    return write_links(root);
}

int rootfs_enter(uid_t uid, unsigned more, gid_t gid, char *const *extra, size_t extra_count, bool headers,
                 bool no_pivot, struct doj_fault *fault) {
    static const char *const options[] = {"size", "1m", "nr_inodes", "1024", "mode", "0755", NULL};
    const char *where = "mount_namespace";
    char step[DOJ_STEP_SIZE];
    int error = 0;
    int root;

    umask(022);
    if (unshare(CLONE_NEWNS) != 0)
        error = -errno;
    if (error == 0 && headers) { /* first: make_private may leave the directory */
        where = HEADERS_PATH;
        error = plan_part(".", HEADERS_PATH, SYSTEM, true);
    }
    if (error == 0) {
        where = "private";
        error = make_private();
    }
    if (error == 0)
        error = plan_all(extra, extra_count, &where);
    if (error == 0) {
        where = "root";
        root = detached("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        if (root < 0)
            error = root;
        /* any directory can be the mount point until the pivot; all that we need is copied already */
        else if (move_mount(root, "", AT_FDCWD, "/usr", MOVE_MOUNT_F_EMPTY_PATH) != 0)
            error = -errno;
        else
            error = build(root, uid, more, gid, &where);
        if (error == 0) {
            where = "pivot";
            error = enter(root, no_pivot);
        }
        if (root >= 0)
            close(root);
    }
    if (error != 0) {
        snprintf(step, sizeof step, "rootfs %.20s", where);
        sys_set_fault(fault, step, error);
    }
    return error;
}

/* Makes a tmpfs for one owner, detached. */
static int owned_tmpfs(const char *size, unsigned inodes, uid_t uid, gid_t gid) {
    char nodes[32];
    char owner[32];
    char group[32];
    const char *options[] = {"size", size, "nr_inodes", nodes, "uid", owner, "gid", group, "mode", "0755", NULL};

    snprintf(nodes, sizeof nodes, "%u", inodes);
    snprintf(owner, sizeof owner, "%u", (unsigned)uid);
    snprintf(group, sizeof group, "%u", (unsigned)gid);
    /* access times would tell what an earlier run has read */
    return detached("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
}

static int attach(int mounted, const char *path) {
    int error = move_mount(mounted, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;

    close(mounted);
    return error;
}

int rootfs_scratch(uint64_t bytes, unsigned inodes, uid_t uid, gid_t gid) {
    char size[32];
    int mounted;

    snprintf(size, sizeof size, "%llu", bytes > 0 ? (unsigned long long)bytes : 1ULL); /* 0 would be unlimited */
    mounted = owned_tmpfs(size, inodes, uid, gid);
    if (mounted < 0)
        return mounted;
    if (umount2(SCRATCH_PATH, MNT_DETACH) != 0 && errno != EINVAL) { /* EINVAL: there is none yet */
        int error = -errno;

        close(mounted);
        return error;
    }
    return attach(mounted, SCRATCH_PATH);
}

int rootfs_store(uid_t uid, gid_t gid) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    int mounted = owned_tmpfs("0", 0, uid, gid); /* unlimited: only we write there, the node's files */
    int error = mounted < 0 ? mounted : attach(mounted, PROGRAM_PATH);
    int writable;

    if (error != 0)
        return error;
    /* the same file system once more, not attached; then the one that runs see becomes read-only */
    writable = open_tree(AT_FDCWD, PROGRAM_PATH, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (writable < 0)
        return -errno;
    if (mount_setattr(AT_FDCWD, PROGRAM_PATH, 0, &attr, sizeof attr) != 0) {
        error = -errno;
        close(writable);
        return error;
    }
    return writable;
}

/* Makes a view of /proc, detached. */
static int proc_view(const char *const *options, unsigned attributes) {
    return detached("proc", options, attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

int rootfs_proc(gid_t see_all_gid, int *last_pid) {
    char group[32];
    const char *for_runs[] = {"hidepid", "2", "gid", group, NULL};
    static const char *const for_us[] = {"subset", "pid", NULL};
    static const char *const whole[] = {NULL};
    int view;
    int dir;
    int error;

    snprintf(group, sizeof group, "%u", (unsigned)see_all_gid);
    view = proc_view(for_runs, MOUNT_ATTR_RDONLY);
    error = view < 0 ? view : attach(view, "/proc");
    if (error != 0)
        return error;
    view = proc_view(whole, 0);
    if (view < 0)
        return view;
    *last_pid = openat(view, "sys/kernel/ns_last_pid", O_RDWR | O_CLOEXEC);
    close(view);
    view = proc_view(for_us, MOUNT_ATTR_RDONLY);
    if (view < 0)
        return view;
    dir = openat(view, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = dir < 0 ? -errno : 0;
    close(view);
    return error != 0 ? error : dir;
}

int rootfs_no_proc(void) {
    static const char *const options[] = {"size", "4k", "nr_inodes", "1", "mode", "0555", NULL};
    int empty = detached("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY);

    return empty < 0 ? empty : attach(empty, "/proc");
}
