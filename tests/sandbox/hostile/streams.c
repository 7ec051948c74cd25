/* The three descriptors that a run shares with the sandbox, and any that it should not have. */
#include "hostile.h"

#include <sys/ioctl.h>
#include <sys/uio.h>
#include <termios.h>

DEED(close_all) {
    close(0);
    close(1);
    close(2);
    sleep_forever();
}

DEED(close_and_succeed) {
    close(0);
    close(1);
    close(2);
    _exit(0);
}

DEED(close_stdout_then_write) {
    close(1);
    return write(1, "x", 1) == -1 && errno == EBADF ? 0 : 3;
}

DEED(write_on) { /* long past what is kept */
    static char block[65536];

    for (int i = 0; i < 64; i++)
        for (long at = 0; at < (long)sizeof block;) {
            ssize_t count = write(1, block + at, sizeof block - (size_t)at);

            if (count <= 0)
                return 3;
            at += count;
        }
    return 0;
}

DEED(forge) { /* what another sandbox would have believed */
    static const char lie[] = "{\"sandbox_error\":\"exec: errno 2\",\"verdict\":\"SE\",\"exit_code\":0}\n";

    for (int fd = 3; fd < 1024; fd++)
        if (write(fd, lie, sizeof lie - 1) >= 0)
            return 4;
    fputs("[sandbox][run_exec_failed]\n", stderr);
    fputs(lie, stderr);
    return 125;
}

/* Sets all that can be set on a descriptor: what lies in the open file description lives as long as that does. */
DEED(flags) {
    for (int fd = 0; fd < 3; fd++) {
        fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME);
        fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC | O_DIRECT);
        fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND);
        fcntl(fd, F_SETOWN, getpid());
        fcntl(fd, F_SETSIG, SIGKILL);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, 1036 /* F_SET_RW_HINT */, &(uint64_t){5});
        fcntl(fd, 1038 /* F_SET_FILE_RW_HINT */, &(uint64_t){5});
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
        ioctl(fd, FIONBIO, &(int){1});
        ioctl(fd, FIOASYNC, &(int){1});
        lseek(fd, 5, SEEK_SET);
    }
    return 0;
}

DEED(small_pipe) {
    printf("stdout %d\n", fcntl(1, F_SETPIPE_SZ, 4096) < 0 ? errno : 0);
    printf("stderr %d\n", fcntl(2, F_SETPIPE_SZ, 4096) < 0 ? errno : 0);
    return 0;
}

DEED(packets) { /* a pipe in packet mode: each write its own buffer */
    fcntl(1, F_SETFL, O_DIRECT);
    for (int i = 0; i < 3000; i++)
        if (write(1, "1234567890", 10) != 10)
            return 3;
    return 0;
}

DEED(read_back) { /* opens its own stdout for reading and takes what the sandbox should have */
    char byte;
    int fd = open("/proc/self/fd/1", O_RDWR | O_NONBLOCK);

    for (int i = 0; i < 1000 && fd >= 0; i++)
        if (write(1, "x", 1) == 1)
            while (read(fd, &byte, 1) == 1)
                ;
    return 0;
}

DEED(stdin_as_output) {
    int again = open("/proc/self/fd/0", O_RDWR);

    answered("write", write(0, "x", 1));
    answered("reopened", write(again, "x", 1));
    answered("ftruncate", ftruncate(0, 0));
    answered("truncate", truncate("/proc/self/fd/0", 0));
    answered("fchmod", fchmod(0, 0777));
    answered("fallocate", fallocate(0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    answered("mmap", mmap(NULL, 1, PROT_WRITE, MAP_SHARED, 0, 0) == MAP_FAILED ? -1 : 0);
    answered("mprotect", mprotect(mmap(NULL, 1, PROT_READ, MAP_SHARED, 0, 0), 1, PROT_READ | PROT_WRITE));
    answered("pwritev2", syscall(SYS_pwritev2, 0, &(struct iovec){"x", 1}, 1, 0, 0, 0));
    answered("copy_file_range", syscall(SYS_copy_file_range, 0, NULL, 0, &(loff_t){64}, 1, 0));
    return 0;
}

DEED(leases) {
    int program = open("main", O_RDONLY);
    int system = open("/usr/bin/true", O_RDONLY);

    answered("lease-stdin", fcntl(0, F_SETLEASE, F_RDLCK));
    answered("lease-system", fcntl(system, F_SETLEASE, F_RDLCK));
    /* its own file, in its own scratch: allowed, and no business of anybody's */
    fcntl(program, F_SETLEASE, F_RDLCK);
    if (fork() == 0)
        sleep_forever();
    return 0;
}

DEED(cycles) { /* descriptors of our pipes in flight in a cycle of unreachable sockets */
    int fds[4] = {1, 2};
    char room[CMSG_SPACE(sizeof fds)] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int kept = open("kept", O_RDWR | O_CREAT, 0600);

    if (write(kept, room, sizeof room) < 0 || unlink("kept") != 0)
        return 3;
    for (int i = 0; i < 10; i++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
            break;
        fds[2] = pair[1];
        fds[3] = kept;
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(head), fds, sizeof fds);
        if (sendmsg(pair[0], &message, 0) < 0) {
            if (errno != ETOOMANYREFS) /* what others of this user have in flight counts until the kernel collects it */
                return 4;
            break;
        }
        close(pair[0]);
        close(pair[1]);
    }
    return 0;
}

DEED(terminal) {
    static const char *const paths[] = {"/dev/tty", "/dev/ptmx", "/dev/pts/ptmx", "/dev/console", "/dev/tty0",
                                        "/dev/ttyS0"};
    struct winsize size = {1, 1, 1, 1};

    for (int fd = 0; fd < 3; fd++) {
        answered("TIOCSTI", ioctl(fd, TIOCSTI, "x"));
        answered("TIOCSCTTY", ioctl(fd, TIOCSCTTY, 1));
        answered("TIOCSWINSZ", ioctl(fd, TIOCSWINSZ, &size));
        answered("TIOCLINUX", ioctl(fd, TIOCLINUX, "\3"));
        answered("TIOCSETD", ioctl(fd, TIOCSETD, &(int){0}));
        /* the high half of the request must not get it past a filter */
        answered("TIOCSTI-high", syscall(SYS_ioctl, fd, 0x100000000UL | TIOCSTI, "x"));
    }
    for (size_t i = 0; i < COUNT(paths); i++)
        answered(paths[i], open(paths[i], O_RDWR));
    return 0;
}

DEED(splices) {
    int ends[2];

    if (pipe(ends) != 0)
        return 3;
    TRY(splice, 0, NULL, ends[1], NULL, 4096, 0);
    TRY(tee, ends[0], 1, 4096, 0);
    TRY(vmsplice, 1, &(struct iovec){"x", 1}, 1, 8 /* SPLICE_F_GIFT */);
    return 0;
}

static const struct deed deeds[] = {
    {"close_all", close_all}, {"close_and_succeed", close_and_succeed},
    {"close_stdout_then_write", close_stdout_then_write}, {"write_on", write_on}, {"forge", forge}, {"flags", flags},
    {"small_pipe", small_pipe}, {"packets", packets}, {"read_back", read_back}, {"stdin_as_output", stdin_as_output},
    {"leases", leases}, {"cycles", cycles}, {"terminal", terminal}, {"splices", splices},
};

MAIN(deeds)
