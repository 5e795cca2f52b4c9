"""Run a program for a task: output streamed to the log, secrets masked, and a clean end whatever happens."""

import codecs
import contextlib
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from rebake.tools import guardian

MASK: Final = "***"
SHORTEST_SECRET: Final = 8
"""Shorter values are not masked: the embedded cloud's password `test` would black out half of the log."""

_POLL_SECONDS: Final = 0.2
_KILL_ALLOWANCE: Final = 30.0
"""Seconds beyond the grace period until the guardian must have ended."""
_ESCAPE_SEQUENCES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Log(Protocol):
    """What takes a program's output: any logger, of the standard library or of Airflow."""

    def info(self, message: str, /, *args: Any) -> Any:
        """Take one line."""


class Silence:
    """A log that keeps nothing."""

    def info(self, message: str, /, *args: Any) -> None:
        """Drop the line."""


@dataclass(frozen=True)
class ProcessResult:
    """How a program ended."""

    status: int
    """Exit status; 128 + n where signal n ended the program, -n where it ended the guardian."""
    output: str
    """The last lines that it printed, masked."""
    stopped: bool
    """Whether `stop` was called before it ended."""


class Program:
    """One run of one program.

    Its output goes to a file, not through a pipe: a program that outlives the task would die of SIGPIPE at the
    first line it prints, in the middle of cleaning up.

    Args:
        command: program and arguments; no shell is involved.
        folder: the working directory; the output file is made there too, and removed.
        environment: the program's whole environment.
        log: gets each line as it appears.
        grace: seconds between SIGTERM and SIGKILL.
        secrets: texts that no log and no error may show.
        keep: how many of the last lines `ProcessResult.output` has.
        on_line: is called with each line, masked.
        lock: a file descriptor that stays open until the program has ended, even without the task.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        log: Log,
        grace: float,
        secrets: Iterable[str] = (),
        keep: int = 40,
        on_line: Callable[[str], None] | None = None,
        lock: int | None = None,
    ) -> None:
        self._command = list(command)
        self._folder = folder
        self._environment = dict(environment)
        self._log = log
        self._grace = grace
        self._secrets = sorted({text for text in secrets if len(text) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._tail: deque[str] = deque(maxlen=keep)
        self._on_line = on_line
        self._lock = lock
        self._guardian: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> ProcessResult:
        """Run the program to its end and return how it ended.

        Any exception in between (a timeout of the task, an interrupt from the keyboard) stops the program, waits
        until it has cleaned up, and propagates.
        """
        output = self._folder / f".output-{id(self):x}"
        with output.open("xb") as sink, output.open("rb") as source:
            output.chmod(0o600)
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", guardian.__file__, str(self._grace), *self._command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=() if self._lock is None else (self._lock,),
            )
            lines = _Lines()
            try:
                if self._stopped:  # `stop` was called while the guardian was being started
                    self._guardian.terminate()
                while self._running(_POLL_SECONDS):
                    self._emit(lines.feed(source.read()))
            except BaseException:
                self.stop()
                self._running(self._grace + _KILL_ALLOWANCE)
                raise
            finally:
                self._emit(lines.feed(source.read(), final=True))
                status = self._guardian.poll()
                self._close()
                output.unlink(missing_ok=True)
        return ProcessResult(
            status=1 if status is None else status, output="\n".join(self._tail), stopped=self._stopped
        )

    def stop(self) -> None:
        """Ask the program to end and clean up; returns at once. It is safe in a signal handler, and repeatedly."""
        self._stopped = True
        if self._guardian is not None:
            self._guardian.terminate()

    def _running(self, seconds: float) -> bool:
        assert self._guardian is not None  # noqa: S101 - for the type checker
        try:
            self._guardian.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _close(self) -> None:
        guardian_process, self._guardian = self._guardian, None
        if guardian_process is not None and guardian_process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                guardian_process.stdin.close()

    def _emit(self, lines: Iterable[str]) -> None:
        for line in lines:
            for secret in self._secrets:
                line = line.replace(secret, MASK)  # noqa: PLW2901 - each secret in turn
            self._tail.append(line)
            self._log.info("%s", line)
            if self._on_line is not None:
                self._on_line(line)


class _Lines:
    """Cuts a stream of bytes into lines of plain text, whatever the boundaries of the reads."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes, *, final: bool = False) -> list[str]:
        """Return the lines that `data` completes; with `final`, an unfinished last line too."""
        whole, newline, self._rest = (self._rest + self._decoder.decode(data, final)).rpartition("\n")
        lines = whole.split("\n") if newline else []
        if final and self._rest:
            lines.append(self._rest)
        return [_ESCAPE_SEQUENCES.sub("", line.rstrip("\r")).rpartition("\r")[2].rstrip() for line in lines]
