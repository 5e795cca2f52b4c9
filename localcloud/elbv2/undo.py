"""Changes of moto's records that are all made, or none of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from moto.elbv2.models import FakeListener


@contextmanager
def undone_on_failure(record: Any) -> Iterator[None]:
    """Restore a record of moto's, which changes one attribute after another, when a change is refused."""
    before = {name: copy(value) for name, value in vars(record).items()}
    try:
        yield
    except Exception:
        vars(record).clear()
        vars(record).update(before)
        if isinstance(record, FakeListener):
            record.rules[0].actions = record.default_actions
        raise
