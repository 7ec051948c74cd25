"""Generates ``policy_table.h``, a source file of the launcher, from the readable ``policy.txt``.

The output is reproducible, byte for byte. Duplicates, missing reasons and unknown words are refused with their line
number.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

#: answer to a system call → its name in ``policy.c``
ANSWERS = {
    "allow": "ALLOW",
    "compile": "COMPILE",
    "refuse": "REFUSE",
    "absent": "ABSENT",
    "pretend": "PRETEND",
    "compile-pretend": "COMPILE_PRETEND",
}
#: checks of arguments, each implemented in ``policy.c``
CHECKS = frozenset(
    {
        "clone",
        "fcntl",
        "ioctl",
        "leased_fcntl",
        "mmap",
        "no_socket",
        "open",
        "openat",
        "pair",
        "personality",
        "prctl",
        "prlimit",
        "scheduler",
        "self",
        "setrlimit",
        "setsockopt",
        "socket",
        "urgent_message",
        "urgent_send",
    }
)
#: the checks whose values are lists in the text
LISTS = frozenset({"clone", "fcntl", "ioctl", "prctl", "setsockopt", "socket"})
WIDTH = 120

#: the title of the section whose answers stand in the place of others at the level ``weak``
WEAK = "At weak, instead"

_NAME = re.compile(r"[a-z_0-9]+")
_CONSTANT = re.compile(r"[A-Z][A-Z_0-9]+")
_LIST = re.compile(r"list ([a-z]+): ")
_AS = re.compile(r"as ([a-z_0-9]+)\b")


class PolicyError(ValueError):
    """The text is not a policy; the message begins with the line's number."""


@dataclass(slots=True)
class Call:
    """One line of the table."""

    name: str
    #: ``allow``, ``compile``, ``refuse``, ``absent``, ``pretend``, ``compile-pretend`` or ``check:NAME``
    answer: str
    reason: str
    section: str
    line: int

    @property
    def x86_64_only(self) -> bool:
        return self.section.endswith("[x86_64]")


@dataclass(slots=True)
class PolicyText:
    """The whole policy, in the order of the text."""

    calls: list[Call] = field(default_factory=list)
    #: what replaces some of them at the level ``weak``
    weak: list[Call] = field(default_factory=list)
    #: check → constants
    lists: dict[str, list[str]] = field(default_factory=dict)


def parse(text: str) -> PolicyText:
    """Raises PolicyError."""
    policy = PolicyText()
    section, values = "", None
    calls = policy.calls
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH or line != line.rstrip() or "\t" in line:
            raise PolicyError(f"{number}: a line is at most {WIDTH} characters, without tabs, no space at its end")
        if not line or line.startswith("#"):
            continue
        if line.startswith("= "):
            section = line[2:]
            calls = policy.weak if section == WEAK else policy.calls
            values = _list_of(section, policy, number)
        elif line.startswith(" "):
            if values is not None or not calls or calls[-1].section != section:
                raise PolicyError(f"{number}: there is no call here whose reason could go on")
            calls[-1].reason = f"{calls[-1].reason} {line.strip()}".strip()
        elif values is not None:
            values.append(_constant_of(line, values, number))
        else:
            calls.append(_call_of(line, section, number))
    _examine(policy)
    return policy


def _list_of(section: str, policy: PolicyText, number: int) -> list[str] | None:
    """The list that a section's title begins, or None if it is a section of calls."""
    title = _LIST.match(section)
    if title is None:
        return None
    if title[1] not in LISTS or title[1] in policy.lists:
        raise PolicyError(f"{number}: no check, or not once, goes by the list '{title[1]}'")
    return policy.lists.setdefault(title[1], [])


def _constant_of(line: str, values: list[str], number: int) -> str:
    name = line.split(None, 1)[0]
    if not _CONSTANT.fullmatch(name) or name in values:
        raise PolicyError(f"{number}: '{name}' is not a constant, or is already in this list")
    return name


def _call_of(line: str, section: str, number: int) -> Call:
    words = line.split(None, 2)
    if not section or len(words) < 2 or not _NAME.fullmatch(words[0]):
        raise PolicyError(f"{number}: expected a call and an answer, below a section's title")
    name, answer = words[:2]
    if answer not in ANSWERS and answer.removeprefix("check:") not in CHECKS:
        raise PolicyError(f"{number}: unknown answer '{answer}'")
    return Call(name, answer, words[2] if len(words) == 3 else "", section, number)


def _examine(policy: PolicyText) -> None:
    """Check the rules that concern several lines."""
    names = _names_of(policy.calls)
    for name in sorted(_names_of(policy.weak) - names):
        raise PolicyError(f"0: '{name}' is replaced at weak, and stands nowhere")
    for call in [*policy.calls, *policy.weak]:
        like = _AS.match(call.reason)
        if like is not None and like[1] not in names:
            raise PolicyError(f"{call.line}: '{call.name}' is explained by '{like[1]}', which stands nowhere")
    missing = LISTS - {name for name, values in policy.lists.items() if values}
    if missing:
        raise PolicyError(f"0: no values for {', '.join(sorted(missing))}")


def _names_of(calls: list[Call]) -> set[str]:
    names: set[str] = set()
    for call in calls:
        if call.name in names:
            raise PolicyError(f"{call.line}: '{call.name}' stands here a second time")
        names.add(call.name)
        if call.answer != "allow" and not call.reason:
            raise PolicyError(f"{call.line}: '{call.name}' needs a reason for '{call.answer}'")
    return names


def table(policy: PolicyText) -> str:
    """The C header. A call that the kernel's headers of the building host do not have is left out."""
    lines = ["/* Made from policy.txt by make_policy.py: change that. */"]
    lines += _rules("rules", policy.calls) + _rules("weak_rules", policy.weak)
    for name in sorted(policy.lists):
        lines += [f"static const uint32_t {name}_values[] = {{{', '.join(policy.lists[name])}}};"]
    return "\n".join(lines) + "\n"


def _rules(name: str, calls: list[Call]) -> list[str]:
    lines = [f"static const struct rule {name}[] = {{"]
    for call in calls:
        answer = ANSWERS.get(call.answer) or f"{call.answer.removeprefix('check:').upper()}_CHECK"
        guard = f"__NR_{call.name}"
        lines += [f"#ifdef {guard}", f"    {{{guard}, {answer}}},", "#endif"]
    return [*lines, "};"]


def write_table(source: Path, target: Path) -> None:
    """Leaves the header's time alone when nothing has changed, so that nothing is compiled again."""
    try:
        made = table(parse(source.read_text(encoding="utf-8")))
    except PolicyError as error:
        raise PolicyError(f"{source}:{error}") from None
    if not target.exists() or target.read_text(encoding="utf-8") != made:
        target.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    here = Path(__file__).parent
    try:
        write_table(here / "policy.txt", here / "policy_table.h")
    except PolicyError as error:
        sys.exit(str(error))
