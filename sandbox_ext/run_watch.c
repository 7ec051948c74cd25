/* Theory of operation
 *
 * Answers calls of the run that wait for the slot (watch.c).
 *
 * Actions of SIGCHLD are let go on, and looked at: disown.c.
 *
 * Pipes are bounded where all slots have one user, because the node is no root. The kernel counts the pages of pipes for
 * a user. Once a user has more than fs.pipe-user-pages-soft, its new pipes have two pages, and a neighbour that writes
 * more than 8 KiB into one before it reads hangs. So each run may hold launcher->pipes of them, and all runs together
 * half of what the kernel gives the user. The next pipe is refused as if the process had too many descriptors. Each call
 * is counted. When the count reaches the bound, it is replaced by the number of pipes that the run has open. Only then
 * are they looked for, so a shell that makes thousands of pipes one after the other pays for few looks. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "bare.h"
#include "disown.h"
#include "run_internal.h"

static bool may_make_pipe(struct run *run) {
    unsigned bound = run->slot->launcher->pipes;

    if (run->pipes >= bound)
        run->pipes = sampler_count_pipes(run->sampler, run->request->limits.open_files);
    if (run->pipes >= bound)
        return false;
    run->pipes++;
    return true;
}

static void note_action(struct run *run, const struct watched_call *call) {
    const struct slot *slot = run->slot;

    if (run->loses_children || !disown_is_possible(call, slot->launcher->host_proc, getpid(), slot->cell.init))
        return;
    run->loses_children = true;
    sampler_lose(run->sampler, slot->launcher->host_proc, getpid(), slot->cell.init);
    run->next_sample_us = sys_now_us();
}

void run_hear(struct run *run) {
    const struct launcher *launcher = run->slot->launcher;
    uint64_t before_us = sys_cpu_us();
    struct watched_call call;
    int refusal = 0;

    if (!watch_receive(run->slot->cell.watched, &call))
        return;
    bare_become_payload(launcher);
    if (!call.pipes)
        note_action(run, &call);
    else if (!may_make_pipe(run))
        refusal = EMFILE;
    bare_become_root(launcher);
    watch_answer(run->slot->cell.watched, &call, refusal);
    run->heard_us += saturating_sub(sys_cpu_us(), before_us);
}
