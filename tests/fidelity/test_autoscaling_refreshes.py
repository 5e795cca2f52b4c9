"""Facts of Auto Scaling: instance refreshes, as the pipeline uses them."""

from typing import Any

import pytest

from tests.fidelity.fleet_support import Fleet
from tests.fidelity.refusals import refused
from tests.fidelity.sources import autoscaling, autoscaling_guide
from tests.localcloud.server_support import Server, wait_until

SERVICE = "Auto Scaling"


@pytest.fixture(scope="module")
def fleet(cloud: Server) -> Fleet:
    """A template of two versions."""
    fleet = Fleet(cloud, "refreshes")
    data = {"ImageId": cloud.seed_image(), "InstanceType": "t3.small"}
    fleet.ec2.create_launch_template_version(**fleet.template, LaunchTemplateData=data)
    return fleet


def version(fleet: Fleet, number: str) -> dict[str, Any]:
    """Return the template in a version, as groups and desired configurations name it."""
    return {"LaunchTemplate": {**fleet.template, "Version": number}}


def start(fleet: Fleet, name: str, to: str | None = "2", **preferences: Any) -> str:
    """Start a refresh that holds until it is ended, and return its id."""
    settings = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 600, **preferences}
    desired = {"DesiredConfiguration": version(fleet, to)} if to else {}
    answer = fleet.asg.start_instance_refresh(AutoScalingGroupName=name, Preferences=settings, **desired)
    return str(answer["InstanceRefreshId"])


def newest(fleet: Fleet, name: str) -> dict[str, Any]:
    """Describe a group's newest refresh."""
    return dict(fleet.asg.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"][0])


def wait_for_status(fleet: Fleet, name: str, *statuses: str) -> dict[str, Any]:
    """Wait until a group's newest refresh has one of these statuses, and describe it."""
    wait_until(lambda: newest(fleet, name)["Status"] in statuses, " or ".join(statuses))
    return newest(fleet, name)


@pytest.mark.fact("A refresh is Pending, then InProgress", autoscaling("InstanceRefresh"))
@pytest.mark.fact("Another refresh of the group is refused while one is active", autoscaling("StartInstanceRefresh"))
@pytest.mark.fact("The group's template cannot be changed while a refresh to another is active",
                  autoscaling_guide("instance-refresh-overview"))  # fmt: skip
def test_one_refresh_at_a_time(fleet: Fleet) -> None:
    fleet.create("single", desired=1, **version(fleet, "1"))
    start(fleet, "single")

    assert newest(fleet, "single")["Status"] in {"Pending", "InProgress"}
    with refused("InstanceRefreshInProgress"):
        start(fleet, "single")
    with refused("ValidationError", text="An active instance refresh with a desired configuration exists"):
        fleet.asg.update_auto_scaling_group(AutoScalingGroupName="single", **version(fleet, "2"))


@pytest.mark.fact("Nothing active to cancel or to roll back: ActiveInstanceRefreshNotFound",
                  autoscaling("CancelInstanceRefresh"))  # fmt: skip
def test_nothing_to_end(fleet: Fleet) -> None:
    fleet.create("idle")
    for action in (fleet.asg.cancel_instance_refresh, fleet.asg.rollback_instance_refresh):
        with refused("ActiveInstanceRefreshNotFound"):
            action(AutoScalingGroupName="idle")


@pytest.mark.fact("A refresh that is cancelled leaves the group's template as it was",
                  autoscaling("CancelInstanceRefresh"))  # fmt: skip
def test_cancelling_keeps_the_template(fleet: Fleet) -> None:
    fleet.create("cancelled", desired=1, **version(fleet, "1"))
    identity = start(fleet, "cancelled")
    answer = fleet.asg.cancel_instance_refresh(AutoScalingGroupName="cancelled")
    refresh = wait_for_status(fleet, "cancelled", "Cancelled")

    assert answer["InstanceRefreshId"] == refresh["InstanceRefreshId"] == identity
    assert fleet.group("cancelled")["LaunchTemplate"]["Version"] == "1"


@pytest.mark.fact("A refresh that succeeds makes its template the group's", autoscaling("DesiredConfiguration"))
@pytest.mark.fact("A refresh that succeeded is 100 percent complete", autoscaling("InstanceRefresh"))
def test_success_changes_the_template(fleet: Fleet) -> None:
    fleet.create("successful", desired=1, **version(fleet, "1"))
    start(fleet, "successful", InstanceWarmup=0)
    refresh = wait_for_status(fleet, "successful", "Successful")

    assert (refresh["PercentageComplete"], refresh["InstancesToUpdate"]) == (100, 0)
    assert fleet.group("successful")["LaunchTemplate"]["Version"] == "2"
    assert [each["InstanceType"] for each in fleet.group("successful")["Instances"]] == ["t3.small"]


@pytest.mark.fact("A rollback returns the group to its version", autoscaling("RollbackInstanceRefresh"))
def test_rollback_returns(fleet: Fleet) -> None:
    fleet.create("returned", desired=1, **version(fleet, "1"))
    start(fleet, "returned")
    wait_for_status(fleet, "returned", "InProgress")
    fleet.asg.rollback_instance_refresh(AutoScalingGroupName="returned")

    assert newest(fleet, "returned")["Status"] in {"RollbackInProgress", "RollbackSuccessful"}
    assert fleet.group("returned")["LaunchTemplate"]["Version"] == "1"


@pytest.mark.fact("A group of $Latest or $Default is not rolled back", autoscaling("RollbackInstanceRefresh"))
@pytest.mark.fact("A refresh without a desired configuration is not rolled back",
                  autoscaling("RollbackInstanceRefresh"))  # fmt: skip
def test_what_cannot_be_rolled_back(fleet: Fleet) -> None:
    for name, number, to in (("latest", "$Latest", "1"), ("undesired", "1", None)):
        fleet.create(name, desired=1, **version(fleet, number))
        start(fleet, name, to)
        wait_for_status(fleet, name, "InProgress")
        with refused("IrreversibleInstanceRefresh"):
            fleet.asg.rollback_instance_refresh(AutoScalingGroupName=name)


@pytest.mark.fact("AutoRollback needs a desired configuration", autoscaling("RefreshPreferences"))
@pytest.mark.fact("MaxHealthyPercentage needs MinHealthyPercentage, at most 100 below",
                  autoscaling("RefreshPreferences"))  # fmt: skip
@pytest.mark.fact("CheckpointDelay needs CheckpointPercentages", autoscaling("RefreshPreferences"))
@pytest.mark.fact("Checkpoints are unique and ascending", autoscaling("RefreshPreferences"))
@pytest.mark.fact("A refresh to a launch template version that does not exist is refused",
                  autoscaling("DesiredConfiguration"))  # fmt: skip
def test_refreshes_that_cannot_be(fleet: Fleet) -> None:
    fleet.create("preferences", **version(fleet, "1"))
    with refused("ValidationError", text="AutoRollback"):
        start(fleet, "preferences", None, AutoRollback=True)
    for preferences in ({"MinHealthyPercentage": 50}, {"CheckpointDelay": 60}, {"CheckpointPercentages": [50, 50, 100]},
                        {"CheckpointPercentages": [60, 50, 100]}):  # fmt: skip
        with refused("ValidationError"):
            start(fleet, "preferences", **preferences)
    with refused("ValidationError"):
        fleet.asg.start_instance_refresh(AutoScalingGroupName="preferences", Preferences={"MaxHealthyPercentage": 110})
    with refused("ValidationError", text="fully-formed launch template"):
        start(fleet, "preferences", "9")

    assert fleet.asg.describe_instance_refreshes(AutoScalingGroupName="preferences")["InstanceRefreshes"] == []


@pytest.mark.fact("Refreshes are listed newest first, 1 to 100 a page", autoscaling("DescribeInstanceRefreshes"))
@pytest.mark.fact("Skip matching replaces nothing where all instances match",
                  autoscaling_guide("asg-instance-refresh-skip-matching"))  # fmt: skip
def test_refreshes_are_listed(fleet: Fleet) -> None:
    fleet.create("listed", desired=1, **version(fleet, "1"))
    before = fleet.instances("listed")
    identities = []
    for _ in range(2):
        identities.append(start(fleet, "listed", "1", SkipMatching=True))
        wait_for_status(fleet, "listed", "Successful")

    def page(**options: Any) -> Any:
        return fleet.asg.describe_instance_refreshes(AutoScalingGroupName="listed", MaxRecords=1, **options)

    first = page()
    second = page(NextToken=first["NextToken"])
    assert [each["InstanceRefreshes"][0]["InstanceRefreshId"] for each in (second, first)] == identities
    assert fleet.instances("listed") == before
    with refused("ValidationError", text="maxRecords"):
        fleet.asg.describe_instance_refreshes(AutoScalingGroupName="listed", MaxRecords=101)
