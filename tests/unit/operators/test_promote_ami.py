"""The stage promote_ami."""

import pytest

from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CANDIDATE, CHANNELS, CURRENT, service_name
from rebake.operators.promote_ami import PromoteAmiOperator
from tests.support.aws import CONNECTION
from tests.support.task import context

NAME = service_name("webapp")


@pytest.fixture
def registry(account: None) -> RegistryHook:
    """Return a registry with nothing in it."""
    return RegistryHook(**CONNECTION)


def _image(number: int) -> str:
    return f"ami-{number:017x}"


def _read(registry: RegistryHook) -> dict[str, str]:
    found = {channel: registry.read(NAME, channel) for channel in CHANNELS}
    return {channel: pointer.ami_id for channel, pointer in found.items() if pointer}


def test_promotion_returns_the_version_and_leaves_current_alone(registry: RegistryHook) -> None:
    registry.release(NAME, _image(1), poll_seconds=0)

    version = PromoteAmiOperator(task_id="promote_ami", ami_id=_image(2), name=NAME).execute(context())

    assert version == 1
    assert _read(registry) == {CANDIDATE: _image(2), CURRENT: _image(1)}


def test_promotion_can_point_another_channel(registry: RegistryHook) -> None:
    PromoteAmiOperator(
        task_id="promote_ami", ami_id=_image(2), name="/rebake/bases/debian-12", channel=CURRENT
    ).execute(context())

    pointer = registry.read("/rebake/bases/debian-12", CURRENT)
    assert pointer is not None
    assert pointer.ami_id == _image(2)
