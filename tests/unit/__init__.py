"""Single modules with fakes, without servers and without a clock; and rules about the repository's own files."""
