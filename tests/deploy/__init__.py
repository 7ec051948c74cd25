"""What stands in ``deploy/``, held against the tools that would read it and against the program's own names."""
