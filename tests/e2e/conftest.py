"""One stack for all end-to-end tests: an embedded cloud and an Airflow of their own, beside the clone's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from stack import up
from stack.layout import Layout
from stack.up import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Return a stack that is up, and take it down after the last test; its logs stay when it cannot come up."""
    layout = Layout.here("test")
    up.down(layout)
    shutil.rmtree(layout.state, ignore_errors=True)
    yield up.up(layout)
    up.down(layout)
    shutil.rmtree(layout.state, ignore_errors=True)
