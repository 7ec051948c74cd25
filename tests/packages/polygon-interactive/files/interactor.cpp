#include "testlib.h"

#include <iostream>

int main(int argc, char *argv[]) {
    registerInteraction(argc, argv);
    int secret = inf.readInt();
    for (int turn = 1;; ++turn) {
        int guess = ouf.readInt(1, 1000, "guess");
        if (guess == secret) {
            std::cout << "correct" << std::endl;
            tout << turn << std::endl;
            quitf(_ok, "found in %d turns", turn);
        }
        if (turn == 100) {
            quitf(_wa, "too many turns");
        }
        std::cout << (guess > secret ? "lower" : "higher") << std::endl;
    }
}
