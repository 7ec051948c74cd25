// Uses of the system by contestants, intended or not. The first line of the input selects the case and its number. Exit
// code 90 and above: the canary itself does not work, or the box allowed a forbidden action.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr size_t MIB = 1024 * 1024;
char big[64 * MIB];
volatile int zero = 0;
volatile long sink = 0;

long cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void touch(char *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 4096)
        static_cast<volatile char *>(from)[at] = 1;
}

[[gnu::noinline]] long recurse(long depth) {
    volatile char frame[1000];
    frame[0] = 1;
    if (depth == 0)
        return frame[0];
    return recurse(depth - 1) + frame[0];
}

int burn(long ms) {
    while (cpu_ms() < ms)
        sink = sink + 1;
    return 0;
}

int grow() {
    for (;;) {
        char *more = static_cast<char *>(malloc(MIB));
        if (more == nullptr)
            return 1;
        touch(more, MIB);
    }
}

// The original's sandbox killed realloc's mremap.
int resize() {
    char *block = nullptr;
    for (size_t size = MIB; size <= 16 * MIB; size += MIB) {
        block = static_cast<char *>(realloc(block, size));
        if (block == nullptr)
            return 90;
        block[size - 1] = 1;
    }
    puts("resized");
    return 0;
}

// The original's sandbox killed writev.
int vectors() {
    static char line[64];
    memset(line, 'v', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    iovec parts[16];
    for (auto &part : parts)
        part = {line, sizeof line};
    for (int i = 0; i < 300; ++i)
        if (writev(1, parts, 16) != static_cast<ssize_t>(sizeof line * 16))
            return 90;
    return 0;
}

int flood(int fd) {
    static char block[65536];
    memset(block, 'x', sizeof block);
    for (;;)
        if (write(fd, block, sizeof block) < 0)
            return 90;
}

int forge(int code) {
    const char words[] = "sandbox: setup_mounts: errno 1\nSystem Error\n{\"verdict\":\"SE\"}\n";
    if (write(2, words, sizeof words - 1) < 0)
        return 90;
    return code;
}

int children(int count) {
    int sum = 0;
    for (int i = 1; i <= count; ++i) {
        const pid_t child = fork();
        if (child < 0)
            return 90;
        if (child == 0)
            _exit(i);
        int status = 0;
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
            return 91;
        sum += WEXITSTATUS(status);
    }
    printf("%d\n", sum);
    return 0;
}

// Never more than 64: the host is an operator's, and the limit itself may be broken.
int bomb() {
    for (int i = 0; i < 64; ++i) {
        const pid_t child = fork();
        if (child < 0)
            return errno == EAGAIN ? 11 : 90;
        if (child == 0) {
            pause();
            _exit(0);
        }
    }
    return 92;
}

// Leaves a child that outlives it and holds the output open. The run must end nevertheless.
int orphan() {
    const pid_t child = fork();
    if (child < 0)
        return 90;
    if (child == 0) {
        setsid();
        pause();
        _exit(0);
    }
    puts("gone");
    return 0;
}

int count() {
    static char block[65536];
    long sum = 0;
    ssize_t got = 0;
    while ((got = read(0, block, sizeof block)) > 0)
        sum += got;
    printf("%ld\n", sum);
    return got < 0 ? 90 : 0;
}

int host_files() {
    const char *secrets[] = {"/etc/shadow", "/etc/sudoers", "/proc/1/environ", "/proc/1/mem", "/dev/mem", "/root/x"};
    for (const char *path : secrets)
        if (open(path, O_RDONLY | O_CLOEXEC) >= 0)
            return 93;
    const char *places[] = {"/usr/canary", "/bin/canary", "/etc/canary",
                            "/canary",     "/p/canary",   "/proc/sys/kernel/core_pattern"};
    for (const char *path : places)
        if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0)
            return 94;
    puts("kept out");
    return 0;
}

int network() {
    const int kinds[][2] = {
        {AF_INET, SOCK_STREAM}, {AF_INET6, SOCK_DGRAM}, {AF_INET, SOCK_RAW}, {AF_NETLINK, SOCK_RAW}};
    for (const auto &kind : kinds)
        if (socket(kind[0], kind[1], 0) >= 0)
            return 95;
    puts("no socket");
    return 0;
}

int scratch() {
    FILE *file = fopen("kept", "w+");
    if (file == nullptr || fputs("written", file) < 0 || fseek(file, 0, SEEK_SET) != 0)
        return 90;
    char back[16] = "";
    if (fgets(back, sizeof back, file) == nullptr)
        return 91;
    puts(back);
    return fclose(file);
}

int act(const char *what, int number) {
    const auto is = [what](const char *name) { return strcmp(what, name) == 0; };
    if (is("exit"))
        return number;
    if (is("forge"))
        return forge(number);
    if (is("abort"))
        abort();
    if (is("null"))
        return *reinterpret_cast<volatile int *>(static_cast<long>(zero));
    if (is("divide")) {
        sink = 1 / zero;
        raise(SIGFPE); // not every machine traps
    }
    if (is("loop"))
        for (;;)
            sink = sink + 1;
    if (is("burn"))
        return burn(number);
    if (is("sleep"))
        for (;;)
            pause();
    if (is("nap"))
        return usleep(static_cast<useconds_t>(number) * 1000);
    if (is("static")) {
        touch(big, sizeof big);
        return 0;
    }
    if (is("grow"))
        return grow();
    if (is("resize"))
        return resize();
    if (is("recurse"))
        return recurse(number) < 0 ? 90 : puts("deep") < 0;
    if (is("vectors"))
        return vectors();
    if (is("flood"))
        return flood(number);
    if (is("children"))
        return children(number);
    if (is("bomb"))
        return bomb();
    if (is("orphan"))
        return orphan();
    if (is("close"))
        return close(1) + close(2);
    if (is("count"))
        return count();
    if (is("host_files"))
        return host_files();
    if (is("network"))
        return network();
    if (is("scratch"))
        return scratch();
    return 99;
}

} // namespace

int main() {
    // Byte by byte: the rest of the input belongs to the case.
    char line[64] = "";
    for (size_t at = 0; at < sizeof line - 1 && read(0, line + at, 1) == 1 && line[at] != '\n'; ++at)
        ;
    char what[32] = "";
    int number = 0;
    if (sscanf(line, "%31s %d", what, &number) < 1)
        return 98;
    return act(what, number);
}
