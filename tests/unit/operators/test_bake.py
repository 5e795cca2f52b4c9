"""A bake: what it is made of, and what it hands on."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rebake import tags
from rebake.tools.runner import Runner
from tests.unit.operators.bake_support import Cloud, PretendedPacker, Run, app, base


def test_an_application_is_baked_on_the_promoted_base_and_its_provenance_pushed(
    packer: PretendedPacker, cloud: Cloud
) -> None:
    run = Run()

    ami_id = run.execute(app())

    (built,) = packer.built
    base = cloud.ssm.get_parameter(Name="/rebake/bases/debian-12/current")["Parameter"]["Value"]
    assert ami_id in cloud.images()
    assert built["template"] == "app"
    assert built["source_ami"] == base
    assert run.pushed == {
        "reused": False,
        "fingerprint": built["image_tags"][tags.FINGERPRINT],
        "base_ami": base,
        "version": "1.2.3",
        "commit": "abc",
        "build_id": "7",
        "template_version": built["image_tags"][tags.TEMPLATE_VERSION],
    }


def test_a_base_image_is_baked_on_the_vendors_newest(packer: PretendedPacker, cloud: Cloud) -> None:
    ami_id = Run().execute(base())

    parameter = cloud.ssm.get_parameter(Name="/vendor/debian-12")["Parameter"]
    assert ami_id in cloud.images()
    assert packer.built[0]["template"] == "base"
    assert packer.built[0]["source_ami"] == parameter["Value"]


def test_packer_gets_the_connections_credentials(packer: PretendedPacker) -> None:
    Run().execute(app())

    assert packer.environment["AWS_ACCESS_KEY_ID"] == "AKID"
    assert packer.environment["AWS_REGION"] == "eu-west-1"


def test_nothing_stays_in_the_work_folder(packer: PretendedPacker, home: Path) -> None:
    Run().execute(app())

    assert list((home / "work").iterdir()) == []


def test_a_kill_of_the_task_goes_to_packer() -> None:
    told: list[str] = []
    operator = app()

    operator.on_kill()  # nothing runs yet
    runner: Any = SimpleNamespace(stop=lambda: told.append("stop"))
    with operator.tool.running(runner):
        operator.on_kill()
    operator.on_kill()  # nothing runs any more

    assert told == ["stop"]
    assert callable(Runner.stop)


@pytest.mark.parametrize("operator", [app(), base()], ids=["app", "base"])
def test_every_template_field_is_an_attribute(operator: Any) -> None:
    assert [name for name in operator.template_fields if not hasattr(operator, name)] == []
    assert os.environ["REBAKE_ENVIRONMENT"] == "local"
