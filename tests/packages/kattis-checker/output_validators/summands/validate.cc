#include <fstream>
#include <iostream>
#include <string>

#include "verdict.h"

int main(int argc, char **argv) {
    long long n, a, b;
    std::ifstream(argv[1]) >> n;
    std::ofstream message(std::string(argv[3]) + "judgemessage.txt");
    std::string rest;
    if (!(std::cin >> a >> b) || std::cin >> rest) {
        message << "not two numbers\n";
        return kReject;
    }
    bool positive = argc > 4 && std::string(argv[4]) == "positive";
    if (a + b != n || (positive && (a < 1 || b < 1))) {
        message << a << " + " << b << " will not do for " << n << '\n';
        return kReject;
    }
    return kAccept;
}
