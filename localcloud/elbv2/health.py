"""Health checks of every target group, and the end of draining."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from .sources import Sessions
from .targets import CHECK_FAILED, CHECKING, TIMED_OUT, Health, State, invalid_state, wrong_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .targets import Target, TargetPool

log = logging.getLogger(__name__)

HEADERS = {"User-Agent": "ELB-HealthChecker/2.0", "Accept-Encoding": "gzip, compressed", "Connection": "close"}


@dataclass(frozen=True)
class Endpoint:
    """Where a target is, and the state of its instance; plain addresses count as running.

    Nothing listens at the address of a record, which is healthy for as long as it runs.
    """

    address: str | None
    state: str = "running"
    is_record: bool = False


class HealthChecker:
    """Checks each target when it is due.

    Args:
        pools: Returns the pools to check.
        locate: Finds a target by its id; called in a thread, because it may wait for moto's lock.
        clock: Seconds that only grow.
        fails: Whether a fault fails this check of a pool's target, whatever the target answers.
    """

    def __init__(
        self,
        pools: Callable[[], Iterable[TargetPool]],
        locate: Callable[[str], Endpoint],
        clock: Callable[[], float],
        fails: Callable[[TargetPool, str], bool] = lambda *_: False,
    ) -> None:
        self._pools = pools
        self._locate = locate
        self._clock = clock
        self._fails = fails
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, period: float = 0.1) -> None:
        """Check every pool once per period (seconds), until cancelled."""
        sessions = Sessions(_session)
        try:
            while True:
                try:
                    self.tick(sessions)
                except Exception:
                    log.exception("a round of health checks failed; continuing")
                await asyncio.sleep(period)
        finally:
            await sessions.close()

    def tick(self, sessions: Sessions) -> None:
        """Start every check that is due and end every draining that is over."""
        now = self._clock()
        for pool in self._pools():
            pool.finish_draining(now)
            if not (pool.in_use and pool.check.enabled):
                continue
            for target in list(pool.targets.values()):
                if target.drained_by is None and not target.checking and now >= target.next_check:
                    target.next_check = now + pool.check.interval
                    target.checking = True
                    task = asyncio.ensure_future(self._check(sessions.of(pool.source), pool, target))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _check(self, session: aiohttp.ClientSession, pool: TargetPool, target: Target) -> None:
        check = pool.check
        try:
            endpoint = await asyncio.to_thread(self._locate, target.id)
            verdict = await self._probe(session, pool, target, endpoint)
        finally:
            target.checking = False
        if (verdict is None or verdict.state is State.UNHEALTHY) and self._fails(pool, target.id):
            verdict = wrong_status(503)
        if target.drained_by is not None:
            return
        before = target.health
        target.address = endpoint.address
        if verdict is None:
            target.passed(check)
        elif verdict.state in {State.UNUSED, State.INITIAL}:
            target.set_aside(verdict)
        else:
            target.failed(check, verdict)
        pool.reroute()
        if target.health.state is not before.state:
            log.info("target %s:%s is %s (%s)", target.id, target.port, target.health.state, target.health.reason)

    async def _probe(
        self, session: aiohttp.ClientSession, pool: TargetPool, target: Target, endpoint: Endpoint
    ) -> Health | None:
        """Return None when the check passed, else the failure."""
        if endpoint.address is None or endpoint.state != "running":
            # Until an instance has booted its target is still in its first checks, not broken.
            return CHECKING if endpoint.state == "pending" else invalid_state(endpoint.state)
        if endpoint.is_record:
            return None
        check = pool.check
        port = check.port or target.port
        try:
            async with asyncio.timeout(check.timeout):
                if check.protocol == "TCP":
                    _, writer = await asyncio.open_connection(
                        endpoint.address, port, local_addr=(pool.source, 0) if pool.source else None
                    )
                    writer.close()
                    return None
                url = URL(f"{check.protocol.lower()}://{endpoint.address}:{port}{check.path}", encoded=True)
                async with session.get(url, headers=HEADERS, allow_redirects=False, ssl=False) as answer:
                    return None if answer.status in check.statuses else wrong_status(answer.status)
        except TimeoutError:
            return TIMED_OUT
        except (aiohttp.ClientError, OSError):
            return CHECK_FAILED


def _session(source: str | None) -> aiohttp.ClientSession:
    """Return a session in which each health check has a connection of its own, which is closed after it, as at AWS."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0, local_addr=(source, 0) if source else None)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
