"""Refreshes that roll back, are cancelled, or keep instances."""

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.fleet_fakes import World

HOUR = 3600.0


def test_auto_rollback_returns_to_the_saved_version(small: World) -> None:
    small.create_group(HealthCheckGracePeriod=300)
    small.sick_versions.add("2")
    identity = small.refresh_to("2", AutoRollback=True)

    refresh = small.run_refresh(limit=2 * HOUR, step=5)

    assert (refresh["Status"], refresh["InstanceRefreshId"]) == ("RollbackSuccessful", identity)
    assert small.versions() == ["1", "1", "1"]
    assert small.group["LaunchTemplate"]["Version"] == "1"
    assert refresh["RollbackDetails"]["PercentageCompleteOnRollback"] == 0
    assert refresh["RollbackDetails"]["InstancesToUpdateOnRollback"] == 3
    assert small.least_serving() == 3


def test_rollback_by_request_replaces_what_was_updated(small: World) -> None:
    small.create_group()
    identity = small.refresh_to("2")
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    untouched = {
        each["InstanceId"] for each in small.instances("InService") if each["LaunchTemplate"]["Version"] == "1"
    }

    answer = small.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    during = small.refresh
    refresh = small.run_refresh()

    assert answer["InstanceRefreshId"] == identity
    assert (during["Status"], during["StatusReason"]) == (
        "RollbackInProgress",
        "Rollback triggered due to user request.",
    )
    assert refresh["Status"] == "RollbackSuccessful"
    assert refresh["PercentageComplete"] == 0
    assert refresh["RollbackDetails"]["PercentageCompleteOnRollback"] == 33
    assert small.versions() == ["1", "1", "1"]
    assert untouched <= {each["InstanceId"] for each in small.instances()}
    assert small.least_serving() == 3


def test_rollback_that_cannot_finish_has_failed(small: World) -> None:
    small.create_group(HealthCheckGracePeriod=300)
    small.refresh_to("2", MinHealthyPercentage=66, MaxHealthyPercentage=100)
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    small.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    small.sick_versions.add("1")

    assert small.run_refresh(limit=2 * HOUR, step=5)["Status"] == "RollbackFailed"


def test_cancel_waits_for_instances_in_transition(small: World) -> None:
    """Cancelling ends once a launch under way is over, and the group shrinks to its capacity again."""
    small.create_group()
    identity = small.refresh_to("2")
    small.run(1)
    assert small.instances("Pending")

    answer = small.asg.cancel_instance_refresh(AutoScalingGroupName="web")
    small.tick()
    cancelling = small.refresh["Status"]
    small.run_refresh()

    assert answer["InstanceRefreshId"] == identity
    assert cancelling == "Cancelling"
    assert (small.refresh["Status"], small.refresh["StatusReason"]) == ("Cancelled", "Cancelled due to user request.")
    assert not small.instances("Pending")
    assert small.group["LaunchTemplate"]["Version"] == "1"
    small.run_until(lambda: len(small.instances()) == 3)
    assert small.least_serving() == 3


def test_cancel_need_not_wait(small: World) -> None:
    small.create_group()
    small.refresh_to("2")
    small.run(1)
    small.asg.cancel_instance_refresh(AutoScalingGroupName="web", WaitForTransitioningInstances=False)
    small.tick()

    assert small.refresh["Status"] == "Cancelled"
    assert small.instances("Pending")


def test_rollback_can_be_cancelled(small: World) -> None:
    small.create_group()
    small.refresh_to("2")
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    small.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    small.run(1)
    small.asg.cancel_instance_refresh(AutoScalingGroupName="web")

    assert small.run_refresh()["Status"] == "Cancelled"


@pytest.mark.parametrize(("action", "status"), [("cancel", "Cancelled"), ("rollback", "RollbackSuccessful")])
def test_baking_refresh_can_be_cancelled_and_rolled_back(small: World, action: str, status: str) -> None:
    """Until the bake time is over there is a way back, by the same id; cancelling leaves the new instances."""
    small.create_group()
    identity = small.refresh_to("2", BakeTime=600)
    small.run_until(lambda: small.newest["Status"] == "Baking")
    call = small.asg.cancel_instance_refresh if action == "cancel" else small.asg.rollback_instance_refresh

    assert call(AutoScalingGroupName="web")["InstanceRefreshId"] == identity

    refresh = small.run_refresh()

    assert refresh["Status"] == status
    assert small.group["LaunchTemplate"]["Version"] == "1"
    assert small.versions() == ["2" if action == "cancel" else "1"] * 3
    if action == "rollback":
        assert refresh["RollbackDetails"]["PercentageCompleteOnRollback"] == 100
        assert refresh["RollbackDetails"]["InstancesToUpdateOnRollback"] == 0
        assert small.least_serving() == 3


def test_second_rollback_and_cancel_find_their_refresh_or_none(small: World) -> None:
    """A rollback under way cannot be rolled back; a refresh that is being cancelled may be cancelled again."""
    small.create_group()
    identity = small.refresh_to("2")
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    small.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    with pytest.raises(small.asg.exceptions.ActiveInstanceRefreshNotFoundFault):
        small.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    small.run(1)
    first = small.asg.cancel_instance_refresh(AutoScalingGroupName="web")
    second = small.asg.cancel_instance_refresh(AutoScalingGroupName="web")

    assert first["InstanceRefreshId"] == second["InstanceRefreshId"] == identity
    refresh = small.run_refresh()
    assert refresh["Status"] == "Cancelled"
    assert refresh["RollbackDetails"]["RollbackReason"] == "Rollback triggered due to user request."


def test_deleting_the_group_ends_its_refresh(small: World) -> None:
    """Without force the group's instances forbid it; with force the refresh is cancelled, and none may begin."""
    small.create_group()
    small.refresh_to("2")
    small.run(20)
    with pytest.raises(small.asg.exceptions.ResourceInUseFault):
        small.asg.delete_auto_scaling_group(AutoScalingGroupName="web")
    small.asg.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    refresh = small.refresh
    with pytest.raises(ClientError) as caught:
        small.refresh_to("2")
    small.run(5)

    assert (refresh["Status"], refresh["StatusReason"]) == (
        "Cancelled",
        "Cancelled because the Auto Scaling group is being deleted.",
    )
    assert "pending delete" in caught.value.response["Error"]["Message"]
    assert "web" not in small.cloud.backend("autoscaling").autoscaling_groups


@pytest.mark.parametrize("skip", [True, False])
def test_matching_instances_are_replaced_unless_they_are_skipped(small: World, skip: bool) -> None:
    small.create_group(version="2")
    before = {each["InstanceId"] for each in small.instances()}
    small.refresh_to("2", SkipMatching=skip)
    small.tick()
    refresh = small.refresh if skip else small.run_refresh()

    assert (refresh["Status"], refresh["PercentageComplete"]) == ("Successful", 100)
    assert before.isdisjoint(each["InstanceId"] for each in small.instances()) is not skip
    assert (before == {each["InstanceId"] for each in small.instances()}) is skip


def test_skip_matching_finishes_what_an_earlier_refresh_began(small: World) -> None:
    small.create_group()
    small.refresh_to("2")
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    small.asg.cancel_instance_refresh(AutoScalingGroupName="web")
    small.run_refresh()
    small.run_until(lambda: len(small.instances("InService")) == 3 and len(small.instances()) == 3)
    matching = {each["InstanceId"] for each in small.instances() if each["LaunchTemplate"]["Version"] == "2"}
    small.refresh_to("2", SkipMatching=True)

    assert small.run_refresh()["Status"] == "Successful"
    assert matching
    assert matching <= {each["InstanceId"] for each in small.instances()}


def test_bake_time_delays_success(small: World) -> None:
    small.create_group()
    small.refresh_to("2", BakeTime=120)
    small.run_until(lambda: small.newest["Status"] == "Baking")
    small.tick()
    reason = small.refresh["StatusReason"]

    took = small.run_until(lambda: small.newest["Status"] == "Successful")

    assert "bake time" in reason
    assert 115 <= took <= 125


def test_instance_dying_while_baking_fails_the_refresh(small: World) -> None:
    """An instance that gets unhealthy in the bake time means failure, or with AutoRollback the way back."""
    small.create_group()
    small.refresh_to("2", BakeTime=600, AutoRollback=True)
    small.run_until(lambda: small.newest["Status"] == "Baking")
    small.sick_versions.add("2")

    assert small.run_refresh()["Status"] == "RollbackSuccessful"
    assert small.versions() == ["1", "1", "1"]


def test_scaling_while_baking_fails_nothing(small: World) -> None:
    small.create_group()
    small.refresh_to("2", BakeTime=120, InstanceWarmup=60)
    small.run_until(lambda: small.newest["Status"] == "Baking")
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=5)
    small.run(20)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)

    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == ["2", "2"]


def test_ignored_instance_does_not_fail_the_bake_time(small: World) -> None:
    small.create_group()
    small.protect_one()
    small.refresh_to("2", ScaleInProtectedInstances="Ignore", BakeTime=60)

    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == ["1", "2", "2"]


def test_protected_instance_holds_the_refresh_up_until_it_fails(small: World) -> None:
    """By default a refresh waits an hour for a protected instance."""
    small.create_group()
    small.protect_one()
    small.refresh_to("2")
    small.run(300)

    assert "is protected. Remove instance scale-in protection to continue." in small.refresh["StatusReason"]
    assert small.versions() == ["1", "2", "2"]

    assert small.run_refresh(limit=2 * HOUR, step=5)["Status"] == "Failed"


@pytest.mark.parametrize(("choice", "left"), [("Ignore", ["1", "2", "2"]), ("Refresh", ["2", "2", "2"])])
def test_protected_instances_are_ignored_or_replaced_on_request(small: World, choice: str, left: list[str]) -> None:
    small.create_group()
    small.protect_one()
    small.refresh_to("2", ScaleInProtectedInstances=choice)

    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == left


@pytest.mark.parametrize(("choice", "left"), [("Ignore", ["1", "2", "2"]), ("Terminate", ["2", "2", "2"])])
def test_standby_instances_are_ignored_or_terminated_on_request(small: World, choice: str, left: list[str]) -> None:
    small.create_group()
    small.asg.enter_standby(
        AutoScalingGroupName="web",
        InstanceIds=[small.instances()[0]["InstanceId"]],
        ShouldDecrementDesiredCapacity=choice == "Ignore",
    )
    small.refresh_to("2", StandbyInstances=choice)

    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == left
