"""libFuzzer on C code that parses bytes: ``make fuzz``."""
