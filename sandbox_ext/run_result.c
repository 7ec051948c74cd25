/* Completes the result of a run that has ended: the rest of its output, its final figures, its files. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>

#include "proctext.h"
#include "run_internal.h"

/* Reads the rest of both pipes. No writer is left, so a pipe holds at most its capacity. */
static void drain_rest(struct run *run) {
    for (int i = 0; i < 2; i++)
        for (int tries = 0; run->streams[i].pipe >= 0 && tries < 4096; tries++) {
            uint64_t before = run->streams[i].length;

            run_drain(run, &run->streams[i]);
            if (run->streams[i].length == before)
                break;
        }
}

uint64_t run_host_kills(const struct launcher *launcher) {
    char text[16384];

    return sys_read_file(launcher->host_proc, "vmstat", text, sizeof text) > 0 ? proctext_number(text, "oom_kill") : 0;
}

/* Returns whether the host has killed a process for lack of memory since the last check. Without a group, a program
 * that kills itself by SIGKILL looks the same. The count is read only after a SIGKILL. So an earlier kill of another
 * program may be taken for this one's. That costs an attempt, not the verdict. */
static uint32_t host_kills_since(struct run *run) {
    struct slot *slot = run->slot;
    uint64_t before = slot->host_kills;

    if (run->grouped || run->result->exit_signal != SIGKILL || run->result->ended_by != DOJ_ENDED_ITSELF)
        return 0;
    slot->host_kills = run_host_kills(slot->launcher);
    return slot->host_kills > before;
}

static void settle_usage(struct run *run, uint32_t *foreign_kill) {
    const struct cell_tally *tally = run->slot->cell.tally;
    struct doj_result *result = run->result;
    uint64_t cpu = sys_to_us(run->usage.ru_utime) + sys_to_us(run->usage.ru_stime) + tally->cpu_us;
    uint64_t peak = (uint64_t)run->usage.ru_maxrss * 1024U;

    *foreign_kill = host_kills_since(run);
    if (run->grouped) {
        int error = cgroup_run_collect(&run->group, &cpu, &result->memory_bytes, &result->oom_kill, foreign_kill);

        if (error != 0)
            fault(run, "cgroup_figures", error);
        peak = 0;
    }
    cpu = saturating_sub(cpu, run->payload.cpu_us);
    if (!run->grouped && result->wall_us > COUNT_SLACK_US)
        cpu = run_at_least_counted(run, cpu);
    cpu += run_heard_too_much_us(run);
    result->cpu_us = cpu > result->cpu_us ? cpu : result->cpu_us;
    peak = tally->maxrss_bytes > peak && !run->grouped ? tally->maxrss_bytes : peak;
    result->memory_bytes = peak > result->memory_bytes ? peak : result->memory_bytes;
}

static void copy_out(struct run *run) {
    const struct doj_request *request = run->request;
    size_t first = doj_request_fds(request) - request->files_out_count;

    for (uint32_t i = 0; i < request->files_out_count; i++) {
        bool copied;
        int error = scratch_copy_out(run->slot->cell.scratch, &request->files_out[i], run->fds[first + i], &copied);

        if (error != 0)
            fault(run, "files_out", error);
        else if (copied)
            run->result->files_out |= 1U << i;
    }
}

void run_collect(struct run *run) {
    struct doj_result *result = run->result;
    uint32_t foreign_kill;

    drain_rest(run);
    result->stderr_len = run->streams[1].length;
    result->stdout_len =
        is_joined(run) ? saturating_sub(run->written_bytes, result->stderr_len) : run->streams[0].length;
    settle_usage(run, &foreign_kill);
    /* not ENOMEM, which is retried: a program that needs more memory than the host has would be retried endlessly */
    if (foreign_kill > 0 && result->ended_by == DOJ_ENDED_ITSELF &&
        (result->exit_signal != 0 || result->exit_code != 0))
        fault(run, "killed_by_host", -ECHILD);
    if (!is_faulted(run) && result->ended_by == DOJ_ENDED_ITSELF)
        copy_out(run);
}
