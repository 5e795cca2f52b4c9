"""A private folder for each run of a tool, which one try at a time may use."""

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rebake import paths
from rebake.exceptions import ToolFailedError

log = logging.getLogger(__name__)

PATIENCE = 1200.0
"""Seconds that a retry waits for the program of a killed try to end: more than the longest grace period."""


@dataclass(frozen=True)
class Workspace:
    """A folder that is ours alone until it is left; it is removed then, whatever happened."""

    path: Path
    lock: int
    """File descriptor of the lock. A program that inherits it keeps the folder until it ends."""


@contextlib.contextmanager
def workspace(
    key: str,
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Workspace]:
    """Yield a fresh, private (0700) folder for `key`, and remove it at the end.

    Where an earlier try was killed, its program may still be cleaning up after itself. It holds the lock on the
    key as long, and this waits for it: so a retry never works beside the try that it replaces.

    Args:
        key: names the work; tries of the same work have the same key (`<dag>/<run>/<task>`).
        patience: seconds to wait for the program of an earlier try.
        sleep: how to wait a second; tests replace it.

    Raises:
        ToolFailedError: the program of an earlier try is still running after `patience`.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-")[:60]
    name = f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    root = paths.work_root()
    root.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(root)
    lock_path = root / f"{name}.lock"
    lock = _acquire(lock_path, key, patience, sleep)
    folder = root / name
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield Workspace(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock_path.unlink(missing_ok=True)
        os.close(lock)


def _remove_abandoned(root: Path) -> None:
    """Remove the folders of killed tries that no retry came back to."""
    for path in root.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                    path.unlink()
            finally:
                os.close(descriptor)


def _acquire(path: Path, key: str, patience: float, sleep: Callable[[float], None]) -> int:
    waited = 0.0
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder removes the file: what we locked may be a file that is deleted already.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BlockingIOError:
            if waited >= patience:
                os.close(descriptor)
                raise ToolFailedError(
                    f"the program of an earlier try of {key} still runs after {patience:.0f} s and holds {path}: "
                    f"see `fuser {path}`, end it, and clear the task"
                ) from None
            if not waited:
                log.warning("the program of an earlier try of %s is still cleaning up: waiting for it", key)
            sleep(1)
            waited += 1
        os.close(descriptor)
