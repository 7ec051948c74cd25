"""Sends a batch until each line is stored or refused for good, and reads its verdicts until all are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deepoj.client.server import RETRY_FOR_S, ApiClient, ServerAway, ServerRefused

PATH = "/api/v1/submissions/batch"
#: pause before a stream that ended early is opened again
_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch that the server has taken: its id, the lines that are stored, and those that were refused."""

    batch_id: str
    stored: int
    refused: list[dict[str, Any]]

    @property
    def retry_after_s(self) -> float | None:
        """When refused lines may be sent again; None: there are no such lines."""
        waits = [line["retry_after_s"] for line in self.refused if "retry_after_s" in line]
        return max(waits, default=None)


def send_batch(server: ApiClient, file: Path, key: str) -> SentBatch:
    """Send the lines of a file once. Raises ServerAway, ServerRefused, OSError."""
    lines = server.send_lines(PATH, file, key)
    batch_id = lines[-1].get("batch_id") if lines else None
    if not isinstance(batch_id, str):
        raise ServerAway(f"{server.url} broke off its answer: run the command again.")
    refused = [line for line in lines[:-1] if "job_id" not in line]
    return SentBatch(batch_id, len(lines) - 1 - len(refused), refused)


def send_whole_batch(
    server: ApiClient,
    file: Path,
    key: str,
    *,
    notice: Callable[[str], None],
    retry_for_s: float = RETRY_FOR_S,
    clock: Callable[[], float] = time.monotonic,
) -> SentBatch:
    """Send the lines of a file, and again those that the server will take later.

    It gives up when no further line is taken for ``retry_for_s``. Raises as ``send_batch``.
    """
    sent = send_batch(server, file, key)
    deadline_s = clock() + retry_for_s
    while (wait_s := sent.retry_after_s) is not None and clock() + wait_s <= deadline_s:
        notice(f"{sent.stored:,} lines are stored; the server takes more in {wait_s:g} s.")
        server.sleep(wait_s)
        former, sent = sent, send_batch(server, file, key)
        if sent.stored > former.stored:
            deadline_s = clock() + retry_for_s
    return sent


def batch_verdicts(
    server: ApiClient,
    batch_id: str,
    *,
    notice: Callable[[str], None],
    retry_for_s: float = RETRY_FOR_S,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[dict[str, Any]]:
    """Yield the verdict of each stored line as it comes, each once.

    A stream that breaks off is opened again after its last token. Raises ServerRefused; or, after ``retry_for_s``
    without a line, ServerAway.
    """
    path = f"{PATH}/{quote(batch_id, safe='')}"
    token, seen = "", set[object]()
    deadline_s = clock() + retry_for_s
    while True:
        try:
            with server.line_stream(f"{path}/results{f'?token={token}' if token else ''}") as lines:
                for line in lines:
                    deadline_s = clock() + retry_for_s
                    if "token" in line:
                        token = str(line["token"])
                    elif line.get("line") not in seen:  # those after the last token come again
                        seen.add(line.get("line"))
                        yield line
            batch = server.ask("GET", path)
            if batch.get("finished") == batch.get("lines"):
                return
        except (ServerAway, ServerRefused) as error:
            passes = isinstance(error, ServerAway) or error.is_temporary
            if not passes or clock() + _RETRY_S > deadline_s:
                raise
            notice(f"{error} Trying again in {_RETRY_S:g} s.")
        server.sleep(_RETRY_S)
