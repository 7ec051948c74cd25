"""How often somebody may ask: by address, by user, by what is asked for.

============  ==================================================  ===================================================
kind          what                                                counted
============  ==================================================  ===================================================
``register``  ``POST /api/v1/auth/register``                      by address before anything is read
``auth``      ``/api/v1/auth/…`` but that                         the same; of what brings a password that is to be
                                                                  checked only failures, see ``password_tries``
``submit``    ``POST /api/v1/submit``                             by address and by user, once the user is known;
                                                                  with a revoked token as ``api``
``api``       everything else                                     with a token of ours by its user, else by address:
                                                                  a class behind one address can still read
============  ==================================================  ===================================================

``health``, ``ready`` and ``/metrics`` are not limited: what watches the node must not go blind when it is busy.
"""

from __future__ import annotations

import hashlib
import math
from contextlib import AbstractAsyncContextManager

import trio
from quart import request

from deepoj.api.auth import Claims
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import client_of, is_untrusted, networks
from deepoj.api.http.exchange import PROBES
from deepoj.api.password_tries import PasswordTries, PasswordTry
from deepoj.api.settings import ApiSettings, RateLimit
from deepoj.capacity.backpressure import Backpressure
from deepoj.observe import Metrics, log
from deepoj.ports.limits import Counters
from deepoj.words.accounts import Credentials, User
from deepoj.words.limits import Overdrawn, Quota

_AUTH = "/api/v1/auth/"
#: counted apart: a class that registers has failed at nothing, and logs in next
_REGISTER = "/api/v1/auth/register"
#: what brings a password that is to be checked; ``RequestLimits.password_try`` counts
_PASSWORDS = frozenset({"/api/v1/auth/login", "/api/v1/users/me/password"})
#: between two lines of the log about X-Forwarded-For that is not believed
_TELL_UNTRUSTED_S = 3600.0
_SUBMIT = "/api/v1/submit"


class RequestLimits:
    """Each question raises Refused (429, with the time to the window's end) or counts the request."""

    def __init__(self, counters: Counters, pressure: Backpressure, settings: ApiSettings, metrics: Metrics) -> None:
        """Raises ValueError for a trusted proxy that is no address or network."""
        self._counters = counters
        self._pressure = pressure
        self._settings = settings
        self._metrics = metrics
        self._trusted = networks(settings.trusted_proxies)
        self._tell_untrusted_at = -math.inf
        self._tries = PasswordTries(counters, settings.auth_rate, metrics)

    async def admit(self, claims: Claims | None) -> None:
        """Every request, before its route: by ``claims``, the token that it carries, if that is one of ours."""
        path = request.url_rule.rule if request.url_rule is not None else ""
        self._tell_untrusted()
        if path in PROBES or path in _PASSWORDS:
            return
        if path.startswith(_AUTH):
            what = "register" if path == _REGISTER else "auth"
            await self._take(_by_address(what, self._settings.auth_rate, self._address()))
        elif claims is None:
            await self._take(_by_address("api", self._settings.rate, self._address()))
        elif path != _SUBMIT:
            await self._take(_by_token(self._settings.rate, claims))

    async def turned_away(self, claims: Claims | None) -> None:
        """A submission with a token that was revoked, or of a disabled account: counted like all else that comes with
        it, where ``submit`` never does. Without a token of ours its address was counted before."""
        if claims is not None:
            await self._take(_by_token(self._settings.rate, claims))

    def password_try(self) -> AbstractAsyncContextManager[PasswordTry]:
        """Around a request that brings a password; ``begin`` it with ``password_subject``."""
        return self._tries.one(self._address())

    async def submit(self, user: User) -> None:
        """A submission of a user whose token was looked up: how often, and whether there is room for it at all."""
        limit = self._settings.submit_rate
        overdrawn = await self._overdrawn(
            _by_address("submit", limit, self._address()), _by_user("submit", limit, str(user.id))
        )
        if overdrawn is not None:
            whose = overdrawn.quota.kind.rpartition(":")[2]
            self._metrics.submit_429.labels(reason=f"rate_limit_{whose}").inc()
            raise _refused(overdrawn)
        try:
            self.backpressure()
        except Refused:
            self._metrics.submit_429.labels(reason="backpressure").inc()
            raise

    def backpressure(self) -> None:
        """Whatever sends new work to the judges asks this before it reads a body. Raises Refused while too much waits
        for them already."""
        pressed = self._pressure.look()
        if pressed is not None and self._pressure.settings is not None:
            self._metrics.backpressure_reject.labels(reason=pressed.value).inc()
            raise Refused(ApiError.BACKPRESSURE, retry_after_s=self._pressure.settings.retry_after_s)

    async def _take(self, quota: Quota) -> None:
        overdrawn = await self._overdrawn(quota)
        if overdrawn is not None:
            raise _refused(overdrawn)

    async def _overdrawn(self, *quotas: Quota) -> Overdrawn | None:
        limited = [quota for quota in quotas if quota.limit]
        return await self._counters.take(limited) if limited else None

    def _tell_untrusted(self) -> None:
        """A proxy that TRUSTED_PROXIES lacks makes one client of all its clients: that must not stay unseen."""
        peer = request.scope.get("client")
        remote = peer[0] if peer else None
        if not is_untrusted(remote, request.headers, self._trusted):
            return
        self._metrics.untrusted_forwarded.inc()
        if trio.current_time() >= self._tell_untrusted_at:
            self._tell_untrusted_at = trio.current_time() + _TELL_UNTRUSTED_S
            reason = "X-Forwarded-For is not believed: add the address to TRUSTED_PROXIES if it is a proxy of yours"
            log("forwarded_untrusted", level="warning", remote=remote, reason=reason)

    def _address(self) -> str:
        return client_of(request, self._trusted)


def password_subject(username: str, account: Credentials | None) -> str:
    """The account that failed logins count against. An unknown name has a subject, too: its answers look the same."""
    unknown = hashlib.blake2b(username.casefold().encode(), digest_size=8).hexdigest()
    return str(account.user.id) if account is not None else f"none-{unknown}"


def _by_address(what: str, limit: RateLimit, address: str) -> Quota:
    return Quota(f"{what}:ip", address, limit.ip_limit, round(limit.window_s * 1000))


def _by_user(what: str, limit: RateLimit, user: str) -> Quota:
    return Quota(f"{what}:user", user, limit.user_limit, round(limit.window_s * 1000))


def _by_token(limit: RateLimit, claims: Claims) -> Quota:
    """By the epoch too: who holds a revoked token uses up nobody's quota."""
    return _by_user("api", limit, f"{claims.user_id}:{claims.epoch}")


def _refused(overdrawn: Overdrawn) -> Refused:
    wait_s = overdrawn.wait_ms / 1000
    return Refused(ApiError.TOO_MANY_REQUESTS, retry_after_s=wait_s, seconds=math.ceil(wait_s))
