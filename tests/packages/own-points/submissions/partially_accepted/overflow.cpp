// @EXPECTED_RESULTS@: PARTIAL
// @EXPECTED_SCORE@: 70
#include <iostream>

int main() {
    int a, b;
    std::cin >> a >> b;
    std::cout << int(unsigned(a) + unsigned(b)) << '\n';
}
