// "accepted 1 2": the sum; and what else can become of a program.
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

int main() {
    std::string mode;
    long a, b;
    std::cin >> mode >> a >> b;
    if (mode == "crash") throw std::runtime_error(mode);
    for (volatile long i = 0; mode == "loop"; i = i + 1) {
    }
    std::vector<std::vector<char>> kept;
    while (mode == "memory") kept.emplace_back(1 << 20, 'x');
    std::cout << a + b + (mode == "wrong") << std::endl;
}
