"""Shows the judging of a submission: a line per finished test, then the verdict. Colours and a spinner are used on
terminals only.

All text from the server is untrusted and is escaped by ``deepoj/client/shown.py``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from deepoj.client import WatchEvent
from deepoj.client.html_text import text_of
from deepoj.client.shown import block, shown

_COLOURS: Mapping[str, str] = {
    "Accepted": "green",
    "Finished": "green",
    "Partial": "yellow",
    "Compile Error": "yellow",
    "Queuing": "cyan",
    "Judging": "cyan",
    "Running": "cyan",
    "System Error": "magenta",
}
_OTHER_COLOUR = "red"


class JobView:
    """A context manager that remembers which tests it has shown; a new attempt resets them."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        stream = sys.stderr if to_stderr else sys.stdout
        self._out = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._spinner = Status("waiting …", console=self._out)
        self._attempt: tuple[object, object] | None = None
        self._shown: set[object] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()

    def event(self, event: WatchEvent) -> None:
        """Show what an event adds."""
        match event.name:
            case "state":
                self._start_attempt(event.data)
                self._reason(event.data)
                self._wait(shown(event.data.get("status", "")))
            case "test":
                self._start_attempt(event.data)
                self._streamed_test(event.data)
            case "done":
                self._spinner.stop()
                self.status(event.data)
            case _:
                # an event of a newer server
                pass

    def status(self, body: Mapping[str, Any]) -> None:
        """Show the body of ``/status``: tests not shown yet, then the state."""
        tests = [test for test in _list(_dict(body.get("data")).get("tests")) if isinstance(test, dict)]
        if self._attempt is not None and self._attempt[1] != _dict(body.get("data")).get("attempt_id"):
            self._shown.clear()
        for index, test in enumerate(tests, 1):
            self._test(index, len(tests), test)
        self._reason(body)
        self.verdict(body)

    def verdict(self, body: Mapping[str, Any]) -> None:
        """Show the verdict, and before it the compiler's output if no tests were run."""
        word, data = shown(body.get("status", "")), _dict(body.get("data"))
        compiled = _dict(data.get("compile")).get("output")
        if word == "Compile Error" and compiled:
            self._out.print(Text(block(compiled).rstrip()))
        line = Text(word, style=f"bold {_colour(word)}")
        if data.get("score") is not None:
            line.append(f"  score {_figure(data['score'])}", style="default")
        if data.get("time_used") is not None:
            line.append(f"  {_figure(data['time_used'])} ms, {_figure(data.get('memory_used'))} KB")
        if code := body.get("error_code") or data.get("error_code"):
            line.append(f"  ({shown(code)})")
        self._out.print(line)

    def _reason(self, body: Mapping[str, Any]) -> None:
        """Show why the job has to wait, if the server says so."""
        waiting = _dict(body.get("waiting")).get("error")
        if waiting:
            self._out.print(Text(shown(waiting)))

    def _start_attempt(self, data: Mapping[str, Any]) -> None:
        """Forget the shown tests if the event belongs to another attempt than the last one."""
        attempt = data.get("judging"), data.get("attempt_id")
        if attempt in {(None, None), self._attempt}:
            return
        if self._shown:
            self._out.print(Text("judged again: the tests above no longer count", style="yellow"))
        self._shown.clear()
        self._attempt = attempt

    def _streamed_test(self, data: Mapping[str, Any]) -> None:
        index, count = data.get("index"), data.get("count")
        self._test(index, count, _dict(data.get("test")))
        self._wait(f"{_figure(index)} of {_figure(count)} tests")

    def _test(self, index: object, count: object, test: Mapping[str, Any]) -> None:
        if index in self._shown:
            return
        self._shown.add(index)
        word = shown(test.get("status", ""))
        place = f"{_figure(index)}/{_figure(count)}"
        line = Text(f"{place:>7}  {shown(test.get('name', '')):<12}  ")
        line.append(f"{word:<21}", style=_colour(word))
        line.append(f"  {_figure(test.get('cpu_ms')):>6} ms  {_figure(test.get('memory_kb')):>9} KB")
        if message := shown(test.get("checker_message") or ""):
            line.append(f"  {message[:200]}", style="dim")
        self._out.print(line)

    def _wait(self, text: str) -> None:
        if self._out.is_terminal:
            self._spinner.update(Text(text))
            self._spinner.start()


def show_run(body: dict[str, Any]) -> None:
    """Write the program's output unchanged, as if it had run here."""
    data = body.get("data")
    data = data if isinstance(data, dict) else {}
    for name, stream in (("stdout", sys.stdout.buffer), ("stderr", sys.stderr.buffer)):
        stream.write(_bytes_of(data, name))
        stream.flush()
    with JobView(to_stderr=True) as view:
        view.verdict(body)


def _bytes_of(data: dict[str, Any], name: str) -> bytes:
    """Return the output, from base64 if the server sent that because it is not text."""
    encoded = data.get(f"{name}_base64")
    if isinstance(encoded, str):
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(encoded, validate=True)
    return str(data.get(name) or "").encode()


def rows(items: Sequence[Mapping[str, Any]], **columns: str) -> None:
    """Print a table with a row for each item. ``columns``: field name → heading."""
    table = Table(*columns.values(), box=None, pad_edge=False)
    for item in items:
        table.add_row(*(Text("" if item.get(name) is None else shown(item[name])) for name in columns))
    Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else 400).print(table)


def _colour(word: str) -> str:
    return _COLOURS.get(word, _OTHER_COLOUR)


def _figure(value: object) -> str:
    """Format a number; other values give a placeholder."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def problem_text(problem: Mapping[str, Any], statement: Mapping[str, Any]) -> str:
    """Return a problem with its statement and samples as text, safe to print."""
    limits = f"{shown(problem.get('time_limit'))} ms, {shown(problem.get('memory_limit'))} MB"
    languages = [shown(one) for one in statement.get("langs") or ()]
    head = [f"{shown(problem.get('id'))}: {shown(statement.get('title') or problem.get('title'))}", limits]
    if len(languages) > 1:
        head.append(f"languages: {', '.join(languages)}")
    if statement.get("pending"):
        head.append("The statement is still to be rendered.")
    parts = ["\n".join(head)]
    text = text_of(str(statement.get("html") or "")) or str(problem.get("description") or "")
    parts += [block(text)] if text else []
    if statement.get("pdf"):
        parts.append(f"PDF: {shown(statement['pdf'])}")
    for number, sample in enumerate(statement.get("samples") or (), 1):
        if isinstance(sample, dict):
            parts.append(_sample_text(number, sample))
    names = [one.get("name") for one in statement.get("attachments") or () if isinstance(one, dict)]
    if names:
        parts.append(f"Attachments: {', '.join(map(shown, names))}")
    return "\n\n".join(parts)


def _sample_text(number: int, sample: Mapping[str, Any]) -> str:
    kinds = [kind for kind in ("input", "output", "interaction") if sample.get(kind)]
    return "\n".join(f"Sample {kind} {number}:\n{block(sample[kind]).rstrip(chr(10))}" for kind in kinds)


def changes_text(changes: object) -> str:
    """Return what a new package changes as text, safe to print: a line for each test and rule that differs."""
    if not isinstance(changes, dict):
        return "The package before cannot be read, so the two were not compared."
    kinds = ("added", "removed", "changed", "renamed", "unchanged")
    lines = [f"tests: {', '.join(f'{_figure(changes.get(kind))} {kind}' for kind in kinds)}"]
    for one in map(_dict, _list(changes.get("tests"))):
        before, after = _dict(one.get("before")), _dict(one.get("after"))
        line = f"  {shown(one.get('kind')):<8} {shown((after or before).get('name'))}"
        if parts := _list(one.get("parts")):
            line += f": {', '.join(map(shown, parts))}"
        if before and after and before.get("name") != after.get("name"):
            line += f" (before: {shown(before.get('name'))})"
        lines.append(line)
    for one in map(_dict, _list(changes.get("rules"))):
        lines.append(
            f"  {shown(one.get('rule'))}: {shown(one.get('before')) or '-'} → {shown(one.get('after')) or '-'}"
        )
    if not changes.get("may_change_verdicts"):
        lines.append("No verdict can change by that.")
    return "\n".join(lines)


def rejudge_text(order: Mapping[str, Any]) -> str:
    """Return the order of a rejudge with its progress as a line, safe to print."""
    filters = [shown(order[name]) for name in ("verdict", "language") if order.get(name)]
    filters += [f"{name} {shown(order[name])}" for name in ("since", "until") if order.get(name)]
    opened = f"{_figure(order.get('opened'))} of {_figure(order.get('submissions'))} submissions are queued again"
    only = f" (only {', '.join(filters)})" if filters else ""
    return (
        f"problem {_figure(order.get('problem_id'))}, version {_figure(order.get('problem_version'))}: {opened},"
        f" {_figure(order.get('passed'))} passed over{only}"
    )
