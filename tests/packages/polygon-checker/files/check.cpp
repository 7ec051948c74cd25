#include "testlib.h"

int main(int argc, char *argv[]) {
    registerTestlibCmd(argc, argv);
    int n = inf.readInt();
    int a = ouf.readInt(1, n, "a");
    int b = ouf.readInt(1, n, "b");
    if (a + b != n) {
        quitf(_wa, "%d + %d is not %d", a, b, n);
    }
    quitf(_ok, "a sum");
}
