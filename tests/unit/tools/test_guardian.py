"""The guardian: a program ends, and cleans up, when its task is killed outright."""

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[[str], "subprocess.Popen[bytes]"]
TASK = """
import os, sys
sys.path.insert(0, {plugins!r})
from pathlib import Path
from rebake.tools.process import Program

class Log:
    def info(self, message, *args):
        os.write(1, (message % args + "\\n").encode())

Program(
    ["sh", "-c", {script!r}],
    folder=Path({folder!r}), environment={{"PATH": os.environ["PATH"]}}, log=Log(), grace=10.0,
    lock=os.open({lock!r}, os.O_RDWR | os.O_CREAT),
).run()
"""


@pytest.fixture
def task(tmp_path: Path, project: Path) -> Iterator[Start]:
    """Start a program in a task process of its own, and return that process once the program has begun."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str) -> subprocess.Popen[bytes]:
        code = TASK.format(
            plugins=str(project / "plugins"), script=script, folder=str(tmp_path), lock=str(tmp_path / "lock")
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_a_task_that_is_killed_outright_leaves_a_program_that_cleans_up_and_ends(task: Start, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # It goes on printing: through a pipe it would die of SIGPIPE before it had cleaned up.
    child = task(
        f"trap 'echo more; echo more; echo done > {fifo}; exit' TERM; echo started; while :; do sleep 0.01; done"
    )
    listener = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        child.kill()

        assert _read(listener) == b"done\n"
    finally:
        os.close(listener)


def test_the_lock_stays_held_until_the_program_of_a_killed_task_has_ended(task: Start, tmp_path: Path) -> None:

    child = task(
        "trap 'while [ ! -e finish ]; do sleep 0.01; done; exit' TERM; echo started; while :; do sleep 0.01; done"
    )
    child.kill()
    child.wait()
    lock = os.open(tmp_path / "lock", os.O_RDWR)
    try:
        holders = _holders(tmp_path / "lock")
        (tmp_path / "finish").touch()
        _until(lambda: not _holders(tmp_path / "lock"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(lock)

    assert holders


def _holders(path: Path) -> set[int]:
    wanted = path.stat().st_ino
    holders = set()
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if fd.stat().st_ino == wanted and int(fd.parts[2]) != os.getpid():
                holders.add(int(fd.parts[2]))
    return holders


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    waiting = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        waiting.wait(0.01)


def _read(descriptor: int, seconds: float = 10.0) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    return os.read(descriptor, 100) if ready else b""
