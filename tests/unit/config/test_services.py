import re
from pathlib import Path

import pytest

from rebake import config
from rebake.exceptions import ConfigError


def _change(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count, f"{pattern} is not in {path.name}"
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", config.service_names())
def test_every_service_file_of_the_project_is_valid(name: str) -> None:
    assert config.load_service(name).name == name


def test_an_environments_overrides_are_merged_into_a_service_and_leave_the_rest() -> None:
    service = config.load_service("webapp", config.load_environment("local"))

    assert service.fleet.listener_port == 8080
    assert service.fleet.health_check.interval == 5
    assert service.fleet.health_check.path == "/healthz"
    assert service.fleet.min_size == 3


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("min_size: 3", "mini_size: 3", r"fleet\.mini_size: Extra inputs are not permitted"),
        ("  min_size: 3\n", "", r"fleet\.min_size: Field required"),
        ("min_size: 3", "min_size: many", r"fleet\.min_size: .*valid integer.*, found 'many'"),
        (
            "desired_capacity: 3",
            "desired_capacity: 9",
            r"fleet: min_size \(3\) <= desired_capacity \(9\) <= max_size \(6\) must hold",
        ),
        ("timeout: 5", "timeout: 15", r"fleet\.health_check: timeout \(15 s\) must be less than interval \(15 s\)"),
        (
            "min_healthy_percentage: 100",
            "min_healthy_percentage: 10",
            "rollout: max_healthy_percentage - .* must be at most 100",
        ),
        ("webapp-{version}", "webapp-latest", r"artifact '.*' must contain \{version\}"),
        ("^name: webapp", "name: shop", "name: must be 'webapp' like the file, found 'shop'"),
        ("^base: debian-12", "base: Debian 12", "base: .*pattern.*, found 'Debian 12'"),
        ("^fleet:", "fleet: [", "not YAML"),
        ("^base:", "version_pattern: '('\nbase:", r"version_pattern '\(' is no regular expression"),
    ],
)
def test_a_broken_service_file_is_named_with_field_value_and_rule(
    files: Path, pattern: str, replacement: str, message: str
) -> None:
    _change(files / "services/webapp.yaml", pattern, replacement)

    with pytest.raises(ConfigError, match=f"services/webapp.yaml: {message}"):
        config.load_service("webapp", config.load_environment("production"))


@pytest.mark.parametrize("version", ["1.2.3", "10.0.0"])
def test_a_version_of_the_pattern_is_returned(version: str) -> None:
    assert config.load_service("webapp").check_version(version) == version


@pytest.mark.parametrize("version", ["1.2", "1.2.3-rc1", "v1.2.3", "1.2.3\n", "../../etc"], ids=repr)
def test_a_version_that_breaks_the_pattern_is_quoted_with_the_pattern(version: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load_service("webapp").check_version(version)

    assert repr(version) in str(caught.value)
    assert r"does not match ^[0-9]+\.[0-9]+\.[0-9]+$" in str(caught.value)
