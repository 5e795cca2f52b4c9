from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from moto.ec2.models import ec2_backends

from rebake import tags
from rebake.estate.inventory import Image
from rebake.exceptions import ImageError
from rebake.hooks.image import ImageHook

FINGERPRINT = "f" * 64
VENDORS_IMAGE = "ami-0123456789abcdef0"


@pytest.fixture
def hook(ec2: Any) -> ImageHook:
    return ImageHook(aws_conn_id=None, region_name="eu-west-1")


def _image(ec2: Any, name: str, **tagged: str) -> str:
    """Make an image named `name`, with the tags of a finished one of webapp unless given otherwise."""
    instance = ec2.run_instances(ImageId=VENDORS_IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    image: str = ec2.create_image(InstanceId=instance, Name=name)["ImageId"]
    every = {tags.KIND: tags.KIND_APP_IMAGE, tags.SERVICE: "webapp", tags.FINGERPRINT: FINGERPRINT} | {
        getattr(tags, key.upper()): value for key, value in tagged.items()
    }
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in every.items() if value])
    return image


def test_an_image_is_found_by_kind_service_and_fingerprint(ec2: Any, hook: ImageHook) -> None:
    wanted = _image(ec2, "wanted")
    _image(ec2, "of another kind", kind=tags.KIND_BASE_IMAGE)
    _image(ec2, "of another service", service="other")
    _image(ec2, "of other inputs", fingerprint="0" * 64)
    _image(ec2, "not finished", kind="")
    ec2_backends["123456789012"]["eu-west-1"].amis[_image(ec2, "not available")].state = "failed"

    assert [image.id for image in hook.find(tags.KIND_APP_IMAGE, "webapp", FINGERPRINT)] == [wanted]


def test_the_newest_image_comes_first(ec2: Any, hook: ImageHook) -> None:
    older, newer = _image(ec2, "older"), _image(ec2, "newer")
    amis = ec2_backends["123456789012"]["eu-west-1"].amis
    amis[older].creation_date = datetime(2026, 1, 1, tzinfo=UTC)
    amis[newer].creation_date = datetime(2026, 2, 1, tzinfo=UTC)

    assert [image.id for image in hook.find(tags.KIND_APP_IMAGE, "webapp", FINGERPRINT)] == [newer, older]


def test_only_images_of_that_name_without_the_tags_of_a_finished_one_are_unfinished(ec2: Any, hook: ImageHook) -> None:
    left = _image(ec2, "rebake-webapp-1.0.0-ffffffffffff-20260101000000", kind="", service="", fingerprint="")
    stamped = _image(ec2, "rebake-webapp-1.0.0-ffffffffffff-20260101000001", kind=tags.KIND_BUILDER)
    _image(ec2, "rebake-webapp-1.0.0-ffffffffffff-20260101000002")
    _image(ec2, "rebake-webapp-1.0.0-000000000000-20260101000003", kind="")

    unfinished = hook.unfinished("rebake-webapp-1.0.0-ffffffffffff-")

    assert {image.id for image in unfinished} == {left, stamped}


def test_an_image_is_removed_with_its_snapshots(ec2: Any, hook: ImageHook) -> None:
    image = hook.describe(_image(ec2, "left"))
    assert image.snapshots

    hook.remove(image)

    with pytest.raises(ImageError, match=f"image '{image.id}' does not exist in eu-west-1"):
        hook.describe(image.id)
    left = {snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert not left & set(image.snapshots)


def test_an_image_without_tags_is_tagged_as_a_builders_before_it_is_removed(ec2: Any, hook: ImageHook) -> None:
    """The pipeline's policy lets it end only what carries its tag."""
    image = hook.describe(_image(ec2, "left", kind="", service="", fingerprint=""))
    asked: list[tuple[str, dict[str, Any]]] = []
    hook.ec2.meta.events.register(
        "before-parameter-build.ec2", lambda params, model, **_: asked.append((model.name, params))
    )

    hook.remove(image)

    names = [name for name, _ in asked]
    assert names == ["CreateTags", "DeregisterImage", *["DeleteSnapshot"] * len(image.snapshots)]
    assert asked[0][1]["Resources"] == [image.id, *image.snapshots]


def test_an_image_of_ours_is_accepted(ec2: Any, hook: ImageHook) -> None:
    image = _image(ec2, "good", version="1.2.3")

    assert hook.ours(image, tags.KIND_APP_IMAGE, "webapp").tags[tags.VERSION] == "1.2.3"


@pytest.mark.parametrize(
    ("tagged", "said"),
    [
        pytest.param({"kind": "", "service": ""}, "rebake:kind=(none), rebake:service=(none)", id="a stranger's"),
        pytest.param({"service": "other"}, "rebake:service=other", id="another service's"),
        pytest.param({"kind": tags.KIND_BASE_IMAGE}, "rebake:kind=base-image", id="a base image"),
    ],
)
def test_an_image_that_was_not_made_for_the_service_is_refused_by_its_tags(
    ec2: Any, hook: ImageHook, tagged: dict[str, str], said: str
) -> None:
    image = _image(ec2, "other", **tagged)

    with pytest.raises(ImageError) as caught:
        hook.ours(image, tags.KIND_APP_IMAGE, "webapp")

    for part in (image, "was not made by Rebake for webapp", said, "leave ami_id empty to bake"):
        assert part in str(caught.value)


def test_an_image_is_made_to_demand_imds_v2_once(hook: ImageHook) -> None:
    image = Image(id="ami-0123456789abcdef0", name="new", state="available", created="", tags={}, snapshots=())

    with Stubber(hook.ec2) as stubber:
        expected = {"ImageId": image.id, "ImdsSupport": {"Value": "v2.0"}}
        stubber.add_response("modify_image_attribute", {}, expected)
        hook.demand_imds_v2(image)
        hook.demand_imds_v2(replace(image, imds_support="v2.0"))
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("image", ["ami-00000000000000000", "latest"], ids=["gone", "no id"])
def test_an_image_that_does_not_exist_is_named_with_what_it_was_needed_for(hook: ImageHook, image: str) -> None:
    with pytest.raises(ImageError, match=f"base image of webapp: image '{image}' does not exist"):
        hook.available(image, "base image of webapp")
