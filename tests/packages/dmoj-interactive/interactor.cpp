#include <fstream>
#include <iostream>

int main(int, char *argv[]) {
    int secret, guess;
    std::ifstream(argv[1]) >> secret;
    for (int turn = 0; turn < 10; ++turn) {
        if (!(std::cin >> guess)) {
            return 1;
        }
        if (guess == secret) {
            std::cout << "correct" << std::endl;
            return 0;
        }
        std::cout << (guess > secret ? "lower" : "higher") << std::endl;
    }
    return 1;
}
