"""What ``deepoj doctor`` finds, and its lines for people."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import click

from deepoj.config.roles import Role
from deepoj.judging.languages import LANGUAGES
from deepoj.wiring.adapters import JUDGES
from deepoj.words.sandbox import Isolation

#: ``lacks``: a chosen role cannot work like this; ``fails``: something of the running system does; ``note``: worth
#: knowing, no judging depends on it
type State = Literal["ok", "note", "fails", "lacks"]
#: as shown to people, the most important first
COLOURS: dict[State, str] = {"lacks": "red", "fails": "red", "note": "yellow", "ok": "green"}
STATE_WIDTH = max(map(len, COLOURS))


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one part of the host."""

    what: str
    state: State
    detail: str
    #: the command that changes it for the better; empty if there is none
    mend: str = ""


def as_root(command: str) -> str:
    return command if os.geteuid() == 0 else f"sudo {command}"


def install() -> str:
    return as_root("apt-get install")


def lines_for_people(
    findings: Sequence[Finding], roles: Collection[Role], level: Isolation | None, width: int | None
) -> list[str]:
    """The verdict, then the findings, the most important first.

    ``width``: columns of the terminal, for which lines are wrapped; None: one line a finding.
    """
    shown = sorted(_with_languages_merged(findings), key=lambda finding: list(COLOURS).index(finding.state))
    what_width = max(len(finding.what) for finding in shown)
    lines = _wrapped(_verdict(findings, roles, level), width, 0)
    for finding in shown:
        head = f"{finding.state:<{STATE_WIDTH}} {finding.what:<{what_width}} "
        detail = " ".join(finding.detail.split())
        mend = f"mend: {finding.mend}" if finding.mend else ""
        if width is None:
            lines.append(head + "; ".join(filter(None, (detail, mend))))
            continue
        first, *rest = _wrapped(head + detail, width, len(head))
        lines += [click.style(first[:STATE_WIDTH], fg=COLOURS[finding.state]) + first[STATE_WIDTH:], *rest]
        if mend:  # never broken, so that it can be copied
            lines.append(" " * (STATE_WIDTH + 1) + mend)
    return lines


def _wrapped(line: str, width: int | None, indent: int) -> list[str]:
    if width is None:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _verdict(findings: Sequence[Finding], roles: Collection[Role], level: Isolation | None) -> str:
    names = ", ".join(sorted(roles))
    fails = (
        " The running system needs a person: see what fails." if any(one.state == "fails" for one in findings) else ""
    )
    lacking = dict.fromkeys(finding.what for finding in findings if finding.state == "lacks")
    if lacking:
        return f"This host cannot run the roles {names}: it lacks {', '.join(lacking)}.{fails}"
    at_level = f" at isolation level {level}" if level and JUDGES & set(roles) else ""
    return f"This host can run the roles {names}{at_level}.{fails}"


def _with_languages_merged(findings: Sequence[Finding]) -> list[Finding]:
    """The languages that cannot be judged as one finding, the last."""
    absent = [finding for finding in findings if finding.state == "note" and finding.what in LANGUAGES]
    others = [finding for finding in findings if finding not in absent]
    if not absent:
        return others
    command = f"{install()} "
    packages = [finding.mend.removeprefix(command) for finding in absent if finding.mend.startswith(command)]
    mend = command + " ".join(dict.fromkeys(packages)) if packages else ""
    names = ", ".join(finding.what for finding in absent)
    return [*others, Finding("languages", "note", f"not judged here: {names}", mend)]
