/* Process 1 of a cell. */
#ifndef DEEPOJ_INIT_H
#define DEEPOJ_INIT_H

#include "cell.h"

/* Serves the slot's orders over `channel` until it ends. Then the init exits, and the kernel kills all in the cell. */
_Noreturn void init_main(const struct launcher *launcher, struct cell_tally *tally, int channel);

#endif
