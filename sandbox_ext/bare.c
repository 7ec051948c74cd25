/* Theory of operation
 *
 * The level `weak`: no mount, pid, ipc or net namespaces. They are replaced by:
 *
 *     files        Landlock: the scratch and the files that every box shows, at their real paths (landlock.c).
 *                  bare_place translates /p/main and paths in /w to the real paths (bare_paths.c)
 *     processes    one process group, whose leader is the guard (bare_guard.c)
 *     signals,     Landlock's scopes; shared memory, ipc, keys, sockets: policy.txt, "At weak, instead"
 *     tracing
 *     users        a uid for each slot, if the node is root (uids.c)
 *     disk         a directory of the host, in the launcher's home (bare_home.c). Its usage is measured by scanning
 *                  (bare_scratch.c), including removed files (unlinked.c), and the size of each file is limited
 *
 * Here a cell is opened, and cleaned between runs. */
#define _GNU_SOURCE
#include "bare.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "bare_internal.h"
#include "mould.h"
#include "stream.h"
#include "sys.h"
#include "uids.h"

void bare_open(struct cell *cell, unsigned number) {
    struct bare *bare = &cell->bare;
    const char *step = "";
    int error;

    snprintf(bare->path, sizeof bare->path, "%s/%u", cell->launcher->home, number);
    bare->confinement = -1;
    if (mkdir(bare->path, 0711) != 0 && errno != EEXIST) {
        cell_fail(cell, "directory", -errno);
        return;
    }
    error = mould(&step);
    if (error != 0) {
        cell_fail(cell, step, error);
        return;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        cell_fail(cell, "subreaper", -errno);
        return;
    }
    if (bare_start_guard(cell) != 0)
        return;
    cell->store = bare_make_directory(cell, "p", 0755, false);
    if (cell->store < 0) {
        cell_fail(cell, "store", cell->store);
        return;
    }
    error = bare_furnish(cell);
    if (error != 0) {
        cell_fail(cell, error == -EOPNOTSUPP ? "landlock_version" : "scratch", error);
        return;
    }
    cell->scratch_bytes = 0;
    bare_rest(cell);
}

/* Makes the pipes of the next run. */
static int make_pipes(struct cell *cell) {
    const struct launcher *launcher = cell->launcher;
    int error = stream_pipe(launcher, cell->pipes);

    if (error != 0) {
        cell->pipes[0] = cell->pipes[1] = -1;
        return error;
    }
    error = stream_pipe(launcher, cell->pipes + 2);
    if (error != 0)
        cell->pipes[2] = cell->pipes[3] = -1;
    return error;
}

void bare_rest(struct cell *cell) {
    for (int i = 0; i < 4; i++)
        sys_close(&cell->pipes[i]);
    if (!bare_is_untouched(cell) && bare_furnish(cell) != 0) {
        cell->scratch_bytes = CELL_NO_SCRATCH;
        bare_end(cell);
        return;
    }
    /* reading the directory has set its access time */
    if (fstat(cell->scratch, &cell->scratch_root) != 0)
        cell->scratch_bytes = CELL_NO_SCRATCH;
    if (!cell->launcher->process_quota)
        cell->bare.user_tasks = uids_count_tasks(cell->launcher);
    (void)make_pipes(cell); /* the next run notices missing pipes */
}
