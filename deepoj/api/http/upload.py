"""Receives a multipart upload: the file is streamed to disk, the small fields are kept in memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import trio
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from deepoj.api.body import BodyPieces
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import Request

_MAX_PARTS = 32
#: limit of all fields together, and of the headers of a part
_MAX_FIELDS_BYTES = 128 * 1024
#: limit of the form's bytes besides the file
_FRAME_BYTES = 256 * 1024
_STALE_S = 24 * 3600.0

#: checks the fields that came before the file; raises Refused
type CheckFields = Callable[[Mapping[str, str]], None]


@dataclass(slots=True)
class Form:
    """The received fields by name, and the file on disk, if any."""

    fields: dict[str, str] = field(default_factory=dict)
    file: Path | None = None


@contextlib.asynccontextmanager
async def received_form(
    request: Request,
    *,
    file_field: str,
    upload_dir: Path,
    max_file_bytes: int,
    timeout_s: float,
    check_fields: CheckFields | None = None,
) -> AsyncIterator[Form]:
    """Receive the whole form. Its file stays in ``upload_dir`` until the context ends.

    ``check_fields`` is called before the first byte of the file is stored, and again with all fields.
    A file part without a name and without a byte counts as missing: browsers send it when no file was chosen.
    If the process dies here, the unreferenced file stays, and ``sweep`` removes it a day later.

    Raises:
      Refused: 415, 400, 408, 413 FILE_TOO_LARGE (the file) or BODY_TOO_LARGE (the fields), those of ``check_fields``.
    """
    mimetype, options = parse_options_header(request.headers.get("Content-Type", ""))
    if mimetype != "multipart/form-data":
        raise Refused(ApiError.WRONG_TYPE, wanted="multipart/form-data")
    boundary = options.get("boundary", "")
    if not boundary.isascii() or not 1 <= len(boundary) <= 200:
        raise Refused(ApiError.BAD_FORM)
    await anyio.Path(upload_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = new_path(upload_dir)
    reader = _UploadReader(boundary.encode("ascii"), file_field, path, max_file_bytes, check_fields)
    too_large = Refused(ApiError.FILE_TOO_LARGE, limit=max_file_bytes)
    try:
        async for piece in BodyPieces(
            request, max_bytes=max_file_bytes + _FRAME_BYTES, too_large=too_large, timeout_s=timeout_s
        ):
            await reader.take(piece)
        yield await reader.finish()
    finally:
        reader.close()
        path.unlink(missing_ok=True)


def new_path(upload_dir: Path) -> Path:
    """Return a path for a package; ``sweep`` removes the file if its process was killed."""
    return upload_dir / f"upload-{secrets.token_hex(16)}.zip"


def sweep(upload_dir: Path) -> None:
    """Remove uploads, and folders with files of packages, left by killed processes a day ago or earlier."""
    for upload in (*upload_dir.glob("upload-*.zip"), *upload_dir.glob("upload-*.files")):
        with contextlib.suppress(FileNotFoundError):
            if upload.stat().st_mtime >= time.time() - _STALE_S:
                continue
            if upload.is_dir():
                shutil.rmtree(upload)
            else:
                upload.unlink()


class _UploadReader:
    """Decodes the form: writes the file to disk, and keeps the fields."""

    def __init__(
        self, boundary: bytes, file_field: str, path: Path, max_file_bytes: int, check_fields: CheckFields | None
    ) -> None:
        self._check_fields = check_fields
        self._decoder = MultipartDecoder(boundary, max_parts=_MAX_PARTS)
        self._file_field = file_field
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._form = Form()
        self._part: Field | File | None = None
        self._value = bytearray()
        self._fields_bytes = 0
        self._file_bytes = 0
        self._has_filename = False
        self._fd: int | None = None

    async def take(self, piece: bytes | None) -> bool:
        """Process one piece of the body, None for its end. Returns whether the form is complete."""
        try:
            self._decoder.receive_data(piece)
            event: Event = self._decoder.next_event()
            while not isinstance(event, NeedData):
                if isinstance(event, Epilogue):
                    return True
                await self._handle(event)
                event = self._decoder.next_event()
        except (
            ValueError,
            RequestEntityTooLarge,
        ) as error:  # raised by the decoder for a malformed form or too many parts
            raise Refused(ApiError.BAD_FORM) from error
        # the decoder buffers everything until the end of a header or the next boundary
        if len(self._decoder.buffer) > _MAX_FIELDS_BYTES + len(piece or b""):
            raise Refused(ApiError.BAD_FORM)
        return False

    async def finish(self) -> Form:
        """Finish the form at the end of the body."""
        if not await self.take(None):
            raise Refused(ApiError.BAD_FORM)
        if not self._file_bytes and not self._has_filename:
            self._form.file = None
        if self._check_fields is not None:
            self._check_fields(self._form.fields)
        return self._form

    def close(self) -> None:
        """Close the file; may be called repeatedly."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def _handle(self, event: Event) -> None:
        if isinstance(event, Field | File):
            if not isinstance(event.name, str):
                raise Refused(ApiError.BAD_FORM)
            self._part = event
            if self._is_file:
                await self._open()
        elif isinstance(event, Data):
            if self._is_file:
                await self._write(event.data)
            else:
                self._keep(event)

    @property
    def _is_file(self) -> bool:
        # the field's name identifies the file: some clients omit the filename
        return self._part is not None and self._part.name == self._file_field

    async def _open(self) -> None:
        if self._form.file is not None:
            raise Refused(ApiError.INVALID, field=self._file_field, problem="there may be only one file")
        if self._check_fields is not None:
            self._check_fields(self._form.fields)
        self._has_filename = isinstance(self._part, File) and bool(self._part.filename)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = await trio.to_thread.run_sync(os.open, self._path, flags, 0o600)
        self._form.file = self._path

    async def _write(self, data: bytes) -> None:
        self._file_bytes += len(data)
        if self._file_bytes > self._max_file_bytes:
            raise Refused(ApiError.FILE_TOO_LARGE, limit=self._max_file_bytes)
        if data and self._fd is not None:
            await trio.to_thread.run_sync(_write_all, self._fd, data)

    def _keep(self, event: Data) -> None:
        self._fields_bytes += len(event.data)
        if self._fields_bytes > _MAX_FIELDS_BYTES:
            raise Refused(ApiError.BODY_TOO_LARGE, limit=_MAX_FIELDS_BYTES)
        self._value += event.data
        if event.more_data or self._part is None:
            return
        # a file in an unknown field is ignored, like other unknown fields
        self._form.fields[self._part.name] = self._value.decode("utf-8")  # UnicodeDecodeError is a ValueError: 400
        self._value.clear()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
