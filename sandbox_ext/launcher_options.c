/* The command line of the launcher, which the node composes:
 *
 *     _launcher --control FD [--slot FD --compile-slot FD] … --uid N --gid N [--mount PATH] … [--headers PATH]
 *               [--cpu-max LINE] [--io-max LINE] … [--weak] [--no-rates] [--no-cgroup] [--no-process-quota]
 *               [--no-counting] [--no-proc] [--no-hostname] [--no-ipc-namespace] [--no-cgroup-namespace] [--no-pivot]
 *               [--no-root] */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "launcher_internal.h"

int launcher_parse(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        {"control", required_argument, NULL, 'c'}, {"slot", required_argument, NULL, 's'},
        {"compile-slot", required_argument, NULL, 'k'},
        {"uid", required_argument, NULL, 'u'},     {"gid", required_argument, NULL, 'g'},
        {"mount", required_argument, NULL, 'm'},   {"headers", required_argument, NULL, 'h'},
        {"cpu-max", required_argument, NULL, 'p'}, {"io-max", required_argument, NULL, 'i'},
        {"weak", no_argument, NULL, 'w'},
        {"no-cgroup", no_argument, NULL, NO_CGROUP},
        {"no-process-quota", no_argument, NULL, NO_PROCESS_QUOTA},
        {"no-counting", no_argument, NULL, NO_COUNTING},
        {"no-proc", no_argument, NULL, NO_PROC},
        {"no-hostname", no_argument, NULL, NO_HOSTNAME},
        {"no-ipc-namespace", no_argument, NULL, NO_IPC_NAMESPACE},
        {"no-cgroup-namespace", no_argument, NULL, NO_CGROUP_NAMESPACE},
        {"no-pivot", no_argument, NULL, NO_PIVOT},
        {"no-root", no_argument, NULL, NO_ROOT},
        {"no-rates", no_argument, NULL, NO_RATES},
        {NULL, 0, NULL, 0},
    };
    int name;

    *options = (struct options){.control = -1, .uid = 65534, .gid = 65534};
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (name == 'c')
            options->control = atoi(optarg);
        else if ((name == 's' || name == 'k') && options->place_count < MAX_SLOTS)
            options->places[options->place_count++] = (struct place){
                .sock = atoi(optarg), .policy = name == 's' ? DOJ_POLICY_RUN : DOJ_POLICY_COMPILE, .slot = -1};
        else if (name == 'm' && options->mount_count < MAX_MOUNTS)
            options->mounts[options->mount_count++] = optarg;
        else if (name == 'h')
            options->headers = optarg;
        else if (name == 'p')
            options->cpu_max = optarg;
        else if (name == 'i' && options->io_max_count < MAX_DISKS)
            options->io_max[options->io_max_count++] = optarg;
        else if (name == 'u')
            options->uid = (uid_t)strtoul(optarg, NULL, 10);
        else if (name == 'g')
            options->gid = (gid_t)strtoul(optarg, NULL, 10);
        else if (name == 'w')
            options->weak = true;
        else if (name >= 0 && name < WITHOUT_COUNT)
            options->without[name] = true;
        else
            return -EINVAL;
    }
    /* as root the slots use the uids below this one */
    if (options->control < 0 || options->place_count == 0 || options->uid <= options->place_count + 1 ||
        options->gid == 0)
        return -EINVAL;
    return 0;
}
