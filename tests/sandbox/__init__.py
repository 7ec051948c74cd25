"""The real sandbox on this host: verdicts, measures, isolation, compiling and checking."""
