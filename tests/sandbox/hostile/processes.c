/* Processes that will not end, will not be found, or end others. */
#include "hostile.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/resource.h>

DEED(orphan) { /* a double fork that outlives its parent */
    if (fork() == 0) {
        if (fork() == 0)
            sleep_forever();
        _exit(0);
    }
    wait(NULL);
    return 0;
}

DEED(daemon_holding_pipes) {
    if (fork() == 0) {
        setsid();
        for (int number = 1; number < 65; number++)
            signal(number, SIG_IGN);
        sleep_forever(); /* stdin, stdout and stderr in its hands */
    }
    return 0;
}

DEED(writing_daemon) { /* goes on writing into the pipes of a run that is over */
    if (fork() == 0) {
        setsid();
        for (;;)
            if (write(1, "late\n", 5) < 0 || write(2, "late\n", 5) < 0)
                _exit(1);
    }
    return 0;
}

DEED(nested_daemons) {
    for (int depth = 0; depth < 300; depth++) {
        pid_t pid = fork();

        if (pid < 0)
            nap(1);
        else if (pid > 0 && depth > 0)
            _exit(0);
        else if (pid > 0)
            return 0;
        setsid();
    }
    sleep_forever();
}

DEED(daemon_holding_files) {
    int fd = open("held", O_RDWR | O_CREAT, 0600);

    if (ftruncate(fd, MIB) != 0 || mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
        return 3;
    unlink("held");
    mkdir("place", 0700);
    if (fork() == 0) {
        setsid();
        if (chdir("place") != 0)
            _exit(3);
        rmdir("../place");
        sleep_forever();
    }
    return 0;
}

DEED(stop_self) {
    raise(SIGSTOP);
    return 0;
}

DEED(stopped_children) {
    for (int i = 0; i < 10; i++)
        if (fork() == 0) {
            raise(SIGSTOP);
            sleep_forever();
        }
    nap(20);
    return 0;
}

DEED(sleeper) {
    sleep_forever();
}

DEED(deaf) { /* every signal blocked and ignored */
    sigset_t all;

    for (int number = 1; number < 65; number++)
        signal(number, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    spin();
}

DEED(futex_forever) {
    int word = 0;

    syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    return 0;
}

DEED(uninterruptible) { /* a parent in D state until its vfork child ends, which sleeps */
    if (vfork() == 0)
        sleep_forever();
    return 3;
}

static void *sleeping_thread(void *unused) {
    (void)unused;
    sleep_forever();
}

DEED(headless) { /* its first thread has ended: a zombie that lives */
    pthread_t thread;

    if (pthread_create(&thread, NULL, sleeping_thread, NULL) != 0)
        return 3;
    pthread_exit(NULL);
}

DEED(kill_everybody) {
    if (fork() == 0)
        sleep_forever();
    kill(1, SIGKILL);
    kill(-1, SIGKILL);
    sleep_forever();
}

DEED(kill_group) {
    kill(0, SIGKILL);
    sleep_forever();
}

DEED(kill_group_from_child) {
    if (fork() == 0) {
        kill(-getpgrp(), SIGKILL);
        _exit(0);
    }
    sleep_forever();
}

/* All signals, by all calls, to the low process numbers. Init must survive; it may be out of reach altogether. */
DEED(signal_init) {
    siginfo_t info = {.si_code = SI_QUEUE};

    for (int number = 1; number < 65; number++)
        for (pid_t pid = 1; pid < getpid() && pid < 64; pid++) {
            info.si_signo = number;
            kill(pid, number);
            syscall(SYS_tkill, pid, number);
            syscall(SYS_tgkill, pid, pid, number);
            syscall(SYS_rt_sigqueueinfo, pid, number, &info);
            syscall(SYS_rt_tgsigqueueinfo, pid, pid, number, &info);
        }
    puts("done 0");
    return 0;
}

/* The kernel sends the signal, if asked to by way of a descriptor. */
DEED(signal_init_by_descriptor) {
    int ends[2];

    if (pipe(ends) != 0)
        return 3;
    for (int number = 0; number < 65; number++) {
        fcntl(ends[0], F_SETOWN, 1);
        fcntl(ends[0], F_SETSIG, number);
        fcntl(ends[0], F_SETFL, O_ASYNC);
        if (write(ends[1], "x", 1) != 1)
            return 4;
    }
    puts("done 0");
    return 0;
}

DEED(priorities) {
    struct sched_param fifo = {.sched_priority = 99};
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(0, &one);
    TRY(setpriority, PRIO_PROCESS, 0, -20);
    TRY(setpriority, PRIO_USER, 0, 19);
    TRY(sched_setscheduler, 0, SCHED_FIFO, &fifo);
    TRY(sched_setparam, 0, &fifo);
    TRY(sched_setaffinity, 0, sizeof one, &one);
    TRY(sched_setattr, 0, &(char[64]){56}, 0);
    TRY(ioprio_set, 1, 0, 0);
    TRY(sched_setaffinity, 1, sizeof one, &one);
    return 0;
}

/* Every limit upwards, of oneself and of others. */
DEED(raise_limits) {
    for (int resource = 0; resource < 16; resource++) {
        struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
        struct rlimit now;
        char name[32];

        if (syscall(SYS_prlimit64, 0, resource, NULL, &now) == 0 && now.rlim_max == RLIM_INFINITY)
            continue;
        snprintf(name, sizeof name, "setrlimit-%d", resource);
        answered(name, syscall(SYS_setrlimit, resource, &more));
        snprintf(name, sizeof name, "prlimit-%d", resource);
        answered(name, syscall(SYS_prlimit64, 0, resource, &more, NULL));
        snprintf(name, sizeof name, "prlimit-self-%d", resource);
        answered(name, syscall(SYS_prlimit64, getpid(), resource, &more, NULL));
    }
    return 0;
}

DEED(limit_others) {
    struct rlimit little = {1, 1};

    for (pid_t pid = 1; pid < 6; pid++)
        if (pid != getpid())
            for (int resource = 0; resource < 16; resource++) {
                char name[32];

                snprintf(name, sizeof name, "set-%d-%d", (int)pid, resource);
                answered(name, syscall(SYS_prlimit64, pid, resource, &little, NULL));
                snprintf(name, sizeof name, "get-%d-%d", (int)pid, resource);
                answered(name, syscall(SYS_prlimit64, pid, resource, NULL, &little));
            }
    return 0;
}

DEED(lower_limits) { /* of its own, allowed; must not stick to the slot */
    static const int resources[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_DATA, RLIMIT_AS,
                                    RLIMIT_NPROC,  RLIMIT_CPU,   RLIMIT_SIGPENDING};

    umask(0777);
    for (size_t i = 0; i < COUNT(resources); i++)
        setrlimit((__rlimit_resource_t)resources[i], &(struct rlimit){1, 1});
    _exit(0);
}

DEED(weird_clones) {
    /* children that send no signal, or a strange one, when they end; that share everything; that have no parent */
    static const unsigned long allowed[] = {0, SIGKILL, SIGSTOP, CLONE_FILES | CLONE_FS, CLONE_VFORK, CLONE_UNTRACED,
                                            CLONE_SYSVSEM | CLONE_IO | SIGUSR1};

    signal(SIGUSR1, SIG_IGN);
    for (size_t i = 0; i < COUNT(allowed); i++)
        if (syscall(SYS_clone, allowed[i], 0, 0, 0, 0) == 0) {
            if (!(allowed[i] & CLONE_VFORK))
                sleep_forever();
            _exit(0);
        }
    return 0;
}

/* A copy whose parent sleeps as that of a vfork child does, and memory that several processes share. */
DEED(false_twins) {
    static const unsigned long flags[] = {CLONE_VFORK, CLONE_VM, CLONE_VM | CLONE_SIGHAND, CLONE_VM | CLONE_FILES};

    for (size_t i = 0; i < COUNT(flags); i++) {
        long pid = syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0);

        if (pid == 0)
            _exit(0);
        answered("clone", pid);
    }
    return 0;
}

DEED(new_worlds) {
    static const struct {
        const char *name;
        unsigned long flag;
    } flags[] = {{"ns", CLONE_NEWNS},         {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC},
                 {"user", CLONE_NEWUSER},     {"pid", CLONE_NEWPID},       {"net", CLONE_NEWNET},
                 {"cgroup", CLONE_NEWCGROUP}, {"parent", CLONE_PARENT},    {"ptrace", CLONE_PTRACE},
                 {"time", 0x80},              {"user+ns", CLONE_NEWUSER | CLONE_NEWNS}};

    for (size_t i = 0; i < COUNT(flags); i++) {
        char name[32];
        long pid;

        if (flags[i].flag != CLONE_PARENT && flags[i].flag != CLONE_PTRACE) {
            snprintf(name, sizeof name, "unshare-%s", flags[i].name);
            answered(name, syscall(SYS_unshare, flags[i].flag));
        }
        snprintf(name, sizeof name, "clone-%s", flags[i].name);
        if (flags[i].flag == 0x80) /* clone() takes the low byte for the signal */
            continue;
        pid = syscall(SYS_clone, flags[i].flag | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0)
            _exit(0);
        answered(name, pid);
    }
    TRY(clone3, &(struct clone_args){.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD}, sizeof(struct clone_args));
    TRY(clone3, &(struct clone_args){.flags = CLONE_PARENT}, sizeof(struct clone_args));
    return 0;
}

DEED(subreaper) {
    TRY(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    return 0;
}

DEED(death_signals) { /* asks to be told, and not to be told, of deaths */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGUSR1);
        signal(SIGUSR1, SIG_IGN);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, 0);
            sleep_forever();
        }
        sleep_forever();
    }
    nap(10);
    return 0;
}

static void die_again(int unused) {
    (void)unused;
    if (fork() == 0)
        sleep_forever();
}

DEED(forking_handlers) { /* each signal makes one more */
    for (int number = 1; number < 65; number++)
        signal(number, die_again);
    alarm(1);
    for (int i = 0; i < 5; i++)
        raise(SIGTERM);
    return 0;
}

DEED(last_gasp) { /* a storm of children at the moment of the end */
    for (int i = 0; i < 10; i++)
        if (fork() == 0) {
            for (;;)
                if (fork() > 0)
                    _exit(0);
        }
    _exit(7);
}

DEED(exit_from_thread) {
    pthread_t thread;

    pthread_create(&thread, NULL, sleeping_thread, NULL);
    syscall(SYS_exit, 5); /* this thread alone */
    return 0;
}

static const struct deed deeds[] = {
    {"orphan", orphan}, {"daemon_holding_pipes", daemon_holding_pipes}, {"writing_daemon", writing_daemon},
    {"nested_daemons", nested_daemons}, {"daemon_holding_files", daemon_holding_files}, {"stop_self", stop_self},
    {"stopped_children", stopped_children}, {"sleeper", sleeper}, {"deaf", deaf}, {"futex_forever", futex_forever},
    {"uninterruptible", uninterruptible}, {"headless", headless}, {"kill_everybody", kill_everybody},
    {"kill_group", kill_group}, {"kill_group_from_child", kill_group_from_child}, {"signal_init", signal_init},
    {"signal_init_by_descriptor", signal_init_by_descriptor}, {"priorities", priorities},
    {"raise_limits", raise_limits}, {"limit_others", limit_others}, {"lower_limits", lower_limits},
    {"weird_clones", weird_clones}, {"false_twins", false_twins}, {"new_worlds", new_worlds}, {"subreaper", subreaper},
    {"death_signals", death_signals}, {"forking_handlers", forking_handlers}, {"last_gasp", last_gasp},
    {"exit_from_thread", exit_from_thread},
};

MAIN(deeds)
