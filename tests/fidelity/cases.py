"""Tests' parameters that show facts of their own."""

from typing import Any

import pytest


def case(what: str, source: str, *values: Any) -> Any:
    """Return a test's parameters that show a fact of their own."""
    return pytest.param(*values, marks=pytest.mark.fact(what, source))
