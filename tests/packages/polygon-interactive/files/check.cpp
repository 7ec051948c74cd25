#include "testlib.h"

int main(int argc, char *argv[]) {
    registerTestlibCmd(argc, argv);
    int turns = ouf.readInt();
    if (turns > 10) {
        quitf(_wa, "%d turns", turns);
    }
    quitf(_ok, "%d turns", turns);
}
