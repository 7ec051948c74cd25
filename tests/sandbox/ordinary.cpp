// What ordinary programs do, and what the first version of this judge killed them for.
#include <atomic>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <numeric>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int large_write() {  // writev
    std::ios::sync_with_stdio(false);
    std::cout << std::string(300000, 'a') << "\n";
    return 0;
}

static int growth() {  // mremap
    char *memory = nullptr;
    for (std::size_t size = 1 << 16; size <= (24u << 20); size += 1 << 18) {
        memory = static_cast<char *>(std::realloc(memory, size));
        if (memory == nullptr) return 1;
        memory[size - 1] = 1;
    }
    std::free(memory);
    return 0;
}

static int threads() {
    std::atomic<int> sum{0};
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::thread> team;
    for (int i = 0; i < 8; i++)
        team.emplace_back([&, i] {
            sum += i;
            std::lock_guard<std::mutex> lock(mutex);
            changed.notify_all();
        });
    for (auto &thread : team) thread.join();
    std::cout << sum << "\n";
    return 0;
}

static int naps() {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    std::cout << "awake\n";
    return 0;
}

static int expressions() {
    std::string text = "a1 bb22 ccc333";
    std::regex words("([a-z]+)([0-9]+)");
    for (std::sregex_iterator it(text.begin(), text.end(), words), end; it != end; ++it) std::cout << (*it)[2] << " ";
    std::cout << "\n";
    return 0;
}

static int caught() {
    try {
        throw std::runtime_error("caught");
    } catch (const std::exception &error) {
        std::cout << error.what() << "\n";
    }
    return 0;
}

static int files() {
    std::ofstream("note.txt") << "kept\n";
    std::string line;
    std::getline(std::ifstream("note.txt") >> std::ws, line);
    std::cout << line << "\n";
    return 0;
}

int main(int argc, char **argv) {
    std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "large_write") return large_write();
    if (mode == "growth") return growth();
    if (mode == "threads") return threads();
    if (mode == "naps") return naps();
    if (mode == "expressions") return expressions();
    if (mode == "caught") return caught();
    if (mode == "files") return files();
    if (mode == "uncaught") throw std::runtime_error("uncaught");
    if (mode == "assertion") assert(argc == 99);
    if (mode == "bad_alloc") {
        std::vector<std::vector<char>> all;
        for (;;) all.emplace_back(1 << 20, 'x');
    }
    return 98;
}
