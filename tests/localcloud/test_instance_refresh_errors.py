from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.autoscaling.exceptions import ResourceContentionError

from tests.localcloud.fleet_fakes import World


@pytest.fixture
def small(small: World) -> World:
    small.create_group()
    return small


NAME: dict[str, Any] = {"AutoScalingGroupName": "web"}
NEW: dict[str, Any] = {"LaunchTemplate": {"LaunchTemplateName": "web", "Version": "2"}}


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    """Return the code, HTTP status and message with which a call about the group is refused."""
    with pytest.raises(ClientError) as caught:
        call(**(NAME | arguments))
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def invalid(call: Callable[..., Any], **arguments: Any) -> str:
    """Return the message with which a call is refused as invalid."""
    code, status, message = refused(call, **arguments)
    assert (code, status) == ("ValidationError", 400)
    return message


def test_second_refresh_is_refused(small: World) -> None:
    """One refresh at a time; the client raises the modelled exception."""
    small.refresh_to("2")

    assert refused(small.asg.start_instance_refresh) == (
        "InstanceRefreshInProgress",
        400,
        "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
    )
    with pytest.raises(small.asg.exceptions.InstanceRefreshInProgressFault):
        small.asg.start_instance_refresh(**NAME)


def test_refresh_may_follow_a_finished_one(small: World) -> None:
    small.refresh_to("2")
    small.run_refresh()
    small.refresh_to("1")

    assert small.run_refresh()["Status"] == "Successful"


@pytest.mark.parametrize(
    "action",
    ["start_instance_refresh", "describe_instance_refreshes", "cancel_instance_refresh", "rollback_instance_refresh"],
)
def test_unknown_group_is_named(small: World, action: str) -> None:
    message = invalid(getattr(small.asg, action), AutoScalingGroupName="nope")

    assert message == "AutoScalingGroup name not found - AutoScalingGroup 'nope' not found"


def test_auto_rollback_needs_a_desired_configuration(small: World) -> None:
    text = (
        "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration "
        "parameter is empty. Set AutoRollback to false or specify a desired configuration and try again."
    )

    assert invalid(small.asg.start_instance_refresh, Preferences={"AutoRollback": True}) == text


@pytest.mark.parametrize("version", ["$Latest", "$Default"])
def test_auto_rollback_needs_a_numbered_version_on_the_group(small: World, version: str) -> None:
    template = {"LaunchTemplateId": small.template, "Version": version}
    small.asg.update_auto_scaling_group(**NAME, LaunchTemplate=template)

    start = small.asg.start_instance_refresh

    assert version in invalid(start, DesiredConfiguration=NEW, Preferences={"AutoRollback": True})


def test_group_whose_template_names_a_parameter_cannot_roll_back(small: World) -> None:
    """An AMI that is looked up when launching is none to return to, neither automatically nor by request."""
    data = {"ImageId": "resolve:ssm:/rebake/webapp/current", "InstanceType": "t3.micro"}
    made = small.ec2.create_launch_template(LaunchTemplateName="looked-up", LaunchTemplateData=data)["LaunchTemplate"]
    template = {"LaunchTemplateId": made["LaunchTemplateId"], "Version": "1"}
    small.asg.update_auto_scaling_group(**NAME, LaunchTemplate=template)
    start = small.asg.start_instance_refresh
    automatic = invalid(start, DesiredConfiguration=NEW, Preferences={"AutoRollback": True})
    start(**NAME, DesiredConfiguration=NEW)
    small.run(1)
    code, status, by_request = refused(small.asg.rollback_instance_refresh)

    assert "SSM parameter" in automatic
    assert (code, status) == ("IrreversibleInstanceRefresh", 400)
    assert "SSM parameter" in by_request


def test_group_whose_version_was_deleted_cannot_roll_back(small: World) -> None:
    """There is nothing to return to; a refresh that cannot return is not refused."""
    version = small.new_version()
    small.asg.update_auto_scaling_group(**NAME, LaunchTemplate={"LaunchTemplateId": small.template, "Version": version})
    saved = small.cloud.backend("ec2").get_launch_template(small.template)
    saved.versions.pop()
    start = small.asg.start_instance_refresh

    assert version in invalid(start, DesiredConfiguration=NEW, Preferences={"AutoRollback": True})
    start(**NAME, DesiredConfiguration=NEW)


def test_desired_version_may_be_default(small: World) -> None:
    small.asg.start_instance_refresh(
        **NAME,
        DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": "web"}},
        Preferences={"AutoRollback": True, "MinHealthyPercentage": 0, "InstanceWarmup": 0},
    )

    assert small.run_refresh()["Status"] == "Successful"
    assert small.group["LaunchTemplate"]["Version"] == "$Default"


def test_bad_enum_values_are_listed(small: World) -> None:
    never = {"ScaleInProtectedInstances": "Never", "StandbyInstances": "Never"}
    message = invalid(small.asg.start_instance_refresh, Preferences=never)

    assert message.startswith(
        "2 validation errors detected: Value 'Never' at 'preferences.scaleInProtectedInstances' failed to satisfy "
        "constraint: Member must satisfy enum value set: [Refresh, Ignore, Wait]; "
    )


@pytest.mark.parametrize(
    ("preferences", "part"),
    [
        ({"MinHealthyPercentage": 101}, "less than or equal to 100"),
        ({"MinHealthyPercentage": 90, "MaxHealthyPercentage": 99}, "greater than or equal to 100"),
        ({"MinHealthyPercentage": 90, "MaxHealthyPercentage": 201}, "less than or equal to 200"),
        ({"MaxHealthyPercentage": 110}, "requires MinHealthyPercentage"),
        ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 151}, "cannot be greater than 100"),
        ({"InstanceWarmup": -1}, "greater than or equal to 0"),
        ({"CheckpointDelay": 60}, "requires CheckpointPercentages"),
        ({"CheckpointDelay": -1, "CheckpointPercentages": [100]}, "greater than or equal to 0"),
        ({"CheckpointDelay": 172801, "CheckpointPercentages": [100]}, "less than or equal to 172800"),
        ({"CheckpointPercentages": [0, 100]}, "'0' at 'preferences.checkpointPercentages.1.member' failed to satisfy"),
        ({"CheckpointPercentages": [50, 101]}, "Member must have value less than or equal to 100"),
        ({"CheckpointPercentages": [100, 50]}, "ascending order, not [100, 50]"),
        ({"CheckpointPercentages": [50, 50, 100]}, "must be unique"),
        ({"BakeTime": 172801}, "less than or equal to 172800"),
        ({"AlarmSpecification": {"Alarms": [f"a{n}" for n in range(11)]}}, "length less than or equal to 10"),
        ({"AlarmSpecification": {"Alarms": ["a" * 256]}}, "Member must have length less than or equal to 255"),
        ({"AlarmSpecification": {"Alarms": ["nope"]}}, "no CloudWatch alarm nope"),
    ],
)
def test_preferences_that_cannot_hold_are_refused(small: World, preferences: dict[str, Any], part: str) -> None:
    assert part in invalid(small.asg.start_instance_refresh, Preferences=preferences)
    assert small.asg.describe_instance_refreshes(**NAME)["InstanceRefreshes"] == []


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"LaunchTemplateId": "lt-00000000000000000", "Version": "1"}, "lt-00000000000000000"),
        ({"LaunchTemplateName": "nope", "Version": "1"}, "nope"),
        ({"LaunchTemplateName": "web", "Version": "99"}, "99"),
        ({"LaunchTemplateName": "web", "Version": "0"}, "a numeric version"),
        ({"LaunchTemplateName": "web", "Version": "latest"}, "a numeric version"),
        ({"Version": "1"}, "either launchTemplateId or LaunchTemplateName"),
    ],
)
def test_template_that_does_not_exist_is_named(small: World, spec: dict[str, str], part: str) -> None:
    assert part in invalid(small.asg.start_instance_refresh, DesiredConfiguration={"LaunchTemplate": spec})


def test_unknown_strategy_is_refused(small: World) -> None:
    """Only AWS's strategies are valid, and only Rolling is emulated."""
    start = small.asg.start_instance_refresh

    assert "[Rolling, ReplaceRootVolume]" in invalid(start, Strategy="Blue")
    assert "does not emulate Strategy ReplaceRootVolume" in refused(start, Strategy="ReplaceRootVolume")[2]


def test_nothing_to_cancel(small: World) -> None:
    code, status, message = refused(small.asg.cancel_instance_refresh)

    assert (code, status) == ("ActiveInstanceRefreshNotFound", 400)
    assert "web" in message


def test_nothing_to_roll_back(small: World) -> None:
    code, status, _ = refused(small.asg.rollback_instance_refresh)
    small.refresh_to("2")
    pending, _, _ = refused(small.asg.rollback_instance_refresh)

    assert (code, status) == ("ActiveInstanceRefreshNotFound", 400)
    assert pending == "ActiveInstanceRefreshNotFound"


def test_refresh_without_desired_configuration_is_irreversible(small: World) -> None:
    small.asg.start_instance_refresh(**NAME)
    small.run(1)

    code, status, message = refused(small.asg.rollback_instance_refresh)

    assert (code, status) == ("IrreversibleInstanceRefresh", 400)
    assert "desired configuration" in message


def test_template_is_locked_while_a_desired_configuration_is_on_its_way(small: World) -> None:
    small.refresh_to("2")
    template = {"LaunchTemplateId": small.template, "Version": "2"}
    text = (
        "An active instance refresh with a desired configuration exists. All configuration options derived from the "
        "desired configuration are not available for update while the instance refresh is active."
    )

    assert invalid(small.asg.update_auto_scaling_group, LaunchTemplate=template) == text
    small.asg.update_auto_scaling_group(**NAME, MaxSize=21)
    small.run_refresh()
    small.asg.update_auto_scaling_group(**NAME, LaunchTemplate=template)

    assert small.group["MaxSize"] == 21


@pytest.mark.parametrize("state", ["Baking", "RollbackInProgress"])
def test_template_is_locked_in_every_active_state(small: World, state: str) -> None:
    small.refresh_to("2", BakeTime=600)
    small.run_until(lambda: small.newest["Status"] == "Baking")
    if state == "RollbackInProgress":
        small.asg.rollback_instance_refresh(**NAME)
    template = {"LaunchTemplateId": small.template, "Version": "1"}
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": template}}

    assert small.refresh["Status"] == state
    for change in ({"LaunchTemplate": template}, {"LaunchConfigurationName": "old"}, {"MixedInstancesPolicy": policy}):
        message = invalid(small.asg.update_auto_scaling_group, **change)

        assert message.startswith("An active instance refresh with a desired configuration exists.")


@pytest.mark.parametrize(
    ("page", "token", "code"),
    [(0, None, "ValidationError"), (101, None, "ValidationError"), (10, "nope", "InvalidNextToken")],
)
def test_pages_are_checked(small: World, page: int, token: str | None, code: str) -> None:
    arguments = {"MaxRecords": page, **({"NextToken": token} if token else {})}

    assert refused(small.asg.describe_instance_refreshes, **arguments)[:2] == (code, 400)


def test_resource_contention_is_a_server_error(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS answers ResourceContention with status 500, so that clients retry."""

    def contended(*_: object) -> None:
        raise ResourceContentionError

    monkeypatch.setattr("localcloud.autoscaling.refresh.actions.start", contended)

    code, status, _ = refused(small.asg.start_instance_refresh)

    assert (code, status) == ("ResourceContention", 500)
