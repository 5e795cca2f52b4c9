"""The service's state while it runs: its health, whether it drains, the requests in progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .settings import Settings

LATE_SECONDS = 30.0
"""How long a build that is broken `late` stays healthy."""


class State:
    """The health, the drain and the number of requests being answered; every method is safe in any thread."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._started = clock()
        self._draining = threading.Event()
        self._busy = 0
        self._changed = threading.Condition()

    @property
    def draining(self) -> bool:
        """Whether the service is stopping."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Start to drain: clients are asked to close their connections, load balancers to use other targets."""
        self._draining.set()

    def health(self) -> tuple[int, str]:
        """Return the HTTP status and the text of `/healthz`."""
        if self._broken():
            return 500, "failing"
        if self.draining:
            return 503, "draining"
        return 200, "ok"

    def __enter__(self) -> None:
        """Count a request as being answered until the matching exit."""
        with self._changed:
            self._busy += 1

    def __exit__(self, *exc_info: object) -> None:
        """Stop counting the request."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait at most `seconds` for every answer that has begun; return whether all of them ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, timeout=seconds)

    def _broken(self) -> bool:
        fault = self._settings.fault
        if fault == "self-test":
            return True
        if self._settings.self_test:
            return False
        return fault == "healthz" or (fault == "late" and self._clock() - self._started >= LATE_SECONDS)
