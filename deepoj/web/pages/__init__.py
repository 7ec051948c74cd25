"""The handlers of the pages, a class for each group. Templates have the names of the handlers."""
