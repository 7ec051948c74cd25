/* Trees of files on the host: listing a directory, and removing one with everything below. */
#ifndef DEEPOJ_FILE_TREE_H
#define DEEPOJ_FILE_TREE_H

#include <dirent.h>

/* Opens a stream over a directory. The descriptor stays the caller's. Returns NULL, with errno, on failure. */
DIR *file_tree_open(int directory);

/* Returns the next name in the directory but . and .., or NULL at its end. */
const char *file_tree_next(DIR *stream);

/* Removes a directory and everything in it. Returns 0, also if there is none, or a negative errno. */
int file_tree_remove(int directory, const char *name);

#endif
