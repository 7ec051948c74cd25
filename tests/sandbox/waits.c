/* Asks for the delay of a run whose /proc is a directory: argv[1]. For each line of stdin, which is the present moment and
 * the CPU time that the run has used, both in microseconds, it prints the delay in microseconds. */
#include <fcntl.h>
#include <stdio.h>

#include "sampler.h"

int main(int argc, char **argv) {
    static struct sampler sampler;
    struct sampled_wait found;
    unsigned long now_us;
    unsigned long cpu_us;

    if (argc != 2)
        return 2;
    sampler_open(&sampler, open(argv[1], O_RDONLY | O_DIRECTORY));
    while (scanf("%lu %lu", &now_us, &cpu_us) == 2) {
        sampler_take_wait(&sampler, now_us, cpu_us, &found);
        printf("%lu\n", (unsigned long)found.delay_us);
        fflush(stdout);
    }
    return 0;
}
