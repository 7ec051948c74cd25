// "accepted 1 2": the sum; and what else can become of a program.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char mode[16];
    long a, b;

    if (scanf("%15s %ld %ld", mode, &a, &b) != 3)
        return 1;
    if (strcmp(mode, "crash") == 0)
        *(volatile int *)8 = 1;
    for (volatile long i = 0; strcmp(mode, "loop") == 0; i = i + 1)
        ;
    while (strcmp(mode, "memory") == 0)
        memset(malloc(1 << 20), 1, 1 << 20);
    printf("%ld\n", a + b + (strcmp(mode, "wrong") == 0));
}
