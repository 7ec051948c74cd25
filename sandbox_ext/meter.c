/* Theory of operation
 *
 * The measuring program of `deepoj bench sandbox`: a small process, as the launcher is. It runs one program bare, by
 * posix_spawn and waitpid, and the same program in a slot, by the message that the node would send, both with one
 * clock. With Python instead, Python's own time would be measured, too.
 *
 *     _meter CONTROL [--read] [--slot SOCK FD…] -- PROGRAM WORD…
 *
 * CONTROL is a SOCK_SEQPACKET socket. With --slot its first message is the request for the slot, which is sent there
 * for each run with the descriptors FD…. Then each message is an order and gets one line back:
 *
 *     "b"         one run, bare
 *     "s"         one run in the slot
 *     "b AT MS"   runs one after the other, from AT (nanoseconds of CLOCK_MONOTONIC) for MS milliseconds, at least one;
 *                 so two meters begin together, whichever gets its order first
 *     "s AT MS"   the same in the slot
 *
 *     → "RUNS NS SLOT_US BUSY_US": number and duration of the runs; the last two are from the slot's latest answer
 *     → "! WORDS": a run that did not end by itself with exit code 0
 *
 * With --read a bare program's stdout is read, through a pipe and a buffer as large as a slot's.
 *
 *     _meter --flood BYTES
 *
 * is a program to measure: it writes that many bytes to stdout. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"
#include "sys.h"
#include "wire.h"

#define FLOOD_CHUNK 65536U

struct meter {
    int control;
    bool reads;
    int slot; /* or -1 */
    int fds[SYS_SEND_FDS];
    size_t fd_count;
    unsigned char request[DOJ_MAX_MESSAGE];
    size_t request_size;
    char **argv;
    struct doj_result result;
    char complaint[128];
};

static char *no_environment[] = {NULL};

static uint64_t now_ns(void) {
    struct timespec time = {0, 0};

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* ---- bare -------------------------------------------------------------------------------------------------------- */

static void read_all(int fd) {
    static char buffer[STREAM_DRAIN_BYTES];
    ssize_t count;

    do
        count = read(fd, buffer, sizeof buffer);
    while (count > 0 || (count < 0 && errno == EINTR));
}

static bool well_ended(struct meter *meter, pid_t pid) {
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        snprintf(meter->complaint, sizeof meter->complaint, "it ends by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        snprintf(meter->complaint, sizeof meter->complaint, "its exit code is %d", WEXITSTATUS(status));
    return status == 0;
}

static bool run_bare(struct meter *meter, uint64_t *took_ns) {
    posix_spawn_file_actions_t actions;
    int ends[2] = {-1, -1};
    const struct launcher own = {.uid = geteuid(), .gid = getegid(), .stream_bytes = STREAM_PIPE_BYTES};
    uint64_t from;
    pid_t pid;
    int error;
    bool good;

    if (meter->argv == NULL) {
        snprintf(meter->complaint, sizeof meter->complaint, "no program was named");
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    if (meter->reads && (stream_pipe(&own, ends) != 0 || fcntl(ends[0], F_SETFL, 0) != 0 ||
                         posix_spawn_file_actions_adddup2(&actions, ends[1], 1) != 0)) {
        snprintf(meter->complaint, sizeof meter->complaint, "there is no pipe for it: errno %d", errno);
        return false;
    }
    from = now_ns();
    error = posix_spawn(&pid, meter->argv[0], meter->reads ? &actions : NULL, NULL, meter->argv, no_environment);
    if (meter->reads) {
        sys_close(&ends[1]);
        if (error == 0)
            read_all(ends[0]);
    }
    good = error == 0 && well_ended(meter, pid);
    *took_ns += now_ns() - from;
    sys_close(&ends[0]);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        snprintf(meter->complaint, sizeof meter->complaint, "it cannot be executed (%s)", strerror(error));
    return good;
}

/* ---- in the slot ------------------------------------------------------------------------------------------------- */

/* The socket is shared with the node, which never waits in a receive. */
static ssize_t receive_answer(int slot, unsigned char *message, size_t size) {
    struct pollfd watched = {.fd = slot, .events = POLLIN};
    ssize_t count;

    do {
        while (poll(&watched, 1, -1) < 0 && errno == EINTR)
            ;
        count = recv(slot, message, size, 0);
    } while (count < 0 && (errno == EAGAIN || errno == EINTR));
    return count;
}

/* Discards the kept output, as the node does after each run. */
static void forget_output(const struct meter *meter) {
    if (meter->result.stdout_len + meter->result.stderr_len == 0)
        return;
    for (size_t i = 1; i < 3 && i < meter->fd_count; i++)
        if (ftruncate(meter->fds[i], 0) != 0 || lseek(meter->fds[i], 0, SEEK_SET) != 0)
            continue; /* no memfd: it keeps nothing */
}

static bool run_in_slot(struct meter *meter, uint64_t *took_ns) {
    unsigned char message[DOJ_RESULT_SIZE + 1];
    const struct doj_result *result = &meter->result;
    uint64_t from = now_ns();
    int error = sys_send(meter->slot, meter->request, meter->request_size, meter->fds, meter->fd_count);
    ssize_t size = error == 0 ? receive_answer(meter->slot, message, sizeof message) : 0;

    *took_ns += now_ns() - from;
    if (size <= 0 || doj_decode_result(message, (size_t)size, &meter->result) != 0) {
        snprintf(meter->complaint, sizeof meter->complaint, "the sandbox fell");
        return false;
    }
    forget_output(meter);
    if (result->fault.step[0] == 0 && result->ended_by == DOJ_ENDED_ITSELF && result->exit_code == 0 &&
        result->exit_signal == 0)
        return true;
    snprintf(meter->complaint, sizeof meter->complaint,
             "in the sandbox it ended with exit code %u, signal %u, cause %u, fault %.31s", result->exit_code,
             result->exit_signal, result->ended_by, result->fault.step[0] != 0 ? result->fault.step : "none");
    return false;
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

static bool answer(const struct meter *meter, const char *text) {
    return send(meter->control, text, strlen(text), MSG_NOSIGNAL) >= 0;
}

static void sleep_until(uint64_t ns) {
    const struct timespec time = {(time_t)(ns / 1000000000U), (long)(ns % 1000000000U)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

/* Of many runs the whole time counts: a meter that began late has run less, not faster. */
static bool handle_order(struct meter *meter, const char *order) {
    unsigned long long at = 0;
    unsigned long long ms = 0;
    bool many = sscanf(order + 1, "%llu %llu", &at, &ms) == 2;
    uint64_t took_ns = 0;
    uint64_t runs = 0;
    char text[160];

    if (many)
        sleep_until(at);
    do {
        if (order[0] == 'b' ? !run_bare(meter, &took_ns) : meter->slot < 0 || !run_in_slot(meter, &took_ns)) {
            snprintf(text, sizeof text, "! %s", meter->complaint);
            return answer(meter, text);
        }
        runs++;
    } while (many && now_ns() < at + ms * 1000000U);
    snprintf(text, sizeof text, "%llu %llu %llu %llu", (unsigned long long)runs,
             (unsigned long long)(many ? now_ns() - at : took_ns), (unsigned long long)meter->result.slot_us,
             (unsigned long long)meter->result.busy_us);
    return answer(meter, text);
}

static int serve(struct meter *meter) {
    char order[64];

    if (meter->slot >= 0) {
        ssize_t size = recv(meter->control, meter->request, sizeof meter->request, 0);

        if (size <= 0)
            return 0;
        meter->request_size = (size_t)size;
    }
    for (;;) {
        ssize_t size = recv(meter->control, order, sizeof order - 1, 0);

        if (size <= 0)
            return 0; /* the measuring process is gone */
        order[size] = 0;
        if (!handle_order(meter, order))
            return 0;
    }
}

static int flood(uint64_t bytes) {
    static char chunk[FLOOD_CHUNK];

    memset(chunk, 'x', sizeof chunk);
    while (bytes > 0) {
        size_t size = bytes < sizeof chunk ? (size_t)bytes : sizeof chunk;

        if (sys_write_all(1, chunk, size) != 0)
            return 1;
        bytes -= size;
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct meter meter = {.slot = -1};
    int at = 2;

    if (argc == 3 && strcmp(argv[1], "--flood") == 0)
        return flood(strtoull(argv[2], NULL, 10));
    if (argc < 4)
        goto usage;
    meter.control = atoi(argv[1]);
    if (strcmp(argv[at], "--read") == 0) {
        meter.reads = true;
        at++;
    }
    if (at + 1 < argc && strcmp(argv[at], "--slot") == 0) {
        meter.slot = atoi(argv[at + 1]);
        for (at += 2; at < argc && strcmp(argv[at], "--") != 0 && meter.fd_count < SYS_SEND_FDS; at++)
            meter.fds[meter.fd_count++] = atoi(argv[at]);
    }
    if (at + 1 >= argc || strcmp(argv[at], "--") != 0)
        goto usage;
    meter.argv = argv + at + 1;
    /* a bare program gets the same descriptors as one in a slot: stdin, stdout, stderr */
    fcntl(meter.control, F_SETFD, FD_CLOEXEC);
    if (meter.slot >= 0)
        fcntl(meter.slot, F_SETFD, FD_CLOEXEC);
    for (size_t i = 0; i < meter.fd_count; i++)
        fcntl(meter.fds[i], F_SETFD, FD_CLOEXEC);
    return serve(&meter);

usage:
    fprintf(stderr, "_meter: started by `deepoj bench sandbox`, not by hand\n");
    return 2;
}
