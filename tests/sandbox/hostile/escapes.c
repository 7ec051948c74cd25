/* Ways out, and kernel interfaces that a run has no business with. */
#include "hostile.h"

#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/timex.h>
#include <sys/uio.h>

DEED(mounts) {
    int fd = open("/", O_PATH);

    TRY(chroot, "/w");
    TRY(pivot_root, ".", ".");
    TRY(mount, "none", "/w", "tmpfs", 0, NULL);
    TRY(mount, "/usr", "/w", NULL, MS_BIND | MS_REC, NULL);
    TRY(mount, NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
    TRY(mount, NULL, "/", NULL, MS_SHARED | MS_REC, NULL);
    TRY(mount, "proc", "/w", "proc", 0, NULL);
    TRY(umount2, "/proc", MNT_DETACH);
    TRY(umount2, "/w", MNT_DETACH);
    TRY(fsopen, "tmpfs", 0);
    TRY(fspick, AT_FDCWD, "/", 0);
    TRY(fsmount, 0, 0, 0);
    TRY(fsconfig, 0, 0, NULL, NULL, 0);
    TRY(open_tree, AT_FDCWD, "/", 1);
    TRY(move_mount, AT_FDCWD, "/usr", AT_FDCWD, "/w", 0);
    TRY(mount_setattr, AT_FDCWD, "/", 0, NULL, 0);
    answered("statmount", syscall(457, NULL, NULL, 0, 0));
    answered("listmount", syscall(458, NULL, NULL, 0, 0));
    answered("open_tree_attr", syscall(467, AT_FDCWD, "/", 1, NULL, 0));
    TRY(swapon, "/w/x", 0);
    TRY(swapoff, "/w/x");
    TRY(quotactl, 0, NULL, 0, NULL);
    TRY(acct, "/w/x");
    close(fd);
    return 0;
}

DEED(handles) {
    char room[128] = {0};
    int mount_id;

    *(int *)room = 64;
    TRY(name_to_handle_at, AT_FDCWD, "/usr", room, &mount_id, 0);
    TRY(open_by_handle_at, AT_FDCWD, room, O_RDONLY);
    return 0;
}

DEED(namespaces) {
    static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"};
    char path[64];

    for (size_t i = 0; i < COUNT(names); i++) {
        int fd;

        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        fd = open(path, O_RDONLY);
        answered(names[i], syscall(SYS_setns, fd, 0));
        close(fd);
        snprintf(path, sizeof path, "/proc/1/ns/%s", names[i]);
        answered(path, open(path, O_RDONLY));
    }
    TRY(setns, (int)syscall(SYS_pidfd_open, getpid(), 0), CLONE_NEWNS);
    TRY(pidfd_open, 1, 0);
    TRY(pidfd_getfd, 0, 0, 0);
    TRY(pidfd_send_signal, 0, 9, NULL, 0);
    return 0;
}

DEED(proc_writes) {
    static const char *const paths[] = {
        "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
        "/proc/sys/kernel/ns_last_pid", "/proc/sys/fs/file-max", "/proc/sys/kernel/randomize_va_space",
        "/proc/self/oom_score_adj", "/proc/self/mem", "/proc/self/uid_map", "/proc/self/gid_map",
        "/proc/self/setgroups", "/proc/self/attr/exec", "/proc/self/timerslack_ns", "/proc/self/clear_refs",
        "/proc/self/coredump_filter", "/proc/self/loginuid", "/proc/self/autogroup", "/proc/self/comm",
        "/proc/self/sched", "/proc/self/make-it-fail", "/proc/self/timens_offsets", "/proc/1/mem", "/proc/1/oom_score_adj",
        "/proc/1/comm", "/proc/irq/0/smp_affinity", "/proc/mtrr", "/proc/scsi/scsi", "/proc/acpi/wakeup",
        "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs", "/sys/power/state", "/sys/class",
        "/sys/kernel/mm/transparent_hugepage/enabled", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg",
        "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/loop-control", "/dev/vda", "/dev/sda", "/dev/zero",
        "/dev/userfaultfd", "/dev/cpu/0/msr", "/dev/hpet", "/dev/mqueue/x",
    };

    for (size_t i = 0; i < COUNT(paths); i++)
        answered(paths[i], open(paths[i], O_WRONLY));
    return 0;
}

DEED(proc_reads) {
    static const char *const paths[] = {
        "/proc/1/environ", "/proc/1/cmdline/x", "/proc/1/maps", "/proc/1/mem", "/proc/1/fd/0", "/proc/1/cwd/.",
        "/proc/1/exe", "/proc/1/root/etc", "/proc/1/task/1/environ", "/proc/1/stack", "/proc/1/syscall", "/proc/kcore",
        "/proc/kmsg", "/proc/slabinfo", "/proc/kpagecount", "/proc/kpageflags", "/proc/vmallocinfo",
        "/proc/self/map_files/x", "/sys/kernel", "/sys/class/net", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda",
        "/root", "/home", "/var/log", "/var/lib/dpkg", "/run", "/boot", "/srv", "/opt", "/mnt", "/media", "/etc/shadow",
        "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/machine-id", "/etc/ssl/private", "/lost+found", "/work",
    };

    for (size_t i = 0; i < COUNT(paths); i++)
        answered(paths[i], open(paths[i], O_RDONLY));
    return 0;
}

DEED(tracing) {
    struct iovec part = {&part, 8};
    pid_t child = fork();

    if (child == 0)
        sleep_forever();
    answered("traceme", ptrace(PTRACE_TRACEME, 0, 0, 0));
    for (int i = 0; i < 2; i++) {
        pid_t pid = i == 0 ? 1 : child;

        answered("attach", ptrace(PTRACE_ATTACH, pid, 0, 0));
        answered("seize", ptrace(PTRACE_SEIZE, pid, 0, 0));
        answered("readv", process_vm_readv(pid, &part, 1, &part, 1, 0));
        answered("writev", process_vm_writev(pid, &part, 1, &part, 1, 0));
        TRY(kcmp, getpid(), pid, 0, 0, 0);
        TRY(process_madvise, pid, &part, 1, MADV_DONTNEED, 0);
        TRY(process_mrelease, pid, 0);
        TRY(migrate_pages, pid, 0, NULL, NULL);
        TRY(move_pages, pid, 0, NULL, NULL, NULL, 0);
    }
    TRY(prctl, PR_SET_PTRACER, -1, 0, 0, 0);
    TRY(prctl, PR_SET_MM, PR_SET_MM_ARG_START, 0, 0, 0);
    kill(child, SIGKILL);
    return 0;
}

DEED(sockets) {
    for (int family = 0; family < 64; family++)
        for (int type = 1; family != AF_UNIX && type <= SOCK_PACKET; type++) {
            char name[32];
            int pair[2];

            snprintf(name, sizeof name, "socket-%d-%d", family, type);
            answered(name, syscall(SYS_socket, family, type, type == SOCK_RAW ? 255 : 0));
            snprintf(name, sizeof name, "pair-%d-%d", family, type);
            answered(name, syscall(SYS_socketpair, family, type, 0, pair));
        }
    /* the high half of the family must not get it past a filter */
    answered("high-half", syscall(SYS_socket, 0x100000000UL | AF_INET, SOCK_STREAM, 0));
    return 0;
}

/* words: a path and an abstract name where somebody of the host listens. */
DEED(host_sockets) {
    static const char *const known[] = {"/run/systemd/private", "/run/dbus/system_bus_socket", "/var/run/docker.sock",
                                        "/run/docker.sock", "/run/containerd/containerd.sock", "/dev/log",
                                        "/run/systemd/journal/socket"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    for (size_t i = 0; i < COUNT(known) + (size_t)count; i++) {
        const char *name = i < COUNT(known) ? known[i] : words[i - COUNT(known)];
        size_t length = strlen(name) < sizeof address.sun_path ? strlen(name) : sizeof address.sun_path;

        for (int abstract = 0; abstract < 2; abstract++) {
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);

            memset(address.sun_path, 0, sizeof address.sun_path);
            memcpy(address.sun_path + abstract, name, length - (size_t)abstract);
            answered(abstract ? "abstract" : "path",
                     connect(fd, (struct sockaddr *)&address,
                             (socklen_t)(sizeof(sa_family_t) + length + (abstract ? 0U : 1U))));
            close(fd);
        }
    }
    return 0;
}

/* Letters to sockets of the host, from a pair that names no receiver of its own. */
static void post(const char *name, int abstract, int from) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name) < sizeof address.sun_path - 1 ? strlen(name) : sizeof address.sun_path - 1;
    socklen_t size = (socklen_t)(sizeof(sa_family_t) + length + 1U);
    char room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec text = {(char[]){"letter"}, 6};
    struct msghdr message = {&address, size, &text, 1, room, sizeof room, 0};
    struct mmsghdr many = {.msg_hdr = message};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    memcpy(address.sun_path + abstract, name, length);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memset(CMSG_DATA(head), 0, sizeof(int));
    answered("sendto", sendto(from, "letter", 6, MSG_NOSIGNAL, (struct sockaddr *)&address, size));
    answered("sendmsg", sendmsg(from, &message, MSG_NOSIGNAL));
    answered("sendmmsg", sendmmsg(from, &many, 1, MSG_NOSIGNAL));
    answered("connect", connect(from, (struct sockaddr *)&address, size));
}

DEED(letters_to_the_host) {
    static const int types[] = {SOCK_DGRAM, SOCK_RAW, SOCK_DGRAM | SOCK_NONBLOCK, SOCK_RAW | SOCK_CLOEXEC, SOCK_SEQPACKET};
    int ends[2];

    for (size_t i = 0; i < COUNT(types); i++) {
        if (socketpair(AF_UNIX, types[i], 0, ends) != 0) {
            answered("socketpair", -1);
            continue;
        }
        for (int word = 0; types[i] != SOCK_SEQPACKET && word < count; word++)
            for (int abstract = 0; abstract < 2; abstract++)
                post(words[word], abstract, ends[0]);
        close(ends[0]);
        close(ends[1]);
    }
    return 0;
}

DEED(kernel_surface) {
    char room[256] = {0};
    union bpf_attr attributes;
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_CPU_CLOCK};

    memset(&attributes, 0, sizeof attributes);
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = attributes.value_size = 4;
    attributes.max_entries = 1;
    TRY(io_uring_setup, 8, room);
    TRY(io_uring_enter, 0, 0, 0, 0, NULL, 0);
    TRY(io_uring_register, 0, 0, NULL, 0);
    TRY(io_setup, 8, room);
    TRY(bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
    TRY(bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
    TRY(perf_event_open, &event, 0, -1, -1, 0);
    TRY(userfaultfd, O_CLOEXEC);
    TRY(userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
    TRY(memfd_create, "x", 0);
    TRY(memfd_secret, 0);
    TRY(fanotify_init, 0, 0);
    TRY(fanotify_mark, 0, 0, 0, 0, "/");
    TRY(inotify_init, 0);
    TRY(inotify_init1, 0);
    TRY(landlock_create_ruleset, NULL, 0, 1);
    TRY(lookup_dcookie, 0, room, sizeof room);
    TRY(execveat, AT_FDCWD, "main", NULL, NULL, 0);
    TRY(remap_file_pages, room, 0, 0, 0, 0);
    TRY(mbind, room, 0, 0, NULL, 0, 0);
    TRY(set_mempolicy, 0, NULL, 0);
    TRY(mlockall, MCL_CURRENT | MCL_FUTURE);
    TRY(iopl, 3);
    TRY(ioperm, 0x70, 2, 1);
    TRY(modify_ldt, 1, room, 16);
    TRY(uselib, "/w/main");
    TRY(ustat, 0, room);
    TRY(sysfs, 3);
    TRY(cachestat, 0, NULL, NULL, 0);
    TRY(nfsservctl, 0, NULL, NULL);
    TRY(pkey_alloc, 0, 0);
    answered("future", syscall(1000, 0));
    return 0;
}

DEED(administration) {
    struct timespec time = {0, 0};
    struct timeval old_time = {0, 0};
    struct timex clock = {.modes = ADJ_FREQUENCY, .freq = 0};

    TRY(clock_settime, CLOCK_REALTIME, &time);
    TRY(settimeofday, &old_time, NULL);
    TRY(adjtimex, &clock);
    TRY(clock_adjtime, CLOCK_REALTIME, &clock);
    TRY(init_module, "x", 1, "");
    TRY(finit_module, 0, "", 0);
    TRY(delete_module, "x", 0);
    TRY(create_module, "x", 1);
    TRY(kexec_load, 0, 0, NULL, 0);
    TRY(kexec_file_load, 0, 0, 0, "", 0);
    TRY(reboot, 0xfee1dead, 672274793, 0x1234567, NULL);
    TRY(sethostname, "owned", 5);
    TRY(setdomainname, "owned", 5);
    TRY(syslog, 3, &time, 1);
    TRY(vhangup, 0);
    TRY(setuid, 0);
    TRY(setgid, 0);
    TRY(setreuid, 0, 0);
    TRY(setregid, 0, 0);
    TRY(setresuid, 0, 0, 0);
    TRY(setresgid, 0, 0, 0);
    TRY(setfsuid, 0);
    TRY(setfsgid, 0);
    TRY(setgroups, 0, NULL);
    TRY(capset, &(int[2]){0x20080522, 0}, &(int[6]){-1, -1, -1, -1, -1, -1});
    TRY(personality, ADDR_NO_RANDOMIZE);
    TRY(personality, READ_IMPLIES_EXEC);
    TRY(personality, PER_LINUX32);
    TRY(personality, 0xfffffffeUL);
    return 0;
}

DEED(controls) { /* prctl: what may not be set */
    static const struct {
        const char *name;
        int option;
        unsigned long value;
    } options[] = {{"securebits", PR_SET_SECUREBITS, 0},   {"keepcaps", PR_SET_KEEPCAPS, 1},
                   {"subreaper", PR_SET_CHILD_SUBREAPER, 1}, {"tsc", PR_SET_TSC, PR_TSC_SIGSEGV},
                   {"thp", PR_SET_THP_DISABLE, 0},         {"ambient", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE},
                   {"bound", PR_CAPBSET_DROP, 0},          {"seccomp", PR_SET_SECCOMP, SECCOMP_MODE_STRICT},
                   {"timerslack", PR_SET_TIMERSLACK, 1},   {"mce", PR_MCE_KILL, PR_MCE_KILL_SET},
                   {"io_flusher", 57, 1},                  {"speculation", PR_SET_SPECULATION_CTRL, 0},
                   {"core_sched", 62, 1},                  {"mdwe", 65, 1},
                   {"memory_merge", 67, 1},                {"syscall_dispatch", 59, 1}};

    for (size_t i = 0; i < COUNT(options); i++)
        answered(options[i].name, syscall(SYS_prctl, options[i].option, options[i].value, 0, 0, 0));
    return 0;
}

DEED(own_filter) { /* one that would let everything through, or lie to its children */
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};

    TRY(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    TRY(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    TRY(seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
    TRY(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    return 0;
}

DEED(ipc) { /* what would stay behind */
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 1};

    TRY(shmget, 0x4a0d, 4096, IPC_CREAT | 0666);
    TRY(shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0666);
    TRY(shmat, 0, NULL, 0);
    TRY(shmctl, 0, IPC_STAT, NULL);
    TRY(semget, 0x4a0d, 1, IPC_CREAT | 0666);
    TRY(semctl, 0, 0, IPC_STAT, NULL);
    TRY(msgget, 0x4a0d, IPC_CREAT | 0666);
    TRY(msgctl, 0, IPC_STAT, NULL);
    TRY(mq_open, "hostile", O_RDWR | O_CREAT, 0666, &attributes);
    TRY(mq_unlink, "hostile");
    TRY(add_key, "user", "hostile", "x", 1, -4 /* the user's keyring */);
    TRY(add_key, "keyring", "hostile", NULL, 0, -3);
    TRY(request_key, "user", "hostile", NULL, -4);
    TRY(keyctl, 0, -3, 1, 0, 0);
    TRY(keyctl, 1, NULL, 0, 0, 0);
    TRY(mmap, NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TRY(mmap, NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    return 0;
}

DEED(abstract_sockets) { /* a name without a file, held by a daemon */
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0hostile"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 5) != 0)
        return 3;
    if (fork() == 0) {
        setsid();
        sleep_forever();
    }
    return 0;
}

/* ---- instruction sets and odd instructions: each meant to die ---------------------------------------------------- */

DEED(int80) { /* getpid, in the numbers of 32-bit programs */
    long result = 20;

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? 0 : 3;
}

DEED(int80_fork) { /* 2 is open for us, and fork for them */
    long result = 2;

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    sleep_forever();
}

DEED(x32) {
    syscall(0x40000000 | SYS_getpid);
    return 3;
}

DEED(far_32) { /* into 32-bit code by a far return, and a system call from there */
    static const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xf4}; /* mov $20,%eax; int $0x80; hlt */
    unsigned char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                              -1, 0);

    if (low == MAP_FAILED)
        return 3;
    memcpy(low, code, sizeof code);
    __asm__ volatile("pushq $0x23\n\tpushq %0\n\tlretq" : : "r"((uint64_t)(uintptr_t)low) : "memory");
    return 4;
}

DEED(sysenter) {
    __asm__ volatile("sysenter" : : "a"(20) : "memory", "rcx", "rdx", "r11");
    return 3;
}

DEED(vsyscall) { /* the fixed page: time(), if the kernel still has it */
    time_t now = ((time_t(*)(time_t *))0xffffffffff600400UL)(NULL);

    return now > 0 ? 0 : 3;
}

DEED(privileged) {
    __asm__ volatile("cli; hlt");
    return 3;
}

DEED(ports) {
    __asm__ volatile("outb %%al, %%dx" : : "a"(0xfe), "d"(0x64));
    return 3;
}

DEED(null_page) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    answered("mmap", page == MAP_FAILED ? -1 : 0);
    TRY(madvise, &page, 4096, 100 /* MADV_HWPOISON */);
    return 0;
}

DEED(crash) { /* with a core that is asked for */
    setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1});
    setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    prctl(PR_SET_DUMPABLE, 1);
    abort();
}

DEED(crashes) {
    for (int i = 0; i < 10; i++)
        if (fork() == 0)
            *(volatile int *)8 = 1;
    while (wait(NULL) > 0)
        ;
    return 0;
}

static const struct deed deeds[] = {
    {"mounts", mounts}, {"handles", handles}, {"namespaces", namespaces}, {"proc_writes", proc_writes},
    {"proc_reads", proc_reads}, {"tracing", tracing}, {"sockets", sockets}, {"host_sockets", host_sockets}, {"letters_to_the_host", letters_to_the_host},
    {"kernel_surface", kernel_surface}, {"administration", administration}, {"controls", controls},
    {"own_filter", own_filter}, {"ipc", ipc}, {"abstract_sockets", abstract_sockets}, {"int80", int80},
    {"int80_fork", int80_fork}, {"x32", x32}, {"far_32", far_32}, {"sysenter", sysenter}, {"vsyscall", vsyscall},
    {"privileged", privileged}, {"ports", ports}, {"null_page", null_page}, {"crash", crash}, {"crashes", crashes},
};

MAIN(deeds)
