/* Theory of operation
 *
 * A cell is a mount, pid, ipc, uts and net namespace (a cgroup namespace too, where runs have no group of their own),
 * with the box as its root and an init as its process 1. Making one costs milliseconds, so it is made before it is
 * needed and reused for run after run. The slot itself lives in all of these namespaces but the pid namespace. Its
 * children are born in there and the slot is not, so no program can address the slot by a pid.
 *
 * How runs are kept apart
 *     processes       the cell is empty before the next run: checked by cell_is_empty, or confirmed by the init
 *     files           the scratch is the only place that a program can write. It is replaced by a new one if any change
 *                     shows in it: a used block, a used inode, a change of its root, an inode number given to a file
 *                     that is gone. Times alone are not enough: before Linux 6.13 they move in ticks, and a file
 *                     without a name leaves none
 *     programs        are kept in a second tmpfs that runs see read-only
 *     ipc, keys, net  refused by the policy. Sockets between a run's own processes die with them; if some do not, the
 *                     cell is ended
 *     pipes           new ones for each run, made ahead
 *     names, clocks,  refused by the policy, or set by the slot alone
 *     limits, …
 *     pid numbers     start again where the kernel has ns_last_pid; elsewhere they tell how many pids were used
 *
 * Where /proc cannot be mounted (a container that masks parts of it) the cell has none. The slot then looks at the
 * cell's processes through the /proc that it was started under.
 *
 * The init may be killed (by a host without memory, by an operator), or the slot ends it when emptying takes too long.
 * The kernel then empties the pid namespace. The cell is spent, and the slot ends with it: see SLOT_RENEW. */
#define _GNU_SOURCE
#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare.h"
#include "init.h"
#include "mould.h"
#include "proctext.h"
#include "rootfs.h"
#include "sampler.h"
#include "scratch.h"
#include "shed.h"
#include "sys.h"
#include "watch.h"

#define FIRST_SCRATCH_BYTES (UINT64_C(64) << 20)

/* ---- opening ----------------------------------------------------------------------------------------------------- */

int cell_fail(struct cell *cell, const char *step, int error) {
    sys_set_fault(&cell->fault, step, error);
    return error;
}

/* Calls unshare for each namespace by itself, since the node learns from the refused step which feature is missing. */
static int make_namespaces(struct cell *cell, int *init_end) {
    const struct launcher *launcher = cell->launcher;
    const struct {
        const char *step;
        int flag;
        bool wanted;
    } namespaces[] = {
        {"mount_namespace", CLONE_NEWNS, true},
        {"pid_namespace", CLONE_NEWPID, true},
        {"net_namespace", CLONE_NEWNET, true},
        {"ipc_namespace", CLONE_NEWIPC, !launcher->no_ipc_namespace},
        {"uts_namespace", CLONE_NEWUTS, !launcher->no_hostname},
        /* where runs have groups, each run sees its own group as the root: child.c */
        {"cgroup_namespace", CLONE_NEWCGROUP, launcher->cgroup < 0 && !launcher->no_cgroup_namespace},
    };
    int ends[2];

    /* before the net namespace: a program sees sockets made within it in /proc/net/unix */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return cell_fail(cell, "init_channel", -errno);
    cell->channel = ends[0];
    *init_end = ends[1];
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
        if (namespaces[i].wanted && unshare(namespaces[i].flag) != 0)
            return cell_fail(cell, namespaces[i].step, -errno);
    return 0;
}

static int start_init(struct cell *cell, int init_end) {
    pid_t pid = sys_fork(&cell->init_fd, false);

    cell->init = pid;
    if (pid == 0)
        init_main(cell->launcher, cell->tally, init_end);
    return pid < 0 ? cell_fail(cell, "init", pid) : 0;
}

/* Waits for the init's first message, which carries its view of /proc. An init that was killed before it is no fault of
 * this host: the cell is spent, so that the launcher starts another slot. As a fault, it would answer all later runs. */
static int await_init(struct cell *cell) {
    struct cell_message message;
    size_t count;
    ssize_t size = sys_receive(cell->channel, &message, sizeof message, &cell->proc, 1, &count);

    if (size == 0) {
        (void)cell_end(cell, -1);
        return -ECHILD;
    }
    if (size != (ssize_t)sizeof message)
        return cell_fail(cell, "init", size < 0 ? (int)size : -EPROTO);
    if (message.fault.step[0] != 0) {
        cell->fault = message.fault;
        return -message.fault.error;
    }
    return count == 1 || cell->launcher->no_proc ? 0 : cell_fail(cell, "init", -EPROTO);
}

/* Actions are watched where no cgroup counts CPU. If they cannot be, every run is assumed to lose children's CPU time.
 * Pipes are watched where all slots have one user, but for `weak`. */
static void watch_calls(struct cell *cell) {
    const struct launcher *launcher = cell->launcher;
    bool actions = launcher->cgroup < 0 && launcher->counting < 0;

    if (actions || launcher->pipes > 0)
        cell->watched = watch_open(actions, launcher->pipes > 0);
}

/* Sets all that payloads inherit from the slot. Sheds the rights, too, where payloads need none. */
static int set_up_inherited_state(struct cell *cell) {
    const char *step = "";
    pid_t launcher = getppid();
    int error = mould(&step);

    if (error != 0)
        return cell_fail(cell, step, error);
    if (cell->launcher->cgroup >= 0)
        return 0;
    error = shed_rights(cell->launcher, cell->policy, -1, &step);
    if (error != 0)
        return cell_fail(cell, step, error);
    /* the change of user has cleared the death signal */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return cell_fail(cell, "death_signal", -errno);
    return getppid() == launcher ? 0 : cell_fail(cell, "death_signal", -ESRCH);
}

/* Makes and frees an inode without a name, and returns its number. The number tells whether others were made since the
 * last call. 0: none can be made. */
static ino_t next_inode(int scratch) {
    struct stat status = {.st_ino = 0};
    int fd = openat(scratch, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 && fstat(fd, &status) != 0)
        status.st_ino = 0;
    sys_close(&fd);
    return status.st_ino;
}

static int look_at_scratch(struct cell *cell) {
    sys_close(&cell->scratch);
    cell->scratch = open(SCRATCH_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cell->scratch < 0 || fchdir(cell->scratch) != 0 || fstat(cell->scratch, &cell->scratch_root) != 0)
        return -errno;
    cell->scratch_inode = next_inode(cell->scratch);
    return 0;
}

static int mount_scratch_and_store(struct cell *cell) {
    int error = rootfs_scratch(FIRST_SCRATCH_BYTES, SCRATCH_INODES, cell->launcher->uid, cell->launcher->gid);

    if (error != 0)
        return cell_fail(cell, "scratch", error);
    cell->scratch_bytes = FIRST_SCRATCH_BYTES;
    cell->store = rootfs_store(cell->launcher->uid, cell->launcher->gid);
    return cell->store < 0 ? cell_fail(cell, "store", cell->store) : 0;
}

/* Counts the sockets of the cell's net namespace. Unix sockets that hold each other in flight outlive all their
 * processes, until the kernel collects such cycles. They can be the last trace of a program. */
static uint64_t count_sockets(const struct cell *cell) {
    char text[1024];
    ssize_t size = pread(cell->sockstat, text, sizeof text - 1, 0);

    if (size <= 0)
        return 0;
    text[size] = 0;
    return proctext_number(text, "sockets: used");
}

void cell_open(struct cell *cell, const struct launcher *launcher, enum doj_policy policy, unsigned number) {
    int init_end = -1;
    int error;

    *cell = (struct cell){.launcher = launcher,
                          .policy = policy,
                          .channel = -1,
                          .init_fd = -1,
                          .proc = -1,
                          .store = -1,
                          .scratch = -1,
                          .watched = -1,
                          .sockstat = -1,
                          .bare = {.confinement = -1},
                          .pipes = {-1, -1, -1, -1}};
    cell->tally = mmap(NULL, sizeof *cell->tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (cell->tally == MAP_FAILED) {
        cell_fail(cell, "tally", -errno);
        return;
    }
    if (launcher->weak) {
        bare_open(cell, number);
        watch_calls(cell);
        return;
    }
    if (make_namespaces(cell, &init_end) == 0 && mount_scratch_and_store(cell) == 0 && start_init(cell, init_end) == 0) {
        sys_close(&init_end); /* our copy, so that the channel ends with the init */
        watch_calls(cell);
        if (await_init(cell) == 0 && set_up_inherited_state(cell) == 0 && (error = look_at_scratch(cell)) != 0)
            cell_fail(cell, "scratch", error);
    }
    sys_close(&init_end);
    cell->sockstat = openat(launcher->host_proc, "self/net/sockstat", O_RDONLY | O_CLOEXEC);
    if (cell->sockstat < 0 && cell->fault.step[0] == 0)
        cell_fail(cell, "sockstat", -errno);
    cell->sockets = count_sockets(cell);
    if (cell->fault.step[0] == 0 && cell->channel >= 0)
        cell_rest(cell);
}

/* ---- between runs ------------------------------------------------------------------------------------------------ */

bool cell_is_empty(struct cell *cell) {
    if (cell->launcher->weak)
        return bare_is_empty(cell);
    if (!(cell->launcher->no_proc ? sampler_is_childless(cell->launcher->host_proc, cell->init)
                                  : sampler_is_alone(cell->proc)))
        return false;
    return __atomic_load_n(&cell->tally->busy, __ATOMIC_SEQ_CST) == 0;
}

static int send_order(struct cell *cell, enum cell_order kind, uint64_t bytes) {
    struct cell_message message = {.kind = (uint32_t)kind, .bytes = bytes};
    int error = sys_send(cell->channel, &message, sizeof message, NULL, 0);

    if (error == 0)
        cell->owed++;
    return error;
}

int cell_ask_empty(struct cell *cell) {
    if (!cell->launcher->weak)
        return send_order(cell, CELL_EMPTY, 0);
    kill(-cell->init, SIGKILL);
    cell->owed++; /* the guard answers by its own end */
    return 0;
}

/* Orders the init to set the share. A lost init is noticed at its channel. */
static void order_share(const struct cell *cell, struct sampler *sampler, struct sampled_share share) {
    struct cell_message message = {.kind = CELL_CROWD, .share = share};
    pid_t tasks[SAMPLER_MAX_PROCESSES];
    size_t count;

    if (cell->proc >= 0) {
        (void)sys_send(cell->channel, &message, sizeof message, NULL, 0);
        return;
    }
    count = sampler_own_numbers(sampler, tasks, SAMPLER_MAX_PROCESSES);
    for (size_t from = 0; from < count; from += message.task_count) {
        message.task_count = count - from < CELL_CROWD_TASKS ? (uint32_t)(count - from) : CELL_CROWD_TASKS;
        memcpy(message.tasks, tasks + from, message.task_count * sizeof *tasks);
        (void)sys_send(cell->channel, &message, sizeof message, NULL, 0);
    }
}

void cell_set_share(struct cell *cell, struct sampler *sampler, struct sampled_share share) {
    if (!cell->launcher->weak) {
        order_share(cell, sampler, share);
        return;
    }
    bare_become_payload(cell->launcher);
    sampler_set_share(sampler, share);
    bare_become_root(cell->launcher);
}

static void drop_pipes(struct cell *cell) {
    for (int i = 0; i < 4; i++)
        sys_close(&cell->pipes[i]);
}

static int receive_answer(struct cell *cell, struct cell_message *message) {
    int fds[4];
    size_t count;

    if (sys_receive(cell->channel, message, sizeof *message, fds, 4, &count) != (ssize_t)sizeof *message)
        return 0;
    cell->owed--;
    if (count == 4) {
        drop_pipes(cell);
        memcpy(cell->pipes, fds, sizeof fds);
    }
    return 1;
}

int cell_hear(struct cell *cell) {
    struct cell_message message;

    return receive_answer(cell, &message);
}

/* Receives all owed answers. Returns the error of the last one. */
static int receive_all_answers(struct cell *cell) {
    struct cell_message message = {.kind = 0};

    while (cell->owed > 0)
        if (receive_answer(cell, &message) == 0)
            return -ECHILD;
    return -message.fault.error;
}

void cell_kill(struct cell *cell) {
    if (cell->launcher->weak) {
        bare_kill(cell);
        return;
    }
    sys_close(&cell->channel);
    if (cell->init > 0) /* the end of the channel is not enough for an init that is stopped or cannot empty its cell */
        kill(cell->init, SIGKILL);
}

bool cell_end(struct cell *cell, int wait_ms) {
    struct pollfd init_exit = {.fd = cell->init_fd, .events = POLLIN};
    int ended = 1;

    if (cell->launcher->weak) {
        bare_end(cell);
        return true;
    }
    cell_kill(cell);
    if (cell->init_fd >= 0)
        do
            ended = poll(&init_exit, 1, wait_ms);
        while (ended < 0 && errno == EINTR);
    return ended > 0;
}

static bool is_same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

/* Extended attributes and flags are refused by the policy, and owners cannot be changed. */
static bool is_untouched(struct cell *cell) {
    const struct stat *root = &cell->scratch_root;
    ino_t expected = cell->scratch_inode + 1;
    struct statfs room;
    struct stat now;

    if (fstat(cell->scratch, &now) != 0 || fstatfs(cell->scratch, &room) != 0)
        return false;
    cell->scratch_inode = next_inode(cell->scratch);
    return cell->scratch_inode == expected && room.f_bfree == room.f_blocks && room.f_ffree + 1 == room.f_files &&
           now.st_mode == root->st_mode && now.st_size == root->st_size && is_same_time(now.st_atim, root->st_atim) &&
           is_same_time(now.st_mtim, root->st_mtim) && is_same_time(now.st_ctim, root->st_ctim);
}

int cell_ready_scratch(struct cell *cell, uint64_t bytes) {
    int error;

    if (cell->launcher->weak)
        return bare_ready_scratch(cell, bytes);
    if (cell->scratch_bytes == bytes)
        return 0;
    sys_close(&cell->scratch);
    cell->scratch_bytes = CELL_NO_SCRATCH; /* on any failure, do not use this one again */
    if (chdir("/") != 0)
        return -errno;
    error = send_order(cell, CELL_SCRATCH, bytes);
    if (error == 0)
        error = receive_all_answers(cell);
    if (error == 0)
        error = look_at_scratch(cell);
    if (error == 0)
        cell->scratch_bytes = bytes;
    return error;
}

void cell_rest(struct cell *cell) {
    if (cell->launcher->weak) {
        bare_rest(cell);
        return;
    }
    cell->tally->slot_cpu = sched_getcpu();
    /* The order first: the init works while we look. An init that is dying takes none. Its end can take long, and until
     * then each run would fail. */
    if (send_order(cell, CELL_REST, 0) != 0 || count_sockets(cell) != cell->sockets) {
        (void)cell_end(cell, -1);
        return;
    }
    if (cell->scratch_bytes != CELL_NO_SCRATCH && !is_untouched(cell))
        cell->scratch_bytes = CELL_NO_SCRATCH;
}

int cell_settle(struct cell *cell) {
    int error = receive_all_answers(cell);

    if (error != 0)
        return error;
    return cell->pipes[0] < 0 ? -EPIPE : 0;
}
