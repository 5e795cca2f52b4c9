"""Small things that cases do, on no stack in particular: wait for something, change a file for a while."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from stack.errors import StackError

Answer = TypeVar("Answer")


def wait(what: str, ask: Callable[[], Answer], seconds: float) -> Answer:
    """Ask every half second until the answer is true; return it. An answer that AWS refuses is asked for again.

    Raises:
        StackError: it is not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(BotoCoreError, ClientError):
            if answer := ask():
                return answer
        if time.monotonic() > deadline:
            raise StackError(f"no {what} within {seconds:.0f} s")
        time.sleep(0.5)


@contextlib.contextmanager
def changed(path: Path, sections: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Change sections of a YAML file; it is as before afterwards."""
    before = path.read_text()
    content = yaml.safe_load(before)
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    try:
        yield
    finally:
        path.write_text(before)
