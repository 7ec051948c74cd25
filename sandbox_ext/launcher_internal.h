/* The launcher's options, and the functions that the launcher*.c files share. */
#ifndef DEEPOJ_LAUNCHER_INTERNAL_H
#define DEEPOJ_LAUNCHER_INTERNAL_H

#include <sys/wait.h>

#include "launcher.h"

#define MAX_SLOTS 512U
#define MAX_MOUNTS 64U
#define MAX_DISKS 64U

/* Features that options can exclude. Each value is also the option's getopt code, below the codes of letters. */
enum {
    NO_CGROUP,
    NO_PROCESS_QUOTA,
    NO_COUNTING,
    NO_PROC,
    NO_HOSTNAME,
    NO_IPC_NAMESPACE,
    NO_CGROUP_NAMESPACE,
    NO_PIVOT,
    NO_ROOT,
    NO_RATES,
    WITHOUT_COUNT,
};

struct options {
    int control;
    struct place {
        int sock;
        enum doj_policy policy;
        pid_t slot;
        unsigned unused; /* consecutive slots that ended before they ran anything */
    } places[MAX_SLOTS];
    unsigned place_count;
    char *mounts[MAX_MOUNTS];
    unsigned mount_count;
    char *cpu_max; /* for each program, or NULL */
    char *io_max[MAX_DISKS];
    unsigned io_max_count;
    char *headers; /* not at weak, where no path can be shown at another place */
    uid_t uid;
    gid_t gid;
    bool weak;
    bool without[WITHOUT_COUNT];
};

static inline bool is_exit(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

/* Parses the command line (launcher_options.c). Returns 0, or -EINVAL. */
int launcher_parse(int argc, char **argv, struct options *options);

/* Sets up the launcher (launcher_setup.c). Returns 0, or a negative errno with the step that failed in `fault`. Writes
 * a sentence about cgroups to `why`. At weak `*home` is the lock of the slots' directory (bare_home). */
int launcher_set_up(struct launcher *launcher, const struct options *options, char *why, size_t size, int *home,
                    struct doj_fault *fault);

#endif
