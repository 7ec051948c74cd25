#include <fstream>
#include <iostream>
#include <string>

#include "total.h"

int main(int argc, char **) {
    int n, price;
    std::string unit;
    std::cin >> n;
    std::ifstream("price.txt") >> price;
    std::ifstream("unit.txt") >> unit;
    std::cout << total(n, price) + (argc > 1 ? n : 0) << ' ' << unit << '\n';
}
