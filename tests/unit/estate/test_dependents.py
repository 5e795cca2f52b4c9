"""What a new base starts, and the result that is reported for each service."""

from typing import Any

import pytest

from rebake import config
from rebake.estate.dependents import TaskResult, dependents, reason_to_stay, result_of, skipped
from rebake.exceptions import ConfigError
from tests.support.releases import record


def _service(name: str, **other: Any) -> config.Service:
    return config.load_service("webapp").model_copy(update={"name": name, **other})


SERVICES = {
    "shop": _service("shop", on_new_base="deploy"),
    "blog": _service("blog", on_new_base="bake"),
    "wiki": _service("wiki", on_new_base="ignore"),
    "mail": _service("mail", on_new_base="deploy", base="amazon-linux-2023"),
    "typo": ConfigError("config/services/typo.yaml: fleet: Field required"),
}


def test_the_services_of_the_family_follow_that_do_not_ignore_it() -> None:
    assert dependents(SERVICES, ["debian-12"]) == ["shop", "blog"]
    assert dependents(SERVICES, ["debian-12", "amazon-linux-2023"]) == ["shop", "blog", "mail"]
    assert dependents(SERVICES, []) == []


def test_a_service_that_ignores_new_bases_and_one_with_a_broken_file_are_reported() -> None:
    found = {one.service: (one.outcome, one.why) for one in skipped(SERVICES, ["debian-12"])}

    assert found == {
        "wiki": ("ignored", "config/services/wiki.yaml: on_new_base: ignore"),
        "typo": ("invalid", "config/services/typo.yaml: fleet: Field required"),
    }


def test_a_release_on_an_older_base_has_to_move() -> None:
    assert reason_to_stay(SERVICES["shop"], record(1), "ami-0new") == ""


@pytest.mark.parametrize(
    ("release", "newest", "reason"),
    [
        (None, "ami-0new", "shop was never released: its first deployment bakes on the newest base"),
        (record(1), "ami-0ba5e", "release webapp-20261123T183001-1.1.0 is baked on ami-0ba5e, the newest of debian-12"),
        (record(1), "", "debian-12 has no base image: run the DAG rebuild_base_image with base=debian-12"),
    ],
)
def test_the_report_gives_the_reason_of_a_service_that_needs_nothing(release: Any, newest: str, reason: str) -> None:
    assert reason_to_stay(SERVICES["shop"], release, newest) == reason


CHOSEN = {"choose_version": TaskResult("success", {"version": "1.2.3"})}
BAKED = CHOSEN | {"bake": TaskResult("success", {"ami_id": "ami-01"})}
TESTED = BAKED | {"test_image.launch": TaskResult("success", "i-1"), "test_image.probe": TaskResult("success", {})}


@pytest.mark.parametrize(
    ("stages", "shown"),
    [
        ({"choose_version": TaskResult("skipped", message="never released")}, ("not needed", "", "", "never released")),
        (
            {"choose_version": TaskResult("failed", message="no bucket")},
            ("failed", "", "", "choose_version: no bucket"),
        ),
        (CHOSEN | {"bake": TaskResult("failed", message="no artifact")}, ("failed", "1.2.3", "", "bake: no artifact")),
        (
            BAKED | {"test_image.launch": TaskResult("success", "i-1"), "test_image.probe": TaskResult("failed")},
            ("failed", "1.2.3", "ami-01", "test_image.probe: see its log"),
        ),
        (
            TESTED | {"deploy": TaskResult("skipped")},
            ("baked", "1.2.3", "ami-01", "the next deployment of the version reuses it"),
        ),
        (TESTED | {"deploy": TaskResult("success", "shop-1")}, ("deployed", "1.2.3", "ami-01", "release shop-1")),
        (TESTED | {"deploy": TaskResult("skipped", message="newer")}, ("superseded", "1.2.3", "ami-01", "newer")),
        (TESTED | {"deploy": TaskResult("failed", message="red")}, ("failed", "1.2.3", "ami-01", "deploy: red")),
        (BAKED, ("stopped", "1.2.3", "ami-01", "the run was stopped, or never got so far")),
        ({}, ("stopped", "", "", "the run was stopped, or never got so far")),
    ],
)
def test_each_result_of_a_service_is_reported(stages: dict[str, TaskResult], shown: tuple[str, ...]) -> None:
    found = result_of("shop", "deploy", stages)

    assert (found.outcome, found.version, found.ami_id, found.why) == shown
