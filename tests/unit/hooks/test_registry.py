"""The registry's channels: conditional writes, a shift that can be repeated, and AWS's late refusal."""

from typing import Any

import boto3
import pytest

from rebake.exceptions import ImageError
from rebake.hooks.registry import DATA_TYPE, RegistryHook
from rebake.image.channels import CANDIDATE, CURRENT, PREVIOUS
from tests.support.aws import CONNECTION, REGION, stubbed
from tests.support.registry import NAME, channels_of, image_id


def test_pointing_writes_a_parameter_that_aws_checks(registry: RegistryHook) -> None:
    version = registry.point(NAME, CANDIDATE, image_id(1), poll_seconds=0, labels={"rebake:kind": "fleet"})

    parameter = boto3.client("ssm", region_name=REGION).get_parameter(Name="/rebake/webapp/candidate")["Parameter"]
    assert (parameter["Value"], parameter["Version"], parameter["DataType"]) == (image_id(1), version, DATA_TYPE)


def test_pointing_again_at_the_same_image_writes_nothing(registry: RegistryHook) -> None:
    first = registry.point(NAME, CANDIDATE, image_id(1), poll_seconds=0)

    assert registry.point(NAME, CANDIDATE, image_id(1), poll_seconds=0) == first
    assert registry.point(NAME, CANDIDATE, image_id(2), poll_seconds=0) == first + 1


def test_a_release_that_was_broken_off_between_the_two_writes_is_finished_by_the_next_try(
    registry: RegistryHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.release(NAME, image_id(1), poll_seconds=0)
    point = RegistryHook.point

    def die_at_current(self: RegistryHook, name: str, channel: str, ami_id: str, **kwargs: Any) -> int:
        if channel == CURRENT:
            raise ConnectionResetError
        return point(self, name, channel, ami_id, **kwargs)

    monkeypatch.setattr(RegistryHook, "point", die_at_current)
    with pytest.raises(ConnectionResetError):
        registry.release(NAME, image_id(2), poll_seconds=0)
    monkeypatch.setattr(RegistryHook, "point", point)

    registry.release(NAME, image_id(2), poll_seconds=0)

    assert channels_of(registry) == {CURRENT: image_id(2), PREVIOUS: image_id(1)}


def test_a_value_that_aws_drops_after_it_has_answered_is_an_error() -> None:
    """AWS checks the image after PutParameter has returned; the parameter then never shows."""
    with stubbed("ssm") as (client, stubber):
        hook = RegistryHook(**CONNECTION)
        hook.__dict__["conn"] = client
        stubber.add_client_error("get_parameter", "ParameterNotFound")
        stubber.add_response("put_parameter", {"Version": 1})
        for _ in range(60):
            stubber.add_client_error("get_parameter", "ParameterNotFound")

        with pytest.raises(ImageError, match=f"did not accept {image_id(1)} for /rebake/webapp/candidate"):
            hook.point(NAME, CANDIDATE, image_id(1), poll_seconds=0)


@pytest.mark.parametrize(
    ("released", "channels"),
    [
        ([], {}),
        ([1], {CURRENT: image_id(1)}),
        ([1, 2, 3], {CURRENT: image_id(3), PREVIOUS: image_id(2)}),
        ([1, 2, 2, 2], {CURRENT: image_id(2), PREVIOUS: image_id(1)}),
    ],
)
def test_a_release_moves_current_once_and_remembers_the_one_before(
    registry: RegistryHook, released: list[int], channels: dict[str, str]
) -> None:
    for number in released:
        registry.release(NAME, image_id(number), poll_seconds=0)

    assert channels_of(registry) == channels
