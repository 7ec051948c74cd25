/* A slot and the run that it has in hand. */
#ifndef DEEPOJ_SLOT_H
#define DEEPOJ_SLOT_H

#include "bare.h"
#include "cell.h"
#include "cgroup.h"
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
    struct cgroup_run spare; /* made ahead; its dir is -1 when there is none */
    uint64_t host_kills;     /* by the host's out-of-memory killer, when we last looked */
    int oom_score;           /* ours, which payloads are born with */
    char own_oom_score[16];  /* what it was when we came */
    unsigned cores;
    int cpu; /* of those, where a run of many tasks stays; -1 when there is no other */
    int cpu_stat;        /* of the group that counts us, our init and all runs, or -1 */
    uint64_t counted_us; /* by it, for all runs so far */
    uint64_t busy_us;
    char drain[STREAM_DRAIN_BYTES];
    struct bare_words words; /* of the run in hand, at weak */
};

/* Runs one request with its descriptors, which stay the caller's, but for those that are -1 afterwards. The cell is empty afterwards, or spent. False when the
 * node is gone: the answer is for nobody. */
bool run_perform(struct slot *slot, const struct doj_request *request, int *fds, struct doj_result *result);

/* How many processes the host has killed for want of memory, ever. */
uint64_t run_host_kills(const struct launcher *launcher);

/* CPU of all runs of this slot so far, as far as a group counts it, or 0: never too much. */
uint64_t run_counted_us(const struct slot *slot);

#endif
