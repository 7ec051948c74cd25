"""The client commands against a scripted server: requests, retries, reconnects and output."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deepoj.cli import client as commands
from deepoj.cli import connection, run
from deepoj.client import ApiClient, ServerAway, ServerRefused, WatchEvent, keys, watch
from deepoj.client.keys import ClientAccount, Keyring, server_url
from deepoj.client.server import status_path
from deepoj.client.sources import body_of
from deepoj.config.loader import load
from deepoj.words.errors import StartRefused

URL = "http://127.0.0.1:1"
TOKEN = "aaa.bbb.ccc"
JOB = "job-1"
TEST = {"name": "1", "status": "Accepted", "cpu_ms": 3, "memory_kb": 1500}
DONE = {
    "job_id": JOB, "state": "done", "status": "Accepted",
    "data": {"attempt_id": 1, "score": None, "time_used": 3, "memory_used": 1500, "tests": [TEST, TEST]},
}  # fmt: skip

type Answer = httpx.Response | Exception


@dataclass
class Played:
    """A server that answers by its script, the last answer repeatedly, and records requests.

    Its time passes only while the client sleeps.
    """

    script: list[Answer]
    asked: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.script[0] if len(self.script) == 1 else self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def server(self, *, token: str = TOKEN, retry_for_s: float = 30.0) -> ApiClient:
        return ApiClient(
            URL, token, retry_for_s=retry_for_s, notice=self.told.append, transport=httpx.MockTransport(self),
            sleep=self.slept.append, clock=lambda: sum(self.slept),
        )  # fmt: skip

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.asked]


def refusal(status: int, code: str, sentence: str = "No.", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": sentence, "code": code}, headers=headers)


def sent(name: str, id_: str, data: object) -> bytes:
    return f"id: {id_}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class Cut(httpx.SyncByteStream):
    """A stream that breaks off after these bytes."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        raise httpx.ReadError("cut")


def stream(*parts: bytes, cut: bool = False) -> httpx.Response:
    head = b"retry: 2000\n\n"
    headers = {"Content-Type": "text/event-stream"}
    if cut:
        return httpx.Response(200, headers=headers, stream=Cut(head, *parts))
    return httpx.Response(200, headers=headers, content=b"".join((head, *parts)))


def a_test(index: int) -> dict[str, Any]:
    return {"job_id": JOB, "judging": 1, "attempt_id": 1, "index": index, "count": 2, "test": TEST}


# -- asked, and asked again


def test_a_submission_is_sent_again_with_the_same_key_until_it_is_taken() -> None:
    played = Played(
        [
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("slow"),
            refusal(503, "DB_ERROR", **{"Retry-After": "2"}),
            httpx.Response(502, text="<html>"),
            refusal(429, "BACKPRESSURE", **{"Retry-After": "5"}),
            httpx.Response(200, json={"job_id": JOB, "status": "Queuing"}),
        ]
    )
    assert played.server().submit({"problem_id": 1}, key="k1") == JOB
    assert played.paths == ["POST /api/v1/submit"] * 6
    assert {request.headers["Idempotency-Key"] for request in played.asked} == {"k1"}
    assert {request.headers["Authorization"] for request in played.asked} == {f"Bearer {TOKEN}"}
    assert (played.slept[2], played.slept[4]) == (2.0, 5.0)
    assert len(played.told) == 5
    assert (
        played.told[-1]
        == "No. (BACKPRESSURE) Trying again in 5.0 s, for another " + played.told[-1].rpartition("another ")[2]
    )


def test_trying_again_ends_with_the_budget() -> None:
    played = Played([httpx.ConnectError("refused")])
    with pytest.raises(ServerAway, match=r"127\.0\.0\.1:1 cannot be reached: refused"):
        played.server(retry_for_s=20).status(JOB)
    assert 10 < sum(played.slept) <= 20
    assert len(played.asked) == len(played.slept) + 1


@pytest.mark.parametrize(("status", "code"), [(429, "RATE_LIMITED"), (503, "QUEUE_ERROR")])
def test_a_retry_after_behind_the_budget_is_not_waited_for(status: int, code: str) -> None:
    played = Played([refusal(status, code, "Later.", **{"Retry-After": "31"})])
    with pytest.raises(ServerRefused, match=rf"Later\. \({code}\)") as caught:
        played.server().status(JOB)
    assert (len(played.asked), played.slept, caught.value.exit_code) == (1, [], 3)


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), refusal(503, "QUEUE_ERROR")])
def test_run_request_that_may_have_arrived_is_not_repeated(answer: Answer) -> None:
    """A custom run has no idempotency key."""
    played = Played([answer])
    with pytest.raises((ServerAway, ServerRefused)):
        played.server().run({"code": ""})
    assert len(played.asked) == 1


def test_run_request_that_cannot_have_arrived_is_repeated() -> None:
    played = Played([httpx.ConnectError("x"), refusal(429, "RATE_LIMITED"), httpx.Response(202, json={"run_id": "r"})])
    assert played.server().run({"code": ""}) == "r"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_no_is_final(status: int) -> None:
    played = Played([refusal(status, "BAD_REQUEST")])
    with pytest.raises(ServerRefused) as caught:
        played.server().submit({}, key="k")
    assert (len(played.asked), caught.value.exit_code, caught.value.status) == (1, 2, status)


def test_a_certificate_that_is_not_trusted_is_no_reason_to_wait() -> None:
    played = Played([httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")])
    with pytest.raises(ServerAway):
        played.server().status(JOB)
    assert played.slept == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>hello"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"job_id": 7}),
        httpx.Response(404, text="not found"),
        httpx.Response(404, json={"error": {"nested": 1}, "code": "X"}),
        httpx.Response(307, headers={"Location": "https://elsewhere.example"}),
    ],
)
def test_somebody_else_is_no_server_of_ours(answer: httpx.Response) -> None:
    """In particular the token is not sent to the target of a redirect."""
    played = Played([answer])
    with pytest.raises(ServerAway, match="does not answer like a Deep-OJ server"):
        played.server().submit({}, key="k")
    assert len(played.asked) == 1


def test_a_servers_sentence_cannot_show_the_token() -> None:
    played = Played([refusal(401, "UNAUTHORIZED", f"Bad token {TOKEN}.")])
    with pytest.raises(ServerRefused) as caught:
        played.server().status(JOB)
    assert str(caught.value) == f"Bad token [token]. (UNAUTHORIZED) Log in with `deepoj login {URL}`."


def test_a_servers_sentence_does_not_steer_the_terminal_nor_fill_it() -> None:
    played = Played([refusal(400, "BAD_REQUEST", "\x1b[2J" + "x" * 10_000)])
    with pytest.raises(ServerRefused) as caught:
        played.server().status(JOB)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_job_id_stays_in_its_place_in_the_path() -> None:
    played = Played([httpx.Response(200, json={})])
    played.server().status("../users/me?x#y")
    assert played.paths == ["GET /api/v1/status/..%2Fusers%2Fme%3Fx%23y"]


def test_all_pages_of_problems() -> None:
    pages = [{"problems": [{"id": 1}], "next": "1"}, {"problems": [{"id": 2}], "next": None}]
    played = Played([httpx.Response(200, json=page) for page in pages])
    assert [one["id"] for one in played.server().problems()] == [1, 2]
    assert played.paths[1] == "GET /api/v1/problems?limit=200&after=1"
    filtered = Played([httpx.Response(200, json=page) for page in pages])
    assert len(list(filtered.server().problems("a&b", "very hard", unsolved=True))) == 2
    address = "/api/v1/problems?limit=200&tag=a%26b&difficulty=very%20hard&unsolved=true"
    assert filtered.paths == [f"GET {address}", f"GET {address}&after=1"]


def test_pages_that_go_nowhere_are_not_followed() -> None:
    played = Played([httpx.Response(200, json={"problems": [], "next": "3"})])
    with pytest.raises(ServerAway):
        list(played.server().problems())
    assert len(played.asked) == 2


# -- watched


def watched(played: Played) -> list[WatchEvent]:
    return list(watch(played.server(), status_path(JOB)))


def test_a_stream_is_taken_up_where_it_broke() -> None:
    state = {"job_id": JOB, "state": "processing", "status": "Judging", "judging": 1, "attempt_id": 1}
    played = Played(
        [
            stream(sent("state", "1-1-0", state), sent("test", "1-1-1", a_test(1)), b"id: 1-1-2\nevent: te", cut=True),
            httpx.ConnectError("down"),
            stream(b": keep-alive\n\n", sent("test", "1-1-2", a_test(2)), sent("done", "1-1-2", DONE)),
        ]
    )
    assert watched(played) == [
        WatchEvent("state", state),
        WatchEvent("test", a_test(1)),
        WatchEvent("test", a_test(2)),
        WatchEvent("done", DONE),
    ]
    assert [request.headers.get("Last-Event-ID") for request in played.asked] == [None, "1-1-1", "1-1-1"]
    assert played.slept == [2.0, 2.0]


def test_streams_that_bring_something_are_not_given_up_however_often_they_break() -> None:
    parts = [stream(sent("test", f"1-1-{n}", a_test(n)), cut=True) for n in range(1, 8)]
    played = Played([*parts, stream(sent("done", "1-1-8", DONE))])
    assert [event.name for event in watched(played)] == ["test"] * 7 + ["done"]
    assert set(played.paths) == {f"GET /api/v1/status/{JOB}/events"}


def test_a_stream_that_ends_whole_without_a_verdict_goes_on() -> None:
    """The server stops, or ends the stream so that the client authenticates again."""
    played = Played([stream(sent("test", "1-1-1", a_test(1))), stream(sent("done", "1-1-2", DONE))])
    assert [event.name for event in watched(played)] == ["test", "done"]


def test_lines_are_those_of_the_wire_not_of_unicode() -> None:
    """U+2028, U+0085 and form feed end no line of an event stream, and JSON need not escape them."""
    odd = DONE | {"status": "a\u2028b\u0085c"}
    assert watched(Played([stream(sent("done", "1", odd))])) == [WatchEvent("done", odd)]


@pytest.mark.parametrize(
    "no_stream",
    [
        refusal(429, "RATE_LIMITED", **{"Retry-After": "5"}),
        refusal(404, "NOT_FOUND"),
        httpx.Response(502, text="<html>"),
        stream(b"id: 1\nevent: state\ndata: {no json\n\n"),
        stream(b"id: 1\nevent: state\ndata: []\n\n"),
    ],
)
def test_without_a_stream_the_status_is_asked_for(no_stream: httpx.Response) -> None:
    waits = {"job_id": JOB, "state": "pending", "status": "Queuing", "data": None}
    answers = [httpx.Response(200, json=body) for body in (waits, waits, DONE)]
    played = Played([no_stream, *answers])
    assert watched(played) == [WatchEvent("state", waits), WatchEvent("done", DONE)]
    assert played.paths == [f"GET /api/v1/status/{JOB}/events", *[f"GET /api/v1/status/{JOB}"] * 3]


@pytest.mark.parametrize(
    "broken", [httpx.ConnectError("x"), httpx.Response(200, text="no events", headers={"Content-Type": "text/html"})]
)
def test_streams_that_keep_breaking_are_given_up(broken: Answer) -> None:
    played = Played([broken, broken, broken, httpx.Response(200, json=DONE)])
    assert watched(played) == [WatchEvent("done", DONE)]
    assert played.paths[-1] == f"GET /api/v1/status/{JOB}"


def test_a_dead_letter_ends_the_waiting() -> None:
    dead = {"job_id": JOB, "state": "dead", "status": "System Error", "data": None}
    assert watched(Played([refusal(404, "NOT_FOUND"), httpx.Response(200, json=dead)])) == [WatchEvent("done", dead)]


@pytest.mark.parametrize("status", [401, 403])
def test_watch_of_a_forbidden_job_is_not_repeated(status: int) -> None:
    played = Played([refusal(status, "FORBIDDEN")])
    with pytest.raises(ServerRefused):
        watched(played)
    assert len(played.asked) == 1


# -- which server, which token


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Judge.Example.org/", "https://judge.example.org"),
        ("https://judge.example.org:443/oj/", "https://judge.example.org/oj"),
        ("judge.example.org", "https://judge.example.org"),
        ("localhost:18080", "http://localhost:18080"),
        ("127.0.0.1:18080", "http://127.0.0.1:18080"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
    ],
)
def test_one_server_has_one_url(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.parametrize("text", ["ftp://x", "https://", "https://x?y=1", "https://x:port", "http://[::1"])
def test_server_url_that_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(StartRefused, match="not a server's URL"):
        server_url(text)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(StartRefused) as caught:
        server_url("https://alice:secret@x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "clear"),
    [("http://127.0.0.1:1", False), ("http://[::1]", False), ("http://localhost", False), ("https://x", False),
     ("http://x", True), ("http://10.0.0.1", True), ("http://localhost.example.org", True)],
)  # fmt: skip
def test_in_the_clear_is_true_for_http_to_another_host(url: str, clear: bool) -> None:
    assert keys.in_the_clear(url) is clear


def ring(tmp_path: Path, **environ: str) -> Keyring:
    return Keyring.of_user({"XDG_CONFIG_HOME": str(tmp_path / "config"), **environ})


def test_a_token_is_kept_for_its_owner_and_its_server_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        ring(tmp_path).keep(ClientAccount(URL, "alice", TOKEN))
    finally:
        os.umask(old)
    directory = tmp_path / "config" / "deepoj"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}
    assert sorted(file.name[:7] for file in directory.iterdir()) == ["current", "server-"]
    assert ring(tmp_path).token(URL) == TOKEN
    assert ring(tmp_path).token("http://127.0.0.1:2") == ""
    assert ring(tmp_path).url() == URL
    assert ring(tmp_path).forget(URL) is True
    assert ring(tmp_path).forget(URL) is False
    assert ring(tmp_path).token(URL) == ""


def test_the_environment_beats_what_was_kept(tmp_path: Path) -> None:
    ring(tmp_path).keep(ClientAccount(URL, "alice", TOKEN))
    told = ring(tmp_path, DEEPOJ_URL="https://x", DEEPOJ_TOKEN="other")
    assert (told.url(), told.token(URL)) == ("https://x", "other")
    assert told.url("https://y") == "https://y"
    assert ring(tmp_path, DEEPOJ_URL="", DEEPOJ_TOKEN="").token(URL) == TOKEN
    assert ring(tmp_path / "empty").url() == "http://127.0.0.1:18080"
    assert Keyring.of_user({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}).directory == Path("/h/.config/deepoj")


def test_they_are_no_settings_of_a_node() -> None:
    cfg = load({}, environ={"DEEPOJ_URL": URL, "DEEPOJ_TOKEN": TOKEN})
    assert TOKEN not in repr(cfg)


def test_a_token_shows_in_no_repr(tmp_path: Path) -> None:
    shown = f"{ClientAccount(URL, 'a', TOKEN)!r} {ring(tmp_path, DEEPOJ_TOKEN=TOKEN)!r} {Played([]).server()!r}"
    assert TOKEN not in shown


@pytest.mark.parametrize("token", ["a\nb", "ключ"])
def test_token_with_invalid_characters_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    with pytest.raises(StartRefused, match="DEEPOJ_TOKEN") as caught:
        ring(tmp_path, DEEPOJ_TOKEN=token)
    assert token not in str(caught.value)


def kept_file(tmp_path: Path) -> Path:
    ring(tmp_path).keep(ClientAccount(URL, "alice", TOKEN))
    [file] = (tmp_path / "config" / "deepoj").glob("server-*")
    return file


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    kept_file(tmp_path).chmod(0o640)
    with pytest.raises(StartRefused, match="accessible to other users"):
        ring(tmp_path).token(URL)


def test_a_link_is_not_followed_and_a_pipe_not_waited_for(tmp_path: Path) -> None:
    file = kept_file(tmp_path)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartRefused, match="cannot be read"):
        ring(tmp_path).token(URL)
    # and is replaced, not written through
    ring(tmp_path).keep(ClientAccount(URL, "alice", "new"))
    assert not file.is_symlink()
    assert TOKEN in (tmp_path / "elsewhere").read_text()
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(StartRefused, match="accessible to other users"):
        ring(tmp_path).token(URL)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "7"])
def test_a_damaged_file_is_said(tmp_path: Path, text: str) -> None:
    kept_file(tmp_path).write_text(text)
    with pytest.raises(StartRefused, match="is damaged"):
        ring(tmp_path).token(URL)


def test_account_that_cannot_be_stored_leaves_no_file(tmp_path: Path) -> None:
    file = kept_file(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(StartRefused, match="cannot be stored"):
        ring(tmp_path).keep(ClientAccount(URL, "alice", TOKEN))
    assert sorted(one.name for one in file.parent.iterdir()) == ["current", file.name]


# -- files


def written(tmp_path: Path, **texts: str) -> dict[str, Path]:
    found = {}
    for name, text in texts.items():
        file = tmp_path / name.replace("_", ".")
        file.write_text(text)
        found[name] = file
    return found


@pytest.mark.parametrize(
    ("name", "language"),
    [("a.cpp", "cpp20"), ("a.cc", "cpp20"), ("a.c", "c17"), ("a.C", "cpp20"), ("A.JAVA", "java"), ("a.py", "python3"),
     ("a.rs", "rust"), ("a.go", "go"), ("a.js", "javascript")],
)  # fmt: skip
def test_the_ending_says_the_language(tmp_path: Path, name: str, language: str) -> None:
    (tmp_path / name).write_text("x")
    assert body_of([tmp_path / name], language=None, entry_point=None) == {"language": language, "code": "x"}


def test_several_files_and_the_one_to_run(tmp_path: Path) -> None:
    files = written(tmp_path, a_cpp="1", b_h="2", c_py="3")
    named = [files["a_cpp"], files["b_h"]]
    assert body_of(named, language=None, entry_point="a.cpp") == {
        "language": "cpp20",
        "files": [{"name": "a.cpp", "content": "1"}, {"name": "b.h", "content": "2"}],
        "entry_point": "a.cpp",
    }
    assert body_of(list(files.values()), language=None, entry_point="c.py")["language"] == "python3"
    assert body_of([files["b_h"]], language="cpp17", entry_point=None) == {"language": "cpp17", "code": "2"}


@pytest.mark.parametrize(
    ("names", "entry_point", "why"),
    [
        (["a.cpp", "c.py"], None, "several languages"),
        (["b.h"], None, "no known language"),
        (["a.cpp"], "x.cpp", "not one of the files"),
        (["a.cpp", "a.cpp"], None, "same name"),
        (["bytes.py"], None, "not text in UTF-8"),
        (["large.py"], None, "at most 1 MiB"),
        (["gone.py"], None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_sent(tmp_path: Path, names: list[str], entry_point: str | None, why: str) -> None:
    written(tmp_path, a_cpp="1", b_h="2", c_py="3", large_py="x" * 1_048_577)
    (tmp_path / "bytes.py").write_bytes(b"\xff")
    with pytest.raises(StartRefused, match=why):
        body_of([tmp_path / name for name in names], language=None, entry_point=entry_point)


# -- typed


type Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Let commands talk to a scripted server with a token; stdin is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DEEPOJ_URL", raising=False)
    monkeypatch.delenv("DEEPOJ_TOKEN", raising=False)
    ring(tmp_path).keep(ClientAccount(URL, "alice", TOKEN))
    (tmp_path / "a.cpp").write_text("int main(){}")

    def play(*script: Answer) -> Played:
        played = Played(list(script))

        def server(url: str, token: str = "", *, retry_for_s: float, notice: Callable[[str], None]) -> ApiClient:
            return ApiClient(
                url, token, retry_for_s=retry_for_s, notice=notice, transport=httpx.MockTransport(played),
                sleep=played.slept.append, clock=lambda: sum(played.slept),
            )  # fmt: skip

        for module in (commands, connection):
            monkeypatch.setattr(module, "ApiClient", server)
        return played

    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield play


def queued() -> httpx.Response:
    return httpx.Response(200, json={"job_id": JOB, "status": "Queuing"})


def ordered() -> httpx.Response:
    return httpx.Response(202, json={"run_id": "r"})


def judged(**changed: Any) -> httpx.Response:
    return stream(sent("test", "1-1-1", a_test(1)), sent("test", "1-1-2", a_test(2)), sent("done", "1", DONE | changed))


SUBMIT = ("submit", "a.cpp", "--problem", "1")


@pytest.mark.parametrize(
    ("args", "script", "code"),
    [
        (SUBMIT, [queued()], 0),
        ((*SUBMIT, "--wait"), [queued(), judged()], 0),
        ((*SUBMIT, "--wait"), [queued(), judged(status="Wrong Answer")], 1),
        ((*SUBMIT, "--wait"), [queued(), judged(state="dead", status="System Error", data=None)], 1),
        (SUBMIT, [refusal(400, "PROBLEM_NOT_FOUND")], 2),
        (SUBMIT, [refusal(401, "UNAUTHORIZED")], 2),
        (SUBMIT, [refusal(429, "RATE_LIMITED", **{"Retry-After": "99"})], 3),
        (SUBMIT, [httpx.ConnectError("refused")], 3),
        (("submit", "a.cpp"), [queued()], 2),
        (("submit", "b.cpp", "--problem", "1"), [queued()], 2),
        (("status", JOB), [httpx.Response(200, json=DONE | {"status": "Wrong Answer"})], 0),
        (("status", JOB, "--watch"), [judged(status="Wrong Answer")], 1),
        (("status", JOB), [refusal(404, "JOB_NOT_FOUND")], 2),
        (("run", "a.cpp"), [ordered(), stream(sent("done", "1", {"status": "Finished"}))], 0),
        (("run", "a.cpp"), [refusal(403, "RUN_DISABLED")], 2),
        (("run", "a.cpp"), [ordered(), stream(sent("done", "1", {"status": "Runtime Error"}))], 1),
        (("problems", "--url", "nonsense://x"), [queued()], 2),
    ],
)  # fmt: skip
def test_how_it_ends(
    play: Play, capfd: pytest.CaptureFixture[str], args: tuple[str, ...], script: list[Answer], code: int
) -> None:
    play(*script)
    assert run(args) == code
    told = capfd.readouterr()
    assert TOKEN not in told.out + told.err


def test_each_test_is_a_plain_line_in_a_pipe(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    play(queued(), judged())
    assert run([*SUBMIT, "--wait"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Submitted,", "Job", "ID:", JOB],
        ["1/2", "1", "Accepted", "3", "ms", "1,500", "KB"],
        ["2/2", "1", "Accepted", "3", "ms", "1,500", "KB"],
        ["Accepted", "3", "ms,", "1,500", "KB"],
    ]


@pytest.mark.parametrize(
    ("args", "script"),
    [
        (SUBMIT, [queued()]),
        ((*SUBMIT, "--wait"), [queued(), judged()]),
        (("status", JOB), [httpx.Response(200, json=DONE)]),
        (("status", JOB, "--watch"), [judged()]),
        (("problems",), [httpx.Response(200, json={"problems": [], "next": None})]),
        (("languages",), [httpx.Response(200, json={"languages": []})]),
        (("problem", "show", "7"), [httpx.Response(200, json={"id": 7}), httpx.Response(200, json={"lang": None})]),
        (("problem", "replace", "7", "a.cpp"), [httpx.Response(200, json={"id": 7, "changes": None})]),
        (("problem", "rejudge", "7"), [httpx.Response(202, json={"problem_id": 7})]),
        (("problem", "set", "7", "--no-tags"), [httpx.Response(200, json={"id": 7})]),
        (("logout",), [queued()]),
    ],
)
def test_json_is_one_line(
    play: Play, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], script: list[Answer]
) -> None:
    play(*script)
    assert run([*args, "--json"]) == 0
    told = capsys.readouterr()
    assert (told.out.count("\n"), told.err) == (1, "")
    assert isinstance(json.loads(told.out), dict)


def test_problem_show_prints_title_limits_statement_and_samples(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"id": 7, "title": "Sum", "time_limit": 1000, "memory_limit": 128, "description": ""}
    sample = {"input": "1 2\n", "output": "3\x1b[31m\n", "interaction": None}
    statement = {"title": "Summe", "langs": ["de", "en"], "html": "<p>Add\x1b[2J &lt;two&gt;.</p>", "samples": [sample],
                 "pdf": "/p.pdf", "attachments": [{"name": "a.zip", "bytes": 3}], "pending": True}  # fmt: skip
    played = play(httpx.Response(200, json=problem), httpx.Response(200, json=statement))
    assert run(["problem", "show", "7", "--lang", "de/.."]) == 0
    assert played.paths == ["GET /api/v1/problems/7", "GET /api/v1/problems/7/statement/de%2F.."]
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if line] == [
        "7: Summe", "1000 ms, 128 MB", "languages: de, en", "The statement is still to be rendered.",
        next(line for line in out.splitlines() if line.startswith("Add")), "PDF: /p.pdf", "Sample input 1:", "1 2",
        "Sample output 1:", next(line for line in out.splitlines() if line.startswith("3")), "Attachments: a.zip",
    ]  # fmt: skip
    assert "<two>." in out


def test_problem_replace_sends_the_package_and_prints_what_changes(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = {"name": "2", "input": "ab", "answer": "cd"}
    changes = {
        "added": 1, "removed": 0, "changed": 1, "renamed": 0, "unchanged": 3, "may_change_verdicts": True,
        "tests": [
            {"kind": "changed", "before": digests, "after": digests | {"name": "3"}, "parts": ["input", "answer"]},
            {"kind": "added", "before": None, "after": {"name": "4\x1b[2J"}, "parts": []},
        ],
        "rules": [{"rule": "checker", "before": "", "after": "c.cpp"}],
    }  # fmt: skip
    shown = [
        "tests: 1 added, 0 removed, 1 changed, 0 renamed, 3 unchanged", "  changed  3: input, answer (before: 2)",
        "  checker: - → c.cpp",
    ]  # fmt: skip
    played = play(httpx.ReadTimeout("slow"), httpx.Response(200, json={"id": 7, "version": 2, "changes": changes}))
    assert run(["problem", "replace", "7", "a.cpp", "--time-limit", "2000"]) == 0
    assert played.paths == ["PUT /api/v1/problems/7"] * 2
    for request in played.asked:
        assert b'name="time_limit"\r\n\r\n2000' in request.content
        assert b"int main(){}" in request.content, "the file is sent from its beginning"
    out = capsys.readouterr().out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert [lines[0], *lines[1:3], lines[4]] == ["problem 7: version 2", *shown]
    played = play(httpx.Response(200, json=changes | {"may_change_verdicts": False}))
    assert run(["problem", "replace", "7", "a.cpp", "--dry-run"]) == 0
    assert played.paths == ["POST /api/v1/problems/7/changes"]
    assert capsys.readouterr().out.splitlines()[-1] == "No verdict can change by that."


def test_problem_rejudge_sends_its_filters(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    order = {
        "problem_id": 7, "problem_version": 2, "submissions": 9, "opened": 3, "passed": 1, "verdict": "Wrong Answer",
        "language": None, "since": "2026-01-31T12:00:00+00:00", "until": None,
    }  # fmt: skip
    played = play(httpx.Response(202, json=order))
    assert run(["problem", "rejudge", "7", "--verdict", "Wrong Answer", "--since", "2026-01-31T20:00:00+08:00"]) == 0
    [path] = played.paths
    assert path == "POST /api/v1/problems/7/rejudge?verdict=Wrong+Answer&since=2026-01-31T20%3A00%3A00%2B08%3A00"
    assert capsys.readouterr().out == (
        "problem 7, version 2: 3 of 9 submissions are queued again, 1 passed over (only Wrong Answer, since"
        " 2026-01-31T12:00:00+00:00)\n"
    )


def test_problem_set_sends_what_is_given_alone(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {
        "id": 7, "title": "Sum\x1b", "version": 2, "visibility": "private", "groups": ["Class 7", "Class 8"],
        "tags": [], "languages": ["c17"], "time_limit": 1000, "memory_limit": 64,
    }  # fmt: skip
    played = play(httpx.ReadTimeout("slow"), httpx.Response(200, json=changed))
    args = ["--visibility", "private", "--no-tags", "--language", "c17", "--group"]
    assert run(["problem", "set", "7", *args, "Class 7", "--group", "Class 8"]) == 0
    assert played.paths == ["PUT /api/v1/problems/7"] * 2
    request = played.asked[-1]
    assert request.headers["Content-Type"].startswith("multipart/form-data")
    parts = [part.partition("\r\n\r\n") for part in request.content.decode().split("\r\n--")]
    sent = {head.split('name="')[1].rstrip('"'): value for head, _, value in parts if "name=" in head}
    assert sent == {"visibility": "private", "tags": "", "languages": "c17", "groups": "Class 7\nClass 8"}
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.splitlines()[1:] == [
        "  seen by: private", "  groups: Class 7, Class 8", "  tags: none", "  languages: c17",
        "  limits: 1000 ms, 64 MB",
    ]  # fmt: skip


@pytest.mark.parametrize("args", [(), ("--tag", "a,b"), ("--tag", "a", "--no-tags"), ("--group", " ")])
def test_problem_set_without_a_clear_change_sends_nothing(play: Play, args: tuple[str, ...]) -> None:
    played = play(httpx.Response(200, json={"id": 7}))
    assert run(["problem", "set", "7", *args]) == 2
    assert played.paths == []


def test_problem_statement_prints_the_source_and_replaces_it(
    play: Play, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = {"lang": "de", "format": "md", "source": "# Summe\n", "revision": "p00", "edited": False}
    play(httpx.Response(200, json=source))
    assert run(["problem", "statement", "7", "--lang", "de"]) == 0
    assert capsys.readouterr().out == "# Summe\n"
    saved = {"title": "S", "pending": False, "notes": ["line 2: no.\x1b"], "revision": "e1"}
    played = play(httpx.Response(200, json=source), httpx.Response(200, json=saved))
    (tmp_path / "s.tex").write_text("$x$")
    assert run(["problem", "statement", "7", str(tmp_path / "s.tex"), "--lang", "de"]) == 0
    assert played.paths[-1] == "PUT /api/v1/problems/7/statement/de"
    assert json.loads(played.asked[-1].content) == {"format": "tex", "source": "$x$", "revision": "p00"}
    out = capsys.readouterr().out
    assert out.startswith("Saved: S\n  line 2: no.")
    assert "\x1b" not in out


def test_a_watched_job_says_once_that_judging_is_delayed(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    waits = {"job_id": JOB, "state": "pending", "status": "Queuing", "judging": 1, "attempt_id": 0}
    delayed = waits | {"waiting": {"error": "Judging is delayed.", "code": "QUEUE_ERROR"}}
    streamed = [sent("state", "1-0-0", waits), sent("state", "1-0-0", delayed), sent("done", "1-1-2", DONE)]
    polled = [httpx.Response(200, json=body) for body in (waits, delayed, delayed, DONE)]
    for script in ([stream(*streamed)], [refusal(404, "NOT_FOUND"), *polled]):
        play(*script)
        assert run(["status", JOB, "--watch"]) == 0
        assert capsys.readouterr().out.splitlines().count("Judging is delayed.") == 1


def test_a_new_attempts_tests_replace_those_before(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    second = {"state": "processing", "status": "Judging", "judging": 1, "attempt_id": 2}
    data = DONE["data"]
    assert isinstance(data, dict)
    play(
        stream(
            sent("test", "1-1-1", a_test(1)),
            sent("test", "1-1-1", a_test(1)),
            sent("state", "1-2-0", second),
            sent("test", "1-2-1", a_test(1) | {"attempt_id": 2}),
            sent("done", "1-2-2", DONE | {"data": data | {"attempt_id": 2}}),
        )
    )
    assert run(["status", JOB, "--watch"]) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["1/2", "judged", "1/2", "2/2", "Accepted"]


def test_control_characters_in_an_answer_do_not_reach_the_terminal(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;title\x07\x9b31m[bold]\u202e"
    body = {
        "state": "done",
        "status": "Compile Error",
        "error_code": evil,
        "data": {"compile": {"output": f"{evil}\nx"}},
    }
    play(httpx.Response(200, json=body | {"job_id": evil}))
    assert run(["status", JOB]) == 0
    out = capsys.readouterr().out
    assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert "[bold]" in out
    assert out.splitlines()[1] == "x"


def test_lost_wait_prints_the_command_that_goes_on(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    play(queued(), httpx.ConnectError("down"))
    assert run([*SUBMIT, "--wait", "--json"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert f"deepoj: the submission was accepted: `deepoj status {JOB} --watch`\n" in told.err


def test_one_command_is_one_submission_and_two_are_two(play: Play) -> None:
    played = play(refusal(503, "DB_ERROR"), queued())
    assert run(SUBMIT) == 0
    assert run(SUBMIT) == 0
    assert run([*SUBMIT, "--idempotency-key", "mine"]) == 0
    first, again, second, third = [request.headers["Idempotency-Key"] for request in played.asked]
    assert first == again != second
    assert third == "mine"
    assert json.loads(played.asked[0].content) == {"language": "cpp20", "code": "int main(){}", "problem_id": 1}


def test_login_reads_the_password_from_stdin_and_keeps_the_token(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("open sesame \nnot this\n")
    played = play(httpx.Response(201, json={}), httpx.Response(200, json={"token": "new.token"}))
    with (tmp_path / "password").open() as given:
        monkeypatch.setattr("sys.stdin", given)
        assert run(["login", "http://judge.example.org", "--username", "bob", "--register"]) == 0
    told = capsys.readouterr()
    assert told.out == "Logged in to http://judge.example.org as bob.\n"
    assert told.err.startswith("deepoj: http://judge.example.org is not encrypted")
    assert played.paths == ["POST /api/v1/auth/register", "POST /api/v1/auth/login"]
    assert json.loads(played.asked[1].content) == {"username": "bob", "password": "open sesame "}
    assert "Authorization" not in played.asked[1].headers
    assert ring(tmp_path).token("http://judge.example.org") == "new.token"
    assert ring(tmp_path).url() == "http://judge.example.org"
    assert "new.token" not in told.out + told.err


@pytest.mark.parametrize("args", [["login", URL], ["login", URL, "--username", "bob"]])
def test_login_without_a_name_or_a_password(play: Play, args: list[str]) -> None:
    played = play(queued())
    assert run(args) == 2
    assert played.asked == []


def test_a_run_prints_what_the_program_printed_byte_for_byte(
    play: Play, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = {"stdout": None, "stdout_base64": "Yf8=", "stderr": "warned\n", "time_used": 1, "memory_used": 2}
    body = {"run_id": "r", "state": "done", "status": "Finished", "data": data}
    played = play(ordered(), stream(sent("done", "1", body)))
    assert run(["run", "a.cpp", "--time-limit", "500"]) == 0
    told = capfdbinary.readouterr()
    assert told.out == b"a\xff"
    assert told.err == b"warned\nFinished  1 ms, 2 KB\n"
    assert json.loads(played.asked[0].content) == {
        "language": "cpp20", "code": "int main(){}", "stdin": "", "time_limit": 500
    }  # fmt: skip


def test_the_client_loads_nothing_of_a_node() -> None:
    script = (
        "import sys, deepoj.client.sources, deepoj.client; heavy = {'pydantic', 'trio', 'asyncpg', 'quart', "
        "'redis', 'minio', 'yaml', 'prometheus_client', 'deepoj._sandbox'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_export_is_stored_whole_or_not_at_all(play: Play, tmp_path: Path) -> None:
    played = play(httpx.Response(200, content=b'{"account": {}}'))
    assert run(["account", "export", "a.json"]) == 0
    assert (tmp_path / "a.json").read_bytes() == b'{"account": {}}'
    assert played.paths == ["GET /api/v1/users/me/export"]
    play(stream(b"{", cut=True))
    assert run(["account", "export", "b.json"]) == 3
    play(refusal(401, "UNAUTHORIZED"))
    assert run(["account", "export", "c.json"]) == 2
    assert sorted(path.name for path in tmp_path.glob("*.json*")) == ["a.json"]


def test_an_erasure_sends_the_password_once_and_forgets_the_token(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["account", "erase"]) == 2, "there is no password"
    (tmp_path / "password").write_text("open sesame\n")
    played = play(httpx.Response(200, json={"id": 7, "username": "deleted-7"}))
    with (tmp_path / "password").open() as given:
        monkeypatch.setattr("sys.stdin", given)
        assert run(["account", "erase", "--json"]) == 0
    assert played.paths == ["DELETE /api/v1/users/me"]
    assert json.loads(played.asked[0].content) == {"password": "open sesame", "username": ""}
    assert json.loads(capsys.readouterr().out) == {"username": "deleted-7"}
    assert Keyring.of_user().token(URL) == ""


def test_a_token_for_a_program_is_made_printed_alone_listed_and_ended(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    row = {
        "id": "t-1",
        "name": "<build>",
        "created_at": "2026-01-01T00:00:00",
        "expires_at": "2026-01-02",
        "used_at": None,
    }
    played = play(
        httpx.Response(201, json={"id": "t-1", "name": "<build>", "token": "a.b.c", "expires_in_s": 3600}),
        httpx.Response(200, json={"tokens": [row]}),
        httpx.Response(200, json={"id": "t-1", "status": "ended"}),
    )
    with (tmp_path / "password").open() as given:
        monkeypatch.setattr("sys.stdin", given)
        assert run(["account", "tokens", "make", "<build>"]) == 0
    assert json.loads(played.asked[0].content) == {"name": "<build>", "password": "open sesame"}
    assert capsys.readouterr().out == "a.b.c\n"
    assert run(["account", "tokens", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(text in listed for text in ("t-1", "<build>", "never", "1 tokens"))
    assert run(["account", "tokens", "end", "t-1"]) == 0
    path = "/api/v1/users/me/tokens"
    assert played.paths == [f"POST {path}", f"GET {path}", f"DELETE {path}/t-1"]
