"""Each language judged in the sandbox, with the programs in the folder of its key: ``make test-languages``."""
