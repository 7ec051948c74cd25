/* Suspends programs at some of their calls until we answer. */
#ifndef DEEPOJ_WATCH_H
#define DEEPOJ_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watched_call {
    uint64_t id;
    pid_t pid;  /* the calling task */
    bool pipes; /* pipe or pipe2; else rt_sigaction */
    uint64_t args[2];
};

/* From now on a descendant of ours is suspended until we answer when it sets the action of SIGCHLD (`actions`), or
 * makes a pipe (`pipes`). So are we. Returns the descriptor for these notifications, or -errno. Must be called before
 * a filter refuses it. */
int watch_open(bool actions, bool pipes);

/* Reads one call. Returns false if the caller is gone. */
bool watch_receive(int listener, struct watched_call *call);

/* Lets the caller go on, or refuses its call with an errno. */
void watch_answer(int listener, const struct watched_call *call, int refusal);

#endif
