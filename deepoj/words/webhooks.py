"""Webhooks: callback URLs and deliveries; and those of the Contest API."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class CallbackRefusal(enum.StrEnum):
    """Why a callback URL is not acceptable."""

    #: no secret to sign with, or switched off
    SWITCHED_OFF = "switched_off"
    #: not a URL, or one that two parsers may read in two ways
    MALFORMED = "malformed"
    #: neither http nor https
    SCHEME = "scheme"
    #: it carries a user or a password
    CREDENTIALS = "credentials"
    #: a port of another service
    PORT = "port"
    #: not on the list of allowed hosts
    HOST = "host"
    #: not a public address
    ADDRESS = "address"


class HookStatus(enum.StrEnum):
    """The status of a delivery."""

    PENDING = "pending"
    #: the receiver has answered 2xx
    DELIVERED = "delivered"
    #: it is not tried any more; an administrator may redeliver it
    GIVEN_UP = "given_up"


class HookFailure(enum.StrEnum):
    """Why a try to deliver failed. These codes only: a receiver's own words are not kept."""

    #: no name server knows the host
    NAME = "name"
    #: the host has an address that may not be called, or the URL is not allowed any more
    FORBIDDEN = "forbidden"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    #: it answered, but not in HTTP
    PROTOCOL = "protocol"
    #: it answered, but not 2xx
    HTTP = "http"
    #: it answered 410: never again
    GONE = "gone"
    #: the submission's owner is disabled: not tried
    ACCOUNT_DISABLED = "account_disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A delivery that has been taken and is to be tried."""

    id: int
    #: the id in the request, the same for all tries
    delivery_id: str
    job_id: str
    judging: int
    attempt_id: int
    #: ``done`` or ``dead``
    event: str
    #: the submission's ``status`` at that moment
    verdict: str
    error_code: str | None
    #: ``scheme://host[:port]`` of ``url``
    target: str
    url: str
    user_id: int
    problem_id: int
    language: str
    trace_id: str
    #: the result object of that judging, in full; None: a dead letter
    result: Mapping[str, Any] | None
    #: how often it was taken, this time included; the outcome is settled under this number
    attempts: int
    #: how often since it was last sent by an administrator, or at first
    tries: int
    #: rotations of the owner's signing secret
    secret_epoch: int
    owner_is_disabled: bool
    #: the database's clock when it was taken, Unix seconds
    sent_at_s: int
    #: ISO 8601
    created_at: str


@dataclass(frozen=True, slots=True)
class HookRequest:
    """The request that is POSTed."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """The outcome of one POST. ``failure`` is None exactly for a 2xx."""

    failure: HookFailure | None
    #: None: there was no answer
    http_status: int | None = None
    #: the seconds in the answer's ``Retry-After``
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class DueHooks:
    """Due deliveries of one account to one target, earliest first. ``is_last``: the search ended here, not at the
    account's last target."""

    user_id: int
    target: str
    ids: tuple[int, ...]
    is_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStanding:
    """A delivery as users see it. Times are ISO 8601, the database's clock."""

    #: pages are ordered by it
    id: int
    delivery_id: str
    job_id: str
    judging: int
    event: str
    target: str
    status: HookStatus
    attempts: int
    http_status: int | None
    #: a value of HookFailure
    last_error: str | None
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A delivery that is sent again. ``repeated``: it was waiting already."""

    job_id: str
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestWebhookDraft:
    """A webhook of the Contest API that is to be registered."""

    user_id: int
    #: normalized
    url: str
    #: ``scheme://host[:port]`` of ``url``
    target: str
    #: the receiver recognizes us by it
    token: str = field(repr=False)
    #: types of events; empty: all
    endpoints: tuple[str, ...]
    #: keys of contests; empty: all
    contest_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestWebhook:
    """A webhook of the Contest API as its owner sees it. The token is not shown."""

    id: int
    url: str
    endpoints: tuple[str, ...]
    contest_ids: tuple[str, ...]
    #: False: the receiver failed for too long and is not called any more
    is_active: bool


@dataclass(frozen=True, slots=True)
class FeedPlace:
    """How much of a contest's event feed a webhook has."""

    #: the last event of which it has every line
    number: int
    #: the last line that was received, which may be of the event after it; None: none yet
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestHook:
    """A webhook of the Contest API that has been taken: the next callback is about one contest."""

    id: int
    user_id: int
    url: str
    target: str
    #: the token of its owner
    secret: str = field(repr=False)
    endpoints: tuple[str, ...]
    #: how often it was taken, this time included; the outcome is settled under this number
    attempts: int
    #: failures since the last callback that was received
    tries: int
    #: None: it lacks nothing, of all contests as they were at ``mark``
    contest_id: int | None
    contest_key: str | None
    #: the number of the contest's last event
    last: int
    #: of the numbers of all contests' last events
    mark: int
    place: FeedPlace


@dataclass(frozen=True, slots=True)
class ContestTry:
    """The outcome of a turn: the receiver's answer, and up to where it has the feed if it has received it."""

    #: None: it was not called, because its account sees nothing new
    answer: HookAnswer | None
    place: FeedPlace | None = None
