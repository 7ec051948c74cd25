/* A slot: the process that serves one place. */
#ifndef DEEPOJ_SLOT_H
#define DEEPOJ_SLOT_H

#include "bare.h"
#include "cell.h"
#include "cgroup_run.h"
#include "hold.h"
#include "sampler.h"
#include "scratch.h"
#include "stream.h"

/* Exit code of a slot whose cell is spent: the launcher starts another slot at the same socket. */
#define SLOT_RENEW 77
/* The same for a slot that never ran anything. If it repeats, the host is at fault. */
#define SLOT_UNUSED 78

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
    struct sampler sampler; /* of the current run */
    char drain[STREAM_DRAIN_BYTES];
    struct bare_words words; /* of the current run, at weak */
};

/* Serves one slot over its socket until the socket or the cell ends. */
_Noreturn void slot_main(const struct launcher *launcher, unsigned number, enum doj_policy policy, int sock);

#endif
