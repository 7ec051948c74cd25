"""Points that a checker gives: as it prints them, or leaves them in files of its feedback directory.

DMOJ's are those of its ``dmoj/contrib`` (``coci.py``, ``peg.py``), Hydro's those of its ``testlib.ts``, UOJ's those of
its ``uoj_judger.h``, CMS's those of its ``cms/grading/steps/trusted.py``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping

from deepoj.judging import verdicts
from deepoj.judging.problem import Checker, Protocol
from deepoj.judging.scoring.outcome import MAX_POINTS
from deepoj.words.results import Verdict
from deepoj.words.sandbox import RunOutcome

SCORE, SHARE = "score.txt", "score_multiplier.txt"

#: testlib's ``points 12.5 reason``; the rest of the line is for people
_POINTS = re.compile(rb"^points[ \t]+(\S+)", re.MULTILINE)
_COCI_SHARE = re.compile(rb"^partial ([0-9]{1,18})/([0-9]{1,18})$", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")

#: the beginning of what testlib prints for ``_pc``
_PARTLY = re.compile(rb"\A\s*partially correct \(([0-9]{1,3})\)")

#: points, a share of the test's worth
PointsAndShare = tuple[float | None, float | None]


def given(
    checker: Checker, outcome: RunOutcome, verdict: Verdict, feedback: Mapping[str, bytes]
) -> PointsAndShare | str:
    """Return points and share; or a sentence, if required points are missing or invalid."""
    if checker.protocol is not Protocol.VALIDATOR:
        return _own_points(checker.protocol, outcome, verdict)
    if verdict is Verdict.ACCEPTED:
        return _feedback_points(feedback, is_due=checker.scores)
    # the format decides whether points of a rejected output are a fault (Scoring.points_fault)
    return _feedback_number(feedback, SCORE), _feedback_number(feedback, SHARE)


def _own_points(protocol: Protocol, outcome: RunOutcome, verdict: Verdict) -> PointsAndShare | str:
    """Return what a checker that is no validator prints: points and share, or why they are not usable."""
    if protocol is Protocol.PEG:
        return None, _peg_share(outcome.stdout)
    if verdict is not Verdict.PARTIAL:
        return None, None
    if protocol is Protocol.CMS:
        share = _number((outcome.stdout.split(maxsplit=1) or [b""])[0])
        fits = share is not None and share <= 1
        return (None, share) if fits else "its first word on standard output is not a number from 0 to 1"
    if protocol is Protocol.COCI:
        share = _share_in(_COCI_SHARE.search(outcome.stderr))
        fits = share is not None
        return (None, share) if fits else "it exited with 7 and printed no share, for example 'partial 3/5'"
    return _testlib_points(protocol, outcome)


def _share_in(match: re.Match[bytes] | None) -> float | None:
    """Return two matched integers as a share; None without a match, or if the share is above 1."""
    part, whole = (int(match[1]), int(match[2])) if match else (0, 0)
    return part / whole if 0 <= part <= whole != 0 else None


def _peg_share(stdout: bytes) -> float | None:
    """Return the share that DMOJ finds: the first quotient above 0 of two lines that follow each other (``peg.py`` in
    DMOJ's ``dmoj/contrib``). A number is what Python's ``float`` takes, there as here."""
    lines = stdout.decode("utf-8", "replace").split("\n")
    for above, below in itertools.pairwise(lines):
        try:
            share = float(above) / float(below)
        except (ValueError, ZeroDivisionError):
            continue
        if share > 0:
            return min(share, 1.0)
    return None


def is_partly(protocol: Protocol, outcome: RunOutcome, *, scored: bool) -> bool:
    """Return whether the checker called testlib's ``_pc``, where that counts: testlib says of how much, and only the
    formats of Hydro and UOJ say what that is worth.

    Other programs end with these exit codes, too, when they fail. So testlib's own words have to be there.
    """
    speaks = (outcome.verdict, outcome.rule) in verdicts.CHECKER_SPEAKS and outcome.exit_signal == 0
    counts = protocol in verdicts.TESTLIBS and (protocol is not Protocol.TESTLIB or not scored)
    words = _PARTLY.search(outcome.stderr)
    return speaks and counts and words is not None and int(words[1]) == outcome.exit_code - verdicts.PARTIALLY


def _testlib_points(protocol: Protocol, outcome: RunOutcome) -> PointsAndShare | str:
    """Return points and share of a result ``_points`` or ``_pc``: Hydro's ``testlib.ts``, UOJ's ``uoj_judger.h``."""
    if outcome.exit_code >= verdicts.PARTIALLY:
        share = min((outcome.exit_code - verdicts.PARTIALLY) / 100, 1.0)
        # UOJ's judge reads `ok` and `points` alone
        return None, 0.0 if protocol is Protocol.UOJ else share
    printed = _printed_points(outcome)
    if isinstance(printed, str) or protocol is Protocol.TESTLIB or printed[0] is None:
        return printed
    points = printed[0]
    return None, min(points / 100 if protocol is Protocol.HYDRO and points > 1 else points, 1.0)


def _printed_points(outcome: RunOutcome) -> PointsAndShare | str:
    match = _POINTS.search(outcome.stderr) or _POINTS.search(outcome.stdout)
    if match is None:
        return f"it exited with {outcome.exit_code} (points) and printed no points"
    points = _number(match[1])
    return "the points that it printed are not a number, or negative" if points is None else (points, None)


def _feedback_points(feedback: Mapping[str, bytes], *, is_due: bool) -> PointsAndShare | str:
    points = _number(feedback[SCORE]) if SCORE in feedback else None
    share = _number(feedback[SHARE]) if SHARE in feedback else None
    sentence = ""
    if SCORE in feedback and SHARE in feedback:
        sentence = f"it wrote both {SCORE} and {SHARE}"
    elif SCORE in feedback and points is None:
        sentence = f"{SCORE} contains no number, or a negative one"
    elif SHARE in feedback and (share is None or share > 1):
        sentence = f"{SHARE} contains no number from 0 to 1"
    elif is_due and points is None and share is None:
        sentence = f"it accepted, and wrote no {SCORE}"
    return sentence or (points, share)


def _feedback_number(feedback: Mapping[str, bytes], name: str) -> float | None:
    """Return the number in a feedback file; None without the file, NaN if it contains no number."""
    if name not in feedback:
        return None
    value = _number(feedback[name])
    return math.nan if value is None else value


def _number(raw: bytes) -> float | None:
    """Parse a number from 0 to ``MAX_POINTS``; None for other text."""
    text = raw[:1024].decode("ascii", "replace").strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if 0 <= value <= MAX_POINTS else None  # NaN is not
