"""Base images: their configuration."""

import pytest

from rebake import config


@pytest.mark.parametrize("name", config.base_names())
def test_every_base_file_of_the_project_is_valid(name: str) -> None:
    assert config.load_base(name).name == name
