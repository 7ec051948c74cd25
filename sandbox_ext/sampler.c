/* Theory of operation
 *
 * The run's own /proc lists exactly the run's processes, so nobody escapes by being orphaned or by a new session. A
 * sample reads one stat file a process.
 *
 * Memory: resident sets summed. Forked processes share pages, and the sum counts those once for each; when a sum of
 * several passes the limit, the proportional set (each page divided by its users) is asked, which is exact and dearer.
 *
 * CPU: a process counts with what it last showed when it is gone, or, if its parent waited for it, with what the parent
 * shows for its children; the larger of both sums holds. What lives less than a sample and is never waited for stays
 * unseen here; the wall limit bounds it, and a cgroup, where there is one, counts it. */
#define _GNU_SOURCE
#include "sampler.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys.h"

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

struct figures {
    unsigned long long own_ticks;
    unsigned long long children_ticks;
    unsigned long long pages;
    unsigned threads;
};

void sampler_open(struct sampler *sampler, int proc) {
    memset(sampler, 0, sizeof *sampler);
    sampler->proc = proc;
    sampler->page_bytes = sysconf(_SC_PAGESIZE);
    sampler->ticks_per_s = sysconf(_SC_CLK_TCK);
}

static bool read_stat(const struct sampler *sampler, pid_t pid, struct figures *figures) {
    /* fields 3 to 13 skipped, 14 to 17 the CPU times, 20 the threads, 24 the resident pages: proc_pid_stat(5) */
#define SKIPPED " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
    static const char format[] = SKIPPED " %llu %llu %lld %lld %*d %*d %ld %*d %*u %*u %ld";
    char path[32];
    char text[1024];
    const char *at;
    unsigned long long user;
    unsigned long long system;
    long long children_user;
    long long children_system;
    long threads;
    long pages;

    snprintf(path, sizeof path, "%d/stat", (int)pid);
    if (sys_read_file(sampler->proc, path, text, sizeof text) <= 0)
        return false;
    /* the name may hold anything, ')' included: the last one ends it */
    at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 1, format, &user, &system, &children_user, &children_system, &threads, &pages) != 6)
        return false;
    figures->own_ticks = user + system;
    figures->children_ticks = (unsigned long long)(children_user + children_system);
    figures->pages = pages > 0 ? (unsigned long long)pages : 0;
    figures->threads = threads > 0 ? (unsigned)threads : 0;
    return true;
}

static uint64_t to_us(const struct sampler *sampler, unsigned long long ticks) {
    return ticks * 1000000U / (unsigned long long)sampler->ticks_per_s;
}

static void remember(struct sampler *sampler, pid_t pid, uint64_t cpu_us) {
    for (size_t i = 0; i < sampler->seen_count; i++) {
        if (sampler->seen[i].pid == pid) {
            sampler->seen[i].cpu_us = cpu_us;
            sampler->seen[i].present = true;
            return;
        }
    }
    if (sampler->seen_count < SAMPLER_MAX_PROCESSES) {
        sampler->seen[sampler->seen_count].pid = pid;
        sampler->seen[sampler->seen_count].cpu_us = cpu_us;
        sampler->seen[sampler->seen_count].present = true;
        sampler->seen_count++;
    }
}

/* Takes the gone ones out of the table and returns what the others use. */
static uint64_t settle(struct sampler *sampler) {
    uint64_t live = 0;
    size_t kept = 0;

    for (size_t i = 0; i < sampler->seen_count; i++) {
        if (!sampler->seen[i].present) {
            sampler->gone_cpu_us += sampler->seen[i].cpu_us;
            continue;
        }
        live += sampler->seen[i].cpu_us;
        sampler->seen[kept] = sampler->seen[i];
        sampler->seen[kept++].present = false;
    }
    sampler->seen_count = kept;
    return live;
}

/* The proportional set of one process in bytes, or 0 when it cannot be read. */
static uint64_t proportional(const struct sampler *sampler, pid_t pid) {
    char path[40];
    char text[1024];
    const char *at;

    snprintf(path, sizeof path, "%d/smaps_rollup", (int)pid);
    if (sys_read_file(sampler->proc, path, text, sizeof text) <= 0 || (at = strstr(text, "\nPss:")) == NULL)
        return 0;
    return strtoull(at + 5, NULL, 10) * 1024U;
}

static uint64_t proportional_sum(const struct sampler *sampler) {
    uint64_t sum = 0;

    for (size_t i = 0; i < sampler->seen_count; i++)
        sum += proportional(sampler, sampler->seen[i].pid);
    return sum;
}

void sampler_take(struct sampler *sampler, uint64_t memory_limit, struct sample *sample) {
    _Alignas(8) char buffer[8192];
    uint64_t waited_us = 0;
    uint64_t live_us;
    uint64_t tracked_us;
    long size;

    memset(sample, 0, sizeof *sample);
    if (sampler->proc < 0 || lseek(sampler->proc, 0, SEEK_SET) < 0)
        return;
    while ((size = syscall(SYS_getdents64, sampler->proc, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < size;) {
            const struct directory_entry *entry = (const void *)(buffer + at);
            struct figures figures;
            pid_t pid;

            at += entry->length;
            if (!isdigit((unsigned char)entry->name[0]) || (pid = atoi(entry->name)) == 1 ||
                !read_stat(sampler, pid, &figures))
                continue;
            sample->memory_bytes += figures.pages * (uint64_t)sampler->page_bytes;
            sample->tasks += figures.threads;
            waited_us += to_us(sampler, figures.own_ticks + figures.children_ticks);
            remember(sampler, pid, to_us(sampler, figures.own_ticks));
        }
    }
    live_us = settle(sampler);
    tracked_us = sampler->gone_cpu_us + live_us;
    sample->cpu_us = tracked_us > waited_us ? tracked_us : waited_us;
    if (sample->memory_bytes > memory_limit && sampler->seen_count > 1) {
        uint64_t exact = proportional_sum(sampler);

        if (exact > 0 && exact < sample->memory_bytes)
            sample->memory_bytes = exact;
    }
}
