"""Checkers that come with testlib, and comparisons that give their verdicts. Hydro and UOJ name them instead of a file.

The sources are in testlib's ``checkers`` folder and in ``judger/uoj_judger/builtin/checker`` of UOJ. Their words and
numbers are compared as text: testlib itself accepts a number in its usual form alone, without leading zeros or a plus.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from deepoj.judging.problem import Compare


def _floats(tolerance: float) -> Compare:
    return Compare(way="floats", absolute=tolerance, relative=tolerance)


STANDARD: Mapping[str, Compare] = MappingProxyType(
    {
        "bcmp": Compare(way="exact"),
        "fcmp": Compare(way="whole_lines"),
        "lcmp": Compare(way="numbered_lines"),
        "uncmp": Compare(way="unordered_tokens"),
        **dict.fromkeys(("wcmp", "hcmp", "ncmp", "icmp"), Compare()),
        **dict.fromkeys(("acmp", "rcmp"), Compare(way="floats", absolute=1.5e-6)),
        "dcmp": _floats(1e-6),
        "rcmp4": _floats(1e-4),
        "rcmp6": _floats(1e-6),
        "rcmp9": _floats(1e-9),
        **dict.fromkeys(("yesno", "nyesno"), Compare(case_sensitive=False)),
    }
)
