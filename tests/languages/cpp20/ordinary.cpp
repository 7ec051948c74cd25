// What ordinary C++20 programs do beyond C++17. Prints "done" at its end.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <bit>
#include <concepts>
#include <coroutine>
#include <iostream>
#include <latch>
#include <numeric>
#include <ranges>
#include <semaphore>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

struct Numbers {
    struct promise_type {
        int value = 0;
        Numbers get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(int next) {
            value = next;
            return {};
        }
        void return_void() {}
        void unhandled_exception() { throw; }
    };
    std::coroutine_handle<promise_type> handle;
    ~Numbers() { handle.destroy(); }
    bool next() {
        handle.resume();
        return !handle.done();
    }
};

static Numbers up_to(int end) {
    for (int i = 1; i <= end; i++) co_yield i;
}

template <std::integral T>
static T twice(T value) {
    return value * 2;
}

int main() {
    int sum = 0;
    for (Numbers numbers = up_to(100000); numbers.next();) sum += numbers.handle.promise().value % 7;
    std::cout << "coroutine " << sum << "\n";

    std::atomic<int> reached{0};
    std::barrier meeting(4, [&]() noexcept { reached++; });
    std::latch finished(4);
    std::counting_semaphore<4> permits(2);
    {
        std::vector<std::jthread> team;
        for (int i = 0; i < 4; i++)
            team.emplace_back([&] {
                permits.acquire();
                permits.release();
                meeting.arrive_and_wait();
                finished.count_down();
            });
        finished.wait();
    }
    std::cout << "threads " << reached << "\n";

    std::atomic<bool> ready{false};
    std::jthread waiter([&](std::stop_token stop) {
        ready.wait(false);
        while (!stop.stop_requested()) std::this_thread::yield();
    });
    ready = true;
    ready.notify_all();
    waiter.request_stop();
    waiter.join();

    auto squares = std::views::iota(1, 11) | std::views::filter([](int n) { return n % 2; }) |
                   std::views::transform([](int n) { return n * n; });
    int total = 0;
    for (int square : squares) total += square;
    std::vector<int> some{3, 1, 2};
    std::ranges::sort(some);
    std::cout << "ranges " << total << " " << std::span(some)[0] << " " << twice(21) << " " << std::popcount(255u) << "\n";
    std::cout << "done" << std::endl;
}
