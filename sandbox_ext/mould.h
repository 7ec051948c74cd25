/* What every payload is to be, and may as well be from birth. */
#ifndef DEEPOJ_MOULD_H
#define DEEPOJ_MOULD_H

/* Sets it for the calling slot, whose children inherit it. 0, or a negative errno and the step that failed. */
int mould(const char **step);

#endif
