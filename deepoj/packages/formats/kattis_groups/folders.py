"""The folders of ``data`` as a tree, each with its tests and the keys of its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deepoj.judging.paths import folder, without_suffix
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.texts import yaml_map

DATA = "data/"
OLD_FILE, NEW_FILE = "testdata.yaml", "test_group.yaml"
GROUP_FILES = (OLD_FILE, NEW_FILE)
_TOPS = ("sample", "secret")
#: folders with tests of validators
_OTHER = ("data/invalid_input/", "data/invalid_output/", "data/invalid_inputs/", "data/invalid_answers/",
          "data/valid_output/", "data/valid_outputs/", "data/testing_tool_test/")  # fmt: skip


@dataclass(slots=True)
class GroupFolder:
    """A folder of ``data``, which is a group of tests."""

    #: its path below ``data``; empty for the root
    name: str
    #: the keys of its file and of the files above it
    keys: dict[str, Any]
    #: the keys of its own file, without inherited ones
    own: dict[str, Any]
    #: the nearest file with keys, for error sentences; empty if there is none
    file: str
    #: the inputs of its tests
    cases: list[str] = field(default_factory=list)
    children: list[GroupFolder] = field(default_factory=list)

    def walk(self) -> list[GroupFolder]:
        """Return this group and all below it, parents before children."""
        return [self, *(one for child in self.children for one in child.walk())]


def read_tree(files: Files) -> GroupFolder:
    """Return the root of the folders that hold tests. Raises Unusable."""
    fault = _strays(files)
    if fault is not None:
        raise fault
    nodes = {"": _node(files, "", None)}
    for name in files.below(DATA):
        if name.startswith(_OTHER) or not name.endswith(".in") or "/" not in name[len(DATA) :]:
            continue
        path = folder(name)[len(DATA) :].removesuffix("/")
        _grow(files, nodes, path).cases.append(name)
    return nodes[""]


def _grow(files: Files, nodes: dict[str, GroupFolder], path: str) -> GroupFolder:
    """Return the folder of a path; add it and the folders above it if they are new."""
    if path not in nodes:
        parent = _grow(files, nodes, path.rpartition("/")[0])
        nodes[path] = _node(files, path, parent)
        parent.children.append(nodes[path])
    return nodes[path]


def _node(files: Files, path: str, parent: GroupFolder | None) -> GroupFolder:
    here = DATA + (path + "/" if path else "")
    keys: dict[str, Any] = {} if parent is None else dict(parent.keys)
    own: dict[str, Any] = {}
    file = here + NEW_FILE
    for name in (here + OLD_FILE, here + NEW_FILE):
        if name in files:
            own, file = yaml_map(files, name), name
    return GroupFolder(path, keys | own, own, file if own else "" if parent is None else parent.file)


def _strays(files: Files) -> Unusable | None:
    """Return a fault for a lone input or answer; interactive samples may have only an interaction."""
    for name in files.below(DATA):
        if name.startswith(_OTHER):
            continue
        stem = without_suffix(name)
        if name.endswith(".in") and stem + ".ans" not in files:
            return Unusable(name, f"{show(name)} is an input without its answer {show(stem + '.ans')}.")
        if name.endswith(".ans") and stem + ".in" not in files:
            return Unusable(name, f"{show(name)} is an answer without its input {show(stem + '.in')}.")
        top = name[len(DATA) :].partition("/")[0]
        if name.endswith((".in", ".ans")) and top not in _TOPS:
            return Unusable(name, f"{show(name)} is neither in data/sample nor in data/secret.")
    return None


def parent_of(node: GroupFolder) -> str | None:
    """Return the name of the folder above; None for the root."""
    return node.name.rpartition("/")[0] if node.name else None
