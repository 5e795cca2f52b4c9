"""A steady load of HTTP requests, measured second by second.

The load is open: request number n is due n/rate seconds after the start, whether or not earlier ones were answered,
and its latency counts from when it was due. A service that stalls therefore shows in the figures in full. So does a
machine too busy to send in time: how late requests were sent is reported beside the latency.
"""

import asyncio
import csv
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp

COLUMNS = ("second", "sent", "ok", "failed", "p50_ms", "p95_ms", "p99_ms", "max_ms", "late_ms", "answers")


@dataclass
class Second:
    """The requests that were due within one second."""

    sent: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)
    late: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class LoadResult:
    """A load's totals, its latencies and delays of sending in seconds, and its answers by label."""

    sent: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    duration: float = 0.0

    def percentile(self, percent: float) -> float:
        """Return the latency in seconds that `percent` of the answered requests did not exceed; 0 without any."""
        return percentile(self.latencies, percent)


def percentile(values: list[float], percent: float) -> float:
    """Return the nearest-rank percentile; 0 of nothing."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


class Load:
    """Sends requests in a thread of its own from `start` to `stop`, or as a context manager.

    Args:
        url: Requested by GET; every answer but 200 counts as failed.
        rate: Requests a second.
        connections: Most connections at a time; they are kept open.
        timeout: Seconds until a request counts as failed.
        report: A CSV file that gets a line per second of the load once it has ended.
        label: Returns what an answer is counted as, such as the version that it names; by default, the answer itself.
    """

    def __init__(
        self,
        url: str,
        rate: float = 50,
        connections: int = 50,
        timeout: float = 10,
        report: Path | None = None,
        label: Callable[[str], str] = str,
    ) -> None:
        if rate <= 0 or connections < 1:
            raise ValueError(f"rate {rate} and connections {connections} must be above zero")
        self._url = url
        self._rate = rate
        self._connections = connections
        self._timeout = timeout
        self._report = report
        self._label = label
        self.began = 0.0
        """When it was started, in seconds since the epoch."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self.seconds: dict[int, Second] = {}
        """What came of each second of it so far, by its number."""
        self._failure: BaseException | None = None
        self.result = LoadResult()

    def start(self) -> Self:
        """Start to send."""
        self.began = time.time()
        self._thread.start()
        return self

    def stop(self) -> LoadResult:
        """Stop sending, wait for the open requests, write the report, and return the result."""
        self._stopping.set()
        self._thread.join(self._timeout + 5)
        if self._failure:
            raise self._failure
        if self._report:
            self._write(self._report)
        return self.result

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether it still sends, or waits for answers."""
        return self._thread.is_alive()

    def line(self) -> str:
        """Return the totals so far, for a progress line."""
        return f"{self.result.sent} requests, {self.result.failed} failed"

    async def _run(self) -> None:
        try:
            connector = aiohttp.TCPConnector(limit=self._connections)
            timeout = aiohttp.ClientTimeout(total=self._timeout)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                # aiohttp would quietly send a request again when its connection was closed: that is a failure here.
                session._retry_connection = False  # noqa: SLF001 -- it has no public switch.
                await self._send_all(session)
        except Exception as error:  # noqa: BLE001 -- whatever it is, stop() raises it where it is seen.
            self._failure = error

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        began = time.monotonic()
        under_way: set[asyncio.Task[None]] = set()
        number = 0
        while not self._stopping.is_set():
            due = began + number / self._rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(min(early, 0.1))
                continue
            task = asyncio.create_task(self._send(session, due, int(due - began)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way)
        self.result.duration = time.monotonic() - began

    async def _send(self, session: aiohttp.ClientSession, due: float, second: int) -> None:
        bucket = self.seconds.setdefault(second, Second())
        late = time.monotonic() - due
        self.result.sent += 1
        self.result.lateness.append(late)
        bucket.sent += 1
        bucket.late = max(bucket.late, late)
        try:
            async with session.get(self._url, allow_redirects=False) as answer:
                body = await answer.text()
                reason = "" if answer.status == 200 else f"status {answer.status}"
                label = "" if reason else self._label(body)
        # asyncio's TimeoutError is an OSError too; the last two are an answer that the label cannot be read from.
        except (aiohttp.ClientError, OSError, LookupError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
        if reason:
            self.result.failed += 1
            bucket.failed += 1
            self.result.reasons[reason] += 1
            return
        took = time.monotonic() - due
        self.result.answers[label] += 1
        bucket.answers[label] += 1
        self.result.latencies.append(took)
        bucket.latencies.append(took)

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for second, bucket in sorted(self.seconds.items()):
                milliseconds = [round(percentile(bucket.latencies, percent) * 1000, 1) for percent in (50, 95, 99, 100)]
                answers = " ".join(f"{label}={count}" for label, count in sorted(bucket.answers.items()))
                counts = [second, bucket.sent, bucket.sent - bucket.failed, bucket.failed]
                writer.writerow([*counts, *milliseconds, round(bucket.late * 1000, 1), answers])
