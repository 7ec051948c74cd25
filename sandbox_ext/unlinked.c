/* Theory of operation
 *
 * At `weak` the scratch is a directory of the host's, and its use is measured by names (bare_scratch.c). A file that a
 * program has removed has no name, but keeps its blocks while a descriptor or a mapping refers to it. /proc lists both.
 * So each descriptor of each thread (a thread may have a table of its own) is checked for a regular file without a
 * name. No text tells the size of a file that is only mapped: MAX_MAPPED of them are allowed, each as large as
 * RLIMIT_FSIZE allows. Of both kinds together MAX_FILES are allowed.
 *
 * Not seen: descriptors in flight through a socket. The kernel bounds those of one user by RLIMIT_NOFILE.
 *
 * To read these files we need the right to trace, or the payload's user (bare_become_payload). A program that is still
 * inaccessible was started from a file that it cannot read itself. Honest programs are not, and an inaccessible one
 * could hold any files. So it counts as over the limit. */
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
#include <unistd.h>

#include "bare.h"
#include "proctext.h"
#include "sys.h"

#define MAX_FILES 256U
#define MAX_MAPPED 16U

struct files {
    uint64_t bytes;
    unsigned count;
    unsigned mapped; /* of those, the ones without any descriptor */
    bool closed;     /* a process was inaccessible */
    ino_t inodes[MAX_FILES];
};

/* Records that a task is inaccessible, if errno says so and it is not exiting: an exiting task is inaccessible to
 * all. */
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

/* Parses a line of maps: range, rights, offset, device, inode, path. */
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
    for (size_t i = 0; i < run->sampler->seen_count; i++) /* after all descriptors, which tell the size, too */
        look_at_mappings(run, files, &run->sampler->seen[i]);
}

bool unlinked_fit(const struct unlinked_run *run, uint64_t *bytes) {
    struct files files;

    bare_become_payload(run->launcher);
    look(run, &files);
    bare_become_root(run->launcher);
    if (files.closed && run->launcher->blind)
        look(run, &files); /* it may lack only the right to choose cores */
    if (files.closed || files.mapped > MAX_MAPPED || files.count > MAX_FILES || files.bytes > *bytes)
        return false;
    *bytes -= files.bytes;
    return true;
}
