/* A slot and its current run. */
#ifndef DEEPOJ_SLOT_H
#define DEEPOJ_SLOT_H

#include "bare.h"
#include "cell.h"
#include "cgroup_run.h"
#include "hold.h"
#include "scratch.h"
#include "stream.h"

struct slot {
    const struct launcher *launcher;
    unsigned number;
    int sock;
    struct cell cell;
    struct store store;
    struct hold hold;
    struct cgroup_run spare; /* created ahead of its run; its dir is -1 when there is none */
    uint64_t host_kills;     /* kills by the host's out-of-memory killer, when last read */
    int oom_score;           /* our oom_score_adj, which payloads inherit */
    char own_oom_score[16];  /* its value at our start */
    unsigned cores;
    int cpu; /* the core for a run of many tasks; -1 when there is only one core */
    int cpu_stat;        /* of the group that counts us, our init and all runs, or -1 */
    uint64_t counted_us; /* by that group, for all runs so far */
    uint64_t busy_us;
    char drain[STREAM_DRAIN_BYTES];
    struct bare_words words; /* of the current run, at weak */
};

/* Runs one request with its descriptors. They stay the caller's, except those that are -1 afterwards. Afterwards the
 * cell is empty or spent. Returns false when the node is gone, so that no answer is needed. */
bool run_perform(struct slot *slot, const struct doj_request *request, int *fds, struct doj_result *result);

/* Number of processes that the host has killed for lack of memory since its boot. */
uint64_t run_host_kills(const struct launcher *launcher);

/* CPU time of all runs of this slot so far, as counted by a group, or 0. Never too much. */
uint64_t run_counted_us(const struct slot *slot);

#endif
