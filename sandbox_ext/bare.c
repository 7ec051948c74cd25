/* Theory of operation
 *
 * The level `weak`: no mount, pid, ipc or net namespaces. They are replaced by:
 *
 *     files        Landlock: the scratch and the files that every box shows, at their real paths (landlock.c).
 *                  bare_place translates /p/main and paths in /w to the real paths
 *     processes    one process group, which no process can leave (setsid and setpgid are refused). Its leader is the
 *                  guard, a process of ours outside the confinement. kill(-group) reaches all members atomically: a
 *                  process being forked is either created with the signal pending or not created at all
 *     orphans      are reparented to the slot, a subreaper, which waits for them. The guard is cloned so that an
 *                  ordinary wait does not see it: if that finds no child, the run is empty
 *     signals,     Landlock's scopes; shared memory, ipc, keys, sockets: policy.txt, "At weak, instead"
 *     tracing
 *     disk         a directory of the host: its usage is measured by scanning (bare_is_within), including removed files
 *                  (unlinked.c), and the size of each file is limited
 *
 * Killing the group kills the guard too, so the cell cannot be reused, like a cell whose init has died; a slot without
 * namespaces is quick to create. After a run that ends by itself the guard stays.
 *
 * Death: when the slot dies, the channel closes and the guard kills the group. When slot and guard are killed at the
 * same time, the payload gets its death signal. Its orphans are reparented to the launcher, which kills them before it
 * exits. If the launcher is killed at the same time too, the payload's children keep running: without a pid namespace
 * no process is left that knows them.
 *
 * If the node is root, each slot has its own uid, so it shares neither files nor RLIMIT_NPROC with other processes. The
 * kernel counts the processes of a uid over the whole host, and a program at the limit cannot even be exec'ed. So
 * launchers lock the uids that they use, one byte of a file for each; the kernel releases the locks however a launcher
 * ends. (Containers that share a kernel, but no user namespace and no file, each need their own run_as_uid.)
 * If the node is not root, runs have its uid, and only Landlock and the policy separate them from it. */
#define _GNU_SOURCE
#include "bare.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "landlock.h"
#include "mould.h"
#include "proctext.h"
#include "rootfs.h"
#include "scratch.h"
#include "stream.h"
#include "sys.h"
#include "unlinked.h"

#define HOME_PREFIX "deepoj-weak."
#define HOME_TRIES 16U
#define MAX_DEPTH 64U
#define LOOK_US UINT64_C(20000)
#define UIDS_NAME "deepoj-uids"
#define UID_TRIES 64U

static int fail(struct cell *cell, const char *step, int error) {
    sys_set_fault(&cell->fault, step, error);
    return error;
}

/* ---- trees of files ---------------------------------------------------------------------------------------------- */

/* A stream over a directory, which stays the caller's. NULL with errno. */
static DIR *look_into(int directory) {
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && stream == NULL)
        close(fd);
    return stream;
}

static const char *next_name(DIR *stream) {
    const struct dirent *entry;

    do
        entry = readdir(stream);
    while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry == NULL ? NULL : entry->d_name;
}

/* An ordinary user's own directory, which it may have made such that it may not enter it. */
static void open_up(int directory, const char *name) {
    if (fchmodat(directory, name, 0700, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* what needs it fails, and says so */
}

static int open_below(int directory, const char *name) {
    int fd;

    open_up(directory, name);
    fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Moves what directories a directory has up to the top, removes all else in it, and then itself. */
static int flatten(int top, const char *name, unsigned *number) {
    int fd = open_below(top, name);
    DIR *stream = fd < 0 ? NULL : look_into(fd);
    const char *below;
    int error = stream == NULL ? (fd < 0 ? fd : -errno) : 0;

    while (error == 0 && (below = next_name(stream)) != NULL) {
        char free_name[32];

        if (unlinkat(fd, below, 0) == 0 || unlinkat(fd, below, AT_REMOVEDIR) == 0)
            continue;
        open_up(fd, below);
        do
            snprintf(free_name, sizeof free_name, "..%u", (*number)++);
        while ((error = renameat2(fd, below, top, free_name, RENAME_NOREPLACE) == 0 ? 0 : -errno) == -EEXIST);
    }
    if (stream != NULL)
        closedir(stream);
    sys_close(&fd);
    if (error == 0 && unlinkat(top, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY) /* then the next pass */
        error = -errno;
    return error;
}

/* Empties a directory, however deep what stands in it is: no recursion, and no path longer than a name. */
static int wipe(int top) {
    unsigned number = 0;
    bool any = true;
    int error = 0;

    while (any && error == 0) {
        DIR *stream = look_into(top);
        const char *name;

        if (stream == NULL)
            return -errno;
        any = false;
        while (error == 0 && (name = next_name(stream)) != NULL) {
            any = true;
            if (unlinkat(top, name, 0) != 0 && unlinkat(top, name, AT_REMOVEDIR) != 0)
                error = flatten(top, name, &number);
        }
        closedir(stream);
    }
    return error;
}

static int remove_tree(int directory, const char *name) {
    int fd = open_below(directory, name);
    int error = fd < 0 ? fd : wipe(fd);

    sys_close(&fd);
    if (error == 0 && unlinkat(directory, name, AT_REMOVEDIR) != 0)
        error = -errno;
    return error == -ENOENT ? 0 : error;
}

struct room {
    uint64_t bytes;
    unsigned inodes;
};

static bool fits(int directory, unsigned depth, struct room *room) {
    DIR *stream = look_into(directory);
    const char *name;
    bool good = true;

    if (stream == NULL) /* removed meanwhile, or without permissions for its owner: no process can add files */
        return true;
    while (good && (name = next_name(stream)) != NULL) {
        struct stat status;
        uint64_t bytes;
        int fd;

        if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes = (uint64_t)status.st_blocks * 512U;
        good = room->inodes > 0 && room->bytes >= bytes && depth < MAX_DEPTH;
        if (!good)
            break;
        room->inodes--;
        room->bytes -= bytes;
        if (!S_ISDIR(status.st_mode))
            continue;
        fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        good = fd < 0 || fits(fd, depth + 1, room);
        sys_close(&fd);
    }
    closedir(stream);
    return good;
}

static bool is_within(const struct cell *cell, const struct sampler *sampler) {
    const struct unlinked_run run = {cell->launcher, sampler, cell->bare.path, &cell->bare.input};
    /* a block for the directory's own growth */
    struct room room = {.bytes = cell->scratch_bytes + 65536U, .inodes = SCRATCH_INODES};

    return fits(cell->scratch, 0, &room) && unlinked_fit(&run, &room.bytes);
}

bool bare_is_within(struct cell *cell, const struct sampler *sampler, uint64_t now_us) {
    struct bare *bare = &cell->bare;
    bool good;

    if (now_us < bare->next_look_us)
        return true;
    /* twice: a file may have been seen in two places, since a program moved it or was about to exec */
    good = is_within(cell, sampler) || is_within(cell, sampler);
    bare->next_look_us = now_us + LOOK_US + 4 * (sys_now_us() - now_us);
    return good;
}

/* ---- the home of all slots --------------------------------------------------------------------------------------- */

static bool is_fit(const char *directory) {
    struct statvfs system;

    return access(directory, W_OK | X_OK) == 0 && statvfs(directory, &system) == 0 &&
           (system.f_flag & (ST_NOEXEC | ST_RDONLY)) == 0;
}

/* Removes the directories of dead launchers. A live launcher holds a lock on its directory. */
static void sweep(const char *directory) {
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = top < 0 ? NULL : look_into(top);
    const char *name;

    while (stream != NULL && (name = next_name(stream)) != NULL) {
        struct stat status;
        int fd;

        if (strncmp(name, HOME_PREFIX, sizeof HOME_PREFIX - 1) != 0)
            continue;
        fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &status) == 0 && status.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void)remove_tree(top, name); /* a directory that cannot be removed does no harm */
        sys_close(&fd);
    }
    if (stream != NULL)
        closedir(stream);
    sys_close(&top);
}

/* A directory of ours with its lock. -EAGAIN: somebody swept it before we had locked it. */
static int make_home(const char *place, char *path, size_t size) {
    struct stat ours;
    struct stat named;
    int error = 0;
    int fd;

    snprintf(path, size, "%s/" HOME_PREFIX "XXXXXX", place);
    if (mkdtemp(path) == NULL)
        return -errno;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        error = errno == EWOULDBLOCK ? -EAGAIN : -errno;
    else if (fstat(fd, &ours) != 0 || stat(path, &named) != 0 || named.st_ino != ours.st_ino)
        error = -EAGAIN;
    else if (fchmod(fd, 0711) != 0) /* others may pass through, who know where to */
        error = -errno;
    if (error != 0)
        sys_close(&fd);
    return error != 0 ? error : fd;
}

int bare_home(char *path, size_t size) {
    static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};
    int fd = -EACCES;

    for (size_t i = 0; i < sizeof places / sizeof *places && fd < 0; i++) {
        if (!is_fit(places[i]))
            continue;
        sweep(places[i]);
        for (unsigned tries = 0; tries < HOME_TRIES; tries++) {
            fd = make_home(places[i], path, size);
            if (fd != -EAGAIN)
                break;
        }
    }
    return fd;
}

void bare_remove_home(const char *path) { (void)remove_tree(AT_FDCWD, path); }

/* ---- uids -------------------------------------------------------------------------------------------------------- */

/* The same file for all that share it. Where anybody may write somebody else may have been there first. */
static int open_uids(void) {
    static const char *const places[] = {"/run/" UIDS_NAME, "/tmp/" UIDS_NAME, "/var/tmp/" UIDS_NAME, "/dev/shm/" UIDS_NAME};
    struct stat status;
    int fd = -1;

    for (size_t i = 0; i < sizeof places / sizeof *places && fd < 0; i++) {
        fd = open(places[i], O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid()))
            sys_close(&fd);
    }
    return fd < 0 ? -EACCES : fd;
}

/* Locks of the process: those of an open file are shown in every pid namespace's /proc/locks, so to every program. */
int bare_take_uids(uid_t *uid, unsigned count) {
    int fd = open_uids();
    int error = -EUSERS;

    if (fd < 0)
        return fd;
    for (unsigned tries = 0; tries < UID_TRIES && *uid > count + 1; tries++) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(*uid - count), .l_len = (off_t)count};

        if (fcntl(fd, F_SETLK, &lock) == 0)
            return fd;
        if (errno != EAGAIN && errno != EACCES) {
            error = -errno;
            break;
        }
        if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
            *uid = (uid_t)lock.l_start;
    }
    sys_close(&fd);
    return error;
}

/* In a container root may be able to give a program another uid, but not to end it then. Tried on a process that has
 * ended: the kernel asks of it what it asks of a living one. */
int bare_try_to_kill(uid_t uid) {
    pid_t pid = fork();
    siginfo_t ended;
    int error;

    if (pid < 0)
        return -errno;
    if (pid == 0)
        _exit(syscall(SYS_setresuid, uid, uid, uid) != 0);
    error = waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) != 0 || kill(pid, SIGKILL) != 0 ? -errno : 0;
    (void)waitpid(pid, NULL, 0);
    return error;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* The group's leader, which does nothing but wait for the slot's end. */
static _Noreturn void guard(int channel) {
    struct pollfd slot = {.fd = channel, .events = POLLIN};

    sys_keep_only(&channel, 1);
    setpgid(0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    while (poll(&slot, 1, -1) < 0)
        ;
    kill(-getpid(), SIGKILL);
    _exit(0);
}

static int start_guard(struct cell *cell) {
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(cell, "guard", -errno);
    cell->channel = ends[0];
    pid = sys_fork(&cell->init_fd, true);
    if (pid == 0)
        guard(ends[1]);
    close(ends[1]); /* so that the guard's end ends the channel */
    if (pid < 0)
        return fail(cell, "guard", pid);
    cell->init = pid;
    return setpgid(pid, pid) != 0 ? fail(cell, "guard_group", -errno) : 0; /* before any payload wants to join it */
}

static int make_directory(const struct cell *cell, const char *name, mode_t mode, bool payloads) {
    const struct launcher *launcher = cell->launcher;
    int top = open(cell->bare.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = top < 0 ? -errno : remove_tree(top, name);
    int fd = -1;

    if (error == 0 && mkdirat(top, name, mode) != 0)
        error = -errno;
    if (error == 0 && (fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        error = -errno;
    if (error == 0 && payloads && geteuid() != launcher->uid && fchown(fd, launcher->uid, launcher->gid) != 0)
        error = -errno;
    sys_close(&top);
    if (error != 0)
        sys_close(&fd);
    return error != 0 ? error : fd;
}

/* A scratch that nothing tells anything, and a ruleset that allows it. */
static int furnish(struct cell *cell) {
    sys_close(&cell->scratch);
    sys_close(&cell->bare.confinement);
    cell->scratch = make_directory(cell, "w", 0700, true);
    if (cell->scratch < 0)
        return cell->scratch;
    /* root without its rights could not measure and empty what belongs to another */
    if (faccessat(cell->scratch, ".", R_OK | W_OK | X_OK, 0) != 0)
        return -errno;
    if (fchdir(cell->scratch) != 0 || fstat(cell->scratch, &cell->scratch_root) != 0)
        return -errno;
    cell->bare.confinement = landlock_make(cell->launcher, cell->policy, cell->store, cell->scratch);
    return cell->bare.confinement < 0 ? cell->bare.confinement : 0;
}

/* Tasks of our user, for a bound on all of them together. */
static unsigned tasks_of_user(const struct launcher *launcher) {
    DIR *stream = look_into(launcher->host_proc);
    const char *name;
    unsigned tasks = 0;

    while (stream != NULL && (name = next_name(stream)) != NULL) {
        struct proctext_stat figures;
        struct stat status;
        char path[288];
        char text[1024];

        if (!isdigit((unsigned char)name[0]) || fstatat(launcher->host_proc, name, &status, 0) != 0 ||
            status.st_uid != launcher->uid)
            continue;
        snprintf(path, sizeof path, "%s/stat", name);
        if (sys_read_file(launcher->host_proc, path, text, sizeof text) > 0 && proctext_stat(text, &figures))
            tasks += figures.threads;
    }
    if (stream != NULL)
        closedir(stream);
    return tasks;
}

void bare_open(struct cell *cell, unsigned number) {
    struct bare *bare = &cell->bare;
    const char *step = "";
    int error;

    snprintf(bare->path, sizeof bare->path, "%s/%u", cell->launcher->home, number);
    bare->confinement = -1;
    if (mkdir(bare->path, 0711) != 0 && errno != EEXIST) {
        fail(cell, "directory", -errno);
        return;
    }
    error = mould(&step);
    if (error != 0) {
        fail(cell, step, error);
        return;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        fail(cell, "subreaper", -errno);
        return;
    }
    if (start_guard(cell) != 0)
        return;
    cell->store = make_directory(cell, "p", 0755, false);
    if (cell->store < 0) {
        fail(cell, "store", cell->store);
        return;
    }
    error = furnish(cell);
    if (error != 0) {
        fail(cell, error == -EOPNOTSUPP ? "landlock_version" : "scratch", error);
        return;
    }
    cell->scratch_bytes = 0;
    bare_rest(cell);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static void count(const struct cell *cell, const struct rusage *usage) {
    struct cell_tally *tally = cell->tally;
    uint64_t rss = (uint64_t)usage->ru_maxrss * 1024U;

    tally->cpu_us += sys_to_us(usage->ru_utime) + sys_to_us(usage->ru_stime);
    if (rss > tally->maxrss_bytes)
        tally->maxrss_bytes = rss;
}

bool bare_is_empty(struct cell *cell) {
    struct rusage usage;
    pid_t pid;

    while ((pid = wait4(-1, NULL, WNOHANG, &usage)) > 0)
        count(cell, &usage);
    return pid < 0 && errno == ECHILD;
}

void bare_reap(struct cell *cell, pid_t payload) {
    struct rusage usage;
    siginfo_t ended;

    for (;;) {
        ended.si_pid = 0;
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0 || ended.si_pid == payload ||
            wait4(ended.si_pid, NULL, WNOHANG, &usage) <= 0)
            return;
        count(cell, &usage);
    }
}

void bare_kill(struct cell *cell) {
    sys_close(&cell->channel);
    if (cell->init > 0) /* not reaped yet, so the group id cannot have been reused */
        kill(-cell->init, SIGKILL);
}

void bare_end(struct cell *cell) {
    struct pollfd gone = {.fd = cell->init_fd, .events = POLLIN};
    struct rusage usage;
    int home;

    bare_kill(cell);
    while (wait4(-1, NULL, 0, &usage) > 0 || errno == EINTR)
        count(cell, &usage);
    while (cell->init_fd >= 0 && poll(&gone, 1, -1) < 0 && errno == EINTR)
        ;
    home = open(cell->launcher->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (chdir("/") == 0 && home >= 0)
        (void)remove_tree(home, strrchr(cell->bare.path, '/') + 1); /* else the launcher does, or the next */
    sys_close(&home);
}

/* ---- between runs ------------------------------------------------------------------------------------------------ */

static bool is_same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static bool is_untouched(const struct cell *cell) {
    const struct stat *root = &cell->scratch_root;
    DIR *stream = look_into(cell->scratch);
    struct stat now;
    bool empty;

    if (stream == NULL)
        return false;
    /* before we read it ourselves: that sets a time */
    empty = fstat(cell->scratch, &now) == 0 && is_same_time(now.st_atim, root->st_atim) &&
            is_same_time(now.st_mtim, root->st_mtim) && is_same_time(now.st_ctim, root->st_ctim) &&
            next_name(stream) == NULL;
    closedir(stream);
    return empty;
}

int bare_ready_scratch(struct cell *cell, uint64_t bytes) {
    if (cell->scratch_bytes == CELL_NO_SCRATCH)
        return -EIO;
    cell->scratch_bytes = bytes;
    cell->bare.next_look_us = 0;
    return 0;
}

static int make_pipes(struct cell *cell) {
    const struct launcher *launcher = cell->launcher;
    int error = stream_pipe(launcher->uid, launcher->gid, cell->pipes);

    if (error != 0) {
        cell->pipes[0] = cell->pipes[1] = -1;
        return error;
    }
    error = stream_pipe(launcher->uid, launcher->gid, cell->pipes + 2);
    if (error != 0)
        cell->pipes[2] = cell->pipes[3] = -1;
    return error;
}

void bare_rest(struct cell *cell) {
    for (int i = 0; i < 4; i++)
        sys_close(&cell->pipes[i]);
    if (!is_untouched(cell) && furnish(cell) != 0) {
        cell->scratch_bytes = CELL_NO_SCRATCH;
        bare_end(cell);
        return;
    }
    /* our own look has set a time */
    if (fstat(cell->scratch, &cell->scratch_root) != 0)
        cell->scratch_bytes = CELL_NO_SCRATCH;
    if (!cell->launcher->process_quota)
        cell->bare.user_tasks = tasks_of_user(cell->launcher);
    (void)make_pipes(cell); /* missing ones are noticed by the next run */
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static bool begins(const char *word, const char *path) {
    size_t length = strlen(path);

    return strncmp(word, path, length) == 0 && (word[length] == '/' || word[length] == 0);
}

/* A copy in which what stands after `prefix` bytes is the real path. NULL: no room. */
static const char *place(const struct cell *cell, struct bare_words *words, const char *word, size_t prefix) {
    const char *path = word + prefix;
    char *copy = words->text + words->used;
    size_t room = sizeof words->text - words->used;
    int length;

    if (!begins(path, SCRATCH_PATH) && !begins(path, PROGRAM_PATH))
        return word;
    /* the last part of the real path is the same as the path in a box: /w or /p */
    length = snprintf(copy, room, "%.*s%s%s", (int)prefix, word, cell->bare.path, path);
    if (length < 0 || (size_t)length >= room)
        return NULL;
    words->used += (size_t)length + 1;
    return copy;
}

int bare_place(const struct cell *cell, const struct doj_request *request, struct bare_words *words) {
    words->used = 0;
    for (uint32_t i = 0; i < request->argc; i++)
        if ((words->argv[i] = place(cell, words, request->argv[i], 0)) == NULL)
            return -E2BIG;
    words->argv[request->argc] = NULL;
    for (uint32_t i = 0; i < request->envc; i++) {
        const char *equals = strchr(request->env[i], '=');
        size_t prefix = equals == NULL ? 0 : (size_t)(equals - request->env[i]) + 1;

        if ((words->env[i] = place(cell, words, request->env[i], prefix)) == NULL)
            return -E2BIG;
    }
    words->env[request->envc] = NULL;
    return 0;
}
