#include <cstdio>

int main() {
    double x;
    if (std::scanf("%lf", &x) == 1) {
        std::printf("%.7e\n", x / 2);
    }
}
