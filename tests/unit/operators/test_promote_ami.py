"""The stage promote_ami."""

from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CANDIDATE, CURRENT
from rebake.operators.promote_ami import PromoteAmiOperator
from tests.support.registry import NAME, channels_of, image_id
from tests.support.task import context


def test_promotion_returns_the_version_and_leaves_current_alone(registry: RegistryHook) -> None:
    registry.release(NAME, image_id(1), poll_seconds=0)

    version = PromoteAmiOperator(task_id="promote_ami", ami_id=image_id(2), name=NAME).execute(context())

    assert version == 1
    assert channels_of(registry) == {CANDIDATE: image_id(2), CURRENT: image_id(1)}


def test_promotion_can_point_another_channel(registry: RegistryHook) -> None:
    PromoteAmiOperator(
        task_id="promote_ami", ami_id=image_id(2), name="/rebake/bases/debian-12", channel=CURRENT
    ).execute(context())

    pointer = registry.read("/rebake/bases/debian-12", CURRENT)
    assert pointer is not None
    assert pointer.ami_id == image_id(2)
