"""A refresh in phases: where it pauses, for how long, and where it stops."""

import pytest

from localcloud.autoscaling.refresh.checkpoints import Checkpoints
from tests.localcloud.fleet_fakes import World

HOUR = 3600.0


def at_checkpoint(small: World, percentage: int) -> bool:
    return f"checkpoint of {percentage} percent" in small.newest.get("StatusReason", "")


@pytest.mark.parametrize(
    ("percentages", "desired", "ready", "reached", "goal"),
    [
        ((20, 50, 100), 10, 0, 0, 2),
        ((20, 50, 100), 10, 1, 0, 2),
        ((20, 50, 100), 10, 2, 1, 5),
        ((20, 50, 100), 10, 5, 2, 10),
        ((20, 50, 100), 10, 10, 3, 10),
        ((10, 40, 100), 2, 0, 0, 1),
        ((10, 40, 100), 2, 1, 2, 2),
        ((1, 20), 3, 1, 2, 3),
        ((50,), 3, 1, 0, 2),
        ((), 3, 1, 0, 3),
        ((50, 100), 0, 0, 2, 0),
    ],
)
def test_checkpoints_count_instances(
    percentages: tuple[int, ...], desired: int, ready: int, reached: int, goal: int
) -> None:
    """A checkpoint is reached at its percentage or above, never below; the next goal is rounded up."""
    checkpoints = Checkpoints(percentages, 60)
    passed = checkpoints.reached(ready, desired)

    assert passed == reached
    assert checkpoints.goal(passed, desired) == goal


def test_documented_example_of_ten_instances(small: World) -> None:
    """AWS's example: [20, 50] at 80 %, two, then after the delay two and one; half of the group is then new."""
    small.create_group(desired=10)
    small.refresh_to(
        "2", MinHealthyPercentage=80, MaxHealthyPercentage=None, InstanceWarmup=600, CheckpointPercentages=[20, 50],
        CheckpointDelay=900,
    )  # fmt: skip
    small.run(60, step=5)
    first = small.versions().count("2")
    warm = small.run_until(lambda: at_checkpoint(small, 20), limit=HOUR, step=5)
    small.run(880, step=5)
    waited = small.versions().count("2")
    small.run(60, step=5)
    second = small.versions().count("2")
    small.run_until(lambda: small.versions().count("2") > 4, limit=HOUR, step=5)
    small.run(20, step=5)
    last = small.versions().count("2")
    refresh = small.run_refresh(limit=HOUR, step=5)

    assert (first, waited, second, last) == (2, 2, 4, 5)
    assert 530 < warm < 600
    assert refresh["Status"] == "Successful"
    assert small.versions() == ["1"] * 5 + ["2"] * 5


def test_refresh_pauses_at_each_checkpoint_but_the_last(small: World) -> None:
    """[50, 100] of four waits once, reports for how long still, and then replaces the rest without a dip."""
    small.create_group(desired=4)
    small.refresh_to("2", CheckpointPercentages=[50, 100], CheckpointDelay=300)
    small.run_until(lambda: at_checkpoint(small, 50))
    small.run(100)
    during = small.refresh

    assert (during["Status"], during["PercentageComplete"], during["InstancesToUpdate"]) == ("InProgress", 50, 2)
    assert during["StatusReason"].endswith("checkpoint of 50 percent before continuing. There are 199 seconds left.")
    assert small.versions() == ["1", "1", "2", "2"]

    took = small.run_until(lambda: small.versions().count("2") > 2)
    refresh = small.run_refresh()

    assert 195 <= took <= 205
    assert (refresh["Status"], refresh["PercentageComplete"], refresh["InstancesToUpdate"]) == ("Successful", 100, 0)
    assert small.versions() == ["2"] * 4
    assert (small.least_serving(), small.most_alive()) == (4, 5)


def test_last_percentage_below_100_leaves_a_mixed_fleet(small: World) -> None:
    """The refresh is Successful there, at once; the group has the new version, half of its instances have not."""
    small.create_group(desired=4)
    small.refresh_to("2", CheckpointPercentages=[50])
    refresh = small.run_refresh()

    assert refresh["Status"] == "Successful"
    assert (refresh["PercentageComplete"], refresh["InstancesToUpdate"]) == (50, 2)
    assert small.versions() == ["1", "1", "2", "2"]
    assert small.group["LaunchTemplate"]["Version"] == "2"
    small.run(60)
    assert small.versions() == ["1", "1", "2", "2"]


def test_partial_refresh_bakes_what_is_new(small: World) -> None:
    """The bake time comes after the last checkpoint, and instances that were left alone do not fail it."""
    small.create_group(desired=4)
    small.refresh_to("2", CheckpointPercentages=[50], BakeTime=60)
    small.run_until(lambda: small.newest["Status"] == "Baking")

    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == ["1", "1", "2", "2"]


def test_checkpoint_reached_with_a_higher_one_is_skipped(small: World) -> None:
    """AWS's example: of two instances one is 50 %, so that [10, 40, 100] waits only at 40."""
    small.create_group(desired=2)
    small.refresh_to("2", CheckpointPercentages=[10, 40, 100], CheckpointDelay=100)
    small.run_until(lambda: at_checkpoint(small, 40))

    assert small.versions() == ["1", "2"]
    took = small.run_until(lambda: small.newest["Status"] == "Successful")

    assert took < 150


def test_growing_group_reaches_a_checkpoint_again(small: World) -> None:
    """Two of four are half, two of eight are not: the wait is repeated once half of eight are new."""
    small.create_group(desired=4)
    small.refresh_to("2", CheckpointPercentages=[50, 100], CheckpointDelay=300)
    small.run_until(lambda: at_checkpoint(small, 50))
    small.run(200)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=8)
    small.tick()
    resumed = small.refresh
    small.run_until(lambda: at_checkpoint(small, 50))
    versions = small.versions()
    again = small.run_until(lambda: not at_checkpoint(small, 50))

    assert resumed["PercentageComplete"] == 25
    assert "checkpoint" not in resumed.get("StatusReason", "")
    assert versions.count("2") >= 4
    assert 295 <= again <= 305
    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == ["2"] * 8


def test_group_may_shrink_and_heal_at_a_checkpoint(small: World) -> None:
    """While the refresh waits, capacity is still kept: scaling in removes, and what dies comes back as the target."""
    small.create_group(desired=6)
    small.refresh_to("2", CheckpointPercentages=[50, 100], CheckpointDelay=600)
    small.run_until(lambda: at_checkpoint(small, 50))
    victim = next(each for each in small.instances() if each["LaunchTemplate"]["Version"] == "1")
    small.ec2.terminate_instances(InstanceIds=[victim["InstanceId"]])
    small.run(20)
    healed = small.versions()
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=5)
    small.run(20)

    assert healed == ["1", "1", "2", "2", "2", "2"]
    assert small.versions() == ["1", "2", "2", "2", "2"]
    assert at_checkpoint(small, 50)
    assert small.run_refresh(limit=HOUR)["Status"] == "Successful"


def test_default_delay_is_an_hour_and_no_failure(small: World) -> None:
    """CheckpointDelay omitted is 3600; a wait longer than the hour that AWS retries for fails nothing."""
    small.create_group()
    small.refresh_to("2", CheckpointPercentages=[30, 100])
    echoed = small.refresh["Preferences"]
    small.run_until(lambda: at_checkpoint(small, 30))
    took = small.run_until(lambda: not at_checkpoint(small, 30), limit=2 * HOUR, step=5)

    assert (echoed["CheckpointPercentages"], echoed["CheckpointDelay"]) == ([30, 100], 3600)
    assert HOUR - 10 <= took <= HOUR + 10
    assert small.run_refresh()["Status"] == "Successful"


def test_longest_delay_fails_nothing_either(small: World) -> None:
    """Eight waits of 48 hours are longer than the fourteen days that AWS replaces instances for."""
    small.create_group(desired=9)
    small.refresh_to(
        "2", MinHealthyPercentage=80, MaxHealthyPercentage=None, InstanceWarmup=0, CheckpointDelay=48 * 3600,
        CheckpointPercentages=[11, 22, 33, 44, 55, 66, 77, 88, 100],
    )  # fmt: skip
    begin = small.clock()

    assert small.run_refresh(limit=20 * 24 * HOUR, step=1200)["Status"] == "Successful"
    assert small.clock() - begin > 14 * 24 * HOUR


def test_matching_instances_pass_checkpoints_without_a_wait(small: World) -> None:
    small.create_group(desired=4)
    small.refresh_to("2", CheckpointPercentages=[50])
    small.run_refresh()
    small.refresh_to("2", CheckpointPercentages=[50, 100], CheckpointDelay=600, SkipMatching=True)
    begin = small.clock()

    assert small.run_refresh()["Status"] == "Successful"
    assert small.clock() - begin < 120
    assert small.versions() == ["2"] * 4


def test_protected_instance_does_not_block_a_checkpoint_before_it(small: World) -> None:
    small.create_group(desired=4)
    small.protect_one()
    small.refresh_to("2", CheckpointPercentages=[50, 100], CheckpointDelay=60)
    small.run_until(lambda: at_checkpoint(small, 50))
    small.run_until(lambda: "is protected" in small.newest.get("StatusReason", ""))
    small.run(5)

    assert small.versions() == ["1", "2", "2", "2"]


@pytest.mark.parametrize(("action", "status"), [("cancel", "Cancelled"), ("rollback", "RollbackSuccessful")])
def test_waiting_refresh_can_be_cancelled_and_rolled_back(small: World, action: str, status: str) -> None:
    small.create_group(desired=4)
    small.refresh_to("2", CheckpointPercentages=[50, 100])
    small.run_until(lambda: at_checkpoint(small, 50))
    if action == "cancel":
        small.asg.cancel_instance_refresh(AutoScalingGroupName="web")
    else:
        small.asg.rollback_instance_refresh(AutoScalingGroupName="web")

    assert small.run_refresh()["Status"] == status
    assert small.versions() == (["1"] * 4 if action == "rollback" else ["1", "1", "2", "2"])


def test_empty_group_passes_every_checkpoint(small: World) -> None:
    small.create_group(desired=0)
    small.refresh_to("2", CheckpointPercentages=[50, 100])
    small.run(1)

    assert small.refresh["Status"] == "Successful"
