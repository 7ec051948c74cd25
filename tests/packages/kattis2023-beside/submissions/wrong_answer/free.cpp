#include "total.h"

int total(int, int) { return 0; }
