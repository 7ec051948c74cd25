"""Figures, times and verdicts as pages show them."""

from __future__ import annotations

import datetime as dt
import re

from markupsafe import Markup

from deepoj.contests.clock import MS_PER_MINUTE
from deepoj.words.results import Verdict

#: verdict or state → its glyph, so that no verdict is told by colour alone, and its class in the style sheet. Fonts of
#: Debian and of phones have all of them
GLYPHS: dict[str, tuple[str, str]] = {
    Verdict.ACCEPTED: ("✓", "accepted"),
    Verdict.WRONG_ANSWER: ("✗", "wrong"),
    Verdict.PRESENTATION_ERROR: ("✗", "wrong"),
    Verdict.PARTIAL: ("◐", "partial"),
    Verdict.TIME_LIMIT_EXCEEDED: ("◷", "time"),
    Verdict.MEMORY_LIMIT_EXCEEDED: ("▤", "memory"),
    Verdict.OUTPUT_LIMIT_EXCEEDED: ("⇥", "memory"),
    Verdict.RUNTIME_ERROR: ("⚠", "runtime"),
    Verdict.COMPILE_ERROR: ("#", "compile"),
    Verdict.SYSTEM_ERROR: ("!", "system"),
    Verdict.INVALID: ("!", "system"),
    "Skipped": ("–", "waiting"),
    "Queuing": ("…", "waiting"),
    "Judging": ("…", "waiting"),
    "Running": ("…", "waiting"),
    # of a playground run: nothing was compared
    "Finished": ("●", "system"),
}
_KB_OF_MIB = 1024
_HEADING = re.compile(r"<h([1-6])\b.*?</h\1>", re.DOTALL)
_TAG = re.compile(r"<(?!img\b|math\b)[^>]*>")


def _(text: str) -> str:
    """Mark a word for the catalogue."""
    return text


def bdi(name: str | None) -> Markup:
    """Return a name in an element of its own: its direction of writing moves no words or figures beside it."""
    return Markup("<bdi>{}</bdi>").format(name) if name else Markup()


#: what a verdict or a state is called; templates translate the word itself
WORDS = (
    _("Accepted"), _("Wrong Answer"), _("Presentation Error"), _("Partial"), _("Time Limit Exceeded"),
    _("Memory Limit Exceeded"), _("Output Limit Exceeded"), _("Runtime Error"), _("Compile Error"), _("System Error"),
    _("Skipped"), _("Queuing"), _("Judging"), _("Running"), _("Finished"),
)  # fmt: skip


def is_blank(html: str) -> bool:
    """Return whether the HTML of a statement, as the sanitizer returns it, has neither text nor images below its
    headings. Of other HTML, with a heading that is not closed, it would take quadratic time."""
    return not _TAG.sub("", _HEADING.sub("", html)).strip()


def milliseconds(value: int | None) -> str:
    """Return ``12 ms``, ``1.02 s``."""
    if value is None:
        return "–"
    return f"{value} ms" if value < 1000 else f"{value / 1000:.2f} s"


def memory(kb: int | None) -> str:
    """Return ``640 KiB``, ``3.6 MiB``."""
    if kb is None:
        return "–"
    return f"{kb} KiB" if kb < _KB_OF_MIB else f"{kb / _KB_OF_MIB:.1f} MiB"


def size(count: int) -> str:
    """Return a number of bytes as ``640 MiB``, ``12 GiB``."""
    mib = count / 1024 / 1024
    return f"{mib:.0f} MiB" if mib < 10 * _KB_OF_MIB else f"{mib / _KB_OF_MIB:.0f} GiB"


#: units of durations by language: days, hours, minutes, seconds
_UNITS = {"en": ("d", "h", "min", "s"), "zh": ("天", "小时", "分钟", "秒")}


def duration(seconds: float, language: str = "en") -> str:
    """Return ``40 s``, ``12 min``, ``3 h 5 min``, ``2 d 1 h``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = _UNITS[language]
    parts = [f"{value} {unit}" for value, unit in zip((days, hours, minutes, rest), units, strict=True) if value]
    return " ".join(parts[: 1 if not days and not hours else 2]) or f"0 {units[-1]}"


def contest_clock(ms: int) -> str:
    """Return contest time, or the length of a contest, as ``4:05``: hours and minutes."""
    hours, minutes = divmod(ms // MS_PER_MINUTE, 60)
    return f"{hours}:{minutes:02}"


def moment(iso: str | dt.datetime, *, is_local: bool = False) -> Markup:
    """Return a time in UTC. A script shows how long ago it is, or (``is_local``) the time in the reader's zone."""
    when = (iso if isinstance(iso, dt.datetime) else dt.datetime.fromisoformat(iso)).astimezone(dt.UTC)
    return Markup('<time datetime="{}"{}>{}</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        Markup(' data-time="local"') if is_local else "",
        when.strftime("%Y-%m-%d %H:%M UTC"),
    )


def countdown(when: dt.datetime) -> Markup:
    """Return a time in UTC, in whose place a script shows how long it is until then, as ``6 d 22:59:10``."""
    when = when.astimezone(dt.UTC)
    return Markup('<time class="clock" role="timer" datetime="{}" data-time="clock">{}</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"), when.strftime("%Y-%m-%d %H:%M UTC")
    )


def elapsed(iso: str) -> Markup:
    """Return how long ago a time was, as ``29 s``. A script keeps it up to date."""
    when = dt.datetime.fromisoformat(iso).astimezone(dt.UTC)
    return Markup('<time datetime="{}" data-time="for">{}</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"), duration(max(0.0, (dt.datetime.now(dt.UTC) - when).total_seconds()))
    )


def as_sentence(text: str) -> str:
    """Return the text with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "!", "?", "。")) else ".")


def bar(value: int | None, limit: int) -> Markup:
    """Return a value beside its limit as a bar, which browsers paint in another color from nine tenths of the limit on,
    and in a third one from the limit on."""
    if value is None:
        return Markup("")
    return Markup(
        '<meter min="0" max="{}" low="{}" high="{}" optimum="0" value="{}" aria-hidden="true"></meter>'
    ).format(limit, limit * 0.9, limit * 0.999, min(value, limit))


def share(value: int, whole: int) -> Markup:
    """Return a part of a whole as a bar."""
    return Markup('<meter min="0" max="{}" value="{}" aria-hidden="true"></meter>').format(whole, value)
