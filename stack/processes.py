"""Long-running processes: each command finds those that earlier commands started."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack.errors import StackError
from stack.layout import Layout

MARK = "REBAKE_STACK"
"""In the environment of each process of ours, with the clone's id, so that orphans of a killed parent are found."""

SHARED = b"aardvark-dns"
"""Podman's name server: one serves every network of the machine, other projects' too, whichever engine started it.
It carries the mark when that was ours, and ends by itself with the last network."""


class Process:
    """One long-running program of a clone: its pid file, its log.

    Args:
        layout: The clone.
        name: Of the pid file and the log.
    """

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout = layout
        self.name = name
        self.log = layout.logs / f"{name}.log"
        self._file = layout.pids / f"{name}.json"

    @property
    def pid(self) -> int | None:
        """The process's id while it runs, else None."""
        record = self._record()
        if not record:
            return None
        # The kernel gives a pid to another process sooner or later; never with the same start time.
        pid: int = record["pid"]
        return pid if _started(pid) == record["started"] and not _ended(pid) else None

    def members(self) -> list[int]:
        """Return the processes of its session. They outlive it when it is killed alone."""
        record = self._record()
        # By the mark as well: once all of them have ended, the kernel may give the session's id to a foreign process.
        ours = marked(self.layout.clone_id) if record else ()
        return [pid for pid in session(record["pid"]) if pid in ours] if record else []

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it in a session of its own, its output appended to the log, unless it runs already."""
        if self.pid:
            return
        for folder in (self.layout.logs, self.layout.pids):
            folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.layout.project,
                # SPT_NOENV: Airflow writes the titles of its processes over their environments otherwise, the mark too.
                env={**environment, MARK: self.layout.clone_id, "SPT_NOENV": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Keeps Popen from warning that the process, which outlives this one, still runs.
        child.returncode = 0
        self._file.write_text(json.dumps({"pid": child.pid, "started": _started(child.pid)}))

    def require(self) -> None:
        """Check that it still runs.

        Raises:
            StackError: it does not; with the end of its log.
        """
        if not self.pid:
            raise StackError(f"{self.name} has ended. The end of {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """Return the end of the log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def signal_stop(self) -> None:
        """Send it SIGTERM."""
        if pid := self.pid:
            kill(pid, signal.SIGTERM)

    def kill(self, *, alone: bool = False) -> None:
        """Kill it and its whole session at once, as when a machine dies.

        Args:
            alone: Spare its children, as the kernel does when memory runs out.
        """
        # One that is exiting has no environment any more, so it is no member, but it is not gone: wait for that too.
        while left := {pid for pid in (self.pid, *(() if alone else self.members())) if pid}:
            for member in left:
                kill(member, signal.SIGKILL)
            time.sleep(0.05)

    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return record

    def finish(self, seconds: float) -> None:
        """Wait for it to end after `signal_stop`; after `seconds`, kill it and its whole session."""
        deadline = time.monotonic() + seconds
        while pid := self.pid:
            if time.monotonic() > deadline:
                for member in session(pid):
                    kill(member, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.05)
        self._file.unlink(missing_ok=True)


def stop(processes: Iterable[Process], seconds: float = 20) -> None:
    """Stop processes together."""
    stopping = list(processes)
    for process in stopping:
        process.signal_stop()
    for process in stopping:
        process.finish(seconds)


def marked(clone_id: str) -> list[int]:
    """Return the processes that carry the clone's mark: all that were started for it, and their descendants."""
    wanted = f"{MARK}={clone_id}".encode()
    return [
        pid
        for pid in pids()
        if pid != os.getpid()
        and wanted in read(f"/proc/{pid}/environ").split(b"\0")
        and read(f"/proc/{pid}/comm").strip() != SHARED
        and not _ended(pid)
    ]


def kill_marked(clone_id: str, seconds: float = 10) -> list[int]:
    """End every process that carries the clone's mark, and return those that are still there."""
    sent = signal.SIGTERM
    deadline = time.monotonic() + seconds
    while left := marked(clone_id):
        if time.monotonic() > deadline:
            if sent == signal.SIGKILL:
                return left
            sent, deadline = signal.SIGKILL, time.monotonic() + seconds
        for pid in left:
            kill(pid, sent)
        time.sleep(0.2)
    return []


def pids() -> list[int]:
    """Return the ids of all processes of the machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def read(path: str) -> bytes:
    """Return what a file of /proc has; nothing once its process has ended."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    # The second field, the name in brackets, may contain anything: count from its end.
    return read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(") ")[2].split()


def _started(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks since boot, or None if there is none."""
    fields = _stat(pid)
    return fields[19] if fields else None


def _ended(pid: int) -> bool:
    """Return whether a process has ended; reap it first if it is our child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    fields = _stat(pid)
    return not fields or fields[0] in {"Z", "X"}


def session(leader: int) -> list[int]:
    """Return the processes of a session, whether or not its leader still runs."""
    return [pid for pid in pids() if (fields := _stat(pid)) and fields[3] == str(leader)]


def titled(text: str) -> list[int]:
    """Return the processes whose command line or title has `text` in it, such as the id of a task's try."""
    return [pid for pid in pids() if text.encode() in read(f"/proc/{pid}/cmdline") and not _ended(pid)]


def waits_for(pid: int) -> str:
    """Return the kernel's function that a process sleeps in, such as `futex_do_wait`; "0" if none, or not allowed."""
    return read(f"/proc/{pid}/wchan").decode()


def keepers(text: str) -> list[int]:
    """Return the containers' keepers (conmon) whose command line names `text`, such as a folder of ours."""
    return [
        pid
        for pid in pids()
        if read(f"/proc/{pid}/comm") == b"conmon\n" and text.encode() in read(f"/proc/{pid}/cmdline")
    ]


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal, as root where needed; ignore a process that is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        # Podman's service, started by sudo.
        subprocess.run(["sudo", "-n", "kill", f"-{number.value}", str(pid)], check=False, capture_output=True)
