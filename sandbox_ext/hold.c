/* Theory of operation
 *
 * A slot keeps the writing end of its joined run open until it has recorded the time of the run's end (run.c). But a
 * program may close its output and go on, and the other run must then read the end of its input. So the slot keeps a
 * file description of its own, and watches the program's. An epoll set drops a file description at the moment when its
 * last descriptor is closed, in any process. /proc lists the descriptions that are still in the set. inotify would tell
 * the same, but the policy refuses it, and the slot lives under the policy.
 *
 * An exit closes descriptors, too. The kernel marks a thread as exiting before it closes any. So if the output is
 * closed and a thread of the payload is not exiting, a living program has closed it, and the slot closes its own end.
 * Otherwise the end of the payload is about to be reported, and the slot closes its end then. If a program has opened
 * its output a second time (/dev/stdout) and closed the first description, its output is no longer watched. The other
 * side still reads the end when the last one is closed, but of two ends at nearly the same time either may come
 * first. */
#define _GNU_SOURCE
#include "hold.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proctext.h"
#include "sys.h"

void hold_open(struct hold *hold, int host_proc) {
    char path[64];

    hold->listing = -1;
    hold->watch = epoll_create1(EPOLL_CLOEXEC);
    if (hold->watch < 0)
        return;
    snprintf(path, sizeof path, "self/fdinfo/%d", hold->watch);
    hold->listing = openat(host_proc, path, O_RDONLY | O_CLOEXEC);
    if (hold->listing < 0)
        sys_close(&hold->watch);
}

int hold_take(const struct hold *hold, int host_proc, int output) {
    struct epoll_event nothing = {.events = 0};
    char path[64];
    int fd;

    if (hold->watch < 0)
        return -EBADF;
    snprintf(path, sizeof path, "self/fd/%d", output);
    fd = openat(host_proc, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (epoll_ctl(hold->watch, EPOLL_CTL_ADD, output, &nothing) != 0) {
        int error = -errno;

        sys_close(&fd);
        return error;
    }
    return fd;
}

static bool is_closed(const struct hold *hold) {
    char text[1024];
    ssize_t size = pread(hold->listing, text, sizeof text - 1, 0);

    if (size < 0)
        return false;
    text[size] = 0;
    return strstr(text, "tfd:") == NULL;
}

/* A thread that is gone counts as exiting. */
static bool is_exiting(int tasks, const char *name) {
    char path[288];
    char text[1024];

    snprintf(path, sizeof path, "%s/stat", name);
    return sys_read_file(tasks, path, text, sizeof text) <= 0 || proctext_is_exiting(text);
}

static bool is_going_on(int host_proc, pid_t pid) {
    char path[32];
    const struct dirent *entry;
    bool any = false;
    DIR *stream;
    int tasks;

    snprintf(path, sizeof path, "%d/task", (int)pid);
    tasks = openat(host_proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stream = tasks < 0 ? NULL : fdopendir(tasks);
    if (stream == NULL) {
        /* an end of output without an order of ends is better than none */
        bool hidden = errno != ENOENT && errno != ESRCH;

        sys_close(&tasks);
        return hidden;
    }
    while (!any && (entry = readdir(stream)) != NULL)
        any = isdigit((unsigned char)entry->d_name[0]) && !is_exiting(tasks, entry->d_name);
    closedir(stream);
    return any;
}

bool hold_is_shut(const struct hold *hold, int host_proc, pid_t pid) {
    return is_closed(hold) && is_going_on(host_proc, pid);
}
