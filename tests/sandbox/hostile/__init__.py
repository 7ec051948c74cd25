"""Hostile programs and the verdicts that they get. The tests are in ``tests/sandbox``."""
