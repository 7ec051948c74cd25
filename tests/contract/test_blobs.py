"""The contract of ``ports.Blobs``: the same tests over the fake, the directory store and S3 against a real server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio
from minio import Minio

from deepoj.adapters.blobs.directory import Abandoned, DirectoryBlobs, appearing
from deepoj.adapters.blobs.s3 import S3Blobs
from deepoj.ports.blobs import Blobs
from deepoj.words.errors import BlobMissing, BlobsRefused, BlobsUnavailable, StartRefused
from tests.fakes.blobs import MemoryBlobs
from tests.servers_s3 import S3Server, s3_running

SOON_S = 90.0


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_running(tmp_path_factory.mktemp("s3")) as server:
        yield server


def bucket_of(server: S3Server, bucket: str = "", **settings: object) -> S3Blobs:
    wanted = {
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "bucket": bucket or f"test-{uuid.uuid4().hex}",
    }
    return S3Blobs(f"http://{server.endpoint}", **(wanted | settings))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def closing(blobs: S3Blobs) -> AsyncIterator[S3Blobs]:
    try:
        yield blobs
    finally:
        await blobs.aclose()


@pytest.fixture(params=["memory", "directory", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "memory":
        yield MemoryBlobs()
    elif request.param == "directory":
        yield DirectoryBlobs(tmp_path / "store" / "objects")
    else:
        async with closing(bucket_of(request.getfixturevalue("s3"))) as found:
            yield found


def a_file(directory: Path, content: bytes) -> Path:
    path = directory / f"source-{uuid.uuid4().hex}"
    path.write_bytes(content)
    return path


async def fetched(blobs: Blobs, key: str, directory: Path) -> bytes:
    target = directory / f"target-{uuid.uuid4().hex}"
    await blobs.fetch(key, target)
    return target.read_bytes()


async def test_deleted_object_is_missing_and_delete_repeats(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.delete("problems/never.zip")
    for key in ("problems/1.zip", "problems/2.zip"):
        await blobs.put(key, a_file(tmp_path, key.encode()))
    for _ in range(2):
        await blobs.delete("problems/1.zip")
    with pytest.raises(BlobMissing):
        await fetched(blobs, "problems/1.zip", tmp_path)
    assert await fetched(blobs, "problems/2.zip", tmp_path) == b"problems/2.zip"
    await blobs.put("problems/1.zip", a_file(tmp_path, b"again"))
    assert await fetched(blobs, "problems/1.zip", tmp_path) == b"again"


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# Every store


async def test_put_object_is_fetched(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("problems/1.zip", a_file(tmp_path, b"one"))
    await blobs.put("problems/2.zip", a_file(tmp_path, b""))
    await blobs.put("a", a_file(tmp_path, b"plain"))
    assert await fetched(blobs, "problems/1.zip", tmp_path) == b"one"
    assert await fetched(blobs, "problems/2.zip", tmp_path) == b""
    assert await fetched(blobs, "a", tmp_path) == b"plain"


async def test_a_later_put_replaces(blobs: Blobs, tmp_path: Path) -> None:
    for content in (b"first, longer", b"second"):
        await blobs.put("problems/1.zip", a_file(tmp_path, content))
        assert await fetched(blobs, "problems/1.zip", tmp_path) == content


async def test_a_large_object_is_whole(blobs: Blobs, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(50 * 1024 * 1024)
    await blobs.put("problems/large.zip", a_file(tmp_path, content))
    found = await fetched(blobs, "problems/large.zip", tmp_path)
    assert hashlib.sha256(found).digest() == hashlib.sha256(content).digest()


async def test_fetch_of_a_missing_object_leaves_no_file(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("problems/1.zip", a_file(tmp_path, b"x"))
    empty = tmp_path / "empty"
    empty.mkdir()
    for key in ("problems/2.zip", "elsewhere/1.zip", "problems/1.zip/deeper"):
        with pytest.raises(BlobMissing):
            await blobs.fetch(key, empty / "target")
    assert files_in(empty) == []


async def test_nothing_was_ever_put(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        await blobs.fetch("problems/1.zip", tmp_path / "target")


async def test_a_target_that_exists_is_left_alone(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put("k", a_file(tmp_path, b"object"))
    directory = tmp_path / "d"
    directory.mkdir()
    (directory / "target").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        await blobs.fetch("k", directory / "target")
    assert (directory / "target").read_bytes() == b"mine"
    assert files_in(directory) == ["target"]


async def test_ping(blobs: Blobs) -> None:
    await blobs.ping()
    await blobs.ping()


async def test_readers_see_the_old_object_or_the_new_one(blobs: Blobs, tmp_path: Path) -> None:
    size = 3_000_000
    versions = [bytes([n]) * size for n in range(6)]
    await blobs.put("k", a_file(tmp_path, versions[0]))
    seen: list[bytes] = []
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                for version in versions[1:]:
                    await blobs.put("k", a_file(tmp_path, version))
                nursery.cancel_scope.cancel()

            async def read() -> None:
                while True:
                    seen.append(await fetched(blobs, "k", tmp_path))

            nursery.start_soon(write)
            nursery.start_soon(read)
            nursery.start_soon(read)
    assert set(seen) <= set(versions)
    assert await fetched(blobs, "k", tmp_path) == versions[-1]


async def test_many_at_once(blobs: Blobs, tmp_path: Path) -> None:
    async def one(number: int) -> None:
        await blobs.put(f"many/{number}", a_file(tmp_path, str(number).encode()))
        assert await fetched(blobs, f"many/{number}", tmp_path) == str(number).encode()

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(one, number)


BAD_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/.b",
    ".",
    "ä",
    "a b",
    "a\0",
    "a\nb",
    "a" * 513,
    "x" * 201,
]


@pytest.fixture(params=["directory", "s3"])
async def strict(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "directory":
        yield DirectoryBlobs(tmp_path / "objects")
    else:
        async with closing(bucket_of(request.getfixturevalue("s3"))) as found:
            yield found


async def test_keys_that_could_lead_elsewhere_are_refused(strict: Blobs, tmp_path: Path) -> None:
    source = a_file(tmp_path, b"x")
    for key in BAD_KEYS:
        with pytest.raises(ValueError, match="key"):
            await strict.put(key, source)
        with pytest.raises(BlobMissing):
            await strict.fetch(key, tmp_path / "target")


async def test_a_source_that_cannot_be_read(strict: Blobs, tmp_path: Path) -> None:
    with pytest.raises(BlobsUnavailable):
        await strict.put("k", tmp_path / "nothing")
    with pytest.raises(BlobMissing):
        await strict.fetch("k", tmp_path / "target")


# ---------------------------------------------------------------------------------------------------------------------
# The directory store


async def test_the_directory_is_private_and_left_tidy(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    blobs = DirectoryBlobs(root)
    await blobs.put("problems/1.zip", a_file(tmp_path, b"x"))
    await blobs.fetch("problems/1.zip", tmp_path / "target")
    for path in (root, root / "problems", root / ".incoming"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "problems" / "1.zip").stat().st_mode) == 0o600
    assert files_in(root / ".incoming") == []


async def test_old_leftovers_of_killed_writers_are_swept(tmp_path: Path) -> None:
    incoming = tmp_path / "objects" / ".incoming"
    incoming.mkdir(parents=True)
    for name, age_s in (("old", 48 * 3600), ("young", 60)):
        (incoming / name).write_bytes(b"half")
        then = time.time() - age_s
        os.utime(incoming / name, (then, then))
    await DirectoryBlobs(tmp_path / "objects").put("k", a_file(tmp_path, b"x"))
    assert files_in(incoming) == ["young"]


async def test_a_directory_that_is_not_one_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    blobs = DirectoryBlobs(tmp_path / "file" / "objects")
    with pytest.raises(BlobsUnavailable, match="cannot be used"):
        await blobs.ping()
    with pytest.raises(BlobsUnavailable):
        await blobs.put("k", a_file(tmp_path, b"x"))


# ---------------------------------------------------------------------------------------------------------------------
# S3


async def test_the_bucket_is_made_when_it_is_missing(s3: S3Server, tmp_path: Path) -> None:
    for first in ("put", "ping"):
        async with closing(bucket_of(s3)) as blobs:
            if first == "ping":
                await blobs.ping()
            await blobs.put("k", a_file(tmp_path, b"x"))
            assert await fetched(blobs, "k", tmp_path) == b"x"


async def test_two_nodes_make_the_bucket_at_once(s3: S3Server, tmp_path: Path) -> None:
    bucket = f"test-{uuid.uuid4().hex}"
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(closing(bucket_of(s3, bucket))) for _ in range(6)]
        with trio.fail_after(SOON_S):
            async with trio.open_nursery() as nursery:
                for node in nodes:
                    nursery.start_soon(node.ping)
        await nodes[0].put("k", a_file(tmp_path, b"x"))
        assert await fetched(nodes[1], "k", tmp_path) == b"x"


@pytest.mark.parametrize("keys", [{"secret_key": "quite-wrong"}, {"access_key": "unknown"}])
async def test_wrong_keys_are_told_from_an_absence(s3: S3Server, keys: dict[str, str], tmp_path: Path) -> None:
    async with closing(bucket_of(s3, **keys)) as blobs:
        for attempt in (blobs.ping(), blobs.put("k", a_file(tmp_path, b"x")), blobs.fetch("k", tmp_path / "target")):
            with pytest.raises(BlobsRefused, match="MINIO_ACCESS_KEY") as caught:
                await attempt
            assert "quite-wrong" not in str(caught.value)


async def test_closed_port_is_blobs_unavailable(tmp_path: Path) -> None:
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{bound.getsockname()[1]}"
        async with closing(S3Blobs(endpoint, access_key="a", secret_key="b", bucket="bucket", retries=1)) as blobs:
            for attempt in (blobs.ping(), blobs.put("k", a_file(tmp_path, b"")), blobs.fetch("k", tmp_path / "t")):
                with (
                    trio.fail_after(SOON_S),
                    pytest.raises(BlobsUnavailable, match=r"or set MINIO_ENDPOINT$") as caught,
                ):
                    await attempt
                assert not isinstance(caught.value, BlobsRefused)
    assert not (tmp_path / "t").exists()


async def test_somebody_who_never_answers_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        blobs = S3Blobs(
            f"127.0.0.1:{mute.getsockname()[1]}",
            access_key="a",
            secret_key="b",
            bucket="bucket",
            read_timeout_s=0.2,
            retries=1,
        )
        async with closing(blobs):
            with trio.fail_after(SOON_S), pytest.raises(BlobsUnavailable):
                await blobs.fetch("k", tmp_path / "target")


async def test_somebody_who_is_no_object_store_is_unavailable(tmp_path: Path) -> None:
    """A proxy answers with a page that claims to be XML, over which minio-py's parser fails."""
    page = b"<html><br></html>"
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(head % len(page) + page)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        endpoint = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with closing(S3Blobs(endpoint, access_key="a", secret_key="b", bucket="bucket", retries=0)) as blobs:
            with trio.fail_after(SOON_S), pytest.raises(BlobsUnavailable):
                await blobs.fetch("k", tmp_path / "target")
        nursery.cancel_scope.cancel()


async def test_cancelling_does_not_wait_for_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"127.0.0.1:{mute.getsockname()[1]}"
        blobs = S3Blobs(endpoint, access_key="a", secret_key="b", bucket="bucket", read_timeout_s=20.0, retries=0)
        began = trio.current_time()
        with trio.move_on_after(0.1) as scope:
            await blobs.fetch("k", tmp_path / "target")
        assert scope.cancelled_caught
        assert trio.current_time() - began < 15  # not the 20 s of the read
        # let the thread end by itself before the test does, so that its socket is closed
    with trio.fail_after(SOON_S):
        while blobs._limiter.borrowed_tokens:
            await trio.sleep(0.02)
    await blobs.aclose()
    assert files_in(tmp_path) == []


async def test_downloads_cancelled_at_random_leave_nothing(s3: S3Server, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(8 * 1024 * 1024)
    directory = tmp_path / "d"
    directory.mkdir()
    chance = random.Random(3)
    async with closing(bucket_of(s3)) as blobs:
        await blobs.put("k", a_file(tmp_path, content))
        with trio.fail_after(SOON_S):
            for number in range(30):
                with trio.move_on_after(chance.uniform(0, 0.06)) as scope:
                    await blobs.fetch("k", directory / f"{number}")
                if not scope.cancelled_caught:
                    assert (directory / f"{number}").read_bytes() == content
            while blobs._limiter.borrowed_tokens:
                await trio.sleep(0.02)
    assert not [name for name in files_in(directory) if name.startswith(".")]
    for name in files_in(directory):
        assert (directory / name).stat().st_size == len(content)


async def test_the_object_is_an_ordinary_one(s3: S3Server, tmp_path: Path) -> None:
    bucket = f"test-{uuid.uuid4().hex}"
    async with closing(bucket_of(s3, bucket)) as blobs:
        await blobs.put("problems/1.zip", a_file(tmp_path, b"x"))
    client = Minio(s3.endpoint, s3.access_key, s3.secret_key, secure=False)
    assert [found.object_name for found in client.list_objects(bucket, recursive=True)] == ["problems/1.zip"]
    client._http.clear()


@pytest.mark.parametrize(
    ("endpoint", "secure", "host", "tls"),
    [
        ("http://localhost:9000", False, "localhost:9000", False),
        ("localhost:9000", False, "localhost:9000", False),
        ("minio", True, "minio", True),
        ("https://s3.example.org", False, "s3.example.org", True),
        ("http://[::1]:9000/", False, "[::1]:9000", False),
    ],
)
async def test_endpoints(endpoint: str, secure: bool, host: str, tls: bool) -> None:
    blobs = S3Blobs(endpoint, access_key="a", secret_key="b", bucket="bucket", secure=secure)
    assert (blobs._host, blobs._secure) == (host, tls)


@pytest.mark.parametrize(
    "bucket", ["Bad Bucket!", "UPPER", "a", "a" * 64, "-ab", "ab-", "a..b", "a.-b", "192.168.5.4", "under_score"]
)
async def test_malformed_bucket_name_is_refused(bucket: str) -> None:
    with pytest.raises(StartRefused, match="MINIO_BUCKET") as caught:
        S3Blobs("h:9000", access_key="a", secret_key="b", bucket=bucket)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("endpoint", ["", "http://", "ftp://h", "http://h:port", "http://h/path", "http://u:p@h"])
async def test_other_endpoints_are_refused(endpoint: str) -> None:
    with pytest.raises(StartRefused, match="MINIO_ENDPOINT") as caught:
        S3Blobs(endpoint, access_key="a", secret_key="b", bucket="bucket")
    assert caught.value.exit_code == 2


def test_minio_is_not_imported_before_it_is_used() -> None:
    code = "import sys, deepoj.adapters.blobs.s3, deepoj.adapters.blobs.directory; sys.exit('minio' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_fetch_from_a_directory_that_hangs_is_given_up(tmp_path: Path) -> None:
    """As a mount whose server is away: opening a pipe that nothing writes to hangs, too."""
    hanging = tmp_path / "objects" / "tests.zip"
    hanging.parent.mkdir()
    os.mkfifo(hanging)
    with trio.fail_after(SOON_S), trio.move_on_after(0.05) as scope:
        await DirectoryBlobs(hanging.parent).fetch(hanging.name, tmp_path / "fetched")

    assert scope.cancelled_caught
    os.close(os.open(hanging, os.O_RDWR))  # lets the thread go


@pytest.mark.parametrize("is_left", [False, True])
def test_a_fetched_file_appears_only_while_its_caller_waits(tmp_path: Path, *, is_left: bool) -> None:
    target, abandoned = tmp_path / "fetched", threading.Event()
    with contextlib.suppress(Abandoned), appearing(target, abandoned) as partial:
        partial.write_bytes(b"data")
        if is_left:
            abandoned.set()
    assert [path.name for path in tmp_path.iterdir()] == ([] if is_left else ["fetched"])
