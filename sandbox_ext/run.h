/* One run of a slot, from request to answer; see run.c. */
#ifndef DEEPOJ_RUN_H
#define DEEPOJ_RUN_H

#include "slot.h"

/* Runs one request with its descriptors. They stay the caller's, except those that are -1 afterwards. Afterwards the
 * cell is empty or spent. Returns false when the node is gone, so that no answer is needed. */
bool run_perform(struct slot *slot, const struct doj_request *request, int *fds, struct doj_result *result);

/* Number of processes that the host has killed for lack of memory since its boot. */
uint64_t run_host_kills(const struct launcher *launcher);

/* CPU time of all runs of this slot so far, as counted by a group, or 0. Never too much. */
uint64_t run_counted_us(const struct slot *slot);

#endif
