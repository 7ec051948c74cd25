"""The converter: Debian's ``pandoc``, run in our sandbox and with its own ``--sandbox``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from deepoj import observe
from deepoj.execution import execute
from deepoj.packages.statements.dialects import with_headings
from deepoj.packages.statements.document import Formula, Unrenderable
from deepoj.ports.sandbox import Box
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import FileIn, FileOut, RunLimits, RunOutcome, RunSpec, RunVerdict

PANDOC = Path("/usr/bin/pandoc")
#: an installed Deep-OJ without it shows statements as their source
MISSING = (
    f"This node has no pandoc at {PANDOC}, which renders problem statements: they are shown as their source until a"
    " judge node that has it renders them (apt-get install pandoc)."
)
_MIB = 1024 * 1024
#: a statement of 1 MiB takes under a second; a tree of pandoc has about twenty times the bytes of its source
_LIMITS = RunLimits(
    cpu_ms=10_000,
    wall_ms=20_000,
    memory_bytes=512 * _MIB,
    output_bytes=_MIB,
    processes=32,
    scratch_bytes=32 * _MIB,
)
#: of a document tree, which Python objects hold at fifteen times its size
MAX_TREE_BYTES = 4 * _MIB
#: of the HTML and of all MathML
MAX_HTML_BYTES = 4 * _MIB

#: GitHub's Markdown, which most people know, with formulas. Metadata in YAML could unfold without end
_MARKDOWN = "gfm-emoji-yaml_metadata_block-autolink_bare_uris"
_READERS: Mapping[str, str] = MappingProxyType(
    {"md": f"{_MARKDOWN}+tex_math_dollars", "dmoj": _MARKDOWN, "tex": "latex+raw_tex", "html": "html"}
)
_OPTIONS = "--sandbox --wrap=none"
#: stderr of pandoc: an error with its place in the statement (not in our preamble), a warning
_LINE = re.compile(r"source\"? \(line ([0-9]{1,7}),")
_WARNING = re.compile(r"\[WARNING\] (?P<sentence>.+)")
#: warnings that say nothing about the statement
_NOT_THE_STATEMENTS = ("translation", "Could not load", "Could not fetch resource", "title", "Could not convert TeX")


def is_installed() -> bool:
    """Return whether this host has the converter."""
    return os.access(PANDOC, os.X_OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pandoc:
    """The converter in a sandbox. ``room`` is a directory of the caller, who deletes it."""

    box: Box
    room: Path
    metrics: observe.Metrics

    async def tree(self, text: str, dialect: str, language: str = "en") -> tuple[Any, tuple[str, ...]]:
        """Return the document tree of a text, and warnings. ``dialect``: ``md``, ``dmoj``, ``tex`` or ``html``.
        ``language``: of the headings that macros make.

        Markdown becomes HTML first, which is read again: HTML inside it becomes part of the tree.

        Raises:
          Unrenderable: the text exceeds a limit, or pandoc gives up.
          BoxBroken: the sandbox failed.
        """
        source, preamble, out = self.room / "source", self.room / "preamble", self.room / "tree"
        source.write_text(text, "utf-8")
        before = with_headings(_preamble(), language, text) if dialect == "tex" else ""
        preamble.write_text(before, "utf-8")
        reader = _READERS[dialect]
        if dialect in {"md", "dmoj"}:
            script = (
                f"{PANDOC} {_OPTIONS} --mathjax -f {reader} -t html -o middle source &&"
                f" {PANDOC} {_OPTIONS} -f html -t json -o tree middle"
            )
        else:
            script = f"{PANDOC} {_OPTIONS} -f {reader} -t json -o tree preamble source"
        outcome = await self._run(
            script, (FileIn("source", source), FileIn("preamble", preamble)), (FileOut("tree", out, MAX_TREE_BYTES),)
        )
        messages = outcome.stderr.decode("utf-8", "replace")
        if outcome.verdict is not RunVerdict.OK or "tree" not in outcome.files_out:
            raise Unrenderable(_why(outcome, messages))
        try:
            tree = json.loads(out.read_bytes())
        except (ValueError, RecursionError):
            raise Unrenderable("it nests too deeply") from None
        return tree, _warnings(messages)

    async def html(
        self, version: Any, blocks: Sequence[Any], formulas: Sequence[Formula], nonce: str
    ) -> tuple[str, list[str]]:
        """Return the HTML of blocks, and the MathML of each formula; empty for one that pandoc does not understand.

        ``version``: of the tree that the blocks are from. Raises as ``tree`` does.
        """
        body, math = self.room / "body.json", self.room / "math.json"
        body.write_text(_document(version, blocks), "utf-8")
        math.write_text(_document(version, _formula_blocks(formulas, nonce)), "utf-8")
        places = self.room / "body.html", self.room / "math.html"
        script = (
            f"{PANDOC} {_OPTIONS} -f json -t html -o body.html body.json &&"
            f" {{ {PANDOC} {_OPTIONS} --mathml -f json -t html -o math.html math.json || :; }}"
        )
        outcome = await self._run(
            script,
            (FileIn("body.json", body), FileIn("math.json", math)),
            tuple(FileOut(place.name, place, MAX_HTML_BYTES) for place in places),
        )
        if "body.html" not in outcome.files_out:
            raise Unrenderable(_why(outcome, outcome.stderr.decode("utf-8", "replace")))
        written = places[1].read_text("utf-8", "replace") if "math.html" in outcome.files_out else ""
        return places[0].read_text("utf-8", "replace"), _split(written, len(formulas), nonce)

    async def _run(self, script: str, files: tuple[FileIn, ...], out: tuple[FileOut, ...]) -> RunOutcome:
        for file in out:
            file.path.unlink(missing_ok=True)
        spec = RunSpec(
            argv=("/bin/sh", "-c", script),
            limits=_LIMITS,
            files_in=files,
            files_out=out,
            env=(("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")),
        )
        outcome = await execute.run(self.box, spec, "statement", metrics=self.metrics)
        if outcome.sandbox_error is not None:
            raise BoxBroken(f"rendering a statement: {outcome.sandbox_error}")
        return outcome


def _preamble() -> str:
    return resources.files(__package__).joinpath("preamble.tex").read_text("utf-8")


def _document(version: Any, blocks: Sequence[Any]) -> str:
    return json.dumps({"pandoc-api-version": version, "meta": {}, "blocks": blocks}, separators=(",", ":"))


#: font commands of old TeX, which people use as if they took an argument: ``\bf{x}``
_OLD_FONT = re.compile(r"\\(bf|it|rm|tt|t)(?=\s*\{)")


def _formula_blocks(formulas: Sequence[Formula], nonce: str) -> list[Any]:
    """Return a paragraph for each formula, after a comment that no formula can contain."""
    blocks: list[Any] = []
    for number, formula in enumerate(formulas):
        kind = "DisplayMath" if formula.is_display else "InlineMath"
        blocks.append({"t": "RawBlock", "c": ["html", f"<!--{nonce}-{number}-->"]})
        blocks.append({"t": "Plain", "c": [{"t": "Math", "c": [{"t": kind}, _OLD_FONT.sub(_new_font, formula.tex)]}]})
    return blocks


def _new_font(found: re.Match[str]) -> str:
    return "\\texttt" if found[1] in {"t", "tt"} else f"\\math{found[1]}"


def _split(written: str, count: int, nonce: str) -> list[str]:
    """Return the ``<math>`` after each comment; empty where there is none."""
    found = [""] * count
    for part in written.split(f"<!--{nonce}-")[1:]:
        number, _, rest = part.partition("-->")
        start, end = rest.find("<math"), rest.rfind("</math>")
        if number.isdecimal() and int(number) < count and 0 <= start < end:
            found[int(number)] = rest[start : end + len("</math>")]
    return found


def _why(outcome: RunOutcome, messages: str) -> str:
    """Return why a text was not rendered, as the end of a sentence."""
    limits = {RunVerdict.TLE: "time", RunVerdict.MLE: "memory", RunVerdict.OLE: "output"}
    if outcome.verdict in limits:
        return f"rendering it takes too much {limits[outcome.verdict]}"
    if outcome.verdict is RunVerdict.OK:
        return f"rendered it has more than {MAX_TREE_BYTES} bytes"
    line = _LINE.search(messages)
    return "the converter gave up" if line is None else f"the converter gave up at line {line[1]}"


def _warnings(messages: str) -> tuple[str, ...]:
    sentences = (match["sentence"].strip() for match in _WARNING.finditer(messages))
    return tuple(dict.fromkeys(one for one in sentences if not any(word in one for word in _NOT_THE_STATEMENTS)))
