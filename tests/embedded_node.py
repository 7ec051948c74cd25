"""A node that has nothing but the embedded servers, as a process of its own: ``python -m tests.embedded_node HOME``.

Prints ``up`` when both answer and ``stopped`` when both are gone; SIGTERM stops it. A refusal is one line on stderr and
its exit code.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path

import trio

from deepoj.adapters.embedded import hold_home, run_postgres, run_valkey
from deepoj.words.errors import StartRefused


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(path: Path) -> None:
    with hold_home(path) as home, trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_postgres, home))
            await nursery.start(partial(run_valkey, home))
            say("up")
            async for _ in signals:
                nursery.cancel_scope.cancel()
    say("stopped")


if __name__ == "__main__":
    try:
        trio.run(main, Path(sys.argv[1]))
    except* StartRefused as refusals:
        first = refusals.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        sys.stderr.write(f"{first}\n")
        assert isinstance(first, StartRefused)
        sys.exit(first.exit_code)
