"""The faults of one cloud: which exist, which fire, and how often."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import Random
from typing import Any

from . import kinds
from .exceptions import UnknownFaultError

_fired_here: ContextVar[list[str] | None] = ContextVar("fired_here", default=None)


@dataclass(eq=False)
class Fault:
    """One fault.

    Args:
        id: Its kind and number.
        kind: One of `kinds.KINDS`.
        settings: As `kinds.read` returns them.
        made_at: The clock, in seconds.
        chance: Draws a number from 0 to below 1.
    """

    id: str
    kind: str
    settings: dict[str, Any]
    made_at: float
    chance: Callable[[], float]
    fired: int = 0
    last_fired: float | None = None  # seconds since the epoch
    on: Counter[str] = field(default_factory=Counter)
    drawn: dict[str, bool] = field(default_factory=dict)
    """For subjects that are drawn once only: whether each is hit."""
    memory: dict[str, float] = field(default_factory=dict)
    """State that its kind keeps per subject."""

    def state(self, now: float) -> str:
        """Return whether it is active, expired or used up."""
        if self.fired >= self.settings.get("limit", float("inf")):
            return "used up"
        if now - self.made_at >= self.settings.get("expires", float("inf")):
            return "expired"
        return "active"

    def hits(self) -> bool:
        """Draw whether it fires this time."""
        rate: float = self.settings.get("rate", 1.0)
        return rate >= 1 or self.chance() < rate

    def describe(self, now: float) -> dict[str, Any]:
        """Return it as the admin endpoint shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            **self.settings,
            "state": self.state(now),
            "fired": self.fired,
            "last_fired": self.last_fired,
            "on": dict(self.on.most_common()),
        }


class Faults:
    """The faults of one cloud, in the order in which they were made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._faults: list[Fault] = []
        self._made = 0
        self._lock = threading.Lock()

    def add(self, request: Any) -> dict[str, Any]:
        """Make a fault, and return it as `describe` does.

        Raises:
            FaultError: the request is not a valid fault.
        """
        kind, settings = kinds.read(request)
        with self._lock:
            self._made += 1
            name = f"{kind}-{self._made}"
            # Two faults with one seed draw differently; the same faults made again draw the same.
            luck = Random(f"{settings.get('seed', 0)} {name}")  # noqa: S311 # repeatable on purpose
            fault = Fault(name, kind, settings, self._clock(), luck.random)
            self._faults.append(fault)
        return fault.describe(self._clock())

    @property
    def is_empty(self) -> bool:
        """Whether there is no fault at all."""
        return not self._faults

    def describe(self) -> list[dict[str, Any]]:
        """Return every fault that was not removed, expired ones included."""
        with self._lock:
            return [fault.describe(self._clock()) for fault in self._faults]

    def remove(self, fault_id: str | None = None) -> None:
        """Remove one fault, or all; those made afterwards are numbered from 1 again once all are gone.

        Raises:
            UnknownFaultError: there is none of that id.
        """
        with self._lock:
            left = [] if fault_id is None else [fault for fault in self._faults if fault.id != fault_id]
            if fault_id is not None and len(left) == len(self._faults):
                known = ", ".join(fault.id for fault in self._faults) or "none"
                raise UnknownFaultError(f"there is no fault {fault_id!r}; there are: {known}")
            self._faults = left
            if not left:
                self._made = 0

    def active(self, kind: str, suits: Callable[[Fault], bool] = lambda _: True) -> list[Fault]:
        """Return the active faults of a kind for which `suits` holds."""
        if not self._faults:
            return []
        now = self._clock()
        return [fault for fault in self._faults if fault.kind == kind and fault.state(now) == "active" and suits(fault)]

    def fire(
        self, kind: str, subject: str, suits: Callable[[Fault], bool] | Fault = lambda _: True, *, once: bool = False
    ) -> Fault | None:
        """Return the first fault of a kind that suits and fires now, having counted it; None when none does.

        Args:
            kind: One of `kinds.KINDS`.
            subject: The target, under which the hit is counted.
            suits: Whether a fault applies to the subject; or the one fault that does.
            once: The subject is hit or spared for good: the draw is made, and a hit counted, the first time only.
        """
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.kind != kind or not (fault is suits if isinstance(suits, Fault) else suits(fault)):
                    continue
                if once and subject in fault.drawn and fault.state(self._clock()) != "expired":
                    if fault.drawn[subject]:
                        return fault
                    continue
                if fault.state(self._clock()) != "active":
                    continue
                hit = fault.hits()
                if once:
                    fault.drawn[subject] = hit
                if hit:
                    fault.fired += 1
                    fault.last_fired = round(time.time(), 3)
                    fault.on[subject] += 1
                    noted = _fired_here.get()
                    if noted is not None:
                        noted.append(fault.id)
                    return fault
        return None

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Collect the ids of the faults that this thread fires within the block."""
        fired: list[str] = []
        token = _fired_here.set(fired)
        try:
            yield fired
        finally:
            _fired_here.reset(token)
