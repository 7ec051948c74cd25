"""The settings that lift every limit on requests: a bench is one very busy user, and says so by printing them."""

from __future__ import annotations

from importlib.resources import files


def unlimited() -> str:
    """``unlimited.yaml``, as it stands."""
    return files("deepoj.operate.bench").joinpath("unlimited.yaml").read_text()
