"""Facts of Auto Scaling: a group's instances, and its activities."""

import pytest

from tests.fidelity.balancing import Balancing
from tests.fidelity.fleet_support import ZONES, Fleet
from tests.fidelity.refusals import refused
from tests.fidelity.sources import autoscaling, autoscaling_guide
from tests.localcloud.server_support import Server, wait_until

SERVICE = "Auto Scaling"


@pytest.fixture(scope="module")
def fleet(cloud: Server) -> Fleet:
    """Groups."""
    return Fleet(cloud, "instances")


# Deleting a group


@pytest.mark.fact("A group with instances is deleted by force only", autoscaling("DeleteAutoScalingGroup"))
def test_group_with_instances_is_in_use(fleet: Fleet) -> None:
    fleet.create("in-use", desired=1)
    with refused("ResourceInUse", text="while there are instances"):
        fleet.asg.delete_auto_scaling_group(AutoScalingGroupName="in-use")
    fleet.asg.delete_auto_scaling_group(AutoScalingGroupName="in-use", ForceDelete=True)

    def is_gone() -> bool:
        return not fleet.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["in-use"])["AutoScalingGroups"]

    wait_until(is_gone, "deletion")


@pytest.mark.fact("An emptied group is deleted without force", autoscaling("DeleteAutoScalingGroup"))
def test_emptied_group_is_deleted(fleet: Fleet) -> None:
    fleet.create("emptied", desired=2, MinSize=1)
    fleet.asg.update_auto_scaling_group(AutoScalingGroupName="emptied", MinSize=0, MaxSize=0, DesiredCapacity=0)
    fleet.wait_for("emptied", 0)
    fleet.asg.delete_auto_scaling_group(AutoScalingGroupName="emptied")

    assert fleet.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["emptied"])["AutoScalingGroups"] == []


# Activities


@pytest.mark.fact("Activities are listed newest first", autoscaling_guide("as-verify-scaling-activity"))
@pytest.mark.fact("A launch and a termination are an activity each", autoscaling_guide("as-verify-scaling-activity"))
def test_activities_are_newest_first(fleet: Fleet) -> None:
    fleet.create("active", desired=1)
    fleet.asg.set_desired_capacity(AutoScalingGroupName="active", DesiredCapacity=0)
    fleet.wait_for("active", 0)
    activities = fleet.asg.describe_scaling_activities(AutoScalingGroupName="active")["Activities"]

    assert [each["Description"].split(":")[0] for each in activities] == [
        "Terminating EC2 instance", "Launching a new EC2 instance",
    ]  # fmt: skip
    assert {(each["StatusCode"], each["Progress"]) for each in activities} == {("Successful", 100)}


@pytest.mark.fact("Unknown activity ids are left out", autoscaling("DescribeScalingActivities"))
def test_unknown_activities_are_left_out(fleet: Fleet) -> None:
    assert fleet.asg.describe_scaling_activities(ActivityIds=["none"])["Activities"] == []


@pytest.mark.fact("At most 50 instances are described by id, and unknown ones are left out",
                  autoscaling("DescribeAutoScalingInstances"))  # fmt: skip
def test_instances_described_by_id(fleet: Fleet) -> None:
    ids = [f"i-{number:017x}" for number in range(51)]

    assert fleet.asg.describe_auto_scaling_instances(InstanceIds=ids[:50])["AutoScalingInstances"] == []
    with refused("ValidationError"):
        fleet.asg.describe_auto_scaling_instances(InstanceIds=ids)


# Instances that come and go


@pytest.mark.fact("Only running instances in the group's zones, of no group, are attached",
                  autoscaling_guide("ec2-auto-scaling-attach-detach-instances"))  # fmt: skip
def test_only_free_running_instances_are_attached(fleet: Fleet) -> None:
    fleet.create("attaching", AvailabilityZones=ZONES[:1])
    fleet.create("owner", desired=1, AvailabilityZones=ZONES[:1])
    elsewhere = fleet.cloud.launch_running(Placement={"AvailabilityZone": ZONES[1]})["InstanceId"]
    stopped = fleet.cloud.launch_running(Placement={"AvailabilityZone": ZONES[0]})["InstanceId"]
    fleet.ec2.stop_instances(InstanceIds=[stopped])
    fleet.cloud.wait_for_state(stopped, "stopped")
    free = fleet.cloud.launch_running(Placement={"AvailabilityZone": ZONES[0]})["InstanceId"]

    for unfit in (elsewhere, stopped, *fleet.instances("owner"), "i-0123456789abcdef0"):
        with refused("ValidationError"):
            fleet.asg.attach_instances(AutoScalingGroupName="attaching", InstanceIds=[free, unfit])
    assert fleet.group("attaching")["DesiredCapacity"] == 0

    fleet.asg.attach_instances(AutoScalingGroupName="attaching", InstanceIds=[free])
    assert fleet.group("attaching")["DesiredCapacity"] == 1


@pytest.mark.fact("Attaching is held to MaxSize", autoscaling("AttachInstances"))
def test_attaching_is_held_to_the_maximum(fleet: Fleet) -> None:
    fleet.create("full", desired=1, MaxSize=1)
    more = fleet.cloud.launch_running(Placement={"AvailabilityZone": ZONES[0]})["InstanceId"]

    with refused("ValidationError", text="please update the AutoScalingGroup sizes appropriately"):
        fleet.asg.attach_instances(AutoScalingGroupName="full", InstanceIds=[more])


@pytest.mark.fact("Detached instances run on, and are replaced unless the capacity shrinks",
                  autoscaling("DetachInstances"))  # fmt: skip
def test_detached_instances_run_on(fleet: Fleet) -> None:
    fleet.create("detaching", desired=2)
    first, second = fleet.instances("detaching")
    for instance, shrinks in ((first, True), (second, False)):
        fleet.asg.detach_instances(
            AutoScalingGroupName="detaching", InstanceIds=[instance], ShouldDecrementDesiredCapacity=shrinks
        )
    fleet.wait_for("detaching", 1)

    assert {first, second}.isdisjoint(fleet.instances("detaching"))
    assert [fleet.cloud.instance(each)["State"]["Name"] for each in (first, second)] == ["running"] * 2


@pytest.mark.fact("Decrementing is held to MinSize: DetachInstances", autoscaling("DetachInstances"))
@pytest.mark.fact("Decrementing is held to MinSize: EnterStandby", autoscaling("EnterStandby"))
@pytest.mark.fact("Decrementing is held to MinSize: TerminateInstanceInAutoScalingGroup",
                  autoscaling("TerminateInstanceInAutoScalingGroup"))  # fmt: skip
def test_decrementing_is_held_to_the_minimum(fleet: Fleet) -> None:
    fleet.create("least", desired=1, MinSize=1)
    (only,) = fleet.instances("least")
    members = {"AutoScalingGroupName": "least", "InstanceIds": [only], "ShouldDecrementDesiredCapacity": True}

    for move in (fleet.asg.detach_instances, fleet.asg.enter_standby):
        with refused("ValidationError", text="has min-size=1, max-size=4, and desired-size=1. To"):
            move(**members)
    with refused("ValidationError", text="Currently, desiredSize equals minSize (1)."):
        fleet.asg.terminate_instance_in_auto_scaling_group(InstanceId=only, ShouldDecrementDesiredCapacity=True)
    assert fleet.instances("least") == [only]


@pytest.mark.fact("Instances that are not in the group are refused", autoscaling("SetInstanceProtection"))
def test_strangers_are_refused(fleet: Fleet) -> None:
    fleet.create("members", desired=1)
    strangers = {"AutoScalingGroupName": "members", "InstanceIds": [*fleet.instances("members"), "i-0123456789abcdef0"]}

    for action, arguments in {
        "set_instance_protection": {"ProtectedFromScaleIn": True},
        "detach_instances": {"ShouldDecrementDesiredCapacity": False},
        "enter_standby": {"ShouldDecrementDesiredCapacity": False},
        "exit_standby": {},
    }.items():
        with refused("ValidationError"):
            getattr(fleet.asg, action)(**strangers, **arguments)
    assert [each["ProtectedFromScaleIn"] for each in fleet.group("members")["Instances"]] == [False]


@pytest.mark.fact("An instance on standby cannot enter it again, nor one in service leave it",
                  autoscaling_guide("as-enter-exit-standby"))  # fmt: skip
def test_standby_is_entered_and_left_once(fleet: Fleet) -> None:
    fleet.create("standby", desired=1)
    members = {"AutoScalingGroupName": "standby", "InstanceIds": fleet.instances("standby")}
    with refused("ValidationError"):
        fleet.asg.exit_standby(**members)
    fleet.asg.enter_standby(**members, ShouldDecrementDesiredCapacity=True)
    with refused("ValidationError"):
        fleet.asg.enter_standby(**members, ShouldDecrementDesiredCapacity=True)
    fleet.asg.exit_standby(**members)

    assert fleet.group("standby")["DesiredCapacity"] == 1


@pytest.mark.fact("An instance of no group has no health to set", autoscaling("SetInstanceHealth"))
@pytest.mark.fact("Health is Healthy or Unhealthy", autoscaling("SetInstanceHealth"))
def test_health_is_of_members(fleet: Fleet) -> None:
    fleet.create("healthy", desired=1)
    with refused("ValidationError", text="Instance Id not found"):
        fleet.asg.set_instance_health(InstanceId="i-0123456789abcdef0", HealthStatus="Unhealthy")
    with refused("ValidationError"):
        fleet.asg.set_instance_health(InstanceId=fleet.instances("healthy")[0], HealthStatus="Ill")


@pytest.mark.fact("Protected instances stay when the group shrinks",
                  autoscaling_guide("ec2-auto-scaling-instance-protection"))  # fmt: skip
def test_protected_instances_stay(fleet: Fleet) -> None:
    fleet.create("protected", desired=2)
    (protected, _) = fleet.instances("protected")
    members = {"AutoScalingGroupName": "protected", "InstanceIds": [protected]}
    fleet.asg.set_instance_protection(**members, ProtectedFromScaleIn=True)
    fleet.asg.set_desired_capacity(AutoScalingGroupName="protected", DesiredCapacity=0)
    wait_until(lambda: fleet.instances("protected") == [protected], "the other one gone")


@pytest.mark.fact("A terminated instance is replaced", autoscaling_guide("ec2-auto-scaling-health-checks"))
def test_terminated_instance_is_replaced(fleet: Fleet) -> None:
    fleet.create("replacing", desired=1)
    (first,) = fleet.instances("replacing")
    fleet.ec2.terminate_instances(InstanceIds=[first])
    wait_until(lambda: fleet.instances("replacing") not in ([], [first]), "another")


@pytest.mark.fact("Instances carry the tag aws:autoscaling:groupName", autoscaling_guide("ec2-auto-scaling-tagging"))
@pytest.mark.fact("Only tags that are propagated reach the instances", autoscaling_guide("ec2-auto-scaling-tagging"))
def test_tags_of_instances(fleet: Fleet) -> None:
    tags = [
        {"Key": "mine", "Value": "1", "PropagateAtLaunch": True},
        {"Key": "kept", "Value": "2", "PropagateAtLaunch": False},
    ]
    fleet.create("labelled", desired=1, Tags=tags)
    found = {tag["Key"]: tag["Value"] for tag in fleet.cloud.instance(fleet.instances("labelled")[0])["Tags"]}

    assert (found["aws:autoscaling:groupName"], found["mine"], "kept" in found) == ("labelled", "1", False)


@pytest.mark.fact(
    "Instances are registered with a group's target groups", autoscaling_guide("attach-load-balancer-asg")
)
@pytest.mark.fact("An instance is terminated only when its target has drained",
                  autoscaling_guide("attach-load-balancer-asg"))  # fmt: skip
@pytest.mark.fact("A group whose instances come or go is deleted by force only", autoscaling("DeleteAutoScalingGroup"))
def test_instances_drain_before_they_go(fleet: Fleet) -> None:
    site = Balancing(fleet.cloud)
    targets = site.group("fleet")
    site.listener(site.balancer("fleet"), targets)
    site.set_attribute(targets, "deregistration_delay.timeout_seconds", "3")
    fleet.create("draining", desired=1, TargetGroupARNs=[targets])
    (leaving,) = fleet.instances("draining")
    wait_until(lambda: [state for _, _, state, _ in site.health(targets)] == ["healthy"], "healthy")
    fleet.asg.terminate_instance_in_auto_scaling_group(InstanceId=leaving, ShouldDecrementDesiredCapacity=True)
    with refused("ScalingActivityInProgress", text="while there are scaling activities in progress"):
        fleet.asg.delete_auto_scaling_group(AutoScalingGroupName="draining")
    (activity, *_) = fleet.asg.describe_scaling_activities(AutoScalingGroupName="draining")["Activities"]

    assert [state for _, _, state, _ in site.health(targets)] == ["draining"]
    assert fleet.cloud.instance(leaving)["State"]["Name"] == "running"
    assert (activity["StatusCode"], "EndTime" in activity) == ("WaitingForELBConnectionDraining", False)
    fleet.cloud.wait_for_state(leaving, "terminated")


@pytest.mark.fact("An image that is a Systems Manager parameter is looked up at each launch",
                  autoscaling_guide("using-systems-manager-parameters"))  # fmt: skip
def test_images_are_looked_up_at_launch(fleet: Fleet) -> None:
    image, ssm = fleet.cloud.seed_image(), fleet.cloud.client("ssm")
    ssm.put_parameter(Name="/fleet/image", Value=image, Type="String", DataType="aws:ec2:image")
    wait_until(lambda: bool(ssm.get_parameters(Names=["/fleet/image"])["Parameters"]), "the parameter")
    data = {"ImageId": "resolve:ssm:/fleet/image", "InstanceType": "t3.micro"}
    fleet.ec2.create_launch_template(LaunchTemplateName="looked-up", LaunchTemplateData=data)
    fleet.create("looked-up", desired=1, LaunchTemplate={"LaunchTemplateName": "looked-up"})

    assert fleet.cloud.instance(fleet.instances("looked-up")[0])["ImageId"] == image
