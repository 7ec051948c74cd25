"""Objects in MinIO or another S3 store, through minio-py.

minio-py is synchronous. Its calls run in threads under a limiter of their own, with timeouts for each connect and each
read and a bounded number of retries. It is imported when first used, so that a node with a directory store saves its
memory.

Cancelling does not wait for the network: the thread is left to end by itself. What it then writes stays invisible. An
upload appears only when it is complete, and a download gets its name only in a call that was not cancelled.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import trio

from deepoj.adapters.blobs.directory import Abandoned, appearing, is_key, require_key
from deepoj.words.errors import BlobMissing, BlobsRefused, BlobsUnavailable, StartRefused

if TYPE_CHECKING:
    from minio import Minio

_CHUNK_BYTES = 1024 * 1024
#: minio-py holds a part in memory
_PART_BYTES = 16 * 1024 * 1024

#: no IPv4 address either
_BUCKET = re.compile(r"(?![0-9.]+\Z)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_MISSING = {"NoSuchKey", "NoSuchObject", "NoSuchBucket", "ResourceNotFound"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "AccountProblem"}


class S3Blobs:
    """Objects in one bucket (``ports.Blobs``); a missing bucket is created."""

    def __init__(
        self,
        endpoint: str,
        *,
        access_key: str,
        secret_key: str,
        bucket: str,
        secure: bool = False,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 30.0,
        retries: int = 2,
        concurrency: int = 4,
    ) -> None:
        """Check the settings; connect when first used. Raises StartRefused (2) for invalid ones.

        ``endpoint``: ``host:port`` or ``http(s)://host:port``; ``https`` or ``secure`` means TLS.
        """
        self._host, self._secure = _parse(endpoint, secure)
        self._bucket = _checked(bucket)
        self._access_key = access_key
        self._secret_key = secret_key
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._retries = retries
        self._concurrency = concurrency
        self._limiter = trio.CapacityLimiter(concurrency)
        self._lock = threading.Lock()
        self._made: Minio | None = None
        self._http: Any = None

    async def put(self, key: str, source: Path) -> None:
        require_key(key)
        await self._in_thread(lambda _abandoned: self._put(key, source))

    async def delete(self, key: str) -> None:
        require_key(key)
        with contextlib.suppress(BlobMissing):
            await self._in_thread(lambda _abandoned: self._client().remove_object(self._bucket, key))

    async def fetch(self, key: str, target: Path) -> None:
        if not is_key(key):
            raise BlobMissing(f"{key!r} cannot be the key of an object")
        await self._in_thread(lambda abandoned: self._fetch(key, target, abandoned))

    async def ping(self) -> None:
        """Check the bucket. Raises BlobsRefused for wrong keys, BlobsUnavailable otherwise."""
        await self._in_thread(lambda _abandoned: self._make_bucket())

    async def aclose(self) -> None:
        """Close the pooled connections."""
        with self._lock:
            if self._http is not None:
                self._http.clear()
            self._made = self._http = None
        await trio.lowlevel.checkpoint()

    async def _in_thread(self, work: Callable[[threading.Event], None]) -> None:
        abandoned = threading.Event()

        def run() -> None:
            with contextlib.suppress(Abandoned), self._translated():
                work(abandoned)

        try:
            await trio.to_thread.run_sync(run, limiter=self._limiter, abandon_on_cancel=True)
        except trio.Cancelled:
            abandoned.set()
            raise

    # -- in threads

    def _client(self) -> Minio:
        with self._lock:
            if self._made is None:
                import certifi  # noqa: PLC0415  (late, as the module's docstring says)
                import urllib3  # noqa: PLC0415
                from minio import Minio  # noqa: PLC0415

                self._http = urllib3.PoolManager(
                    maxsize=self._concurrency,
                    timeout=urllib3.Timeout(connect=self._connect_timeout_s, read=self._read_timeout_s),
                    retries=urllib3.Retry(
                        total=self._retries, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]
                    ),
                    cert_reqs="CERT_REQUIRED",
                    ca_certs=certifi.where(),
                )
                self._made = Minio(
                    self._host, self._access_key, self._secret_key, secure=self._secure, http_client=self._http
                )
            return self._made

    def _put(self, key: str, source: Path) -> None:
        from minio.error import S3Error  # noqa: PLC0415

        try:
            self._upload(key, source)
        except S3Error as error:
            if error.code != "NoSuchBucket":
                raise
            self._make_bucket()
            self._upload(key, source)

    def _upload(self, key: str, source: Path) -> None:
        # One part after the other: each parallel upload would hold its own part in memory, and a thread.
        self._client().fput_object(self._bucket, key, str(source), part_size=_PART_BYTES, num_parallel_uploads=1)

    def _make_bucket(self) -> None:
        from minio.error import S3Error  # noqa: PLC0415

        if self._client().bucket_exists(self._bucket):
            return
        try:
            self._client().make_bucket(self._bucket)
        except S3Error as error:
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):  # another node was faster
                raise

    def _fetch(self, key: str, target: Path, abandoned: threading.Event) -> None:
        response = self._client().get_object(self._bucket, key)
        try:
            with appearing(target, abandoned) as partial, partial.open("xb") as file:
                for chunk in response.stream(_CHUNK_BYTES):
                    if abandoned.is_set():
                        raise Abandoned
                    file.write(chunk)
        finally:
            response.close()
            response.release_conn()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from minio.error import MinioException, S3Error  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            yield
        except S3Error as error:
            raise self._of_s3(error.code or "", error.message or "") from error
        except (MinioException, HTTPError) as error:
            raise BlobsUnavailable(
                f"the object store at {self._host} cannot be reached ({_reason(error)}): see that it is up, or set "
                f"MINIO_ENDPOINT"
            ) from error
        except ParseError as error:  # a proxy's page, or half an answer
            raise BlobsUnavailable(f"the server at {self._host} is not an object store: {error}") from error
        except FileExistsError:
            raise  # the target already exists: a bug of the caller
        except OSError as error:
            raise BlobsUnavailable(
                f"a file for an object of {self._host} cannot be read or written: {error}"
            ) from error

    def _of_s3(self, code: str, message: str) -> BlobMissing | BlobsUnavailable:
        if code in _MISSING:
            return BlobMissing(f"the object store at {self._host} has no such object in bucket {self._bucket} ({code})")
        if code in _REFUSED:
            return BlobsRefused(f"the object store at {self._host} refuses our keys ({code}); check MINIO_ACCESS_KEY")
        return BlobsUnavailable(f"the object store at {self._host} answers {code}: {message[:200]}")


def _parse(endpoint: str, secure: bool) -> tuple[str, bool]:
    parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    try:
        valid = bool(parts.hostname) and parts.scheme in ("", "http", "https") and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or parts.path not in ("", "/") or parts.query or parts.username:
        raise StartRefused(f"MINIO_ENDPOINT must be host:port or http(s)://host:port, not {parts.netloc!r}", 2)
    return parts.netloc, secure or parts.scheme == "https"


def _checked(bucket: str) -> str:
    """Return a valid bucket name. Raises StartRefused (2) for one that some store refuses.

    minio-py itself raises ValueError for most of these.
    """
    if not _BUCKET.fullmatch(bucket) or any(pair in bucket for pair in ("..", ".-", "-.")):
        raise StartRefused(f"MINIO_BUCKET must be 3 to 63 of a-z, 0-9, - and . such as deep-oj, not {bucket!r}", 2)
    return bucket


def _reason(error: Exception) -> str:
    """Return the cause of an error: urllib3 wraps it into the name of its pool and the whole URL."""
    cause = getattr(error, "reason", None) or error
    return str(cause)[:200] or type(cause).__name__
