// What ordinary C++23 programs do beyond C++20, as far as an older library has it too. Prints "done" at its end.
#include <expected>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

static std::expected<int, std::string> halved(int n) {
    if (n % 2) return std::unexpected("odd");
    return n / 2;
}

struct Grid {
    std::vector<int> cells = std::vector<int>(12);
    int &operator[](int row, int column) { return cells[row * 4 + column]; }
};

constexpr int where() {
    if consteval {
        return 1;
    }
    return 2;
}

int main() {
    std::cout << "expected " << halved(8).value() << " " << halved(3).error() << "\n";
    std::optional<int> some = 4;
    std::cout << "optional " << some.transform([](int n) { return n + 1; }).value() << "\n";
    Grid grid;
    std::thread([&] { grid[2, 3] = where(); }).join();
    constexpr int early = where();
    std::cout << "grid " << grid[2, 3] << " " << early << " " << +std::to_underlying(static_cast<std::byte>(7)) << "\n";
    std::string text(100000, 'y');
    text.resize_and_overwrite(5, [](char *, std::size_t size) { return size; });
    std::cout << text << "\ndone" << std::endl;
}
