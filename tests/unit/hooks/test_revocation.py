"""A revoked image is refused wherever one is chosen, promoted or rolled out, with the reason and what to do instead."""

from typing import Any

import boto3
import pytest
from botocore.config import Config

from rebake import tags
from rebake.estate.revocation import Mark
from rebake.exceptions import RevokedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.revocation import RevocationHook
from rebake.operators.choose_release import ChooseReleaseOperator
from rebake.operators.promote_ami import PromoteAmiOperator
from rebake.operators.start_refresh import StartRefreshOperator
from tests.support.aws import CONNECTION, tag_list
from tests.support.fleet import GROUP, TEMPLATE, group, instance
from tests.support.releases import put_record, record
from tests.support.task import context

AT = "2026-03-01T12:00:00Z"


class Cloud:
    """Two releases of webapp, the first on a base of its own."""

    def __init__(self, s3: Any) -> None:
        once = Config(retries={"total_max_attempts": 1})
        self.ec2: Any = boto3.client("ec2", region_name="eu-west-1", config=once)
        self.ssm: Any = boto3.client("ssm", region_name="eu-west-1", config=once)
        self.bases = [self._image(f"base-{number}", tags.KIND_BASE_IMAGE, "") for number in (1, 2)]
        self.apps = [self._image(f"app-{number}", tags.KIND_APP_IMAGE, self.bases[number - 1]) for number in (1, 2)]
        for number, ami_id in enumerate(self.apps, 1):
            name, version = f"webapp-20261123T18300{number}-{number}.0.0", f"{number}.0.0"
            put_record(s3, record(number, release_id=name, version=version, ami_id=ami_id))

    def _image(self, name: str, kind: str, base: str) -> str:
        image: str = self.ec2.register_image(Name=name)["ImageId"]
        labels = {tags.KIND: kind, tags.SERVICE: "webapp", tags.VERSION: "1.0.0", tags.BASE_AMI: base}
        self.tag(image, {key: value for key, value in labels.items() if value})
        return image

    def tag(self, image: str, labels: dict[str, str]) -> None:
        self.ec2.create_tags(Resources=[image], Tags=tag_list(labels))

    def tags_of(self, image: str) -> dict[str, str]:
        (found,) = self.ec2.describe_images(ImageIds=[image])["Images"]
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}

    def revoke(self, image: str) -> None:
        """State a revocation of one image, as when nobody has marked its descendants yet."""
        self.tag(image, {tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: AT})


@pytest.fixture
def cloud(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr(LeaseHook, "check", lambda *_: None)
    return Cloud(s3)


def _refused(operator: Any) -> str:
    with pytest.raises(RevokedError) as caught:
        operator.execute(context())
    return str(caught.value)


def _choose(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, wanted: str) -> ChooseReleaseOperator:
    monkeypatch.setattr(AutoScalingHook, "group", lambda *_: group("2", instance("i-2", "2")))
    monkeypatch.setattr(InstanceHook, "template_image", lambda *_: cloud.apps[1])
    monkeypatch.setattr(InstanceHook, "images", lambda *_: {"i-2": cloud.apps[1]})
    return ChooseReleaseOperator(task_id="choose_release", service="webapp", release=wanted)


@pytest.mark.parametrize("wanted", ["", "1.0.0"], ids=["the one before", "named"])
def test_a_release_of_a_revoked_image_is_not_returned_to_and_the_nearest_safe_one_is_named(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    cloud.revoke(cloud.apps[0])

    refusal = _refused(_choose(cloud, monkeypatch, wanted))

    assert "release webapp-20261123T183001-1.0.0 cannot be returned to" in refusal
    assert f"image {cloud.apps[0]} is revoked since {AT}: CVE-2026-1" in refusal
    assert f"webapp-20261123T183002-2.0.0 (version 2.0.0, {cloud.apps[1]})" in refusal


def test_a_release_on_a_revoked_base_is_not_returned_to_even_if_no_release_is_safe(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.revoke(cloud.bases[0])
    cloud.revoke(cloud.apps[1])

    refusal = _refused(_choose(cloud, monkeypatch, "1.0.0"))

    assert f"{cloud.apps[0]} was baked on {cloud.bases[0]}, which is revoked since {AT}: CVE-2026-1" in refusal
    assert "No release of webapp is safe" in refusal


@pytest.mark.parametrize("revoked", ["image", "base"])
def test_an_image_that_was_revoked_since_its_bake_is_not_promoted(cloud: Cloud, revoked: str) -> None:
    cloud.revoke(cloud.apps[0] if revoked == "image" else cloud.bases[0])

    refusal = _refused(
        PromoteAmiOperator(task_id="promote_ami", ami_id=cloud.apps[0], name="/rebake/webapp", service="webapp")
    )

    assert refusal.startswith(f"/rebake/webapp/candidate: image {cloud.apps[0]}")
    assert cloud.ssm.get_parameters_by_path(Path="/rebake/webapp")["Parameters"] == []


def test_a_base_that_was_revoked_since_its_bake_is_not_promoted(cloud: Cloud) -> None:
    cloud.revoke(cloud.bases[0])
    operator = PromoteAmiOperator(
        task_id="promote_ami", ami_id=cloud.bases[0], name="/rebake/bases/debian-12", channel="current"
    )

    assert "nearest safe release" not in _refused(operator)


def test_an_image_that_was_revoked_since_it_was_promoted_is_not_rolled_out(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.revoke(cloud.apps[0])
    monkeypatch.setattr(AutoScalingHook, "start_refresh", lambda *_, **__: pytest.fail("a refresh was started"))
    operator = StartRefreshOperator(
        task_id="start_refresh",
        service="webapp",
        auto_scaling_group_name=GROUP,
        launch_template_id=TEMPLATE,
        launch_template_version="2",
        ami_id=cloud.apps[0],
    )

    assert "rolling out webapp: image" in _refused(operator)


def test_marks_are_written_to_the_tags_and_lifted_from_them(cloud: Cloud) -> None:
    hook, before = RevocationHook(**CONNECTION), cloud.tags_of(cloud.apps[0])
    mark = Mark("CVE-2026-1", AT, cloud.bases[0])

    hook.write({cloud.bases[0]: mark, cloud.apps[0]: mark})
    marked = cloud.tags_of(cloud.apps[0])
    hook.write({cloud.bases[0]: None, cloud.apps[0]: None})

    assert marked == before | {tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: AT, tags.REVOKED_BY: cloud.bases[0]}
    assert cloud.tags_of(cloud.apps[0]) == before
    assert hook.mark_of(cloud.apps[0]) is None


def test_a_mark_on_an_images_own_account_replaces_the_one_by_its_base(cloud: Cloud) -> None:
    hook, image = RevocationHook(**CONNECTION), cloud.apps[0]
    hook.write({image: Mark("CVE-2026-1", AT, cloud.bases[0])})

    hook.write({image: Mark("leaks a secret", AT, image)})

    assert hook.mark_of(image) == Mark("leaks a secret", AT, image)
    assert tags.REVOKED_BY not in cloud.tags_of(image)


def test_an_image_that_is_gone_is_not_revoked(cloud: Cloud) -> None:
    assert RevocationHook(**CONNECTION).mark_of("ami-0123456789abcdef0") is None
