/* Files that are too many, too large, too deep, or that resist being removed. Some deeds need the compile policy, which
 * allows links and modes. */
#include "hostile.h"

#include <sys/file.h>
#include <sys/ioctl.h>

DEED(sparse) {
    int fd = open("sparse", O_RDWR | O_CREAT, 0600);

    signal(SIGXFSZ, SIG_IGN);
    answered("ftruncate", ftruncate(fd, 1L << 40));
    answered("seek", pwrite(fd, "x", 1, 1L << 40));
    answered("fallocate", fallocate(fd, 0, 0, 1L << 40));
    return 0;
}

DEED(too_large) { /* and not deaf to what the kernel says */
    int fd = open("sparse", O_RDWR | O_CREAT, 0600);

    if (pwrite(fd, "x", 1, 1L << 40) < 0)
        sleep_forever();
    return 3;
}

DEED(deep) {
    int depth = 0;

    while (depth < 3000 && mkdir("d", 0700) == 0 && chdir("d") == 0)
        depth++;
    printf("depth %d\n", depth >= 1000);
    return 0;
}

DEED(deep_mode_0) { /* compile policy: a tree that its owner cannot enter either */
    char name[16];

    for (int width = 0; width < 4; width++) {
        snprintf(name, sizeof name, "t%d", width);
        if (mkdir(name, 0700) != 0 || chdir(name) != 0)
            return 3;
        for (int depth = 0; depth < 50; depth++) {
            close(open("f", O_WRONLY | O_CREAT, 0000));
            if (mkdir("d", 0700) != 0 || chdir("d") != 0)
                return 4;
        }
        for (int depth = 0; depth < 50; depth++)
            if (chdir("..") != 0 || chmod("d", 0) != 0)
                return 5;
        if (chdir("..") != 0 || chmod(name, 0) != 0)
            return 6;
    }
    chmod(".", 0);
    chmod("/w", 0);
    chmod("/tmp", 0);
    return 0;
}

DEED(umask_0777) { /* the same as far as the run policy lets it */
    umask(0777);
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof name, "m%d", i);
        mkdir(name, 0);
        snprintf(name, sizeof name, "f%d", i);
        close(open(name, O_WRONLY | O_CREAT, 0));
    }
    return 0;
}

DEED(inodes) {
    long made = 0;

    for (;; made++) {
        char name[32];
        int fd;

        snprintf(name, sizeof name, "i%ld", made);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        if (fd < 0)
            break;
        close(fd);
    }
    printf("error %d\nbounded %d\n", errno, made < 20000);
    return 0;
}

DEED(directories) {
    long made = 0;

    for (;; made++) {
        char name[32];

        snprintf(name, sizeof name, "i%ld", made);
        if (mkdir(name, 0700) != 0)
            break;
    }
    printf("error %d\nbounded %d\n", errno, made < 20000);
    return 0;
}

DEED(names) { /* long ones, and such that a careless shell or script would stumble over */
    static const char *const names[] = {"-rf", "*", "~", "a b", "\n", "\033[2J", "'\"`$(reboot)", "\xff\xfe", ".hidden",
                                        "main.partial", "...", "\\", "%s%n", "core", "lost+found"};
    char name[256];

    for (size_t i = 0; i < COUNT(names); i++)
        close(open(names[i], O_WRONLY | O_CREAT, 0600));
    for (int letter = 'a'; letter <= 'z'; letter++) {
        memset(name, letter, 255);
        name[255] = 0;
        close(open(name, O_WRONLY | O_CREAT, 0600));
        name[254] = 'D';
        mkdir(name, 0700);
    }
    return 0;
}

DEED(special) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0)
        return 3;
    answered("fifo", mknod("fifo", S_IFIFO | 0600, 0));
    answered("char", mknod("char", S_IFCHR | 0600, 0x101));
    answered("block", mknod("block", S_IFBLK | 0600, 0xfe00));
    answered("null", mknod("null", S_IFCHR | 0600, 0x103));
    answered("mknodat", syscall(SYS_mknodat, AT_FDCWD, "at", S_IFCHR | 0600, 0x101));
    /* leaves a device 0:0 in the old place, which the kernel allows to anybody, since nothing can be done with it */
    syscall(SYS_renameat2, AT_FDCWD, "main", AT_FDCWD, "moved", 4 /* RENAME_WHITEOUT */);
    answered("whiteout", open("main", O_RDONLY));
    return 0;
}

DEED(links_run) { /* all that a policy allows with its own files; nothing with others' */
    symlink("/etc/passwd", "symbolic");
    link("main", "hard");
    chmod("main", 04777);
    syscall(452 /* fchmodat2 */, AT_FDCWD, "main", 06777, 0);
    utimensat(AT_FDCWD, "main", NULL, 0);
    answered("link-system", link("/usr/bin/true", "taken"));
    answered("link-input", syscall(SYS_linkat, AT_FDCWD, "/proc/self/fd/0", AT_FDCWD, "taken", AT_SYMLINK_FOLLOW));
    answered("link-empty", syscall(SYS_linkat, 0, "", AT_FDCWD, "taken", AT_EMPTY_PATH));
    answered("chmod-system", chmod("/usr/bin/true", 0777));
    answered("chmod-etc", chmod("/etc/passwd", 0777));
    answered("chmod-input", fchmod(0, 0777));
    answered("chown", chown("main", 0, 0));
    answered("chown-system", chown("/usr/bin/true", getuid(), getgid()));
    answered("utimes-system", utimensat(AT_FDCWD, "/etc/passwd", NULL, 0));
    return 0;
}

DEED(links) { /* compile policy */
    static const char *const outside[] = {"/usr/bin/su", "/usr/bin/true", "/etc/passwd", "/dev/null",
                                          "/proc/self/fd/0"};

    for (size_t i = 0; i < COUNT(outside); i++)
        answered(outside[i], link(outside[i], "hard"));
    for (size_t i = 0; i < COUNT(outside); i++)
        answered(outside[i], linkat(AT_FDCWD, outside[i], AT_FDCWD, "hard", AT_SYMLINK_FOLLOW));
    symlink("loop", "loop");
    symlink("..", "up");
    symlink("/", "root");
    symlink("/proc/self/root", "proc-root");
    symlink("/proc/1/root/etc/shadow", "shadow");
    answered("through-loop", open("loop", O_RDONLY));
    answered("through-shadow", open("shadow", O_RDONLY));
    answered("through-root", open("root/etc/shadow", O_RDONLY));
    answered("write-through", open("root/etc/passwd", O_WRONLY));
    return 0;
}

DEED(setuid_bits) { /* compile policy: a file with all bits set is still run without any right */
    char *const none[] = {NULL};

    if (chmod("main", 07777) != 0)
        return 3;
    if (fork() == 0) {
        char *const words_again[] = {"main", "who", NULL};

        execve("./main", words_again, none);
        _exit(9);
    }
    wait(NULL);
    return 0;
}

DEED(who) {
    printf("ids %d\n", getuid() != geteuid() || geteuid() == 0 || getegid() == 0);
    return 0;
}

DEED(unnamed) { /* files without a name, which no listing shows; and names for what must have none */
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    char path[32];

    if (fd < 0)
        return 3;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ftruncate(fd, 8 * MIB) != 0 || write(fd, "x", 1) != 1)
        return 4;
    syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW);
    answered("elsewhere", open("/usr", O_TMPFILE | O_RDWR, 0600));
    answered("root", open("/", O_TMPFILE | O_RDWR, 0600));
    if (fork() == 0)
        sleep_forever();
    return 0;
}

/* Eight times what the scratch has room for, in files that no name leads to. The first word says what holds them. */
static int nameless(int number) {
    static char block[MIB];
    char name[32];
    int fd;

    snprintf(name, sizeof name, "nameless%d", number);
    fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    for (int i = 0; i < 8; i++)
        if (fd < 0 || write(fd, block, sizeof block) != (ssize_t)sizeof block)
            _exit(0); /* no room: as it should be */
    if (unlink(name) != 0)
        _exit(3);
    return fd;
}

static int hold_in_a_table(void *unused) { /* of descriptors, which only this thread has */
    for (int i = 0; i < 32; i++)
        nameless(i);
    sleep_forever();
    return unused == NULL;
}

DEED(hoard) {
    static char stack[1 << 16];
    const char *how = count > 0 ? words[0] : "";

    if (strcmp(how, "again") == 0) /* an unreadable program: its descriptors cannot be listed */
        how = "held";
    if (strcmp(how, "unreadable") == 0) {
        int from = open(program_invocation_name, O_RDONLY);
        int to = open("unreadable", O_WRONLY | O_CREAT, 0111);

        while (from >= 0 && copy_file_range(from, NULL, to, NULL, MIB, 0) > 0)
            ;
        close(to);
        execl("unreadable", "unreadable", "hoard", "again", NULL);
        return 4;
    }
    if (strcmp(how, "thread") == 0) {
        clone(hold_in_a_table, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD, NULL);
        sleep_forever();
    }
    for (int i = 0; i < 32; i++) {
        int fd = nameless(i);

        if (strcmp(how, "mapped") == 0) {
            mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
            close(fd);
        }
    }
    sleep_forever();
}

DEED(moving_hoard) { /* a full directory that is never where one looks: it goes to and fro */
    char name[32];

    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "d%d", i);
        mkdir(name, 0700);
    }
    mkdir("d0/full", 0700);
    for (int i = 0; i < 8; i++) {
        static char block[MIB];
        int fd;

        snprintf(name, sizeof name, "d0/full/%d", i);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        for (int n = 0; n < 8; n++)
            if (fd < 0 || write(fd, block, sizeof block) != (ssize_t)sizeof block)
                return 0;
        close(fd);
    }
    for (int i = 0;; i++) {
        char next[32];

        snprintf(name, sizeof name, "d%d/full", i % 16);
        snprintf(next, sizeof next, "d%d/full", (i + 1) % 16);
        if (rename(name, next) != 0)
            return 3;
    }
}

DEED(own_program) { /* overwritten, moved, removed while it runs */
    int fd = open("main", O_WRONLY);

    answered("busy", fd);
    answered("truncate", truncate("main", 0));
    rename("main", "other");
    close(open("main", O_WRONLY | O_CREAT, 0600));
    unlink("main");
    unlink("other");
    mkdir("main", 0700);
    return 0;
}

DEED(own_place) { /* the scratch itself: moved, removed, left */
    answered("rename", rename("/w", "/v"));
    answered("rename-in", rename("/w", "/w/v"));
    answered("rmdir", rmdir("/w"));
    answered("exchange", syscall(SYS_renameat2, AT_FDCWD, "/w", AT_FDCWD, "/usr", 2 /* RENAME_EXCHANGE */));
    answered("tmp", unlink("/tmp"));
    answered("shm", unlink("/dev/shm"));
    answered("mkdir", mkdir("/x", 0700));
    return 0;
}

DEED(attributes) { /* what makes files immutable or tells the kernel more of them */
    int fd = open("marked", O_RDWR | O_CREAT, 0400);

    answered("immutable", ioctl(fd, 0x40086602 /* FS_IOC_SETFLAGS */, &(long){0x10}));
    answered("append", ioctl(fd, 0x40086602, &(long){0x20}));
    answered("fsxattr", ioctl(fd, 0x401c5820 /* FS_IOC_FSSETXATTR */, &(char[28]){8}));
    answered("clone", ioctl(fd, 0x40049409 /* FICLONE */, 0));
    answered("freeze", ioctl(fd, 0xc0045877 /* FIFREEZE */, 0));
    answered("setxattr", syscall(SYS_setxattr, "marked", "user.x", "y", 1, 0));
    answered("fsetxattr", syscall(SYS_fsetxattr, fd, "user.x", "y", 1, 0));
    answered("lsetxattr", syscall(SYS_lsetxattr, "marked", "trusted.x", "y", 1, 0));
    answered("acl", syscall(SYS_setxattr, ".", "system.posix_acl_default", "\2\0\0\0", 4, 0));
    answered("sealed-xattr", syscall(463, AT_FDCWD, "marked", 0, "user.x", NULL, 0)); /* setxattrat */
    return 0;
}

DEED(system_files) { /* nothing of the root's own can be changed */
    static const char *const paths[] = {"/",        "/usr",         "/usr/bin",  "/usr/lib",    "/etc",
                                        "/dev",     "/etc/passwd",  "/etc/group", "/usr/bin/true", "/proc",
                                        "/dev/full", "/proc/self/mem"};

    for (size_t i = 0; i < COUNT(paths); i++) {
        char path[64];

        answered(paths[i], open(paths[i], O_WRONLY | O_APPEND) < 0 || strcmp(paths[i], "/dev/full") == 0 ? -1 : 0);
        answered(paths[i], truncate(paths[i], 0));
        answered(paths[i], rename(paths[i], "/w/taken"));
        answered(paths[i], syscall(SYS_unlink, paths[i]));
        snprintf(path, sizeof path, "%s/new", paths[i]);
        answered(path, open(path, O_WRONLY | O_CREAT, 0600));
        answered(path, mkdir(path, 0700));
    }
    return 0;
}

DEED(files_of) { /* words: paths of the host that hold secrets; by every road */
    for (int i = 0; i < count; i++) {
        static const char *const roads[] = {"%s", "/proc/self/root%s", "/proc/1/root%s", "/proc/self/cwd/../../..%s",
                                            "../../../../../../..%s", "/proc/2/root%s", "/dev/fd/../../../..%s",
                                            "/usr/../..%s", "/proc/thread-self/root%s"};

        for (size_t road = 0; road < COUNT(roads); road++) {
            char path[4096];
            struct stat status;

            snprintf(path, sizeof path, roads[road], words[i]);
            answered("open", open(path, O_RDONLY));
            answered("stat", stat(path, &status));
            answered("name", open(path, O_PATH));
        }
    }
    return 0;
}

/* Locks and watches on files that all runs see: a neighbour could tell, or be told. */
static const char *const common[] = {"/usr/bin/true", "/usr/bin", "/usr/lib", "/dev/null", "/etc/passwd", "/usr",
                                     "/etc/ld.so.cache", "/"};

DEED(lock_common_files) {
    for (size_t i = 0; i < COUNT(common); i++)
        answered(common[i], flock(open(common[i], O_RDONLY), LOCK_EX | LOCK_NB));
    answered("stdin", flock(0, LOCK_EX | LOCK_NB));
    return 0;
}

DEED(record_locks_on_common_files) {
    struct flock lock = {.l_type = F_RDLCK};

    for (size_t i = 0; i < COUNT(common); i++) {
        int fd = open(common[i], O_RDONLY);
        struct stat status;

        if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
            answered(common[i], fcntl(fd, F_SETLK, &lock));
            answered(common[i], fcntl(fd, 37 /* F_OFD_SETLK */, &lock));
        }
    }
    answered("stdin", fcntl(0, F_SETLK, &lock));
    return 0;
}

DEED(watch_common_directories) { /* dnotify: told when anybody reads or runs a file in there */
    for (size_t i = 0; i < COUNT(common); i++) {
        int fd = open(common[i], O_RDONLY | O_DIRECTORY);

        if (fd >= 0)
            answered(common[i], fcntl(fd, F_NOTIFY, DN_ACCESS | DN_MODIFY | DN_MULTISHOT));
    }
    return 0;
}

static const struct deed deeds[] = {
    {"sparse", sparse}, {"too_large", too_large}, {"deep", deep}, {"deep_mode_0", deep_mode_0},
    {"umask_0777", umask_0777}, {"inodes", inodes}, {"directories", directories}, {"names", names},
    {"special", special}, {"links_run", links_run}, {"links", links}, {"setuid_bits", setuid_bits},
    {"who", who}, {"unnamed", unnamed}, {"own_program", own_program}, {"own_place", own_place},
    {"hoard", hoard}, {"moving_hoard", moving_hoard},
    {"attributes", attributes}, {"system_files", system_files}, {"files_of", files_of},
    {"lock_common_files", lock_common_files}, {"record_locks_on_common_files", record_locks_on_common_files},
    {"watch_common_directories", watch_common_directories},
};

MAIN(deeds)
