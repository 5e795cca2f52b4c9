"""The stage revoke_image: what it writes, whom it names, and that it may be repeated."""

from typing import Any

import pytest

from rebake import tags
from rebake.estate import inventory, revocation
from rebake.exceptions import ConfigError, ImageError
from rebake.hooks.estate import EstateHook
from rebake.operators.revoke_image import RevokeImageOperator
from tests.support.aws import tag_list
from tests.support.releases import put_record, record
from tests.support.task import REQUESTED_AT, context


class Cloud:
    """A base that is current, two releases on it, one on another base; webapp runs the newest."""

    def __init__(self, ec2: Any, s3: Any) -> None:
        self.ec2, self.s3 = ec2, s3
        self.base = self._image("base", {tags.KIND: tags.KIND_BASE_IMAGE})
        app = {tags.KIND: tags.KIND_APP_IMAGE, tags.SERVICE: "webapp"}
        self.safe = self._image("safe", app)
        self.apps = [self._image(f"app-{number}", {**app, tags.BASE_AMI: self.base}) for number in (1, 2)]
        self.strangers = self._image("a stranger's", {})
        for number, ami_id in enumerate((self.safe, *self.apps)):
            self._release(number, ami_id)

    def _image(self, name: str, labels: dict[str, str]) -> str:
        image: str = self.ec2.register_image(Name=name)["ImageId"]
        if labels:
            self.ec2.create_tags(Resources=[image], Tags=tag_list(labels))
        return image

    def _release(self, number: int, ami_id: str) -> None:
        name, version = f"webapp-20261123T18300{number}-{number}.0.0", f"{number}.0.0"
        put_record(self.s3, record(number, release_id=name, version=version, ami_id=ami_id))

    def labels(self) -> dict[str, dict[str, str]]:
        found = self.ec2.describe_images(Owners=["self"])["Images"]
        return {one["ImageId"]: {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])} for one in found}

    def revoked(self) -> set[str]:
        return {ami_id for ami_id, labels in self.labels().items() if tags.REVOKED in labels}


@pytest.fixture
def cloud(ec2: Any, s3: Any, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud(ec2, s3)
    read = EstateHook.read

    def read_with_a_fleet(hook: EstateHook) -> inventory.Estate:
        template = inventory.Template("lt-1", "webapp", {}, ())
        fleet = inventory.Fleet(
            group_name="webapp-local",
            service="webapp",
            template_id="lt-1",
            launch_template_version="2",
            tags={tags.KIND: tags.KIND_FLEET, tags.ENVIRONMENT: "local"},
            desired=1,
            instance_ids=("i-1", "i-gone"),
        )
        instance = inventory.Instance("i-1", made.apps[1], "running", REQUESTED_AT)
        found = read(hook)
        channel = inventory.Channel("/rebake/bases/debian-12", "current", made.base)
        return inventory.Estate(found.images, (instance,), (template,), (fleet,), (channel,))

    monkeypatch.setattr(EstateHook, "read", read_with_a_fleet)
    return made


def _revoke(ami: str, reason: str = "CVE-2026-1", **options: Any) -> dict[str, Any]:
    operator = RevokeImageOperator(task_id="revoke_image", ami=ami, reason=reason, **options)
    summary: dict[str, Any] = operator.execute(context())
    return summary


def test_a_base_is_revoked_with_all_that_was_baked_on_it_and_whoever_runs_it_is_named(cloud: Cloud) -> None:
    summary = _revoke(cloud.base)

    assert cloud.revoked() == {cloud.base, *cloud.apps}
    assert summary["marked"] == sorted([cloud.base, *cloud.apps])
    assert summary["bases"] == ["/rebake/bases/debian-12"]
    assert summary["services"]["webapp"]["images"] == [cloud.apps[1]]
    assert f"webapp-20261123T183000-0.0.0 (version 0.0.0, {cloud.safe})" in summary["services"]["webapp"]["advice"]
    report = "\n".join(revocation.lines(summary))
    for part in (f"{cloud.base} is revoked since", "CVE-2026-1", f"webapp runs {cloud.apps[1]}", "rebuild_base_image"):
        assert part in report


def test_a_service_that_runs_another_image_is_not_named(cloud: Cloud) -> None:
    assert _revoke(cloud.apps[0])["services"] == {}


def test_an_undo_lifts_every_mark(cloud: Cloud) -> None:
    before = cloud.labels()
    _revoke(cloud.base)

    summary = _revoke(cloud.base, "", undo="True")

    assert cloud.labels() == before
    assert (summary["mark"], summary["services"]) == ("", {})
    assert summary["lifted"] == sorted([cloud.base, *cloud.apps])


def test_revoking_twice_is_once(cloud: Cloud) -> None:
    _revoke(cloud.base)
    before = cloud.labels()

    summary = _revoke(cloud.base)

    assert (summary["marked"], summary["lifted"]) == ([], [])
    assert cloud.labels() == before


@pytest.mark.parametrize("undo", [False, True])
@pytest.mark.parametrize("which", ["strangers", "unknown"])
def test_an_image_that_is_not_ours_is_refused(cloud: Cloud, which: str, undo: bool) -> None:
    ami = cloud.strangers if which == "strangers" else "ami-0123456789abcdef0"

    with pytest.raises(ImageError, match=f"{ami} is no image that Rebake made"):
        _revoke(ami, undo=undo)


def test_a_revocation_without_a_reason_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match="give a reason"):
        _revoke(cloud.base, " ")

    assert cloud.revoked() == set()
