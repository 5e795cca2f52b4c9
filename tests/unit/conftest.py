"""Fixtures of several files of unit tests."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import tenacity

from tests.unit.triggers.trigger_support import Script, set_script


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between retries, in seconds: nothing sleeps."""
    seconds: list[float] = []
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets what AWS's services answer to a trigger."""
    return partial(set_script, monkeypatch)
