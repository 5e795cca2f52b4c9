"""What Airflow renders is read back as what it was."""

from typing import Any

import pytest

from rebake.exceptions import ConfigError
from rebake.stages.rendered import as_bool, as_text


@pytest.mark.parametrize(("value", "expected"), [(None, ""), ("None", ""), (" x ", "x"), (7, "7")], ids=repr)
def test_a_rendered_field_is_read_as_text(value: Any, expected: str) -> None:
    assert as_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("True", True), ("false", False), ("1", True), ("", False), (None, False)],
    ids=repr,
)
def test_a_rendered_flag_is_read_as_a_boolean(value: Any, expected: bool) -> None:
    assert as_bool(value, "force_bake") is expected


def test_a_flag_that_is_neither_is_refused() -> None:
    with pytest.raises(ConfigError, match="force_bake is 'maybe'; it must be true or false"):
        as_bool("maybe", "force_bake")
