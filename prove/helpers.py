"""Helpers of the cases that need no stack: wait for a condition, change a file for a while."""

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
    """Call `ask` every half second until its result is true, and return that. Retries AWS errors.

    Raises:
        StackError: it is not true within `seconds`.
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
    """Change sections of a YAML file, and restore the file afterwards."""
    before = path.read_text()
    content = yaml.safe_load(before)
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    try:
        yield
    finally:
        path.write_text(before)
