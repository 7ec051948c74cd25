"""How many jobs are under way, as far as this node knows: what the cap on them goes by.

Counting costs as many index entries as there are jobs under way. With 100,000 waiting a submit over HTTP takes 1.8 to
2.2 times as long as with empty tables if its statement counts (20.9 and 10.3 ms), and 1.1 times as it is (``deepoj
bench queue``, three runs of each by turns on a loaded host). So no submit counts. A loop beside them does, a few times
a second while somebody submits; what this node takes in between it adds up itself, and what is finished in between
shows with the next count. So the number is never too small for what this node took, and too small only by what other
nodes have taken since the last count; while nothing can be counted, it only grows.
"""

from __future__ import annotations


class InflightEstimate:
    """The last count, and what was taken since."""

    def __init__(self) -> None:
        self._counted = 0
        #: taken, and perhaps not in the count
        self._since = 0
        #: on their way into the database
        self._entering = 0
        self._was_asked = True

    @property
    def inflight(self) -> int:
        return self._counted + self._since + self._entering

    def enter(self) -> int:
        """A submit begins; returns how many are before it."""
        before = self.inflight
        self._entering += 1
        self._was_asked = True
        return before

    def leave(self, *, was_taken: bool) -> None:
        """It has ended, its transaction too."""
        self._entering -= 1
        self._since += was_taken

    def needs_count(self, cap: int) -> bool:
        """Not where nobody has submitted since the last one; but where the door is shut, or soon will be."""
        return self._was_asked or self.inflight >= cap - cap // 10

    def begin_count(self) -> int:
        """To be handed to ``counted``: what has been taken by now is in the count, what enters now may not be."""
        self._was_asked = False
        return self._since

    def counted(self, inflight: int, begun: int) -> None:
        self._counted = inflight
        self._since -= begun
