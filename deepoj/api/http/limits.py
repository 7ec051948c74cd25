"""Rate limits: by address, by user, and by kind of request.

A route declares which limit counts its requests (``Limit``). Requests that match no route are counted as ``API``.
"""

from __future__ import annotations

import enum
import hashlib
import math
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import trio
from quart import request

from deepoj.api.auth import Claims
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import client_of, is_untrusted, networks
from deepoj.api.password_tries import PasswordTries, PasswordTry
from deepoj.api.settings import ApiSettings, RateLimit
from deepoj.capacity.backpressure import Backpressure
from deepoj.observe import Metrics, log
from deepoj.ports.limits import Counters
from deepoj.words.accounts import Credentials, User
from deepoj.words.limits import Overdrawn, Quota

#: interval between two warnings about untrusted X-Forwarded-For headers
_UNTRUSTED_WARNING_S = 3600.0


class Limit(enum.Enum):
    """The rate limit of a route."""

    #: not counted, because monitoring must work while the node is busy
    NONE = enum.auto()
    #: registrations by address, before the body is read; apart from AUTH, because a class may register and then log in
    REGISTER = enum.auto()
    #: logins without a password, by address, before the body is read
    AUTH = enum.auto()
    #: requests with a password to check: only failures are counted; their handlers call ``RequestLimits.password_try``
    PASSWORD = enum.auto()
    #: submissions by address and by user: ``access.SUBMITTER`` calls ``RequestLimits.submit``
    SUBMIT = enum.auto()
    #: everything else: with a valid token by its user, so that a class behind one address can still read; else by
    #: address
    API = enum.auto()
    #: the Contest API, whose clients ask for each file and object by itself; the first look at a contest is counted as
    #: API, too
    CONTEST_API = enum.auto()
    #: images and attachments of statements, several on a page
    FILE = enum.auto()
    #: the pages of contests that spectators see. Only for pages that take as long as a board once the node keeps the
    #: contest; the first look at it and later pages of lists are counted as API, too (``RequestLimits.count_costly``)
    SPECTATOR = enum.auto()


#: limits that are counted as API, but apart from it and so many times as often: without a valid token by address, for
#: the teams of a site share one. So does a school hall that opens a contest and its board, and comes back: 300 people
#: with six requests each
_ADDRESS_TIMES = {Limit.CONTEST_API: 10, Limit.FILE: 30, Limit.SPECTATOR: 30}
#: the same with a valid token, by its user. Others are counted as API
_USER_TIMES = {Limit.CONTEST_API: 10, Limit.FILE: 10}


class RequestLimits:
    """Each check counts the request or raises Refused (429, with the time until the window's end)."""

    def __init__(self, counters: Counters, pressure: Backpressure, settings: ApiSettings, metrics: Metrics) -> None:
        """Raises ValueError for a trusted proxy that is no address or network."""
        self._counters = counters
        self._pressure = pressure
        self._settings = settings
        self._metrics = metrics
        self._trusted = networks(settings.trusted_proxies)
        self._next_warning_at = -math.inf
        self._tries = PasswordTries(counters, settings.auth_rate, metrics)

    async def admit(self, limit: Limit, claims: Claims | None) -> None:
        """Check every request before its route. ``claims``: of its token, if that is valid."""
        self._warn_about_untrusted_proxy()
        if limit in {Limit.NONE, Limit.PASSWORD}:
            return
        rate = self._settings.rate
        if limit in {Limit.REGISTER, Limit.AUTH}:
            await self._take(_by_address(limit.name.lower(), self._settings.auth_rate, self._address()))
        elif claims is None:
            name = limit.name.lower() if limit in _ADDRESS_TIMES else "api"
            rate = replace(rate, ip_limit=rate.ip_limit * _ADDRESS_TIMES.get(limit, 1))
            await self._take(_by_address(name, rate, self._address()))
        elif limit in _USER_TIMES:
            rate = replace(rate, user_limit=rate.user_limit * _USER_TIMES[limit])
            await self._take(_by_user(limit.name.lower(), rate, f"{claims.user_id}:{claims.epoch}"))
        elif limit in {Limit.API, Limit.SPECTATOR}:
            await self._take(_by_token(rate, claims))

    async def count_refused_submission(self, claims: Claims | None) -> None:
        """Count a submission with a revoked token or of a disabled account, which ``submit`` does not count.

        Without a valid token, its address was counted before.
        """
        if claims is not None:
            await self._take(_by_token(self._settings.rate, claims))

    async def count_costly(self, claims: Claims | None = None) -> None:
        """Count a request as API, too, that takes much longer than others of its route, such as the first look at a
        contest, which folds all of its events. ``claims``: of its valid token or password."""
        rate = self._settings.rate
        await self._take(_by_address("api", rate, self._address()) if claims is None else _by_token(rate, claims))

    def password_try(self) -> AbstractAsyncContextManager[PasswordTry]:
        """Context of a request that checks a password; call ``begin`` with ``password_subject``."""
        return self._tries.one(self._address())

    async def submit(self, user: User) -> None:
        """Check the submission rate of an authenticated user, and backpressure."""
        limit = self._settings.submit_rate
        overdrawn = await self._overdrawn(
            _by_address("submit", limit, self._address()), _by_user("submit", limit, str(user.id))
        )
        if overdrawn is not None:
            subject_kind = overdrawn.quota.kind.rpartition(":")[2]
            self._metrics.submit_429.labels(reason=f"rate_limit_{subject_kind}").inc()
            raise _refused(overdrawn)
        try:
            self.backpressure()
        except Refused:
            self._metrics.submit_429.labels(reason="backpressure").inc()
            raise

    def backpressure(self) -> None:
        """Check backpressure. Raises Refused while too much work is waiting.

        Every route that creates work for the judge nodes calls this before it reads the body.
        """
        reason = self._pressure.look()
        if reason is not None and self._pressure.settings is not None:
            self._metrics.backpressure_reject.labels(reason=reason.value).inc()
            raise Refused(ApiError.BACKPRESSURE, retry_after_s=self._pressure.settings.retry_after_s)

    async def _take(self, quota: Quota) -> None:
        overdrawn = await self._overdrawn(quota)
        if overdrawn is not None:
            raise _refused(overdrawn)

    async def _overdrawn(self, *quotas: Quota) -> Overdrawn | None:
        limited = [quota for quota in quotas if quota.limit]
        return await self._counters.take(limited) if limited else None

    def _warn_about_untrusted_proxy(self) -> None:
        """Log a warning if the request came through an untrusted proxy: all of its clients share one limit."""
        peer = request.scope.get("client")
        remote = peer[0] if peer else None
        if not is_untrusted(remote, request.headers, self._trusted):
            return
        self._metrics.untrusted_forwarded.inc()
        if trio.current_time() >= self._next_warning_at:
            self._next_warning_at = trio.current_time() + _UNTRUSTED_WARNING_S
            reason = "X-Forwarded-For is not trusted: add the address to TRUSTED_PROXIES if it is your proxy"
            log("forwarded_untrusted", level="warning", remote=remote, reason=reason)

    def _address(self) -> str:
        return client_of(request, self._trusted)


def password_subject(username: str, account: Credentials | None) -> str:
    """Return the subject of failed logins. Unknown names have one too, so that their answers look the same."""
    unknown = hashlib.blake2b(username.casefold().encode(), digest_size=8).hexdigest()
    return str(account.user.id) if account is not None else f"none-{unknown}"


def _by_address(what: str, limit: RateLimit, address: str) -> Quota:
    return Quota(f"{what}:ip", address, limit.ip_limit, round(limit.window_s * 1000))


def _by_user(what: str, limit: RateLimit, user: str) -> Quota:
    return Quota(f"{what}:user", user, limit.user_limit, round(limit.window_s * 1000))


def _by_token(limit: RateLimit, claims: Claims) -> Quota:
    """Return the quota of a token. It depends on the epoch too, so a revoked token does not use up the user's quota."""
    return _by_user(claims.counted_as, limit, f"{claims.user_id}:{claims.epoch}")


def _refused(overdrawn: Overdrawn) -> Refused:
    wait_s = overdrawn.wait_ms / 1000
    return Refused(ApiError.TOO_MANY_REQUESTS, retry_after_s=wait_s, seconds=math.ceil(wait_s))
