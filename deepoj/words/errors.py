"""Breakages: raised, and declared by the children that may be restarted after them."""

from __future__ import annotations


class Breakage(Exception):
    """A part of the system, or a dependency, is broken. The message is one sentence: what, where, what to do."""


class StoreUnavailable(Breakage):
    """PostgreSQL cannot be reached, or the connection was lost: the outcome of the current statement is unknown."""


class StoreRefused(StoreUnavailable):
    """PostgreSQL answers and refuses us: wrong password, no such database, no rights. An operator has to fix it."""


class StreamUnavailable(Breakage):
    """Redis cannot be reached or lost the connection."""


class StreamRefused(StreamUnavailable):
    """Redis answers and refuses us: a wrong password, a missing right, a key of another type. Trying again does not
    help, so a node that gets it at the start refuses to start."""


class BlobsUnavailable(Breakage):
    """The object store cannot be reached."""


class BlobsRefused(BlobsUnavailable):
    """The object store answers and refuses us: wrong keys, a missing right. Trying again does not help, so a node that
    gets it at the start refuses to start."""


class BlobMissing(Breakage):
    """The object store answers, and has no such object."""


class GithubUnavailable(Breakage):
    """GitHub cannot be reached, is too slow, or gives an answer that is not an OAuth provider's."""


class TestDataBroken(Breakage):
    """A problem's package, on this node or in the object store, violates its hash or the rules."""

    __test__ = False  # not a pytest class


class BoxBroken(Breakage):
    """The sandbox launcher is gone or violates its protocol; executions in it have no outcome."""


class BoxAway(BoxBroken):
    """No sandbox launcher is available now, for any job: the execution was never begun, so the job is not to blame."""


class ServerFell(Breakage):
    """A supervised server ended by itself."""


class StartRefused(Exception):
    """The requested process cannot start. ``str()`` is the message for the user, ``exit_code`` 2 (configuration), 3 (a
    dependency), or of a benchmark 1 (the measured operation failed)."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class LeaseLost(Exception):
    """This attempt's lease is lost: another node may own the job now. It ends this job's judge and nothing else."""
