"""Says what is wrong with a field of a form: by its label, and by what the form allows.

The API names parameters and their units, such as ``freeze_ms`` in milliseconds; forms have labels and minutes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from deepoj.api.errors import ApiError, Refused

type Translate = Callable[[str], str]

_MS_PER_MINUTE = 60_000


def _(text: str) -> str:
    """Mark a text for the catalogue."""
    return text


#: parameter, or field of a form → label
_LABELS: Mapping[str, str] = {
    "key": _("Short name in the URL (cannot be changed)"),
    "name": _("Name"),
    "formal_name": _("Formal name"),
    "start_at": _("Start"),
    "duration_ms": _("Length (h:mm)"),
    "length": _("Length (h:mm)"),
    "freeze_ms": _("Frozen for the last … minutes"),
    "freeze": _("Frozen for the last … minutes"),
    "penalty_ms": _("Penalty in minutes"),
    "penalty": _("Penalty in minutes"),
    "late_ms": _("Late submissions are taken for (h:mm)"),
    "late": _("Late submissions are taken for (h:mm)"),
    "late_step_ms": _("for each started period of (h:mm)"),
    "late_step": _("for each started period of (h:mm)"),
    "late_percent": _("Late penalty in percent of the points"),
    "languages": _("Languages"),
    "label": _("Label"),
    "team": _("Teams"),
    "problem_id": _("Number of the problem"),
    "rgb": _("Color"),
    "color": _("Name of the color"),
    "time_limit_ms": _("Time limit in ms"),
    "memory_limit_mb": _("Memory limit in MiB"),
    "max_score": _("Points"),
    "username": _("Username"),
    "password": _("Password"),
    "email": _("Email"),
    "code": _("Program"),
}
#: field → what it may be, where the API's sentence has the API's units; ``{least}`` and ``{most}`` are of that sentence
_ALLOWED: Mapping[str, str] = {
    "duration_ms": _("from 0:01 to {most_clock}"),
    "freeze_ms": _("from 0 to the minutes of the contest; empty: the board is never frozen"),
    "penalty_ms": _("from 0 to {most_minutes}"),
    "late_ms": _("from 0:00 to {most_clock}"),
    "late_step_ms": _("from 0:01 to {most_clock}"),
    "time_limit_ms": _("from {least} to {most}; empty: the limit of the problem"),
    "memory_limit_mb": _("from {least} to {most}; empty: the limit of the problem"),
    "username": _("3 to 32 letters or digits (2 in Chinese, Japanese or Korean), and _ . - but not first"),
}
#: what the API or the form says of any field → the sentence of the catalogue; ``{…}`` are the groups
_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"at least (?P<least>\d+) characters, at most (?P<most>\d+) bytes"),
        _("at least {least} characters, at most {most} bytes"),
    ),
    (re.compile(r"(?P<least>\d+) to (?P<most>\d+)"), _("from {least} to {most}")),
    (re.compile(r"(?P<least>\d+) to (?P<most>\d+) printable characters"), _("{least} to {most} printable characters")),
    (re.compile(r"at most (?P<most>\d+) printable characters"), _("at most {most} printable characters")),
    (
        re.compile(r"1 to (?P<most>\d+) letters, digits and _, inside also - and \."),
        _("1 to {most} letters, digits and _, inside also - and ."),
    ),
    (re.compile(r"a number from (?P<least>\d+) to (?P<most>\d+)"), _("a number from {least} to {most}")),
    (re.compile(r"a number above 0(, at most (?P<most>[\d.]+))?"), _("a number above 0")),
    (
        re.compile(r"keys of languages that \S+ lists, not '(?P<key>.*)'"),
        _("keys such as cpp17 and python3, not {key}"),
    ),
    (re.compile(r"a time from (?P<least>\d+) to (?P<most>\d+)"), _("a time from {least} to {most}")),
    (re.compile(r"not an e-mail address"), _("this is not an email address")),
    (re.compile(r"the names of erased accounts begin so"), _("the names of erased accounts begin so")),
    (re.compile(r"hours and minutes, such as 5:00"), _("hours and minutes, such as 5:00")),
    (re.compile(r"a whole number"), _("a whole number")),
    (re.compile(r"empty"), _("write one, or choose a file")),
    (
        re.compile(r"the contest has started: its length is changed under Clock, with a reason"),
        _("the contest has started: its length is changed under Clock, with a reason"),
    ),
)
#: why a package is refused as a whole; sentences about one of its files are English
_PACKAGE_FAULTS = frozenset(
    (
        _("The package is not a zip file."),
        _("The package has no test case."),
        _("The package has no test case: it needs pairs such as 1.in and 1.out (or 1.ans)."),
        _("The package is damaged: its entries are not where its directory says."),
        _("The package is a ZIP64 archive; a package of allowed size does not need that."),
        _("The package is missing in the object store: upload it again."),
    )
)
_BOUNDS = re.compile(r"(?P<least>\d+) to ((?P<most>\d+)|the duration)")


def sentence_of(refused: Refused, translate: Translate, *, is_chinese: bool) -> str:
    """Return the sentence of a refusal for a page with a form."""
    field, problem = str(refused.params.get("field")), str(refused.params.get("problem"))
    if problem in _PACKAGE_FAULTS:
        return refused.api_error.sentence(is_chinese, {**refused.params, "problem": translate(problem)})
    if refused.api_error is not ApiError.INVALID or field not in _LABELS:
        return refused.api_error.sentence(is_chinese, refused.params)
    return translate(_("“{label}”: {problem}.")).format(
        label=translate(_LABELS[field]), problem=_problem(field, problem, translate)
    )


def _problem(field: str, problem: str, translate: Translate) -> str:
    if field in _ALLOWED and (bounds := _BOUNDS.match(problem)) is not None:
        most_min = int(bounds["most"] or 0) // _MS_PER_MINUTE
        return translate(_ALLOWED[field]).format(
            least=bounds["least"],
            most=bounds["most"],
            most_minutes=most_min,
            most_clock=f"{most_min // 60}:{most_min % 60:02}",
        )
    for pattern, sentence in _SENTENCES:
        if (match := pattern.fullmatch(problem)) is not None:
            return translate(sentence).format_map(match.groupdict())
    return translate(problem)
