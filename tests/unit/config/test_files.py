"""Configuration files: what is said of one that cannot be read."""

from pathlib import Path

import pytest

from rebake import config
from rebake.exceptions import ConfigError


def test_a_file_that_is_no_mapping_is_named(files: Path) -> None:
    (files / "services/webapp.yaml").write_text("- webapp\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"services/webapp\.yaml: must be a mapping, found list"):
        config.load_service("webapp")


def test_an_unknown_name_lists_those_that_there_are(files: Path) -> None:
    with pytest.raises(ConfigError, match=r"services/shop\.yaml: no such file; known services: pages, webapp"):
        config.load_service("shop")
    with pytest.raises(ConfigError, match=r"bases/beos\.yaml: no such file; known bases: amazon-linux-2023, debian-12"):
        config.load_base("beos")


def test_all_mistakes_of_a_file_are_named_at_once(files: Path) -> None:
    file = files / "services/webapp.yaml"
    text = file.read_text(encoding="utf-8").replace("min_size: 3", "mini_size: 3")
    file.write_text(text.replace("interval: 15", "interval: 0"), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        config.load_service("webapp", config.load_environment("production"))

    said = str(caught.value).splitlines()
    assert len(said) == 3
    assert all("services/webapp.yaml: fleet." in line for line in said)
