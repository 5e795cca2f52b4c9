"""The thread in which every load balancer listens, forwards and checks health."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moto.elbv2.exceptions import ELBClientError

from .health import Endpoint, HealthChecker
from .proxy import Proxy, client_session, listen
from .routing import Routes
from .sources import Sessions, restrict
from .tls import Tls, apply_policy, listener_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine
    from ipaddress import IPv4Network
    from typing import Any

    from aiohttp import web

    from .targets import Key, TargetPool

START_TIMEOUT = 10.0  # seconds
CLOSE_TIMEOUT = 5.0  # seconds that requests in flight have when a listener is closed


@dataclass
class Listener:
    """A listener's desired state, and its socket once it is open."""

    address: str
    port: int
    routes: Routes
    tls: Tls | None = None
    source: str | None = None
    admits: list[IPv4Network] | None = None
    """From where it is reached; None is from everywhere."""
    context: ssl.SSLContext | None = None
    server: asyncio.Server | None = None
    handler: web.Server | None = None

    def restrict(self) -> None:
        """Let in what the security groups admit."""
        for listening in self.server.sockets if self.server and self.admits is not None else ():
            restrict(listening, self.admits or ())


class Balancer:
    """Listeners and pools of every load balancer, served by one asyncio loop in one thread.

    Args:
        locate: Finds a target's address and state by its id.
        clock: Seconds that only grow.
        fails: See `HealthChecker`.
    """

    def __init__(
        self,
        locate: Callable[[str], Endpoint],
        clock: Callable[[], float],
        fails: Callable[[TargetPool, str], bool] = lambda *_: False,
    ) -> None:
        self.pools: dict[str, TargetPool] = {}
        self._listeners: dict[str, Listener] = {}
        self._checker = HealthChecker(lambda: list(self.pools.values()), locate, clock, fails)
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sessions = Sessions(client_session)

    def start(self) -> None:
        """Start the thread and open the listeners that exist already."""
        if self._thread:
            return
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="load-balancer", daemon=True)
        self._thread.start()
        if not ready.wait(START_TIMEOUT):
            raise TimeoutError(f"the load balancer's thread did not start within {START_TIMEOUT:.0f} s")
        for listener in self._listeners.values():
            self._call(self._open(listener))

    def stop(self) -> None:
        """Close every listener and end the thread."""
        if not (self._thread and self._loop):
            return
        for listener in self._listeners.values():
            self._call(self._close(listener))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = self._loop = None

    def listen(
        self, arn: str, address: str, port: int, routes: Routes, tls: Tls | None = None, source: str | None = None
    ) -> None:
        """Open a listener, or change an open one: its rules, its port, and how it speaks TLS, for new connections.

        Raises:
            ELBClientError: The socket cannot be bound; an open listener stays as it was.
        """
        before = self._listeners.get(arn)
        if before and (before.address, before.port, bool(before.tls)) == (address, port, bool(tls)):
            before.routes, before.tls = routes, tls
            if before.context and tls:
                apply_policy(before.context, tls.policy)
            return
        listener = Listener(address, port, routes, tls, source, before.admits if before else None)
        if before and before.port == port and self._loop:
            self._call(self._close(before))
        if self._loop:
            self._call(self._open(listener))
        self._listeners[arn] = listener
        if before and self._loop:
            self._call(self._close(before))

    def unlisten(self, arn: str) -> None:
        """Close a listener; one that is not open is ignored."""
        listener = self._listeners.pop(arn, None)
        if listener and self._loop:
            self._call(self._close(listener))

    def route(self, arn: str, routes: Routes) -> None:
        """Replace a listener's rules."""
        if arn in self._listeners:
            self._listeners[arn].routes = routes

    def restrict(self, arn: str, networks: list[IPv4Network]) -> None:
        """Have a listener be reached from these networks only; one that is not open is ignored."""
        listener = self._listeners.get(arn)
        if listener and listener.admits != networks:
            listener.admits = networks
            listener.restrict()

    def mark_pools_in_use(self) -> None:
        """Record in each pool whether a listener forwards to it."""
        used: set[int] = set().union(*(listener.routes.pools() for listener in self._listeners.values()))
        for pool in list(self.pools.values()):
            pool.use(id(pool) in used)

    def drain(self, pool: TargetPool, key: Key) -> None:
        """Start to drain a target, for as long as its group's deregistration delay."""
        pool.deregister(key, self._clock())

    def clear(self) -> None:
        """Close every listener and forget every pool."""
        for arn in list(self._listeners):
            self.unlisten(arn)
        self.pools.clear()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            raise RuntimeError("the load balancer's thread is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_TIMEOUT)

    def _serve(self, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        checks = loop.create_task(self._checker.run())
        self._loop = loop
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            checks.cancel()
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(self._sessions.close())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    async def _open(self, listener: Listener) -> None:
        scheme = "https" if listener.tls else "http"
        proxy = Proxy(lambda: listener.routes, self._sessions.of(listener.source), scheme, listener.port)
        if listener.tls:
            listener.context = listener_context(lambda: listener.tls or Tls("", ()))
        try:
            listener.server, listener.handler = await listen(proxy, listener.address, listener.port, listener.context)
        except OSError as error:
            # AWS has no such failure; the code is that of a bad configuration.
            raise ELBClientError(
                "InvalidConfigurationRequest",
                f"The embedded cloud cannot listen on {listener.address}:{listener.port} ({error.strerror or error}). "
                "Give the listener another port, or stop the process that listens there; ports below 1024 need "
                "privileges.",
            ) from error
        listener.restrict()

    async def _close(self, listener: Listener) -> None:
        if listener.server is None or listener.handler is None:
            return
        listener.server.close()
        with contextlib.suppress(TimeoutError):
            await listener.handler.shutdown(CLOSE_TIMEOUT)
        listener.server = listener.handler = None
