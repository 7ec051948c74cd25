"""The files in ``deploy/``, checked by the tools that read them and against the program's own names."""
