"""Fakes of the ports, for tests without servers. No tests are here."""
