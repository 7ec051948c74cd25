#include <vector>

int main() {
    std::vector<std::vector<char>> all;
    for (int i = 0; i < 1000; ++i) {
        all.emplace_back(1 << 20, 'x');
    }
    return all[999][5] == 'y';
}
