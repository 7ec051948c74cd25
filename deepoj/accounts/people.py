"""Lists of people for whom accounts are created: CSV or TSV, a line each, ``username[, email][, password]``, and
with a head also ``group``.

A first line that begins with ``username`` names the columns; they may then stand in any order. Every line is checked
before any account is created, so that a list is mended once.
"""

from __future__ import annotations

import codecs
import csv
import enum
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from deepoj.accounts.emails import is_email
from deepoj.accounts.names import clean_group_name, clean_username, is_pseudonym, is_reserved
from deepoj.accounts.passwords import is_password
from deepoj.words.names import is_text

#: lines with a person; hashing a password takes some 30 ms of a core
MAX_PEOPLE = 500

_USERNAME, _EMAIL, _PASSWORD, _GROUP = "username", "email", "password", "group"
_ORDER = (_USERNAME, _EMAIL, _PASSWORD)
#: head of a column, in lower case → the column
_HEADS: Mapping[str, str] = {
    "username": _USERNAME, "用户名": _USERNAME, "email": _EMAIL, "e-mail": _EMAIL, "邮箱": _EMAIL,
    "电子邮箱": _EMAIL, "password": _PASSWORD, "密码": _PASSWORD, "group": _GROUP, "用户组": _GROUP,
    "班级": _GROUP,
}  # fmt: skip


class PersonFault(enum.StrEnum):
    """What is wrong with a line of a list."""

    NOT_TEXT = "NOT_TEXT"
    EMPTY = "EMPTY"
    TOO_MANY = "TOO_MANY"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    REPEATED_COLUMN = "REPEATED_COLUMN"
    TOO_MANY_CELLS = "TOO_MANY_CELLS"
    QUOTES = "QUOTES"
    NAME = "NAME"
    RESERVED = "RESERVED"
    TAKEN = "TAKEN"
    TWICE = "TWICE"
    EMAIL = "EMAIL"
    PASSWORD = "PASSWORD"  # noqa: S105  # the name of a fault
    GROUP = "GROUP"


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with a line, counted from 1; ``value``: the cell, or the number of the line that it repeats. A
    password is not shown. ``username``: the name of the line, of its first fault alone; empty: it cannot be one."""

    line: int
    fault: PersonFault
    value: str = ""
    username: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A line of a list. ``password``: None: one is generated. ``group``: its name; None: none."""

    line: int
    username: str
    email: str | None = None
    password: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Slip:
    """What a person needs to log in for the first time."""

    username: str
    password: str
    email: str | None = None
    #: name of the group that the list gives; None: none
    group: str | None = None


def text_in_gb18030(raw: bytes) -> str | None:
    """Return the text of a file in GB18030, as a Chinese Excel saves CSV. None: it is UTF-8 or UTF-16, or no text."""
    try:
        _decoded(raw)
    except UnicodeDecodeError:
        pass
    else:
        return None
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    return text if is_text(text) else None


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")


def read_people(raw: bytes, reserved: frozenset[str]) -> tuple[Sequence[NewPerson], Sequence[LineFault]]:
    """Return the people of a list, and its faults. ``reserved``: names that are kept for administrators."""
    try:
        text = _decoded(raw)
    except UnicodeDecodeError as error:
        return [], [LineFault(raw.count(b"\n", 0, error.start) + 1, PersonFault.NOT_TEXT)]
    people: list[NewPerson] = []
    faults: list[LineFault] = []
    lines_of: dict[str, int] = {}
    for person in _checked(text, reserved):
        if isinstance(person, LineFault):
            faults.append(person)
        name = person.username.lower()
        if name and (first := lines_of.setdefault(name, person.line)) != person.line:
            faults.append(LineFault(person.line, PersonFault.TWICE, str(first)))
        elif not isinstance(person, LineFault):
            people.append(person)
        if len(people) > MAX_PEOPLE:
            faults.append(LineFault(person.line, PersonFault.TOO_MANY))
        if max(len(people), len(faults)) > MAX_PEOPLE:
            break  # what is wrong with the rest changes nothing
    if not people and not faults:
        faults.append(LineFault(1, PersonFault.EMPTY))
    return people, faults


def _checked(text: str, reserved: frozenset[str]) -> Iterator[NewPerson | LineFault]:
    first_line = text.lstrip().partition("\n")[0]
    delimiter = next((mark for mark in "\t,;，" if mark in first_line), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    columns: Sequence[str] = ()
    try:
        for row in rows:
            cells = [one.strip() for one in row]
            if not any(cells):
                continue
            if not columns:
                heads = [_HEADS.get(head.lower(), "") for head in cells]
                columns = heads if heads[0] == _USERNAME else _ORDER
                if columns is heads:
                    yield from _head_faults(rows.line_num, cells, heads)
                    continue
            while len(cells) > len(columns) and not cells[-1]:
                cells.pop()
            if len(cells) > len(columns):
                yield LineFault(rows.line_num, PersonFault.TOO_MANY_CELLS, cells[len(columns)])
            else:
                yield from _person(rows.line_num, dict(zip(columns, cells, strict=False)), reserved)
    except csv.Error:
        yield LineFault(rows.line_num, PersonFault.QUOTES)


def _head_faults(line: int, cells: Sequence[str], heads: Sequence[str]) -> Iterator[LineFault]:
    seen: set[str] = set()
    for head, column in zip(cells, heads, strict=True):
        if head and not column:
            yield LineFault(line, PersonFault.UNKNOWN_COLUMN, head)
        elif head and column in seen:
            yield LineFault(line, PersonFault.REPEATED_COLUMN, head)
        seen.add(column)


def _person(line: int, cells: Mapping[str, str], reserved: frozenset[str]) -> Iterator[NewPerson | LineFault]:
    """Yield the person, or everything that is wrong with the line."""
    username, email, password = (cells.get(column, "") for column in _ORDER)
    group = cells.get(_GROUP, "")
    group_name = clean_group_name(group)
    name = clean_username(username)
    faults = []
    if name is None or is_pseudonym(name):
        faults.append(LineFault(line, PersonFault.NAME, username))
    elif is_reserved(name, reserved):
        faults.append(LineFault(line, PersonFault.RESERVED, username))
    if email and not is_email(email):
        faults.append(LineFault(line, PersonFault.EMAIL, email))
    if password and not (is_password(password) and password.isprintable()):
        faults.append(LineFault(line, PersonFault.PASSWORD))
    if group and group_name is None:
        faults.append(LineFault(line, PersonFault.GROUP, group))
    for position, fault in enumerate(faults):
        yield replace(fault, username=name) if position == 0 and name is not None else fault
    if name is not None and not faults:
        yield NewPerson(line, name, email or None, password or None, group_name)
