#include <iostream>

#include "half.h"

int main() {
    double x;
    std::cin >> x;
    std::cout << half(x) << '\n';
}
