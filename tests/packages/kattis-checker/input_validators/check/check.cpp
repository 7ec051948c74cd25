#include <iostream>

int main() {
    long long n;
    return std::cin >> n && n >= 2 ? 42 : 43;
}
