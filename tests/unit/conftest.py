"""Fixtures of several files of unit tests."""

from __future__ import annotations

from functools import partial

import pytest

from tests.unit.triggers.trigger_support import Script, set_script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets what AWS's services answer to a trigger."""
    return partial(set_script, monkeypatch)
