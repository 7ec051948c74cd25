"""The benchmarks behind ``deepoj bench``."""
