#include <fstream>
#include <iostream>

#include "numbers.h"

// 0: right, 1: wrong, 2: not in the form asked for
int main(int, char **argv) {
    long long n, d;
    std::ifstream(argv[1]) >> n;
    std::ifstream output(argv[2]);
    if (!(output >> d)) {
        std::cerr << "no number\n";
        return 2;
    }
    if (!divides(d, n)) {
        std::cerr << d << " is no divisor of " << n << '\n';
        return 1;
    }
    std::cerr << "a divisor\n";
    return 0;
}
