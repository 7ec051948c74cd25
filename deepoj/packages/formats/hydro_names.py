"""Tests of Hydro that no configuration lists: found by their names, as ``packages/common/subtask.ts`` finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from deepoj.packages.formats.files import Files
from deepoj.packages.formats.names import natural_key

_WORDS = re.compile(
    r"(?P<stem>(?P<head>[\w.-]*?)(?:(?P<batch>\d*)[-_])?(?P<id>\d+))\.(?:in|txt|in\.txt)", re.IGNORECASE
)
_NUMBER_LAST = re.compile(r"(?P<stem>\D*)\.(?P<kind>in|IN)(?P<id>\d+)")
_BATCH_FIRST = re.compile(r"(?P<stem>(?P<batch>[0-9]+)[-_].*)\.(?:in|IN)")


def find_subtasks(files: Files, top: str, listed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the subtasks with their tests. ``listed``: those of the configuration, without tests, by their ids."""
    folders = [top, f"{top}input/", f"{top}output/"]
    names = [name[len(top) :] for folder in folders for name in files.in_folder(folder)]
    known = frozenset(names)
    subtasks: dict[int, dict[str, Any]] = {one["id"]: dict(one) for one in listed if isinstance(one.get("id"), int)}
    for name in sorted(names, key=natural_key):
        for batch, kind, answers in _readings(name):
            answer = next((one for one in answers if one != name and one in known), None)
            if answer is not None:
                section = subtasks.setdefault(batch, {"id": batch, "type": kind})
                section.setdefault("cases", []).append({"input": name, "output": answer})
                break
    return list(subtasks.values())


def _readings(name: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the ways to read a name as an input: its subtask, the kind of a subtask of such names, possible answers."""
    if match := _WORDS.fullmatch(name):
        ends = [form for end in ("out", "ans") for form in (end, end.upper(), f"{end}.txt", f"{end.upper()}.TXT")]
        plain = [f"{match['stem']}.{end}" for end in ends]
        answers = [*plain, *(_as_output(one) for one in plain), _as_output(f"{match['stem']}.txt")]
        yield int(match["batch"] or 1), "min" if match["batch"] else "sum", answers
    if match := _NUMBER_LAST.fullmatch(name):
        ends = ["ou", "out"] if match["kind"] == "in" else ["OU", "OUT"]
        plain = [f"{match['stem']}.{end}{match['id']}" for end in ends]
        yield 1, "sum", [*plain, *(_as_output(one) for one in plain)]
    if match := _BATCH_FIRST.fullmatch(name):
        yield 1, "sum", [f"{match['stem']}.{end}" for end in ("out", "ans", "OUT", "ANS")]


def _as_output(name: str) -> str:
    return name.replace("input", "output").replace("INPUT", "OUTPUT")
