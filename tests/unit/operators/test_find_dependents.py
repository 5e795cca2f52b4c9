"""Which services a rebake is due for: those on an image of the families that were promoted."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from rebake import config
from rebake.exceptions import ConfigError
from rebake.operators.find_dependents import FindDependentsOperator
from tests.support.task import context


def test_the_families_of_the_events_are_scanned_and_no_other() -> None:
    event = SimpleNamespace(extra={"ami_id": "ami-0new"})
    task = context() | {"triggering_asset_events": {Asset("rebake://bases/amazon-linux-2023"): [event]}}

    assert FindDependentsOperator(task_id="find_dependents").execute(task) == []
    assert task["ti"].pushed["found"]["families"] == ["amazon-linux-2023"]


@pytest.mark.parametrize(("base", "names"), [("", ["pages", "webapp"]), ("debian-12", ["pages", "webapp"])])
def test_by_hand_a_family_is_named_or_all_are_scanned(base: str, names: list[str]) -> None:
    assert FindDependentsOperator(task_id="find_dependents", base=base).execute(context()) == names


def test_a_broken_service_file_is_reported_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    read = config.load_service

    def load(name: str, environment: Any) -> config.Service:
        if name == "pages":
            raise ConfigError("pages.yaml: fleet: Field required")
        return read(name, environment)

    monkeypatch.setattr("rebake.config.services.load_service", load)
    task = context()

    assert FindDependentsOperator(task_id="find_dependents").execute(task) == ["webapp"]
    (left,) = task["ti"].pushed["found"]["skipped"]
    assert (left["service"], left["outcome"], left["why"]) == ("pages", "invalid", "pages.yaml: fleet: Field required")
