"""Files of statements that are read at the same time share one copy."""

from __future__ import annotations

from dataclasses import replace

from deepoj.adapters.pg.file_cache import FileCache
from deepoj.words.statements import StatementFile, StatementFileKind

_FILE = StatementFile(
    kind=StatementFileKind.ATTACHMENT, name="a.zip", media_type="application/zip", content=b"1234", mark="m1"
)


def test_a_file_that_is_held_is_shared_and_its_content_need_not_be_read() -> None:
    cache = FileCache()
    assert cache.marks("key") == []
    assert cache.shared("key", _FILE) is _FILE
    assert cache.marks("key") == ["m1"]
    assert cache.shared("key", replace(_FILE, content=b"")) is _FILE
    assert cache.shared("key", replace(_FILE, content=b""), ["m1"]).content == b"", "the reader has it"
    assert cache.shared("key", replace(_FILE)) is _FILE, "two that read it at the same time hold one copy"


def test_a_file_that_has_changed_replaces_the_one_held() -> None:
    cache = FileCache()
    cache.shared("key", _FILE)
    changed = replace(_FILE, content=b"56", mark="m2")
    assert cache.shared("key", changed) is changed
    assert cache.marks("key") == ["m2"]
    unknown = replace(_FILE, content=b"", mark="m3")
    assert cache.shared("key", unknown) is unknown, "the client has it: there is nothing to hold"
    assert cache.marks("key") == ["m2"]


def test_files_beyond_the_bound_are_dropped_the_longest_unused_first() -> None:
    cache = FileCache(max_bytes=8)
    for key in "abc":
        cache.shared(key, replace(_FILE, mark=key))
        if key == "b":
            cache.shared("a", replace(_FILE, mark="a"))
    assert [cache.marks(key) for key in "abc"] == [["a"], [], ["c"]]
    cache.shared("large", replace(_FILE, content=b"123456789", mark="large"))
    assert cache.marks("large") == []
