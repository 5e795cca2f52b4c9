"""Fixtures of several stages: a family of bases, a rebake's services, and a rollout that may be rolled back."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from rebake import tags
from rebake.exceptions import SupersededError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from tests.support.aws import tag_list
from tests.support.fleet import group, instance
from tests.support.releases import put_record, record
from tests.unit.base.base_facts import DECLARED, FAMILY, BaseCloud


@pytest.fixture
def aws(s3: Any, ssm: Any) -> SimpleNamespace:
    """Return clients of an account with a release on an old base, and a newer base."""
    put_record(s3, record(1))
    ssm.put_parameter(Name="/rebake/bases/debian-12/current", Value="ami-0new", Type="String")
    return SimpleNamespace(s3=s3, ssm=ssm)


@pytest.fixture
def base_cloud(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, project: Any) -> BaseCloud:
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path))
    family = {
        "name": FAMILY,
        "description": "As the tests declare it.",
        "source_parameter": "/vendor/debian",
        "package_manager": "apt",
        "ssh_username": "admin",
        "assertions": DECLARED,
    }
    for folder in ("bases", "environments"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bases" / f"{FAMILY}.yaml").write_text(yaml.safe_dump(family), encoding="utf-8")
    local = (project / "config" / "environments" / "local.yaml").read_text(encoding="utf-8")
    (tmp_path / "environments" / "local.yaml").write_text(local, encoding="utf-8")
    return BaseCloud(s3)


@pytest.fixture
def rollout(s3: Any, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a cloud with two releases, a fleet that runs the second, and images by launch template version."""
    made = SimpleNamespace(s3=s3, ec2=ec2, refreshes=[], fleet=group("2", instance("i-2", "2")))
    made.images = {number: _app_image(ec2, number) for number in ("1", "2", "3")}
    for number in ("1", "2"):
        fields = {"version": f"{number}.0.0", "commit": f"c{number}", "ami_id": made.images[number]}
        put_record(s3, record(int(number), release_id=f"webapp-20261123T18300{number}-{number}.0.0", **fields))
    monkeypatch.setattr(AutoScalingHook, "group", lambda *_: made.fleet)
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: made.refreshes)
    monkeypatch.setattr(InstanceHook, "template_image", lambda _self, _id, number: made.images[number])
    monkeypatch.setattr(
        InstanceHook,
        "images",
        lambda _self, ids: {
            one["InstanceId"]: made.images[one["LaunchTemplate"]["Version"]]
            for one in made.fleet["Instances"]
            if one["InstanceId"] in ids
        },
    )
    return made


@pytest.fixture
def take_lease(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that lets a rollback by hand take the run's lease after some checks."""

    def take(after_checks: int = 0) -> None:
        passing = iter(range(after_checks))

        def check(*_: Any) -> None:
            if next(passing, None) is None:
                raise SupersededError("superseded by rollback_webapp/manual", by="rollback_webapp/manual")

        monkeypatch.setattr(LeaseHook, "check", check)

    return take


def _app_image(ec2: Any, number: str) -> str:
    image: str = ec2.register_image(Name=f"webapp-{number}")["ImageId"]
    labels = {tags.KIND: tags.KIND_APP_IMAGE, tags.SERVICE: "webapp"}
    ec2.create_tags(Resources=[image], Tags=tag_list(labels))
    return image
