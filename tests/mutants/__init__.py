"""Faults of one line, each with the test that must find it: ``make mutants``. No tests are here."""
