"""The waiter for the end of instances."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from rebake.hooks.instance import GONE_STATES, LIVE_STATES, USABLE_STATES, InstanceHook
from tests.support.aws import CONNECTION, REGION, stubbed

_WAITER_STATES = [
    pytest.param([{"Instances": [{"State": {"Name": "terminated"}}]}], True, id="terminated"),
    pytest.param([], True, id="forgotten"),
    *(pytest.param([{"Instances": [{"State": {"Name": state}}]}], False, id=state) for state in LIVE_STATES),
]


@pytest.mark.parametrize(("reservations", "is_over"), _WAITER_STATES)
def test_the_waiter_is_over_only_when_every_instance_is_terminated(reservations: Any, is_over: bool) -> None:
    done = [{"Instances": [{"State": {"Name": "terminated"}}]}]
    with stubbed("ec2") as (client, stubber):
        hook = InstanceHook(**CONNECTION)
        hook.__dict__["conn"] = client
        stubber.add_response("describe_instances", {"Reservations": done + reservations})
        if not is_over:
            stubber.add_response("describe_instances", {"Reservations": done})

        hook.wait_terminated(["i-1", "i-2"], poll_seconds=0.001, timeout=1)


def test_the_waiter_takes_an_unknown_instance_for_gone() -> None:
    with stubbed("ec2") as (client, stubber):
        hook = InstanceHook(**CONNECTION)
        hook.__dict__["conn"] = client
        stubber.add_client_error("describe_instances", "InvalidInstanceID.NotFound")

        hook.wait_terminated(["i-1"], poll_seconds=0.001, timeout=1)


def test_every_state_of_an_instance_is_sorted() -> None:
    shape: Any = boto3.client("ec2", region_name=REGION).meta.service_model.shape_for("InstanceStateName")
    enum = shape.enum

    assert set(LIVE_STATES) | {"terminated"} == set(enum)
    assert set(USABLE_STATES) | set(GONE_STATES) == set(enum)
    assert not set(USABLE_STATES) & set(GONE_STATES)


def test_our_waiters_are_found_where_they_are_kept() -> None:
    assert InstanceHook(**CONNECTION).waiter_path == Path(__file__).parents[3] / "plugins/rebake/waiters/ec2.json"
