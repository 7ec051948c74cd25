/* Theory of operation
 *
 * The CPU time of a run is the larger of two sums. In one, each process counts with its last sample, also when it is
 * gone. In the other, living processes count with the children that they have waited for, and the init's count of
 * orphans is added.
 *
 * A run that may lose children (disown.c) is sampled in nanoseconds. A process that is gone counts with its last sample
 * plus the mean time between two samples. That is right on average, however short a life is: a life of a tenth of that
 * time is seen in one of ten cases, and then counts ten times its length. It is right for long lives, too. The next
 * sample is as likely at each moment, however long ago the last was. So the time from the last sample to the end has
 * the same mean. No program can avoid the moments of samples. When the host or the sampler's own work delays a sample,
 * the delay is added in full. Tasks that did not run all the time are overestimated. But all tasks that ended between
 * two samples together have had no more than all cores. */
#define _GNU_SOURCE
#include "sampler.h"
#include "sampler_internal.h"
#include "sys.h"

void sampler_lose(struct sampler *sampler, int proc, pid_t tree, pid_t ours) {
    struct sample sample;

    sampler_take(sampler, sampler->now_us, UINT64_MAX, &sample);
    sampler->loses = true;
    sampler->waited_us = sample.waited_us;
    sampler->gone_cpu_us = 0;
    sampler->seen_count = 0; /* the other /proc numbers processes differently */
    sampler->proc = proc;
    sampler->tree = tree;
    sampler->ours = ours;
    sampler->cores = sys_cores();
}

void sampler_recheck_absent(struct sampler *sampler) {
    for (size_t i = 0; sampler->loses && i < sampler->seen_count; i++) {
        struct sampled *entry = &sampler->seen[i];
        uint64_t cpu_us = entry->present ? 0 : sys_cpu_of_us(entry->pid);

        entry->present = entry->present || cpu_us > 0;
        entry->cpu_us = cpu_us > 0 ? cpu_us : entry->cpu_us;
    }
}

uint64_t sampler_remove_absent(struct sampler *sampler) {
    uint64_t live = 0;
    uint64_t tasks_gone = 0;
    size_t kept = 0;

    for (size_t i = 0; i < sampler->seen_count; i++) {
        if (!sampler->seen[i].present) {
            sampler->gone_cpu_us += sampler->seen[i].cpu_us;
            tasks_gone += sampler->seen[i].threads;
            continue;
        }
        live += sampler->seen[i].cpu_us;
        sampler->seen[kept] = sampler->seen[i];
        sampler->seen[kept++].present = false;
    }
    sampler->seen_count = kept;
    if (sampler->loses)
        sampler->gone_cpu_us += sampler->unseen_us * (tasks_gone < sampler->cores ? tasks_gone : sampler->cores);
    return live;
}
