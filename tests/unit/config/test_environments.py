"""Environments: what a file says, and what the process adds."""

import re
from pathlib import Path

import pytest

from rebake import config
from rebake.exceptions import ConfigError


@pytest.mark.parametrize("name", ["local", "production"])
def test_every_environment_file_of_the_project_is_valid(name: str) -> None:
    assert config.load_environment(name).name == name


def test_an_environment_takes_values_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBAKE_WORKER_CIDR", "10.99.0.0/24")

    assert config.load_environment("local").pipeline_cidrs == ("10.99.0.0/24",)


def test_a_value_that_the_process_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REBAKE_WORKER_CIDR")

    with pytest.raises(ConfigError, match=r"local\.yaml: \$\{REBAKE_WORKER_CIDR\} is not set"):
        config.load_environment("local")


def test_the_environment_is_the_one_that_the_process_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBAKE_ENVIRONMENT", "production")
    assert config.load_environment().name == "production"

    monkeypatch.delenv("REBAKE_ENVIRONMENT")
    assert config.load_environment().name == "local"


def test_a_network_is_given_whole_or_not_at_all(files: Path) -> None:
    file = files / "environments/production.yaml"
    file.write_text(re.sub("  subnet_ids: .*\n", "", file.read_text(encoding="utf-8")), encoding="utf-8")

    with pytest.raises(ConfigError, match="network: vpc_id and subnet_ids go together"):
        config.load_environment("production")
