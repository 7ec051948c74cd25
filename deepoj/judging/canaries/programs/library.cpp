// Features of the C++ library that contestants use. The first word of the input selects the case.

#include <atomic>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

int add() {
    long long a = 0, b = 0;
    std::cin >> a >> b;
    std::cout << a + b << std::endl;
    return 0;
}

int flood() {
    const std::string line(1023, 'x');
    for (int i = 0; i < 1024; ++i)
        std::cout << line << '\n';
    return std::cout.flush() ? 0 : 1;
}

int threads() {
    std::atomic<int> sum{0};
    std::vector<std::thread> all;
    for (int i = 1; i <= 7; ++i)
        all.emplace_back([i, &sum] { sum += i; });
    for (auto &one : all)
        one.join();
    std::cout << sum << std::endl;
    return 0;
}

int caught() {
    try {
        throw std::runtime_error("caught");
    } catch (const std::exception &error) {
        std::cout << error.what() << std::endl;
    }
    return 0;
}

int grow() {
    std::vector<std::string> all;
    for (;;)
        all.emplace_back(4096, 'x');
}

} // namespace

int main() {
    std::ios::sync_with_stdio(false);
    std::string what;
    std::cin >> what;
    if (what == "add")
        return add();
    if (what == "flood")
        return flood();
    if (what == "threads")
        return threads();
    if (what == "caught")
        return caught();
    if (what == "uncaught")
        throw std::runtime_error("nobody catches this");
    if (what == "grow")
        return grow();
    return 99;
}
