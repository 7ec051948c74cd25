#pragma once

inline bool divides(long long d, long long n) { return d > 1 && d < n && n % d == 0; }
