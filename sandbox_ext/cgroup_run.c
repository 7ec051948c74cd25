/* The group of one run: its limits, its figures, its removal. See cgroup.c. */
#define _GNU_SOURCE
#include "cgroup_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_internal.h"
#include "proctext.h"
#include "sys.h"

#define RETIRED_MAX 16U

static int write_number(int dir, const char *file, uint64_t number) {
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return sys_write_file(dir, file, text);
}

int cgroup_run_create(int parent, unsigned slot, struct cgroup_run *run) {
    static unsigned long serial;
    int error;

    *run = (struct cgroup_run){.dir = -1, .cpu_stat = -1, .memory_current = -1};
    /* with the pid, since the serial of a renewed slot begins at 0 again */
    snprintf(run->name, sizeof run->name, "%u-%d-%lu", slot, (int)getpid(), serial++);
    if (mkdirat(parent, run->name, 0755) != 0) {
        run->name[0] = 0;
        return -errno;
    }
    run->dir = openat(parent, run->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->dir < 0)
        return -errno;
    run->cpu_stat = openat(run->dir, "cpu.stat", O_RDONLY | O_CLOEXEC);
    if (run->cpu_stat < 0)
        return -errno;
    if (faccessat(run->dir, "memory.peak", R_OK, 0) != 0)
        run->memory_current = openat(run->dir, "memory.current", O_RDONLY | O_CLOEXEC);
    error = write_number(run->dir, "memory.oom.group", 1);
    if (error == 0) {
        error = write_number(run->dir, "memory.swap.max", 0);
        if (error == -ENOENT) /* a kernel without swap accounting */
            error = 0;
    }
    return error;
}

int cgroup_run_limit(struct cgroup_run *run, const struct doj_limits *limits) {
    int error = write_number(run->dir, "memory.max", limits->memory_bytes);

    return error != 0 ? error : write_number(run->dir, "pids.max", limits->processes);
}

int cgroup_run_rate(const struct cgroup_run *run, const struct cgroup_rates *rates) {
    int error = rates->cpu_max == NULL ? 0 : sys_write_file(run->dir, "cpu.max", rates->cpu_max);

    for (size_t i = 0; i < rates->io_max_count && error == 0; i++)
        error = sys_write_file(run->dir, "io.max", rates->io_max[i]);
    return error;
}

uint64_t cgroup_run_sample(struct cgroup_run *run) {
    char text[64];
    ssize_t size;

    if (run->memory_current >= 0 && (size = pread(run->memory_current, text, sizeof text - 1, 0)) > 0) {
        uint64_t now;

        text[size] = 0;
        now = strtoull(text, NULL, 10);
        run->peak_bytes = now > run->peak_bytes ? now : run->peak_bytes;
    }
    return cgroup_usage_us(run->cpu_stat);
}

void cgroup_run_kill(const struct cgroup_run *run) {
    if (run->dir >= 0)
        (void)sys_write_file(run->dir, "cgroup.kill", "1"); /* if it fails: the init is asked to kill, too */
}

int cgroup_run_collect(struct cgroup_run *run, uint64_t *cpu_us, uint64_t *peak_bytes, uint32_t *oom_kill,
                       uint32_t *foreign_kill) {
    char text[512];
    uint32_t killed;
    ssize_t size;
    bool own;

    if (pread(run->cpu_stat, text, 1, 0) <= 0)
        return -EIO; /* an end of file has no errno */
    *cpu_us = cgroup_run_sample(run);
    size = sys_read_file(run->dir, "memory.events", text, sizeof text);
    if (size < 0)
        return (int)size;
    killed = (uint32_t)proctext_number(text, "oom_kill"); /* at any limit, or the host's */
    own = proctext_number(text, "oom") > 0;               /* at this group's limit       */
    *oom_kill = own ? killed : 0;
    *foreign_kill = own ? 0 : killed;
    *peak_bytes = run->peak_bytes;
    if (run->memory_current >= 0)
        return 0;
    size = sys_read_file(run->dir, "memory.peak", text, sizeof text);
    if (size > 0)
        *peak_bytes = strtoull(text, NULL, 10);
    return size > 0 ? 0 : size < 0 ? (int)size : -EIO;
}

static char retired[RETIRED_MAX][sizeof((struct cgroup_run *)0)->name];
static size_t retired_count;

void cgroup_run_retire(struct cgroup_run *run) {
    sys_close(&run->memory_current);
    sys_close(&run->cpu_stat);
    sys_close(&run->dir);
    if (run->name[0] != 0 && retired_count < RETIRED_MAX)
        memcpy(retired[retired_count++], run->name, sizeof run->name);
    run->name[0] = 0;
}

void cgroup_run_sweep(int parent, bool last) {
    size_t left = 0;

    for (size_t i = 0; i < retired_count; i++) {
        if (unlinkat(parent, retired[i], AT_REMOVEDIR) == 0 || errno != EBUSY)
            continue;
        /* killed processes are still exiting: wait for them if the list is half full, or if this is the last chance */
        if ((last || retired_count > RETIRED_MAX / 2) && cgroup_remove_group(parent, retired[i]) == 0)
            continue;
        if (left != i)
            memcpy(retired[left], retired[i], sizeof retired[i]);
        left++;
    }
    retired_count = left;
}
