/* Theory of operation
 *
 * At `weak` the scratch is a directory of the host's, and its use is measured by looking at names (bare.c). A file that a
 * program has removed has none, and keeps its blocks while a descriptor or a mapping refers to it. Both are listed in
 * /proc. So each descriptor of each thread (a thread may have a table of its own) is asked for a regular file without a
 * name. Of a file that is only mapped nothing tells the size: there may be MAX_MAPPED of them, each as large as
 * RLIMIT_FSIZE allows. Of any kind there may be MAX_FILES.
 *
 * Not seen: descriptors that are on their way through a socket. The kernel bounds those of one user by RLIMIT_NOFILE.
 *
 * Looking takes the right to trace. Root in a container often lacks it, but may look at processes of its own user: so we
 * take on the payload's user for file access (setfsuid), which gives the payload no right over us. A program that is
 * then still closed to us was started from a file that it cannot read itself. An honest one does not, and what it holds
 * could be anything: it does not fit. */
#define _GNU_SOURCE
#include "unlinked.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proctext.h"
#include "sys.h"

#define MAX_FILES 256U
#define MAX_MAPPED 16U

struct files {
    uint64_t bytes;
    unsigned count;
    unsigned mapped; /* of those, without any descriptor */
    bool closed;     /* a process could not be looked at */
    ino_t inodes[MAX_FILES];
};

/* Notes that a task cannot be looked at, if errno says so. One that is about to end is closed to everybody. */
static void note(const struct unlinked_run *run, struct files *files, const char *task) {
    char path[64];
    char text[1024];

    if (errno != EACCES && errno != EPERM)
        return;
    snprintf(path, sizeof path, "%s/stat", task);
    if (sys_read_file(run->launcher->host_proc, path, text, sizeof text) > 0 && !proctext_is_exiting(text))
        files->closed = true;
}

static bool is_known(const struct files *files, ino_t inode) {
    for (unsigned i = 0; i < files->count && i < MAX_FILES; i++)
        if (files->inodes[i] == inode)
            return true;
    return false;
}

static void add(struct files *files, ino_t inode, uint64_t bytes) {
    if (files->count < MAX_FILES)
        files->inodes[files->count] = inode;
    files->count++;
    files->bytes += bytes;
}

static DIR *open_listing(const struct unlinked_run *run, struct files *files, const char *task, const char *name) {
    char path[64];
    DIR *stream;
    int fd;

    snprintf(path, sizeof path, "%s/%s", task, name);
    fd = openat(run->launcher->host_proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        note(run, files, task);
    stream = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && stream == NULL)
        close(fd);
    return stream;
}

static const char *next_number(DIR *stream) {
    const struct dirent *entry;

    do
        entry = readdir(stream);
    while (entry != NULL && !isdigit((unsigned char)entry->d_name[0]));
    return entry == NULL ? NULL : entry->d_name;
}

static void look_at_descriptors(const struct unlinked_run *run, struct files *files, const char *task) {
    DIR *stream = open_listing(run, files, task, "fd");
    const char *name;

    while (stream != NULL && files->count <= MAX_FILES && (name = next_number(stream)) != NULL) {
        struct stat status;

        if (fstatat(dirfd(stream), name, &status, 0) != 0) {
            note(run, files, task);
            continue;
        }
        if (S_ISREG(status.st_mode) && status.st_nlink == 0 && !is_known(files, status.st_ino) &&
            (status.st_ino != run->input->st_ino || status.st_dev != run->input->st_dev))
            add(files, status.st_ino, (uint64_t)status.st_blocks * 512U);
    }
    if (stream != NULL)
        closedir(stream);
}

static void look_at_threads(const struct unlinked_run *run, struct files *files, pid_t pid) {
    char process[16];
    char path[48];
    const char *task;
    DIR *stream;

    snprintf(process, sizeof process, "%d", (int)pid);
    stream = open_listing(run, files, process, "task");
    while (stream != NULL && files->count <= MAX_FILES && (task = next_number(stream)) != NULL) {
        snprintf(path, sizeof path, "%d/task/%.16s", (int)pid, task);
        look_at_descriptors(run, files, path);
    }
    if (stream != NULL)
        closedir(stream);
}

/* A line of maps: range, rights, offset, device, inode, path. */
static bool is_mapped(const struct unlinked_run *run, const char *line, ino_t *inode) {
    static const char gone[] = " (deleted)\n";
    const size_t length = strlen(line);
    unsigned long long number;
    int path = 0;

    if (length < sizeof gone - 1 || strcmp(line + length - (sizeof gone - 1), gone) != 0 ||
        sscanf(line, "%*s %*s %*s %*s %llu %n", &number, &path) != 1 || path == 0)
        return false;
    *inode = number;
    return strncmp(line + path, run->home, strlen(run->home)) == 0;
}

static void look_at_mappings(const struct unlinked_run *run, struct files *files, const struct sampled *process) {
    char task[48];
    char path[64];
    char *line = NULL;
    size_t size = 0;
    ino_t inode;
    FILE *maps;
    int fd;

    /* a thread of it that has memory, for the first may have ended */
    snprintf(task, sizeof task, "%d/task/%d", (int)process->pid, (int)process->task);
    snprintf(path, sizeof path, "%s/maps", task);
    fd = openat(run->launcher->host_proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        note(run, files, task);
    maps = fd < 0 ? NULL : fdopen(fd, "r");
    if (fd >= 0 && maps == NULL)
        close(fd);
    while (maps != NULL && files->count <= MAX_FILES && getline(&line, &size, maps) > 0)
        if (is_mapped(run, line, &inode) && !is_known(files, inode)) {
            add(files, inode, 0);
            files->mapped++;
        }
    free(line);
    if (maps != NULL)
        fclose(maps);
}

static void look(const struct unlinked_run *run, struct files *files) {
    *files = (struct files){.bytes = 0};
    for (size_t i = 0; i < run->sampler->seen_count; i++)
        look_at_threads(run, files, run->sampler->seen[i].pid);
    for (size_t i = 0; i < run->sampler->seen_count; i++) /* after all descriptors: those tell the size */
        look_at_mappings(run, files, &run->sampler->seen[i]);
}

static void become(uid_t uid, gid_t gid) {
    /* they fail for no root alone, and then the next look fails too */
    (void)setfsgid(gid);
    (void)setfsuid(uid);
}

bool unlinked_fit(const struct unlinked_run *run, uint64_t *bytes) {
    struct files files;

    look(run, &files);
    if (files.closed && run->launcher->privileged) {
        become(run->launcher->uid, run->launcher->gid);
        look(run, &files);
        become(geteuid(), getegid());
        /* the change of user took the death signal back; a launcher that died meanwhile has closed our socket */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    }
    if (files.closed || files.mapped > MAX_MAPPED || files.count > MAX_FILES || files.bytes > *bytes)
        return false;
    *bytes -= files.bytes;
    return true;
}
