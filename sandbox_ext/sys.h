/* Wrappers that turn system calls into "value or negative errno"; see README.md for the convention. */
#ifndef DEEPOJ_SYS_H
#define DEEPOJ_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>

#include "wire.h"

/* Forks, with a pidfd of the child. Returns 0 in the child, its pid in the parent, or -errno. `aside`: the child's end
 * sends no SIGCHLD, and only a wait that names it, or uses __WCLONE, sees it. */
pid_t sys_fork(int *pidfd, bool aside);

/* Clones a child that shares our memory and runs `start` on its own small stack. We are suspended until it has called
 * exec or ended. It is born in the cgroup, if that is not -1. Returns its pid, with its pidfd, or -errno. */
pid_t sys_spawn(int (*start)(void *), void *argument, int cgroup_fd, int *pidfd);

uint64_t sys_to_us(struct timeval time);

/* Number of cores that we may run on, at least 1. */
unsigned sys_cores(void);

/* Picks one of these cores by `number`: consecutive numbers get different cores. -1 when the kernel does not tell. */
int sys_core(unsigned number);

/* CPU time of another process, all its threads, in microseconds; 0 when it is gone. */
uint64_t sys_cpu_of_us(pid_t pid);

/* Asks the scheduler for short slices, so that we run soon beside many runnable tasks: after 2 ms beside a fork bomb,
 * where the usual slice takes 87. Before Linux 6.12 it has no effect. Our children have the usual slice. */
void sys_hurry(void);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t sys_now_us(void);

/* CPU time of the calling process in microseconds. */
uint64_t sys_cpu_us(void);

int sys_write_all(int fd, const void *bytes, size_t size);

/* Opens path below dir for writing, writes the text in one call, closes. */
int sys_write_file(int dir, const char *path, const char *text);

/* Reads at most size - 1 bytes of a small file and ends them with NUL. Returns the count. */
ssize_t sys_read_file(int dir, const char *path, char *buffer, size_t size);

/* Closes the descriptor and sets it to -1; leaves -1 alone. */
void sys_close(int *fd);

/* Closes every descriptor above 2 but those listed. */
void sys_keep_only(const int *fds, size_t count);

/* Sends one message with some descriptors, at most SYS_SEND_FDS, over a SOCK_SEQPACKET socket. */
#define SYS_SEND_FDS 4U
int sys_send(int sock, const void *bytes, size_t size, const int *fds, size_t count);

/* Receives one message. Stores its descriptors, CLOEXEC, in fds, and their number in *count. Returns 0 at the end of
 * the stream. */
ssize_t sys_receive(int sock, void *buffer, size_t size, int *fds, size_t capacity, size_t *count);

void sys_set_fault(struct doj_fault *fault, const char *step, int negative_errno);

#endif
