"""Lists of people: what is read, and what is wrong by line."""

from __future__ import annotations

import pytest

from deepoj.accounts.people import MAX_PEOPLE, LineFault, NewPerson, PersonFault, read_people, text_in_gb18030

RESERVED = frozenset({"admin"})


def people(text: str) -> list[NewPerson]:
    found, faults = read_people(text.encode(), RESERVED)
    assert faults == []
    return list(found)


def faults(content: str | bytes) -> list[LineFault]:
    raw = content if isinstance(content, bytes) else content.encode()
    return list(read_people(raw, RESERVED)[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice", [NewPerson(1, "alice")]),
        ("alice,a@x\nbob\n", [NewPerson(1, "alice", "a@x"), NewPerson(2, "bob")]),
        ("alice,,secret-1", [NewPerson(1, "alice", None, "secret-1")]),
        ("alice , a@x , secret 1 ", [NewPerson(1, "alice", "a@x", "secret 1")]),
        ("alice\ta@x\tp,a,s,s,w", [NewPerson(1, "alice", "a@x", "p,a,s,s,w")]),
        ("alice;a@x;secret-1", [NewPerson(1, "alice", "a@x", "secret-1")]),
        ("alice,a@x,,,", [NewPerson(1, "alice", "a@x")]),
        ("\n\nalice\r\n,,\r\nbob\r\n", [NewPerson(3, "alice"), NewPerson(5, "bob")]),
        ("\ufeffalice,a@x", [NewPerson(1, "alice", "a@x")]),
        ("Username,Password,Email\nalice,secret-1,a@x", [NewPerson(2, "alice", "a@x", "secret-1")]),
        ("用户名,密码\n王小明,secret-1", [NewPerson(2, "王小明", None, "secret-1")]),
        ("王伟", [NewPerson(1, "王伟")]),
        ("username,group\nalice,Class 7\nbob", [NewPerson(2, "alice", group="Class 7"), NewPerson(3, "bob")]),
        ("用户名\t班级\nalice\t七班", [NewPerson(2, "alice", group="七班")]),
        ("用户名，班级\nalice，七班", [NewPerson(2, "alice", group="七班")]),
        ('alice,a@x,"se""c,ret"', [NewPerson(1, "alice", "a@x", 'se"c,ret')]),
    ],
)
def test_a_list_as_people_write_it(text: str, expected: list[NewPerson]) -> None:
    assert people(text) == expected


def test_a_list_of_excel_in_utf_16() -> None:
    found, wrong = read_people("王小明\ta@x\r\n".encode("utf-16"), RESERVED)
    assert (list(found), list(wrong)) == ([NewPerson(1, "王小明", "a@x")], [])


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("用户名,班级\r\n王小明,七班".encode("gb18030"), "用户名,班级\r\n王小明,七班"),
        ("王小明".encode(), None),
        ("王小明".encode("utf-16"), None),
        (b"\xff\xff", None),
        (b"\x89PNG\r\n\x1a\n\x00\xd0\xd5", None),
    ],
)
def test_text_in_gb18030_is_read_only_where_it_is_no_unicode(raw: bytes, text: str | None) -> None:
    assert text_in_gb18030(raw) == text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [LineFault(1, PersonFault.EMPTY)]),
        ("username,email\n", [LineFault(1, PersonFault.EMPTY)]),
        (b"alice\n\xd0\xd5\xc3\xfb,a@x", [LineFault(2, PersonFault.NOT_TEXT)]),
        (b"\xff\xfea", [LineFault(1, PersonFault.NOT_TEXT)]),
        ("a\n=cmd|x", [LineFault(1, PersonFault.NAME, "a"), LineFault(2, PersonFault.NAME, "=cmd|x")]),
        ("Admin", [LineFault(1, PersonFault.RESERVED, "Admin")]),
        ("alice\nbob\nAlice", [LineFault(3, PersonFault.TWICE, "1")]),
        ("alice,secret-1", [LineFault(1, PersonFault.EMAIL, "secret-1")]),
        (f"username,group\nalice,{'x' * 65}", [LineFault(2, PersonFault.GROUP, "x" * 65)]),
        ("alice,,short", [LineFault(1, PersonFault.PASSWORD)]),
        ("alice,,bell\x07bell", [LineFault(1, PersonFault.PASSWORD)]),
        ("alice,,secret-1,x", [LineFault(1, PersonFault.TOO_MANY_CELLS, "x")]),
        ("username,age\nalice,7", [LineFault(1, PersonFault.UNKNOWN_COLUMN, "age")]),
        ("username,email,e-mail\nalice", [LineFault(1, PersonFault.REPEATED_COLUMN, "e-mail")]),
        ("username,,email\nalice,7,x", [LineFault(2, PersonFault.EMAIL, "x")]),
        ("alice\nAlice,x,short", [LineFault(2, PersonFault.EMAIL, "x"), LineFault(2, PersonFault.TWICE, "1"),
                                 LineFault(2, PersonFault.PASSWORD)]),
        ('alice\n"bob\ncarol', [LineFault(3, PersonFault.QUOTES)]),
        ("x,y,z,", [LineFault(1, PersonFault.NAME, "x"), LineFault(1, PersonFault.EMAIL, "y"),
                    LineFault(1, PersonFault.PASSWORD)]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_said_with_its_line(content: str | bytes, expected: list[LineFault]) -> None:
    assert faults(content) == expected


def test_a_list_is_bounded() -> None:
    lines = [f"user{n}" for n in range(MAX_PEOPLE)]
    assert faults("\n".join(lines)) == []
    assert faults("\n".join([*lines, "onemore", "another"])) == [LineFault(MAX_PEOPLE + 1, PersonFault.TOO_MANY)]
    wrong = faults("!,x,y\n" * 400)
    assert MAX_PEOPLE < len(wrong) < MAX_PEOPLE + 4
    assert PersonFault.TOO_MANY not in {one.fault for one in wrong}, "it has 400"
