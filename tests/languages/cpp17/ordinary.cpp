// What ordinary C++17 programs do. Each mode prints "done" at its end.
#include <algorithm>
#include <any>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

static void check(bool right, const char *what) {
    if (!right) {
        std::cout << what << std::endl;
        std::exit(1);
    }
}
#define CHECK(what) check((what), #what)

static void exceptions() {
    int caught = 0;
    for (int i = 0; i < 1000; i++) try {
            if (i % 2) throw std::runtime_error("odd");
            std::vector<int>().at(1);
        } catch (const std::out_of_range &) {
            caught++;
        } catch (const std::exception &error) {
            caught += error.what() == std::string("odd");
        }
    CHECK(caught == 1000);
    auto late = std::async(std::launch::async, []() -> int { throw std::logic_error("late"); });
    try {
        late.get();
        CHECK(false);
    } catch (const std::logic_error &error) {
        CHECK(std::string(error.what()) == "late");
    }
    try {
        std::vector<char>(std::size_t(1) << 62);
        CHECK(false);
    } catch (const std::exception &) {
    }
}

static void threads() {
    std::atomic<int> sum{0};
    std::mutex mutex;
    std::shared_mutex shared;
    std::condition_variable changed;
    int finished = 0;
    std::vector<std::thread> team;
    for (int i = 0; i < 8; i++)
        team.emplace_back([&, i] {
            sum += i;
            std::shared_lock<std::shared_mutex> reading(shared);
            std::lock_guard<std::mutex> lock(mutex);
            finished++;
            changed.notify_all();
        });
    {
        std::unique_lock<std::mutex> lock(mutex);
        CHECK(changed.wait_for(lock, std::chrono::seconds(60), [&] { return finished == 8; }));
    }
    for (auto &thread : team) thread.join();
    CHECK(sum == 28);
    CHECK(std::thread::hardware_concurrency() > 0);
    std::once_flag once;
    std::call_once(once, [&] { sum = 0; });
}

static void futures() {
    std::vector<std::future<long>> parts;
    for (int i = 0; i < 4; i++)
        parts.push_back(std::async(std::launch::async, [i] {
            long sum = 0;
            for (long n = i; n < 1000000; n += 4) sum += n;
            return sum;
        }));
    long sum = 0;
    for (auto &part : parts) sum += part.get();
    CHECK(sum == 499999500000);
    std::promise<int> promise;
    std::thread giver([&] { promise.set_value(3); });
    CHECK(promise.get_future().get() == 3);
    giver.join();
}

static void text() {
    std::regex words("([a-z]+)([0-9]+)");
    std::string all;
    const std::string line = "a1 bb22 ccc333";
    for (std::sregex_iterator it(line.begin(), line.end(), words), end; it != end; ++it) all += (*it)[2];
    CHECK(all == "122333");
    std::locale::global(std::locale("C.UTF-8"));
    std::wstringstream wide;
    wide << L"ü";
    CHECK(wide.str().size() == 1);
}

static void randomness() {
    std::random_device device;
    std::mt19937_64 engine(device());
    std::uniform_int_distribution<int> dice(1, 6);
    for (int i = 0; i < 1000; i++) CHECK(dice(engine) <= 6);
    CHECK(std::mt19937(5489)() == 3499211612u);
}

static void sorting() {
    std::mt19937 engine(1);
    std::vector<unsigned> numbers(1000000);
    std::generate(numbers.begin(), numbers.end(), std::ref(engine));
    std::sort(numbers.begin(), numbers.end());
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    std::stable_sort(numbers.begin(), numbers.end(), std::greater<>());
    std::unordered_map<unsigned, int> seen;
    for (unsigned i = 0; i < 200000; i++) seen[numbers[i]]++;
    CHECK(!seen.empty());
}

static void files() {
    namespace fs = std::filesystem;
    fs::create_directories("a/b/c");
    std::ofstream("a/b/note.txt") << "kept\n";
    CHECK(fs::file_size("a/b/note.txt") == 5);
    fs::copy_file("a/b/note.txt", "a/copy.txt");
    fs::copy("a", "copied", fs::copy_options::recursive);
    fs::rename("a/copy.txt", "a/moved.txt");
    fs::permissions("a/moved.txt", fs::perms::owner_read | fs::perms::owner_write);
    fs::last_write_time("a/moved.txt", fs::file_time_type::clock::now());
    fs::create_hard_link("a/moved.txt", "a/linked.txt");
    fs::resize_file("a/linked.txt", 100);
    CHECK(fs::hard_link_count("a/moved.txt") == 2);
    CHECK(std::distance(fs::recursive_directory_iterator("copied"), fs::recursive_directory_iterator()) == 4);
    CHECK(fs::current_path() == "/w" && fs::exists(fs::temp_directory_path()) && fs::space(".").capacity > 0);
    CHECK(fs::remove_all("a") == 6);
    std::string line;
    std::getline(std::ifstream("copied/b/note.txt"), line);
    CHECK(line == "kept");
}

static void large_output() {
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    std::cout << std::string(200000, 'x') << '\n';
}

static void time() {
    using namespace std::chrono;
    const auto begin = steady_clock::now();
    std::this_thread::sleep_for(milliseconds(5));
    std::this_thread::yield();
    CHECK(steady_clock::now() - begin >= milliseconds(5));
    CHECK(system_clock::now().time_since_epoch().count() > 0);
}

static void values() {
    std::variant<int, std::string> either = std::string("text");
    std::any anything = 3.5;
    std::optional<int> nothing;
    auto shared = std::make_shared<int>(5);
    std::weak_ptr<int> weak = shared;
    CHECK(std::get<1>(either) == "text" && std::any_cast<double>(anything) == 3.5 && !nothing && *weak.lock() == 5);
    try {
        (void)std::any_cast<int>(anything);
        CHECK(false);
    } catch (const std::bad_any_cast &) {
    }
}

// The first word of the input says which.
int main() {
    const std::map<std::string, void (*)()> modes = {
        {"exceptions", exceptions}, {"threads", threads}, {"futures", futures}, {"text", text},
        {"randomness", randomness}, {"sorting", sorting}, {"files", files},     {"large_output", large_output},
        {"time", time},             {"values", values},
    };
    std::string name;
    std::cin >> name;
    const auto mode = modes.find(name);
    if (mode == modes.end()) return 98;
    mode->second();
    std::cout << "done" << std::endl;
}
