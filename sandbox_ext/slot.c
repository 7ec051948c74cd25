/* Theory of operation
 *
 * A slot is a process of the launcher that serves one socket, one run at a time, all of one policy. It makes its cell
 * before the first request arrives and sheds its rights where it can. Then it repeats: a request, a run (run.c), an
 * answer, and after the answer all work that can wait until then.
 *
 * It ends when the node is gone. It ends with SLOT_RENEW when its cell is spent: a process cannot make a second pid
 * namespace for its children, nor regain the rights that it has shed. The launcher starts another at the same
 * socket. */
#define _GNU_SOURCE
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "run.h"
#include "sys.h"

static bool answer(const struct slot *slot, const struct doj_result *result) {
    unsigned char message[DOJ_RESULT_SIZE];
    long size = doj_encode_result(result, message, sizeof message);

    return size > 0 && sys_send(slot->sock, message, (size_t)size, NULL, 0) == 0;
}

static bool is_spent(const struct slot *slot) { return slot->cell.channel < 0 && slot->cell.fault.step[0] == 0; }

/* Does the work between two runs that no answer waits for. */
static void clean_up(struct slot *slot, int *fds, size_t count) {
    for (size_t i = 0; i < count; i++)
        sys_close(&fds[i]);
    if (slot->cell.channel < 0)
        return;
    cell_rest(&slot->cell);
    slot->counted_us = run_counted_us(slot);
    if (slot->launcher->cgroup >= 0 && slot->spare.dir < 0 &&
        cgroup_run_create(slot->launcher->cgroup, slot->number, &slot->spare) != 0)
        cgroup_run_retire(&slot->spare); /* the run that needs it reports why it cannot be created */
    cgroup_run_sweep(slot->launcher->cgroup, false);
}

/* Serves one request. Returns false when the node is gone or out of step: the slot ends, and the node sees its socket
 * close. */
static bool serve(struct slot *slot) {
    static unsigned char message[DOJ_MAX_MESSAGE];
    static struct doj_request request;
    struct doj_result result = {.serial = 0};
    int fds[DOJ_MAX_FDS];
    size_t count;
    uint64_t serial;
    ssize_t size = sys_receive(slot->sock, message, sizeof message, fds, DOJ_MAX_FDS, &count);
    uint64_t from = sys_now_us();
    bool good;

    if (size <= 0)
        return false;
    /* a cancel that crossed the answer on its way */
    if (count == 0 && doj_peek(message, (size_t)size, &serial) == DOJ_CANCEL)
        return true;
    good = doj_decode_request(message, (size_t)size, &request) == 0 && count == doj_request_fds(&request) &&
           request.policy == (uint32_t)slot->cell.policy;
    if (good) {
        result.serial = request.serial;
        result.busy_us = slot->busy_us;
        good = run_perform(slot, &request, fds, &result);
        result.slot_us = sys_now_us() - from;
        good = good && answer(slot, &result);
    }
    clean_up(slot, fds, count);
    slot->busy_us += sys_now_us() - from;
    return good;
}

/* Waits for a request. Returns false when the init ends before one arrives, so that no run suffers for it. */
static bool await_request(const struct slot *slot) {
    struct pollfd watched[] = {{.fd = slot->sock, .events = POLLIN}, {.fd = slot->cell.init_fd, .events = POLLIN}};

    while (poll(watched, 2, -1) < 0 && errno == EINTR)
        ;
    return watched[1].revents == 0 || slot->cell.fault.step[0] != 0;
}

_Noreturn void slot_main(const struct launcher *launcher, unsigned number, enum doj_policy policy, int sock) {
    static struct slot slot;
    sigset_t held;
    bool good = true;
    bool used = false;

    sigfillset(&held);
    sigdelset(&held, SIGCHLD); /* ignored, not blocked: programs see the count of pending signals */
    sigprocmask(SIG_SETMASK, &held, NULL);
    /* The scheduler shares the cores among sessions before it shares them among processes (where autogroup is on and no
     * cgroup has the CPU controller). A session for each slot, which its runs cannot leave, gives each slot a fair
     * share. The init is born in the same session: in another one it would compete with runs that take all of a
     * session's share, and could not end them. */
    (void)setsid(); /* a child that was just forked always may */
    slot.launcher = launcher;
    slot.number = number;
    slot.sock = sock;
    slot.spare.dir = slot.spare.cpu_stat = slot.spare.memory_current = -1;
    slot.oom_score = openat(launcher->host_proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (sys_read_file(launcher->host_proc, "self/oom_score_adj", slot.own_oom_score, sizeof slot.own_oom_score) <= 0)
        sys_close(&slot.oom_score);
    slot.cores = sys_cores();
    slot.cpu = slot.cores > 1 ? sys_core(number / DOJ_SLOTS_TOGETHER) : -1;
    slot.host_kills = run_host_kills(launcher);
    slot.cpu_stat = launcher->counting < 0 ? -1 : cgroup_count_slot(launcher->counting, number);
    hold_open(&slot.hold, launcher->host_proc);
    cell_open(&slot.cell, launcher, policy, number);
    slot.counted_us = run_counted_us(&slot);
    while (good && !is_spent(&slot) && await_request(&slot)) {
        good = serve(&slot);
        used = true;
    }
    (void)cell_end(&slot.cell, -1);
    cgroup_run_retire(&slot.spare);
    cgroup_run_sweep(launcher->cgroup, true);
    if (!good)
        _exit(0);
    _exit(used ? SLOT_RENEW : SLOT_UNUSED);
}
