/* Functions that the sampler*.c files share. */
#ifndef DEEPOJ_SAMPLER_INTERNAL_H
#define DEEPOJ_SAMPLER_INTERNAL_H

#include "proctext.h"
#include "sampler.h"

static inline uint64_t sampler_to_us(const struct sampler *sampler, uint64_t ticks) {
    return ticks * 1000000U / (uint64_t)sampler->ticks_per_s;
}

/* Calls `take` for each process of the run. Returns false when the list could not be read to its end. */
bool sampler_each_process(const struct sampler *sampler, void (*take)(void *context, pid_t pid), void *context);

/* Calls `take` for each entry of a directory that is a number. Returns false when it could not be read to its end. */
bool sampler_each_number(int directory, void (*take)(void *context, pid_t number), void *context);

/* Calls `take` for each task of a process. */
void sampler_each_task(int proc, pid_t pid, void (*take)(void *context, pid_t task), void *context);

/* Reads a file of a task. Returns its length, or a negative errno. */
ssize_t sampler_read_task(const struct sampler *sampler, pid_t pid, pid_t task, const char *file, char *text,
                          size_t size);

/* Reads the stat file of a task. Returns false when the task is gone. */
bool sampler_read_stat(const struct sampler *sampler, pid_t pid, pid_t task, struct proctext_stat *figures);

/* Returns a task with memory of a process whose first thread has ended, or 0. */
pid_t sampler_living_task(const struct sampler *sampler, pid_t pid, struct proctext_stat *figures);

/* Returns the memory of a process that is in no resident set. */
uint64_t sampler_hidden(const struct sampler *sampler, const struct sampled *entry);

/* Records the figures of a process in the table. Returns its entry, or NULL when the table is full. */
struct sampled *sampler_remember(struct sampler *sampler, pid_t pid, struct proctext_stat *figures);

/* Returns the memory of all processes that are present. */
uint64_t sampler_memory(struct sampler *sampler, uint64_t memory_limit);

/* Of a run that may lose children: marks processes as present whose CPU time can still be read. The list of children
 * may have missed them, for it is complete only while no task forks or exits. */
void sampler_recheck_absent(struct sampler *sampler);

/* Removes processes that are gone from the table, and adds their CPU time to `gone_cpu_us`. Returns that of the others.
 * */
uint64_t sampler_remove_absent(struct sampler *sampler);

#endif
