/* Starts a run: makes its files, input, streams and group ready, clones the payload, plans the first sample. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_internal.h"

static void prepare_streams(struct run *run) {
    const struct doj_request *request = run->request;
    int *pipes = run->slot->cell.pipes;

    run->streams[0] = (struct stream){.pipe = pipes[0],
                                      .keep = run->fds[1],
                                      .whole = (request->flags & DOJ_FLAG_STDOUT_TO) ? run->fds[3] : -1,
                                      .keep_bytes = request->limits.keep_stdout_bytes,
                                      .whole_bytes = request->limits.output_bytes};
    run->streams[1] = (struct stream){
        .pipe = pipes[2], .keep = run->fds[2], .whole = -1, .keep_bytes = request->limits.keep_stderr_bytes};
    run->payload.stdout_fd = pipes[1];
    run->payload.stderr_fd = pipes[3];
    if (is_joined(run)) { /* the cell's own stdout pipe is not used */
        sys_close(&run->streams[0].pipe);
        sys_close(&pipes[1]);
        run->payload.stdout_fd = run->fds[3];
        run->fds[3] = -1;
    }
    pipes[0] = pipes[1] = pipes[2] = pipes[3] = -1;
}

static int prepare_group(struct run *run) {
    struct slot *slot = run->slot;

    if (slot->launcher->cgroup < 0)
        return 0;
    run->grouped = true;
    run->group = slot->spare;
    slot->spare = (struct cgroup_run){.dir = -1, .cpu_stat = -1, .memory_current = -1};
    if (run->group.dir < 0) {
        int error = cgroup_run_create(slot->launcher->cgroup, slot->number, &run->group);

        if (error != 0)
            return error;
    }
    return cgroup_run_limit(&run->group, &run->request->limits);
}

/* The kernel charges the page cache of a file to the group that reads it first. The input would count as the program's
 * memory, up to its limit. So we read it before. */
static int warm_input(const struct run *run) {
    struct stat status;
    off_t at = 0;
    ssize_t count = 1;

    if (!run->grouped || fstat(run->payload.stdin_fd, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    while (count > 0) {
        count = pread(run->payload.stdin_fd, run->slot->drain, STREAM_DRAIN_BYTES, at);
        at += count;
    }
    return count < 0 ? -errno : 0;
}

static void touch(void *memory, size_t size) {
    for (size_t at = 0; at < size; at += 4096)
        ((volatile char *)memory)[at] = 0;
}

/* A payload begins in our memory, so the kernel's peak for it begins with all pages that we have ever touched. If only
 * runs with much output, or with many processes, touched these, each later run would have a higher peak, and could
 * tell. So we touch them before every run. */
static void touch_buffers(struct slot *slot) {
    touch(&slot->sampler, sizeof slot->sampler);
    touch(slot->drain, sizeof slot->drain);
}

static int take_output(struct run *run) {
    const struct slot *slot = run->slot;

    if (!is_joined(run))
        return 0;
    run->held = hold_take(&slot->hold, slot->launcher->host_proc, run->payload.stdout_fd);
    return run->held < 0 ? run->held : 0;
}

void run_prepare(struct run *run) {
    struct slot *slot = run->slot;
    size_t files = 3U + (run->request->flags != 0 ? 1U : 0U);
    const char *step = "cell";
    int error;

    if (slot->cell.fault.step[0] != 0) {
        run->result->fault = slot->cell.fault;
        return;
    }
    touch_buffers(slot);
    error = cell_settle(&slot->cell);
    if (error == 0) {
        prepare_streams(run);
        step = "files_in";
        error = scratch_fill(&slot->cell, &slot->store, run->request, run->fds + files);
    }
    if (error == 0) {
        step = "stdin";
        run->payload.stdin_fd = scratch_input(&slot->cell, run->fds[0]);
        error = run->payload.stdin_fd < 0 ? run->payload.stdin_fd : 0;
    }
    if (error == 0) {
        step = "cgroup";
        error = prepare_group(run);
    }
    if (error == 0 && run->grouped && slot->cell.policy == DOJ_POLICY_RUN) {
        step = "rates";
        error = cgroup_run_rate(&run->group, &slot->launcher->rates);
    }
    if (error == 0 && slot->launcher->weak) {
        step = "words";
        error = bare_place(&slot->cell, run->request, &slot->words);
        run->payload.argv = slot->words.argv;
        run->payload.env = slot->words.env;
        if (error == 0 && fstat(run->payload.stdin_fd, &slot->cell.bare.input) != 0)
            error = -errno;
    }
    if (error == 0) {
        step = "read_input";
        error = warm_input(run);
    }
    if (error == 0) {
        step = "hold_output";
        error = take_output(run);
    }
    if (error != 0)
        fault(run, step, error);
}

/* Sets the score that the run inherits, so that the host's out-of-memory killer chooses the run first. */
static void set_oom_score(const struct slot *slot, const char *score) {
    if (slot->oom_score >= 0 && pwrite(slot->oom_score, score, strlen(score), 0) < 0)
        return; /* then the killer chooses by its own rules */
}

static void open_sampler(struct run *run) {
    const struct slot *slot = run->slot;

    if (slot->cell.proc >= 0)
        sampler_open(run->sampler, slot->cell.proc);
    else
        sampler_open_tree(run->sampler, slot->launcher->host_proc, getpid(), slot->cell.init);
    if (slot->cpu_stat < 0 && (slot->launcher->counting >= 0 || slot->cell.watched < 0) && !run->grouped) {
        run->loses_children = true;
        sampler_lose(run->sampler, slot->launcher->host_proc, getpid(), slot->cell.init);
    }
}

void run_start(struct run *run) {
    struct payload *payload = &run->payload;
    struct slot *slot = run->slot;

    slot->cell.tally->cpu_us = 0;
    slot->cell.tally->maxrss_bytes = 0;
    set_oom_score(slot, "1000");
    run->pid = sys_spawn(child_main, payload, run->grouped ? run->group.dir : -1, &run->pidfd);
    set_oom_score(slot, slot->own_oom_score);
    /* Not the other two: if ours were closed now, the payload's end would also end its pipes, and wake us once more. */
    sys_close(&payload->stdin_fd);
    if (is_joined(run))
        sys_close(&payload->stdout_fd); /* the payload's alone from now on */
    if (run->pid < 0) {
        fault(run, "clone", run->pid);
        return;
    }
    if (payload->step != NULL)
        fault(run, payload->step, payload->error);
    else if (!payload->ready) /* killed from outside before exec: a memory controller with too little memory */
        fault(run, "payload_died", -ECHILD);
    if (is_faulted(run)) {
        run_reap(run, 0);
        run->result->exit_code = run->result->exit_signal = 0; /* of our own setup code: there was no program */
        run->result->wall_us = 0;
        return;
    }
    open_sampler(run);
    run->own_us = run_own_us(slot);
    run->wall_end_us = payload->monotonic_us + run->request->limits.wall_us + 1;
    run->next_wait_us = payload->monotonic_us + MANY_TASKS_EVERY_US;
    run->next_sample_us = payload->monotonic_us + SAMPLE_US;
    if (slot->launcher->process_quota || run->grouped)
        run->next_sample_us = payload->monotonic_us + least(LAZY_SAMPLE_US, run->request->limits.memory_bytes /
                                                                                (TOUCH_BYTES_US * slot->cores));
}
