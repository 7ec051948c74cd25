/* Attributes that every payload has and can inherit from its slot. */
#ifndef DEEPOJ_MOULD_H
#define DEEPOJ_MOULD_H

/* Sets them for the calling slot, whose children inherit them. Returns 0, or a negative errno and the step that
 * failed. */
int mould(const char **step);

#endif
