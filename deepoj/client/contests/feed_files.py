"""Reads the event feed of a published contest from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deepoj.contests.feed import FeedError, FeedEvent, parse_collection, read_events

#: names that a feed has in a folder that was downloaded or packed as a whole
_FEED_NAMES = ("event-feed.ndjson", "event-feed.json")


def events_of(feed: Path) -> Iterator[FeedEvent]:
    """Yield the events of a file, or of a folder with a feed or with the JSON of each endpoint.

    Raises FeedError, OSError, UnicodeDecodeError.
    """
    if feed.is_file():
        with feed.open(encoding="utf-8-sig") as lines:
            yield from read_events(lines, feed.name)
        return
    for name in _FEED_NAMES:
        if (feed / name).is_file():
            yield from events_of(feed / name)
            return
    if len(feeds := list(feed.glob("*.ndjson"))) == 1:
        yield from events_of(feeds[0])
        return
    files = sorted(feed.glob("*.json"))
    if not files:
        raise FeedError(f"{feed} has neither {' nor '.join(_FEED_NAMES)} nor a JSON file for each endpoint")
    for file in files:
        yield parse_collection(file.stem, file.read_text(encoding="utf-8-sig"), file.name)
